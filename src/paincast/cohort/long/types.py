"""Data classes of long tables: what their columns are called, and their rows once read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

LONG_COLUMNS = ("table", "file", "place", "person", "name", "value", "unit", "day")
"""Columns of the rows of a long table: texts, but for the integer ``place`` and the date ``day``."""


@dataclass(frozen=True, kw_only=True)
class LongTable:
    """A table with a name, a value and a date in each row.

    Parameters
    ----------
    file : str
        Name of the file.
    person, name, at : str
        Columns of the person, of what was recorded, and of its date.
    value : tuple of str
        Columns of the value; the first that holds one counts.
    unit : str, optional
        Column of the unit.
    date_format : str, optional
        ``strptime`` format of the dates; ISO 8601 by default.
    comparator : str, optional
        Column that says whether the value is a bound.
    absent : dict of frozenset of str
        Texts that mean that a column holds nothing, by column.
    is_optional : bool
        Whether the file may be absent.
    """

    file: str
    person: str
    name: str
    value: tuple[str, ...]
    at: str
    unit: str | None = None
    date_format: str | None = None
    comparator: str | None = None
    absent: Mapping[str, frozenset[str]] = field(default_factory=dict)
    is_optional: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """List the columns to read."""
        optional = [column for column in (self.unit, self.comparator) if column]
        return (self.person, self.name, self.at, *self.value, *optional)


class BaselineWindow(NamedTuple):
    """How long before a procedure a value may be to count as its baseline, and whether the same day counts."""

    most_days_before: int
    same_day: bool


class LongRows(NamedTuple):
    """Rows of long tables that a mapping names.

    Parameters
    ----------
    rows : DataFrame with columns table, file, place, person, name, value, unit, day
        One row for each value; unit is empty where there is none.
    rejects : DataFrame with columns table, file, row, column, rule, allowed, action
        Rows that could not be read.
    n_rows : int
        Rows of the file, including those left out.
    n_other_names, n_without_value : int
        Rows of other names, and rows without a value.
    """

    rows: pd.DataFrame
    rejects: pd.DataFrame
    n_rows: int = 0
    n_other_names: int = 0
    n_without_value: int = 0


def join_long_rows(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Concatenate rows of long tables, with the types of :data:`LONG_COLUMNS`."""
    types = dict.fromkeys(LONG_COLUMNS, "str") | {"place": "int64", "day": "datetime64[s]"}
    empty = pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in types.items()})
    return pd.concat([empty, *parts], ignore_index=True)[list(LONG_COLUMNS)].astype(types)
