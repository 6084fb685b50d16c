"""Train on published evidence and real episodes together: fit the ladder, evaluate it and describe it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.cohort.tables import Cohort, conform, load_cohort
from paincast.errors import DataError, RefusalError
from paincast.evaluation.validation.levels import compare_levels
from paincast.evidence import load_sources, simulated_records
from paincast.evidence.figures import PublishedRate
from paincast.models.binary.response import fit_response_model, require_both_classes
from paincast.models.binary.selection import Sample
from paincast.models.binary.surroundings import make_surroundings
from paincast.models.observation_weights import fit_observation_weights
from paincast.models.updating.ladder import CrossFittedLadder, FittedLadder, cross_fit_ladder, fit_ladder
from paincast.models.updating.prior_evidence import (
    AVERAGE,
    EVIDENCE,
    OVERALL_RISK,
    REAL,
    Evidence,
    make_model_evidence,
    make_no_evidence,
    make_rate_evidence,
)
from paincast.schema import TECHNIQUES, model_columns
from paincast.settings import OutcomeSettings, TrainingSettings
from paincast.simulator import simulate_cohort
from paincast.training.evaluation import evaluate_linear_predictor
from paincast.training.finish import FittedModel
from paincast.training.kinds.binary import validate_task
from paincast.training.kinds.published import counted_in, find_nearest_rate, list_fitting_rates
from paincast.training.kinds.refit import LadderRefit
from paincast.training.task import EVALUATING, FITTING, Further, Task
from paincast.training_set import TrainingSet, make_training_set

FloatArray = npt.NDArray[np.float64]

MINIMUM_RECORDED = 0.5
"""Minimum share of real episodes that record a column for the evidence model to use it."""


def open_real_cohort(path: str) -> Cohort:
    """Load the real episodes of a ladder.

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
    if not cohort.episodes["technique"].isin(TECHNIQUES).any():
        raise RefusalError(
            f"cohort.real={path} has no episode of a technique that can be modelled; {cohort.describe_techniques()}",
            code="PC-TRAINING-02",
        )
    return cohort


def fit_blended(task: Task) -> FittedModel:
    """Choose a level of the ladder on real episodes; cross-fit and fit its model.

    The metrics are computed on patients who were used neither to choose the level nor to fit its model.

    Parameters
    ----------
    task : Task
        Technique and outcome, with the real episodes.

    Returns
    -------
    FittedModel
    """
    data, settings = task.data, task.settings
    evidence_rng, evaluation_rng, fit_rng, metric_rng, table_rng, instability_rng = task.make_stream().spawn(6)
    progress = task.begin(EVALUATING)
    evidence = gather_evidence(data, settings, evidence_rng)
    crossed = cross_fit_ladder(evidence, data.episodes, data.observed, settings, evaluation_rng, progress=progress)
    task.begin(FITTING)
    fitted = fit_ladder(evidence, data.episodes, data.observed, settings, fit_rng)
    table = describe_levels(fitted, crossed, settings, table_rng)
    return FittedModel(
        response=fitted.response,
        evaluate=partial(evaluate_linear_predictor, task, crossed.chosen_linear_predictor.mean(axis=0), metric_rng),
        further=_gather_further(evidence, fitted, table, settings),
        stands_on=_describe_basis(evidence, fitted, data),
        validation=validate_task(task, LadderRefit(settings=settings, evidence=evidence)),
        instability_rng=instability_rng,
    )


def gather_evidence(data: TrainingSet, settings: TrainingSettings, rng: np.random.Generator) -> Evidence:
    """Gather the evidence on an outcome without using real outcomes.

    The evidence is a model of episodes simulated from publications, on the columns that the real set records. If
    nothing can be simulated, it is a published rate; if there is no rate that was counted in other data, it is empty.

    Parameters
    ----------
    data : TrainingSet
        The real episodes; their outcomes are not used.
    settings : TrainingSettings
        What to simulate and how to fit a model to it.
    rng : numpy.random.Generator
        Source of folds and sampling.
    """
    try:
        return _simulate_evidence(data, settings, rng)
    except RefusalError as refusal:
        return find_published_rate(data, settings, rng, because=str(refusal))


