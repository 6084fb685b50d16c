"""Write CSV files that are safe from formula injection in spreadsheets."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from paincast.deferred import pandas as pd

_BEFORE = r"(?:\A|(?<=[;\t\r\n]))"
"""Where a cell may begin; a spreadsheet that splits columns at semicolons sees more cells than were written."""

_FORMULA = re.compile(_BEFORE + r"(?=['=+\-@\t\r＝＋－＠])")
_ESCAPED = re.compile(_BEFORE + "'")


def escape_formula(text: str) -> str:
    """Insert an apostrophe before the beginning of a formula or an existing apostrophe.

    Examples
    --------
    >>> [escape_formula(text) for text in ("=1+1", "-5", "'5", "p-17")]
    ["'=1+1", "'-5", "''5", 'p-17']
    """
    return _FORMULA.sub("'", text)


def restore_formula(text: str) -> str:
    """Revert :func:`escape_formula`.

    Examples
    --------
    >>> restore_formula(escape_formula("=1+1;=2"))
    '=1+1;=2'
    """
    return _ESCAPED.sub("", text)


def write_csv(frame: pd.DataFrame, place: Path | IO[str], *, header: bool = True) -> None:
    """Write a table as CSV with all texts and column names escaped.

    Parameters
    ----------
    frame : DataFrame
        Columns of type ``str`` are escaped.
    place : Path or text stream
        Destination.
    header : bool
        Whether to write the column names.
    """
    escaped = {name: _escape(frame[name]) for name in frame.columns if frame[name].dtype in (object, "str")}
    # The writer quotes only its own line terminator, but readers also treat a lone carriage return as a line end.
    returns = any(_holds_return(column) for column in escaped.values())
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    written = frame.assign(**escaped).rename(columns=escape_formula)
    written.to_csv(place, index=False, header=header, lineterminator="\n", quoting=quoting)


def write_rows(columns: Sequence[Sequence[Any]], stream: IO[str]) -> None:
    """Write columns of plain cells as rows of CSV, the same bytes as :func:`write_csv` without the names.

    Parameters
    ----------
    columns : sequence of sequence
        Texts, which are escaped, numbers, yes or no; None and NaN are empty.
    stream : text stream
        Destination.
    """
    escaped: dict[str, str] = {}
    cells = [[_write_cell(cell, escaped) for cell in column] for column in columns]
    returns = any("\r" in text for text in escaped.values())
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    csv.writer(stream, quoting=quoting, lineterminator="\n").writerows(zip(*cells, strict=True))


def _write_cell(cell: Any, escaped: dict[str, str]) -> Any:
    """Escape a text, each distinct one once."""
    if isinstance(cell, str):
        found = escaped.get(cell)
        if found is None:
            found = escaped[cell] = escape_formula(cell)
        return found
    return "" if cell is None or cell != cell else cell


def _escape(column: pd.Series) -> pd.Series:
    """Escape the texts of a column, each distinct one once."""
    if column.dtype == object:
        cells = [escape_formula(cell) if isinstance(cell, str) else cell for cell in column]
        return pd.Series(cells, index=column.index, dtype=object)
    codes, texts = pd.factorize(column)
    written = np.array([*map(escape_formula, texts), None], dtype=object)  # the last stands for a missing one
    return pd.Series(written[codes], index=column.index, dtype=object)


def _holds_return(column: pd.Series) -> bool:
    return any(isinstance(cell, str) and "\r" in cell for cell in column)
