"""Pool the response rates of the extraction table: the curve of each record, with what was counted at each month.

One binomial model with random effects takes all arms that received a technique. The log odds of an arm's share are a
sum of the level of the technique, of the indication and the approach within it, the course over time, what was counted
and over whom, and effects of the study and the arm. Months without a study are read off the course; a record without a
study takes what its technique and the others have, with all the spread that leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, logit
from scipy.stats import norm

from paincast.errors import DataError
from paincast.evidence.comparators import is_near
from paincast.evidence.synthesis.study import Arm, Harm, Result, Study
from paincast.statistics.multilevel import Block, MultilevelFit, fit_multilevel, predict_multilevel

FloatArray = npt.NDArray[np.float64]

OUTCOME = "pain_relief_50"
"""The outcome that curves describe."""

OTHER_OUTCOMES = ("pain_relief_30", "composite_response", "global_improvement", "pain_relief_other", "pain_free")
"""Outcomes that count too, each with a distance from :data:`OUTCOME` that is estimated."""

NOT_PRIMARY = ("systematic review", "meta-analysis", "economic evaluation", "guideline", "case report")
POOLED_ARMS = ("treatment", "other technique")
"""Kinds of arm that count where they received the technique; an anaesthetic alone by the same needle is a control."""

INTENDED = ("entering", "randomised")
"""Denominators of the ``pragmatic`` scenario: all who entered or were randomised, whoever dropped out."""

INTENDED_OFFSET = -0.3
"""Expected log odds ratio of a share over all who were randomised to one over those treated or seen: if 15 % are lost
and count as failures, a share of 50 % becomes 42.5 %. The distance is estimated from there."""

FIRST_MONTH = 0.25
"""Earlier visits are left out: they see the anaesthetic."""

CONFIDENCE = 0.95

_KNOTS = np.log2([0.5, 1.0, 3.0, 6.0, 12.0, 24.0, 60.0, 120.0])
_MIDDLE = np.log2(3.0)

SCALES: Mapping[str, tuple[float, bool]] = {
    "level": (1.5, False),
    "technique": (1.0, False),
    "indication": (0.5, True),
    "approach": (0.5, True),
    "trend": (0.3, False),
    "technique_trend": (0.2, True),
    "bend": (0.15, False),
    "technique_bend": (0.1, True),
    "intended": (0.3, False),
    "technique_intended": (0.3, True),
    "outcome": (1.0, False),
    "technique_outcome": (0.3, True),
    "study": (1.0, True),
    "study_outcome": (0.5, True),
    "arm": (0.5, True),
}
"""Spread of each kind of effect on the log odds: the standard deviation of its normal prior or, where true follows, the
scale of the half-normal prior of a standard deviation that is estimated."""

BETWEEN_STUDIES = ("study", "arm")
"""Effects that a new study has of its own: they widen its prediction interval."""


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
    return list(_keep_once(found))


def find_trials(studies: Mapping[str, Study]) -> dict[str, str]:
    """Find for each study the first, by id, of those that report the same patients, directly or by way of others."""
    names = list(studies)
    places = {name: place for place, name in enumerate(names)}
    links = [(places[name], places[other]) for name in names for other in studies[name].overlaps if other in places]
    rows, columns = np.array(links, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(links)), (rows, columns)), shape=(len(names), len(names)))
    _, group = connected_components(graph, directed=False)
    first: dict[int, str] = {}
    for name, number in sorted(zip(names, group.tolist(), strict=True)):
        first.setdefault(number, name)
    return {name: first[number] for name, number in zip(names, group.tolist(), strict=True)}


def count_patients(result: Result, arm: Arm) -> float | None:
    """Count the patients behind a share: its n, that of the arm at that step, or the n that its interval implies."""
    if result.n is not None or result.share is None:
        return result.n
    steps = {"seen": arm.n_seen, "treated": arm.n_treated, "implanted": arm.n_treated}
    known = steps.get(result.denominator, arm.n_randomised)
    if known or result.ci95 is None:
        return known
    share = float(np.clip(result.share, 0.01, 0.99))
    lower, upper = logit(np.clip(result.ci95, 0.005, 0.995))
    error = (upper - lower) / (2.0 * norm.ppf(0.975))
    return float(1.0 / (share * (1.0 - share) * error**2))


def count_events(counted: Result | Harm, n: float) -> float:
    """Count the events among n patients: as printed, or as the share implies."""
    return n * (counted.share or 0.0) if counted.events is None else float(counted.events)


def performs(arm: Arm, target: Target) -> bool:
    """Tell whether an arm received the technique of a record, by its approach if both are told."""
    return arm.technique == target.technique and (not target.approach or arm.approach in ("", target.approach))


def _keep_once(found: Sequence[Count]) -> Iterator[Count]:
    """Keep of several counts of an arm, month and outcome the largest; of the same patients those of one study."""
    largest = {
        (count.study, count.arm, count.outcome, count.month): count
        for count in sorted(found, key=lambda count: count.n)
    }
    patients: dict[tuple[str, str, str, float], dict[str, float]] = {}
    for count in largest.values():
        of_study = patients.setdefault((count.trial, count.technique, count.outcome, count.month), {})
        of_study[count.study] = of_study.get(count.study, 0.0) + count.n
    for count in sorted(largest.values(), key=lambda count: (count.study, count.arm, count.outcome, count.month)):
        of_study = patients[count.trial, count.technique, count.outcome, count.month]
        if count.study == min(of_study, key=lambda study: (-of_study[study], study)):
            yield count


class Pool(NamedTuple):
    """The fitted model, with the names of its effects and the counts it stands on."""

    fit: MultilevelFit
    names: Mapping[str, Sequence[tuple[str, ...]]]
    counts: Sequence[Count]


def fit_pool(counts: Sequence[Count]) -> Pool:
    """Fit the model of all counts.

    Raises
    ------
    DataError
        If there is no count.
    """
    if not counts:
        raise DataError("no study counts a response; there is nothing to pool", code="PC-EVIDENCE-38")
    techniques = sorted({count.technique for count in counts})
    names: dict[str, Sequence[tuple[str, ...]]] = {
        "technique": [(technique,) for technique in techniques],
        "indication": sorted({(count.technique, name) for count in counts for name in count.indications}),
        "approach": sorted({(count.technique, count.approach) for count in counts if count.approach}),
        "outcome": [(name,) for name in OTHER_OUTCOMES],
        "study": sorted({(count.trial,) for count in counts}),
        "study_outcome": sorted({(count.trial, count.outcome) for count in counts if count.outcome != OUTCOME}),
        "arm": sorted({(count.study, count.arm) for count in counts}),
    }
    designs = _design(counts, names)
    blocks = {name: Block(designs[name], *SCALES[name]) for name in SCALES}
    offset = INTENDED_OFFSET * designs["intended"][:, 0]
    fit = fit_multilevel([count.events for count in counts], [count.n for count in counts], blocks, offset=offset)
    return Pool(fit=fit, names=names, counts=counts)


def _design(counts: Sequence[Count], names: Mapping[str, Sequence[tuple[str, ...]]]) -> dict[str, FloatArray]:
    """Make the design of each kind of effect; a count of several indications takes an equal part of each."""
    technique = _flag([(count.technique,) for count in counts], names["technique"])
    outcome = _flag([(count.outcome,) for count in counts], names["outcome"])
    intended = np.array([[float(count.intended)] for count in counts])
    trend, bend = _place_in_time(np.array([count.month for count in counts]))
    indication = np.array(
        [
            [
                float(name == count.technique and value in count.indications) / max(len(count.indications), 1)
                for name, value in names["indication"]
            ]
            for count in counts
        ]
    ).reshape(len(counts), -1)
    return {
        "level": np.ones((len(counts), 1)),
        "technique": technique,
        "indication": indication,
        "approach": _flag([(count.technique, count.approach) for count in counts], names["approach"]),
        "trend": trend,
        "technique_trend": _cross(technique, trend),
        "bend": bend,
        "technique_bend": _cross(technique, bend),
        "intended": intended,
        "technique_intended": _cross(technique, intended),
        "outcome": outcome,
        "technique_outcome": _cross(technique, outcome),
        "study": _flag([(count.trial,) for count in counts], names["study"]),
        "study_outcome": _flag([(count.trial, count.outcome) for count in counts], names["study_outcome"]),
        "arm": _flag([(count.study, count.arm) for count in counts], names["arm"]),
    }


def _flag(keys: Sequence[tuple[str, ...]], names: Sequence[tuple[str, ...]]) -> FloatArray:
    return np.array([[float(key == name) for name in names] for key in keys]).reshape(len(keys), len(names))


def _cross(left: FloatArray, right: FloatArray) -> FloatArray:
    return (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)


def _place_in_time(months: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Place months on the log scale: doublings since month 3, and the part of them in each stretch between knots."""
    doublings = np.clip(np.log2(months), _KNOTS[0], _KNOTS[-1])[:, None]
    stretches = np.clip(doublings, _KNOTS[:-1], _KNOTS[1:]) - np.clip(_MIDDLE, _KNOTS[:-1], _KNOTS[1:])
    return doublings - _MIDDLE, stretches


