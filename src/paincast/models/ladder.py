"""The ladder from what evidence says to what real patients say: which level real rows can carry.

The choice is made on real rows alone, by repeated grouped cross-validation or by a closed test, and leans towards
evidence: a level further from it must show that it is better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import chi2
from threadpoolctl import threadpool_limits

from paincast.features import EpisodeEncoder
from paincast.models.candidates import count_smaller_class
from paincast.models.choice import compare_losses, find_simplest
from paincast.models.level_model import make_level_model
from paincast.models.levels import (
    Level,
    Rows,
    compute_losses,
    fit_level,
    make_real_settings,
    make_rows,
)
from paincast.models.observation import fit_observation_weights
from paincast.models.penalised import fit_penalised
from paincast.models.prior_evidence import (
    BLENDED,
    EVIDENCE,
    INTERCEPT,
    INTERCEPT_AND_SLOPE,
    OVERALL_RISK,
    REAL,
    Evidence,
)
from paincast.models.response import ResponseModel, fit_response_model, require_both_classes
from paincast.settings import TrainingSettings
from paincast.splits import spread_folds

FloatArray = npt.NDArray[np.float64]

TINY_PENALTY = 1e-6
"""Keeps a revision finite where predictors separate the classes; its log likelihood is then next to 0."""


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The levels compared on real rows, and the one chosen.

    Parameters
    ----------
    names : tuple of str
        Levels, the one that stands most on evidence first.
    position : int
        Place of the chosen one.
    margins : ndarray of shape (n_levels, n_repeats, n)
        Cross-fitted log odds of the real rows with a known outcome; each level wholly refitted in every fold.
    table : DataFrame
        One row per level: ``candidate, kind, log_loss, excess, excess_se, chosen``; with a closed test also
        ``statistic, df, p_value`` of the level against a revision of all coefficients.
    """

    names: tuple[str, ...]
    position: int
    margins: FloatArray
    table: pd.DataFrame

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
    margins : ndarray of shape (n_levels, n_repeats, n)
        Log odds by each level.
    chosen_margins : ndarray of shape (n_repeats, n)
        Log odds by the level chosen on the other rows.
    chosen : tuple of str
        The level chosen in each fold of each repeat.
    """

    names: tuple[str, ...]
    margins: FloatArray
    chosen_margins: FloatArray
    chosen: tuple[str, ...]


def climb_ladder(
    evidence: Evidence, rows: Rows, settings: TrainingSettings, rng: np.random.Generator, *, jobs: int = 1
) -> Ladder:
    """Compare the levels on real rows and choose one.

    By cross-validation the first level wins, from evidence on, whose log loss exceeds the lowest by no more than
    ``settings.ladder.standard_errors`` standard errors of the paired difference between patients, each row's loss being
    its mean over repeats. The closed test keeps the first level that does not fit significantly worse than a revision
    of all coefficients, so that the chance to leave evidence that is right is that of one test [1]_.

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
    .. [1] Vergouwe Y et al. A closed testing procedure to select an appropriate method for updating prediction models.
       Stat Med 2017;36:4529-39. doi:10.1002/sim.7179
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
    margins = np.zeros((len(evidence.levels), settings.ladder.repeats, len(sample.outcome)))
    for (repeat, _, test, _), predicted in zip(tasks, held_out, strict=True):
        margins[:, repeat, test] = predicted
    losses = compute_losses(margins, sample.outcome).mean(axis=1)
    table = compare_losses(losses, weights=sample.weights, groups=sample.patients)
    if settings.ladder.method == "closed_test":
        tested = run_closed_test(evidence, rows, settings)
        table = table.join(tested)
        position = find_unrejected(tested, settings.ladder.significance)
    else:
        position = find_simplest(table, settings.ladder.standard_errors)
    table.insert(0, "candidate", list(evidence.levels))
    table.insert(1, "kind", "logistic")
    table["chosen"] = table.index == position
    return Ladder(names=evidence.levels, position=position, margins=margins, table=table)


