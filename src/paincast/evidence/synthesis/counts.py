"""List the counts of response of the extraction table: primary studies, each patient once at a month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import logit
from scipy.stats import norm

from paincast.evidence.comparators import AT, is_near
from paincast.evidence.synthesis.study import Arm, Harm, Result, Study

OUTCOME = "pain_relief_50"
"""The outcome that curves describe."""

OTHER_OUTCOMES = (
    "pain_relief_30",
    "composite_response",
    "global_improvement",
    "pain_relief_other",
    "near_complete_relief",
)
"""Outcomes that count too, each with a distance from :data:`OUTCOME` that is estimated."""

NOT_PRIMARY = ("systematic review", "meta-analysis", "economic evaluation", "guideline", "case report")
POOLED_ARMS = ("treatment", "other technique")
"""Kinds of arm that count where they received the technique; an anaesthetic alone by the same needle is a control."""

INTENDED = ("entering", "randomised")
"""Denominators of the ``pragmatic`` scenario: all who entered or were randomised, whoever dropped out."""

FIRST_MONTH = 0.25
"""Earlier visits are left out: they see the anaesthetic."""


class Target(NamedTuple):
    """A record whose curve is wanted."""

    record: str
    technique: str
    indication: str
    approach: str
    months: tuple[float, ...]


class Count(NamedTuple):
    """A count of the extraction table.

    Parameters
    ----------
    study, trial, arm : str
        Its study, the first of the studies that report the same patients, and its arm.
    technique, approach, outcome : str
        What was done and counted.
    indications : tuple of str
        Indications of the patients.
    month : float
        When.
    intended : bool
        Whether it is a share of all who entered or were randomised.
    events, n : float
        Patients with the outcome, and patients.
    """

    study: str
    trial: str
    arm: str
    technique: str
    approach: str
    outcome: str
    indications: tuple[str, ...]
    month: float
    intended: bool
    events: float
    n: float


def list_counts(studies: Mapping[str, Study]) -> list[Count]:
    """List the counts of response after a technique: primary studies, each patient once at a month.

    Where studies report the same patients at the same month in the same outcome, those of the study with most patients
    count.

    Parameters
    ----------
    studies : mapping of str to Study
        The extraction table.

    Returns
    -------
    list of Count
    """
    trials = find_trials(studies)
    found = [
        Count(
            study=study.id,
            trial=trials[study.id],
            arm=result.arm,
            technique=arm.technique,
            approach=arm.approach,
            outcome=result.outcome,
            indications=study.indications,
            month=float(result.month or 0.0),
            intended=result.denominator in INTENDED,
            events=count_events(result, n),
            n=n,
        )
        for study in studies.values()
        if study.design not in NOT_PRIMARY
        for result in study.results
        if (arm := study.arms[result.arm]).technique
        and arm.kind in POOLED_ARMS
        and not (arm.regroups or arm.repeated)
        and result.outcome in (OUTCOME, *OTHER_OUTCOMES)
        and (result.month or 0.0) >= FIRST_MONTH
        and (n := count_patients(result, arm))
    ]
    return _keep_once(found, studies)


def find_trials(studies: Mapping[str, Study]) -> dict[str, str]:
    """Find for each study the first, by id, of those that report the same patients, directly or by way of others.

    Reviews and reports that pool several trials (``pools``) do not make one of them.
    """
    names = list(studies)
    places = {name: place for place, name in enumerate(names)}
    links = [
        (places[name], places[other])
        for name in names
        for other in studies[name].overlaps
        if other in places
        and not _gathers(studies[name], studies[other])
        and not _gathers(studies[other], studies[name])
    ]
    rows, columns = np.array(links, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(links)), (rows, columns)), shape=(len(names), len(names)))
    _, group = connected_components(graph, directed=False)
    first: dict[int, str] = {}
    for name, number in sorted(zip(names, group.tolist(), strict=True)):
        first.setdefault(number, name)
    return {name: first[number] for name, number in zip(names, group.tolist(), strict=True)}


def _gathers(study: Study, other: Study) -> bool:
    """Tell whether a study gathers the patients of another beside those of others."""
    return other.id in study.pools or study.design in NOT_PRIMARY


def count_patients(result: Result, arm: Arm) -> float | None:
    """Count the patients behind a share: its n, that of the arm at that step, or the n that its interval implies."""
    if result.n is not None or result.share is None:
        return result.n
    known = count_at_step(result, arm)
    if known or result.ci95 is None:
        return known
    share = float(np.clip(result.share, 0.01, 0.99))
    lower, upper = logit(np.clip(result.ci95, 0.005, 0.995))
    error = (upper - lower) / (2.0 * norm.ppf(0.975))
    return float(1.0 / (share * (1.0 - share) * error**2))


def count_at_step(result: Result, arm: Arm) -> int | None:
    """Count the patients of an arm at the step over which a result is counted; None where the study does not tell."""
    steps = {"seen": arm.n_seen, "treated": arm.n_treated, "implanted": arm.n_treated}
    return steps.get(result.denominator, arm.n_randomised)


def count_events(counted: Result | Harm, n: float) -> float:
    """Count the events among n patients: as printed, or as the share implies."""
    return n * (counted.share or 0.0) if counted.events is None else float(counted.events)


def performs(arm: Arm, target: Target) -> bool:
    """Tell whether an arm received the technique of a record, by its approach if both are told."""
    return arm.technique == target.technique and (not target.approach or arm.approach in ("", target.approach))


def _keep_once(found: Sequence[Count], studies: Mapping[str, Study]) -> list[Count]:
    """Keep of several counts of an arm, month and outcome the largest; of the same patients those of one study.

    Two studies of a trial count the same patients if they count the same outcome at nearly the same month: the one with
    more patients is kept. A report that pools several trials counts only where none of them does.
    """
    largest = {
        (count.study, count.arm, count.outcome, count.month): count
        for count in sorted(found, key=lambda count: (count.n, count.events))
    }
    once = list(largest.values())
    counting = {count.study for count in once}
    apart = [count for count in once if not counting & set(studies[count.study].pools)]
    patients: dict[tuple[str, str, str, str], dict[float, float]] = {}
    for count in apart:
        of_study = patients.setdefault((count.trial, count.technique, count.outcome, count.study), {})
        of_study[count.month] = of_study.get(count.month, 0.0) + count.n

    def is_told_better(count: Count) -> bool:
        own = (-patients[count.trial, count.technique, count.outcome, count.study][count.month], count.study)
        return any(
            is_near(month, count.month, within=AT) and (-n, study) < own
            for (trial, technique, outcome, study), months in patients.items()
            if (trial, technique, outcome) == (count.trial, count.technique, count.outcome) and study != count.study
            for month, n in months.items()
        )

    kept = [count for count in apart if not is_told_better(count)]
    return sorted(kept, key=lambda count: (count.study, count.arm, count.outcome, count.month))
