"""Withhold the reasons of a model that tells patients apart no better than the overall risk does."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from paincast.models.binary.response import ResponseModel
from paincast.models.choice import is_better_than_overall_risk
from paincast.models.survival.response import DurationResponse
from paincast.training.task import Task

FloatArray = npt.NDArray[np.float64]
Probability = TypeVar("Probability", ResponseModel, DurationResponse)
"""A response that predicts a probability."""


def withhold_reasons(
    response: Probability, task: Task, linear_predictor: FloatArray, *, required: float
) -> Probability:
    """Withhold the reasons of a model that has not shown that it tells patients apart.

    Parameters
    ----------
    response : ResponseModel or DurationResponse
        The model.
    task : Task
        The technique and outcome.
    linear_predictor : ndarray of shape (n,)
        Its out-of-fold log odds.
    required : float
        Standard errors by which they have to be better than the overall risk; below 0 they may be worse by as much.
    """
    data, known = task.data, task.data.known
    patients = data.episodes.loc[known, "patient_id"].to_numpy(object)
    if is_better_than_overall_risk(linear_predictor[known], data.observed[known], required, groups=patients):
        return response
    return replace(response, shows_reasons=False)
