"""What a model of the duration of relief answers: probability beyond the horizon, limits, median, reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit, logit, ndtri

from paincast.scoring.kinds.encoding import Encoded, Encoding, encode
from paincast.scoring.kinds.log_odds import Linear
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

NODES = 24
"""Points of the Gauss-Legendre rule along the path from the mean patient."""

LARGEST = 200.0
"""Log odds beyond which a hazard is 1 in any arithmetic."""


class Hazard(NamedTuple):
    """Log odds of losing relief at each visit: intercepts, effects at every visit, and what is added at the first.

    ``first`` is None where effects are the same at all visits.
    """

    intercepts: FloatArray
    every: Linear
    first: Linear | None

    def predict(self, encoded: Encoded) -> FloatArray:
        """Return the log odds at each visit, shape (n_visits, n)."""
        log_odds = self.intercepts[:, None] + self.every.predict(encoded)
        if self.first is not None:
            log_odds[0] += self.first.predict(encoded)
        return np.asarray(log_odds)


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
        lasting = _survive(plan.served, encoded)
        over = lasting <= 0.5
        median = np.where(over.any(axis=0), plan.cuts[over.argmax(axis=0)], np.nan)
        numbers = {"probability": _read(plan, lasting), "expected": median}
        if request.interval:
            numbers = {**_describe(plan, encoded, numbers["probability"], request.level), "expected": median}
        hazards = (plan.served, *plan.draws)
        parts = _divide(plan, hazards if request.most else (), encoded)
        served = next(parts, np.zeros(encoded.known.shape))
        strongest = find_strongest(served, parts, encoded.known, plan.beliefs, most=request.most)
        return Score(numbers, encoded.far, encoded.squared_distance, strongest)

    return score_blocks(encode(plan.encoding, patients), score_block)


def _survive(hazard: Hazard, encoded: Encoded) -> FloatArray:
    """Return the probability of no loss by the end of each visit, shape (n_visits, n)."""
    return np.asarray(np.exp(np.cumsum(log_expit(-hazard.predict(encoded)), axis=0)))


def _read(plan: DurationPlan, lasting: FloatArray) -> FloatArray:
    return lasting[plan.n_visits - 1] if plan.is_modelled else np.full(lasting.shape[1], np.nan)


def _describe(plan: DurationPlan, encoded: Encoded, probability: FloatArray, level: float) -> dict[str, FloatArray]:
    served = _take_log_odds(plan, probability)
    drawn = (_take_log_odds(plan, _read(plan, _survive(draw, encoded))) for draw in plan.draws)
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
    nodes, shares = np.polynomial.legendre.leggauss(NODES)
    for hazard in hazards:
        _, parts = hazard.every.contribute(encoded)
        step = _add_up(parts)
        first_parts = None if hazard.first is None else hazard.first.contribute(encoded)[1]
        first_step = step if first_parts is None else step + _add_up(first_parts)
        start = hazard.intercepts[: plan.n_visits] + hazard.every.means @ hazard.every.coefficients
        if hazard.first is not None:
            start[0] += hazard.first.means @ hazard.first.coefficients
        every, first = np.zeros(len(encoded)), np.zeros(len(encoded))
        for node, share in zip(((nodes + 1.0) / 2.0).tolist(), (shares / 2.0).tolist(), strict=True):
            slope, first_slope = _slope(start, node * first_step, node * step)
            every += share * slope
            first += share * first_slope
        divided = parts * every
        yield divided if first_parts is None else divided + first_parts * first


def _add_up(parts: FloatArray) -> FloatArray:
    total = np.zeros(parts.shape[1])
    for part in parts:
        total += part
    return total


def _slope(start: FloatArray, first_step: FloatArray, step: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute the derivative of the log odds of lasting with respect to a shift at every visit, and at the first.

    With the odds o of loss at each visit, the odds of any loss are (1 + o)(1 + o')... - 1, added up without this 1 so
    that small odds keep their digits.
    """
    others = np.exp(np.minimum(step, LARGEST))
    first_odds = np.exp(np.clip(start[0] + first_step, -LARGEST, LARGEST))
    lost = first_odds
    first_hazard = first_odds / (1.0 + first_odds)
    hazards = first_hazard
    for intercept in np.exp(np.clip(start[1:], -LARGEST, LARGEST)).tolist():
        odds = np.minimum(intercept * others, 1e40)
        lost = lost + odds + lost * odds
        hazards = hazards + odds / (1.0 + odds)
    ended = lost / (1.0 + lost)
    return -hazards / ended, -first_hazard / ended
