"""Cell suppression: hide small counts, and complementary counts from which they could be derived."""

from __future__ import annotations

from typing import overload

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
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
    """Flag counts that are small enough to be suppressed; 0 is not, because it discloses nobody.

    Examples
    --------
    >>> [is_small(n) for n in (0, 1, 4, 5)]
    [False, True, True, False]
    """
    return (n > 0) & (n < MINIMUM_CELL)


def flag_with_complements(n: IntArray, among: BoolArray) -> BoolArray:
    """Flag small counts, and the smallest others until at least two are flagged that sum to five or more.

    Parameters
    ----------
    n : ndarray of shape (n,)
        Counts whose sum is known.
    among : ndarray of shape (n,)
        True for counts that may be flagged.
    """
    hidden = among & is_small(n)
    others = sorted(np.flatnonzero(among & ~hidden & (n > 0)), key=lambda row: n[row])
    while hidden.any() and others and (hidden.sum() < 2 or n[hidden].sum() < MINIMUM_CELL):
        hidden[others.pop(0)] = True
    return np.asarray(hidden)


def withhold(metrics: pd.DataFrame, hidden: pd.Series, reason: str) -> pd.DataFrame:
    """Empty the estimates and intervals of some rows, and replace their method by the reason."""
    names = [name for name in ("estimate", "lower", "upper", "band_lower", "band_upper") if name in metrics]
    measured = {name: metrics[name].mask(hidden) for name in names}
    return metrics.assign(**measured, method=metrics["method"].mask(hidden, reason))


def suppress_small_cells(
    counts: pd.DataFrame, *, minimum: int = MINIMUM_CELL, is_zero_shown: bool = False
) -> pd.DataFrame:
    """Hide counts below a minimum, and their complements, in a table whose sums are known or shown.

    Rows are groups without common patients, and columns are parts of a group, such as responders and others. A single
    hidden cell could be derived from the sum of its row or column. Therefore the smallest other cells are hidden too,
    until every row and column has no hidden cell, or at least two that sum to ``minimum`` or more. Row sums are
    returned in a column ``total`` and treated in the same way. A 0 in a group with patients is hidden as well, because
    it discloses the outcome of all of them.

    Parameters
    ----------
    counts : DataFrame of shape (n_groups, n_parts)
        Whole numbers, 0 or more.
    minimum : int
        Smallest count that may be shown, at least 1.
    is_zero_shown : bool
        Whether a 0 in a group with patients may be shown: only where it tells nothing of a patient's health, such as a
        column that a site does not record.

    Returns
    -------
    DataFrame of shape (n_groups, n_parts + 1)
        ``Int64``, ``<NA>`` where a count is hidden, with the column ``total``. The sum of all totals is assumed to be
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
    hidden = hidden_totals | ((values < minimum) & (totals > 0) & ~(is_zero_shown & (values == 0)))
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
    """Hide the smallest shown count of each row and column whose hidden cells can be derived, until none can."""
    hidden = hidden.copy()
    changed = True
    while changed:
        changed = False
        for view, mask in ((values, hidden), (values.T, hidden.T)):
            for counts, is_hidden in zip(view, mask, strict=True):
                shown = np.flatnonzero(~is_hidden)
                if is_hidden.any() and (is_hidden.sum() == 1 or counts[is_hidden].sum() < minimum) and len(shown):
                    # Prefer counts above 0: with a hidden 0 the sum would equal the other hidden count.
                    kept = shown[counts[shown] > 0] if (counts[shown] > 0).any() else shown
                    is_hidden[kept[np.argmin(counts[kept])]] = True
                    changed = True
    return hidden
