"""Training one binary outcome, and what all outcomes share: honest evaluation, explanation, record."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from paincast.disclosure.rounding import round_measured
from paincast.evaluation.performance.metrics import compute_metrics
from paincast.evaluation.simulated.truth import check_against_truth, match_truth, refuse_leak
from paincast.evaluation.validation.tipping import compute_tipping_point
from paincast.evidence.directions import load_directions
from paincast.explain import Explanation, ExplanationReview, review_explanation
from paincast.fingerprints import KEPT, make_fingerprints, write_fingerprints
from paincast.models.binary.response import ResponseModel, cross_fit_margins, fit_response_model
from paincast.models.binary.surroundings import make_surroundings
from paincast.models.observation import fit_observation_weights, summarize_weights
from paincast.models.release import release_response
from paincast.models.stored import Response
from paincast.outcomes import name_in_truth
from paincast.predictor import Predictor, save_predictor, seal_predictor
from paincast.tracking import log_model_run
from paincast.training.assessment import Assessment, assess_predictions
from paincast.training.instability import Instability, measure_instability
from paincast.training.internal_validation import InternalValidation, Remodel, validate_modelling
from paincast.training.kinds.refit import ResponseRemodel
from paincast.training.recording import describe_model
from paincast.training.task import Announce, Finish, Further, Task, TrainedModel
from paincast.training_set import TrainingSet

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What out-of-fold predictions say, see :class:`paincast.training.task.TrainedModel`; n are those asked."""

    probability: FloatArray | None
    metrics: pd.DataFrame
    loss: pd.DataFrame
    weights: pd.DataFrame
    tipping_point: pd.DataFrame
    assessment: Assessment | None = None


def train_binary(task: Task, announce: Announce) -> Finish:
    """Cross-fit and fit the model of a binary outcome; what is left is to evaluate, explain and record it.

    Parameters
    ----------
    task : Task
        Technique and outcome.
    announce : callable
        Told the name of each stage as it begins.

    Returns
    -------
    callable
        What is left to do; it raises a LeakError on simulated data, if discrimination exceeds what is possible.

    Raises
    ------
    RefusalError
        If one class of the outcome is too small.
    """
    data, settings = task.data, task.settings
    evaluation_rng, fit_rng, metric_rng, pool_rng, instability_rng = task.make_stream().spawn(5)
    announce("evaluating")
    directed = data.outcome.follows_response
    around = make_surroundings(data.technique, data.episodes, task.parts, settings, pool_rng, directed=directed)
    # The final fit runs here while the folds run in processes of their own: no core waits for the longest of them.
    with ThreadPoolExecutor(1) as beside:
        fitting = beside.submit(
            fit_response_model, data.episodes, data.observed, settings, fit_rng, surroundings=around
        )
        margins = cross_fit_margins(data.episodes, data.observed, settings, evaluation_rng, surroundings=around)
        announce("fitting")
        response = fitting.result()
    remodel = ResponseRemodel(settings=settings, around=around, parts=task.parts, directed=directed)
    validation = validate_task(task, remodel, announce)
    return partial(_finish_binary, task, response, margins, validation, (metric_rng, instability_rng))


def validate_task(task: Task, remodel: Remodel, announce: Announce) -> InternalValidation:
    """Do the whole modelling again as often as the settings ask, from a stream of its own."""
    stream = task.make_stream("validation")
    return validate_modelling(task.data, task.settings, remodel, stream, announce, everybody=task.everybody)


def _finish_binary(
    task: Task,
    response: ResponseModel,
    margins: FloatArray,
    validation: InternalValidation,
    streams: tuple[np.random.Generator, np.random.Generator],
) -> TrainedModel:
    metric_rng, instability_rng = streams
    evaluation = evaluate_margins(task, margins, metric_rng)
    predictor = assemble_predictor(task, response, evaluation.metrics)
    assert isinstance(predictor.response, ResponseModel)
    instability = measure_instability(predictor.response, task.data, task.settings.evaluation, instability_rng)
    return finish_model(task, predictor, evaluation, instability=instability, validation=validation)


def finish_model(
    task: Task,
    predictor: Predictor,
    evaluation: Evaluation,
    further: Further | None = None,
    *,
    instability: Instability | None = None,
    validation: InternalValidation | None = None,
) -> TrainedModel:
    """Explain and record a model that is fitted and evaluated, and save it once it is recorded.

    Parameters
    ----------
    task : Task
        Technique and outcome.
    predictor : Predictor
        The sealed model.
    evaluation : Evaluation
        Its honest evaluation.
    further : Further, optional
        What is recorded beside.
    instability : Instability, optional
        How far predictions would move had the model been fitted to other patients.
    validation : InternalValidation, optional
        What came of doing the whole modelling again.
    """
    data, assessed = task.data, evaluation.assessment
    explanation = predictor.explain(data.episodes)
    trained = TrainedModel(
        predictor=predictor,
        flow=data.flow,
        metrics=evaluation.metrics,
        curve=assessed.calibration if assessed else None,
        loss=evaluation.loss,
        weights=evaluation.weights,
        tipping_point=evaluation.tipping_point,
        explanation=explanation,
        review=_review(task, predictor.response, explanation),
        instability=instability,
        assessment=assessed,
        validation=validation,
        further=further or Further(),
    )
    _record(task, trained)
    _publish(task, predictor)
    return trained


def _publish(task: Task, predictor: Predictor) -> None:
    """Save a model with fingerprints of whom it was trained on; those of a model it replaces are kept apart."""
    home = Path(task.settings.models_folder)
    fingerprints = make_fingerprints(task.data.episodes, predictor.version)
    write_fingerprints(fingerprints, home / KEPT / f"{predictor.version}.json")
    save_predictor(predictor, home / task.name, fingerprints)


