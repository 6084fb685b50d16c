"""CSV files in which a spreadsheet finds no formula, whatever the ids and names of columns are."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import IO, Literal

import pandas as pd

_BEFORE = r"(?:\A|(?<=[;\t\r\n]))"
"""Where a cell may begin; a spreadsheet that divides columns by semicolons sees more cells than we write."""

_FORMULA = re.compile(_BEFORE + r"(?=['=+\-@\t\r＝＋－＠])")
_ESCAPED = re.compile(_BEFORE + "'")


def escape_formula(text: str) -> str:
    """Put an apostrophe where a spreadsheet would see the beginning of a formula, or an apostrophe stands already.

    Examples
    --------
    >>> [escape_formula(text) for text in ("=1+1", "-5", "'5", "p-17")]
    ["'=1+1", "'-5", "''5", 'p-17']
    """
    return _FORMULA.sub("'", text)


def restore_formula(text: str) -> str:
    """Give back what :func:`escape_formula` was given.

    Examples
    --------
    >>> restore_formula(escape_formula("=1+1;=2"))
    '=1+1;=2'
    """
    return _ESCAPED.sub("", text)


def write_csv(frame: pd.DataFrame, place: Path | IO[str], *, header: bool = True) -> None:
    """Write a table as CSV with every text and name of a column escaped.

    Parameters
    ----------
    frame : DataFrame
        Texts are columns of type ``str``.
    place : Path or text stream
        Where to write.
    header : bool
        Whether the names of the columns come first.
    """
    texts = [name for name in frame.columns if frame[name].dtype == object or frame[name].dtype == "str"]
    escaped = {
        name: [escape_formula(text) if isinstance(text, str) else text for text in frame[name]] for name in texts
    }
    # The writer quotes what its own end of line occurs in, but a reader takes a lone carriage return for one too.
    returns = any(isinstance(text, str) and "\r" in text for column in escaped.values() for text in column)
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    written = frame.assign(**escaped).rename(columns=escape_formula)
    written.to_csv(place, index=False, header=header, lineterminator="\n", quoting=quoting)
