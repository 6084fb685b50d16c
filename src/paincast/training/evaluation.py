"""Evaluate one model: metrics of its out-of-fold predictions, and their sensitivity to loss to follow-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from paincast.evaluation.assessment import (
    Assessment,
    assess_predictions,
    compare_with_complete_cases,
    measure_with_weights,
)
from paincast.evaluation.performance.discrimination import compute_auroc_within_folds
from paincast.evaluation.simulated.truth import check_against_truth, match_truth, refuse_leak
from paincast.evaluation.validation.delta_adjusted import compute_tipping_point
from paincast.evaluation.validation.overall_risk import compute_log_loss_gain
from paincast.models.observation_weights import fit_observation_weights, summarize_weights
from paincast.outcomes import name_in_truth
from paincast.splits import CrossFitted
from paincast.training.out_of_fold import keep_out_of_fold
from paincast.training.task import Task
from paincast.training_set import TrainingSet

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Results of the out-of-fold evaluation; see :class:`paincast.training.task.TrainedModel` for the fields."""

    probability: FloatArray | None
    metrics: pd.DataFrame
    loss: pd.DataFrame
    weights: pd.DataFrame
    tipping_point: pd.DataFrame
    assessment: Assessment | None = None
    out_of_fold: pd.DataFrame | None = None


def evaluate_linear_predictor(
    task: Task, linear_predictor: FloatArray, rng: np.random.Generator, *, crossed: CrossFitted | None = None
) -> Evaluation:
    """Evaluate the out-of-fold log odds of all eligible episodes, including those lost to follow-up.

    Parameters
    ----------
    task : Task
        Technique and outcome.
    linear_predictor : ndarray of shape (n,)
        Log odds out of fold.
    rng : numpy.random.Generator
        Source of the resamples.
    crossed : CrossFitted, optional
        The same by repeat and with the folds, for the AUROC within folds.
    """
    data, settings = task.data, task.settings
    weight_rng, metric_rng, assessment_rng = rng.spawn(3)
    weights = fit_observation_weights(
        data.episodes, data.known, settings.observation, weight_rng, contract=data.contract
    )
    probability = expit(linear_predictor)
    weighted, complete = measure_with_weights(data, probability, weights, settings.evaluation, metric_rng)
    scenario = data.cohort.details.get("scenario", settings.cohort.scenario)
    assessed = assess_predictions(
        data, probability, weights, settings.evaluation, assessment_rng, scenario=str(scenario)
    )
    further = [
        _measure_without_resampling(task, probability, weights, crossed),
        assessed.metrics,
        _compare_with_truth(task, probability),
    ]
    return Evaluation(
        probability=probability,
        metrics=pd.concat([weighted, *further], ignore_index=True),
        loss=compare_with_complete_cases(weighted, complete),
        weights=summarize_weights(weights),
        tipping_point=compute_tipping_point(
            data.observed,
            linear_predictor,
            data.episodes["patient_id"].tolist(),
            shifts=settings.observation.shifts,
            confidence=settings.evaluation.confidence,
        ),
        assessment=assessed,
        out_of_fold=keep_out_of_fold(task, weights, probability=probability),
    )


def _measure_without_resampling(
    task: Task, probability: FloatArray, weights: FloatArray, crossed: CrossFitted | None
) -> pd.DataFrame:
    """Compute the gain over the overall risk and, where the folds are known, the AUROC within them."""
    known, confidence = task.data.known, task.settings.evaluation.confidence
    outcome, patients = task.data.observed[known], task.data.episodes.loc[known, "patient_id"].to_numpy(object)
    given: dict[str, Any] = {"patients": patients, "confidence": confidence, "weights": weights[known]}
    rows = [compute_log_loss_gain(outcome, probability[known], **given)]
    if crossed is not None:
        rows.insert(
            0, compute_auroc_within_folds(outcome, crossed.by_repeat[:, known], crossed.folds[:, known], **given)
        )
    return pd.concat(rows, ignore_index=True)


def _compare_with_truth(task: Task, probability: FloatArray) -> pd.DataFrame | None:
    """Compare with the simulated truth of those followed up; None where there is no truth."""
    if task.truth is None:
        return None
    known = task.data.known
    true = _find_truth(task.data, task.truth)[known]
    if np.isnan(true).any():
        return None
    patients = task.data.episodes.loc[known, "patient_id"].to_numpy(object)
    observed, predicted = task.data.observed[known], probability[known]
    refuse_leak(observed, predicted, true, patients)
    return check_against_truth(observed, predicted, true, patients, confidence=task.settings.evaluation.confidence)


def _find_truth(data: TrainingSet, truth: pd.DataFrame) -> FloatArray:
    month = data.horizon_months
    if data.outcome.assessed_by == "events":
        # The truth lists complications at the month of their published rate and none after it.
        reached = truth.loc[(truth["technique"] == data.technique) & (truth["month"] <= month), "month"]
        month = float(reached.max()) if len(reached) else month
    matched = match_truth(
        truth,
        data.episodes["episode_id"],
        technique=data.technique,
        outcome=name_in_truth(data.outcome),
        horizon_months=month,
    )
    return matched.to_numpy(dtype=float, na_value=np.nan)
