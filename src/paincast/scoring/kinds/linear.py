"""What a linear model of a binary outcome answers, by the way of its own that it has for many rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.scoring.functions import expit
from paincast.scoring.kinds.score import Request, Score, Strongest, Uncertainty, describe_log_odds
from paincast.scoring.layout import LinearPlan
from paincast.scoring.linear import measure_distance, score_linear, unpack_far
from paincast.scoring.patients import Patients

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class LinearBinaryPlan(NamedTuple):
    """A linear model with its draws, and the variances beside theirs."""

    linear: LinearPlan
    uncertainty: Uncertainty


def score_linear_binary(plan: LinearBinaryPlan, patients: Patients, request: Request) -> Score:
    """Score patients; parameters as for :func:`paincast.scoring.kinds.binary.score_binary`."""
    with_draws = request.interval or request.most > 0
    score = score_linear(plan.linear, patients, most=request.most, with_draws=with_draws)
    if request.interval:
        variances = plan.uncertainty.divide(score.refitting, score.missing)
        numbers = describe_log_odds(score.log_odds, variances, request.level)
    else:
        numbers = {"probability": expit(score.log_odds)}
    return Score(
        numbers=numbers,
        far=unpack_far(score.far, len(plan.linear.precision)),
        squared_distance=score.squared_distance,
        strongest=Strongest(score.upward, score.upward_sizes, score.downward, score.downward_sizes),
    )


def measure_linear_binary(plan: LinearBinaryPlan, patients: Patients) -> tuple[BoolArray, FloatArray]:
    """Measure how far patients are from the training cohort; see :func:`paincast.scoring.linear.measure_distance`."""
    return measure_distance(plan.linear, patients)
