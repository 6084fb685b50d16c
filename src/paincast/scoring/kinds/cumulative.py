"""What a change of pain that follows from a model of half relief answers: median, limits, reasons in points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paincast.scoring.kinds.binary import BinaryPlan, compute_variances
from paincast.scoring.kinds.encoding import Encoded, encode
from paincast.scoring.kinds.log_odds import LogOdds, add_up, contribute_each
from paincast.scoring.kinds.score import (
    Request,
    Score,
    add_up_variances,
    find_strongest,
    score_blocks,
    share_variances,
)
from paincast.scoring.patients import Patients

FloatArray = npt.NDArray[np.float64]

SETTLED = 1e-9
"""Smallest distance of log odds for which the change is divided among variables."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CumulativePlan:
    """A change of pain that follows from a model of half relief.

    Parameters
    ----------
    half : BinaryPlan
        The model of half relief.
    shares : ndarray of shape (n_shares,)
        Shares of relief, ascending.
    margins : ndarray of shape (n_shares,)
        Log odds of half relief at which each share is the median.
    quantiles : tuple of float
        Log odds of the lower and of the upper quantile of the interval.
    mean_scale : float
        Mean score before the procedure.
    measure : str
        Column of the score before.
    highest : float
        Highest score.
    """

    half: BinaryPlan
    shares: FloatArray
    margins: FloatArray
    quantiles: tuple[float, float]
    mean_scale: float
    measure: str
    highest: float


def score_cumulative(plan: CumulativePlan, patients: Patients, request: Request) -> Score:
    """Score patients; parameters as for :func:`paincast.scoring.kinds.binary.score_binary`."""
    scores_before = patients.numbers(plan.measure)

    def score_block(encoded: Encoded, rows: slice) -> Score:
        before = scores_before[rows]
        log_odds = plan.half.served.predict(encoded)
        numbers = {"expected": _change(plan, log_odds, before)}
        if request.interval:
            variances = compute_variances(plan.half, encoded, log_odds)
            widened = np.sqrt(1.0 + np.pi * add_up_variances(variances) / 8.0)
            below, above = (quantile * widened for quantile in plan.quantiles)
            numbers |= {
                "expected_lower": _change(plan, log_odds + above, before),
                "expected_upper": _change(plan, log_odds + below, before),
                **share_variances(variances),
            }
        scale = np.nan_to_num(np.maximum(before, 1.0), nan=plan.mean_scale)
        models = (plan.half.served, *plan.half.draws)
        parts = _divide(plan, models if request.most else (), encoded, before, scale)
        strongest = find_strongest(parts, encoded, plan.half.beliefs, most=request.most, sign=-1.0)
        return Score(numbers, encoded.far, encoded.squared_distance, strongest, scale)

    return score_blocks(encode(plan.half.encoding, patients, compiled=request.compiled), score_block)


def _relieve(plan: CumulativePlan, log_odds: FloatArray) -> FloatArray:
    return np.asarray(np.interp(log_odds, plan.margins, plan.shares))


def _change(plan: CumulativePlan, log_odds: FloatArray, before: FloatArray) -> FloatArray:
    return np.asarray(np.clip(-_relieve(plan, log_odds) * before, -before, plan.highest - before))


def _divide(
    plan: CumulativePlan, models: tuple[LogOdds, ...], encoded: Encoded, before: FloatArray, scale: FloatArray
) -> Iterator[FloatArray]:
    """Divide the median by each model among variables, in points; what is left belongs to the score before."""
    own = [variable.name == plan.measure for variable in plan.half.encoding.variables]
    for base, parts in contribute_each(models, encoded):
        served = base + add_up(parts)
        start = _relieve(plan, base)
        gained = _relieve(plan, served) - start
        away = served - base
        rate = np.divide(gained, away, out=np.zeros(len(base)), where=np.abs(away) > SETTLED)
        in_points = -parts * (rate * scale)
        if any(own):
            rest = _change(plan, served, before) + start * plan.mean_scale - add_up(in_points)
            in_points[own.index(True)] += np.nan_to_num(rest)
        yield in_points
