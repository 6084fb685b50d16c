"""Restricted cubic splines."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def compute_spline(values: FloatArray, knots: tuple[float, ...]) -> FloatArray:
    """Compute the nonlinear terms of a restricted cubic spline, which is linear beyond the outer knots.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Numbers; NaN stays NaN.
    knots : tuple of float
        At least three, increasing.

    Returns
    -------
    ndarray of shape (n, n_knots - 2)

    References
    ----------
    Harrell FE. Regression Modeling Strategies, 2nd ed. (2015), equation 2.25, doi:10.1007/978-3-319-19425-7.
    """
    last, before = knots[-1], knots[-2]

    def cube(knot: float) -> FloatArray:
        return np.asarray(np.maximum(values - knot, 0.0) ** 3, dtype=float)

    parts = [
        cube(knot) - cube(before) * (last - knot) / (last - before) + cube(last) * (before - knot) / (last - before)
        for knot in knots[:-2]
    ]
    return np.column_stack(parts) / (last - knots[0]) ** 2
