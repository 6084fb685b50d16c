"""Find what a workbook's cells do not tell as values: formulas without a value, error values and hidden rows.

Read from the XML of .xlsx and .xlsm; of other workbooks nothing is known.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from zipfile import BadZipFile, LargeZipFile, ZipFile, ZipInfo

from paincast.errors import DataError

MOST_BYTES = 1 << 30
"""Maximum size of the unpacked XML of a sheet; larger workbooks are refused before they are read."""

MOST_CELLS = 1 << 26
"""Maximum number of cells up to the last one of a sheet, as many as that much XML can hold."""

_UNREADABLE = (
    *(BadZipFile, LargeZipFile, ElementTree.ParseError, zlib.error),
    *(EOFError, KeyError, NotImplementedError, OSError, RuntimeError, ValueError),
)
"""What a damaged archive raises; python-calamine then refuses the workbook or reads what it can."""
_CELL = re.compile(rb"<(?:\w+:)?c\s([^>]*?)(?:/>|>(.*?)</(?:\w+:)?c>)", re.DOTALL)
_POSITION = re.compile(rb'\br="([A-Z]{1,3})([0-9]{1,7})"')
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Z]{0,12})([0-9]{1,20})["']""")
_TYPE = re.compile(rb'\bt="(\w+)"')
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_VALUE = re.compile(rb"<(?:\w+:)?v(?:\s[^>]*)?>([^<]+)<")
_HIDDEN = re.compile(rb'<(?:\w+:)?row\s[^>]*\bhidden="(?:1|true)"')
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


class SheetMarks(NamedTuple):
    """Positions (row and column, from 0) of formulas without a value and of errors, and the number of hidden rows."""

    without_value: tuple[tuple[int, int], ...] = ()
    errors: Mapping[tuple[int, int], str] = {}
    n_hidden_rows: int = 0


def read_marks(file: Path, sheet: str) -> SheetMarks:
    """Read the marks of a sheet.

    Raises
    ------
    DataError
        If the sheet is larger than :data:`MOST_BYTES`.
    """
    if file.suffix.lower() not in (".xlsx", ".xlsm"):
        return SheetMarks()
    try:
        with ZipFile(file) as archive:
            text = archive.read(_find_part(archive, sheet))
    except _UNREADABLE:
        return SheetMarks()
    without_value, errors = [], {}
    if b't="e"' in text or _FORMULA.search(text):
        for cell, error in _list_marked(text):
            if error is None:
                without_value.append(cell)
            else:
                errors[cell] = error
    return SheetMarks(tuple(without_value), errors, len(_HIDDEN.findall(text)))


def check_size(file: Path) -> None:
    """Refuse a workbook whose XML would not fit in memory.

    Raises
    ------
    DataError
        If a part is larger than :data:`MOST_BYTES` when unpacked, or a cell is so far out that python-calamine, which
        makes room for all cells before it, would end the process.
    """
    try:
        with ZipFile(file) as archive:
            parts = archive.infolist()
            largest = max((part.file_size for part in parts), default=0)
            sheets = [part for part in parts if part.filename.endswith(".xml") and largest <= MOST_BYTES]
            n_cells = max((_count_to_last_cell(archive, part) for part in sheets), default=0)
    except _UNREADABLE:
        return
    if n_cells > MOST_CELLS:
        raise DataError(
            f"{file} has a cell so far from the first one that the sheet would have more than {MOST_CELLS} cells; "
            "delete it, or save the sheet as CSV",
            code="PC-READING-37",
        )
    if largest > MOST_BYTES:
        raise DataError(
            f"{file} unpacks to more than {MOST_BYTES >> 30} GiB; save it as CSV or Parquet", code="PC-READING-27"
        )


def _count_to_last_cell(archive: ZipFile, part: ZipInfo) -> int:
    last_row = last_column = n_rows = 0
    with archive.open(part) as stream:
        rest = b""
        while chunk := stream.read(1 << 20):
            found = _PLACE.findall(rest + chunk)
            n_rows += chunk.count(b"<row")  # a row without a position follows the one above
            rest = chunk[-60:]
            last_column = max([last_column, *map(_number_column, {letters for letters, _ in found})])
            last_row = max([last_row, *map(int, {digits for _, digits in found})])
    return max(last_row, n_rows) * (last_column + 1)


def _find_part(archive: ZipFile, sheet: str) -> str:
    """Find the part of the archive that holds a sheet."""
    # Entities: expat stops those that multiply, and reads none from elsewhere. Size: see check_size.
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314
    ids = {element.get("name"): element.get(_RELATION) for element in book.iter() if element.tag.endswith("}sheet")}
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    targets = {element.get("Id"): element.get("Target", "") for element in relations}
    target = targets[ids[sheet]]
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _list_marked(text: bytes) -> Iterator[tuple[tuple[int, int], str | None]]:
    """List the cells with an error, and those with a formula and no value (None instead of an error)."""
    for attributes, body in _CELL.findall(text):
        kind, position = _TYPE.search(attributes), _POSITION.search(attributes)
        if position is None:
            continue
        value = _VALUE.search(body)
        cell = int(position[2]) - 1, _number_column(position[1])
        if kind and kind[1] == b"e":
            yield cell, value[1].decode("utf-8", "replace") if value else "#N/A"
        elif value is None and not (kind and kind[1] in (b"str", b"inlineStr")) and _FORMULA.search(body):
            yield cell, None


def _number_column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number - 1
