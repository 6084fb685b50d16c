"""Compute the duration of relief: the exact probability that the pain response holds at every visit up to a month.

The process of the response is a Gaussian Markov chain over the months of the curve, so the probability of staying below
all thresholds is computed month by month with a one-dimensional integral. Repeat procedures, operations and explants
occur after relief is lost and do not end it earlier.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit, ndtri

from paincast.simulator.population.sites import FloatArray

NODES = 64
GRID = 201
_LOWEST = -8.0


def compute_relief_survival(
    months: Sequence[float],
    intercepts: FloatArray,
    predictor: FloatArray,
    persistence: float,
    *,
    nodes: int = NODES,
    cells: int = GRID,
) -> FloatArray:
    """Compute the probability that the response holds at each visit up to each month.

    It depends on an episode only through its linear predictor, so it is interpolated on a grid.

    Parameters
    ----------
    months : sequence of float
        Months of the curve.
    intercepts : ndarray of shape (n_months,)
        Log odds of the pain response at each month.
    predictor : ndarray of shape (n,)
        Linear predictor of each episode, without the intercept.
    persistence : float
        Correlation of the process between a month and twice that month.
    nodes, cells : int
        Points of the integral over a month, and of the grid.

    Returns
    -------
    ndarray of shape (n_months, n)
    """
    grid = np.linspace(predictor.min() - 1e-6, predictor.max() + 1e-6, cells)
    threshold = ndtri(expit(intercepts[:, None] + grid))
    survival = _integrate(threshold, np.array(months), persistence, nodes)
    return np.array([np.interp(predictor, grid, row) for row in survival])


def _integrate(threshold: FloatArray, months: FloatArray, persistence: float, nodes: int) -> FloatArray:
    node, weight = np.polynomial.legendre.leggauss(nodes)
    survival = np.empty_like(threshold)
    density = position = width = np.empty(0)
    for month_index, upper in enumerate(threshold):
        half = (upper - _LOWEST)[:, None] / 2.0
        points = _LOWEST + half * (1.0 + node)
        if month_index == 0:
            reached = np.exp(-(points**2) / 2.0) / np.sqrt(2.0 * np.pi)
        else:
            correlation = persistence ** np.log2(months[month_index] / months[month_index - 1])
            spread = np.sqrt(1.0 - correlation**2)
            step = (points[:, :, None] - correlation * position[:, None, :]) / spread
            kernel = np.exp(-(step**2) / 2.0) / (np.sqrt(2.0 * np.pi) * spread)
            reached = np.einsum("gij,gj->gi", kernel, density * width)
        density, position, width = reached, points, half * weight
        survival[month_index] = (density * width).sum(axis=1)
    return survival
