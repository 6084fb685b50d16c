"""Individual contrasts between strategies: an average of penalised S-, T- and DR-learners, cross-fitted by patient."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.deferred import special
from paincast.effects.arms import Arms
from paincast.effects.nuisance import SMALLEST, Nuisance, compute_residuals
from paincast.models.binary.penalised import fit_lasso_path
from paincast.statistics import compute_log_loss

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

PENALTIES = np.geomspace(0.16, 0.001, 12)
"""Strengths of the L1 penalty that are compared, the strongest first."""


class _Rows(NamedTuple):
    """Rows a learner may learn from: covariates, strategy received, outcome and weight."""

    matrix: FloatArray
    strategy: IntArray
    outcome: FloatArray
    weight: FloatArray

    def take(self, kept: BoolArray) -> _Rows:
        """Return some of the rows."""
        return _Rows(self.matrix[kept], self.strategy[kept], self.outcome[kept], self.weight[kept])


Learner = Callable[[_Rows, FloatArray, int], FloatArray]
"""Fits responses on some rows and returns log odds of others, shape (m, k, n_penalties)."""


class _Response(NamedTuple):
    """Cross-fitted responses under each strategy.

    Parameters
    ----------
    held_out : ndarray of shape (n, k)
        From models that have not seen the patient's fold.
    inner : ndarray of shape (n_folds, n, k)
        From models that have seen neither the patient's fold nor that of the first axis; NaN within that fold.
    """

    held_out: FloatArray
    inner: FloatArray


def estimate_individual_contrasts(arms: Arms, nuisance: Nuisance) -> FloatArray:
    """Estimate for each episode the difference in risk between each strategy and the reference.

    The estimand is the mean difference among patients with the same covariates (the conditional average treatment
    effect). Three learners are averaged: an S-learner, one logistic regression in which every covariate may act
    differently under each strategy; a T-learner, a logistic regression for each strategy [1]_; and a DR-learner, a
    linear regression of the doubly robust scores [2]_. All are lassos: where nothing tells patients apart, the contrast
    is the same for all.

    An episode is answered by models of other folds alone. Their penalties are chosen within these folds, and the
    responses in the scores come from models of these folds too: no outcome of a patient has a part in the contrast of
    the same patient. Outcomes that are known stand for the lost by the inverse probability of observation. The mean of
    the contrasts is not moved to the average contrast: in simulated cohorts that made the error larger.

    Parameters
    ----------
    arms : Arms
        The analysed episodes.
    nuisance : Nuisance
        Cross-fitted nuisance functions; the contrasts use their folds.

    Returns
    -------
    ndarray of shape (n, k)
        0 for the reference.

    References
    ----------
    .. [1] Künzel SR, Sekhon JS, Bickel PJ, Yu B. Metalearners for estimating heterogeneous treatment effects using
       machine learning. PNAS 2019;116:4156-4165. doi:10.1073/pnas.1804597116
    .. [2] Kennedy EH. Towards optimal doubly robust estimation of heterogeneous causal effects. Electron J Stat
       2023;17:3008-3049. doi:10.1214/23-EJS2157

    Examples
    --------
    >>> from paincast.effects.nuisance import assign_folds, fit_nuisance
    >>> from paincast.effects.propensity import fit_propensity
    >>> rng = np.random.default_rng(1)
    >>> matrix, strategy = rng.normal(size=(2000, 2)), rng.integers(2, size=2000)
    >>> outcome = (rng.random(2000) < special.expit(strategy * matrix[:, 0])).astype(float)
    >>> codes = np.arange(2000)
    >>> arms = Arms(
    ...     strategies=("a", "b"), episodes=None, strategy=strategy, outcome=outcome, patient=codes, site=0 * codes,
    ...     matrix=matrix, columns=("x", "z"), common=np.array([True, True])
    ... )
    >>> nuisance = fit_nuisance(arms, fit_propensity(arms, assign_folds(arms, rng)))
    >>> contrasts = estimate_individual_contrasts(arms, nuisance)
    >>> truth = special.expit(matrix[:, 0]) - 0.5
    >>> contrasts.shape, bool(np.corrcoef(contrasts[:, 1], truth)[0, 1] > 0.9)
    ((2000, 2), True)
    """
    rows = np.flatnonzero(arms.known)
    weight = np.zeros(len(arms.outcome))
    weight[rows] = 1.0 / np.maximum(nuisance.observation[rows, arms.strategy[rows]], SMALLEST)
    data = _Rows(arms.matrix, arms.strategy, arms.outcome, weight)
    shared = _cross_fit(data, arms, nuisance.fold, _fit_shared, is_joint=True)
    separate = _cross_fit(data, arms, nuisance.fold, _fit_separate, is_joint=False)
    from_scores = _regress_scores(arms, nuisance, (shared.inner + separate.inner) / 2.0)
    total = from_scores
    for response in (shared.held_out, separate.held_out):
        total = total + response - response[:, :1]
    return np.asarray(total / 3.0)


def _fit_shared(train: _Rows, asked: FloatArray, n_strategies: int) -> FloatArray:
    """S-learner: strategies share coefficients, from which those of each deviate; main effects are not penalised."""
    design, n_columns = _make_design(train.matrix, train.strategy, n_strategies), train.matrix.shape[1]
    factors = np.ones(design.shape[1])
    factors[n_columns : n_columns + _code_strategies(n_strategies).shape[1]] = 0.0
    intercepts, coefficients = fit_lasso_path(design, train.outcome, train.weight, penalties=PENALTIES, factors=factors)
    log_odds = np.empty((len(asked), n_strategies, len(PENALTIES)))
    for place in range(n_strategies):
        given = np.full(len(asked), place)
        log_odds[:, place] = intercepts + _make_design(asked, given, n_strategies) @ coefficients
    return log_odds


def _fit_separate(train: _Rows, asked: FloatArray, n_strategies: int) -> FloatArray:
    """T-learner: the response under each strategy is fitted by itself."""
    log_odds = np.empty((len(asked), n_strategies, len(PENALTIES)))
    for place in range(n_strategies):
        own = train.strategy == place
        intercepts, coefficients = fit_lasso_path(
            train.matrix[own], train.outcome[own], train.weight[own], penalties=PENALTIES
        )
        log_odds[:, place] = intercepts + asked @ coefficients
    return log_odds


def _code_strategies(n_strategies: int) -> FloatArray:
    """Code strategies symmetrically: indicators less their mean, of which two would mirror each other."""
    coded = np.eye(n_strategies) - 1.0 / n_strategies
    return coded[:, 1:] if n_strategies == 2 else coded


def _make_design(matrix: FloatArray, strategy: IntArray, n_strategies: int) -> FloatArray:
    coded = _code_strategies(n_strategies)[strategy]
    return np.hstack([matrix, coded, *(matrix * column[:, None] for column in coded.T)])


def _cross_fit(data: _Rows, arms: Arms, fold: IntArray, fit: Learner, *, is_joint: bool) -> _Response:
    """Cross-fit responses, with penalties chosen within the folds that a model may see.

    A model without two folds serves the choice of the penalty for either of them: half of the fits of a nested
    cross-validation are saved.
    """
    n_folds, k = int(fold.max()) + 1, len(arms.strategies)
    outer = np.empty((len(fold), k, len(PENALTIES)))
    inner = np.full((n_folds, len(fold), k, len(PENALTIES)), np.nan)
    for left_out in [*combinations(range(n_folds), 2), *((number,) for number in range(n_folds))]:
        is_asked = np.isin(fold, left_out)
        train, asked = arms.known & ~is_asked, np.flatnonzero(is_asked)
        log_odds = fit(data.take(train), data.matrix[asked], k)
        if len(left_out) == 1:
            outer[asked] = log_odds
            continue
        for own, other in (left_out, left_out[::-1]):
            inner[own, asked[fold[asked] == other]] = log_odds[fold[asked] == other]
    return _choose_penalties(data, arms, fold, outer, inner, is_joint=is_joint)


def _choose_penalties(
    data: _Rows, arms: Arms, fold: IntArray, outer: FloatArray, inner: FloatArray, *, is_joint: bool
) -> _Response:
    """Choose for each fold the penalty with the lowest log loss in the other folds: one, or one for each strategy."""
    k = len(arms.strategies)
    chosen = _Response(np.empty(outer.shape[:2]), np.empty(inner.shape[:3]))
    for number in range(len(inner)):
        rows = np.flatnonzero(arms.known & (fold != number))
        received = data.strategy[rows]
        log_odds = inner[number, rows, received]
        losses = data.weight[rows, None] * compute_log_loss(log_odds.T, data.outcome[rows]).T
        totals = np.stack([losses[received == place].sum(axis=0) for place in range(k)])
        best = np.argmin(totals.sum(axis=0, keepdims=True).repeat(k, axis=0) if is_joint else totals, axis=1)
        own = fold == number
        chosen.held_out[own] = special.expit(outer[own][:, range(k), best])
        chosen.inner[number] = special.expit(inner[number][:, range(k), best])
    return chosen


def _regress_scores(arms: Arms, nuisance: Nuisance, response: FloatArray) -> FloatArray:
    """DR-learner: regress differences of doubly robust scores, made within the folds that a model may see."""
    contrasts = np.zeros((len(nuisance.fold), len(arms.strategies)))
    for number, inner in enumerate(response):
        own = nuisance.fold == number
        scores = inner + compute_residuals(arms, nuisance.propensity, nuisance.observation, inner)
        train, other = arms.matrix[~own], nuisance.fold[~own]
        for place in range(1, len(arms.strategies)):
            difference = scores[~own, place] - scores[~own, 0]
            contrasts[own, place] = _fit_scores(train, difference, other, arms.matrix[own])
    return contrasts


def _fit_scores(matrix: FloatArray, difference: FloatArray, fold: IntArray, asked: FloatArray) -> FloatArray:
    def predict(train: BoolArray, new: FloatArray) -> FloatArray:
        intercepts, coefficients = fit_lasso_path(
            matrix[train], difference[train], np.ones(train.sum()), penalties=PENALTIES, family="normal"
        )
        return np.asarray(intercepts + new @ coefficients)

    errors = np.zeros(len(PENALTIES))
    for number in np.unique(fold):
        held_out = fold == number
        predicted = predict(~held_out, matrix[held_out])
        errors += np.square(difference[held_out, None] - predicted).sum(axis=0)
    return predict(np.ones(len(fold), dtype=bool), asked)[:, int(np.argmin(errors))]
