"""Train how long relief lasts on published evidence and patients."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from paincast.errors import RefusalError
from paincast.models.observation_weights import fit_observation_weights
from paincast.models.prior.durations import DurationPrior, fit_durations_with_prior, make_prior_duration_response
from paincast.models.survival.duration import (
    CrossFittedDurations,
    DurationModel,
    cross_fit_durations,
    fit_curve,
    predict_beside_curve,
    require_durations,
)
from paincast.models.survival.hazard import EARLIEST_VISIT, VISIT_MONTHS, choose_cuts
from paincast.settings import UncertaintySettings
from paincast.simulator.evidence_draws import list_months
from paincast.training.finish import FittedModel
from paincast.training.kinds.prior import GatheredDurationPrior, gather_duration_prior
from paincast.training.kinds.reasons import withhold_reasons
from paincast.training.kinds.survival import describe_course, evaluate_duration, find_log_odds, find_visit, fit_duration
from paincast.training.kinds.with_prior import describe_basis, gather_beliefs, stands_for_evidence, warn_of_overlap
from paincast.training.task import EVALUATING, FITTING, Further, Task

FloatArray = npt.NDArray[np.float64]


def fit_duration_with_evidence(task: Task) -> FittedModel:
    """Serve the evidence on durations, updated by patients where there are any; where there is none, patients alone.

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
        If no visit of evidence and patients covers the horizon, or nothing is published and patients are too few.
    """
    (gather_rng,) = task.make_stream("prior").spawn(1)
    try:
        visits = list_visits(task)
        visit = find_visit(visits, task.data.horizon_months)
        gathered = gather_duration_prior(task.data, visits, task.settings, gather_rng)
    except RefusalError:
        return fit_duration(task)
    if stands_for_evidence(task.data.cohort, task.settings):
        return _fit_evidence(task, gathered, visit)
    return _fit_patients(task, gathered, visit)


def list_visits(task: Task) -> tuple[float, ...]:
    """List the visits at which relief is modelled: those of the evidence that patients had.

    Simulated patients that stand for the evidence have all of them. Other patients had a visit if somebody lost relief
    at it; the last one up to the horizon counts also if somebody was followed to it and nobody did.

    Raises
    ------
    RefusalError
        If the technique has no response curve.
    """
    first, last = list_months(task.data.evidence_technique)
    published = tuple(month for month in VISIT_MONTHS if first <= month <= last)
    if stands_for_evidence(task.data.cohort, task.settings):
        return published
    months, status = _select_seen(task)
    had = set(choose_cuts(months, status, 1))
    up_to_horizon = [month for month in published if month <= task.data.horizon_months]
    if up_to_horizon and (months >= EARLIEST_VISIT * up_to_horizon[-1]).any():
        had.add(up_to_horizon[-1])
    return tuple(month for month in published if month in had)


def _fit_evidence(task: Task, gathered: GatheredDurationPrior, visit: int) -> FittedModel:
    """Serve a prior without patients; the simulated ones only evaluate it."""
    data, settings, prior = task.data, task.settings.uncertainty, gathered.duration
    weight_rng, draw_rng, metric_rng = task.make_stream().spawn(3)
    task.begin(FITTING)
    nobody, nothing = data.episodes.iloc[:0], np.empty(0)
    with threadpool_limits(limits=1):
        fit = fit_durations_with_prior(prior, nobody, nothing, nothing, nothing, settings, draw_rng)
        response = make_prior_duration_response(fit, prior.unexplained, nobody, data.horizon_months, settings)
    months, status = data.durations
    seen = np.isfinite(months)
    weights = fit_observation_weights(
        data.episodes, seen, task.settings.observation, weight_rng, contract=data.contract
    )
    curve = fit_curve(fit.model, months, status, weights)
    parts = predict_beside_curve(fit.model, curve, data.episodes)
    crossed = CrossFittedDurations(
        months=prior.months, survival=parts[0], survival_of_all=parts[1], lost=parts[2], lost_of_all=parts[3]
    )
    return FittedModel(
        response=response,
        evaluate=partial(evaluate_duration, task, crossed, seen, visit, metric_rng),
        further=_join(
            gather_beliefs(gathered, fit.posterior.weights, seen=False), describe_course(task, crossed, seen)
        ),
    )


def _fit_patients(task: Task, gathered: GatheredDurationPrior, visit: int) -> FittedModel:
    """Update a prior by patients; cross-fit it on them."""
    data, settings, prior = task.data, task.settings, gathered.duration
    require_durations(*_select_seen(task), settings.duration)
    weight_rng, evaluation_rng, draw_rng, metric_rng = task.make_stream().spawn(4)
    months, status = data.durations
    seen = np.isfinite(months)
    weights = fit_observation_weights(data.episodes, seen, settings.observation, weight_rng, contract=data.contract)
    crossed = cross_fit_durations(
        data.episodes,
        months,
        status,
        partial(_fit_fold, prior, settings.uncertainty),
        evaluation_rng,
        cuts=prior.months,
        folds=settings.evaluation.folds,
        weights=weights,
        progress=task.begin(EVALUATING),
    )
    task.begin(FITTING)
    real = data.cohort.basis != "synthetic"
    unexplained = np.zeros(len(prior.months)) if real else prior.unexplained
    with threadpool_limits(limits=1):
        fit = fit_durations_with_prior(prior, data.episodes, months, status, weights, settings.uncertainty, draw_rng)
        response = make_prior_duration_response(
            fit, unexplained, data.episodes.loc[seen], data.horizon_months, settings.uncertainty
        )
    beliefs = gather_beliefs(gathered, fit.posterior.weights, seen=True, warning=warn_of_overlap(data))
    return FittedModel(
        response=withhold_reasons(
            response, task, find_log_odds(crossed, visit), required=-settings.model.standard_errors
        ),
        evaluate=partial(evaluate_duration, task, crossed, seen, visit, metric_rng),
        further=_join(beliefs, describe_course(task, crossed, seen)),
        stands_on=describe_basis(gathered, data) if real else {},
        encodes_real=prior.prior.encodes_patients,
    )


def _select_seen(task: Task) -> tuple[FloatArray, FloatArray]:
    months, status = task.data.durations
    seen = np.isfinite(months)
    return months[seen], status[seen]


def _fit_fold(
    prior: DurationPrior,
    settings: UncertaintySettings,
    train: pd.DataFrame,
    months: FloatArray,
    status: FloatArray,
    weights: FloatArray,
    rng: np.random.Generator,
) -> DurationModel:
    with threadpool_limits(limits=1):
        return fit_durations_with_prior(prior, train, months, status, weights, settings, rng).model


def _join(one: Further, other: Further) -> Further:
    return Further(
        params={**one.params, **other.params},
        tables={**one.tables, **other.tables},
        notes=(*one.notes, *other.notes),
    )
