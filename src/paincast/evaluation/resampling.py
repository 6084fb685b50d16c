"""Bootstrap of patients: resamples as weights on the rows, and intervals that count what was lost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtri

from paincast.evaluation.predictions import FloatArray, IntArray, Predictions
from paincast.settings import EvaluationSettings, check_field

MAXIMUM_LOST_SHARE = 0.1
"""An interval is withheld when more than this share of the resamples could not be estimated."""

CELLS_PER_BLOCK = 100_000
"""Weights held at once (rows times resamples): few enough to stay in the processor's cache."""

WIDENED = "widened to hold the normal interval about the estimate, which percentiles miss"

SMALLEST_BLOCK = 4
"""Fewest resamples worked on together, however many rows."""


def check_resamples(resamples: int) -> None:
    """Check the number of resamples as the setting ``evaluation.resamples`` is checked.

    Raises
    ------
    SettingsError
        If there are too few for an interval.
    """
    check_field(EvaluationSettings, "resamples", resamples)


def check_confidence(confidence: float) -> None:
    """Check the confidence of an interval as the setting ``evaluation.confidence`` is checked.

    Raises
    ------
    SettingsError
        If it is outside what is allowed.
    """
    check_field(EvaluationSettings, "confidence", confidence)


def describe_estimate(
    estimate: float,
    resampled: FloatArray,
    confidence: float,
    manner: str,
    *,
    reason: str = "",
    noise: FloatArray | None = None,
    allowed: tuple[float, float] = (-np.inf, np.inf),
) -> dict[str, float | str]:
    """Return ``estimate, lower, upper, method`` of a metric from its bootstrap; an interval holds its estimate.

    Parameters
    ----------
    estimate : float
        NaN where the metric does not exist.
    resampled : ndarray of shape (resamples,)
        NaN where a resample could not be estimated.
    confidence : float
        Coverage of the interval.
    manner : str
        How the interval came about.
    reason : str
        Why there is no estimate, or why there can be no interval.
    noise : ndarray of shape (resamples,), optional
        Of a distance, which is no percentile interval's kind: see :func:`compute_distance_interval`.
    allowed : tuple of float
        Smallest and largest value that the metric can have.
    """
    if not np.isfinite(estimate):
        return {"estimate": np.nan, "lower": np.nan, "upper": np.nan, "method": f"not estimable: {reason}"}
    if reason:
        lower, upper, note = np.nan, np.nan, f"no interval: {reason}"
    elif noise is None:
        lower, upper, note = compute_percentile_interval(resampled, confidence)
        if np.isfinite(lower) and not lower <= estimate <= upper:
            lower, upper = widen_interval(estimate, (lower, upper), resampled, confidence, allowed)
            note = "; ".join(part for part in (note, WIDENED) if part)
    else:
        lower, upper, note = compute_distance_interval(estimate, resampled, noise, confidence)
    method = "; ".join(part for part in (manner, note) if part)
    return {"estimate": estimate, "lower": lower, "upper": upper, "method": method}


