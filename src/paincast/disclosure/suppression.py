"""Cell suppression: small counts are hidden, and with them their complements, from which they could be worked out."""

from __future__ import annotations

from typing import overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.errors import DataError, SettingsError
from paincast.schema import MINIMUM_CELL

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@overload
def is_small(n: float) -> bool: ...
@overload
def is_small(n: IntArray) -> BoolArray: ...
@overload
def is_small(n: pd.Series) -> pd.Series: ...
def is_small(n: float | IntArray | pd.Series) -> bool | BoolArray | pd.Series:
    """Flag counts of so few patients that they are suppressed; 0 tells of nobody.

    Examples
    --------
    >>> [is_small(n) for n in (0, 1, 4, 5)]
    [False, True, True, False]
    """
    return (n > 0) & (n < MINIMUM_CELL)


def flag_with_complements(n: IntArray, among: BoolArray) -> BoolArray:
    """Flag small counts, and beside them the smallest others until there are two that stand for five or more.

    Parameters
    ----------
    n : ndarray of shape (n,)
        Counts whose sum is known.
    among : ndarray of shape (n,)
        Those that may be flagged.
    """
    hidden = among & is_small(n)
    others = sorted(np.flatnonzero(among & ~hidden & (n > 0)), key=lambda row: n[row])
    while hidden.any() and others and (hidden.sum() < 2 or n[hidden].sum() < MINIMUM_CELL):
        hidden[others.pop(0)] = True
    return np.asarray(hidden)


def withhold(metrics: pd.DataFrame, hidden: pd.Series, reason: str) -> pd.DataFrame:
    """Empty the estimates and intervals of some rows, and give the reason as their method."""
    measured = {name: metrics[name].mask(hidden) for name in ("estimate", "lower", "upper")}
    return metrics.assign(**measured, method=metrics["method"].mask(hidden, reason))


def suppress_small_cells(counts: pd.DataFrame, *, minimum: int = MINIMUM_CELL) -> pd.DataFrame:
    """Hide counts under a minimum, and their complements, in a table whose sums are known or shown.

    Rows are groups that share no patient and columns are parts of a group, as responders and others. Whoever sees the
    sum of a row or of a column works out the one cell that is hidden in it; therefore the smallest of the others is
    hidden too, until every row and column hides none, or at least two that sum to ``minimum`` or more: fewer would be
    told of the groups taken together. Sums by row are given in a column ``total`` and
    treated in the same way. A 0 in a group that has patients is small as well: it says something of all of them.

    Parameters
    ----------
    counts : DataFrame of shape (n_groups, n_parts)
        Whole numbers, 0 or more.
    minimum : int
        Smallest count that may be shown, at least 1.

    Returns
    -------
    DataFrame of shape (n_groups, n_parts + 1)
        ``Int64``, ``<NA>`` where a count is hidden, with the column ``total``. The sum of all totals is taken to be
        known.

    Raises
    ------
    DataError
        If a count is missing, negative or not whole.
    SettingsError
        If ``minimum`` is below 1.

    References
    ----------
    Willenborg L, de Waal T. Elements of Statistical Disclosure Control. Springer 2001. doi:10.1007/978-1-4613-0121-9

    Examples
    --------
    >>> counts = pd.DataFrame({"responded": [40, 3, 30], "did_not": [38, 9, 25]}, index=["a", "b", "c"])
    >>> suppress_small_cells(counts)["responded"].isna().tolist()
    [False, True, True]
    """
    if minimum < 1:
        raise SettingsError(f"minimum={minimum} is not allowed; allowed: 1 or more", code="PC-DISCLOSURE-01")
    values = _check_counts(counts)
    totals = values.sum(axis=1, keepdims=True)
    hidden_totals = _hide_complements(totals, (totals > 0) & (totals < minimum), minimum)
    hidden = hidden_totals | ((values < minimum) & (totals > 0))
    hidden = _hide_complements(values, hidden, minimum)
    shown = pd.DataFrame(np.hstack([values, totals]), index=counts.index, columns=[*counts.columns, "total"])
    return shown.astype("Int64").mask(np.hstack([hidden, hidden_totals]))


def _check_counts(counts: pd.DataFrame) -> IntArray:
    values = counts.to_numpy(dtype=np.float64, na_value=np.nan)
    odd = int((~np.isfinite(values) | (values < 0) | (values != np.floor(values))).sum())
    if odd:
        raise DataError(
            f"counts: {odd} of {values.size} are not allowed; allowed: whole numbers, 0 or more",
            code="PC-DISCLOSURE-02",
        )
    return values.astype(np.int64)


def _hide_complements(values: IntArray, hidden: BoolArray, minimum: int) -> BoolArray:
    """Hide the smallest shown count of each row and column whose hidden part can be worked out, until there is none."""
    hidden = hidden.copy()
    changed = True
    while changed:
        changed = False
        for view, mask in ((values, hidden), (values.T, hidden.T)):
            for counts, gone in zip(view, mask, strict=True):
                shown = np.flatnonzero(~gone)
                if gone.any() and (gone.sum() == 1 or counts[gone].sum() < minimum) and len(shown):
                    # A count above 0 hides better: a 0 leaves the other as the whole of the sum.
                    kept = shown[counts[shown] > 0] if (counts[shown] > 0).any() else shown
                    gone[kept[np.argmin(counts[kept])]] = True
                    changed = True
    return hidden
