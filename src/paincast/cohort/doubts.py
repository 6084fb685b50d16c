"""Detect columns in the wrong unit, and columns that mix two units."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.cohort.rejects import BrokenRule
from paincast.deferred import pandas as pd
from paincast.deferred import special
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


class Tally(NamedTuple):
    """What the rules on whole columns need to know of numbers; tallies of parts of a column add up.

    ``n`` values, the ``lowest`` and the ``highest``; those ``above`` and ``below`` the bounds of the column, the
    ``broken`` ones (no whole numbers), the ``odd`` ones and the zeros; and by the top of a smaller scale those
    ``under`` it (and not near 0), ``over`` it (up to its double) and ``beyond``.
    """

    n: int = 0
    lowest: float = math.inf
    highest: float = -math.inf
    above: int = 0
    below: int = 0
    broken: int = 0
    odd: int = 0
    zeros: int = 0
    under: int = 0
    over: int = 0
    beyond: int = 0

    def add(self, other: Tally) -> Tally:
        """Add the tally of another part of the column."""
        lowest, highest = min(self.lowest, other.lowest), max(self.highest, other.highest)
        counts: Any = map(sum, zip(self, other, strict=True))
        return Tally(*counts)._replace(lowest=lowest, highest=highest)


def count_values(values: npt.NDArray[np.float64], column: Column, times: npt.NDArray[np.int64] | None = None) -> Tally:
    """Make the tally of numbers, of which each stands for a number of ``times``; NaN is no value."""
    known = ~np.isnan(values)
    if times is not None:
        known &= times > 0
        times = times[known]
    values = values[known]
    if not len(values):
        return Tally()

    def count(found: npt.NDArray[np.bool_]) -> int:
        return int(np.count_nonzero(found) if times is None else times[found].sum())

    low, high, top = column.low or 0.0, column.high, find_smaller_top(column)
    is_smaller, with_sums = not math.isnan(top), column.unit in _ADVICE
    return Tally(
        n=len(values) if times is None else int(times.sum()),
        lowest=float(values.min()),
        highest=float(values.max()),
        above=0 if high is None else count(values > high),
        below=count(values < low) if with_sums else 0,
        broken=count(values % 1 != 0) if with_sums else 0,
        odd=count(values % 2 == 1) if with_sums else 0,
        zeros=count(values == 0) if with_sums else 0,
        under=count((values > 0.3 * top) & (values < top)) if is_smaller else 0,
        over=count((values >= top) & (values <= 2 * top)) if is_smaller else 0,
        beyond=count(values > 2 * top) if is_smaller else 0,
    )


def detect_wrong_unit(values: pd.Series, column: Column, table: str) -> list[BrokenRule]:
    """Detect whether a whole column is in the wrong unit."""
    if column.type != "number" or column.high is None:
        return []
    if not may_have_wrong_unit(column, float(values.min()), float(values.max())):
        return []
    if not has_wrong_unit(count_values(values.to_numpy(dtype="float64"), column), column, table):
        return []
    return [leave_out_unit(values > column.high, column)]


def leave_out_unit(above: pd.Series, column: Column) -> BrokenRule:
    """Leave out a whole column that is in the wrong unit."""
    advice = f"{column.allowed}; {_ADVICE.get(column.unit or '', _OTHER_UNIT)}"
    return BrokenRule(broken=above, column=column.name, rule="unit", allowed=advice, action="column left out")


def has_wrong_unit(tally: Tally, column: Column, table: str) -> bool:
    """Check by its tally whether a whole column is in the wrong unit."""
    if column.type != "number" or column.high is None:
        return False
    too_large = tally.above >= UNIT_COUNT and tally.above > UNIT_SHARE * tally.n
    # No value exceeds the top of the smaller scale and enough values lie strictly within it.
    too_small = table == "episodes" and tally.under >= UNIT_COUNT and tally.highest <= find_smaller_top(column)
    return too_large or too_small or _is_scored_otherwise(tally, column)


def may_have_wrong_unit(column: Column, lowest: float, highest: float) -> bool:
    """Tell by the extremes of a column, or of a part of it, whether :func:`has_wrong_unit` needs a whole tally."""
    is_small = highest <= find_smaller_top(column)
    return (
        (column.high is not None and highest > column.high)
        or is_small
        or _may_be_scored_otherwise(column, lowest, highest)
    )


def _may_be_scored_otherwise(column: Column, lowest: float, highest: float) -> bool:
    """Tell by the extremes of a column whether :func:`_is_scored_otherwise` has to look at its values."""
    if column.unit == T_SCORE:
        return lowest < (column.low or 0.0) or highest <= RAW_TOP
    return column.unit == DOUBLED or (column.unit == IMPRESSION and highest <= 6)


def _is_scored_otherwise(tally: Tally, column: Column) -> bool:
    """Check for a score that was not made as its instrument is scored.

    Raw sums of PROMIS forms lie below the T-scores, or are few small whole numbers; a doubled sum of the DASS is even;
    an impression of change that reaches 0 and not 7 is coded 0 to 6.
    """
    if column.unit == T_SCORE:
        whole_and_small = tally.n >= RAW_COUNT and tally.highest <= RAW_TOP and not tally.broken
        return (tally.below >= UNIT_COUNT and tally.below > UNIT_SHARE * tally.n) or whole_and_small
    if column.unit == DOUBLED:
        return tally.odd >= UNIT_COUNT and tally.odd > UNIT_SHARE * tally.n
    return column.unit == IMPRESSION and tally.zeros >= UNIT_COUNT and tally.highest <= 6


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
    if not may_have_two_scales(column, table):
        return []
    small = find_small(values, column)
    if not small.any():
        return []
    both = has_two_scales(count_values(values.to_numpy(dtype="float64"), column), column, table)
    return doubt_scale(small if both else small & also, column)


def may_have_two_scales(column: Column, table: str) -> bool:
    """Whether a column may be written on a smaller scale, and a table has such columns."""
    return not math.isnan(find_smaller_top(column)) and table in _GAP


def find_small(values: pd.Series, column: Column) -> pd.Series:
    """Find the values that are possible on the smaller scale; 0 is the same on both."""
    return (values > 0) & (values <= find_smaller_top(column))


def doubt_scale(doubted: pd.Series, column: Column) -> list[BrokenRule]:
    """Empty the cells that may be on a smaller scale, if there are any."""
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
    nowhere = pd.Series(False, index=values.index)
    if math.isnan(find_smaller_top(column)) or sites.isna().all():
        return nowhere
    tally = count_values(values.to_numpy(dtype="float64"), column)
    if not may_have_sites_below(tally):
        return nowhere
    below = list_sites_below(count_by_site(values, sites, column), column)
    return sites.isin(below) if below else nowhere


def may_have_sites_below(tally: Tally) -> bool:
    """Tell by the tally of a column whether the values of each site have to be looked at."""
    return tally.under >= FEWEST_AT_SITE and tally.beyond >= UNIT_COUNT


def count_by_site(values: pd.Series, sites: pd.Series, column: Column) -> pd.DataFrame:
    """Count by site the values well within the smaller scale (``under``), and give its ``highest`` value."""
    top = find_smaller_top(column)
    under = (values > 0.3 * top) & (values < top)
    return pd.DataFrame({"under": under.groupby(sites).sum(), "highest": values.groupby(sites).max()})


def list_sites_below(counts: pd.DataFrame, column: Column) -> list[str]:
    """List the sites all of whose values lie on the smaller scale; see :func:`count_by_site`."""
    is_below = (counts["under"] >= FEWEST_AT_SITE) & (counts["highest"] <= find_smaller_top(column))
    return [str(site) for site in counts.index[is_below]]


def has_two_scales(tally: Tally, column: Column, table: str) -> bool:
    """Check for many values just below the top of the smaller scale and few just above."""
    if table not in _GAP or math.isnan(find_smaller_top(column)):
        return False
    times, share, level = _GAP[table]
    enough = tally.under >= UNIT_COUNT and tally.beyond >= UNIT_COUNT and tally.under > times * tally.over
    return enough and bool(special.bdtrc(tally.under - 1, tally.under + tally.over, share) < level)
