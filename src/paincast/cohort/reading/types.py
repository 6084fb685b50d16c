"""Interface between file decoders and the reader: a header, and blocks of rows with positions and faults."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.numerals import Decimal
from paincast.cohort.rejects import WHOLE_COLUMN, Action

LONGEST_CELL = 32_767
"""Maximum number of characters in a cell: the limit of spreadsheets."""
MOST_COLUMNS = 16_384
"""Maximum number of columns in a file: the limit of spreadsheets."""

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
"""Separators of text files by their names in a mapping."""


class Dialect(NamedTuple):
    """How a file is written; None where it is not declared, not yet detected or does not apply.

    Parameters
    ----------
    separator, encoding : str, optional
        Of a text file; the encoding also of a file of SPSS or Stata that states a wrong one.
    decimal : {"point", "comma"}, optional
        Decimal mark of the numbers that are text.
    sheet : str, optional
        Of a workbook.
    header_row : int, optional
        Row of the file or sheet, counted from 1, that holds the names of the columns, or the first of them.
    header_rows : int, optional
        Number of rows that together hold the names.
    """

    separator: str | None = None
    encoding: str | None = None
    decimal: Decimal | None = None
    sheet: str | None = None
    header_row: int | None = None
    header_rows: int | None = None


class Fault(NamedTuple):
    """A row or cell that cannot be read.

    ``place`` is the position of the row (1 is the first data row, 0 a whole column or a line above the header);
    ``column`` is the position of the cell's column, or None if the whole row is left out.
    """

    place: int
    rule: str
    allowed: str
    column: int | None = None
    action: Action = "row left out"


class Block(NamedTuple):
    """Some rows of a file: an array for each requested column, the position of each row, and the faults."""

    columns: list[pa.Array]
    places: npt.NDArray[np.int64]
    faults: list[Fault]


class ColumnNotes(NamedTuple):
    """What a file says about a column beside its values: a label, and the meaning of each code.

    Codes are written as in the rows (``1``, not ``1.0``). The rows keep the codes.
    """

    label: str = ""
    value_labels: Mapping[str, str] = MappingProxyType({})


class Decoded(NamedTuple):
    """An open file of any format, before the rules on names and rows are applied.

    Parameters
    ----------
    header : tuple of str
        Names of the columns as written; empty if a column has no name.
    read : callable
        Takes positions of columns and yields their blocks, from the first row to the last.
    faults : tuple of Fault
        Lines above the header.
    dialect : Dialect
        As declared or detected.
    is_typed : bool
        Whether columns have types; without, the first column and those without a name are always read.
    labels : mapping of str to ColumnNotes
        Notes on columns, by name; a column without notes is absent.
    remarks : tuple of str
        What the user should know about how the file is read.
    is_part : bool
        Whether only some rows of the file are read.
    read_head : callable, optional
        Takes positions of columns and returns the first rows of the file, where they are not read.
    """

    header: tuple[str, ...]
    read: Callable[[Sequence[int]], Iterator[Block]]
    faults: tuple[Fault, ...] = ()
    dialect: Dialect = Dialect()
    is_typed: bool = False
    labels: Mapping[str, ColumnNotes] = MappingProxyType({})
    remarks: tuple[str, ...] = ()
    is_part: bool = False
    read_head: Callable[[Sequence[int]], Block] | None = None


class Span(NamedTuple):
    """Consecutive row groups of a Parquet file: the first, the one behind the last, and the rows before the first."""

    first: int
    stop: int
    before: int


class ReadOptions(NamedTuple):
    """What is known before a file is opened: the declared dialect, the names of the columns to read, and the rows.

    Of a ``span`` only Parquet knows; None stands for all rows.
    """

    dialect: Dialect = Dialect()
    used: Collection[str] = ()
    span: Span | None = None


def list_no_integers(file: Path) -> Mapping[str, pa.DataType]:  # noqa: ARG001 (its format declares none)
    """List nothing: the format does not declare that a column holds integers only."""
    return MappingProxyType({})


class FileFormat(NamedTuple):
    """Functions that read a format.

    ``decode`` is a context manager that opens a file; ``count_rows`` returns the number of rows for the progress
    display, or None if the file would have to be parsed. ``list_integers`` returns the type of each column that is
    declared to hold an integer in every row.
    """

    decode: Callable[[Path, ReadOptions], AbstractContextManager[Decoded]]
    count_rows: Callable[[Path], int | None]
    list_integers: Callable[[Path], Mapping[str, pa.DataType]] = list_no_integers


def empty_cells(
    column: pa.Array, broken: pa.Array, places: npt.NDArray[np.int64], rule: str, allowed: str, position: int
) -> tuple[pa.Array, list[Fault]]:
    """Empty the cells of a text column that break a rule, and report each as a fault."""
    rows = np.flatnonzero(broken.fill_null(False).to_numpy(zero_copy_only=False))
    faults = [Fault(int(places[row]), rule, allowed, position, "cell emptied") for row in rows]
    return pc.if_else(broken, pa.scalar(None, column.type), column), faults


def leave_out_column(rule: str, allowed: str, position: int) -> Fault:
    """Leave out a whole column."""
    return Fault(WHOLE_COLUMN, rule, allowed, position, "column left out")
