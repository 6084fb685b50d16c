"""Measure how much the predictions of a model vary between refits to resampled patients."""

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
    """Compare a model with its refits, over the training episodes whose outcome is known.

    The refits are those that give the prediction interval: each is fitted to reweighted patients, with a tuning drawn
    from those that cross-validation could not distinguish from the best, and recalibrated on linear predictors that
    were cross-fitted once. Encoding and the list of plausible tunings are kept, so instability may be understated. A
    model based on evidence alone uses the refits of that evidence. No technique has a decision threshold, so none is
    assessed.

    Parameters
    ----------
    response : ResponseModel
        The served model.
    data : TrainingSet
        The training set.
    settings : EvaluationSettings
        Resamples and confidence of the intervals.
    rng : numpy.random.Generator
        Source of the resamples.

    Returns
    -------
    Instability or None
        None if there are fewer than two refits.
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
