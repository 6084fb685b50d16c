"""Measure how stable a model is, and whether its patients are enough for it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from paincast.evaluation.expected import anticipate_auroc
from paincast.evaluation.performance.metrics import METRIC_COLUMNS
from paincast.evaluation.validation.sample_size import assess_sample_size
from paincast.evaluation.validation.stability import (
    MINIMUM_REFITS,
    compute_effective_df,
    compute_instability,
    compute_instability_by_bin,
)
from paincast.models.binary.response import ResponseModel
from paincast.settings import EvaluationSettings
from paincast.statistics import compute_clustered_mean
from paincast.training_set import TrainingSet

EFFECTIVE_DF, WIDTH = "effective_df", "interval_width"


class Instability(NamedTuple):
    """Distance between the served model and its refits.

    Parameters
    ----------
    metrics : DataFrame
        From :func:`paincast.evaluation.validation.stability.compute_instability`, and two rows more:
        ``interval_width``, the mean width of the interval of an individual's probability, and ``effective_df``.
    bins : DataFrame
        From :func:`paincast.evaluation.validation.stability.compute_instability_by_bin`.
    """

    metrics: pd.DataFrame
    bins: pd.DataFrame


def measure_instability(
    response: ResponseModel, data: TrainingSet, settings: EvaluationSettings, rng: np.random.Generator, level: float
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
    level : float
        Level of the interval of an individual's probability.

    Returns
    -------
    Instability or None
        None if there are fewer than two refits.
    """
    if len(response.refits) < MINIMUM_REFITS:
        return None
    episodes = data.episodes[data.known]
    log_odds, refitted = response.linear_predictor(episodes), response.refit_linear_predictors(episodes)
    served, refits = expit(log_odds), expit(refitted)
    patients = episodes["patient_id"].to_numpy(object)
    metrics = compute_instability(
        served, refits, patients=patients, rng=rng, resamples=settings.resamples, confidence=settings.confidence
    )
    answers = response.answer(episodes, level)
    width = compute_clustered_mean((answers["upper"] - answers["lower"]).to_numpy(), patients, settings.confidence)
    df = compute_effective_df(log_odds, refitted)
    further = [
        (WIDTH, "overall", *width, len(episodes), f"mean of the {100 * level:g} % intervals, {len(refits)} refits"),
        (EFFECTIVE_DF, "overall", df, np.nan, np.nan, len(episodes), f"of {len(refits)} refits"),
    ]
    return Instability(
        metrics=pd.concat([metrics, pd.DataFrame(further, columns=list(METRIC_COLUMNS))], ignore_index=True),
        bins=compute_instability_by_bin(served, refits, patients=patients),
    )


def compare_sample_size(
    data: TrainingSet, n_training: int, n_events: int, instability: Instability | None
) -> pd.DataFrame:
    """Compare the patients of a model with the sizes that it needs.

    Parameters
    ----------
    data : TrainingSet
        For the anticipated AUROC of its technique.
    n_training, n_events : int
        Episodes behind the model, and those with the outcome.
    instability : Instability or None
        For the effective degrees of freedom; without them only the overall risk is assessed.

    Returns
    -------
    DataFrame
        From :func:`paincast.evaluation.validation.sample_size.assess_sample_size`.
    """
    df = None
    if instability is not None:
        df = float(instability.metrics.set_index("metric")["estimate"][EFFECTIVE_DF])
    share = min(max(n_events, 1), n_training - 1) / n_training
    return assess_sample_size(n=n_training, prevalence=share, effective_df=df, auroc=anticipate_auroc(data))