def _simulate_evidence(data: TrainingSet, settings: TrainingSettings, rng: np.random.Generator) -> Evidence:
    weight_rng, pool_rng, fit_rng = rng.spawn(3)
    wanted = settings.cohort
    cohort, _ = simulate_cohort(
        techniques=[data.technique],
        episodes_per_technique=wanted.episodes_per_technique,
        scenario=wanted.scenario,
        seed=wanted.seed,
    )
    outcome_settings = OutcomeSettings(
        name=data.outcome.name, horizon_months=data.horizon_months, window_months=list(data.window_months)
    )
    simulated = make_training_set(data.technique, cohort, data.outcome, outcome_settings)
    require_both_classes(simulated.observed, settings.model.minimum_events)
    episodes = keep_recorded(simulated.episodes, data.episodes)
    linear = replace(settings, model=replace(settings.model, candidates=["logistic"]))
    directed = data.outcome.follows_response
    around = make_surroundings(data.technique, episodes, {}, linear, pool_rng, directed=directed)
    response = fit_response_model(episodes, simulated.observed, linear, fit_rng, surroundings=around)
    known = simulated.known
    weights = fit_observation_weights(episodes, known, settings.observation, weight_rng)[known]
    sample = Sample(episodes=episodes.loc[known], outcome=simulated.observed[known], weights=weights)
    description = (
        f"a model of {int(known.sum())} episodes simulated from the published evidence ({wanted.scenario} scenario), "
        f"of whom {simulated.observed[known].mean():.0%} have the outcome{_warn_of_overlap(data)}"
    )
    return make_model_evidence(response, sample, description, cohort.sources)


def _warn_of_overlap(data: TrainingSet) -> str:
    """Tell whether the curves of the evidence count patients of the real set itself."""
    counted = {
        name
        for record in simulated_records(data.technique)
        if record.response
        for name in record.response.source
        if counted_in(name, data.cohort.sources)
    }
    names = ", ".join(sorted(counted))
    return f"; its curves count patients of this same set ({names}), who count twice" if counted else ""


def keep_recorded(simulated: pd.DataFrame, real: pd.DataFrame) -> pd.DataFrame:
    """Remove predictors that the real set does not record from simulated episodes, so that no model uses them."""
    names = [column.name for column in model_columns()]
    absent = [name for name in names if float(real[name].notna().mean()) < MINIMUM_RECORDED]
    return conform("episodes", simulated.drop(columns=absent)).set_index(simulated.index)


def find_published_rate(
    data: TrainingSet, settings: TrainingSettings, rng: np.random.Generator, *, because: str
) -> Evidence:
    """Find a published rate of the outcome in its window that was not counted in these data.

    Parameters
    ----------
    data : TrainingSet
        The real episodes, for their technique, outcome, window and sources.
    settings : TrainingSettings
        Number of refits.
    rng : numpy.random.Generator
        Source of the refits.
    because : str
        Why nothing could be simulated.
    """
    rate = find_nearest_rate(data)
    if rate is not None:
        return _take_rate(rate, settings, rng)
    n_same_data = len(list_fitting_rates(data))
    reason = (
        f"; {n_same_data} published rate(s) were counted in these same data"
        if n_same_data
        else "; no rate is published"
    )
    return make_no_evidence(f"no prior evidence: {because}{reason}")


def _take_rate(rate: PublishedRate, settings: TrainingSettings, rng: np.random.Generator) -> Evidence:
    citation = load_sources()[rate.source].citation
    description = f"the published rate of {rate.share:.0%} of {rate.n} at month {rate.month:g} ({citation})"
    return make_rate_evidence(
        rate.share, int(rate.n or 0), rng, description, sources=(citation,), refits=settings.uncertainty.refits
    )


