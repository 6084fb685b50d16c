"""Find what patients of a control arm had: only where outcome, month, indication and kind of arm match."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from paincast.evidence.comparators import CONTROL_KINDS, OUTCOME_OF, Comparator, choose_comparator, is_near
from paincast.evidence.synthesis.counts import NOT_PRIMARY, Target, count_events, count_patients, find_trials, performs
from paincast.evidence.synthesis.study import Study
from paincast.statistics import pool_shares

PAIN = "pain_response"


class _Arm(NamedTuple):
    study: str
    trial: str
    month: float
    events: float
    n: float
    definition: str


def find_comparators(studies: Mapping[str, Study], target: Target) -> tuple[Comparator, ...]:
    """Find the control arms of trials of a record's technique, by the record's approach and in its indication.

    Arms of a kind are pooled at each month at which one was seen, with those of other trials at a month within half of
    it; studies that report the same patients are one trial. Results after patients had crossed over to the procedure do
    not count.

    Parameters
    ----------
    studies : mapping of str to Study
        The extraction table.
    target : Target
        The record; its months do not matter.

    Returns
    -------
    tuple of Comparator
        By outcome, kind and month.
    """
    trials = find_trials(studies)
    testing = [study for study in studies.values() if target.indication in study.indications and _tests(study, target)]
    return tuple(
        comparator
        for outcome, extracted in OUTCOME_OF.items()
        for kind in CONTROL_KINDS
        for comparator in _pool_kind(
            [arm for study in testing for arm in _read_arms(study, trials[study.id], extracted, kind)],
            outcome,
            target,
            kind,
        )
    )


def _read_arms(study: Study, trial: str, outcome: str, kind: str) -> Iterable[_Arm]:
    """Read the control arms of a study; of several counts of an arm at a month the largest."""
    largest: dict[tuple[str, float], _Arm] = {}
    for result in study.results if study.design not in NOT_PRIMARY else ():
        arm = study.arms[result.arm]
        is_control = arm.kind == kind and not (arm.regroups or arm.repeated or result.crossed_over)
        if not (is_control and result.outcome == outcome and result.month):
            continue
        n = count_patients(result, arm)
        before = largest.get((result.arm, result.month))
        if n and (before is None or n >= before.n):
            definition = f"{result.definition}; {arm.what}"
            found = _Arm(study.id, trial, result.month, count_events(result, n), n, definition)
            largest[result.arm, result.month] = found
    return largest.values()


def _tests(study: Study, target: Target) -> bool:
    return any(arm.kind == "treatment" and performs(arm, target) for arm in study.arms.values())


def _pool_kind(arms: list[_Arm], outcome: str, target: Target, kind: str) -> Iterator[Comparator]:
    for month in sorted({arm.month for arm in arms}):
        by_study = _take_nearest([arm for arm in arms if is_near(arm.month, month)], month)
        events, n = zip(*by_study.values(), strict=True)
        pooled = pool_shares(events, n)
        seen = [arm for arm in arms if arm.study in by_study and is_near(arm.month, month)]
        yield Comparator(
            outcome=outcome,
            indication=target.indication,
            kind=kind,
            month=month,
            share=pooled.share if len(n) > 1 else events[0] / n[0],
            lower=pooled.lower,
            upper=pooled.upper,
            n=round(sum(n)),
            definition=max(seen, key=lambda arm: arm.n).definition,
            source=tuple(sorted(by_study)),
        )


def _take_nearest(arms: Iterable[_Arm], month: float) -> dict[str, tuple[float, float]]:
    """Take events and patients of each trial at its visit nearest to a month, by the study that reports them."""
    ordered = sorted(arms, key=lambda arm: (abs(arm.month - month), arm.month, -arm.n, arm.study))
    nearest: dict[str, tuple[str, float]] = {}
    for arm in ordered:
        nearest.setdefault(arm.trial, (arm.study, arm.month))
    at_visit = [arm for arm in ordered if nearest[arm.trial] == (arm.study, arm.month)]
    return {
        name: (
            sum(arm.events for arm in at_visit if arm.study == name),
            sum(arm.n for arm in at_visit if arm.study == name),
        )
        for name in sorted({arm.study for arm in at_visit})
    }


def pool_untreated(studies: Mapping[str, Study], target: Target, comparators: Sequence[Comparator]) -> pd.DataFrame:
    """Pool what the simulator takes for the response without any procedure, at each month of a record.

    It is the matching comparator. Where there is none it is assumed: the pooled share of all control arms of the table,
    each at its visit nearest to the month, of any indication, with the interval of a new trial.

    Returns
    -------
    DataFrame
        ``month, share, lower, upper, support`` (``matched`` or ``assumed``).
    """
    trials = find_trials(studies)
    everywhere = [
        arm
        for study in studies.values()
        for kind in CONTROL_KINDS
        for arm in _read_arms(study, trials[study.id], OUTCOME_OF[PAIN], kind)
    ]
    rows: list[tuple[float, float, float, float, str]] = []
    for month in target.months:
        matched = choose_comparator(comparators, PAIN, month)
        if matched:
            rows.append((month, matched.share, matched.lower, matched.upper, "matched"))
            continue
        pooled = pool_shares(*zip(*_take_nearest(everywhere, month).values(), strict=True))
        rows.append((month, pooled.share, pooled.predicted_lower, pooled.predicted_upper, "assumed"))
    return pd.DataFrame(rows, columns=["month", "share", "lower", "upper", "support"])
