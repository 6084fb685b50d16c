"""What a model of the duration of relief answers: probability beyond the horizon, limits, median, reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.scoring.functions import expit, logit, ndtri
from paincast.scoring.kinds.encoding import Encoded, Encoding, encode
from paincast.scoring.kinds.log_odds import Linear, add_up, contribute_each, predict_each
from paincast.scoring.kinds.score import (
    Beliefs,
    Request,
    Score,
    Uncertainty,
    average_squares,
    describe_log_odds,
    find_strongest,
    score_blocks,
)
from paincast.scoring.patients import Patients

FloatArray = npt.NDArray[np.float64]

_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(24)
NODES, SHARES = (_POINTS + 1.0) / 2.0, _WEIGHTS / 2.0
"""Points of the Gauss-Legendre rule along the path from the mean patient, and their weights."""

FARTHEST = 200.0
"""Farthest log odds from 0 whose odds are computed."""

LARGEST_ODDS = 1e40
"""Largest odds: a hazard is then 1 in any arithmetic, and products over visits stay finite."""


class Hazard(NamedTuple):
    """Log odds of losing relief at each visit: intercepts, effects at every visit, and what is added at the first.

    ``first`` is None where effects are the same at all visits.
    """

    intercepts: FloatArray
    every: Linear
    first: Linear | None


@dataclass(frozen=True, kw_only=True, eq=False)
class DurationPlan:
    """A model of the duration of relief and its draws.

    Parameters
    ----------
    encoding : Encoding
        How patients are encoded.
    served : Hazard
        The model.
    draws : tuple of Hazard
        Its draws or refits.
    cuts : ndarray of shape (n_visits,)
        Months of the visits.
    n_visits : int
        Number of visits up to the horizon.
    is_modelled : bool
        Whether the horizon is within the modelled visits.
    uncertainty : Uncertainty or None
        Variances beside those of the draws; None without a prior.
    beliefs : Beliefs
        What makes a contribution certain enough.
    smallest : float
        Minimum distance of a probability from 0 and 1 before the log odds of draws are taken.
    """

    encoding: Encoding
    served: Hazard
    draws: tuple[Hazard, ...]
    cuts: FloatArray
    n_visits: int
    is_modelled: bool
    uncertainty: Uncertainty | None
    beliefs: Beliefs
    smallest: float


def score_duration(plan: DurationPlan, patients: Patients, request: Request) -> Score:
    """Score patients; parameters as for :func:`paincast.scoring.kinds.binary.score_binary`."""

    def score_block(encoded: Encoded, rows: slice) -> Score:  # noqa: ARG001 (other kinds need the rows)
        lasting = next(_survive((plan.served,), encoded))
        over = lasting <= 0.5
        median = np.where(over.any(axis=0), plan.cuts[over.argmax(axis=0)], np.nan)
        numbers = {"probability": _read(plan, lasting), "expected": median}
        if request.interval:
            numbers = {**_describe(plan, encoded, numbers["probability"], request.level), "expected": median}
        hazards = (plan.served, *plan.draws)
        parts = _divide(plan, hazards if request.most else (), encoded)
        strongest = find_strongest(parts, encoded, plan.beliefs, most=request.most)
        return Score(numbers, encoded.far, encoded.squared_distance, strongest)

    return score_blocks(encode(plan.encoding, patients, compiled=request.compiled), score_block)


def _survive(hazards: Sequence[Hazard], encoded: Encoded) -> Iterator[FloatArray]:
    """Yield by each model the probability of no loss by the end of each visit, shape (n_visits, n)."""
    every = predict_each([hazard.every for hazard in hazards], encoded)
    added = predict_each([hazard.first for hazard in hazards if hazard.first is not None], encoded)
    for hazard, log_odds in zip(hazards, every, strict=True):
        first, *factors = _take_odds(hazard.intercepts).tolist()
        product = 1.0 + _limit(first * _take_odds(log_odds if hazard.first is None else log_odds + next(added)))
        lasting = [1.0 / product]
        others = _take_odds(log_odds) if factors else log_odds
        for factor in factors:
            product = product * (1.0 + _limit(factor * others))
            lasting.append(1.0 / product)
        yield np.array(lasting)


def _limit(odds: FloatArray) -> FloatArray:
    return np.asarray(np.minimum(odds, LARGEST_ODDS))


def _take_odds(log_odds: FloatArray) -> FloatArray:
    return np.asarray(np.exp(np.minimum(np.maximum(log_odds, -FARTHEST), FARTHEST)))


def _read(plan: DurationPlan, lasting: FloatArray) -> FloatArray:
    return lasting[plan.n_visits - 1] if plan.is_modelled else np.full(lasting.shape[1], np.nan)


def _describe(plan: DurationPlan, encoded: Encoded, probability: FloatArray, level: float) -> dict[str, FloatArray]:
    served = _take_log_odds(plan, probability)
    drawn = (_take_log_odds(plan, _read(plan, lasting)) for lasting in _survive(plan.draws, encoded))
    refitting = average_squares(served, drawn)
    if plan.uncertainty is None:
        reach = ndtri((1 + level) / 2) * np.sqrt(refitting)
        return {"probability": probability, "lower": expit(served - reach), "upper": expit(served + reach)}
    variances = plan.uncertainty.divide(refitting, encoded.missing)
    with np.errstate(divide="ignore"):
        log_odds = logit(probability)
    return {**describe_log_odds(log_odds, variances, level), "probability": probability}


def _take_log_odds(plan: DurationPlan, probability: FloatArray) -> FloatArray:
    return np.asarray(logit(np.clip(probability, plan.smallest, 1.0 - plan.smallest)))


def _divide(plan: DurationPlan, hazards: tuple[Hazard, ...], encoded: Encoded) -> Iterator[FloatArray]:
    """Divide the log odds of lasting relief by each model among variables: Aumann-Shapley values."""
    every_parts = contribute_each([hazard.every for hazard in hazards], encoded)
    added_parts = contribute_each([hazard.first for hazard in hazards if hazard.first is not None], encoded)
    for hazard, (_, parts) in zip(hazards, every_parts, strict=True):
        step = add_up(parts)
        first_parts = None if hazard.first is None else next(added_parts)[1]
        first_step = step if first_parts is None else step + add_up(first_parts)
        start = hazard.intercepts[: plan.n_visits] + hazard.every.means @ hazard.every.coefficients
        if hazard.first is not None:
            start[0] += hazard.first.means @ hazard.first.coefficients
        every, first = _average_slopes(start, step, first_step, compiled=encoded.compiled)
        divided = parts * every
        yield divided if first_parts is None else divided + first_parts * first


def _average_slopes(
    start: FloatArray, step: FloatArray, first_step: FloatArray, *, compiled: bool
) -> tuple[FloatArray, FloatArray]:
    """Average the derivative of the log odds of lasting, along the way, with respect to every visit and to the first.

    ``start`` has the log odds of loss at each visit of the mean patient; ``step``, shape (n,), is what is added to them
    on the way, and ``first_step`` what is added at the first visit.
    """
    average = _average
    if compiled:
        from paincast.scoring.kinds.compiled import average_slopes as average
    first_factor, factors = float(_take_odds(start[0])), _take_odds(start[1:])
    step, first_step = (np.minimum(np.maximum(way, -FARTHEST), FARTHEST) for way in (step, first_step))
    others = np.exp(NODES[:, None] * step)
    differs = not np.array_equal(step, first_step)
    odds = first_factor * (np.exp(NODES[:, None] * first_step) if differs else others)
    totals = np.zeros((2, len(step)))
    average(SHARES, odds, others, factors, LARGEST_ODDS, totals)
    return -totals[0], -totals[1]


def _average(
    shares: FloatArray, odds: FloatArray, others: FloatArray, factors: FloatArray, most: float, totals: FloatArray
) -> None:
    """Average the slopes over the nodes: ``odds`` of loss at the first visit, ``others`` times ``factors`` at the rest.

    With the odds o of loss at each visit, the odds of any loss are L = (1 + o)(1 + o')... - 1. A shift of the log odds
    at every visit, or at the first, changes L; the change over L is the slope, its sign turned. All of it is computed
    visit by visit from sums and products of what is positive, so that small odds keep their digits.
    """
    lost = np.minimum(odds, most)
    every, first = lost, lost
    for factor in factors.tolist():
        odd = np.minimum(factor * others, most)
        rest = 1.0 + odd
        every = every * rest + (1.0 + lost) * odd
        first = first * rest
        lost = lost * rest + odd
    totals[0] = add_up(shares[:, None] * (every / lost))
    totals[1] = add_up(shares[:, None] * (first / lost))
