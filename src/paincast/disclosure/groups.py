"""Groups of patients with similar values, in which nobody is alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
Labels = npt.NDArray[np.object_]

MISSING = "missing"


def is_ordered(values: pd.Series) -> bool:
    """Say whether the values of a variable have an order: numbers and yes/no have, categories have none."""
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
        NaN where a value is missing, and everywhere for categories, which have no order.
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
        Most groups into which numbers are cut at quantiles; equal values stay together.

    Returns
    -------
    ndarray of str, shape (n,)
        ``00``, ``01`` and so on from the lowest; a category is its own group, and so is what is missing.
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

    Groups of fewer patients than ``smallest`` are left out, and the next larger one with them when together they would
    still be fewer, because the total would give them away.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Group of each row.
    patients : ndarray of shape (n,)
        Patient of each row: many episodes of one patient are one patient.
    smallest : int
        Fewest patients of a group.

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
    for name, held in sorted(members.items(), key=lambda pair: (len(pair[1]), pair[0])):
        if len(held) < smallest or 0 < len(hidden) < smallest:
            hidden |= held
        else:
            shown.append(name)
    return sorted(shown)
