"""Weighted logistic regression with one or two coefficients, solved for many sets of weights at once."""

from __future__ import annotations

import numpy as np

from paincast.evaluation.scored import FloatArray

MAXIMUM_ITERATIONS = 100
LARGEST_STEP = 5.0
TOLERANCE = 1e-9


def fit_logistic(
    weights: FloatArray, outcome: FloatArray, columns: FloatArray, offset: FloatArray, start: FloatArray
) -> FloatArray:
    """Maximise weighted binomial log likelihoods by Newton's method.

    The log likelihood is concave; a step is halved while the slope along it has turned against it at the far end.

    Parameters
    ----------
    weights : ndarray of shape (resamples, n)
        Weight of each row in each fit.
    outcome : ndarray of shape (n,)
        0.0 or 1.0.
    columns : ndarray of shape (n, k)
        Design; its columns should be of the order of 1.
    offset : ndarray of shape (n,)
        Part of the log odds with its coefficient fixed at 1.
    start : ndarray of shape (k,)
        Where every fit begins.

    Returns
    -------
    ndarray of shape (resamples, k)
        Coefficients; NaN where the fit did not converge.
    """
    fits, k = len(weights), columns.shape[1]
    products = (columns[:, :, None] * columns[:, None, :]).reshape(len(columns), k * k)
    ridge = 1e-12 * np.eye(k) * weights.sum(axis=1)[:, None, None]
    total = (weights * outcome) @ columns
    theta = np.tile(start, (fits, 1))
    step = np.zeros((fits, k))
    rise = np.zeros(fits)
    live = np.arange(fits)
    for _ in range(MAXIMUM_ITERATIONS):
        held = weights if len(live) == fits else weights[live]
        fitted = _to_probability(theta[live] @ columns.T + offset)
        weighted = held * fitted
        gradient = total[live] - weighted @ columns
        overshot = np.einsum("bk,bk->b", gradient, step[live]) < -0.5 * rise[live]
        information = (weighted @ products - (weighted * fitted) @ products).reshape(-1, k, k) + ridge[live]
        newton = _limit(np.linalg.solve(information, gradient[:, :, None])[:, :, 0])
        taken = np.where(overshot[:, None], -0.5 * step[live], newton)
        theta[live] += taken
        rise[live] = np.where(overshot, 0.5 * rise[live], np.einsum("bk,bk->b", gradient, newton))
        step[live] = np.where(overshot[:, None], 0.5 * step[live], newton)
        live = live[np.abs(taken).max(axis=1) > TOLERANCE]
        if not len(live):
            return theta
    theta[live] = np.nan
    return theta


def _to_probability(log_odds: FloatArray) -> FloatArray:
    halved = np.multiply(log_odds, 0.5, out=log_odds)
    np.tanh(halved, out=halved)
    halved *= 0.5
    halved += 0.5
    return halved


def _limit(step: FloatArray) -> FloatArray:
    length = np.abs(step).max(axis=1, keepdims=True)
    limited: FloatArray = step * np.minimum(1.0, LARGEST_STEP / np.maximum(length, LARGEST_STEP))
    return limited
