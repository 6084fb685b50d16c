"""What conditional quantiles of the change of pain answer: median and limits in points, reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paincast.scoring.kinds.encoding import Encoded, Encoding, encode
from paincast.scoring.kinds.log_odds import Linear, add_up, contribute_each, predict_each
from paincast.scoring.kinds.score import Beliefs, Request, Score, find_strongest, score_blocks
from paincast.scoring.patients import Patients

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ChangePlan:
    """Quantiles of the change of pain as a share of the score before.

    Parameters
    ----------
    encoding : Encoding
        How patients are encoded.
    quantiles : tuple of Linear
        Lower limit, median and upper limit.
    medians : tuple of Linear
        The median, refitted.
    corrections : tuple of float
        What is taken from the lower limit and added to the upper one.
    mean_scale : float
        Mean score before the procedure.
    measure : str
        Column of the score before.
    highest : float
        Highest score.
    beliefs : Beliefs
        What makes a contribution certain enough.
    """

    encoding: Encoding
    quantiles: tuple[Linear, Linear, Linear]
    medians: tuple[Linear, ...]
    corrections: tuple[float, float]
    mean_scale: float
    measure: str
    highest: float
    beliefs: Beliefs


def score_change(plan: ChangePlan, patients: Patients, request: Request) -> Score:
    """Score patients; parameters as for :func:`paincast.scoring.kinds.binary.score_binary`.

    The level of the limits is that of the model.
    """
    scores_before = patients.numbers(plan.measure)

    def score_block(encoded: Encoded, rows: slice) -> Score:
        before = scores_before[rows]
        shares = [quantile.predict(encoded) for quantile in plan.quantiles]
        lower, median, upper = _order(plan, shares, before)
        numbers = {"expected": median}
        if request.interval:
            numbers |= {"expected_lower": lower, "expected_upper": upper}
        scale = np.nan_to_num(np.maximum(before, 1.0), nan=plan.mean_scale)
        models = (plan.quantiles[1], *plan.medians) if request.most else ()
        parts = _divide(plan, models, encoded, before, scale, shares)
        strongest = find_strongest(parts, encoded, plan.beliefs, most=request.most, sign=-1.0)
        return Score(numbers, encoded.far, encoded.squared_distance, strongest, scale)

    return score_blocks(encode(plan.encoding, patients, compiled=request.compiled), score_block)


def _order(plan: ChangePlan, shares: list[FloatArray], before: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Put the quantiles of each patient in order, in points and within the scale."""
    lower, median, upper = np.sort(np.array(shares), axis=0)
    below, above = plan.corrections
    scale = np.maximum(before, 1.0)
    points = [
        np.clip(share * scale, -before, plan.highest - before) for share in (lower - below, median, upper + above)
    ]
    return np.minimum(points[0], points[1]), points[1], np.maximum(points[2], points[1])


def _divide(
    plan: ChangePlan,
    models: tuple[Linear, ...],
    encoded: Encoded,
    before: FloatArray,
    scale: FloatArray,
    shares: list[FloatArray],
) -> Iterator[FloatArray]:
    """Divide the median by each model among variables; what is left belongs to the score before."""
    own = [variable.name == plan.measure for variable in plan.encoding.variables]
    medians = predict_each(models, encoded)
    for (base, parts), median in zip(contribute_each(models, encoded), medians, strict=True):
        in_points = parts * scale
        if any(own):
            rest = _order(plan, [shares[0], median, shares[2]], before)[1] - base * plan.mean_scale
            in_points[own.index(True)] += np.nan_to_num(rest - add_up(in_points))
        yield in_points
