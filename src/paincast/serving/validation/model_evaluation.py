"""Evaluate one saved model on the episodes of its technique in another cohort: all that training gives, as tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit

from paincast.cohort.tables import Cohort
from paincast.disclosure.flow import count_reasons, format_instruments, format_label_months, suppress_small_loss
from paincast.disclosure.metrics import (
    HIDDEN,
    choose_suppressed_steps,
    describe_too_few,
    suppress_small_shares,
    withhold_groups,
)
from paincast.disclosure.rounding import round_measured
from paincast.disclosure.suppression import is_small
from paincast.eligibility import select_evaluable
from paincast.evaluation.assessment import (
    assess_predictions,
    compare_risk_with_intervals,
    compare_with_complete_cases,
    measure_with_weights,
)
from paincast.evaluation.performance.change import compute_change_metrics
from paincast.evaluation.simulated.truth import check_against_truth, compute_bayes_bound, match_truth
from paincast.evaluation.validation.delta_adjusted import compute_tipping_point
from paincast.evaluation.validation.sample_size import compute_validation_sizes
from paincast.models.continuous.change import NAMES
from paincast.models.observation_weights import fit_observation_weights, summarize_weights
from paincast.outcomes import OutcomeLabels, compute_outcome
from paincast.outcomes.label_counts import count_instruments, count_label_months
from paincast.predictor import Predictor
from paincast.predictor.validation import Validation
from paincast.serving.validation.validations import summarize_validation
from paincast.settings import EvaluationSettings, ObservationSettings
from paincast.training_set import TrainingSet

FloatArray = npt.NDArray[np.float64]

STEPS = ("episodes", "followed_up", "abstained", "evaluated")

NEEDED = ("needed_for_slope", "needed_for_o_e", "needed_for_auroc")
"""Episodes that a precise validation needs, by the three criteria of ``compute_validation_sizes``, in its order."""

GROUPED = ("subgroups", "sites", "years")
METRICS, CALIBRATION = "metrics", "calibration"


class ModelEvaluation(NamedTuple):
    """Results of one model.

    Parameters
    ----------
    flow : dict
        Its row of the flow.
    tables : dict of str to DataFrame
        By name; empty where the model could not be evaluated. Of real patients, rounded and without small counts.
    validation : Validation or None
        The ratio of observed to expected on real patients, where there is one.
    """

    flow: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    validation: Validation | None = None


class AskedModel(NamedTuple):
    """A model's answers to the episodes of its technique, and what happened to them."""

    model: Predictor
    part: Cohort
    labels: OutcomeLabels
    answers: pd.DataFrame

    @property
    def is_real(self) -> bool:
        """Whether there are real patients."""
        return self.part.basis != "synthetic"

    @property
    def abstained(self) -> pd.Series:
        """Whether the model abstains, by episode."""
        return self.answers["abstained"].astype(bool)

    @property
    def usable(self) -> pd.Series:
        """Whether an episode can be evaluated."""
        return select_evaluable(self.labels.value, self.abstained)