def _stay(evidence: Evidence, rows: Rows, settings: TrainingSettings) -> Ladder:
    """Keep the first level where a class of one patient allows no comparison."""
    nothing = np.full(len(evidence.levels), np.nan)
    table = pd.DataFrame({"candidate": list(evidence.levels), "kind": "logistic"})
    return Ladder(
        names=evidence.levels,
        position=0,
        margins=np.full((len(nothing), settings.ladder.repeats, len(rows.sample.outcome)), np.nan),
        table=table.assign(log_loss=nothing, excess=nothing, excess_se=nothing, chosen=table.index == 0),
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
    return np.array([level.margin(test) for level in fitted])


def run_closed_test(evidence: Evidence, rows: Rows, settings: TrainingSettings) -> pd.DataFrame:
    """Test each level against a revision of all coefficients by the likelihood ratio.

    All are fitted by maximum likelihood: intercept and slope without a prior, the revision without a penalty to speak
    of. With few events per coefficient the test says too often that evidence must be left. ``blended`` is a compromise
    of penalties and has no test.

    Returns
    -------
    DataFrame with one row per level
        ``statistic, df, p_value``; NaN for ``blended`` and for the revision itself, ``real``.
    """
    sample = rows.sample
    free = replace(settings, ladder=replace(settings.ladder, slope_prior_sd=100.0))
    columns = rows.matrix
    if not columns.shape[1]:
        columns = EpisodeEncoder().fit(sample.episodes).transform(sample.episodes)
    design = np.column_stack([np.ones(len(columns)), columns])
    revised = fit_penalised(
        columns, sample.outcome, sample.weights, penalty=TINY_PENALTY, l1_ratio=0.0, factors=np.ones(columns.shape[1])
    )
    best = float(sample.weights @ compute_losses(revised.intercept + columns @ revised.coefficients, sample.outcome))
    freedom = {EVIDENCE: 0, INTERCEPT: 1, OVERALL_RISK: 1, INTERCEPT_AND_SLOPE: 2}
    found = []
    for name in evidence.levels:
        if name not in freedom:
            found.append((np.nan, np.nan, np.nan))
            continue
        level = fit_level(name, evidence, rows, free, np.random.default_rng(0))
        loss = float(sample.weights @ compute_losses(level.margin(rows), sample.outcome))
        statistic, df = max(0.0, 2.0 * (loss - best)), int(np.linalg.matrix_rank(design)) - freedom[name]
        found.append((statistic, float(df), float(chi2.sf(statistic, df)) if df > 0 else 1.0))
    return pd.DataFrame(found, columns=["statistic", "df", "p_value"])


def find_unrejected(tested: pd.DataFrame, significance: float) -> int:
    """Find the first level that is not significantly worse than the revision; the last, ``real``, if all are."""
    kept = np.flatnonzero(tested["p_value"] >= significance)
    return int(kept[0]) if len(kept) else len(tested) - 1


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
    chosen, margins = ladder.chosen, ladder.margins[ladder.position].mean(axis=0)
    with threadpool_limits(limits=1):
        blended = fit_level(BLENDED, evidence, rows, settings, blend_rng) if BLENDED in ladder.names else None
        level = blended if chosen == BLENDED else None
        level = level or fit_level(chosen, evidence, rows, settings, level_rng)
    if chosen == REAL:
        response = fit_response_model(episodes, outcome, make_real_settings(settings), refit_rng)
        response = replace(response, selection=ladder.table)
    else:
        with threadpool_limits(limits=1):
            response = make_level_model(evidence, level, rows, margins, ladder.table, settings, refit_rng)
    return FittedLadder(ladder=ladder, response=response, level=level, blended=blended, rows=rows)


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
) -> CrossFittedLadder:
    """Predict every real episode by a level that was chosen and fitted without its patient, and by each level.

    Parameters are those of :func:`fit_ladder`; ``settings.evaluation`` gives folds and repeats of the outer loop. Those
    lost to follow-up are predicted too.
    """
    require_both_classes(outcome, settings.model.minimum_events)
    patients = episodes["patient_id"].to_numpy(object)
    repeats = settings.evaluation.repeats
    tasks = [
        (repeat, train, test, child)
        for repeat, repeat_rng in enumerate(rng.spawn(repeats))
        for (train, test), child in spread_folds(outcome, patients, settings.evaluation.folds, repeat_rng)
    ]
    held_out = Parallel(n_jobs=settings.jobs)(
        delayed(_predict_fold)(evidence, episodes.iloc[train], outcome[train], episodes.iloc[test], settings, child)
        for _, train, test, child in tasks
    )
    margins = np.zeros((len(evidence.levels), repeats, len(outcome)))
    chosen_margins = np.zeros((repeats, len(outcome)))
    for (repeat, _, test, _), (position, predicted) in zip(tasks, held_out, strict=True):
        margins[:, repeat, test] = predicted
        chosen_margins[repeat, test] = predicted[position]
    chosen = tuple(evidence.levels[position] for position, _ in held_out)
    return CrossFittedLadder(names=evidence.levels, margins=margins, chosen_margins=chosen_margins, chosen=chosen)


def _predict_fold(
    evidence: Evidence,
    train: pd.DataFrame,
    outcome: FloatArray,
    test: pd.DataFrame,
    settings: TrainingSettings,
    rng: np.random.Generator,
) -> tuple[int, FloatArray]:
    weight_rng, climb_rng, level_rng = rng.spawn(3)
    rows = _weigh(evidence, train, outcome, settings, weight_rng)
    held_out = make_rows(evidence, test, np.full(len(test), np.nan), np.ones(len(test)))
    position = climb_ladder(evidence, rows, settings, climb_rng).position
    return position, _predict_levels(evidence, rows, held_out, settings, level_rng)
