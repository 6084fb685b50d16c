"""Find the names of the columns among the first rows of a file or sheet: titles above them, names in several rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise

from paincast.cohort.coercion import is_missing_word
from paincast.cohort.reading.types import Fault
from paincast.cohort.rejects import TITLE_LINE, WHOLE_COLUMN
from paincast.errors import DataError

ROWS_TO_HEADER = 20
"""Number of rows among which the header is searched."""

_LOOKS_LIKE_DATA = re.compile(r"[-+]?\d+([.,]\d+)?|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}")


def find_header(rows: Sequence[Sequence[str]], used: Collection[str]) -> int | None:
    """Find the header: the row with most of the used names, else the first row as wide as those after it.

    Parameters
    ----------
    rows : sequence of sequence of str
        The first rows, as cleaned names.
    used : collection of str
        Names of the columns to read.

    Returns
    -------
    int or None
        Position of the header; None if every row is blank.

    Examples
    --------
    >>> find_header([["Export of 2026", ""], ["id", "nrs"], ["1", "7"], ["2", "6"]], ())
    1
    """
    filled = [sum(map(bool, row)) for row in rows]
    not_blank = [position for position, n_filled in enumerate(filled) if n_filled]
    if not not_blank:
        return None
    n_used = [count_used(row, used) for row in rows]
    if max(n_used):
        return n_used.index(max(n_used))
    usual = Counter(len(rows[position]) for position in not_blank[1:]).most_common(1)
    for position in not_blank:
        names = rows[position]
        is_title = filled[position] <= 1 or (
            usual and len(names) != usual[0][0] and 2 * filled[position] <= usual[0][0]
        )
        if not is_title:
            # A row with a number is a row of data: then the first row is the header, even if it is short.
            return not_blank[0] if any(map(looks_like_data, names)) else position
    return not_blank[0]


def count_used(row: Sequence[str], used: Collection[str]) -> int:
    """Count the cells of a row that are names of columns to read."""
    return sum(name in used for name in row)


def looks_like_data(cell: str) -> bool:
    """Check whether a cell is a number or a date, and so no name."""
    return _LOOKS_LIKE_DATA.fullmatch(cell) is not None


def join_header_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    """Join names that stand in several rows: a blank cell of an upper row belongs to the group on its left.

    Examples
    --------
    >>> join_header_rows([["id", "Baseline", "", "3 months", ""], ["", "NRS", "ODI", "NRS", "ODI"]])
    ['id', 'Baseline NRS', 'Baseline ODI', '3 months NRS', '3 months ODI']
    """
    width = max(map(len, rows))
    padded = [[*row, *[""] * (width - len(row))] for row in rows]
    upper = [_fill_groups(row, below) for row, below in pairwise(padded)]
    return [" ".join(dict.fromkeys(filter(None, names))) for names in zip(*upper, padded[-1], strict=True)]


def _fill_groups(row: Sequence[str], below: Sequence[str]) -> list[str]:
    filled, group = [], ""
    for name, sub_name in zip(row, below, strict=True):
        group = name or (group if sub_name else "")
        filled.append(group)
    return filled


def refuse_headerless(file: str, names: Sequence[str]) -> None:
    """Refuse a file whose header is blank or holds values.

    Raises
    ------
    DataError
        If no column has a name, or at least half of the names are numbers, dates or words for "no value".
    """
    if not any(names):
        raise DataError(f"{file}: the first line is blank; it must name the columns", code="PC-READING-08")
    named = [name for name in names if name]
    if 2 * sum(looks_like_data(name) or is_missing_word(name) for name in named) >= len(named):
        raise DataError(
            f"{file}: the first line holds numbers or dates instead of column names; add a header", code="PC-READING-09"
        )


def refuse_header_row(file: str, header_row: int) -> DataError:
    """Make the error for a declared header that is not in the file."""
    return DataError(f"{file} has no row {header_row}; correct 'header_row'", code="PC-READING-20")


def report_title() -> Fault:
    """Make the fault for a row above the header."""
    return Fault(WHOLE_COLUMN, TITLE_LINE, "the names of the columns in the first line")
