"""Data classes of a validated mapping: fields, conditions, blocks and joins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from paincast.cohort.numerals import Decimal
from paincast.schema import Column

MISSING = "missing"
"""Keyword for "no value" among codes."""
OTHERS = "others"
"""Keyword for "every other code" in a condition."""

CHANGE = "change from baseline"
PERCENT = "percent reduction from baseline"
SINCE = "months since procedure"
MONTHS_BEFORE = "months before procedure"
YEARS_BEFORE = "years before procedure"
YEAR = "year of date"
READINGS = ("value", CHANGE, PERCENT, SINCE, MONTHS_BEFORE, YEARS_BEFORE, YEAR)
DATE_READINGS = (SINCE, MONTHS_BEFORE, YEARS_BEFORE, YEAR)


@dataclass(frozen=True, kw_only=True)
class Field:
    """How to read a column of the contract.

    Parameters
    ----------
    target : Column
        The column of the contract.
    column, file : str, optional
        Column of the source, and its file when it is not the main one.
    columns : tuple of str
        Columns whose texts together form an id.
    always : str, optional
        A constant instead of a column.
    row_number : bool
        Whether the value is the position of the row in its file.
    prefix : str
        Text put before an id.
    factor : float
        Factor from the source's unit to the contract's unit.
    codes : dict, optional
        Meaning of each source code; None means "no value". Codes that are not listed are rejected.
    missing : frozenset of str
        Further texts that mean "no value" in this column.
    true_if_contains : tuple of str
        Word prefixes; a text that contains any of them is true.
    reads : str
        How the source expresses the value, from :data:`READINGS`.
    date_format : str, optional
        ``strptime`` format of a date; ISO 8601 by default.
    """

    target: Column
    column: str | None = None
    file: str | None = None
    columns: tuple[str, ...] = ()
    always: str | None = None
    row_number: bool = False
    prefix: str = ""
    factor: float = 1.0
    codes: Mapping[str, str | None] | None = None
    missing: frozenset[str] = frozenset()
    true_if_contains: tuple[str, ...] = ()
    reads: str = "value"
    date_format: str | None = None


class Condition(NamedTuple):
    """Which rows match: by codes (unlisted codes are rejected) or by words in a text."""

    column: str
    file: str | None = None
    is_: frozenset[str] = frozenset()
    is_not: frozenset[str] | None = frozenset()
    contains: tuple[str, ...] = ()
    because: str = ""


class Block(NamedTuple):
    """A follow-up (or kind of event) in each row, or a file with a follow-up in each row."""

    fields: Mapping[str, Field]
    file: str | None = None
    when: Condition | None = None


class Join(NamedTuple):
    """A second file whose rows are matched to the main file by an id."""

    file: str
    by: str
    called: str


@dataclass(frozen=True, kw_only=True)
class RegistryMapping:
    """A complete mapping; ``configs/mapping/`` contains examples."""

    name: str
    path: Path
    digest: str
    title: str
    citation: str
    licence: str
    hashes: Mapping[str, str]
    file: str
    separator: str | None
    encoding: str
    decimal: Decimal | None
    missing: frozenset[str]
    joins: tuple[Join, ...]
    keep_rows_where: tuple[Condition, ...]
    baseline_rows: Condition | None
    procedure_date: Field | None
    episodes: Mapping[str, Field]
    visits: tuple[Block, ...]
    events: tuple[Block, ...]
    cannot_tell: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """List the names of the files to read, in the expected order."""
        blocks = [block.file for block in (*self.visits, *self.events) if block.file]
        return tuple(dict.fromkeys([self.file, *(join.file for join in self.joins), *blocks]))
