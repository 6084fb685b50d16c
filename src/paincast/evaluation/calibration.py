"""Calibration curve: observed against predicted frequency in groups of similar predictions."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from paincast.errors import SettingsError
from paincast.evaluation.resampling import check_confidence
from paincast.evaluation.scored import FloatArray, IntArray, check_scored_rows

CURVE_COLUMNS = {
    "bin": "int64",
    "predicted": "float64",
    "observed": "float64",
    "lower": "float64",
    "upper": "float64",
    "n": "int64",
}
"""Columns of a calibration curve and their types."""


def compute_calibration_curve(
    outcome: Any, probability: Any, *, bins: int = 10, minimum_cell: int = 5, confidence: float = 0.95
) -> pd.DataFrame:
    """Compare predicted with observed frequency in quantile groups of the predictions.

    Equal predictions stay in one group, so that constant predictions give one. The intervals are Wilson's [1]_; they
    take rows as independent and are too narrow where patients bring many rows.

    Parameters
    ----------
    outcome : array-like of shape (n,)
        0 or 1.
    probability : array-like of shape (n,)
        Predicted probability of outcome 1.
    bins : int
        Largest number of groups. There are fewer when a group would hold less than ``max(2 * minimum_cell, 10)`` rows.
    minimum_cell : int
        Smallest count that may be shown; with fewer rows in total there is no group at all.
    confidence : float
        Coverage of the intervals, from 0.5 to 0.999.

    Returns
    -------
    DataFrame
        ``bin`` (from 1, ascending), ``predicted`` (mean probability), ``observed`` (share with outcome 1), its
        ``lower`` and ``upper`` limit, and ``n`` rows.

    Raises
    ------
    DataError
        If rows are missing, of unequal number or not allowed.
    SettingsError
        If a setting is not allowed.

    References
    ----------
    .. [1] Wilson EB. Probable inference, the law of succession, and statistical inference. J Am Stat Assoc
       1927;22:209-212. doi:10.1080/01621459.1927.10502953

    Examples
    --------
    >>> curve = compute_calibration_curve([0, 1] * 10, [0.2, 0.6] * 10)
    >>> curve[["predicted", "observed", "n"]].to_numpy().round(3).tolist()
    [[0.2, 0.0, 10.0], [0.6, 1.0, 10.0]]
    """
    check_confidence(confidence)
    if bins < 1 or minimum_cell < 1:
        raise SettingsError(f"bins={bins}, minimum_cell={minimum_cell}: both must be 1 or more")
    rows = check_scored_rows(outcome, probability)
    if rows.n < minimum_cell:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in CURVE_COLUMNS.items()})
    starts = find_bin_starts(rows.tie_starts, rows.n, bins, max(2 * minimum_cell, 10))
    n = np.diff(np.append(starts, rows.n))
    observed = np.add.reduceat(rows.outcome, starts) / n
    lower, upper = compute_wilson_interval(observed, n, confidence)
    return pd.DataFrame(
        {
            "bin": np.arange(1, len(starts) + 1),
            "predicted": np.add.reduceat(rows.probability, starts) / n,
            "observed": observed,
            "lower": lower,
            "upper": upper,
            "n": n,
        }
    )


def compute_wilson_interval(share: FloatArray, n: IntArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Compute Wilson's score interval of a share.

    Parameters
    ----------
    share : ndarray of shape (k,)
        Observed shares, from 0 to 1.
    n : ndarray of shape (k,)
        Counts they rest on.
    confidence : float
        Coverage.

    Returns
    -------
    lower, upper : ndarray of shape (k,)
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.clip(centre - half, 0.0, share), np.clip(centre + half, share, 1.0)


def find_bin_starts(tie_starts: IntArray, n: int, bins: int, smallest: int) -> IntArray:
    """Place each group of equal predictions by its middle rank, then join bins that are too small to a neighbour."""
    count = max(1, min(bins, n // smallest))
    tie_ends = np.append(tie_starts[1:], n)
    placed = ((tie_starts + tie_ends) / 2 * count / n).astype(np.int64)
    starts = list(tie_starts[np.flatnonzero(np.append(True, placed[1:] != placed[:-1]))])
    kept = [0]
    for start in starts[1:]:
        if start - kept[-1] >= smallest:
            kept.append(int(start))
    if len(kept) > 1 and n - kept[-1] < smallest:
        kept.pop()
    return np.array(kept, dtype=np.int64)
