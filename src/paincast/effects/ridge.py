"""Cross-fitted ridge logistic regression: every row is predicted by a model that has not seen its patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

PRIOR_SDS = (0.1, 0.3, 1.0, 3.0)
"""Standard deviations of the normal prior of log odds ratios that are compared, the strongest penalty first."""

MOST_ITERATIONS = 50
TOLERANCE = 1e-6
LARGEST_STEP = 4.0
"""Most that a Newton step may change a log odds: a longer one is shortened, because it could overshoot."""


class CrossFitted(NamedTuple):
    """Cross-fitted probabilities, shape (n, n_classes), and the standard deviation of the prior that was chosen."""

    probability: FloatArray
    prior_sd: float


def cross_fit(
    matrix: FloatArray, label: IntArray, fold: IntArray, n_classes: int, used: BoolArray | None = None
) -> CrossFitted:
    """Predict the class of every row by ridge regressions on the other folds.

    One penalty serves all folds: that with the lowest log loss of the predictions that are returned. The choice among
    four values is the only thing that a row's own label has a part in.

    Parameters
    ----------
    matrix : ndarray of shape (n, p)
        Covariates in comparable units.
    label : ndarray of int, shape (n,)
        Class of each row, from 0 on; it is ignored where ``used`` is false.
    fold : ndarray of int, shape (n,)
        Fold in which a row is held out.
    n_classes : int
        Number of classes.
    used : ndarray of bool, shape (n,), optional
        Rows from which models may learn; all rows are predicted.

    Returns
    -------
    CrossFitted

    Examples
    --------
    >>> label = np.tile([0, 1], 50)
    >>> fold = np.repeat([0, 1], 50)
    >>> cross_fit(4.0 * label[:, None] - 2.0, label, fold, 2).probability[:2, 1].round(1).tolist()
    [0.0, 1.0]
    """
    learns = np.ones(len(label), dtype=bool) if used is None else used
    candidates = np.empty((len(PRIOR_SDS), len(label), n_classes))
    for number in np.unique(fold):
        held_out, train = fold == number, learns & (fold != number)
        candidates[:, held_out] = fit_path(matrix[train], label[train], n_classes, matrix[held_out], PRIOR_SDS)
    chances = candidates[:, learns, label[learns]]
    best = int(np.argmin(-np.log(np.maximum(chances, np.finfo(float).tiny)).sum(axis=1)))
    return CrossFitted(probability=candidates[best], prior_sd=PRIOR_SDS[best])


def fit_path(
    matrix: FloatArray, label: IntArray, n_classes: int, asked: FloatArray, prior_sds: Sequence[float]
) -> FloatArray:
    """Fit multinomial ridge regressions of several strengths, and predict other rows.

    The log odds ratio of a covariate between any two classes has a normal prior of the given standard deviation, so
    that the order of the classes does not matter; intercepts are free.

    Returns
    -------
    ndarray of shape (n_prior_sds, n_asked, n_classes)
        A class that does not occur has probability 0.

    Examples
    --------
    >>> matrix, label = np.array([[-1.0], [-1.0], [1.0], [1.0]]), np.array([0, 0, 0, 1])
    >>> fit_path(matrix, label, 2, np.array([[1.0]]), prior_sds=(0.01, 10.0)).round(2)[:, 0, 1].tolist()
    [0.25, 0.49]
    """
    found = np.zeros((len(prior_sds), len(asked), n_classes))
    classes, codes = np.unique(label, return_inverse=True)
    if len(classes) < 2:
        found[:, :, classes] = 1.0
        return found
    design = np.column_stack([np.ones(len(matrix)), matrix])
    indicators = np.eye(len(classes))[codes, 1:]
    new = np.column_stack([np.ones(len(asked)), asked])
    start = np.zeros((design.shape[1], len(classes) - 1))
    for index, prior_sd in enumerate(prior_sds):
        start = _fit_ridge(design, indicators, prior_sd, start)
        found[index][:, classes] = _compute_probability(new @ start)
    return found


def _fit_ridge(design: FloatArray, indicators: FloatArray, prior_sd: float, start: FloatArray) -> FloatArray:
    """Maximise the penalised likelihood by Newton's method; coefficients are relative to the first class."""
    n_columns, n_others = start.shape
    # The inverse covariance of contrasts with the first class under which each pair of classes differs alike.
    between = 2.0 * (np.eye(n_others) - 1.0 / (n_others + 1))
    precision = np.diag(np.r_[0.0, np.full(n_columns - 1, prior_sd**-2.0)])
    penalty = np.kron(between, precision)
    coefficients, predictor = start, design @ start
    for _ in range(MOST_ITERATIONS):
        probability = _compute_probability(predictor)[:, 1:]
        gradient = design.T @ (indicators - probability) - precision @ coefficients @ between
        hessian = _compute_hessian(design, probability) + penalty
        step = np.linalg.solve(hessian, gradient.T.ravel()).reshape(n_others, n_columns).T
        change = design @ step
        shorter = min(1.0, LARGEST_STEP / max(float(np.abs(change).max()), LARGEST_STEP))
        coefficients, predictor = coefficients + shorter * step, predictor + shorter * change
        if np.abs(change).max() < TOLERANCE:
            break
    return coefficients


def _compute_probability(predictor: FloatArray) -> FloatArray:
    """Compute the probabilities of all classes from the log odds against the first."""
    full = np.column_stack([np.zeros(len(predictor)), predictor])
    full = np.exp(full - full.max(axis=1, keepdims=True))
    return np.asarray(full / full.sum(axis=1, keepdims=True))


def _compute_hessian(design: FloatArray, probability: FloatArray) -> FloatArray:
    n_columns, n_others = design.shape[1], probability.shape[1]
    hessian = np.empty((n_others, n_columns, n_others, n_columns))
    for first in range(n_others):
        for second in range(first, n_others):
            weight = probability[:, first] * ((first == second) - probability[:, second])
            hessian[first, :, second] = design.T @ (weight[:, None] * design)
            hessian[second, :, first] = hessian[first, :, second].T
    return hessian.reshape(n_others * n_columns, n_others * n_columns)
