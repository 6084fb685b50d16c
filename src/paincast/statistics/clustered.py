"""Standard errors that keep the rows of a patient, or of a patient and a site, together."""

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


def compute_two_way_error(influence: FloatArray, patients: npt.ArrayLike, sites: npt.ArrayLike) -> float:
    """Compute the standard error of a sum of influences, clustered by patient and by site [1]_.

    The variance by patient plus that by site, minus that by both. With few sites that by site is itself uncertain and
    often too small [2]_: the result is never below the standard error by patient alone.

    Parameters
    ----------
    influence : ndarray of shape (n,)
        What each row contributes to the error of an estimate; sums to 0.
    patients, sites : array-like of shape (n,)
        Patient and site of each row.

    Returns
    -------
    float
        That by patient alone if there is a single site; NaN with fewer than two patients.

    References
    ----------
    .. [1] Cameron AC, Gelbach JB, Miller DL. Robust inference with multiway clustering. J Bus Econ Stat
       2011;29:238-249. doi:10.1198/jbes.2010.07136
    .. [2] Cameron AC, Miller DL. A practitioner's guide to cluster-robust inference. J Hum Resour 2015;50:317-372.
       doi:10.3368/jhr.50.2.317

    Examples
    --------
    >>> influence = np.array([0.5, 0.5, -0.5, -0.5])
    >>> compute_two_way_error(influence, [1, 2, 3, 4], [1, 1, 2, 2]) > compute_clustered_error(influence, [1, 2, 3, 4])
    True
    """
    by_patient = compute_clustered_error(influence, patients)
    by_site = compute_clustered_error(influence, sites)
    if not by_site > 0.0:
        return by_patient
    patient_codes, site_codes = (pd.factorize(np.asarray(names))[0] for names in (patients, sites))
    both = compute_clustered_error(influence, patient_codes * (site_codes.max() + 1) + site_codes)
    return float(np.sqrt(max(by_patient**2, by_patient**2 + by_site**2 - both**2)))


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
