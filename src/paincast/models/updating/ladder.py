"""The ladder from what evidence says to what real patients say: which level real rows can carry.

The choice is made on real rows alone: levels that hold evidence are averaged by how well each predicts in repeated
grouped cross-validation, and are left for real rows alone only where these show that they are better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from paincast.models.binary.response import ResponseModel, fit_response_model, require_both_classes
from paincast.models.choice import compare_losses, find_simplest, share_by_likelihood
from paincast.models.observation_weights import fit_observation_weights
from paincast.models.updating.level_model import make_level_model
from paincast.models.updating.levels import (
    Level,
    Rows,
    average_levels,
    fit_level,
    make_real_settings,
    make_rows,
)
from paincast.models.updating.prior_evidence import (
    AVERAGE,
    BLENDED,
    REAL,
    Evidence,
)
from paincast.progress import SILENT, Progress
from paincast.settings import TrainingSettings
from paincast.splits import count_smaller_class, spread_folds
from paincast.statistics import compute_log_loss

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The levels compared on real rows, and the one chosen.

    Parameters
    ----------
    names : tuple of str
        Levels, the one that stands most on evidence first.
    position : int
        Place of the chosen one.
    linear_predictor : ndarray of shape (n_levels, n_repeats, n)
        Cross-fitted log odds of the real rows with a known outcome; each level wholly refitted in every fold.
    table : DataFrame
        One row per level: ``candidate, kind, log_loss, excess, excess_se, share, chosen``.
    shares : ndarray of shape (n_levels,)
        Part of each level in the average; 0 where none is made.
    """

    names: tuple[str, ...]
    position: int
    linear_predictor: FloatArray
    table: pd.DataFrame
    shares: FloatArray

    @property
    def chosen(self) -> str:
        """Name the chosen level."""
        return self.names[self.position]


@dataclass(frozen=True, kw_only=True)
class FittedLadder:
    """A ladder and the model of its chosen level.

    Parameters
    ----------
    ladder : Ladder
        The comparison.
    response : ResponseModel
        The model of the chosen level, with refits.
    level : Level
        The chosen level, fitted to all real rows.
    blended : Level or None
        The level ``blended`` fitted to all real rows, for its weight; None where nothing is simulated.
    rows : Rows
        The real rows with a known outcome.
    """

    ladder: Ladder
    response: ResponseModel
    level: Level
    blended: Level | None
    rows: Rows


@dataclass(frozen=True, kw_only=True)
class CrossFittedLadder:
    """Every level, and the level that was chosen without them, for rows held out of both.

    Parameters
    ----------
    names : tuple of str
        Levels.
    linear_predictor : ndarray of shape (n_levels, n_repeats, n)
        Log odds by each level.
    chosen_linear_predictor : ndarray of shape (n_repeats, n)
        Log odds by the level chosen on the other rows.
    chosen : tuple of str
        The level chosen in each fold of each repeat.
    """

    names: tuple[str, ...]
    linear_predictor: FloatArray
    chosen_linear_predictor: FloatArray
    chosen: tuple[str, ...]


def climb_ladder(
    evidence: Evidence, rows: Rows, settings: TrainingSettings, rng: np.random.Generator, *, jobs: int = 1
) -> Ladder:
    """Compare the levels on real rows and choose one.

    The average is that of every level but ``real``, with shares in proportion to their cross-validated likelihoods to
    the power of ``settings.ladder.averaging`` (the log odds of a logarithmic opinion pool [1]_); a sole member stands
    for itself. ``real`` is chosen over it where its log loss, each row's being its mean over repeats, is lower by more
    than ``settings.ladder.standard_errors`` standard errors of the paired difference between patients.

    Parameters
    ----------
    evidence : Evidence
        What is known beforehand.
    rows : Rows
        Real rows with a known outcome.
    settings : TrainingSettings
        Ladder, and all that is repeated in its folds.
    rng : numpy.random.Generator
        Source of folds.
    jobs : int
        Processes.

    Returns
    -------
    Ladder

    References
    ----------
    .. [1] Genest C, Zidek JV. Combining probability distributions. Stat Sci 1986;1:114-35. doi:10.1214/ss/1177013825
    """
    sample = rows.sample
    if count_smaller_class(sample.outcome, sample.patients) < 2:
        return _stay(evidence, rows, settings)
    tasks = [
        (repeat, train, test, child)
        for repeat, repeat_rng in enumerate(rng.spawn(settings.ladder.repeats))
        for (train, test), child in spread_folds(sample.outcome, sample.patients, settings.ladder.folds, repeat_rng)
    ]
    held_out = Parallel(n_jobs=jobs)(
        delayed(_predict_levels)(evidence, rows.take(train), rows.take(test), settings, child)
        for _, train, test, child in tasks
    )
    linear_predictor = np.zeros((len(evidence.levels), settings.ladder.repeats, len(sample.outcome)))
    for (repeat, _, test, _), predicted in zip(tasks, held_out, strict=True):
        linear_predictor[:, repeat, test] = predicted
    names, shares = list_names(evidence), np.zeros(len(evidence.levels))
    if AVERAGE in names:
        losses = compute_log_loss(linear_predictor[:-1], sample.outcome).mean(axis=1)
        found = share_by_likelihood(losses @ sample.weights, settings.ladder.averaging)
        linear_predictor, shares = insert_average(linear_predictor, found), np.append(found, [0.0, 0.0])
    losses = compute_log_loss(linear_predictor, sample.outcome).mean(axis=1)
    table = compare_losses(losses, weights=sample.weights, groups=sample.patients)
    last = compare_losses(losses[-2:], weights=sample.weights, groups=sample.patients)
    position = len(names) - 2 + find_simplest(last, settings.ladder.standard_errors)
    if names[position] == AVERAGE and np.count_nonzero(shares) == 1:
        position = int(np.argmax(shares))
    table["share"] = shares
    table.insert(0, "candidate", list(names))
    table.insert(1, "kind", "logistic")
    table["chosen"] = table.index == position
    return Ladder(names=names, position=position, linear_predictor=linear_predictor, table=table, shares=shares)


