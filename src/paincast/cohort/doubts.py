"""Detect columns in the wrong unit, and columns that mix two units."""

from __future__ import annotations

import math

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

_SMALLER_SCALE = {"NRS points": 1.0, "VAS mm": 10.0, "ODI points": 1.0, "NDI %": 1.0, "%": 1.0}
"""Top of a second scale, in the contract's unit: 0-10 instead of 0-100, or shares instead of percentages."""
T_SCORE, DOUBLED, IMPRESSION = "T-score", "DASS points", "PGIC points"
_OTHER_UNIT = "most likely another unit: declare it in the mapping (unit: ...), or convert the column"
_ADVICE = {
    T_SCORE: "most likely raw sums of items: convert them with the table of the form, or read the column of T-scores",
    DOUBLED: "most likely sums that were not doubled: declare unit: 0-21",
    IMPRESSION: "most likely coded from 0: declare unit: 0-6",
}
RAW_COUNT, RAW_TOP = 10, 30
"""Fewest values, and highest of them, from which whole numbers are taken to be raw sums instead of T-scores."""
_TIMES = 3.0
"""Ratio of values below 1 to values between 1 and 2 above which percentages are taken to be written as shares."""
_GAP = {"episodes": (2.0, 1 / 3, 0.05), "visits": (3.0, 2 / 3, 0.01)}
"""Per table: the ratio of values just below to values just above the top of the second scale that indicates two scales;
the largest share below expected with a single scale; and the significance threshold. Low pain scores are rare before a
procedure and common after it, so the thresholds are stricter for visits."""


def detect_wrong_unit(
    values: pd.Series, column: Column, table: str, extremes: tuple[float, float] | None = None
) -> list[BrokenRule]:
    """Detect whether a whole column is in the wrong unit; its lowest and highest value may be known."""
    if column.type != "number" or column.high is None:
        return []
    lowest, highest = extremes or (float(values.min()), float(values.max()))
    top = _SMALLER_SCALE.get(column.unit or "")
    is_small = top is not None and highest <= top
    if highest <= column.high and not is_small and not _may_be_scored_otherwise(column, lowest, highest):
        return []
    above = values > column.high
    too_large = above.sum() >= UNIT_COUNT and above.sum() > UNIT_SHARE * values.notna().sum()
    too_small = table == "episodes" and top is not None and _lies_below(values, top)
    otherwise = _ADVICE.get(column.unit or "", _OTHER_UNIT)
    if not too_large and not too_small and not _is_scored_otherwise(values, column):
        return []
    advice = f"{column.allowed}; {otherwise}"
    return [BrokenRule(broken=above, column=column.name, rule="unit", allowed=advice, action="column left out")]


def _may_be_scored_otherwise(column: Column, lowest: float, highest: float) -> bool:
    """Tell by the extremes of a column whether :func:`_is_scored_otherwise` has to look at its values."""
    if column.unit == T_SCORE:
        return lowest < (column.low or 0.0) or highest <= RAW_TOP
    return column.unit == DOUBLED or (column.unit == IMPRESSION and highest <= 6)


def _is_scored_otherwise(values: pd.Series, column: Column) -> bool:
    """Check for a score that was not made as its instrument is scored.

    Raw sums of PROMIS forms lie below the T-scores, or are few small whole numbers; a doubled sum of the DASS is even;
    an impression of change that reaches 0 and not 7 is coded 0 to 6.
    """
    known = values.dropna()
    if column.unit == T_SCORE:
        below = int((known < (column.low or 0.0)).sum())
        whole_and_small = len(known) >= RAW_COUNT and known.max() <= RAW_TOP and bool((known % 1 == 0).all())
        return (below >= UNIT_COUNT and below > UNIT_SHARE * len(known)) or whole_and_small
    if column.unit == DOUBLED:
        odd = int((known % 2 == 1).sum())
        return odd >= UNIT_COUNT and odd > UNIT_SHARE * len(known)
    return column.unit == IMPRESSION and int((known == 0).sum()) >= UNIT_COUNT and bool((known <= 6).all())


def _lies_below(values: pd.Series, top: float) -> bool:
    """Check that no value exceeds the top of the smaller scale and enough values lie strictly within it."""
    between = (values > 0.3 * top) & (values < top)
    return bool(between.sum() >= UNIT_COUNT and values.max() <= top)


def find_smaller_top(column: Column) -> float:
    """Return the top of the smaller scale on which a column may be written; NaN if there is none."""
    return _SMALLER_SCALE.get(column.unit or "", math.nan)


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
    if not small.any():
        return []
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
    nowhere = pd.Series(False, index=values.index)
    if top is None:
        return nowhere
    between = (values > 0.3 * top) & (values < top)
    if between.sum() < FEWEST_AT_SITE or (values > 2 * top).sum() < UNIT_COUNT or sites.isna().all():
        return nowhere
    below = (between.groupby(sites).sum() >= FEWEST_AT_SITE) & (values.groupby(sites).max() <= top)
    return sites.map(below).fillna(False).astype(bool)


def _has_two_scales(values: pd.Series, top: float, table: str) -> bool:
    times, share, level = _GAP[table]
    under = int(((values > 0.3 * top) & (values < top)).sum())
    over = int(((values >= top) & (values <= 2 * top)).sum())
    beyond = int((values > 2 * top).sum())
    enough = under >= UNIT_COUNT and beyond >= UNIT_COUNT and under > times * over
    return enough and bool(bdtrc(under - 1, under + over, share) < level)
