"""Fit the model of the change of pain in points; evaluate its median and interval."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.disclosure.metrics import suppress_small_shares
from paincast.evaluation.assessment import compare_with_complete_cases
from paincast.evaluation.performance.change import compute_change_metrics
from paincast.models.continuous.change import cross_fit_change, fit_change_model, list_quantiles
from paincast.models.continuous.response import make_change_response
from paincast.models.observation_weights import fit_observation_weights, summarize_weights
from paincast.training.evaluation import Evaluation
from paincast.training.finish import FittedModel
from paincast.training.out_of_fold import keep_out_of_fold
from paincast.training.task import EVALUATING, FITTING, Further, Task

FloatArray = npt.NDArray[np.float64]


def fit_change(task: Task) -> FittedModel:
    """Cross-fit and fit the model of the change of pain.

    Parameters
    ----------
    task : Task
        Technique and outcome.

    Returns
    -------
    FittedModel

    Raises
    ------
    RefusalError
        If too few episodes have a known change.
    """
    data, settings = task.data, task.settings
    weight_rng, evaluation_rng, fit_rng = task.make_stream().spawn(3)
    known, level = data.known, settings.change.confidence
    weights = fit_observation_weights(data.episodes, known, settings.observation, weight_rng, contract=data.contract)
    crossed = cross_fit_change(
        data.episodes,
        data.observed,
        settings.change,
        evaluation_rng,
        folds=settings.evaluation.folds,
        weights=weights,
        progress=task.begin(EVALUATING),
        contract=data.contract,
    )
    task.begin(FITTING)
    model = fit_change_model(
        data.episodes,
        data.observed,
        settings.change,
        fit_rng,
        weights,
        refits=settings.uncertainty.refits,
        contract=data.contract,
    )
    note = (
        f"Interval of the patient's change at level {level:.0%}. Change in those followed: median "
        f"{np.median(data.observed[known]):+.1f} points; its quantiles are what the gain in pinball loss is over."
    )
    return FittedModel(
        response=make_change_response(model, data.episodes.loc[known], weights[known]),
        evaluate=partial(evaluate_change, task, crossed, weights),
        further=Further(notes=(note,)),
        stands_on={"level": level},
    )


def evaluate_change(task: Task, crossed: pd.DataFrame, weights: FloatArray) -> Evaluation:
    """Evaluate out-of-fold medians and intervals against constant quantiles.

    The constant quantiles are those of all patients followed up, including the held-out ones, which favours them.
    """
    data, settings = task.data, task.settings
    known = data.known
    observed, quantiles = data.observed[known], list_quantiles(settings.change.confidence)
    plain = dict(zip(("lower", "median", "upper"), np.quantile(observed, quantiles), strict=True))
    weighted, complete = (
        compute_change_metrics(
            observed,
            crossed.loc[known],
            data.episodes.loc[known, "patient_id"].to_numpy(object),
            reference=pd.DataFrame(plain, index=crossed.index[known]),
            level=settings.change.confidence,
            confidence=settings.evaluation.confidence,
            weights=metric_weights,
        )
        for metric_weights in (None if np.allclose(weights[known], 1.0) else weights[known], None)
    )
    if data.cohort.basis != "synthetic":
        weighted, complete = suppress_small_shares(weighted), suppress_small_shares(complete)
    return Evaluation(
        probability=None,
        metrics=weighted,
        loss=compare_with_complete_cases(weighted, complete),
        weights=summarize_weights(weights),
        tipping_point=pd.DataFrame(),
        out_of_fold=keep_out_of_fold(
            task,
            weights,
            expected=crossed["median"].to_numpy(float),
            expected_lower=crossed["lower"].to_numpy(float),
            expected_upper=crossed["upper"].to_numpy(float),
        ),
    )