def list_names(evidence: Evidence) -> tuple[str, ...]:
    """Name what is compared: the levels and, before the last, the average of the others where there are several."""
    levels = evidence.levels
    return (*levels[:-1], AVERAGE, REAL) if len(levels) > 2 else levels


def insert_average(linear_predictor: FloatArray, shares: FloatArray) -> FloatArray:
    """Put the average of all levels but the last before the last.

    Examples
    --------
    >>> insert_average(np.array([[0.0], [1.0], [5.0]]), np.array([0.25, 0.75])).ravel().tolist()
    [0.0, 1.0, 0.75, 5.0]
    """
    return np.concatenate(
        [linear_predictor[:-1], np.tensordot(shares, linear_predictor[:-1], 1)[None], linear_predictor[-1:]]
    )


def _stay(evidence: Evidence, rows: Rows, settings: TrainingSettings) -> Ladder:
    """Keep the first level where a class of one patient allows no comparison."""
    names = list_names(evidence)
    nothing = np.full(len(names), np.nan)
    table = pd.DataFrame({"candidate": list(names), "kind": "logistic"})
    return Ladder(
        names=names,
        position=0,
        linear_predictor=np.full((len(names), settings.ladder.repeats, len(rows.sample.outcome)), np.nan),
        table=table.assign(log_loss=nothing, excess=nothing, excess_se=nothing, chosen=table.index == 0),
        shares=np.eye(len(names))[0],
    )


def _predict_levels(
    evidence: Evidence, train: Rows, test: Rows, settings: TrainingSettings, rng: np.random.Generator
) -> FloatArray:
    streams = rng.spawn(len(evidence.levels))
    with threadpool_limits(limits=1):
        fitted = [
            fit_level(name, evidence, train, settings, child)
            for name, child in zip(evidence.levels, streams, strict=True)
        ]
    return np.array([level.linear_predictor(test) for level in fitted])


def fit_ladder(
    evidence: Evidence,
    episodes: pd.DataFrame,
    outcome: FloatArray,
    settings: TrainingSettings,
    rng: np.random.Generator,
) -> FittedLadder:
    """Choose a level on real episodes and fit its model.

    Parameters
    ----------
    evidence : Evidence
        What is known beforehand.
    episodes : DataFrame of shape (n, ...)
        All real episodes of whom the outcome is asked.
    outcome : ndarray of shape (n,)
        0 or 1; NaN where follow-up is missing: those seen are weighted to stand for those lost.
    settings : TrainingSettings
        How.
    rng : numpy.random.Generator
        Source of folds and of patient weights.

    Raises
    ------
    RefusalError
        If one class of the outcome is too small.
    """
    require_both_classes(outcome, settings.model.minimum_events)
    weight_rng, climb_rng, level_rng, blend_rng, refit_rng = rng.spawn(5)
    rows = _weigh(evidence, episodes, outcome, settings, weight_rng)
    ladder = climb_ladder(evidence, rows, settings, climb_rng, jobs=settings.jobs)
    chosen, linear_predictor = ladder.chosen, ladder.linear_predictor[ladder.position].mean(axis=0)
    with threadpool_limits(limits=1):
        blended = fit_level(BLENDED, evidence, rows, settings, blend_rng) if BLENDED in ladder.names else None
        level = _fit_chosen(evidence, rows, ladder, settings, level_rng, blended)
    if chosen == REAL:
        response = fit_response_model(episodes, outcome, make_real_settings(settings), refit_rng)
        response = replace(response, selection=ladder.table)
    else:
        with threadpool_limits(limits=1):
            response = make_level_model(evidence, level, rows, linear_predictor, ladder.table, settings, refit_rng)
    return FittedLadder(ladder=ladder, response=response, level=level, blended=blended, rows=rows)


