"""Detect columns in the wrong unit, and columns that mix two units."""

from __future__ import annotations

import pandas as pd
from scipy.special import bdtrc

from paincast.cohort.rejects import BrokenRule
from paincast.schema import Column

UNIT_SHARE = 0.2
"""A larger share of values above the column's upper bound indicates a wrong unit rather than single errors."""
UNIT_COUNT = 3
"""Minimum number of implausible values before the unit of a column is questioned."""
FEWEST_AT_SITE = 2
"""Minimum number of patients of a hospital, all on the smaller scale, before its scale is questioned."""

_SMALLER_SCALE = {"NRS points": 1.0, "ODI points": 1.0, "%": 1.0}
"""Top of a second scale, in the contract's unit: 0-10 instead of 0-100, or shares instead of percentages."""
_TIMES = 3.0
"""Ratio of values below 1 to values between 1 and 2 above which percentages are taken to be written as shares."""
_GAP = {"episodes": (2.0, 1 / 3, 0.05), "visits": (3.0, 2 / 3, 0.01)}
"""Per table: the ratio of values just below to values just above the top of the second scale that indicates two scales;
the largest share below expected with a single scale; and the significance threshold. Low pain scores are rare before a
procedure and common after it, so the thresholds are stricter for visits."""


def detect_wrong_unit(values: pd.Series, column: Column, table: str) -> list[BrokenRule]:
    """Detect whether a whole column is in the wrong unit."""
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
    """Check that no value exceeds the top of the smaller scale and enough values lie strictly within it."""
    between = (values > 0.3 * top) & (values < top)
    return bool(between.sum() >= UNIT_COUNT and values.max() <= top)


def detect_wrong_scale(values: pd.Series, column: Column, table: str, also: pd.Series) -> list[BrokenRule]:
    """Find rows on a smaller scale than the rest of their column: 0-10 among 0-100, shares among percentages.

    A second scale produces many values just below its top and almost none just above; a single scale produces similar
    numbers on both sides. A 0 is the same on both scales and is kept.

    Parameters
    ----------
    values : Series of float, shape (n,)
        Values in the contract's unit.
    column : Column
        Their column.
    table : {"episodes", "visits", "events"}
        Which table.
    also : Series of bool, shape (n,)
        Rows whose scale is questionable for another reason, such as the baseline value.

    Returns
    -------
    list of BrokenRule
        Rows whose value may be on another scale; empty if there are none.
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
    """Find shares among percent reductions: many values lie below 1 and few just above 1."""
    sizes = percents.abs()
    parts, above = int(((sizes > 0) & (sizes < 1)).sum()), int(((sizes > 1) & (sizes < 2)).sum())
    return (sizes > 0) & (sizes <= 1) & (parts >= UNIT_COUNT and parts > _TIMES * above)


def find_sites_below(values: pd.Series, sites: pd.Series, column: Column) -> pd.Series:
    """Find the rows of sites whose values all lie on the smaller scale while those of other sites do not."""
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
