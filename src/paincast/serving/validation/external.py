"""External validation: evaluate saved models on a cohort that they were not trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.errors import RefusalError
from paincast.evaluation.performance.calibration_by_groups import CALIBRATION_GROUP_COLUMNS
from paincast.fingerprints import Fingerprints
from paincast.predictor import Predictor
from paincast.predictor.validation import CONFIDENCE, Validation
from paincast.serving.overlap import NOT_CHECKED, separate_trained_on
from paincast.serving.validation.model_evaluation import (
    CALIBRATION,
    METRICS,
    NEEDED,
    STEPS,
    ModelEvaluation,
    evaluate_model,
)
from paincast.settings import EvaluationSettings

IDENTITY = ("technique", "outcome", "horizon_months")
"""First columns of every table."""

CALIBRATION_COLUMNS = (*IDENTITY, *CALIBRATION_GROUP_COLUMNS)


class ExternalValidation(NamedTuple):
    """Tables of an external validation: metrics, flow of the episodes, calibration by groups, and all others by name.

    Every table begins with the columns :data:`IDENTITY`.
    """

    metrics: pd.DataFrame
    flow: pd.DataFrame
    calibration: pd.DataFrame
    tables: dict[str, pd.DataFrame]

    def select_model(self, technique: str, outcome: str, month: float | None = None) -> dict[str, pd.DataFrame]:
        """Select the tables of one model, without those that are empty; of all its months unless one is given."""
        tables = {METRICS: self.metrics, "flow": self.flow, CALIBRATION: self.calibration, **self.tables}
        selected = {
            name: table[
                (table["technique"] == technique)
                & (table["outcome"] == outcome)
                & ((table["horizon_months"] == month) | (month is None))
            ].reset_index(drop=True)
            for name, table in tables.items()
        }
        return {name: table.drop(columns=list(IDENTITY)) for name, table in selected.items() if len(table)}


def evaluate_models(
    models: Mapping[str, Predictor],
    cohort: Cohort,
    *,
    truth: pd.DataFrame | None = None,
    rng: np.random.Generator,
    resamples: int = 500,
    confidence: float = 0.95,
    fingerprints: Mapping[str, Fingerprints] = MappingProxyType({}),
    exclude_overlap: bool = False,
) -> ExternalValidation:
    """Apply models to the episodes of their technique in another cohort and measure their performance.

    The outcome is determined at the horizon of the model, in its window. Metrics are computed on the episodes with
    follow-up for which the model predicts, weighted to stand for those lost to follow-up
    (:func:`paincast.models.observation_weights.fit_observation_weights`); the flow gives their number, and the months
    of the visits used if not all are at the horizon. For the duration of relief, the probability at the horizon is
    evaluated; for the change of pain, the median with its interval.

    Parameters
    ----------
    models : mapping of Predictor
        Models by name.
    cohort : Cohort
        A cohort the models were not trained on: on their training patients they look better than they are.
    truth : DataFrame, optional
        Truth of a simulated cohort, from :func:`paincast.evaluation.simulated.truth.load_truth`.
    rng : Generator
        Source of the resamples.
    resamples : int
        Bootstrap resamples of patients.
    confidence : float
        Coverage of the intervals.
    fingerprints : mapping of str to Fingerprints
        Fingerprints of the training patients, by version: :func:`paincast.fingerprints.find_fingerprints`.
    exclude_overlap : bool
        Whether to leave out patients that a model was trained on, instead of refusing the cohort.

    Returns
    -------
    metrics : DataFrame
        ``technique, outcome, horizon_months, model_version, model_basis, cohort_basis`` before the columns of
        :func:`paincast.evaluation.performance.metrics.compute_metrics` (for a change of pain,
        :func:`paincast.evaluation.performance.change.compute_change_metrics`), and rows that compare with the truth if
        it is known.
    flow : DataFrame
        ``technique, outcome, horizon_months, episodes, followed_up, abstained, evaluated``, the columns :data:`NEEDED`,
        ``note`` and ``trained_on`` of each model; the last states how many of the patients it was trained on, or that
        this cannot be checked. For real patients, counts that disclose small numbers are missing, and metrics are
        rounded.
    calibration : DataFrame
        ``technique, outcome, horizon_months`` and the columns of
        :func:`~paincast.evaluation.performance.calibration_by_groups.compute_calibration_by_groups`, from the same
        episodes as the metrics. No rows for a change of pain.
    tables : dict of str to DataFrame
        The tables of a training run, by the names they have there (``calibration_flexible``, ``decision_curve``,
        ``expected_response``, ``subgroups``, ``sites``, ``years``, ``pooled``, ``loss_to_follow_up``,
        ``observation_weights``, ``tipping_point``), where there are any; ``histogram`` of the predictions;
        ``intervals``: the observed risk beside the mean limits of the individual intervals; ``abstentions``: of
        those followed up, by reason.

    Raises
    ------
    RefusalError
        If the cohort has no episode of a technique with a model, no model can be evaluated, or a model was trained on
        patients of the cohort and ``exclude_overlap`` is false.
    """
    return evaluate_and_validate(
        models,
        cohort,
        truth=truth,
        rng=rng,
        resamples=resamples,
        confidence=confidence,
        fingerprints=fingerprints,
        exclude_overlap=exclude_overlap,
    )[0]


def evaluate_and_validate(
    models: Mapping[str, Predictor],
    cohort: Cohort,
    *,
    truth: pd.DataFrame | None,
    rng: np.random.Generator,
    resamples: int,
    confidence: float,
    fingerprints: Mapping[str, Fingerprints],
    exclude_overlap: bool,
) -> tuple[ExternalValidation, dict[str, Validation], dict[str, str]]:
    """Evaluate models as :func:`evaluate_models` does, and summarize what real patients say of each.

    Returns
    -------
    tables : ExternalValidation
        The tables.
    found : dict of str to Validation
        By content version of the model.
    not_recorded : dict of str to str
        Why there is no validation of a model, by name.
    """
    applicable = _select_applicable(models, cohort)
    others, trained_on = separate_trained_on(applicable, cohort, fingerprints, exclude=exclude_overlap)
    settings = EvaluationSettings(resamples=resamples, confidence=confidence)
    results = [
        evaluate_model(model, others, truth, settings, child)
        for model, child in zip(applicable, rng.spawn(len(applicable)), strict=True)
    ]
    flow = pd.DataFrame([result.flow for result in results]).assign(trained_on=trained_on)
    flow = flow.astype(dict.fromkeys((*STEPS, *NEEDED), "Int64"))
    if not flow["evaluated"].any():
        raise RefusalError(
            "nothing can be evaluated: " + "; ".join(flow["technique"] + ": " + flow["note"]), code="PC-SERVING-13"
        )
    tables = _join_tables(applicable, results, cohort.basis)
    metrics, calibration = tables.pop(METRICS), tables.pop(CALIBRATION, pd.DataFrame(columns=list(CALIBRATION_COLUMNS)))
    judged = [
        (model, result, _explain_not_recorded(model, result, cohort, checked, confidence))
        for model, result, checked in zip(applicable, results, trained_on, strict=True)
    ]
    found = {model.version: result.validation for model, result, why in judged if not why and result.validation}
    return (
        ExternalValidation(metrics, flow, calibration, tables),
        found,
        {model.name: why for model, _, why in judged if why},
    )


def _select_applicable(models: Mapping[str, Predictor], cohort: Cohort) -> list[Predictor]:
    applicable = [model for model in models.values() if (cohort.episodes["technique"] == model.technique).any()]
    if not applicable:
        raise RefusalError(
            f"none of the {len(models)} models is for a technique of this cohort; {cohort.describe_techniques()}; "
            f"models: {', '.join(models)}",
            code="PC-SERVING-12",
        )
    return applicable


def _explain_not_recorded(
    model: Predictor, result: ModelEvaluation, cohort: Cohort, trained_on: str, confidence: float
) -> str:
    """Explain why an evaluation is no external validation; empty if it is one."""
    if cohort.basis != "real":
        return f"the patients are {cohort.basis}"
    if model.n_real and trained_on == NOT_CHECKED:
        return "whether the model was trained on these patients cannot be checked"
    if not math.isclose(confidence, CONFIDENCE):
        return f"intervals of {CONFIDENCE:.0%} are needed, not of {confidence:.1%}"
    if result.validation is None:
        return "there is no ratio of observed to expected with an interval"
    return ""


def _join_tables(models: list[Predictor], results: list[ModelEvaluation], basis: str) -> dict[str, pd.DataFrame]:
    """Join the tables of all models by name, each row with its technique, outcome and month."""
    parts: dict[str, list[pd.DataFrame]] = {}
    for model, result in zip(models, results, strict=True):
        for name, table in result.tables.items():
            identity: dict[str, Any] = {name: getattr(model, name) for name in IDENTITY}
            if name == METRICS:
                identity |= {
                    "model_version": model.version,
                    "model_basis": model.basis,
                    "cohort_basis": basis,
                }
            if len(table):
                parts.setdefault(name, []).append(table.assign(**identity)[[*identity, *table.columns]])
    return {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}
