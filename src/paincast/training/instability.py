"""How far the predictions of a model would move had it been fitted to other patients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from paincast.evaluation.validation.stability import MINIMUM_REFITS, compute_instability, compute_instability_by_bin
from paincast.models.binary.response import ResponseModel
from paincast.settings import EvaluationSettings
from paincast.training_set import TrainingSet


class Instability(NamedTuple):
    """Distance between the served model and its refits.

    Parameters
    ----------
    metrics : DataFrame
        From :func:`paincast.evaluation.validation.stability.compute_instability`.
    bins : DataFrame
        From :func:`paincast.evaluation.validation.stability.compute_instability_by_bin`.
    """

    metrics: pd.DataFrame
    bins: pd.DataFrame


def measure_instability(
    response: ResponseModel, data: TrainingSet, settings: EvaluationSettings, rng: np.random.Generator
) -> Instability | None:
    """Hold the refits of a model against it, over the training episodes whose outcome is known.

    The refits are those that make the interval: to reweighted patients, with a tuning drawn from those that
    cross-validation could not tell from the best, calibrated anew on linear predictors that were cross-fitted once.
    Encoding and the list of plausible tunings are not made anew, so that instability may be understated. A model that
    stands on evidence alone has the refits of that evidence. No technique declares a threshold of decision, and none is
    asked about.

    Parameters
    ----------
    response : ResponseModel
        The served model.
    data : TrainingSet
        What it was trained on.
    settings : EvaluationSettings
        Resamples and confidence of the intervals.
    rng : numpy.random.Generator
        Source of the resamples.

    Returns
    -------
    Instability or None
        None where there are fewer than two refits.
    """
    if len(response.refits) < MINIMUM_REFITS:
        return None
    episodes = data.episodes[data.known]
    served, refits = expit(response.linear_predictor(episodes)), expit(response.refit_linear_predictors(episodes))
    patients = episodes["patient_id"].to_numpy(object)
    metrics = compute_instability(
        served, refits, patients=patients, rng=rng, resamples=settings.resamples, confidence=settings.confidence
    )
    return Instability(metrics=metrics, bins=compute_instability_by_bin(served, refits, patients=patients))
