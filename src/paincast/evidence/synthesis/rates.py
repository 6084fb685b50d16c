"""Pool complications and who passes a test, and list the rates that studies publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paincast.evidence.synthesis.pooling import (
    NOT_PRIMARY,
    OTHER_OUTCOMES,
    OUTCOME,
    Target,
    count_patients,
    find_trials,
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
        By kind: ``share`` with the interval of the mean and ``upper_new``, the upper limit of a new study, events and
        ``n``, and ``source``.
    """
    trials = find_trials({study.id: study for study in own})
    pooled = {}
    for kind in sorted({entry["kind"] for entry in complications if not entry.get("repeats")}):
        by_trial: dict[str, tuple[float, float, str]] = {}
        for study in own:
            counts = [count for harm in study.harms if harm.kind == kind for count in _count_harm(study, target, harm)]
            if not counts or study.design in NOT_PRIMARY:
                continue
            events, n = max(counts, key=lambda count: count[1])
            if n > by_trial.get(trials[study.id], (0.0, 0.0, ""))[1]:
                by_trial[trials[study.id]] = (events, n, study.id)
        if by_trial:
            events, n, source = zip(*by_trial.values(), strict=True)
            share = pool_shares(events, n)
            lower, upper = compute_wilson_interval(events[0] / n[0], n[0]) if len(n) == 1 else share[1:3]
            pooled[kind] = {
                "share": share.share if len(n) > 1 else events[0] / n[0],
                "lower": float(lower),
                "upper": float(upper),
                "upper_new": share.predicted_upper,
                "events": round(sum(events)),
                "n": round(sum(n)),
                "source": sorted(source),
            }
    return pooled


def _count_harm(study: Study, target: Target, harm: Harm) -> list[tuple[float, float]]:
    arm = study.arms.get(harm.arm)
    if arm is not None and arm.technique != target.technique:
        return []
    n = harm.n
    if n is None and harm.share is not None and arm is not None:
        n = arm.n_treated or arm.n_randomised or arm.n_seen
    if not n or (harm.events is None and harm.share is None):
        return []
    return [(float(harm.events) if harm.events is not None else n * (harm.share or 0.0), float(n))]


def pool_passes(own: Sequence[Study], target: Target) -> dict[str, Any]:
    """Pool the share of those entering a test or block who pass it and go on; empty if no study of the record tells."""
    trials = find_trials({study.id: study for study in own})
    by_trial: dict[str, tuple[float, float, str]] = {}
    for study in own:
        for result in study.results:
            arm = study.arms[result.arm]
            n = count_patients(result, arm)
            if (
                result.outcome != "selection"
                or arm.technique != target.technique
                or not n
                or study.design in NOT_PRIMARY
            ):
                continue
            if n > by_trial.get(trials[study.id], (0.0, 0.0, ""))[1]:
                events = n * (result.share or 0.0) if result.events is None else float(result.events)
                by_trial[trials[study.id]] = (events, n, study.id)
    if not by_trial:
        return {}
    events, n, source = zip(*by_trial.values(), strict=True)
    share = pool_shares(events, n)
    return {
        **{name: getattr(share, name) for name in ("share", "lower", "upper")},
        "n": round(sum(n)),
        "source": sorted(source),
    }


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
        if study.arms[result.arm].technique == target.technique
        and not (target.approach and study.arms[result.arm].approach not in ("", target.approach))
        and study.arms[result.arm].kind in ("treatment", "other technique")
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
