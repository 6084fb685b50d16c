"""Train on published evidence and patients: gather a prior, update it by the patients and describe the result.

Without real patients the model is the evidence and its disagreement; simulated patients evaluate it and teach it
nothing, so that their number does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.cohort.tables import Cohort, load_cohort
from paincast.errors import DataError, RefusalError
from paincast.evidence import load_sources, simulated_records
from paincast.models.binary.response import ResponseModel
from paincast.models.cross_fitting import cross_fit
from paincast.models.prior.response import PriorFit, fit_served_with_prior, predict_with_prior
from paincast.settings import TrainingSettings
from paincast.training.evaluation import evaluate_linear_predictor
from paincast.training.finish import FittedModel
from paincast.training.kinds.binary import fit_binary, validate_task
from paincast.training.kinds.prior import GatheredPrior, Provenance, gather_evidence_prior, gather_prior
from paincast.training.kinds.published import counted_in
from paincast.training.kinds.reasons import withhold_reasons
from paincast.training.kinds.refit import NoRefit, PriorRefit
from paincast.training.task import EVALUATING, FITTING, Further, Task
from paincast.training_set import TrainingSet

FloatArray = npt.NDArray[np.float64]


def open_real_cohort(path: str) -> Cohort:
    """Load the real episodes that update the evidence.

    Parameters
    ----------
    path : str
        Folder written by ``paincast ingest``.

    Returns
    -------
    Cohort

    Raises
    ------
    DataError
        If the folder is not a cohort, or has episodes that are not real.
    RefusalError
        If no episode has a modelled technique.
    """
    cohort = load_cohort(path)
    if cohort.basis != "real":
        raise DataError(
            f"cohort.real={path} holds {len(cohort.episodes)} {cohort.basis} episodes; cohort=blended needs real ones, "
            f"as 'paincast ingest' writes them; to train on these use cohort=folder cohort.path={path}",
            code="PC-TRAINING-01",
        )
    if not cohort.episodes["technique"].isin(cohort.contract.techniques).any():
        raise RefusalError(
            f"cohort.real={path} has no episode of a technique that can be modelled; {cohort.describe_techniques()}",
            code="PC-TRAINING-02",
        )
    return cohort


def starts_from_evidence(settings: TrainingSettings) -> bool:
    """Tell whether models of binary outcomes start from published evidence where there is any."""
    return settings.cohort.source == "blended" or (settings.model.prior and "logistic" in settings.model.candidates)


def is_drawn_from_evidence(cohort: Cohort, settings: TrainingSettings) -> bool:
    """Tell whether episodes were simulated from the evidence as it is, and not to rehearse a registry."""
    simulated = cohort.basis == "synthetic" and not cohort.details.get("changed_assumptions")
    return simulated and not settings.cohort.rehearse


def stands_for_evidence(cohort: Cohort, settings: TrainingSettings) -> bool:
    """Tell whether simulated episodes stand for the evidence they were drawn from, not for patients.

    They stand for patients in a rehearsal, and where they were simulated under other assumptions than the evidence is
    drawn under.
    """
    return is_drawn_from_evidence(cohort, settings) and starts_from_evidence(settings)


def fit_with_evidence(task: Task) -> FittedModel:
    """Serve the evidence, updated by patients where there are any; where there is no evidence, the patients alone.

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
        If one class of the outcome is too small.
    """
    (gather_rng,) = task.make_stream("prior").spawn(1)
    if task.settings.cohort.source == "blended":
        return _fit_patients(task, gather_prior(task.data, task.settings, gather_rng))
    try:
        gathered = gather_evidence_prior(task.data, task.settings, gather_rng)
    except RefusalError:
        return fit_binary(task)
    if stands_for_evidence(task.data.cohort, task.settings):
        return _fit_evidence(task, gathered)
    # A level alone is less than what other techniques of the cohort tell of who fares better.
    return _fit_patients(task, gathered) if gathered.prior.has_effects else fit_binary(task)


def _fit_evidence(task: Task, gathered: GatheredPrior) -> FittedModel:
    """Serve a prior without patients; the simulated ones only evaluate it."""
    data = task.data
    metric_rng, instability_rng = task.make_stream().spawn(2)
    fit, response = fit_prior_model(task, gathered)
    return FittedModel(
        response=response,
        evaluate=partial(evaluate_linear_predictor, task, response.linear_predictor(data.episodes), metric_rng),
        further=gather_beliefs(gathered, fit.posterior.weights, seen=False),
        validation=validate_task(task, NoRefit(response=response)),
        instability_rng=instability_rng,
    )


def fit_prior_model(task: Task, gathered: GatheredPrior) -> tuple[PriorFit, ResponseModel]:
    """Fit the served model of a binary outcome: a prior, updated by patients unless these only stand for it.

    It has random streams of its own, so that the change of pain follows from the very model of half relief.
    """
    data, settings = task.data, task.settings
    fit_rng, draw_rng = task.make_stream("fit").spawn(2)
    task.begin(FITTING)
    learns = not stands_for_evidence(data.cohort, settings)
    episodes, outcome = (data.episodes, data.observed) if learns else (data.episodes.iloc[:0], np.empty(0))
    individual = data.cohort.basis == "synthetic"
    streams = fit_rng, draw_rng
    return fit_served_with_prior(gathered.prior, episodes, outcome, settings, streams, individual=individual)


def _fit_patients(task: Task, gathered: GatheredPrior) -> FittedModel:
    """Update a prior by patients; cross-fit it on them."""
    data, settings = task.data, task.settings
    evaluation_rng, metric_rng, instability_rng = task.make_stream().spawn(3)
    predict = partial(predict_with_prior, prior=gathered.prior, settings=settings)
    crossed = cross_fit(
        predict, data.episodes, data.observed, settings, evaluation_rng, progress=task.begin(EVALUATING)
    )
    fit, response = fit_prior_model(task, gathered)
    return FittedModel(
        response=withhold_reasons(response, task, crossed.linear_predictor, required=-settings.model.standard_errors),
        evaluate=partial(evaluate_linear_predictor, task, crossed.linear_predictor, metric_rng, crossed=crossed),
        further=gather_beliefs(gathered, fit.posterior.weights, seen=True, warning=warn_of_overlap(data)),
        stands_on=describe_basis(gathered, data) if data.cohort.basis != "synthetic" else {},
        validation=validate_task(task, PriorRefit(settings=settings, prior=gathered.prior)),
        instability_rng=instability_rng,
        encodes_real=not gathered.simulated,
    )


def describe_basis(gathered: Provenance, data: TrainingSet) -> dict[str, object]:
    """Describe what a model of a prior and real patients is based on."""
    n_known = int(data.known.sum())
    if not gathered.sources:
        return {"basis": "real", "n_real": n_known}
    sources = tuple(dict.fromkeys((*data.cohort.sources, *gathered.sources)))
    return {"basis": "blended", "n_real": n_known, "sources": sources}


def warn_of_overlap(data: TrainingSet) -> str:
    """Tell whether the curves of the evidence count patients of the real set itself."""
    try:
        records = simulated_records(data.evidence_technique)
    except RefusalError:
        return ""
    counted = {
        name
        for record in records
        if record.response
        for name in record.response.source
        if counted_in(name, data.cohort.sources)
    }
    citations = "; ".join(sorted(load_sources()[name].citation for name in counted))
    return f" The curves count patients of this same set, who count twice ({citations})." if counted else ""


def gather_beliefs(gathered: Provenance, weights: Mapping[str, float], *, seen: bool, warning: str = "") -> Further:
    """Describe a prior, and the weights of the beliefs that patients left."""
    listed = ", ".join(f"{name} {weight:.0%}" for name, weight in weights.items())
    when = "after the patients were seen" if seen else "no patient was seen"
    note = f"Prior: {gathered.description}.{warning} Weights of the beliefs, {when}: {listed}."
    return Further(
        params={f"prior.{name.replace(' ', '_')}": round(weight, 4) for name, weight in weights.items()},
        tables={"beliefs": pd.DataFrame({"belief": list(weights), "weight": list(weights.values())})},
        notes=(note,),
    )
