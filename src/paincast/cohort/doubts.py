"""Whether a column is in another unit than it should be, or two units stand in one column."""

from __future__ import annotations

import pandas as pd
from scipy.special import bdtrc

from paincast.cohort.rejects import BrokenRule
from paincast.schema import Column

UNIT_SHARE = 0.2
"""More than this share of a column's values above its upper bound means another unit, not single errors."""
UNIT_COUNT = 3
"""At least so many values must be strange before the unit of a column is doubted."""
FEWEST_AT_SITE = 2
"""At so few patients of one hospital, all on the smaller scale, the scale of that hospital is doubted."""

_SMALLER_SCALE = {"NRS points": 1.0, "ODI points": 1.0, "%": 1.0}
"""Top of a second scale, in the contract's unit: 0-10 where 0-100 is declared, or shares where percentages are."""
_TIMES = 3.0
"""How many times as many parts of 1 as values between 1 and 2 mean that percentages are written as shares."""
_GAP = {"episodes": (2.0, 1 / 3, 0.05), "visits": (3.0, 2 / 3, 0.01)}
"""How many times as many values just under the top of the second scale as just above mean that there are two; the share
of them expected at most where there is one; and how improbable more must be. Pain is rarely slight before a
procedure and often after it: more is asked of visits."""


def doubt_unit(values: pd.Series, column: Column, table: str) -> list[BrokenRule]:
    """Find out whether a whole column is in another unit than it should be."""
    if column.type != "number" or column.high is None:
        return []
    above = values > column.high
    too_large = above.sum() >= UNIT_COUNT and above.sum() > UNIT_SHARE * values.notna().sum()
    top = _SMALLER_SCALE.get(column.unit or "")
    too_small = table == "episodes" and top is not None and _lies_below(values, top)
    if not too_large and not too_small:
        return []
    advice = f"{column.allowed}; most likely another unit: declare it in the mapping (unit: ...), or convert the column"
    return [BrokenRule(broken=above, column=column.name, rule="unit", allowed=advice, action="column left out")]


def _lies_below(values: pd.Series, top: float) -> bool:
    """Say whether no value is above the top of the smaller scale, and enough of them are not whole there."""
    between = (values > 0.3 * top) & (values < top)
    return bool(between.sum() >= UNIT_COUNT and values.max() <= top)


def doubt_scale(values: pd.Series, column: Column, table: str, also: pd.Series) -> list[BrokenRule]:
    """Find rows on a smaller scale than the rest of their column: 0-10 among 0-100, shares among percentages.

    A second scale shows as many values just under its top, and next to none just above: of one scale there are as many
    in the one place as in the other. A 0 is the same on both and is kept.

    Parameters
    ----------
    values : Series of float, shape (n,)
        Values in the contract's unit.
    column : Column
        Their column.
    table : {"episodes", "visits", "events"}
        Where it stands.
    also : Series of bool, shape (n,)
        Rows whose scale is in doubt for another reason, such as the value before the procedure.

    Returns
    -------
    list of BrokenRule
        Rows whose value is in doubt; empty where there is none.
    """
    top = _SMALLER_SCALE.get(column.unit or "")
    if top is None or table not in _GAP:
        return []
    small = (values > 0) & (values <= top)
    doubted = small if _has_two_scales(values, top, table) else small & also
    if not doubted.any():
        return []
    advice = f"{column.allowed}; other rows are on another scale: bring all to one, or read them as separate columns"
    return [BrokenRule(broken=doubted, column=column.name, rule="unit", allowed=advice, action="cell emptied")]


def find_shares(percents: pd.Series) -> pd.Series:
    """Find shares among percent reductions: many values are parts of 1, and few lie just above 1."""
    sizes = percents.abs()
    parts, above = int(((sizes > 0) & (sizes < 1)).sum()), int(((sizes > 1) & (sizes < 2)).sum())
    return (sizes > 0) & (sizes <= 1) & (parts >= UNIT_COUNT and parts > _TIMES * above)


def find_sites_below(values: pd.Series, sites: pd.Series, column: Column) -> pd.Series:
    """Find the rows of sites that are wholly on the smaller scale while other sites are not."""
    top = _SMALLER_SCALE.get(column.unit or "")
    if top is None or sites.isna().all() or (values > 2 * top).sum() < UNIT_COUNT:
        return pd.Series(False, index=values.index)
    between = (values > 0.3 * top) & (values < top)
    below = (between.groupby(sites).sum() >= FEWEST_AT_SITE) & (values.groupby(sites).max() <= top)
    return sites.map(below).fillna(False).astype(bool)


def _has_two_scales(values: pd.Series, top: float, table: str) -> bool:
    times, share, level = _GAP[table]
    under = int(((values > 0.3 * top) & (values < top)).sum())
    over = int(((values >= top) & (values <= 2 * top)).sum())
    beyond = int((values > 2 * top).sum())
    enough = under >= UNIT_COUNT and beyond >= UNIT_COUNT and under > times * over
    return enough and bool(bdtrc(under - 1, under + over, share) < level)
