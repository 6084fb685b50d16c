"""Gather what the run of one model logs: parameters, metrics, figures, tables and notes."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from paincast.disclosure.flow import format_instruments, format_label_months, suppress_small_loss, suppress_small_steps
from paincast.disclosure.rounding import FEW
from paincast.disclosure.suppression import is_small
from paincast.gates.elsewhere import VALIDATION
from paincast.models.binary.response import ResponseModel
from paincast.models.calibration.affine import write_calibration
from paincast.models.continuous.cumulative import CumulativeChangeResponse
from paincast.models.continuous.response import ChangeResponse
from paincast.models.serialization import Response
from paincast.outcomes.label_counts import count_instruments, count_label_months
from paincast.predictor import Predictor
from paincast.reporting.figures.report import Results, draw_figures
from paincast.reporting.model.checklist import fill_checklists
from paincast.reporting.model.report import write_report_folder
from paincast.reporting.model.run_contents import CHECKLIST, FACTS, PICTURES, RunContents
from paincast.reporting.model.summary import describe_loss, describe_precision, describe_refits
from paincast.settings import TrainingSettings
from paincast.tracking import ModelRun, summarize_dataset
from paincast.training.internal_validation import explain_not_measured
from paincast.training.provenance import describe_patients, list_facts
from paincast.training.rounding import round_trained
from paincast.training.task import TrainedModel
from paincast.training_set import TrainingSet


def gather_model_run(
    trained: TrainedModel,
    data: TrainingSet,
    settings: TrainingSettings,
) -> ModelRun:
    """Gather parameters, figures, tables and notes of a model.

    Parameters
    ----------
    trained : TrainedModel
        The model with its evaluation.
    data : TrainingSet
        The training set.
    settings : TrainingSettings
        How it was trained.

    Returns
    -------
    ModelRun
    """
    simulated = data.cohort.basis == "synthetic"
    trained = trained if simulated else round_trained(trained)
    predictor = trained.predictor
    response = predictor.response
    validation = trained.validation or explain_not_measured(settings.evaluation, data.outcome.kind)
    measured, few_lost = trained.instability, is_small(int((~data.known).sum()))
    pictures = draw_figures(
        Results(
            explanation=trained.explanation,
            basis=predictor.basis,
            simulated=simulated,
            review=trained.review,
            tables={
                "metrics": trained.metrics,
                **({} if trained.curve is None else {"calibration_curve": trained.curve}),
                **({} if few_lost else {"tipping_point": trained.tipping_point}),
                **({} if measured is None else {"instability": measured.metrics, "instability_bins": measured.bins}),
                **({"histogram": trained.assessment.histogram} if trained.assessment else {}),
                **(trained.assessment.list_tables() if trained.assessment else {}),
                **validation.tables,
            },
        )
    )
    run = ModelRun(
        technique=predictor.technique,
        outcome=predictor.outcome,
        horizon_months=predictor.horizon_months,
        model_kind=response.kind,
        basis=predictor.basis,
        n_real=predictor.n_real,
        predictor=predictor,
        metrics=trained.metrics,
        instability=pd.DataFrame() if measured is None else measured.metrics,
        validation=validation.list_metrics(),
        dataset=summarize_dataset(data.cohort, f"{data.technique} ({predictor.basis})"),
        params=_list_parameters(trained, data, settings),
        figures={name: picture.figure for name, picture in pictures.items()},
        captions={name: picture.caption for name, picture in pictures.items()},
        tables={
            **_gather_tables(trained, few_lost=few_lost),
            VALIDATION: validation.parts,
            **validation.tables,
        },
        notes=_write_notes(trained, data, few_lost=few_lost),
        gate=settings.gate,
        write_report=write_report_folder,
    )
    return _add_review(run, predictor, data, settings)


def _list_parameters(trained: TrainedModel, data: TrainingSet, settings: TrainingSettings) -> dict[str, object]:
    predictor, response = trained.predictor, trained.predictor.response
    n_lost = int((~data.known).sum())
    return {
        **{f"model.{name}": value for name, value in response.parameters.items()},
        **_list_calibration(response),
        "evaluation.folds": settings.evaluation.folds,
        "evaluation.confidence": settings.evaluation.confidence,
        "evaluation.repeats": settings.evaluation.repeats if isinstance(response, ResponseModel) else 1,
        "evaluation.optimism": settings.evaluation.optimism,
        "evaluation.held_out": settings.evaluation.held_out,
        "observation.method": settings.observation.method,
        "observation.truncation": settings.observation.truncation,
        "uncertainty.confidence": predictor.level,
        "uncertainty.refits": _count_refits(response),
        "seed": settings.seed,
        "n_training": predictor.n_training,
        **({} if predictor.n_events is None else {"n_events": predictor.n_events}),
        "n_lost": FEW if is_small(n_lost) else n_lost,
        "effective_n": read_effective_size(trained.weights),
        **trained.further.params,
    }


def _add_review(run: ModelRun, predictor: Predictor, data: TrainingSet, settings: TrainingSettings) -> ModelRun:
    """Add the tables for the report, the model card and the checklists; the gate reads the checklists."""
    tables = {
        **run.tables,
        "characteristics": describe_patients(data),
        FACTS: list_facts(predictor, data, run.dataset, settings, run.notes),
        PICTURES: pd.DataFrame({"figure": list(run.captions), "shows": list(run.captions.values())}),
    }
    tags = {
        "technique": run.technique,
        "outcome": run.outcome,
        "horizon_months": f"{run.horizon_months:g}",
        "model_kind": run.model_kind,
        "basis": run.basis,
    }
    measured = {"metrics": run.metrics, "instability": run.instability}
    params = {name: str(value) for name, value in run.params.items()}
    known = RunContents(tags=tags, params=params, tables={**tables, **measured})
    return replace(run, tables={**tables, CHECKLIST: fill_checklists(known, settings.statements, run.figures)})


def _write_notes(trained: TrainedModel, data: TrainingSet, *, few_lost: bool) -> tuple[str, ...]:
    predictor, measured = trained.predictor, trained.instability
    lost = f"Lost to follow-up: {FEW}."
    months = format_label_months(count_label_months(data.labels))
    return (
        f"Asked: {data.outcome.denominator}. Follow-up: {data.outcome.horizon_rule}.",
        *((f"Month {data.horizon_months:g} was {months}.",) if months else ()),
        *_note_instruments(data),
        *(() if trained.sample_size is None else (describe_precision(predictor, trained.sample_size),)),
        lost if few_lost else describe_loss(trained.weights, trained.loss, trained.tipping_point),
        *(() if measured is None else (describe_refits(measured.metrics),)),
        *trained.further.notes,
    )


def _note_instruments(data: TrainingSet) -> tuple[str, ...]:
    """Tell how many patients were answered by each instrument, and whether published evidence holds for them."""
    counted = format_instruments(count_instruments(data.labels))
    apart = (
        f"No published evidence is used: it counts {' or '.join(data.outcome.evidence_measures)}, not "
        f"{', '.join(data.unmatched)}."
    )
    return (
        *((f"The outcome was {counted}; each patient by one instrument.",) if counted else ()),
        *((apart,) if data.unmatched else ()),
    )


def _gather_tables(trained: TrainedModel, *, few_lost: bool) -> dict[str, pd.DataFrame]:
    predictor, measured = trained.predictor, trained.instability
    tipping = trained.tipping_point
    return {
        "flow": suppress_small_steps(trained.flow),
        **({} if trained.sample_size is None else {"sample_size": trained.sample_size}),
        "selection": predictor.response.selection.to_frame(),
        **({} if trained.curve is None else {"calibration_curve": trained.curve}),
        "importance": trained.review.importance,
        "dependence": trained.review.dependence,
        "loss_to_follow_up": trained.loss,
        "observation_weights": suppress_small_loss(trained.weights),
        **({"tipping_point": tipping} if len(tipping) and not few_lost else {}),
        **(trained.assessment.list_tables() if trained.assessment else {}),
        **({} if measured is None else {"instability_bins": measured.bins}),
        **trained.further.tables,
    }


def _list_calibration(response: Response) -> dict[str, object]:
    if not isinstance(response, ResponseModel):
        return {}
    state = write_calibration(response.calibration)
    return {f"calibration.{name}": value for name, value in state.items() if isinstance(value, str | int | float)}


def _count_refits(response: Response) -> int:
    if isinstance(response, ChangeResponse):
        return 0
    if isinstance(response, CumulativeChangeResponse):
        response = response.response
    return len(response.refits if isinstance(response, ResponseModel) else response.model.refits)


def read_effective_size(weights: pd.DataFrame) -> float:
    """Read the effective sample size from a summary of weights."""
    return float(weights.set_index("measure")["value"]["effective sample size"])
