"""What is decided by all rows of a file together: how numbers are written, doubts about units, and repeated ids.

A pass over the file takes decisions as given and counts what they rest on; if the counts of a pass lead to other
decisions, the file is read again with these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.coercion import list_marked
from paincast.cohort.doubts import (
    Tally,
    has_two_scales,
    has_wrong_unit,
    list_sites_below,
    may_have_sites_below,
)
from paincast.cohort.numerals import (
    NumberReading,
    NumberStyle,
    is_ambiguous,
    is_written_with,
    settle_reading,
    settle_style,
)
from paincast.contract import Contract

Key = tuple[str, int, str]
"""A field of a mapping: its table, the number of its block and its column."""

MOST_MARKED = 1000
"""Most distinct numbers with a mark that are told apart in a column; further ones say nothing new."""


class MixedMarksError(Exception):
    """So many numbers of a column have a comma, and others a point, that only a whole table tells which are more."""


@dataclass(frozen=True)
class Doubt:
    """Doubts about a whole column: its unit, two scales in it, and sites that use the smaller one."""

    unit: bool = False
    two_scales: bool = False
    sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decisions:
    """Decisions on the whole file.

    Parameters
    ----------
    style : NumberStyle
        How numbers are written.
    readings : dict of NumberReading
        How the numbers of a field are read, where its cells hold more than plain numbers.
    doubts : dict of Doubt
        By table and column.
    repeated : tuple of int
        Hashes of the ids that several rows have.
    varying : frozenset of str
        Columns of episodes with more than one value; of interest only where ids repeat.
    """

    style: NumberStyle = field(default_factory=NumberStyle)
    readings: Mapping[Key, NumberReading] = field(default_factory=dict)
    doubts: Mapping[tuple[str, str], Doubt] = field(default_factory=dict)
    repeated: tuple[int, ...] = ()
    varying: frozenset[str] = frozenset()


@dataclass
class Marks:
    """Distinct texts of a column that only a decimal comma or only a point explains, and whether any is unclear."""

    commas: set[str] = field(default_factory=set)
    points: set[str] = field(default_factory=set)
    is_unclear: bool = False
    n_seen: int = 0

    def count(self, words: pa.Array, n_remembered: int | None) -> None:
        """Look at texts; of those that are remembered only the new ones are looked at."""
        if n_remembered is not None:
            words, self.n_seen = words.slice(self.n_seen), n_remembered
        has_mark = pc.or_(pc.match_substring(words, ","), pc.not_equal(pc.binary_length(words), pc.utf8_length(words)))
        if len(self.points) < MOST_MARKED:
            has_mark = pc.or_(has_mark, pc.match_substring(words, "."))
        if not pc.any(has_mark).as_py():
            return
        for word in list_marked(words.filter(has_mark).to_pandas().astype("str")):
            is_full = len(self.points) == MOST_MARKED
            if is_full and "," not in word and word.isascii():
                continue
            if is_written_with("point", word):
                self.points |= set() if is_full else {word}
            elif is_written_with("comma", word):
                self.commas |= {word} if len(self.commas) < MOST_MARKED else set()
            elif not self.points:
                self.is_unclear = self.is_unclear or is_ambiguous(word)


@dataclass
class Statistics:
    """What a pass over a file counts."""

    marks: dict[str, Marks] = field(default_factory=dict)
    readings: dict[Key, Counter[str]] = field(default_factory=dict)
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    sites: dict[str, pd.DataFrame] = field(default_factory=dict)
    hashes: list[npt.NDArray[np.uint64]] = field(default_factory=list)
    firsts: dict[str, tuple[object, ...]] = field(default_factory=dict)
    varying: set[str] = field(default_factory=set)

    def add_tally(self, table: str, name: str, tally: Tally) -> None:
        """Add the tally of some values of a column."""
        before = self.tallies.get((table, name), Tally())
        self.tallies[table, name] = before.add(tally)

    def add_sites(self, name: str, counts: pd.DataFrame) -> None:
        """Add what the sites have in a column of episodes."""
        both = pd.concat([self.sites[name], counts]) if name in self.sites else counts
        self.sites[name] = both.groupby(level=0).agg({"under": "sum", "highest": "max"})

    def add_values(self, name: str, values: pa.Array) -> None:
        """Add values of a column of episodes, to know whether it has several."""
        if name in self.varying:
            return
        distinct = {*pc.unique(values).slice(0, 3).to_pylist(), *self.firsts.get(name, ())}
        self.firsts[name] = tuple(distinct)
        if len(distinct) > 1:
            self.varying.add(name)

    def settle_style(self, declared: NumberStyle | None, separator: str | None) -> NumberStyle:
        """Settle how numbers are written; see :func:`paincast.cohort.coercion.detect_number_style`."""
        if declared is not None:
            return declared
        counts = [(len(marks.commas), len(marks.points)) for marks in self.marks.values()]
        if any(min(count) and max(count) == MOST_MARKED for count in counts):
            raise MixedMarksError
        is_unclear = separator == ";" and any(marks.is_unclear for marks in self.marks.values())
        return settle_style(counts, is_unclear=is_unclear)

    def decide(self, contract: Contract, style: NumberStyle) -> Decisions:
        """Decide by what was counted."""
        usual = settle_reading(0, 0, style.decimal, style.is_mixed)
        readings = {
            key: settle_reading(counts["comma"], counts["point"], style.decimal, style.is_mixed)
            for key, counts in self.readings.items()
        }
        repeated = find_repeated(self.hashes)
        return Decisions(
            style=style,
            readings={key: reading for key, reading in readings.items() if reading != usual},
            doubts=self._find_doubts(contract),
            repeated=repeated,
            varying=frozenset(self.varying) if repeated else frozenset(),
        )

    def _find_doubts(self, contract: Contract) -> dict[tuple[str, str], Doubt]:
        doubts = {}
        for (table, name), tally in self.tallies.items():
            column = contract.tables[table][name]
            sites: list[str] = []
            if name in self.sites and table == "episodes" and may_have_sites_below(tally):
                sites = list_sites_below(self.sites[name], column)
            doubt = Doubt(
                has_wrong_unit(tally, column, table), has_two_scales(tally, column, table), tuple(sorted(sites))
            )
            if doubt != Doubt():
                doubts[table, name] = doubt
        return doubts


def find_repeated(hashes: list[npt.NDArray[np.uint64]]) -> tuple[int, ...]:
    """Find the hashes that occur more than once."""
    if not hashes:
        return ()
    ordered = np.sort(np.concatenate(hashes))
    return tuple(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]).tolist())
