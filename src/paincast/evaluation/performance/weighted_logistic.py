"""Weighted logistic regression with one or two coefficients, solved for many sets of weights at once."""

from __future__ import annotations

import numpy as np

from paincast.evaluation.predictions import FloatArray

MAXIMUM_ITERATIONS = 200
TOLERANCE = 1e-14
"""Fits end when a Newton step promises to raise the log likelihood by less."""

LARGEST_REACH = 1e7
"""Most that one step may change the log odds of a row: ample for predictions far apart, an end to saturation."""


def fit_weighted_logistic(
    weights: FloatArray,
    outcome: FloatArray,
    columns: FloatArray,
    offset: FloatArray,
    start: FloatArray,
    ridge: FloatArray | float = 0.0,
) -> FloatArray:
    """Maximise weighted binomial log likelihoods by Newton's method.

    The log likelihood is concave. Where its slope along a step has turned against the step at the far end, the step is
    shortened to where a straight line puts the summit, by a factor of 2 to 10. Neither this nor the end of the fit
    depends on the scale of the columns.

    Parameters
    ----------
    weights : ndarray of shape (resamples, n)
        Weight of each row in each fit.
    outcome : ndarray of shape (n,) or (resamples, n)
        0.0 or 1.0; from 0 to 1 where a row stands for several.
    columns : ndarray of shape (n, k)
        Design.
    offset : ndarray of shape (n,)
        Part of the log odds with its coefficient fixed at 1.
    start : ndarray of shape (k,)
        Where every fit begins.
    ridge : float or ndarray of shape (k,)
        Half of it times the squared coefficient is taken off the log likelihood.

    Returns
    -------
    ndarray of shape (resamples, k)
        Coefficients; NaN where the fit did not converge.
    """
    fits, k = len(weights), columns.shape[1]
    products = (columns[:, :, None] * columns[:, None, :]).reshape(len(columns), k * k)
    ends = np.stack([columns.min(axis=0), columns.max(axis=0)])
    total = (weights * outcome) @ columns
    theta = np.tile(start, (fits, 1))
    step, rise = np.zeros((fits, k)), np.zeros(fits)
    live = np.arange(fits)
    for _ in range(MAXIMUM_ITERATIONS):
        live_weights = weights if len(live) == fits else weights[live]
        fitted = _to_probability(theta[live] @ columns.T + offset)
        weighted = live_weights * fitted
        gradient = total[live] - weighted @ columns - ridge * theta[live]
        information = (weighted @ products - (weighted * fitted) @ products).reshape(-1, k, k)
        np.einsum("bkk->bk", information)[:] += ridge
        newton = _limit(_solve(information, gradient, live_weights.sum(axis=1)), ends)
        slope = np.einsum("bk,bk->b", gradient, step[live])
        overshot = slope < -0.5 * rise[live]
        kept = np.clip(rise[live] / np.where(overshot, rise[live] - slope, 1.0), 0.1, 0.5)
        theta[live] += np.where(overshot[:, None], (kept[:, None] - 1.0) * step[live], newton)
        promised = np.einsum("bk,bk->b", gradient, newton)
        step[live] = np.where(overshot[:, None], kept[:, None] * step[live], newton)
        rise[live] = np.where(overshot, kept * rise[live], promised)
        live = live[overshot | (promised > TOLERANCE)]
        if not len(live):
            return theta
    theta[live] = np.nan
    return theta


def _solve(information: FloatArray, gradient: FloatArray, total: FloatArray) -> FloatArray:
    """Solve for the Newton step, with a floor that keeps saturated fits from being singular."""
    diagonal = np.einsum("bkk->bk", information)
    diagonal += 1e-13 * diagonal + 1e-16 * total[:, None]
    return np.asarray(np.linalg.solve(information, gradient[:, :, None])[:, :, 0], dtype=np.float64)


def _limit(step: FloatArray, ends: FloatArray) -> FloatArray:
    reach = np.abs(step @ ends.T).max(axis=1, keepdims=True)
    limited: FloatArray = step * (LARGEST_REACH / np.maximum(reach, LARGEST_REACH))
    return limited


def _to_probability(log_odds: FloatArray) -> FloatArray:
    halved = np.multiply(log_odds, 0.5, out=log_odds)
    np.tanh(halved, out=halved)
    halved *= 0.5
    halved += 0.5
    return halved