def evaluate_model(
    model: Predictor,
    cohort: Cohort,
    truth: pd.DataFrame | None,
    settings: EvaluationSettings,
    rng: np.random.Generator,
) -> ModelEvaluation:
    """Evaluate a model on the episodes for which it answers, weighted for those of them who were lost to follow-up.

    The estimand is the performance among all eligible episodes for which the model answers. Weights are the inverse
    probability of observation, as in training.

    Parameters
    ----------
    model : Predictor
        The model.
    cohort : Cohort
        A cohort with episodes of its technique, on which it was not trained.
    truth : DataFrame or None
        Truth of a simulated cohort.
    settings : EvaluationSettings
        Resamples, confidence and thresholds of the decision curve.
    rng : numpy.random.Generator
        Source of the resamples and folds.
    """
    asked = ask_model(model, cohort)
    question, outcome, usable = asked.labels.outcome, asked.labels.value, asked.usable
    flow = _describe_flow(asked)
    if not usable.any():
        return ModelEvaluation(flow | {"note": _explain_nobody(asked)}, {})
    few = describe_too_few(outcome[usable], is_number=question.kind == "continuous") if asked.is_real else ""
    if few:
        return ModelEvaluation(flow | {"followed_up": None, "abstained": None, "evaluated": 0, "note": few}, {})
    abstentions = count_reasons(
        asked.answers.loc[outcome.notna() & asked.abstained, "abstained_because"],
        real=asked.is_real,
        is_total_shown=flow["abstained"] is not None,
    )
    measure = _measure_change if question.kind == "continuous" else _measure_probability
    tables, validation = measure(asked, gather_answered(asked), settings, rng)
    if truth is not None and question.kind != "continuous":
        compared = _compare_with_truth(asked, truth, settings.confidence)
        if compared is None:
            flow["note"] = f"the truth has no value at {model.horizon_months:g} months"
        tables[METRICS] = pd.concat([tables[METRICS], compared], ignore_index=True)
    if asked.is_real:
        tables = {
            name: round_measured(withhold_groups(table) if name in GROUPED else table) for name, table in tables.items()
        }
    if question.kind != "continuous":
        flow |= _compute_needed(asked.answers.loc[usable, "probability"].to_numpy(float))
    return ModelEvaluation(flow, {**tables, "abstentions": abstentions}, validation)


def ask_model(model: Predictor, cohort: Cohort) -> AskedModel:
    """Ask a model for all episodes of its technique, and label them with its outcome."""
    part = cohort.select_technique(model.technique)
    months = (model.horizon_months, model.window_months)
    labels = compute_outcome(part.episodes, part.visits, part.events, model.question, *months)
    return AskedModel(model, part, labels, model.predict_episodes(part.episodes, allow_contradicted=True))


def _describe_flow(asked: AskedModel) -> dict[str, Any]:
    model, known = asked.model, asked.labels.value.notna()
    steps = _count_steps(asked.part, known, asked.abstained)
    months = format_label_months(count_label_months(asked.labels, asked.usable))
    instruments = format_instruments(count_instruments(asked.labels, asked.usable))
    return {
        "technique": model.technique,
        "outcome": model.outcome,
        "horizon_months": model.horizon_months,
        **steps,
        **dict.fromkeys(NEEDED),
        "note": "; ".join(filter(None, [months, instruments, HIDDEN if steps["followed_up"] is None else ""])),
    }


def _explain_nobody(asked: AskedModel) -> str:
    model, known = asked.model, asked.labels.value.notna()
    if not known.any():
        return f"no follow-up determines {model.outcome} at {model.horizon_months:g} months"
    commonest = asked.answers.loc[known, "abstained_because"].mode().iloc[0]
    return f"the model abstains for all episodes with follow-up: {commonest}"


def gather_answered(asked: AskedModel) -> TrainingSet:
    """Gather the eligible episodes for which the model answers, followed up or not."""
    answered = asked.labels.eligible & ~asked.abstained
    return TrainingSet(
        technique=asked.model.technique,
        rules=asked.model.rules,
        cohort=asked.part,
        labels=replace(asked.labels, eligible=answered),
        flow=pd.DataFrame(),
        episodes=asked.part.episodes.loc[answered].reset_index(drop=True),
        observed=asked.labels.value[answered].to_numpy(float),
    )


def _measure_probability(
    asked: AskedModel, data: TrainingSet, settings: EvaluationSettings, rng: np.random.Generator
) -> tuple[dict[str, pd.DataFrame], Validation | None]:
    weight_rng, metric_rng, assessment_rng = rng.spawn(3)
    answers = asked.answers[data.labels.eligible].reset_index(drop=True)
    probability = answers["probability"].to_numpy(float)
    weights = fit_observation_weights(
        data.episodes, data.known, ObservationSettings(), weight_rng, contract=data.contract
    )
    weighted, complete = measure_with_weights(data, probability, weights, settings, metric_rng)
    assessed = assess_predictions(data, probability, weights, settings, assessment_rng)
    tables = {
        METRICS: pd.concat([weighted, assessed.metrics], ignore_index=True),
        CALIBRATION: assessed.calibration,
        "histogram": assessed.histogram,
        **assessed.list_tables(),
        "intervals": compare_risk_with_intervals(data, answers, weights, settings),
        **_describe_loss(asked, data, weights, weighted, complete),
    }
    if data.known.all() or not _is_loss_hidden(asked, data):
        tables["tipping_point"] = compute_tipping_point(
            data.observed,
            logit(np.clip(probability, 1e-12, 1.0 - 1e-12)),
            data.episodes["patient_id"].tolist(),
            shifts=ObservationSettings().shifts,
            confidence=settings.confidence,
        )
    is_validation = asked.part.basis == "real"
    return tables, summarize_validation(asked.part, asked.usable, weighted) if is_validation else None


