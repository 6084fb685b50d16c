"""Pool complications and who passes a test, list the rates that studies publish, and compare arms of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from paincast.evidence.synthesis.counts import (
    NOT_PRIMARY,
    OTHER_OUTCOMES,
    OUTCOME,
    POOLED_ARMS,
    Target,
    count_at_step,
    count_events,
    count_patients,
    find_trials,
    performs,
)
from paincast.evidence.synthesis.study import Arm, Harm, Result, Study
from paincast.statistics import compute_newcombe_interval, compute_wilson_interval, pool_shares

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


def compare_arms(studies: Mapping[str, Study], declared: Sequence[Figures]) -> list[dict[str, Any]]:
    """Compare the two arms of each study that ``comparisons.yaml`` declares, by outcome and month.

    Results at or before the procedure, of patients some of whom had changed arms, and of a single arm are left out.

    Returns
    -------
    list of dict
        As the fields of :class:`paincast.evidence.context.Comparison`, with ``arms``. Differences are the first less
        the second: of shares with Newcombe's interval, of means with the normal one where both standard deviations are
        told.
    """
    return [_compare(studies[entry["source"]], *entry["arms"]) for entry in declared]


def _compare(study: Study, first: str, second: str) -> dict[str, Any]:
    own, other = study.arms[first], study.arms[second]
    results = [_by_question(study, name) for name in (first, second)]
    shared = [question for question in results[0] if question in results[1]]
    return {
        "source": study.id,
        "arms": [first, second],
        "design": study.design,
        **{side: _describe_arm(arm) for side, arm in (("first", own), ("second", other))},
        "outcomes": [_subtract(results[0][question], own, results[1][question], other) for question in shared],
    }


def _describe_arm(arm: Arm) -> dict[str, str]:
    told = {"what": arm.what, "technique": arm.technique, "approach": arm.approach}
    return {name: value for name, value in told.items() if value}


def _by_question(study: Study, arm: str) -> dict[tuple[Any, ...], Result]:
    """Key the results of an arm by outcome, month, measure and definition, without what is said after a semicolon."""
    return {
        (result.outcome, result.month, result.mean is None, result.definition.partition(";")[0]): result
        for result in study.results
        if result.arm == arm and not result.crossed_over and (result.month is None or result.month > 0)
    }


def _subtract(first: Result, arm: Arm, second: Result, other: Arm) -> dict[str, Any]:
    n, other_n = (count_patients(*pair) or count_at_step(*pair) for pair in ((first, arm), (second, other)))
    if first.mean is None or second.mean is None:
        measure, figures = "share", [_share_of(first) or 0.0, _share_of(second) or 0.0]
        ends = compute_newcombe_interval(figures[0], n, figures[1], other_n) if n and other_n else None
    else:
        measure, figures, ends = "mean", [first.mean, second.mean], None
        if n and other_n and first.sd is not None and second.sd is not None:
            half = 1.96 * (first.sd**2 / n + second.sd**2 / other_n) ** 0.5
            ends = (first.mean - second.mean - half, first.mean - second.mean + half)
    told = {"month": first.month, "first_n": n and round(n), "second_n": other_n and round(other_n)}
    return {
        **{"outcome": first.outcome, "definition": first.definition.partition(";")[0], "measure": measure},
        **{"first": figures[0], "second": figures[1], "difference": figures[0] - figures[1]},
        **(dict(zip(("lower", "upper"), ends, strict=True)) if ends else {}),
        **{name: value for name, value in told.items() if value is not None},
    }
