"""Where the points of a contribution plot go: offsets of single points, and groups that show nobody alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]

SLICES = 60
GROUPS = 5


def compute_offsets(position: FloatArray) -> FloatArray:
    """Spread points that share a position sideways, so that the width of the cloud shows how many there are.

    Parameters
    ----------
    position : ndarray of shape (n,)
        Positions along the axis.

    Returns
    -------
    ndarray of shape (n,)
        Offsets from -1 to 1; nothing is random.
    """
    if len(position) == 0:
        return np.zeros(0)
    span = float(np.ptp(position)) or 1.0
    slice_of = np.minimum(((position - position.min()) / span * SLICES).astype(int), SLICES - 1)
    order = pd.Series(slice_of).groupby(slice_of).cumcount().to_numpy()
    size = np.bincount(slice_of, minlength=SLICES)[slice_of]
    step = np.where(order % 2 == 0, 1, -1) * ((order + 1) // 2)
    return np.asarray(step / max(int(size.max()) / 2, 3.0), dtype=float)


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
    if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
        return np.full(len(values), np.nan)
    ranked = values.astype("Float64").rank(method="average")
    ranks: FloatArray = np.asarray(ranked.to_numpy(dtype=float, na_value=np.nan), dtype=np.float64)
    if not np.isfinite(ranks).any():
        return ranks
    low, high = np.nanmin(ranks), np.nanmax(ranks)
    return np.asarray(
        (ranks - low) / (high - low) if high > low else np.where(np.isnan(ranks), np.nan, 0.5), dtype=float
    )


def compute_bubbles(contribution: pd.Series, values: pd.Series, *, smallest: int) -> pd.DataFrame:
    """Group patients of similar value, and give the mean contribution of each group.

    Numbers are cut into at most five groups at quantiles, equal values together; categories and missing values are
    groups of their own. Groups below ``smallest`` are left out, and the next larger one with them when together they
    would still be fewer, because the total would give them away.

    Parameters
    ----------
    contribution : Series of shape (n,)
        Log-odds contribution of one variable.
    values : Series of shape (n,)
        Its values.
    smallest : int
        Smallest group that may be shown.

    Returns
    -------
    DataFrame
        ``contribution`` (mean), ``rank`` (mean rank of the value from 0 to 1, NaN without order) and ``n``.
    """
    ranks = rank_values(values)
    group = _name_groups(ranks, values)
    table = (
        pd.DataFrame({"contribution": contribution.to_numpy(dtype=float), "rank": ranks, "group": group})
        .groupby("group", sort=True)
        .agg(contribution=("contribution", "mean"), rank=("rank", "mean"), n=("contribution", "size"))
    )
    by_size = table.sort_values("n", kind="stable")
    smaller = by_size["n"].cumsum() - by_size["n"]
    shown = by_size[(by_size["n"] >= smallest) & ((smaller == 0) | (smaller >= smallest))]
    return shown.sort_index().reset_index(drop=True)


def _name_groups(ranks: FloatArray, values: pd.Series) -> npt.NDArray[np.object_]:
    names = values.astype("str").fillna("missing").to_numpy(dtype=object)
    ordered = np.isfinite(ranks)
    if ordered.any():
        names[ordered] = [f"{cut:d}" for cut in np.minimum((ranks[ordered] * GROUPS).astype(int), GROUPS - 1)]
        names[~ordered] = "missing"
    return names