def _measure_change(
    asked: AskedModel, data: TrainingSet, settings: EvaluationSettings, rng: np.random.Generator
) -> tuple[dict[str, pd.DataFrame], None]:
    known = data.known
    answers = asked.answers[data.labels.eligible].reset_index(drop=True)
    predicted = answers.loc[known, ["expected_lower", "expected", "expected_upper"]].set_axis(list(NAMES), axis=1)
    weights = fit_observation_weights(data.episodes, known, ObservationSettings(), rng, contract=data.contract)
    weighted, complete = (
        compute_change_metrics(
            data.observed[known],
            predicted,
            data.episodes.loc[known, "patient_id"].to_numpy(object),
            level=asked.model.level,
            confidence=settings.confidence,
            weights=metric_weights,
        )
        for metric_weights in (None if np.allclose(weights[known], 1.0) else weights[known], None)
    )
    if asked.is_real:
        weighted, complete = suppress_small_shares(weighted), suppress_small_shares(complete)
    return {METRICS: weighted, **_describe_loss(asked, data, weights, weighted, complete)}, None


def _describe_loss(
    asked: AskedModel, data: TrainingSet, weights: FloatArray, weighted: pd.DataFrame, complete: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Tabulate the weights, and metrics with and without them."""
    is_hidden = not data.known.all() and _is_loss_hidden(asked, data)
    summary = summarize_weights(weights)
    return {
        "loss_to_follow_up": compare_with_complete_cases(weighted, complete),
        "observation_weights": suppress_small_loss(summary, is_hidden=is_hidden) if asked.is_real else summary,
    }


def _is_loss_hidden(asked: AskedModel, data: TrainingSet) -> bool:
    """Check whether the number lost would disclose few real patients, by itself or beside the flow."""
    n_all, n_lost = len(asked.part.episodes), int((~data.known).sum())
    n_unseen = n_all - int(asked.labels.value.notna().sum())
    return asked.is_real and any(is_small(n) for n in (n_lost, n_all - len(data.episodes), n_unseen - n_lost))


def _compare_with_truth(asked: AskedModel, truth: pd.DataFrame, confidence: float) -> pd.DataFrame | None:
    model, usable, episodes = asked.model, asked.usable, asked.part.episodes
    key: dict[str, Any] = {
        "technique": model.technique,
        "outcome": model.outcome,
        "horizon_months": model.horizon_months,
    }
    scored = pd.DataFrame(
        {"y": asked.labels.value, "p": asked.answers["probability"], "patient": episodes["patient_id"]}
    )[usable]
    known = scored.assign(truth=match_truth(truth, episodes.loc[usable, "episode_id"], **key)).dropna(subset="truth")
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


def _compute_needed(probability: FloatArray) -> dict[str, int | None]:
    """Compute how many episodes the validation needs, from the predictions alone, assuming a calibrated model.

    Prevalence and AUROC are those expected from the predictions, to two decimals; the observed outcomes are not used,
    as they would not be known when a validation is planned. The result is None unless the expected AUROC exceeds 0.5.
    """
    auroc, prevalence = (round(value, 2) for value in (compute_bayes_bound(probability)[0], float(probability.mean())))
    if not (0.5 < auroc < 1.0 and 0.0 < prevalence < 1.0):
        return dict.fromkeys(NEEDED)
    sizes = compute_validation_sizes(auroc=auroc, prevalence=prevalence)["n"]
    return dict(zip(NEEDED, sizes.tolist(), strict=True))
