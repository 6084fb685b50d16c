"""Fit the model of the duration of relief; evaluate it at the horizon and over all months."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.disclosure.rounding import FEW, round_count
from paincast.disclosure.suppression import is_small
from paincast.disclosure.survival import choose_months, suppress_months, suppress_ratios
from paincast.errors import RefusalError
from paincast.evaluation.survival.curves import compute_kaplan_meier
from paincast.evaluation.survival.duration import compute_duration_metrics
from paincast.models.observation_weights import fit_observation_weights
from paincast.models.survival.duration import (
    CrossFittedDurations,
    DurationModel,
    compute_log_odds,
    cross_fit_durations,
    fit_duration_model,
    require_durations,
)
from paincast.models.survival.hazard import choose_cuts
from paincast.models.survival.response import make_duration_response
from paincast.outcomes.labels import DIED, LOST_RELIEF
from paincast.training.evaluation import Evaluation, evaluate_linear_predictor
from paincast.training.finish import FittedModel
from paincast.training.kinds.reasons import withhold_reasons
from paincast.training.task import EVALUATING, FITTING, Further, Task

FloatArray = npt.NDArray[np.float64]


def fit_duration(task: Task) -> FittedModel:
    """Cross-fit and fit the model of how long relief lasts.

    At the horizon, the probability that relief lasts is evaluated like that of a binary outcome, on patients alive and
    followed up to then. Over all modelled visits, the curves are evaluated on all patients who were seen. Weights
    account for those never seen; they depend on who was seen, not on the outcome, and are the same in all folds.

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
        If too few lost relief or too few did not, or if no modelled visit covers the horizon.
    """
    data, settings = task.data, task.settings
    weight_rng, evaluation_rng, fit_rng, metric_rng = task.make_stream().spawn(4)
    months, status = data.durations
    seen = np.isfinite(months)
    weights = fit_observation_weights(data.episodes, seen, settings.observation, weight_rng, contract=data.contract)
    require_durations(months[seen], status[seen], settings.duration)
    cuts = choose_cuts(months[seen], status[seen], settings.duration.minimum_interval_events)
    without_refits = replace(settings.duration, refits=0)

    def fit_fold(
        train: pd.DataFrame, months: FloatArray, status: FloatArray, weights: FloatArray, rng: np.random.Generator
    ) -> DurationModel:
        return fit_duration_model(
            train, months, status, without_refits, rng, weights, cuts=cuts, contract=data.contract
        )

    crossed = cross_fit_durations(
        data.episodes,
        months,
        status,
        fit_fold,
        evaluation_rng,
        cuts=cuts,
        folds=settings.evaluation.folds,
        weights=weights,
        progress=task.begin(EVALUATING),
    )
    visit = find_visit(crossed.months, data.horizon_months)
    task.begin(FITTING)
    model = fit_duration_model(
        data.episodes, months, status, settings.duration, fit_rng, weights, cuts=cuts, contract=data.contract
    )
    response = make_duration_response(model, data.episodes.loc[seen], weights[seen], data.horizon_months)
    return FittedModel(
        response=withhold_reasons(
            response, task, find_log_odds(crossed, visit), required=-settings.model.standard_errors
        ),
        evaluate=partial(evaluate_duration, task, crossed, seen, visit, metric_rng),
        further=describe_course(task, crossed, seen),
    )


def evaluate_duration(
    task: Task,
    crossed: CrossFittedDurations,
    seen: npt.NDArray[np.bool_],
    visit: int,
    rng: np.random.Generator,
) -> Evaluation:
    """Evaluate out-of-fold curves: at the visit of the horizon like a binary outcome, and over all months."""
    evaluation = evaluate_linear_predictor(task, find_log_odds(crossed, visit), rng)
    course = evaluate_course(task, crossed, seen)
    return replace(evaluation, metrics=pd.concat([evaluation.metrics, course], ignore_index=True))


def find_log_odds(crossed: CrossFittedDurations, visit: int) -> FloatArray:
    """Return the out-of-fold log odds that relief lasts beyond a visit, shape (n,)."""
    return compute_log_odds(crossed.survival[:, visit])


def find_visit(months: tuple[float, ...], horizon_months: float) -> int:
    """Find the last modelled visit that is not after the horizon.

    Raises
    ------
    RefusalError
        If the horizon lies before the first visit or after the last one.

    Examples
    --------
    >>> find_visit((1.0, 3.0, 6.0), 4.0)
    1
    """
    if not months[0] <= horizon_months <= months[-1]:
        raise RefusalError(
            f"enough lost relief to model it from month {months[0]:g} to {months[-1]:g}; month {horizon_months:g} is "
            "outside; set outcome.horizon_months to a month within",
            code="PC-TRAINING-03",
        )
    return int(np.searchsorted(months, horizon_months, side="right")) - 1


def evaluate_course(task: Task, crossed: CrossFittedDurations, seen: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Evaluate the out-of-fold curves of those seen; death is a competing event if some died with relief."""
    data = task.data
    months, status = (part[seen] for part in data.durations)
    competes = bool((status == DIED).any())
    survival = 1.0 - crossed.lost if competes else crossed.survival
    reference = 1.0 - crossed.lost_of_all if competes else crossed.survival_of_all
    if len(crossed.months) < 2:
        return pd.DataFrame()
    metrics = compute_duration_metrics(
        months,
        status,
        survival[seen],
        crossed.months,
        data.episodes.loc[seen, "patient_id"].to_numpy(object),
        reference=reference[seen],
        calibration_months=crossed.months,
        death_competes=competes,
        confidence=task.settings.evaluation.confidence,
    )
    return metrics if data.cohort.basis == "synthetic" else suppress_ratios(metrics, _list_told(task, crossed, seen))


def _list_told(task: Task, crossed: CrossFittedDurations, seen: npt.NDArray[np.bool_]) -> list[float]:
    months, status = (part[seen] for part in task.data.durations)
    return choose_months(months, status, list(crossed.months), event=LOST_RELIEF)


def describe_course(task: Task, crossed: CrossFittedDurations, seen: npt.NDArray[np.bool_]) -> Further:
    """Describe the course of relief: observed and predicted curves, and the months that are modelled."""
    months, status = (part[seen] for part in task.data.durations)
    curve = compute_kaplan_meier(months, status, crossed.months, task.settings.evaluation.confidence)
    predicted = crossed.survival[seen].mean(axis=0)
    real, n_died, n_seen = task.data.cohort.basis != "synthetic", int((status == DIED).sum()), int(seen.sum())
    course = curve.assign(predicted=predicted)
    deaths, counted = str(n_died), str(n_seen)
    if real:
        course, counted = suppress_months(course, _list_told(task, crossed, seen)), f"about {round_count(n_seen)}"
        deaths = FEW if is_small(n_died) else deaths
    note = (
        f"Relief is modelled at months {', '.join(f'{month:g}' for month in crossed.months)}, on {counted} "
        "episodes seen after the procedure; the metrics at the horizon are of those alive and followed to it"
    )
    competing = f"; {deaths} died with relief, and the curves are evaluated with death competing." if n_died else "."
    return Further(
        params={"n_seen": counted, "n_died": deaths},
        tables={"course": course},
        notes=(note + competing,),
    )