def predict_curve(pool: Pool, target: Target, *, intended: bool = False) -> pd.DataFrame:
    """Predict the curve of a record.

    Parameters
    ----------
    pool : Pool
        From :func:`fit_pool`.
    target : Target
        The record and its months.
    intended : bool
        Whether all who were randomised or entered are the denominator (scenario ``pragmatic``).

    Returns
    -------
    DataFrame
        ``record, month``; the pooled ``share`` with its interval ``lower, upper``; ``predicted_lower,
        predicted_upper``: the interval of a new study; ``support``: ``counted`` (a study of the record counted the
        outcome at a month within half), ``other outcome`` (only in another outcome), ``interpolated`` (at other months)
        or ``carried over`` (no study of the record); ``studies`` and ``n`` patients counted at the month, and ``of``,
        their ids.
    """
    wanted = [
        Count("", "", "", target.technique, target.approach, OUTCOME, (target.indication,), month, intended, 0.0, 1.0)
        for month in target.months
    ]
    designs = _design(wanted, pool.names)
    shared = {name: design for name, design in designs.items() if name not in ("study", "study_outcome", "arm")}
    mean, covariance = predict_multilevel(pool.fit, shared)
    mean = mean + INTENDED_OFFSET * float(intended)
    variance = np.diag(covariance)
    spread = norm.ppf(0.5 + CONFIDENCE / 2.0) * np.sqrt(variance)
    between = sum(pool.fit.sds[name] ** 2 for name in BETWEEN_STUDIES)
    predicted = norm.ppf(0.5 + CONFIDENCE / 2.0) * np.sqrt(variance + between)
    return pd.DataFrame(
        {
            "record": target.record,
            "month": target.months,
            "share": expit(mean),
            "lower": expit(mean - spread),
            "upper": expit(mean + spread),
            "predicted_lower": expit(mean - predicted),
            "predicted_upper": expit(mean + predicted),
            **_describe_support(pool.counts, target),
        }
    )


def _describe_support(counts: Iterable[Count], target: Target) -> dict[str, list[object]]:
    own = [count for count in counts if _is_of(count, target)]
    support: dict[str, list[object]] = {"support": [], "studies": [], "n": [], "of": []}
    for month in target.months:
        near = [count for count in own if is_near(count.month, month)]
        counted = [count for count in near if count.outcome == OUTCOME]
        kinds = ("counted" * bool(counted), "other outcome" * bool(near), "interpolated" * bool(own), "carried over")
        patients = {(count.study, count.arm): count.n for count in counted or near}
        studies = sorted({study for study, _ in patients})
        support["support"].append(next(filter(None, kinds)))
        support["studies"].append(len(studies))
        support["n"].append(round(sum(patients.values())))
        support["of"].append(", ".join(studies))
    return support


def _is_of(count: Count, target: Target) -> bool:
    return (
        count.technique == target.technique
        and target.indication in count.indications
        and (not target.approach or count.approach == target.approach)
    )
