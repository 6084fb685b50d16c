"""External validation: evaluate saved models on a cohort that they were not trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.disclosure.flow import format_label_months
from paincast.disclosure.metrics import (
    HIDDEN,
    choose_suppressed_steps,
    describe_too_few,
    suppress_small_shares,
)
from paincast.disclosure.rounding import round_measured
from paincast.eligibility import select_evaluable
from paincast.errors import RefusalError
from paincast.evaluation.performance.calibration_by_groups import (
    CALIBRATION_GROUP_COLUMNS,
    compute_calibration_by_groups,
)
from paincast.evaluation.performance.change import compute_change_metrics
from paincast.evaluation.performance.metrics import compute_metrics
from paincast.evaluation.simulated.truth import check_against_truth, compute_bayes_bound, match_truth
from paincast.evaluation.validation.sample_size import compute_validation_sizes
from paincast.fingerprints import Fingerprints
from paincast.models.continuous.change import NAMES
from paincast.outcomes import compute_outcome, get_outcome
from paincast.outcomes.labels import count_label_months
from paincast.predictor import Predictor
from paincast.predictor.validation import CONFIDENCE, Validation
from paincast.serving.overlap import NOT_CHECKED, separate_trained_on
from paincast.serving.validations import summarize_validation

STEPS = ("episodes", "followed_up", "abstained", "evaluated")

NEEDED = ("needed_for_slope", "needed_for_o_e", "needed_for_auroc")
"""Episodes that a precise validation needs, by the three criteria of ``compute_validation_sizes``, in its order."""

CALIBRATION_COLUMNS = ("technique", "outcome", "horizon_months", *CALIBRATION_GROUP_COLUMNS)


class ExternalValidation(NamedTuple):
    """Tables of an external validation: metrics, flow of the episodes, and calibration by groups."""

    metrics: pd.DataFrame
    flow: pd.DataFrame
    calibration: pd.DataFrame


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
    follow-up for which the model predicts; the flow gives their number, and the months of the visits used if not all
    are at the horizon. For the duration of relief, the probability at the horizon is evaluated; for the change of pain,
    the median with its interval.

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
        episodes as the metrics. No rows for a change of pain, nor for real patients: the groups would disclose counts
        that ``flow`` hides.

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
    results = [
        _evaluate(model, others, truth, child, resamples, confidence)
        for model, child in zip(applicable, rng.spawn(len(applicable)), strict=True)
    ]
    flow = pd.DataFrame([result.flow for result in results]).assign(trained_on=trained_on)
    flow = flow.astype(dict.fromkeys((*STEPS, *NEEDED), "Int64"))
    if not flow["evaluated"].any():
        raise RefusalError(
            "nothing can be evaluated: " + "; ".join(flow["technique"] + ": " + flow["note"]), code="PC-SERVING-13"
        )
    metrics = pd.concat([result.metrics for result in results], ignore_index=True)
    curves = [result.calibration for result in results if not result.calibration.empty]
    tables = ExternalValidation(
        metrics if cohort.basis == "synthetic" else round_measured(metrics),
        flow,
        pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=list(CALIBRATION_COLUMNS)),
    )
    judged = [
        (model, result, _explain_not_recorded(model, result, cohort, checked, confidence))
        for model, result, checked in zip(applicable, results, trained_on, strict=True)
    ]
    found = {model.version: result.validation for model, result, why in judged if not why and result.validation}
    return tables, found, {model.name: why for model, _, why in judged if why}


def _select_applicable(models: Mapping[str, Predictor], cohort: Cohort) -> list[Predictor]:
    applicable = [model for model in models.values() if (cohort.episodes["technique"] == model.technique).any()]
    if not applicable:
        raise RefusalError(
            f"none of the {len(models)} models is for a technique of this cohort; {cohort.describe_techniques()}; "
            f"models: {', '.join(models)}",
            code="PC-SERVING-12",
        )
    return applicable


def _explain_not_recorded(model: Predictor, result: _Result, cohort: Cohort, trained_on: str, confidence: float) -> str:
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


class _Result(NamedTuple):
    """What one model gives: its row of the flow, and tables that are empty where it could not be evaluated."""

    flow: dict[str, Any]
    metrics: pd.DataFrame = pd.DataFrame()
    calibration: pd.DataFrame = pd.DataFrame()
    validation: Validation | None = None


def _evaluate(
    model: Predictor,
    cohort: Cohort,
    truth: pd.DataFrame | None,
    rng: np.random.Generator,
    resamples: int,
    confidence: float,
) -> _Result:
    part = cohort.select_technique(model.technique)
    question = get_outcome(model.outcome)
    labels = compute_outcome(
        part.episodes, part.visits, part.events, question, model.horizon_months, model.window_months
    )
    outcome = labels.value
    answers = model.predict_episodes(part.episodes, allow_contradicted=True)
    followed = outcome.notna()
    usable = select_evaluable(outcome, answers["abstained"])
    flow: dict[str, Any] = {
        "technique": model.technique,
        "outcome": model.outcome,
        "horizon_months": model.horizon_months,
        **_count_steps(cohort, followed, answers["abstained"].astype(bool)),
        **dict.fromkeys(NEEDED),
        "note": format_label_months(count_label_months(labels, usable)),
    }
    if not usable.any():
        flow["note"] = f"no follow-up determines {model.outcome} at {model.horizon_months:g} months"
        if followed.any():
            commonest = answers.loc[followed, "abstained_because"].mode().iloc[0]
            flow["note"] = f"the model abstains for all episodes with follow-up: {commonest}"
        return _Result(flow)
    few = (
        ""
        if cohort.basis == "synthetic"
        else describe_too_few(outcome[usable], is_number=question.kind == "continuous")
    )
    if few:
        return _Result(flow | {"followed_up": None, "abstained": None, "evaluated": 0, "note": few})
    if flow["followed_up"] is None:
        flow["note"] = "; ".join(filter(None, [flow["note"], HIDDEN]))
    if question.kind == "continuous":
        patients = part.episodes.loc[usable, "patient_id"].to_numpy(object)
        metrics = _evaluate_change(model, outcome[usable], answers[usable], patients, confidence)
        shown = metrics if cohort.basis == "synthetic" else suppress_small_shares(metrics)
        return _Result(flow, _identify(shown, model, cohort))
    scored = pd.DataFrame(
        {
            "y": outcome,
            "p": answers["probability"],
            "patient": part.episodes["patient_id"],
            "id": part.episodes["episode_id"],
        }
    )[usable]
    compared = None if truth is None else _evaluate_against_truth(model, scored, truth, confidence)
    if truth is not None and compared is None:
        flow["note"] = f"the truth has no value at {model.horizon_months:g} months"
    measured = compute_metrics(
        scored["y"], scored["p"], patients=scored["patient"], rng=rng, resamples=resamples, confidence=confidence
    )
    metrics = pd.concat([table for table in (measured, compared) if table is not None], ignore_index=True)
    return _Result(
        flow | _compute_needed(scored["p"].to_numpy(float)),
        _identify(metrics, model, cohort),
        _compute_calibration(model, scored, confidence) if cohort.basis == "synthetic" else pd.DataFrame(),
        summarize_validation(part, usable, measured) if cohort.basis == "real" else None,
    )


def _compute_calibration(model: Predictor, scored: pd.DataFrame, confidence: float) -> pd.DataFrame:
    groups = compute_calibration_by_groups(scored["y"], scored["p"], patients=scored["patient"], confidence=confidence)
    named = groups.assign(technique=model.technique, outcome=model.outcome, horizon_months=model.horizon_months)
    return named[list(CALIBRATION_COLUMNS)]


def _evaluate_against_truth(
    model: Predictor, scored: pd.DataFrame, truth: pd.DataFrame, confidence: float
) -> pd.DataFrame | None:
    key: dict[str, Any] = {
        "technique": model.technique,
        "outcome": model.outcome,
        "horizon_months": model.horizon_months,
    }
    known = scored.assign(truth=match_truth(truth, scored["id"], **key)).dropna(subset="truth")
    if known.empty:
        return None
    return check_against_truth(known["y"], known["p"], known["truth"], known["patient"], confidence=confidence)


def _count_steps(cohort: Cohort, followed: pd.Series, abstained: pd.Series) -> dict[str, int | None]:
    """Count the episodes evaluated and left out; for real patients, hide counts that disclose small numbers."""
    n_all, n_followed, n_judged = len(followed), int(followed.sum()), int((followed & ~abstained).sum())
    counts = {"episodes": n_all, "followed_up": n_followed, "abstained": n_followed - n_judged, "evaluated": n_judged}
    if cohort.basis == "synthetic":
        return dict(counts)
    hidden = choose_suppressed_steps(n_all, n_followed, n_judged, [abstained[followed].to_numpy(bool)])
    return {step: None if step in hidden else n for step, n in counts.items()}


def _compute_needed(probability: npt.NDArray[np.float64]) -> dict[str, int | None]:
    """Compute how many episodes the validation needs, from the predictions alone, assuming a calibrated model.

    Prevalence and AUROC are those expected from the predictions, to two decimals; the observed outcomes are not used,
    as they would not be known when a validation is planned. The result is None unless the expected AUROC exceeds 0.5.
    """
    auroc, prevalence = (round(value, 2) for value in (compute_bayes_bound(probability)[0], float(probability.mean())))
    if not (0.5 < auroc < 1.0 and 0.0 < prevalence < 1.0):
        return dict.fromkeys(NEEDED)
    sizes = compute_validation_sizes(auroc=auroc, prevalence=prevalence)["n"]
    return dict(zip(NEEDED, sizes.tolist(), strict=True))


def _evaluate_change(
    model: Predictor, observed: pd.Series, answers: pd.DataFrame, patients: npt.NDArray[np.object_], confidence: float
) -> pd.DataFrame:
    predicted = answers[["expected_lower", "expected", "expected_upper"]].set_axis(list(NAMES), axis=1)
    return compute_change_metrics(
        observed.to_numpy(float), predicted, patients, level=model.level, confidence=confidence
    )


def _identify(metrics: pd.DataFrame, model: Predictor, cohort: Cohort) -> pd.DataFrame:
    identity: dict[str, Any] = {
        "technique": model.technique,
        "outcome": model.outcome,
        "horizon_months": model.horizon_months,
        "model_version": model.version,
        "model_basis": model.basis,
        "cohort_basis": cohort.basis,
    }
    return metrics.assign(**identity)[[*identity, *metrics.columns]]
