"""What a linear model of a binary outcome answers, by the way of its own that it has for many rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from paincast.scoring.kinds.score import Request, Score, Strongest, Uncertainty, describe_log_odds
from paincast.scoring.layout import LinearPlan
from paincast.scoring.linear import score_linear
from paincast.scoring.patients import Patients


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
    places = np.arange(len(plan.linear.precision), dtype=np.uint64)
    return Score(
        numbers=numbers,
        far=(score.far >> places[:, None]) & np.uint64(1) > 0,
        squared_distance=score.squared_distance,
        strongest=Strongest(score.upward, score.upward_sizes, score.downward, score.downward_sizes),
    )
