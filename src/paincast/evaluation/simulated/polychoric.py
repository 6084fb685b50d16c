"""Polychoric and tetrachoric correlations of columns that are recorded in steps, classes or yes and no."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

FloatArray = npt.NDArray[np.float64]

ORDER = 24
"""Terms of the Hermite series; at a correlation of 0.8 what is left out is below 0.005."""

SMALLEST_CLASS = 20
"""Fewest values on either side of the commonest one for which a correlation is computed."""


def compute_polychoric_correlations(columns: pd.DataFrame, groups: Any = None) -> pd.DataFrame:
    """Estimate the correlation of the standard normal scores behind each pair of columns.

    Every column is taken as a non-decreasing function of a normal score of its own, cut at the normal quantiles of its
    distribution: a yes/no column gives the tetrachoric correlation, an ordered one the polychoric [1]_, a finely
    recorded one that of normal scores. The estimate equates the covariance of the class means of the scores with its
    expansion in Hermite polynomials, the sum over k of ``rho**k a_k b_k / k!`` [2]_, and inverts it.

    Parameters
    ----------
    columns : DataFrame of shape (n, k)
        Numbers or yes/no; rows with a gap are left out pair by pair.
    groups : array-like of shape (n,), optional
        Scores are taken within groups, so that groups with other distributions do not make a correlation.

    Returns
    -------
    DataFrame of shape (k, k)
        Correlations; missing where a column does not vary or a pair has no row.

    References
    ----------
    .. [1] Olsson U. Maximum likelihood estimation of the polychoric correlation coefficient. Psychometrika
       1979;44:443-460. doi:10.1007/BF02296207
    .. [2] Lancaster HO. Some properties of the bivariate normal distribution considered in the form of a contingency
       table. Biometrika 1957;44:289-292. doi:10.1093/biomet/44.1-2.289

    Examples
    --------
    >>> scores = np.random.default_rng(1).multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=20000)
    >>> rough = pd.DataFrame({"often": scores[:, 0] > -0.5, "grade": np.digitize(scores[:, 1], [-1, 0.2, 1.5])})
    >>> float(compute_polychoric_correlations(rough).loc["often", "grade"].round(1))
    0.5
    """
    values = columns.astype(float).to_numpy(dtype=float, na_value=np.nan)
    codes = np.zeros(len(values), dtype=np.int64) if groups is None else pd.factorize(np.asarray(groups))[0]
    total = np.zeros((values.shape[1], values.shape[1]))
    weight = np.zeros_like(total)
    for code in range(codes.max(initial=-1) + 1):
        correlation, n = _correlate_group(values[codes == code])
        known = np.isfinite(correlation)
        total[known] += (n * correlation)[known]
        weight[known] += n[known]
    with np.errstate(invalid="ignore"):
        pooled = np.where(weight > 0, total / np.maximum(weight, 1), np.nan)
    return pd.DataFrame(pooled, index=columns.columns, columns=columns.columns)


def _correlate_group(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    size = values.shape[1]
    scored = [_score_column(values[:, position]) for position in range(size)]
    known = np.isfinite(values)
    counts = known.T.astype(float) @ known
    filled = np.column_stack([score for score, _ in scored]) if size else values
    covariance = filled.T @ filled / np.maximum(counts, 1)
    correlation = np.full((size, size), np.nan)
    for row in range(size):
        for column in range(row):
            first, second = scored[row][1], scored[column][1]
            if first is not None and second is not None and counts[row, column] > SMALLEST_CLASS:
                estimate = _invert_series(covariance[row, column], first * second)
                correlation[row, column] = correlation[column, row] = estimate
        correlation[row, row] = 1.0 if scored[row][1] is not None else np.nan
    return correlation, counts


def _score_column(values: FloatArray) -> tuple[FloatArray, FloatArray | None]:
    """Return each value the mean score of its class (0 where missing), and the scaled Hermite coefficients."""
    score = np.zeros(len(values))
    known = np.isfinite(values)
    classes, position, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    if len(classes) < 2 or counts.sum() - counts.max() < SMALLEST_CLASS:
        return score, None
    inner = ndtri(np.cumsum(counts)[:-1] / counts.sum())
    density = np.concatenate([[0.0], np.exp(-(inner**2) / 2) / math.sqrt(2 * math.pi), [0.0]])
    mean = -np.diff(density) * counts.sum() / counts
    score[known] = mean[position]
    return score, _hermite_coefficients(mean, inner, density)


def _hermite_coefficients(mean: FloatArray, inner: FloatArray, density: FloatArray) -> FloatArray:
    """Compute a_k / sqrt(k!) for k = 1 to ORDER, from orthonormal Hermite polynomials at the thresholds."""
    edges = np.concatenate([[0.0], inner, [0.0]])
    before, current = np.zeros_like(edges), np.ones_like(edges)
    coefficients = np.empty(ORDER)
    for k in range(1, ORDER + 1):
        coefficients[k - 1] = mean @ -np.diff(current * density) / math.sqrt(k)
        before, current = current, (edges * current - math.sqrt(k - 1) * before) / math.sqrt(k)
    return coefficients


def _invert_series(covariance: float, products: FloatArray) -> float:
    grid = np.linspace(-0.99, 0.99, 397)
    values = np.polynomial.polynomial.polyval(grid, np.concatenate([[0.0], products]))
    rising = np.maximum.accumulate(values)
    return float(np.interp(covariance, rising, grid))
