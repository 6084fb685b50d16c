"""What the rules on whole columns need to know of rows that are read in parts, and what they decide of all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.doubts import (
    Tally,
    count_values,
    find_smaller_top,
    has_two_scales,
    has_wrong_unit,
    list_sites_below,
    may_have_sites_below,
    may_have_wrong_unit,
)
from paincast.cohort.numerals import (
    NumberReading,
    NumberStyle,
    is_ambiguous,
    is_written_with,
    settle_reading,
    settle_style,
)
from paincast.cohort.violations import Raw, is_number
from paincast.deferred import pandas as pd
from paincast.schema import Column
from paincast.scoring.arrays import to_arrow

MOST_SITES = 10_000
"""Most sites of a source whose scales are told apart; with more, ``site_id`` does not hold hospitals."""

_MARKED = r"[0-9\pN].*[.,\x{FF0E}\x{FF0C}\x{066B}]|[.,\x{FF0E}\x{FF0C}\x{066B}].*[0-9\pN]"


@dataclass(kw_only=True)
class Survey:
    """Counts of some rows; those of parts add up.

    Parameters
    ----------
    marks : dict of str to tuple of int
        Cells of a numeric column that only a decimal comma explains, and those that only a point does.
    is_ambiguous : bool
        Whether a number reads differently with either mark.
    tallies : dict of str to Tally
        Of numeric columns, before anything implausible is emptied.
    sites : dict of str to dict of str to tuple
        Of each column that may be written on a smaller scale, by site: the values well within that scale, and whether
        any is beyond it.
    """

    marks: dict[str, tuple[int, int]] = field(default_factory=dict)
    is_ambiguous: bool = False
    tallies: dict[str, Tally] = field(default_factory=dict)
    sites: dict[str, dict[str, tuple[int, bool]]] = field(default_factory=dict)

    def add(self, other: Survey) -> None:
        """Add the counts of other rows."""
        for name, (n_comma, n_point) in other.marks.items():
            before = self.marks.get(name, (0, 0))
            self.marks[name] = (before[0] + n_comma, before[1] + n_point)
        self.is_ambiguous |= other.is_ambiguous
        for name, tally in other.tallies.items():
            self.tallies[name] = self.tallies.get(name, Tally()).add(tally)
        for name, counts in other.sites.items():
            known = self.sites.setdefault(name, {})
            for site, (n_under, is_beyond) in counts.items():
                if site in known or len(known) <= MOST_SITES:
                    before_under, before_beyond = known.get(site, (0, False))
                    known[site] = (before_under + n_under, before_beyond or is_beyond)

    def to_plain(self) -> dict[str, Any]:
        """Convert to plain data for JSON."""
        tallies = {name: [None if math.isinf(one) else one for one in tally] for name, tally in self.tallies.items()}
        return {"marks": self.marks, "is_ambiguous": self.is_ambiguous, "tallies": tallies, "sites": self.sites}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Survey:
        """Revert :meth:`to_plain`."""
        return cls(
            marks={name: (int(counts[0]), int(counts[1])) for name, counts in plain["marks"].items()},
            is_ambiguous=bool(plain["is_ambiguous"]),
            tallies={name: _to_tally(counts) for name, counts in plain["tallies"].items()},
            sites={
                name: {site: (int(counts[0]), bool(counts[1])) for site, counts in sites.items()}
                for name, sites in plain["sites"].items()
            },
        )


def _to_tally(counts: list[Any]) -> Tally:
    restored: Any = (given if one is None else one for one, given in zip(counts, Tally(), strict=True))
    return Tally(*restored)


class WholeColumns(NamedTuple):
    """What is decided of whole columns.

    Parameters
    ----------
    style : NumberStyle
        How numbers are written in all columns.
    readings : mapping of str to NumberReading
        How they are read in each column of text.
    wrong_unit : tuple of str
        Columns in another unit, which are left out.
    two_scales : tuple of str
        Columns whose small values may be on another scale.
    sites_below : mapping of str to tuple of str
        Of other columns, the sites whose small values may be on another scale.
    """

    style: NumberStyle = NumberStyle()
    readings: Mapping[str, NumberReading] = {}
    wrong_unit: tuple[str, ...] = ()
    two_scales: tuple[str, ...] = ()
    sites_below: Mapping[str, tuple[str, ...]] = {}

    def to_plain(self) -> dict[str, Any]:
        """Convert to plain data for JSON."""
        return self._asdict()

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> WholeColumns:
        """Revert :meth:`to_plain`."""
        return cls(
            style=NumberStyle(*plain["style"]),
            readings={name: NumberReading(*reading) for name, reading in plain["readings"].items()},
            wrong_unit=tuple(plain["wrong_unit"]),
            two_scales=tuple(plain["two_scales"]),
            sites_below={name: tuple(sites) for name, sites in plain["sites_below"].items()},
        )


def decide(survey: Survey, columns: Mapping[str, Column], separator: str | None = None) -> WholeColumns:
    """Decide by the counts of all rows of a source.

    Parameters
    ----------
    survey : Survey
        Counts of all rows.
    columns : mapping of str to Column
        Declarations by name.
    separator : str, optional
        Separator of a text file; see :func:`paincast.cohort.coercion.detect_number_style`.
    """
    style = settle_style(list(survey.marks.values()), is_unclear=survey.is_ambiguous and separator == ";")
    wrong = [name for name, tally in survey.tallies.items() if has_wrong_unit(tally, columns[name], "episodes")]
    others = {name: tally for name, tally in survey.tallies.items() if name not in wrong}
    both = [name for name, tally in others.items() if has_two_scales(tally, columns[name], "episodes")]
    below = {
        name: _list_below(survey.sites[name], columns[name])
        for name, tally in others.items()
        if name not in both and name in survey.sites and may_have_sites_below(tally)
    }
    return WholeColumns(
        style=style,
        readings={
            name: settle_reading(*counts, style.decimal, style.is_mixed) for name, counts in survey.marks.items()
        },
        wrong_unit=tuple(sorted(wrong)),
        two_scales=tuple(sorted(both)),
        sites_below={name: sites for name, sites in below.items() if sites},
    )


def _list_below(sites: Mapping[str, tuple[int, bool]], column: Column) -> tuple[str, ...]:
    if len(sites) > MOST_SITES:
        return ()
    counts = pd.DataFrame(
        {
            "under": [n_under for n_under, _ in sites.values()],
            "highest": [math.inf if is_beyond else 0.0 for _, is_beyond in sites.values()],
        },
        index=list(sites),
    )
    return tuple(sorted(list_sites_below(counts, column)))


def survey_marks(raw: Mapping[str, Raw], columns: Mapping[str, Column]) -> Survey:
    """Count how the numbers of raw columns are written."""
    survey = Survey()
    for name, cells in raw.items():
        if name in columns and columns[name].type in ("number", "integer") and not is_number(cells):
            counted = _list_marked(cells)
            survey.marks[name] = (
                sum(n for word, n in counted.items() if _is_written("comma", word)),
                sum(n for word, n in counted.items() if _is_written("point", word)),
            )
            survey.is_ambiguous |= any(map(is_ambiguous, counted))
    return survey


def _list_marked(cells: Raw) -> dict[str, int]:
    """Count the texts that hold a digit and a decimal mark."""
    if not isinstance(cells, pa.Array | pa.ChunkedArray):
        if cells.dtype.kind == "b":
            return {}
        cells = pa.array(cells.dropna().astype("str"), pa.string(), from_pandas=True)
    cells = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    if pa.types.is_dictionary(cells.type):
        cells = cells if pa.types.is_string(cells.type.value_type) else cells.cast(cells.type.value_type)
    if not (pa.types.is_string(cells.type) or pa.types.is_dictionary(cells.type)):
        return {}
    encoded = cells if pa.types.is_dictionary(cells.type) else cells.dictionary_encode()
    is_marked = pc.match_substring_regex(encoded.dictionary, _MARKED).fill_null(False)
    places = np.flatnonzero(is_marked.to_numpy(zero_copy_only=False))
    if not len(places):
        return {}
    codes = encoded.indices.drop_null().to_numpy(zero_copy_only=False)
    counts = np.bincount(codes, minlength=len(encoded.dictionary))[places]
    counted: dict[str, int] = {}
    for word, n in zip(encoded.dictionary.take(to_arrow(places)).to_pylist(), counts.tolist(), strict=True):
        counted[word.strip()] = counted.get(word.strip(), 0) + n
    return counted


_is_written = lru_cache(maxsize=10_000)(is_written_with)


def survey_numbers(
    typed: Mapping[str, pa.Array], extremes: Mapping[str, tuple[float, float]], columns: Mapping[str, Column]
) -> Survey:
    """Count the numbers of typed columns; only those whose extremes ask for it are looked at.

    Parameters
    ----------
    typed : mapping of str to pyarrow.Array
        Typed columns by name.
    extremes : mapping of str to tuple of float
        Lowest and highest value of the numeric ones.
    columns : mapping of str to Column
        Declarations by name.
    """
    survey = Survey()
    sites = typed["site_id"].dictionary_encode() if "site_id" in typed else None
    has_sites = sites is not None and sites.null_count < len(sites)
    for name, (lowest, highest) in extremes.items():
        column, top = columns[name], find_smaller_top(columns[name])
        if column.type != "number" or math.isnan(lowest):
            continue
        if lowest > 2 * top and not may_have_wrong_unit(column, lowest, highest):
            n = len(typed[name]) - typed[name].null_count
            survey.tallies[name] = Tally(n=n, lowest=lowest, highest=highest, beyond=n)
        elif not math.isnan(top) or may_have_wrong_unit(column, lowest, highest):
            survey.tallies[name] = count_values(typed[name].to_numpy(zero_copy_only=False), column)
        else:
            n = len(typed[name]) - typed[name].null_count
            survey.tallies[name] = Tally(n=n, lowest=lowest, highest=highest)
        if has_sites and not math.isnan(top):
            survey.sites[name] = _count_by_site(typed[name].to_numpy(zero_copy_only=False), sites, top)
    return survey


def _count_by_site(
    values: npt.NDArray[np.float64], sites: pa.DictionaryArray, top: float
) -> dict[str, tuple[int, bool]]:
    codes = sites.indices.fill_null(len(sites.dictionary)).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        under, beyond = (
            np.bincount(codes[found], minlength=len(sites.dictionary) + 1)
            for found in ((values > 0.3 * top) & (values < top), values > top)
        )
    return {
        site: (int(under[code]), bool(beyond[code]))
        for code, site in enumerate(sites.dictionary.to_pylist())
        if under[code] or beyond[code]
    }
