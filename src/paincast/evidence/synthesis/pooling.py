"""Pool the response rates of the extraction table: the curve of each record, with what was counted at each month.

One binomial model with random effects takes all arms that received a technique. The log odds of an arm's share are a
sum of the level of the technique, of the indication and the approach within it, the course over time, what was counted
and over whom, and effects of the study and the arm. Months without a study are read off the course; a record without a
study takes what its technique and the others have, with all the spread that leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from paincast.errors import DataError
from paincast.evidence.comparators import AT, is_near
from paincast.evidence.synthesis.counts import OTHER_OUTCOMES, OUTCOME, Count, Target
from paincast.statistics.multilevel import Block, MultilevelFit, fit_multilevel, predict_multilevel

FloatArray = npt.NDArray[np.float64]

INTENDED_OFFSET = -0.3
"""Expected log odds ratio of a share over all who were randomised to one over those treated or seen: if 15 % are lost
and count as failures, a share of 50 % becomes 42.5 %. The distance is estimated from there."""

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
        "arm": sorted({(count.trial, count.arm) for count in counts}),
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
        "arm": _flag([(count.trial, count.arm) for count in counts], names["arm"]),
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
        outcome at a month within a quarter), ``near month`` (within half), ``other outcome`` (only in another outcome),
        ``interpolated`` (at other months) or ``carried over`` (no study of the record); ``studies`` and ``n`` patients
        counted at the month, each once, and ``of``, the ids.
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
        half = [count for count in near if count.outcome == OUTCOME]
        at = [count for count in half if is_near(count.month, month, within=AT)]
        kinds = (
            "counted" * bool(at),
            "near month" * bool(half),
            "other outcome" * bool(near),
            "interpolated" * bool(own),
        )
        shown = at or half or near
        support["support"].append(next(filter(None, kinds), "carried over"))
        support["studies"].append(len({count.study for count in shown}))
        support["n"].append(round(sum(_count_trials(shown).values())))
        support["of"].append(", ".join(sorted({count.study for count in shown})))
    return support


def _count_trials(counts: Iterable[Count]) -> dict[str, float]:
    """Count the patients of each trial: those of its largest report of an outcome at a month."""
    reports: dict[tuple[str, str, str, float], float] = {}
    for count in counts:
        key = (count.trial, count.study, count.outcome, count.month)
        reports[key] = reports.get(key, 0.0) + count.n
    largest: dict[str, float] = {}
    for (trial, *_), n in reports.items():
        largest[trial] = max(largest.get(trial, 0.0), n)
    return largest


def _is_of(count: Count, target: Target) -> bool:
    return (
        count.technique == target.technique
        and target.indication in count.indications
        and (not target.approach or count.approach == target.approach)
    )
