"""Calibration by groups: observed against predicted frequency in groups of similar predictions."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import pandas as pd

from paincast.disclosure.cuts import choose_cuts, make_release_rule, merge_bins
from paincast.errors import SettingsError
from paincast.evaluation.predictions import IntArray, Predictions, check_predictions
from paincast.evaluation.resampling import check_confidence
from paincast.schema import MINIMUM_CELL
from paincast.statistics import compute_wilson_interval

CALIBRATION_GROUP_COLUMNS = {
    "bin": "int64",
    "predicted": "float64",
    "observed": "float64",
    "lower": "float64",
    "upper": "float64",
    "n": "int64",
}
"""Columns of calibration by groups and their types."""


NARROW_BINS = 200
FEWEST_BARS, MOST_BARS = 5, 20
ROWS_PER_BAR = 20


def compute_calibration_by_groups(
    outcome: Any,
    probability: Any,
    *,
    patients: Iterable[Any] | None = None,
    bins: int = 10,
    minimum_cell: int = MINIMUM_CELL,
    confidence: float = 0.95,
    published_cuts: Collection[float] = (),
) -> pd.DataFrame:
    """Compare predicted with observed frequency in quantile groups of the predictions.

    Equal predictions stay in one group, so that constant predictions give one. A group of few patients with or without
    the outcome is joined with its neighbour, because ``observed`` times ``n`` counts them. The intervals are Wilson's
    [1]_; they take rows as independent and are too narrow where patients bring many rows.

    Parameters
    ----------
    outcome : array-like of shape (n,)
        0 or 1.
    probability : array-like of shape (n,)
        Predicted probability of outcome 1.
    patients : array-like of shape (n,), optional
        Who each row belongs to; by default each row is a patient.
    bins : int
        Largest number of groups. There are fewer when a group would hold less than ``max(2 * minimum_cell, 10)`` rows.
    minimum_cell : int
        Fewest patients with the outcome, and without it, of a group; with fewer in total there is no group at all.
    confidence : float
        Coverage of the intervals, from 0.5 to 0.999.
    published_cuts : collection of float
        Cuts of other tables of the same predictions. The cuts of the groups are made to agree with them, so that no two
        tables together single out few patients; groups are then as near to equal size as that allows.

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
    >>> curve = compute_calibration_by_groups([0, 1, 1, 0] * 10, [0.2, 0.6] * 20)
    >>> curve[["predicted", "observed", "n"]].to_numpy().round(3).tolist()
    [[0.2, 0.5, 20.0], [0.6, 0.5, 20.0]]
    """
    check_confidence(confidence)
    rows = check_predictions(outcome, probability, patients)
    starts = _find_group_starts(rows, bins, minimum_cell, published_cuts)
    if not len(starts):
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in CALIBRATION_GROUP_COLUMNS.items()})
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


def list_group_cuts(
    outcome: Any,
    probability: Any,
    *,
    patients: Iterable[Any] | None = None,
    bins: int = 10,
    minimum_cell: int = MINIMUM_CELL,
    published_cuts: Collection[float] = (),
) -> list[float]:
    """List the lowest predictions of the groups of :func:`compute_calibration_by_groups`, the first group left out.

    Other tables of the same predictions may part patients only where these cuts allow it.

    Examples
    --------
    >>> list_group_cuts([0, 1, 1, 0] * 10, [0.2, 0.6] * 20)
    [0.6]
    """
    rows = check_predictions(outcome, probability, patients)
    return [float(cut) for cut in rows.probability[_find_group_starts(rows, bins, minimum_cell, published_cuts)[1:]]]


def compute_risk_histogram(
    probability: Any, *, patients: Iterable[Any] | None = None, published_cuts: Iterable[float] = ()
) -> pd.DataFrame:
    """Count predictions in bars of equal width, joined until none holds few patients.

    Parameters
    ----------
    probability : array-like of shape (n,)
        Predicted probabilities.
    patients : array-like of shape (n,), optional
        Who each row belongs to; by default each row is a patient.
    published_cuts : iterable of float
        Cuts of other tables of the same predictions, from which no bar may differ by few patients either.

    Returns
    -------
    DataFrame
        ``left, right, n``, ascending from 0 to 1; empty where there are fewer than five patients.

    Examples
    --------
    >>> compute_risk_histogram([0.1] * 4 + [0.5] * 40 + [0.95] * 6).to_numpy().tolist()
    [[0.0, 0.6, 44.0], [0.6, 0.8, 0.0], [0.8, 1.0, 6.0]]
    """
    values = np.asarray(probability, dtype=np.float64)
    is_releasable = make_release_rule(
        np.arange(len(values)) if patients is None else pd.factorize(pd.Series(patients))[0]
    )
    if not is_releasable(slice(None)):
        return pd.DataFrame(
            {"left": pd.Series(dtype=float), "right": pd.Series(dtype=float), "n": pd.Series(dtype=int)}
        )
    bars = int(np.clip(len(values) // ROWS_PER_BAR, FEWEST_BARS, MOST_BARS))
    wanted = [float(edge) for edge in np.linspace(0.0, 1.0, bars + 1)[1:-1].round(6)]
    edges = np.array([0.0, *choose_cuts(values, wanted, is_releasable, told=published_cuts), 1.0])
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "n": np.histogram(values, edges)[0]})


def _find_group_starts(rows: Predictions, bins: int, minimum_cell: int, published_cuts: Collection[float]) -> IntArray:
    if bins < 1 or minimum_cell < 1:
        raise SettingsError(
            f"bins={bins}, minimum_cell={minimum_cell}: both must be 1 or more", code="PC-EVALUATION-05"
        )
    is_releasable, smallest = (
        make_release_rule(rows.patient, rows.outcome, minimum=minimum_cell),
        max(2 * minimum_cell, 10),
    )
    narrow, fewest = find_bin_starts(rows.tie_starts, rows.n, NARROW_BINS, 1), max(smallest, rows.n / bins)
    if published_cuts:
        allowed = [
            *published_cuts,
            *choose_cuts(rows.probability, rows.probability[narrow], is_releasable, told=published_cuts),
        ]
        narrow = np.unique([0, *np.searchsorted(rows.probability, allowed)])
        narrow = narrow[narrow < rows.n]
    # Where one outcome is rare, narrow bins joined until they may be published leave more groups than quantiles do.
    joined = merge_bins(narrow, rows.n, lambda part: part.stop - part.start >= fewest and is_releasable(part))
    if published_cuts:
        return joined
    wanted = (find_bin_starts(rows.tie_starts, rows.n, count, smallest) for count in range(bins, 0, -1))
    merged = [*(merge_bins(starts, rows.n, is_releasable) for starts in wanted), joined]
    return max(merged, key=lambda starts: (len(starts), -max(np.diff([*starts, rows.n]), default=0)))


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