def _fit_chosen(
    evidence: Evidence,
    rows: Rows,
    ladder: Ladder,
    settings: TrainingSettings,
    rng: np.random.Generator,
    blended: Level | None,
) -> Level:
    def fit(name: str) -> Level:
        return blended if blended and name == BLENDED else fit_level(name, evidence, rows, settings, rng)

    if ladder.chosen != AVERAGE:
        return fit(ladder.chosen)
    members = [fit(name) for name in evidence.levels[:-1]]
    return average_levels(members, ladder.shares[: len(members)])


def _weigh(
    evidence: Evidence,
    episodes: pd.DataFrame,
    outcome: FloatArray,
    settings: TrainingSettings,
    rng: np.random.Generator,
) -> Rows:
    known = ~np.isnan(outcome)
    weights = fit_observation_weights(episodes, known, settings.observation, rng)[known]
    return make_rows(evidence, episodes.loc[known], outcome[known], weights)


def cross_fit_ladder(
    evidence: Evidence,
    episodes: pd.DataFrame,
    outcome: FloatArray,
    settings: TrainingSettings,
    rng: np.random.Generator,
    *,
    progress: Progress = SILENT,
) -> CrossFittedLadder:
    """Predict every real episode by a level that was chosen and fitted without its patient, and by each level.

    Parameters are those of :func:`fit_ladder`; ``settings.evaluation`` gives folds and repeats of the outer loop. Those
    lost to follow-up are predicted too. ``progress`` is advanced by each fold.
    """
    require_both_classes(outcome, settings.model.minimum_events)
    patients = episodes["patient_id"].to_numpy(object)
    repeats = settings.evaluation.repeats
    tasks = [
        (repeat, train, test, child)
        for repeat, repeat_rng in enumerate(rng.spawn(repeats))
        for (train, test), child in spread_folds(outcome, patients, settings.evaluation.folds, repeat_rng)
    ]
    running = Parallel(n_jobs=settings.jobs, return_as="generator")(
        delayed(climb_and_predict)(evidence, episodes.iloc[train], outcome[train], episodes.iloc[test], settings, child)
        for _, train, test, child in tasks
    )
    progress.expect(len(tasks))
    held_out = []
    for predicted in running:
        held_out.append(predicted)
        progress.advance()
    names = list_names(evidence)
    linear_predictor = np.zeros((len(names), repeats, len(outcome)))
    chosen_linear_predictor = np.zeros((repeats, len(outcome)))
    for (repeat, _, test, _), (position, levels) in zip(tasks, held_out, strict=True):
        linear_predictor[:, repeat, test] = levels
        chosen_linear_predictor[repeat, test] = levels[position]
    chosen = tuple(names[position] for position, _ in held_out)
    return CrossFittedLadder(
        names=names, linear_predictor=linear_predictor, chosen_linear_predictor=chosen_linear_predictor, chosen=chosen
    )


def climb_and_predict(
    evidence: Evidence,
    train: pd.DataFrame,
    outcome: FloatArray,
    test: pd.DataFrame,
    settings: TrainingSettings,
    rng: np.random.Generator,
) -> tuple[int, FloatArray]:
    """Choose a level on some real episodes and predict others by every level: the place of the one chosen, log odds.

    Parameters are those of :func:`fit_ladder`; ``test``, of shape (m, ...), is predicted. The log odds are of shape
    (n_levels, m).
    """
    weight_rng, climb_rng, level_rng = rng.spawn(3)
    rows = _weigh(evidence, train, outcome, settings, weight_rng)
    held_out = make_rows(evidence, test, np.full(len(test), np.nan), np.ones(len(test)))
    ladder = climb_ladder(evidence, rows, settings, climb_rng)
    predicted = _predict_levels(evidence, rows, held_out, settings, level_rng)
    if AVERAGE in ladder.names:
        predicted = insert_average(predicted, ladder.shares[: len(predicted) - 1])
    return ladder.position, predicted
