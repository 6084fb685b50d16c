"""Data classes of a validated mapping: fields, conditions, blocks and joins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from paincast.cohort.long.types import BaselineWindow, LongTable
from paincast.cohort.reading.types import Dialect
from paincast.contract import BUILT_IN, Contract
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
BIRTH_YEAR = "year of birth"
READINGS = ("value", CHANGE, PERCENT, SINCE, MONTHS_BEFORE, YEARS_BEFORE, YEAR, BIRTH_YEAR)
DATE_READINGS = (SINCE, MONTHS_BEFORE, YEARS_BEFORE, YEAR)

SAME = "same"
"""Keyword for "the row of the same repeat instance" of a REDCap record."""

NO_INSTRUMENT = "none"
"""Keyword for the rows of a REDCap record that belong to no repeating instrument."""


class RecordRows(NamedTuple):
    """Rows of a REDCap record: of events (any if none is named), of a repeating instrument (none by default).

    ``instance`` is the number of a repeat instance, or :data:`SAME`.
    """

    events: tuple[str, ...] = ()
    instrument: str = ""
    instance: str | None = None


class Condition(NamedTuple):
    """Which rows match: by codes (unlisted codes are rejected) or by words in a text."""

    column: str
    file: str | None = None
    is_: frozenset[str] = frozenset()
    is_not: frozenset[str] | None = frozenset()
    contains: tuple[str, ...] = ()
    because: str = ""
    of: RecordRows | None = None


class ConditionalCode(NamedTuple):
    """A meaning that a code has only in rows that match a condition."""

    meaning: str
    where: Condition


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
    offset : float
        What is added after the factor, where a scale starts elsewhere or is written the other way round.
    unit_column : str, optional
        Column with the unit of each row.
    units : dict, optional
        Factor of each unit that a row may have. Units that are not listed are rejected.
    codes : dict, optional
        Meaning of each source code; None means "no value". Codes that are not listed are rejected.
    conditional_codes : dict
        Meanings of codes that mean something in some rows only.
    missing : frozenset of str
        Further texts that mean "no value" in this column.
    true_if_contains : tuple of str
        Word prefixes; a text that contains any of them is true.
    count_true : tuple of str
        Yes/no columns of which the true ones are counted.
    checked : tuple of str
        Boxes of a REDCap checkbox field; true if any of them is ticked.
    none_box : str, optional
        The box for "none of these"; ticked, it means false.
    nothing_checked : str, optional
        The value if no box of the field is ticked.
    named : tuple of str
        Names in the long tables whose value this is.
    most_days_before : int, optional
        How long before the procedure a named value may be.
    of : RecordRows, optional
        Rows of the same REDCap record that hold the value, if not the row itself.
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
    offset: float = 0.0
    unit_column: str | None = None
    units: Mapping[str, float] | None = None
    codes: Mapping[str, str | None] | None = None
    conditional_codes: Mapping[str, tuple[ConditionalCode, ...]] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    true_if_contains: tuple[str, ...] = ()
    count_true: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()
    none_box: str | None = None
    nothing_checked: str | None = None
    named: tuple[str, ...] = ()
    most_days_before: int | None = None
    of: RecordRows | None = None
    reads: str = "value"
    date_format: str | None = None


class Block(NamedTuple):
    """A follow-up (or kind of event) in each row, or a file with a follow-up in each row.

    With ``patient`` rows belong to the latest procedure of the patient before their date.
    """

    fields: Mapping[str, Field]
    file: str | None = None
    when: Condition | None = None
    of: RecordRows | None = None
    patient: Field | None = None

    @property
    def is_long(self) -> bool:
        """Return whether the block reads values by their name in the long tables."""
        return any(field.named for field in self.fields.values())


class Join(NamedTuple):
    """A second file whose rows are matched to the main file by an id."""

    file: str
    by: str
    called: str
    others_left_out: bool = False
    """Whether ids that the main file lacks are left out, not rejected."""


class Redcap(NamedTuple):
    """How a REDCap export is read: the column of the record id, the rows that are episodes, and rows to ignore."""

    record: str
    episode: RecordRows
    ignored: tuple[RecordRows, ...] = ()


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
    dialect: Dialect
    missing: frozenset[str]
    joins: tuple[Join, ...]
    keep_rows_where: tuple[Condition, ...]
    baseline_rows: Condition | None
    procedure_date: Field | None
    episodes: Mapping[str, Field]
    visits: tuple[Block, ...]
    events: tuple[Block, ...]
    cannot_tell: tuple[str, ...]
    redcap: Redcap | None = None
    model: Literal["omop", "fhir"] | None = None
    long: tuple[LongTable, ...] = ()
    baseline_window: BaselineWindow | None = None
    one_procedure_a_day: bool = False
    contract: Contract = BUILT_IN

    @property
    def files(self) -> tuple[str, ...]:
        """List the names of the files to read, in the expected order."""
        blocks = [block.file for block in (*self.visits, *self.events) if block.file]
        return tuple(
            dict.fromkeys(
                [self.file, *(join.file for join in self.joins), *blocks, *(table.file for table in self.long)]
            )
        )
