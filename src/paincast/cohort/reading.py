"""Files as registries publish them, read as text with every row's place; nothing is interpreted here."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pandas as pd

from paincast.cohort.coercion import is_missing_word, to_plain_text
from paincast.cohort.rejects import empty_rejects, join_rejects
from paincast.errors import DataError

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_PARQUET = (".parquet", ".pq")
_LOOKS_LIKE_DATA = re.compile(r"[-+]?\d+([.,]\d+)?|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}")


def read_sheet(
    path: str | Path, *, separator: str | None = None, encoding: str = "utf-8"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a CSV, TSV or Parquet file as text.

    A byte order mark, blank rows and unnamed columns without content are passed over. A row with another number of
    cells than the header is rejected, because nobody can say which cell belongs to which column.

    Parameters
    ----------
    path : str or Path
        The file; its suffix tells the format.
    separator : str, optional
        Separator of a text file; by default comma for ``.csv`` and tab for ``.tsv`` and ``.txt``.
    encoding : str
        Encoding of a text file.

    Returns
    -------
    sheet : DataFrame of str
        Trimmed text, empty where there is none. The index is the place of the row: 1 is the first data row.
    rejects : DataFrame with columns table, row, column, rule, allowed, action
        Rows that could not be read; ``table`` is the name of the file.

    Raises
    ------
    DataError
        If the file is absent, a directory, empty, without rows, in another encoding, truncated or without a header.
    """
    file = Path(path)
    if file.is_dir():
        raise DataError(f"{file} is a directory; give a file (.csv, .tsv or .parquet)")
    if not file.is_file():
        raise DataError(f"{file} does not exist")
    if file.stat().st_size == 0:
        raise DataError(f"{file} is empty")
    if file.suffix.lower() in _PARQUET:
        return _read_parquet(file), empty_rejects()
    if file.suffix.lower() not in _SEPARATORS:
        raise DataError(f"{file}: unknown kind of file '{file.suffix}'; allowed: .csv, .tsv, .txt, .parquet")
    return _read_text(file, separator or _SEPARATORS[file.suffix.lower()], encoding)


def _read_parquet(file: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as Parquet: it is truncated or no Parquet file") from error
    if frame.empty:
        raise DataError(f"{file} has no rows")
    frame = frame.reset_index(drop=True).rename(columns=lambda name: " ".join(str(name).split()))
    _refuse_twins(file, list(frame.columns))
    sheet = pd.DataFrame({name: to_plain_text(frame[name]).fillna("") for name in frame})
    return sheet.set_axis(pd.RangeIndex(1, len(sheet) + 1))


def _read_text(file: Path, separator: str, encoding: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    lines = _read_lines(file, separator, encoding)
    header = [" ".join(name.split()) for name in lines[0]] if lines else []
    while header and not header[-1]:
        header.pop()
    if not header:
        raise DataError(f"{file}: the first line is blank; it must name the columns")
    _refuse_headerless(file, header)
    _refuse_twins(file, [name for name in header if name])
    filled = {place: row for place, row in enumerate(lines[1:], 1) if any(row)}
    if not filled:
        raise DataError(f"{file} has a header and no rows")
    width = _row_width(list(filled.values()), len(header), len(lines[0]))
    fitting = {place: row[: len(header)] for place, row in filled.items() if len(row) == width}
    sheet = pd.DataFrame(list(fitting.values()), columns=range(len(header)), index=list(fitting), dtype="str")
    named = [i for i, name in enumerate(header) if name]
    sheet = sheet[named].set_axis([header[i] for i in named], axis="columns")
    return sheet, _reject_ragged(file, [place for place in filled if place not in fitting], width)


def _read_lines(file: Path, separator: str, encoding: str) -> list[list[str]]:
    try:
        with file.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as stream:
            return [[cell.strip() for cell in row] for row in csv.reader(stream, delimiter=separator, strict=True)]
    except UnicodeError as error:
        raise DataError(
            f"{file} is not {encoding.upper()} text; save it as UTF-8, or declare its encoding in the mapping"
        ) from error
    except csv.Error as error:
        raise DataError(
            f"{file} is no well-formed text table: quotation marks do not match, or it is binary"
        ) from error


def _row_width(rows: list[list[str]], n_named: int, n_header: int) -> int:
    """Give the number of cells of a sound row: the header's, unless all rows agree on more or fewer blank ones."""
    widths = {len(row) for row in rows}
    if len(widths) == 1 and min(widths) >= n_named and not any(any(row[n_named:]) for row in rows):
        return widths.pop()
    return n_header


def _refuse_headerless(file: Path, header: list[str]) -> None:
    named = [name for name in header if name]
    like_data = [name for name in named if _LOOKS_LIKE_DATA.fullmatch(name) or is_missing_word(name)]
    if 2 * len(like_data) >= len(named):
        raise DataError(f"{file}: the first line holds numbers or dates instead of column names; add a header")


def _refuse_twins(file: Path, names: list[str]) -> None:
    twins = len(names) - len(set(names))
    if twins:
        raise DataError(f"{file}: {twins} column name(s) stand twice in the header; rename them")


def _reject_ragged(file: Path, places: list[int], n_columns: int) -> pd.DataFrame:
    said = {"column": "", "rule": "number of cells", "allowed": f"{n_columns} cells", "action": "row left out"}
    return join_rejects([pd.DataFrame({"table": file.name, "row": places}).assign(**said)] if places else [])
