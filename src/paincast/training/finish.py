"""What is left of a training once everything is fitted: evaluate, seal, explain, record and save the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paincast.disclosure.rounding import round_measured
from paincast.evidence.expected_signs import load_expected_signs
from paincast.explain import Explanation, ExplanationReview, explain_model, review_explanation
from paincast.fingerprints import KEPT, make_fingerprints, write_fingerprints
from paincast.models.binary.response import ResponseModel
from paincast.models.release import release_response
from paincast.models.serialization import Response
from paincast.predictor import Predictor, add_version, save_predictor
from paincast.tracking import log_model_run
from paincast.training.evaluation import Evaluation
from paincast.training.instability import measure_instability
from paincast.training.internal_validation import InternalValidation
from paincast.training.run_contents import gather_model_run
from paincast.training.task import Further, Task, TrainedModel


@dataclass(frozen=True, kw_only=True)
class FittedModel:
    """What fitting leaves to be finished, by the kind of the outcome.

    Parameters
    ----------
    response : Response
        The fitted model.
    evaluate : callable
        Evaluates its out-of-fold predictions; on simulated data it raises a LeakError if discrimination exceeds what
        is possible.
    further : Further
        What is recorded beside.
    stands_on : mapping of str to object
        Fields of the predictor that are not those of the training set: what else the model stands on.
    validation : InternalValidation, optional
        What came of doing the whole modelling again.
    instability_rng : numpy.random.Generator, optional
        Source of the resamples of prediction instability; None where it is not measured.
    """

    response: Response
    evaluate: Callable[[], Evaluation]
    further: Further = field(default_factory=Further)
    stands_on: Mapping[str, Any] = field(default_factory=dict)
    validation: InternalValidation | None = None
    instability_rng: np.random.Generator | None = None


def finish_model(task: Task, fitted: FittedModel) -> TrainedModel:
    """Evaluate, seal, explain and record a fitted model, and save it once it is recorded.

    Parameters
    ----------
    task : Task
        Technique and outcome.
    fitted : FittedModel
        What was fitted.

    Returns
    -------
    TrainedModel

    Raises
    ------
    LeakError
        On simulated data, if discrimination exceeds what is possible.
    """
    data = task.data
    evaluation = fitted.evaluate()
    predictor = assemble_predictor(task, fitted.response, evaluation.metrics, fitted.stands_on)
    instability = None
    if fitted.instability_rng is not None:
        assert isinstance(predictor.response, ResponseModel)
        settings = task.settings.evaluation
        instability = measure_instability(predictor.response, data, settings, fitted.instability_rng)
    explanation = explain_model(predictor.response, data.episodes)
    assessment = evaluation.assessment
    trained = TrainedModel(
        predictor=predictor,
        flow=data.flow,
        metrics=evaluation.metrics,
        curve=assessment.calibration if assessment else None,
        loss=evaluation.loss,
        weights=evaluation.weights,
        tipping_point=evaluation.tipping_point,
        explanation=explanation,
        review=_review(task, predictor.response, explanation),
        instability=instability,
        assessment=assessment,
        validation=fitted.validation,
        further=fitted.further,
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
        model = gather_model_run(trained, task.data, task.settings)
        log_model_run(task.run, model, register=task.settings.tracking.register)


def _review(task: Task, response: Response, explanation: Explanation) -> ExplanationReview:
    """Hold the explanation against what is published, where that is taken to hold for the outcome."""
    data, settings = task.data, task.settings
    simulated = data.cohort.basis == "synthetic"
    directions, strong = (
        load_expected_signs(data.technique, strong=only) if data.outcome.follows_response else {}
        for only in (False, True)
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


def _release(task: Task, response: Response, stands_on: Mapping[str, Any]) -> Response:
    """Round what a response keeps of real patients, where it stands on any."""
    data = task.data
    basis = stands_on.get("basis", data.cohort.basis)
    if basis == "synthetic":
        return response
    return release_response(response, data.episodes[data.known], blended=basis == "blended")


def assemble_predictor(
    task: Task, response: Response, metrics: pd.DataFrame, stands_on: Mapping[str, Any]
) -> Predictor:
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
        level=task.settings.uncertainty.confidence,
        response=response,
        rules=data.rules,
        sources=data.cohort.sources,
        performance=rows,
    )
    return add_version(replace(predictor, **stands_on))
