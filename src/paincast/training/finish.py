"""Finish the training of a fitted model: evaluate, assemble, explain, log and save it."""

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
from paincast.training.instability import compare_sample_size, measure_instability
from paincast.training.internal_validation import InternalValidation
from paincast.training.run_contents import gather_model_run
from paincast.training.task import Further, Task, TrainedModel


@dataclass(frozen=True, kw_only=True)
class FittedModel:
    """A fitted model that is not yet evaluated or saved, whatever the kind of its outcome.

    Parameters
    ----------
    response : Response
        The fitted model.
    evaluate : callable
        Evaluates the out-of-fold predictions; on simulated data it raises a LeakError if discrimination exceeds what
        is possible.
    further : Further
        What this kind logs in addition.
    stands_on : mapping of str to object
        Fields of the predictor that replace those of the training set, such as its basis and sources.
    validation : InternalValidation, optional
        Results of repeating the whole modelling.
    instability_rng : numpy.random.Generator, optional
        Source of the resamples of prediction instability; None where it is not measured.
    encodes_real : bool, optional
        Whether the columns are encoded on real patients; by default where the basis is real.
    """

    response: Response
    evaluate: Callable[[], Evaluation]
    further: Further = field(default_factory=Further)
    stands_on: Mapping[str, Any] = field(default_factory=dict)
    validation: InternalValidation | None = None
    instability_rng: np.random.Generator | None = None
    encodes_real: bool | None = None


def finish_model(task: Task, fitted: FittedModel) -> TrainedModel:
    """Evaluate, assemble, explain and log a fitted model, then save it.

    Parameters
    ----------
    task : Task
        Technique and outcome.
    fitted : FittedModel
        The fitted model.

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
    predictor = assemble_predictor(task, fitted, evaluation.metrics)
    instability = None
    if fitted.instability_rng is not None:
        assert isinstance(predictor.response, ResponseModel)
        settings = task.settings.evaluation
        instability = measure_instability(predictor.response, data, settings, fitted.instability_rng, predictor.level)
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
        sample_size=None
        if predictor.n_events is None
        else compare_sample_size(data, predictor.n_training, predictor.n_events, instability),
        assessment=assessment,
        validation=fitted.validation,
        out_of_fold=evaluation.out_of_fold,
        further=fitted.further,
    )
    _record(task, trained)
    _publish(task, predictor)
    return trained


def _publish(task: Task, predictor: Predictor) -> None:
    """Save a model with fingerprints of its training patients; a replaced model's fingerprints are kept separately."""
    home = Path(task.settings.models_folder)
    fingerprints = make_fingerprints(task.data.episodes, predictor.version)
    write_fingerprints(fingerprints, home / KEPT / f"{predictor.version}.json")
    save_predictor(predictor, home / task.name, fingerprints)


def _record(task: Task, trained: TrainedModel) -> None:
    if task.run is not None:
        model = gather_model_run(trained, task.data, task.settings)
        log_model_run(task.run, model, register=task.settings.tracking.register)


def _review(task: Task, response: Response, explanation: Explanation) -> ExplanationReview:
    """Compare the explanation with published directions, where these apply to the outcome."""
    data, settings = task.data, task.settings
    simulated = data.cohort.basis == "synthetic"
    evidence = data.contract.find_evidence(data.technique)
    directions, strong = (
        load_expected_signs(evidence, strong=only) if evidence and data.outcome.follows_response else {}
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


def _release(task: Task, fitted: FittedModel) -> Response:
    """Round what a response stores about real patients, if it was fitted to any."""
    data = task.data
    basis = fitted.stands_on.get("basis", data.cohort.basis)
    if basis == "synthetic":
        return fitted.response
    encodes_real = basis == "real" if fitted.encodes_real is None else fitted.encodes_real
    return release_response(fitted.response, data.episodes[data.known], blended=not encodes_real)


def assemble_predictor(task: Task, fitted: FittedModel, metrics: pd.DataFrame) -> Predictor:
    """Assemble a predictor and give it a version; ``stands_on`` replaces fields derived from the cohort."""
    data = task.data
    response = _release(task, fitted)
    released = metrics if data.cohort.basis == "synthetic" else round_measured(metrics)
    performance = released.astype(object).where(released.notna(), None).to_dict(orient="records")
    rows = tuple({str(name): value for name, value in row.items()} for row in performance)
    n_known = int(data.known.sum())
    predictor = Predictor(
        technique=data.technique,
        outcome=data.outcome.name,
        horizon_months=data.horizon_months,
        window_months=data.window_months,
        measures=data.measures,
        contract=data.contract,
        basis=data.cohort.basis,
        n_training=n_known,
        n_events=None if data.outcome.kind == "continuous" else int(np.nansum(data.observed)),
        n_real=n_known if data.cohort.basis == "real" else 0,
        level=task.settings.uncertainty.confidence,
        response=response,
        rules=data.rules,
        sources=data.cohort.sources,
        performance=rows,
        is_primary=task.further_month is None,
    )
    return add_version(replace(predictor, **fitted.stands_on))
