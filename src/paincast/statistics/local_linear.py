"""Local-linear smoother (loess of degree 1) of shares, for many weightings of the same rows at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def compute_kernel(x: FloatArray, weight: FloatArray, grid: FloatArray, span: float) -> FloatArray:
    """Compute tricube weights of the nearest rows of each point of a grid.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Predictor.
    weight : ndarray of shape (n,)
        Weights that define the nearest share of the rows.
    grid : ndarray of shape (n_grid,)
        Points.
    span : float
        Share of the total weight that the nearest rows of a point hold, above 0 and up to 1.

    Returns
    -------
    ndarray of shape (n_grid, n)

    Examples
    --------
    >>> compute_kernel(np.arange(5.0), np.ones(5), np.array([0.0]), 0.6).round(2).tolist()
    [[1.0, 0.67, 0.0, 0.0, 0.0]]
    """
    distance = np.abs(grid[:, None] - x[None, :])
    order = np.argsort(distance, axis=1)
    held = np.cumsum(weight[order], axis=1) / weight.sum()
    last = np.minimum((held < span - 1e-12).sum(axis=1), len(x) - 1)
    ordered = np.take_along_axis(distance, order, axis=1)
    reach = ordered[np.arange(len(grid)), last][:, None]
    # Where the nearest rows are all at the point itself, they alone count.
    ratio = np.divide(distance, reach, out=(distance > 0).astype(float), where=reach > 0)
    kernel: FloatArray = (1.0 - np.minimum(ratio, 1.0) ** 3) ** 3
    return kernel


def smooth_shares(
    x: FloatArray, weight: FloatArray, cases: FloatArray, grid: FloatArray, kernel: FloatArray
) -> FloatArray:
    """Smooth the share of cases by a weighted straight line around each point of a grid [1]_.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Predictor.
    weight, cases : ndarray of shape (n_weightings, n)
        Weight of each row, and the part of it that is a case.
    grid : ndarray of shape (n_grid,)
        Points.
    kernel : ndarray of shape (n_grid, n)
        From :func:`compute_kernel`.

    Returns
    -------
    ndarray of shape (n_weightings, n_grid)
        From 0 to 1; NaN where no row near a point has weight. Where the rows near a point do not fix a line, their
        share.

    References
    ----------
    .. [1] Cleveland WS. Robust locally weighted regression and smoothing scatterplots. J Am Stat Assoc
       1979;74:829-836. doi:10.1080/01621459.1979.10481038

    Examples
    --------
    >>> x, grid = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.5])
    >>> smooth_shares(x, np.ones((1, 4)), x[None], grid, np.ones((1, 4))).round(3).tolist()
    [[0.5]]
    """
    distance = x[None, :] - grid[:, None]
    first, second = kernel * distance, kernel * distance**2
    mass, moment, spread = (weight @ part.T for part in (kernel, first, second))
    events, sloped = (cases @ part.T for part in (kernel, first))
    determinant = mass * spread - moment**2
    share = np.divide(events, mass, out=np.full_like(mass, np.nan), where=mass > 0)
    is_line = determinant > 1e-9 * mass * spread
    line = np.divide(spread * events - moment * sloped, determinant, out=share.copy(), where=is_line)
    return np.clip(line, 0.0, 1.0)
