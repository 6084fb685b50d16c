"""Release shares of groups: small cells are hidden with their complements, counts are rounded to five."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from paincast.disclosure.rounding import FEW, round_count
from paincast.disclosure.suppression import flag_with_complements, is_small, suppress_small_cells
from paincast.schema import MINIMUM_CELL

SHARE_DIGITS = 2
PATIENTS = ("with_patients", "without_patients")
"""Columns of a table of shares that only disclosure control reads: the patients behind both parts of a group."""

MEASURED = ("share", "lower", "upper")
NOT_SHOWN = "not shown"


def release_shares(
    table: pd.DataFrame, *, within: Sequence[str] = (), is_zero_shown: bool = True, real: bool = True
) -> pd.DataFrame:
    """Release a table of shares, so that neither a small count nor its complement can be worked out.

    Rows that agree in ``within`` are groups without common patients whose sums are known; cells are hidden by
    :func:`paincast.disclosure.suppression.suppress_small_cells`, a cell of a few patients with many episodes too. What
    is shown is rounded: counts to five, so that other tables of the same patients give nothing away, and shares with
    their limits to whole percent.

    Parameters
    ----------
    table : DataFrame
        ``n, count, with_patients, without_patients``: rows or episodes of a group, those of them that are counted, and
        the patients behind these and behind the others; ``share, lower, upper`` where there are any.
    within : sequence of str
        Columns that tell the partitions apart.
    is_zero_shown : bool
        Whether it may be told that nobody of a group, or everybody, is counted.
    real : bool
        Simulated patients are released as they are.

    Returns
    -------
    DataFrame
        Without the columns of patients; ``n`` and ``count`` as ``Int64``, ``<NA>`` where they are hidden.

    Examples
    --------
    >>> rows = {"n": [52, 60, 40], "count": [3, 20, 10], "with_patients": [3, 20, 10], "without_patients": [49, 40, 30]}
    >>> table = pd.DataFrame({"site": ["a", "b", "c"], **rows, "share": [0.058, 1 / 3, 0.25]})
    >>> release_shares(table)[["n", "count", "share"]].to_numpy().tolist()
    [[50, <NA>, nan], [60, 20, 0.33], [40, <NA>, nan]]
    """
    if not real or table.empty:
        return _drop_patients(table)
    return _hide(table, _flag_hidden(table, within, is_zero_shown=is_zero_shown))


def release_single_shares(table: pd.DataFrame, *, is_zero_shown: bool = True, real: bool = True) -> pd.DataFrame:
    """Release shares each of which stands alone, and tell which of its parts is small.

    No sum of other rows is known, so that "fewer than 5" gives no other count away.

    Parameters
    ----------
    table, is_zero_shown, real
        As for :func:`release_shares`.

    Returns
    -------
    DataFrame
        With a column ``note``: which part is small; empty where the count is shown.

    Examples
    --------
    >>> rows = {"n": [52, 60], "count": [3, 20], "with_patients": [3, 20], "without_patients": [49, 40]}
    >>> release_single_shares(pd.DataFrame(rows))[["n", "count", "note"]].to_numpy().tolist()
    [[50, <NA>, 'fewer than 5'], [60, 20, '']]
    """
    cells = table[list(PATIENTS)].to_numpy(dtype=np.int64)
    totals = cells.sum(axis=1)
    is_nobody = (cells == 0) & (totals > 0)[:, None]
    is_hidden = is_small(cells) | (is_nobody & (not is_zero_shown))
    hidden = pd.DataFrame({"n": is_small(totals), "count": is_hidden.any(axis=1)}, index=table.index)
    released = _hide(table, hidden) if real else _drop_patients(table)
    notes = [_describe_hidden(*counts) for counts in cells.tolist()]
    return released.assign(note=pd.Series(notes, index=released.index, dtype="str").where(released["count"].isna(), ""))


def release_parts(table: pd.DataFrame, *, real: bool = True) -> pd.DataFrame:
    """Release shares of parts that together make a whole whose size is known.

    Parameters
    ----------
    table, real
        As for :func:`release_shares`; ``n`` is the size of the whole in every row.

    Examples
    --------
    >>> rows = {"n": [95] * 3, "count": [3, 12, 80], "with_patients": [3, 12, 80], "without_patients": [92, 83, 15]}
    >>> release_parts(pd.DataFrame({**rows, "share": [0.03, 0.13, 0.84]}))["count"].tolist()
    [<NA>, <NA>, 80]
    """
    if not real or table.empty:
        return _drop_patients(table)
    patients = table[PATIENTS[0]].to_numpy(dtype=np.int64)
    hidden = flag_with_complements(patients, np.ones(len(table), dtype=bool))
    return _hide(table, pd.DataFrame({"n": False, "count": hidden}, index=table.index))


def release_counts(counts: pd.Series, *, real: bool = True) -> pd.Series:
    """Release counts that belong to no common sum: small ones are hidden, the others rounded to five.

    Examples
    --------
    >>> release_counts(pd.Series([0, 3, 48])).tolist()
    [0, <NA>, 50]
    """
    whole = counts.astype("Int64")
    return _round_counts(whole.mask(is_small(whole).fillna(value=False))) if real else whole


def _drop_patients(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=list(PATIENTS)).astype({"n": "Int64", "count": "Int64"})


def _hide(table: pd.DataFrame, hidden: pd.DataFrame) -> pd.DataFrame:
    """Empty hidden counts, with the shares that tell them, and round the others."""
    released = _drop_patients(table)
    counts = {name: _round_counts(released[name].mask(hidden[name])) for name in ("n", "count")}
    measured = {name: table[name].mask(hidden["count"]).round(SHARE_DIGITS) for name in MEASURED if name in table}
    return released.assign(**counts, **measured)


def _flag_hidden(table: pd.DataFrame, within: Sequence[str], *, is_zero_shown: bool) -> pd.DataFrame:
    """Flag the counts, and the sizes of groups, that must be hidden."""
    # A group of few patients is small however many episodes they have.
    cells = table[list(PATIENTS)].astype("int64")
    keys = [table[name] for name in within]
    parts = [part for _, part in cells.groupby(keys, sort=False, dropna=False)] if keys else [cells]
    shown = pd.concat([suppress_small_cells(part, is_zero_shown=is_zero_shown) for part in parts])
    return pd.DataFrame({"n": shown["total"].isna(), "count": shown[list(PATIENTS)].isna().any(axis=1)}).reindex(
        table.index
    )


def _round_counts(counts: pd.Series) -> pd.Series:
    return counts.map(lambda n: round_count(float(n)), na_action="ignore").astype("Int64")


def _describe_hidden(n_with: int, n_without: int) -> str:
    if n_with + n_without < MINIMUM_CELL:
        return f"{FEW} in all"
    if is_small(n_with):
        return FEW
    return f"all but {FEW}" if is_small(n_without) else NOT_SHOWN
