"""What a decoder of a file format hands to the reader: a header, and blocks of rows with their places and faults."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.rejects import WHOLE_COLUMN, Action

LONGEST_CELL = 32_767
"""Characters of the longest cell that is read: what a cell of a spreadsheet holds."""
MOST_COLUMNS = 16_384
"""Columns of the widest file that is read: what a spreadsheet holds."""

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
"""Separators of text files by the names that a mapping gives them."""


class Fault(NamedTuple):
    """A row, or a cell of it, that cannot be read.

    ``place`` is that of the row (1 is the first data row, 0 a whole column or what stands above the header); ``column``
    is the position of the cell's column, or None where the whole row is left out.
    """

    place: int
    rule: str
    allowed: str
    column: int | None = None
    action: Action = "row left out"


class Block(NamedTuple):
    """Some rows of a file: one array for each column asked for, the place of each row, and what could not be read."""

    columns: list[pa.Array]
    places: npt.NDArray[np.int64]
    faults: list[Fault]


class Decoded(NamedTuple):
    """A file of any format, before rules on names and rows.

    Parameters
    ----------
    header : tuple of str
        Names of the columns as they stand; empty where a column has none.
    read : callable
        Takes positions of columns and yields their blocks, from the first row to the last.
    faults : tuple of Fault
        What stands above the header.
    separator : str or None
        Of a text file.
    """

    header: tuple[str, ...]
    read: Callable[[Sequence[int]], Iterator[Block]]
    faults: tuple[Fault, ...] = ()
    separator: str | None = None


class ReadOptions(NamedTuple):
    """What was said about a file before it was opened: only text files need it."""

    separator: str | None = None
    encoding: str = "utf-8"
    used: Collection[str] = ()


class FileFormat(NamedTuple):
    """How a format is read.

    ``decode`` opens a file for as long as it is read; ``count_rows`` gives its rows for the progress display, or None
    where that would take a reading; ``guess_encoding`` is there for formats that are text.
    """

    decode: Callable[[Path, ReadOptions], AbstractContextManager[Decoded]]
    count_rows: Callable[[Path], int | None]
    guess_encoding: Callable[[Path], str] | None = None


def empty_cells(
    column: pa.Array, broken: pa.Array, places: npt.NDArray[np.int64], rule: str, allowed: str, position: int
) -> tuple[pa.Array, list[Fault]]:
    """Empty the cells of a text column that break a rule, each with its fault."""
    rows = np.flatnonzero(broken.fill_null(False).to_numpy(zero_copy_only=False))
    faults = [Fault(int(places[row]), rule, allowed, position, "cell emptied") for row in rows]
    return pc.if_else(broken, pa.scalar(None, column.type), column), faults


def leave_out_column(rule: str, allowed: str, position: int) -> Fault:
    """Leave out a whole column."""
    return Fault(WHOLE_COLUMN, rule, allowed, position, "column left out")
