"""Withhold the reasons of a model that tells patients apart no better than the overall risk does."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from paincast.models.binary.response import ResponseModel
from paincast.models.choice import is_worse_than_overall_risk
from paincast.models.survival.response import DurationResponse
from paincast.training.task import Task

FloatArray = npt.NDArray[np.float64]
Probability = TypeVar("Probability", ResponseModel, DurationResponse)
"""A response that predicts a probability."""


def withhold_reasons(response: Probability, task: Task, linear_predictor: FloatArray) -> Probability:
    """Withhold the reasons of a model whose out-of-fold predictions are clearly worse than the overall risk."""
    data, known = task.data, task.data.known
    patients = data.episodes.loc[known, "patient_id"].to_numpy(object)
    if not is_worse_than_overall_risk(linear_predictor[known], data.observed[known], groups=patients):
        return response
    if isinstance(response, DurationResponse):
        return replace(response, withholds_reasons=True)
    return replace(response, shows_reasons=False)
