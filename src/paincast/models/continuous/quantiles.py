"""Penalised linear quantiles, and what makes an interval between two of them hold its level."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator, RegressorMixin

FloatArray = npt.NDArray[np.float64]

_APART = 1024.0


def fit_quantile(
    matrix: FloatArray,
    outcome: FloatArray,
    quantile: float,
    *,
    penalty: float,
    bandwidth: float,
    weights: FloatArray,
    start: FloatArray | None = None,
) -> FloatArray:
    """Fit a ridge-penalised linear quantile on a pinball loss whose corner is rounded; the intercept is not penalised.

    Rounding makes the problem smooth, so that it is solved in time linear in the rows; as a linear programme 20,000
    rows took half a minute.

    Parameters
    ----------
    matrix : ndarray of shape (n, n_encoded)
        Encoded episodes without missing values.
    outcome, weights : ndarray of shape (n,)
        Outcome and weights of the rows.
    quantile : float
        Which one.
    penalty : float
        Half of it, times the sum of squared coefficients, is added to the mean loss.
    bandwidth : float
        Width of the rounding, in the unit of the outcome.
    start : ndarray of shape (1 + n_encoded,), optional
        Where to start.

    Returns
    -------
    ndarray of shape (1 + n_encoded,)
        Intercept and coefficients.

    References
    ----------
    Fernandes M, Guerre E, Horta E. J Bus Econ Stat 2021;39:338-357. doi:10.1080/07350015.2019.1660177
    """
    design = np.column_stack([np.ones(len(outcome)), matrix])
    share = weights / weights.sum()
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 0.0

    def evaluate(coefficients: FloatArray) -> tuple[float, FloatArray]:
        error = outcome - design @ coefficients
        loss = quantile * error + bandwidth * np.logaddexp(0.0, -error / bandwidth)
        slope = quantile - expit(-error / bandwidth)
        value = share @ loss + 0.5 * (ridge * coefficients) @ coefficients
        return float(value), ridge * coefficients - (share * slope) @ design

    if start is None:
        start = np.zeros(design.shape[1])
        start[0] = np.quantile(outcome, quantile)
    found = minimize(evaluate, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "gtol": 1e-6})
    return np.asarray(found.x, dtype=float)


def conformalise(held_out: FloatArray, outcome: FloatArray, level: float) -> tuple[float, float]:
    """Compute what is taken from the lower and added to the upper limit for the interval to hold its level.

    Parameters
    ----------
    held_out : ndarray of shape (n, 3)
        Lower limit, median and upper limit of each row, by a model that did not see it.
    outcome : ndarray of shape (n,)
        What came.
    level : float
        Level of the interval.

    Returns
    -------
    tuple of float
        The (1 + level) / 2 quantiles, with the correction for small samples, of lower limit minus outcome and outcome
        minus upper limit.
    """
    from mapie.regression import ConformalizedQuantileRegressor  # half a second, which only training has to pay

    fitted = [_Column(place) for place in (0, 2, 1)]
    regressor = ConformalizedQuantileRegressor(estimator=fitted, confidence_level=level, prefit=True)
    regressor.conformalize(held_out, outcome)
    # Limits so far apart that no correction makes them cross, which MAPIE would remark on.
    _, interval = regressor.predict_interval(np.array([[-_APART, 0.0, _APART]]))
    return -_APART - float(interval[0, 0, 0]), float(interval[0, 1, 0]) - _APART


class _Column(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Hands a quantile that was predicted elsewhere to MAPIE."""

    def __init__(self, place: int = 0) -> None:
        self.place = place
        self.is_fitted = True  # what MAPIE looks for

    def fit(self, X: FloatArray, y: FloatArray) -> Self:  # noqa: ARG002 (the interface of scikit-learn)
        return self

    def predict(self, X: FloatArray) -> FloatArray:
        return np.asarray(X)[:, self.place]
