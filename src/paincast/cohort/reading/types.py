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

from paincast.cohort.rejects import WHOLE_COLUMN, Action

LONGEST_CELL = 32_767
"""Maximum number of characters in a cell: the limit of spreadsheets."""
MOST_COLUMNS = 16_384
"""Maximum number of columns in a file: the limit of spreadsheets."""

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
"""Separators of text files by their names in a mapping."""


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
    separator : str or None
        Separator of a text file.
    labels : mapping of str to ColumnNotes
        Notes on columns, by name; a column without notes is absent.
    """

    header: tuple[str, ...]
    read: Callable[[Sequence[int]], Iterator[Block]]
    faults: tuple[Fault, ...] = ()
    separator: str | None = None
    labels: Mapping[str, ColumnNotes] = MappingProxyType({})


class ReadOptions(NamedTuple):
    """Options declared before a file is opened; only text files use them."""

    separator: str | None = None
    encoding: str = "utf-8"
    used: Collection[str] = ()


class FileFormat(NamedTuple):
    """Functions that read a format.

    ``decode`` is a context manager that opens a file; ``count_rows`` returns the number of rows for the progress
    display, or None if the file would have to be parsed; ``guess_encoding`` is set for text formats.
    """

    decode: Callable[[Path, ReadOptions], AbstractContextManager[Decoded]]
    count_rows: Callable[[Path], int | None]
    guess_encoding: Callable[[Path], str] | None = None


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