def _record(task: Task, trained: TrainedModel) -> None:
    if task.run is not None:
        model = describe_model(trained, task.data, task.settings)
        log_model_run(task.run, model, register=task.settings.tracking.register)


def _review(task: Task, response: Response, explanation: Explanation) -> ExplanationReview:
    """Hold the explanation against what is published, where that is taken to hold for the outcome."""
    data, settings = task.data, task.settings
    simulated = data.cohort.basis == "synthetic"
    directions, strong = (
        load_directions(data.technique, strong=only) if data.outcome.follows_response else {} for only in (False, True)
    )
    return review_explanation(
        response,
        data.episodes,
        explanation,
        task.make_stream("explanation"),
        directions=directions,
        strong=strong,
        simulated=simulated,
        guided=simulated or settings.model.directions,
        resamples=settings.evaluation.resamples,
        confidence=settings.evaluation.confidence,
    )


def evaluate_margins(task: Task, margins: FloatArray, rng: np.random.Generator) -> Evaluation:
    """Evaluate held-out log odds of all episodes of whom the outcome is asked, those lost among them."""
    data, settings = task.data, task.settings
    weight_rng, metric_rng, assessment_rng = rng.spawn(3)
    weights = fit_observation_weights(data.episodes, data.known, settings.observation, weight_rng)
    probability = expit(margins)
    weighted, complete = _measure(task, probability, weights, metric_rng)
    scenario = data.cohort.details.get("scenario", settings.cohort.scenario)
    assessed = assess_predictions(
        data, probability, weights, settings.evaluation, assessment_rng, scenario=str(scenario)
    )
    further = [assessed.metrics, _hold_against_truth(task, probability)]
    return Evaluation(
        probability=probability,
        metrics=pd.concat([weighted, *further], ignore_index=True),
        loss=put_beside(weighted, complete),
        weights=summarize_weights(weights),
        tipping_point=compute_tipping_point(
            data.observed,
            margins,
            data.episodes["patient_id"].tolist(),
            shifts=settings.observation.shifts,
            confidence=settings.evaluation.confidence,
        ),
        assessment=assessed,
    )


def _measure(
    task: Task, probability: FloatArray, weights: FloatArray, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the metrics weighted and of the complete cases, on the same resamples."""
    data, settings = task.data, task.settings.evaluation
    known = data.known
    seed = int(rng.integers(2**63))
    held = None if np.allclose(weights[known], 1.0) else weights[known]
    weighted, complete = (
        compute_metrics(
            data.observed[known],
            probability[known],
            patients=data.episodes.loc[known, "patient_id"].to_numpy(object),
            rng=np.random.default_rng(seed),
            resamples=settings.resamples,
            confidence=settings.confidence,
            weights=one,
        )
        for one in (held, None)
    )
    return weighted, complete


def put_beside(weighted: pd.DataFrame, complete: pd.DataFrame) -> pd.DataFrame:
    """Put metrics weighted for loss to follow-up beside those of complete cases."""
    columns = ["estimate", "lower", "upper"]
    held = {
        f"{name}_{column}": frame[column]
        for name, frame in (("weighted", weighted), ("complete_case", complete))
        for column in columns
    }
    difference = weighted["estimate"] - complete["estimate"]
    return pd.DataFrame({"metric": weighted["metric"], **held, "difference": difference, "n": weighted["n"]})


def _hold_against_truth(task: Task, probability: FloatArray) -> pd.DataFrame | None:
    """Compare with the truth of those followed; None where there is none."""
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
    if data.outcome.asked == "events":
        # The truth holds complications at the month of their published rate, after which there are no more.
        reached = truth.loc[(truth["technique"] == data.technique) & (truth["month"] <= month), "month"]
        month = float(reached.max()) if len(reached) else month
    found = match_truth(
        truth,
        data.episodes["episode_id"],
        technique=data.technique,
        outcome=name_in_truth(data.outcome),
        horizon_months=month,
    )
    return found.to_numpy(dtype=float, na_value=np.nan)


def _release(task: Task, response: Response, stands_on: dict[str, Any]) -> Response:
    """Round what a response keeps of real patients, where it stands on any."""
    data = task.data
    basis = stands_on.get("basis", data.cohort.basis)
    if basis == "synthetic":
        return response
    return release_response(response, data.episodes[data.known], blended=basis == "blended")


def assemble_predictor(task: Task, response: Response, metrics: pd.DataFrame, **stands_on: Any) -> Predictor:
    """Put a model and all it needs together and seal it; ``stands_on`` replaces what is said of its cohort."""
    data = task.data
    response = _release(task, response, stands_on)
    told = metrics if data.cohort.basis == "synthetic" else round_measured(metrics)
    performance = told.astype(object).where(told.notna(), None).to_dict(orient="records")
    rows = tuple({str(name): value for name, value in row.items()} for row in performance)
    n_known = int(data.known.sum())
    predictor = Predictor(
        technique=data.technique,
        outcome=data.outcome.name,
        horizon_months=data.horizon_months,
        window_months=data.window_months,
        measures=data.outcome.measures,
        basis=data.cohort.basis,
        n_training=n_known,
        n_events=None if data.outcome.kind == "continuous" else int(np.nansum(data.observed)),
        n_real=n_known if data.cohort.basis == "real" else 0,
        level=task.settings.uncertainty.level,
        response=response,
        rules=data.rules,
        sources=data.cohort.sources,
        performance=rows,
    )
    return seal_predictor(replace(predictor, **stands_on))