def resample_patient_weights(rows: Predictions, resamples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Draw patients with replacement and yield how often each row stands in each resample.

    All rows of a patient are drawn together, so that what they have in common does not pass for information [1]_.

    Parameters
    ----------
    rows : Predictions
        The rows.
    resamples : int
        Number of resamples.
    rng : Generator
        Source of the draws.

    Yields
    ------
    ndarray of shape (n_resamples_in_block, n)
        Non-negative whole numbers.

    References
    ----------
    .. [1] Field CA, Welsh AH. Bootstrapping clustered data. J R Stat Soc B 2007;69:369-390.
       doi:10.1111/j.1467-9868.2007.00593.x
    """
    for drawn in resample_patients(rows, resamples, rng):
        size = len(drawn)
        placed = drawn + np.arange(size)[:, None] * rows.n_patients
        counts = np.bincount(placed.ravel(), minlength=size * rows.n_patients).reshape(size, rows.n_patients)
        yield counts[:, rows.patient].astype(np.float64)


def resample_patients(rows: Predictions, resamples: int, rng: np.random.Generator) -> Iterator[IntArray]:
    """Draw patients with replacement, as many as there are, and yield who was drawn in blocks of resamples.

    Yields
    ------
    ndarray of shape (n_resamples_in_block, n_patients)
        Numbers of patients.
    """
    block = max(SMALLEST_BLOCK, CELLS_PER_BLOCK // rows.n)
    for start in range(0, resamples, block):
        yield rng.integers(rows.n_patients, size=(min(block, resamples - start), rows.n_patients))


def compute_percentile_interval(estimates: FloatArray, confidence: float) -> tuple[float, float, str]:
    """Compute a percentile interval, or return why there is none.

    Parameters
    ----------
    estimates : ndarray of shape (resamples,)
        NaN where a resample could not be estimated.
    confidence : float
        Coverage asked for.

    Returns
    -------
    lower, upper : float
        Ends of the interval; NaN when it is withheld.
    note : str
        What was lost and why an interval is withheld; empty when nothing is to be said.
    """
    kept = estimates[np.isfinite(estimates)]
    lost = len(estimates) - len(kept)
    if lost > MAXIMUM_LOST_SHARE * len(estimates):
        return np.nan, np.nan, f"no interval: {lost} of {len(estimates)} resamples not estimable"
    if np.ptp(kept) <= 1e-12:
        return np.nan, np.nan, "no interval: all resamples agree, which is no measure of uncertainty"
    tail = (1.0 - confidence) / 2.0
    lower, upper = np.quantile(kept, [tail, 1.0 - tail])
    return float(lower), float(upper), f"{lost} resamples not estimable and left out" if lost else ""


def widen_interval(
    estimate: float,
    limits: tuple[float, float],
    resampled: FloatArray,
    confidence: float,
    allowed: tuple[float, float] = (-np.inf, np.inf),
) -> tuple[float, float]:
    """Widen a percentile interval that misses its estimate until it holds the normal interval about the estimate.

    Percentiles miss the estimate where a metric is moved by resampling, as one that is above 0 for perfect predictions.
    The percentile interval is kept whole, so that the truth is held at least as often as by it.

    Parameters
    ----------
    estimate : float
        On all rows.
    limits : tuple of float
        From :func:`compute_percentile_interval`.
    resampled : ndarray of shape (resamples,)
        NaN where a resample could not be estimated.
    confidence : float
        Coverage asked for.
    allowed : tuple of float
        Smallest and largest value that the metric can have.

    Returns
    -------
    lower, upper : float

    Examples
    --------
    >>> widen_interval(0.1, (0.12, 0.3), np.array([0.12, 0.2, 0.3]), 0.95, (0.0, 1.0))
    (0.0, 0.3)
    """
    reach = float(ndtri(0.5 + confidence / 2.0)) * float(resampled[np.isfinite(resampled)].std())
    lower, upper = np.clip([estimate - reach, estimate + reach], *allowed)
    return float(min(limits[0], lower, estimate)), float(max(limits[1], upper, estimate))


def compute_distance_interval(
    estimate: float, resampled: FloatArray, noise: FloatArray, confidence: float
) -> tuple[float, float, str]:
    """Compute an interval of the distance of an estimated curve from a fixed one, or return why there is none.

    Such a distance is above 0 even where the true one is 0, and in a resample it is so once more: percentiles lie too
    high, above the estimate even, and never hold a true 0. Here the lower limit is the estimate minus a quantile of the
    distance between resampled curve and curve, which stands for that between curve and truth: by the triangle
    inequality a mean or a largest distance errs by no more. The upper limit is the estimate plus the normal quantile
    times the standard error of the bootstrap: the estimate lies high, so that is enough. How often both hold the true
    distance is measured in ``benchmarks/calibration_coverage.py``.

    Parameters
    ----------
    estimate : float
        The distance, from 0 to 1.
    resampled : ndarray of shape (resamples,)
        The distance in each resample; NaN where it could not be estimated.
    noise : ndarray of shape (resamples,)
        The same measure of the distance between the curve of the resample and that of all rows.
    confidence : float
        Coverage asked for.

    Returns
    -------
    lower, upper : float
        Ends of the interval, which holds the estimate; NaN when it is withheld, as a percentile interval would be.
    note : str
        As of :func:`compute_percentile_interval`.

    References
    ----------
    Fang Z, Santos A. Inference on directionally differentiable functions. Rev Econ Stud 2019;86:377-412.
    doi:10.1093/restud/rdy049 (why percentiles fail where the distance is 0)
    """
    *limits, note = compute_percentile_interval(resampled, confidence)
    if not np.isfinite(limits).all():
        return np.nan, np.nan, note
    kept = np.isfinite(resampled)
    reach = float(ndtri(0.5 + confidence / 2.0)) * float(resampled[kept].std())
    lower = estimate - float(np.quantile(noise[kept], 0.5 + confidence / 2.0))
    return max(0.0, lower), min(1.0, estimate + reach), note
