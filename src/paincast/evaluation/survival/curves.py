"""Observed duration of relief: Kaplan-Meier and Aalen-Johansen estimates with confidence limits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from paincast.errors import DataError
from paincast.outcomes.labels import CENSORED, DIED, LOST_RELIEF

FloatArray = npt.NDArray[np.float64]

_LEAST = 1e-12
"""A share nearer to 0 or 1 differs from it by rounding alone, and has no limits on the scale of log(-log)."""


def compute_kaplan_meier(
    months: FloatArray, status: FloatArray, at: Sequence[float], level: float = 0.95
) -> pd.DataFrame:
    """Estimate the probability that relief holds beyond each month; death ends follow-up like any other censoring.

    Parameters
    ----------
    months, status : ndarray of shape (n,)
        Time and what ended it: 0 still held when last seen, 1 lost, 2 died.
    at : sequence of float
        Months.
    level : float
        Level of the interval.

    Returns
    -------
    DataFrame
        ``month, survival, lower, upper, at_risk``; limits by Greenwood's variance on the scale of log(-log).

    Raises
    ------
    DataError
        If a time or status is missing or not allowed.

    References
    ----------
    Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481. doi:10.1080/01621459.1958.10501452

    Examples
    --------
    >>> import numpy as np
    >>> months, status = np.array([1.0, 3.0, 3.0, 6.0]), np.array([1.0, 1.0, 0.0, 0.0])
    >>> compute_kaplan_meier(months, status, [1, 3, 6])["survival"].tolist()
    [0.75, 0.5, 0.5]
    """
    months, status = check_durations(months, status)
    times, at_risk, lost, _ = _count(months, status)
    survival = np.cumprod(1.0 - lost / at_risk)
    # Where all who are left lose relief the estimate is 0 and its variance is not defined.
    with np.errstate(divide="ignore"):
        variance = np.cumsum(np.where(at_risk > lost, lost / (at_risk * (at_risk - lost)), np.inf))
    position = np.searchsorted(times, np.asarray(at, dtype=float), side="right")
    estimate = np.append(1.0, survival)[position]
    lower, upper = _limit(estimate, np.append(0.0, variance)[position], level)
    risk = (months[:, None] >= np.asarray(at, dtype=float)).sum(axis=0)
    return pd.DataFrame({"month": list(at), "survival": estimate, "lower": lower, "upper": upper, "at_risk": risk})


def _limit(estimate: FloatArray, variance: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    inside = (estimate > _LEAST) & (estimate < 1 - _LEAST) & np.isfinite(variance)
    safe = np.where(inside, estimate, 0.5)
    spread = norm.ppf((1 + level) / 2) * np.sqrt(np.where(inside, variance, 0.0)) / -np.log(safe)
    lower, upper = safe ** np.exp(spread), safe ** np.exp(-spread)
    return np.where(inside, lower, estimate), np.where(inside, upper, estimate)


def compute_aalen_johansen(
    months: FloatArray, status: FloatArray, at: Sequence[float], cause: float = LOST_RELIEF, level: float = 0.95
) -> pd.DataFrame:
    """Estimate the cumulative incidence of one cause when the other competes.

    Parameters
    ----------
    months, status : ndarray of shape (n,)
        Time and what ended it: 0 still held when last seen, 1 lost, 2 died.
    at : sequence of float
        Months.
    cause : float
        1, relief is lost, or 2, death with relief.
    level : float
        Level of the interval.

    Returns
    -------
    DataFrame
        ``month, incidence, lower, upper``; limits by the variance of Dinse and Larson on the scale of log(-log).

    Raises
    ------
    DataError
        If a time or status is missing or not allowed.

    References
    ----------
    Aalen OO, Johansen S. Scand J Stat 1978;5:141-150.
    Dinse GE, Larson MG. Biometrika 1986;73:379-386. doi:10.1093/biomet/73.2.379 (variance, equation 6)

    Examples
    --------
    >>> import numpy as np
    >>> months, status = np.array([1.0, 3.0, 3.0, 6.0]), np.array([1.0, 2.0, 1.0, 0.0])
    >>> compute_aalen_johansen(months, status, [1, 3, 6])["incidence"].tolist()
    [0.25, 0.5, 0.5]
    """
    months, status = check_durations(months, status)
    times, at_risk, lost, died = _count(months, status)
    of_cause = lost if cause == LOST_RELIEF else died
    any_cause = lost + died
    before = np.append(1.0, np.cumprod(1.0 - any_cause / at_risk)[:-1])
    incidence = np.cumsum(before * of_cause / at_risk)
    at_months = np.asarray(at, dtype=float)
    position = np.searchsorted(times, at_months, side="right")
    estimate = np.append(0.0, incidence)[position]
    error = np.array(
        [_estimate_variance(at_risk[:p], of_cause[:p], any_cause[:p], before[:p], incidence[:p]) for p in position]
    )
    inside = (estimate > 0) & (estimate < 1)
    relative = np.where(inside, error / np.where(inside, estimate**2, 1.0), 0.0)
    lower, upper = _limit(estimate, relative, level)
    return pd.DataFrame({"month": list(at), "incidence": estimate, "lower": lower, "upper": upper})


def _estimate_variance(
    at_risk: FloatArray, of_cause: FloatArray, any_cause: FloatArray, before: FloatArray, incidence: FloatArray
) -> float:
    if not len(at_risk):
        return 0.0
    ahead = incidence[-1] - incidence
    left = np.maximum(at_risk - any_cause, 1e-12)
    parts = (
        np.where(at_risk > any_cause, ahead**2 * any_cause / (at_risk * left), 0.0)
        + before**2 * of_cause * (at_risk - of_cause) / at_risk**3
        - np.where(at_risk > any_cause, 2.0 * ahead * before * of_cause / at_risk**2, 0.0)
    )
    return float(max(parts.sum(), 0.0))


def _count(months: FloatArray, status: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    times, position = np.unique(months, return_inverse=True)
    total, lost, died = (
        np.bincount(position, weights=part.astype(float), minlength=len(times)).astype(float)
        for part in (np.ones(len(months)), status == LOST_RELIEF, status == DIED)
    )
    return times, total[::-1].cumsum()[::-1], lost, died


def check_durations(months: FloatArray, status: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Check times and what ended them.

    Returns
    -------
    months, status : ndarray of shape (n,)

    Raises
    ------
    DataError
        If there are no rows, they differ in number, a time is missing or below 0, or a status is unknown.
    """
    times, ends = np.asarray(months, dtype=float), np.asarray(status, dtype=float)
    if not len(times) or times.shape != ends.shape:
        raise DataError(
            f"durations: {times.shape} months and {ends.shape} statuses; give one of each per episode",
            code="PC-EVALUATION-25",
        )
    if not (np.isfinite(times) & (times >= 0)).all():
        raise DataError(
            f"months: {int((~(times >= 0)).sum())} missing or below 0; leave out patients who were never seen",
            code="PC-EVALUATION-26",
        )
    unknown = ~np.isin(ends, (CENSORED, LOST_RELIEF, DIED))
    if unknown.any():
        raise DataError(
            f"status: {int(unknown.sum())} values are not 0 (held), 1 (lost) or 2 (died)",
            code="PC-EVALUATION-27",
        )
    return times, ends