def describe_levels(
    fitted: FittedLadder, crossed: CrossFittedLadder, settings: TrainingSettings, rng: np.random.Generator
) -> pd.DataFrame:
    """Describe every level: metrics with intervals, excess loss over the best, and how often it was chosen.

    Returns
    -------
    DataFrame
        Columns of :func:`paincast.evaluation.validation.levels.compare_levels`, then those of the comparison by which
        the level was chosen (``excess, excess_se, share, chosen``), and ``chosen_in_folds``: the share of the outer
        folds in which it was chosen.
    """
    sample, evaluation = fitted.rows.sample, settings.evaluation
    table = compare_levels(
        sample.outcome,
        fitted.ladder.linear_predictor,
        fitted.ladder.names,
        patients=sample.patients,
        rng=rng,
        weights=None if np.allclose(sample.weights, 1.0) else sample.weights,
        resamples=evaluation.resamples,
        confidence=evaluation.confidence,
        flat=(OVERALL_RISK,) if fitted.blended else (OVERALL_RISK, AVERAGE),
    )
    compared = fitted.ladder.table.drop(columns=["candidate", "kind", "log_loss"])
    counts = Counter(crossed.chosen)
    shares = [counts[name] / len(crossed.chosen) for name in crossed.names]
    return table.join(compared).assign(chosen_in_folds=shares)


def _describe_basis(evidence: Evidence, fitted: FittedLadder, data: TrainingSet) -> dict[str, object]:
    """Give the basis, sources and counts of the model of the chosen level."""
    chosen, n_known = fitted.ladder.chosen, int(data.known.sum())
    if chosen == EVIDENCE:
        n_events = int(evidence.outcome.sum())
        counts = {"n_training": len(evidence.outcome), "n_events": n_events, "n_real": 0}
        return {"basis": "synthetic", "sources": evidence.sources, **counts}
    if chosen in (OVERALL_RISK, REAL):
        return {"basis": "real", "n_real": n_known}
    return {"basis": "blended", "n_real": n_known, "sources": (*data.cohort.sources, *evidence.sources)}


def _gather_further(
    evidence: Evidence, fitted: FittedLadder, table: pd.DataFrame, settings: TrainingSettings
) -> Further:
    ladder, weight = fitted.ladder, fitted.blended.weights[0] if fitted.blended else None
    params: dict[str, object] = {
        "ladder.level": ladder.chosen,
        "ladder.method": settings.ladder.method,
        "ladder.folds": settings.ladder.folds,
        "ladder.repeats": settings.ladder.repeats,
        "ladder.standard_errors": settings.ladder.standard_errors,
        "ladder.n_synthetic": len(evidence.outcome) if evidence.response else 0,
    }
    if weight is not None:
        params["ladder.synthetic_weight"] = weight
        params["ladder.effective_synthetic_n"] = round(evidence.measure_size(weight), 2)
    return Further(params=params, tables={"ladder": table}, notes=(say_ladder(evidence, fitted, table),))


def say_ladder(evidence: Evidence, fitted: FittedLadder, table: pd.DataFrame) -> str:
    """Describe which level was chosen, what the evidence is, and the gain of each level over the first."""
    chosen = fitted.ladder.chosen
    if chosen == AVERAGE:
        parts = zip(fitted.level.members, fitted.level.shares, strict=True)
        chosen = f"average ({', '.join(f'{member.name} {share:.0%}' for member, share in parts)})"
    gains = [
        f"{row['level']} {row['gain']:+.3f} ({row['gain_lower']:+.3f} to {row['gain_upper']:+.3f})"
        for _, row in table.iloc[1:].iterrows()
    ]
    note = (
        f"Ladder: the level {chosen} was chosen among {', '.join(fitted.ladder.names)}. Evidence: {evidence.said}. "
        f"Gain in log loss over {fitted.ladder.names[0]}, cross-validated on real episodes: {', '.join(gains)}."
    )
    if fitted.blended is not None:
        weight = fitted.blended.weights[0]
        size = evidence.measure_size(weight)
        note += (
            f" Blended, a simulated episode weighs {weight:g} of a real one: together they count for {size:.3g} beside "
            f"{len(fitted.rows.sample.outcome)} real ones."
        )
    return note
