"""Patients in the types of the contract, as arrays: numbers with NaN where missing, and codes of levels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from paincast.scoring.arrays import to_arrow

FloatArray = npt.NDArray[np.float64]
CodeArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]

FLAGS = ("false", "true")
"""Levels of a yes/no column, in the order of their codes."""


Worded = tuple[tuple[str | None, ...], npt.NDArray[np.integer]]
"""Words of a column, and the place of each row's among them; the number of words stands for a missing one."""


FEW_PATIENTS = 100
"""Most patients of whom what is read once is there for all who ask."""


class Part(NamedTuple):
    """Some rows of few patients."""

    whole: Patients
    rows: npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Patients:
    """Columns of patients, each read once and kept.

    Parameters
    ----------
    source : pyarrow.Table of shape (n, ...), or Part
        Columns of ``episodes`` in their types: numbers, booleans and text; an absent column is missing in every row.
        What is read of a part is read of the whole.
    truths : dict
        Conditions that were assessed (:func:`paincast.scoring.conditions.assess_frozen`).
    """

    source: pa.Table | Part
    _kept: dict[tuple[Hashable, ...], npt.NDArray[np.generic]] = field(default_factory=dict, repr=False)
    _words: dict[str, Worded] = field(default_factory=dict, repr=False)
    truths: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    @property
    def part(self) -> Part | None:
        """The rows of other patients that these are."""
        return self.source if isinstance(self.source, Part) else None

    @cached_property
    def table(self) -> pa.Table:
        """All columns."""
        source = self.source
        return source.whole.table.take(to_arrow(source.rows)) if isinstance(source, Part) else source

    def __len__(self) -> int:
        return len(self.source.rows) if isinstance(self.source, Part) else int(self.source.num_rows)

    def numbers(self, name: str) -> FloatArray:
        """Return a column as numbers, yes as 1; NaN where missing, shape (n,)."""
        return self.keep(("numbers", name), lambda whole: _read_numbers(whole.column(name), len(whole)))

    def missing(self, name: str) -> BoolArray:
        """Flag the rows in which a column has no value, shape (n,)."""
        return self.keep(("missing", name), lambda whole: _find_missing(whole.column(name), len(whole)))

    def codes(self, name: str, levels: tuple[str, ...]) -> CodeArray:
        """Return the place of each value among some levels, shape (n,).

        The number of levels stands for a missing value, and the number after it for a value that is no level.
        """
        return self.keep(("codes", name, levels), lambda whole: whole._code(name, levels))

    def find_unknown(self, name: str, levels: frozenset[str]) -> BoolArray:
        """Flag the rows that have a value that is none of some levels, shape (n,)."""
        return self.keep(("unknown", name, levels), lambda whole: whole._code(name, tuple(levels)) > len(levels))

    def take(self, rows: npt.NDArray[np.integer] | BoolArray) -> Patients:
        """Select rows by positions or a mask."""
        positions = np.arange(len(self))[rows]
        return Patients(Part(self, positions) if len(self) <= FEW_PATIENTS else self.table.take(to_arrow(positions)))

    def select(self, names: Collection[str]) -> Patients:
        """Select columns; what was read of them is kept."""
        chosen = [name for name in names if name in self.table.column_names]
        return Patients(self.table.select(chosen), {key: kept for key, kept in self._kept.items() if key[1] in names})

    def empty(self, names: Collection[str], where: BoolArray) -> Patients:
        """Return the patients without some columns' values in some rows; what was read of other columns is kept."""
        if not where.any():
            return self
        table, mask = self.table, to_arrow(where)
        for name in (name for name in names if name in self.table.column_names):
            column = table[name]
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, pc.if_else(mask, pa.scalar(None, column.type), column))
        kept = {key: values for key, values in self._kept.items() if key[1] not in names}
        return Patients(table, kept)

    def _code(self, name: str, levels: tuple[str, ...]) -> CodeArray:
        if name not in self._words:
            self._words[name] = _list_words(self.column(name), len(self))
        words, coded = self._words[name]
        places = _place_levels(levels)
        meaning = [len(levels) if word is None else places.get(word, len(levels) + 1) for word in words]
        return np.asarray(np.array([*meaning, len(levels)], dtype=np.int32)[coded])

    def column(self, name: str) -> pa.Array | None:
        """Return a column; None where there is none."""
        if isinstance(self.source, Part):
            column = self.source.whole.column(name)
            return None if column is None else column.take(to_arrow(self.source.rows))
        place = self.source.schema.get_field_index(name)
        if place < 0:
            return None
        column = self.source.column(place)
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()

    def keep(self, key: tuple[Hashable, ...], read: Callable[[Patients], npt.NDArray[np.generic]]) -> npt.NDArray:  # type: ignore[type-arg]
        """Keep what is read of a column of some patients, whose name is the second part of the key."""
        kept = self._kept.get(key)
        if kept is None:
            part = self.part
            kept = self._kept[key] = read(self) if part is None else part.whole.keep(key, read)[part.rows]
        return kept


def _read_numbers(column: pa.Array | None, n: int) -> FloatArray:
    if column is None or pa.types.is_null(column.type):
        return np.full(n, np.nan)
    numbers = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
    return np.asarray(numbers.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _find_missing(column: pa.Array | None, n: int) -> BoolArray:
    if column is None:
        return np.ones(n, dtype=np.bool_)
    return np.asarray(pc.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False))


def _list_words(column: pa.Array | None, n: int) -> Worded:
    if column is None or pa.types.is_null(column.type):
        return (), np.zeros(n, dtype=np.int32)
    if pa.types.is_boolean(column.type):
        return FLAGS, column.cast(pa.int8()).fill_null(len(FLAGS)).to_numpy(zero_copy_only=False)
    kept = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    words = tuple(kept.dictionary.to_pylist())
    return words, kept.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)


@lru_cache(maxsize=1000)
def _place_levels(levels: tuple[str, ...]) -> dict[str, int]:
    return {level: place for place, level in enumerate(levels)}
