"""Pool complications and who passes a test, and list the rates that studies publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from paincast.evidence.synthesis.counts import (
    NOT_PRIMARY,
    OTHER_OUTCOMES,
    OUTCOME,
    POOLED_ARMS,
    Target,
    count_events,
    count_patients,
    find_trials,
    performs,
)
from paincast.evidence.synthesis.study import Harm, Result, Study
from paincast.statistics import compute_wilson_interval, pool_shares

Figures = Mapping[str, Any]


def pool_harms(own: Sequence[Study], target: Target, complications: Sequence[Figures]) -> dict[str, dict[str, Any]]:
    """Pool the complications of a record, by kind, over the studies that count them.

    Primary studies count, each set of patients once, by the largest denominator; arms that received the technique, or a
    whole study. Rates are of patients or procedures, as the studies count.

    Returns
    -------
    dict
        By kind: ``share`` with the interval of the mean, events and ``n``, and ``source``.
    """
    pooled = {}
    for kind in sorted({entry["kind"] for entry in complications if not entry.get("repeats")}):
        counts = [
            _Count(study, events, n)
            for study in own
            for harm in study.harms
            if harm.kind == kind
            for events, n in _count_harm(study, target, harm)
        ]
        if kept := _keep_trials(counts):
            pooled[kind] = _pool(kept)
    return pooled


class _Count(NamedTuple):
    study: Study
    events: float
    n: float


def _keep_trials(counts: Sequence[_Count]) -> list[_Count]:
    """Keep of each set of patients, in primary studies, the largest count."""
    primary = [count for count in counts if count.study.design not in NOT_PRIMARY]
    counting = {count.study.id for count in primary}
    primary = [count for count in primary if not counting & set(count.study.pools)]
    trials = find_trials({count.study.id: count.study for count in primary})
    largest: dict[str, _Count] = {}
    for count in primary:
        trial = trials[count.study.id]
        if trial not in largest or count.n > largest[trial].n:
            largest[trial] = count
    return list(largest.values())


def _pool(kept: Sequence[_Count]) -> dict[str, Any]:
    """Pool counts; a single study has its own share, with Wilson's interval."""
    events, n = [count.events for count in kept], [count.n for count in kept]
    pooled = pool_shares(events, n)
    share, lower, upper = pooled[:3]
    if len(kept) == 1:
        share = events[0] / n[0]
        lower, upper = map(float, compute_wilson_interval(share, n[0]))
    return {
        "share": share,
        "lower": lower,
        "upper": upper,
        "events": round(sum(events)),
        "n": round(sum(n)),
        "source": sorted(count.study.id for count in kept),
    }


def _count_harm(study: Study, target: Target, harm: Harm) -> list[tuple[float, float]]:
    arm = study.arms.get(harm.arm)
    if arm is not None and (arm.technique != target.technique or arm.kind not in POOLED_ARMS):
        return []
    n = harm.n
    if n is None and harm.share is not None and arm is not None:
        n = arm.n_treated or arm.n_randomised or arm.n_seen
    if not n or (harm.events is None and harm.share is None):
        return []
    return [(count_events(harm, n), float(n))]


def pool_passes(own: Sequence[Study], target: Target) -> dict[str, Any]:
    """Pool the share of those entering a test or block who pass it and go on; empty if no study of the record tells."""
    counts = [
        _Count(study, count_events(result, n), n)
        for study in own
        for result in study.results
        if result.outcome == "selection" and study.arms[result.arm].technique == target.technique
        if (n := count_patients(result, study.arms[result.arm]))
    ]
    kept = _keep_trials(counts)
    return _pool(kept) if kept else {}


def list_published(own: Sequence[Study], target: Target) -> list[dict[str, Any]]:
    """List the shares that studies of a record publish, each in its own definition, reviews among them."""
    return [
        {
            "month": result.month,
            "share": share,
            "definition": result.definition,
            "outcome": result.outcome,
            "source": study.id,
            "tag": "FOUND",
            **{name: value for name, value in _describe(study, result).items() if value},
        }
        for study in own
        for result in study.results
        if performs(study.arms[result.arm], target)
        and study.arms[result.arm].kind in POOLED_ARMS
        and result.outcome in (OUTCOME, *OTHER_OUTCOMES)
        and result.month is not None
        and (share := _share_of(result)) is not None
    ]


def _share_of(result: Result) -> float | None:
    return result.events / result.n if result.events is not None and result.n else result.share


def _describe(study: Study, result: Result) -> dict[str, Any]:
    several = len({arm.what for arm in study.arms.values() if arm.technique == study.arms[result.arm].technique}) > 1
    return {
        "n": result.n,
        "ci95": result.ci95,
        "population": study.arms[result.arm].what if several else "",
        "design": study.design,
        "note": f"of those {result.denominator}",
    }
