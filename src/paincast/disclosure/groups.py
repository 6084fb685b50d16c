"""Group patients by similar values, and choose the groups that are large enough to be shown."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
Labels = npt.NDArray[np.object_]

MISSING = "missing"


def is_ordered(values: pd.Series) -> bool:
    """Check whether the values of a variable are ordered: numbers and yes/no are, categories are not."""
    return bool(pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values))


def rank_values(values: pd.Series) -> FloatArray:
    """Rank values from 0 (lowest, or no) to 1 (highest, or yes).

    Parameters
    ----------
    values : Series of shape (n,)
        Numbers, booleans or categories.

    Returns
    -------
    ndarray of shape (n,)
        NaN where a value is missing; all NaN for categories, which are not ordered.
    """
    if not is_ordered(values):
        return np.full(len(values), np.nan)
    ranked = values.astype("Float64").rank(method="average")
    ranks: FloatArray = np.asarray(ranked.to_numpy(dtype=float, na_value=np.nan), dtype=np.float64)
    if not np.isfinite(ranks).any():
        return ranks
    low, high = np.nanmin(ranks), np.nanmax(ranks)
    return np.asarray(
        (ranks - low) / (high - low) if high > low else np.where(np.isnan(ranks), np.nan, 0.5), dtype=float
    )


def name_groups(values: pd.Series, *, groups: int) -> Labels:
    """Name the group of each value.

    Parameters
    ----------
    values : Series of shape (n,)
        Numbers, booleans or categories.
    groups : int
        Maximum number of quantile groups for numbers; equal values stay together.

    Returns
    -------
    ndarray of str, shape (n,)
        ``00``, ``01`` and so on from the lowest; each category is a group, and missing values are a group.
    """
    ranks = rank_values(values)
    if is_ordered(values):
        cuts = np.minimum((np.nan_to_num(ranks) * groups).astype(int), groups - 1)
        return np.array(
            [f"{cut:02d}" if known else MISSING for cut, known in zip(cuts, np.isfinite(ranks), strict=True)]
        )
    return np.asarray(values.astype("str").fillna(MISSING).to_numpy(dtype=object))


def choose_released_groups(labels: Labels, patients: IntArray, *, smallest: int) -> list[str]:
    """Choose the groups that may be shown.

    Groups of fewer than ``smallest`` patients are left out. If these together are still fewer, the next larger group is
    left out too, because the total would disclose them.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Group of each row.
    patients : ndarray of shape (n,)
        Patient of each row; a patient with several episodes counts once.
    smallest : int
        Minimum number of patients in a group.

    Returns
    -------
    list of str
        Sorted by name.

    Examples
    --------
    >>> labels = np.array(["few"] * 3 + ["some"] * 8 + ["many"] * 9, dtype=object)
    >>> choose_released_groups(labels, np.arange(20), smallest=5)
    ['many']
    """
    members = {str(name): set(part) for name, part in pd.Series(patients).groupby(labels)}
    shown: list[str] = []
    hidden: set[int] = set()
    for name, patients_in_group in sorted(members.items(), key=lambda pair: (len(pair[1]), pair[0])):
        if len(patients_in_group) < smallest or 0 < len(hidden) < smallest:
            hidden |= patients_in_group
        else:
            shown.append(name)
    return sorted(shown)
