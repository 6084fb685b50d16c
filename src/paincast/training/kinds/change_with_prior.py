"""Train the change of pain on published evidence and patients: it follows from the model of half relief."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.errors import RefusalError
from paincast.models.binary.response import ResponseModel
from paincast.models.continuous.cumulative import CumulativeChangeResponse, make_cumulative_change
from paincast.models.observation_weights import fit_observation_weights
from paincast.models.prior.gaussian import EvidencePrior
from paincast.models.prior.response import fit_served_with_prior
from paincast.outcomes import OUTCOMES
from paincast.settings import TrainingSettings
from paincast.simulator.assumptions import Assumptions
from paincast.splits import spread_folds
from paincast.training.finish import FittedModel
from paincast.training.kinds.continuous import evaluate_change, fit_change
from paincast.training.kinds.prior import gather_evidence_prior
from paincast.training.kinds.with_prior import (
    describe_basis,
    fit_prior_model,
    gather_beliefs,
    stands_for_evidence,
    warn_of_overlap,
)
from paincast.training.task import EVALUATING, Task
from paincast.training_set import ask_again

FloatArray = npt.NDArray[np.float64]

HALF_RELIEF = OUTCOMES["pain_response"].answered_by(OUTCOMES["pain_change"].measures)


def fit_change_with_evidence(task: Task) -> FittedModel:
    """Serve the change that follows from the model of half relief; where nothing is published, patients alone.

    The model of half relief is the very one that is served for it: the same prior, patients and random streams.

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
        If nothing is published and too few episodes have a known change.
    """
    data, settings = task.data, task.settings
    response_task = replace(task, data=ask_again(data, HALF_RELIEF))
    (gather_rng,) = response_task.make_stream("prior").spawn(1)
    try:
        gathered = gather_evidence_prior(response_task.data, settings, gather_rng)
    except RefusalError:
        return fit_change(task)
    fit, response = fit_prior_model(response_task, gathered)
    asked = response_task.data
    by_id = pd.Series(data.observed, index=data.episodes["episode_id"])
    change = np.asarray(by_id.reindex(asked.episodes["episode_id"]), dtype=np.float64)
    weight_rng, evaluation_rng = task.make_stream().spawn(2)
    learns = not stands_for_evidence(data.cohort, settings)
    if learns:
        made = make_change(response, asked.episodes, change, settings)
    else:
        nobody = asked.episodes.iloc[:0]
        made = make_change(response, nobody, np.empty(0), settings, described=gathered.prior.episodes)
    crossed = made.answer(data.episodes, made.level)
    if learns:
        held_out = _cross_fit(response_task, gathered.prior, change, evaluation_rng)
        places = pd.Series(np.arange(len(data.episodes)), index=data.episodes["episode_id"])
        crossed.iloc[places[asked.episodes["episode_id"]].to_numpy()] = held_out.to_numpy()
    named = {"expected": "median", "expected_lower": "lower", "expected_upper": "upper"}
    crossed = crossed.rename(columns=named)[["lower", "median", "upper"]]
    weights = fit_observation_weights(
        data.episodes, data.known, settings.observation, weight_rng, contract=data.contract
    )
    warning = warn_of_overlap(data) if learns else ""
    real = data.cohort.basis != "synthetic"
    return FittedModel(
        response=made,
        evaluate=partial(evaluate_change, task, crossed, weights),
        further=gather_beliefs(gathered, fit.posterior.weights, seen=learns, warning=warning),
        stands_on={"level": made.level, **(describe_basis(gathered, data) if real else {})},
        encodes_real=not gathered.simulated,
    )


def make_change(
    response: ResponseModel,
    episodes: pd.DataFrame,
    change: FloatArray,
    settings: TrainingSettings,
    *,
    described: pd.DataFrame | None = None,
) -> CumulativeChangeResponse:
    """Make the change that follows from a model of half relief; ``described`` are by default the patients."""
    known = np.isfinite(change)
    return make_cumulative_change(
        response,
        episodes.loc[known],
        change[known],
        course=Assumptions().courses["pain_relief"],
        level=settings.change.confidence,
        described=episodes.loc[known] if described is None else described,
    )


def _cross_fit(task: Task, prior: EvidencePrior, change: FloatArray, rng: np.random.Generator) -> pd.DataFrame:
    """Predict every episode by a model that was not fitted on its patient; indexed like the episodes."""
    data, settings = task.data, task.settings
    individual = data.cohort.basis == "synthetic"
    patients = data.episodes["patient_id"].to_numpy(object)
    splits = spread_folds(data.observed, patients, settings.evaluation.folds, rng)
    progress = task.begin(EVALUATING)
    progress.expect(len(splits))
    parts = []
    for (train, test), child in splits:
        fit_rng, draw_rng = child.spawn(2)
        episodes, outcome = data.episodes.iloc[train], data.observed[train]
        streams = fit_rng, draw_rng
        _, response = fit_served_with_prior(prior, episodes, outcome, settings, streams, individual=individual)
        made = make_change(response, episodes, change[train], settings)
        parts.append(made.answer(data.episodes.iloc[test], made.level))
        progress.advance()
    return pd.concat(parts).loc[data.episodes.index]
