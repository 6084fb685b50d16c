"""Means over episodes with limits that keep the episodes of a patient together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

FloatArray = npt.NDArray[np.float64]


def compute_clustered_mean(
    values: FloatArray, patients: npt.ArrayLike, confidence: float = 0.95, weights: FloatArray | None = None
) -> tuple[float, float, float]:
    """Compute a mean over episodes with limits, patients being the unit.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One number per episode.
    patients : array-like of shape (n,)
        Patient of each.
    confidence : float
        Level of the limits (normal, with the variance of the sums by patient).
    weights : ndarray of shape (n,), optional
        Weights of the episodes, taken as given.

    Returns
    -------
    estimate, lower, upper : float

    References
    ----------
    Liang KY, Zeger SL. Biometrika 1986;73:13-22. doi:10.1093/biomet/73.1.13

    Examples
    --------
    >>> [round(value, 2) for value in compute_clustered_mean(np.array([0.0, 1.0, 1.0, 0.0]), list("aabb"))]
    [0.5, 0.5, 0.5]
    """
    weight = np.ones(len(values)) if weights is None else weights
    estimate = float(np.average(values, weights=weight))
    totals = pd.Series(weight * (values - estimate)).groupby(np.asarray(patients)).sum().to_numpy()
    n_patients = len(totals)
    error = float(np.sqrt(n_patients / max(n_patients - 1, 1) * (totals**2).sum()) / weight.sum())
    reach = float(norm.ppf((1 + confidence) / 2)) * error
    return estimate, estimate - reach, estimate + reach
