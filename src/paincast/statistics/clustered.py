"""Standard errors that keep the rows of a patient together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd

FloatArray = npt.NDArray[np.float64]


def compute_clustered_error(influence: FloatArray, patients: npt.ArrayLike) -> float:
    """Compute the standard error of a sum of influences, patients being the unit [1]_.

    The variance is G / (G - 1) times the sum of squares of the sums by patient, with G patients: the small-sample
    factor that Obuchowski [2]_ gives for clustered ROC curves.

    Parameters
    ----------
    influence : ndarray of shape (n,)
        What each row contributes to the error of an estimate; sums to 0.
    patients : array-like of shape (n,)
        Patient of each row.

    Returns
    -------
    float
        NaN with fewer than two patients.

    References
    ----------
    .. [1] Liang KY, Zeger SL. Biometrika 1986;73:13-22. doi:10.1093/biomet/73.1.13
    .. [2] Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics 1997;53:567-578.
       doi:10.2307/2533958

    Examples
    --------
    >>> compute_clustered_error(np.array([0.5, -0.25, -0.25]), ["a", "b", "b"])
    1.0
    """
    codes, names = pd.factorize(np.asarray(patients))
    if len(names) < 2:
        return float("nan")
    sums = np.bincount(codes, weights=influence)
    return float(np.sqrt(len(names) / (len(names) - 1) * (sums @ sums)))


def compute_clustered_mean(
    values: FloatArray, patients: npt.ArrayLike, confidence: float = 0.95, weights: FloatArray | None = None
) -> tuple[float, float, float]:
    """Compute a weighted mean over episodes with normal limits, patients being the unit.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One number per episode.
    patients : array-like of shape (n,)
        Patient of each.
    confidence : float
        Coverage of the limits.
    weights : ndarray of shape (n,), optional
        Weights of the episodes, taken as given.

    Returns
    -------
    estimate, lower, upper : float
        The limits are NaN with fewer than two patients.

    Examples
    --------
    >>> [round(value, 2) for value in compute_clustered_mean(np.array([0.0, 1.0, 1.0, 0.0]), list("aabb"))]
    [0.5, 0.5, 0.5]
    """
    weight = np.ones(len(values)) if weights is None else weights
    estimate = float(np.average(values, weights=weight))
    error = compute_clustered_error(weight * (values - estimate) / weight.sum(), patients)
    from statistics import NormalDist

    reach = NormalDist().inv_cdf(0.5 + confidence / 2.0) * error
    return estimate, estimate - reach, estimate + reach
