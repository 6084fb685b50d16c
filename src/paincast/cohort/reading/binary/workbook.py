"""Decode a sheet of a workbook (Excel, OpenDocument): which sheet, where its header is, merged cells, and its cells."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from paincast.cohort.reading.binary.sheet_marks import SheetMarks, check_size, read_marks
from paincast.cohort.reading.binary.values import format_value
from paincast.cohort.reading.header import (
    ROWS_TO_HEADER,
    count_used,
    find_header,
    join_header_rows,
    refuse_header_row,
    refuse_headerless,
    report_title,
)
from paincast.cohort.reading.names import clean_name
from paincast.cohort.reading.types import MOST_COLUMNS, Block, Decoded, Fault, ReadOptions
from paincast.cohort.rejects import ERROR_VALUE, FORMULA_WITHOUT_VALUE
from paincast.errors import DataError, suggest_name

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

BLOCK_ROWS = 5000
ERRORS_FOR_MISSING = ("#N/A", "#NULL!")
"""Error values that mean "no value"."""

Cell = tuple[int, int]
Range = tuple[Cell, Cell]


class _Sheet(NamedTuple):
    """Cells of a sheet by row, its merged ranges and marks, and the position and number of the header's rows."""

    rows: list[list[Any]]
    merged: list[Range]
    marks: SheetMarks
    header: int
    n_header: int

    @property
    def first(self) -> int:
        """Position of the first row below the header."""
        return self.header + self.n_header


@contextmanager
def decode_workbook(file: Path, options: ReadOptions) -> Iterator[Decoded]:
    """Open a sheet of a workbook and read its header.

    Without a declared sheet, the visible sheet with most of the used names is read, the first if several are equal.

    Raises
    ------
    DataError
        If python-calamine is not installed, the workbook is damaged or protected, or there is no such sheet.
    """
    with _open(file) as workbook, _words_for_damage(file):
        name, remarks = _choose_sheet(file, workbook, options)
        source = workbook.get_sheet_by_name(name)
        rows = source.to_python(skip_empty_area=False)
        merged = source.merged_cell_ranges or []
    marks = read_marks(file, name)
    header, n_header = _find_header_rows(file, rows, merged, options)
    sheet = _Sheet(rows, merged, marks, header, n_header)
    names = [clean_name(text) for text in _read_names(sheet)]
    if len(names) > MOST_COLUMNS:
        raise DataError(f"{file} has {len(names)} columns; at most {MOST_COLUMNS} can be read", code="PC-READING-21")
    refuse_headerless(f"{file} (sheet '{name}')", names)
    n_filled = _fill_merged_rows(sheet)
    yield Decoded(
        header=tuple(names),
        read=lambda wanted: _read_blocks(sheet, wanted),
        faults=tuple(report_title() for row in rows[:header] if any(map(format_value, row))),
        dialect=options.dialect._replace(sheet=name, header_row=header + 1, header_rows=n_header),
        remarks=(*remarks, *_describe_marks(name, marks, n_filled)),
    )


@contextmanager
def _open(file: Path) -> Iterator[CalamineWorkbook]:
    try:
        from python_calamine import CalamineWorkbook
    except ModuleNotFoundError as error:
        raise DataError(
            f'{file}: workbooks need python-calamine; install it with: pip install "paincast[excel]"',
            code="PC-READING-22",
        ) from error
    check_size(file)
    with _words_for_damage(file):
        workbook = CalamineWorkbook.from_path(file)
    with workbook:
        yield workbook


@contextmanager
def _words_for_damage(file: Path) -> Iterator[None]:
    from python_calamine import CalamineError, PasswordError

    try:
        yield
    except PasswordError as error:
        raise DataError(f"{file} is protected by a password; save it without", code="PC-READING-23") from error
    except (CalamineError, OSError, ValueError) as error:
        raise _refuse_damaged(file) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how the reader's library reports a file that it cannot follow
            raise
        raise _refuse_damaged(file) from None


def _refuse_damaged(file: Path) -> DataError:
    return DataError(
        f"{file} is not a readable workbook (damaged, or text or a web page under the name of a workbook); open it in "
        "a spreadsheet and save it as .xlsx",
        code="PC-READING-24",
    )


def _choose_sheet(file: Path, workbook: CalamineWorkbook, options: ReadOptions) -> tuple[str, list[str]]:
    visible, hidden = _list_sheets(workbook)
    declared = options.dialect.sheet
    if declared is not None:
        if declared not in workbook.sheet_names:
            raise DataError(
                f"{file} has no sheet '{declared}'; {suggest_name(declared, workbook.sheet_names)}",
                code="PC-READING-25",
            )
        return declared, []
    heads = {name: _read_head(workbook.get_sheet_by_name(name)) for name in visible}
    tables = [name for name, head in heads.items() if len(head) > 1]
    if not tables:
        words = f"; hidden: {', '.join(hidden)} (declare one with 'sheet')" if hidden else ""
        raise DataError(f"{file} has no visible sheet with a header and rows{words}", code="PC-READING-26")
    chosen = max(tables, key=lambda name: max(count_used(row, options.used) for row in heads[name]))
    others = [name for name in tables if name != chosen]
    remarks = []
    if others:
        remarks.append(f"sheet '{chosen}' of {file.name} was read; others: {', '.join(others)} (choose with 'sheet')")
    if hidden:
        remarks.append(f"hidden sheets of {file.name} were not read: {', '.join(hidden)}")
    return chosen, remarks


def _list_sheets(workbook: CalamineWorkbook) -> tuple[list[str], list[str]]:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    sheets = [sheet for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
    visible = [sheet.name for sheet in sheets if sheet.visible == SheetVisibleEnum.Visible]
    return visible, [sheet.name for sheet in sheets if sheet.name not in visible]


def _read_head(sheet: CalamineSheet) -> list[list[str]]:
    rows = sheet.to_python(skip_empty_area=False, nrows=ROWS_TO_HEADER)
    return [names for names in map(_clean_row, rows) if names]


def _clean_row(row: Sequence[Any]) -> list[str]:
    """Read a row as names, without the blank cells at its end."""
    names = [clean_name(format_value(cell)) for cell in row]
    while names and not names[-1]:
        names.pop()
    return names


def _find_header_rows(
    file: Path, rows: Sequence[Sequence[Any]], merged: Collection[Range], options: ReadOptions
) -> tuple[int, int]:
    """Find the first row of the header and the number of its rows: two if cells above the names are merged."""
    declared, n_declared = options.dialect.header_row, options.dialect.header_rows
    if declared is not None:
        if declared - 1 + (n_declared or 1) > len(rows):
            raise refuse_header_row(str(file), declared)
        return declared - 1, n_declared or 1
    heads = [_clean_row(row) for row in rows[:ROWS_TO_HEADER]]
    header = find_header(heads, options.used) or 0
    if n_declared is not None:
        return header, n_declared
    for row in (header, header - 1):
        if 0 <= row < len(heads) - 1 and _heads_groups(row, heads, merged):
            return row, 2
    return header, 1


def _heads_groups(row: int, heads: Sequence[Sequence[str]], merged: Collection[Range]) -> bool:
    """Check whether a row has merged cells, besides others, above cells that are all names."""
    groups = [(first[1], last[1]) for first, last in merged if first[0] == last[0] == row and last[1] > first[1]]
    below = heads[row + 1]
    return (
        bool(groups)
        and sum(map(bool, heads[row])) > 1
        and all(name for first, last in groups for name in [*below[first : last + 1], *[""] * (last + 1 - len(below))])
    )


def _read_names(sheet: _Sheet) -> list[str]:
    names = [[format_value(cell) for cell in row] for row in sheet.rows[sheet.header : sheet.first]]
    if len(names) == 1:
        return names[0]
    for (top, left), (bottom, right) in sheet.merged:
        if sheet.header <= top and bottom < sheet.first:
            text = names[top - sheet.header][left]
            for row in names[top - sheet.header : bottom - sheet.header + 1]:
                row[left : right + 1] = [text] * (right + 1 - left)
    return join_header_rows(names)


def _fill_merged_rows(sheet: _Sheet) -> int:
    """Give each row of a merged cell its value; returns the number of cells filled."""
    n_filled = 0
    for (top, left), (bottom, _) in sheet.merged:
        if top >= sheet.first and bottom > top and left < len(sheet.rows[top]):
            for row in sheet.rows[top + 1 : bottom + 1]:
                row[left] = sheet.rows[top][left]
                n_filled += 1
    return n_filled


def _describe_marks(name: str, marks: SheetMarks, n_filled: int) -> Iterator[str]:
    if marks.n_hidden_rows:
        yield f"{marks.n_hidden_rows} rows of sheet '{name}' are hidden (by a filter?) and were read as well"
    if n_filled:
        yield f"{n_filled} rows of sheet '{name}' took the value of a cell that is merged over several rows"


def _read_blocks(sheet: _Sheet, wanted: Sequence[int]) -> Iterator[Block]:
    faults = _list_faults(sheet, wanted)
    for start in range(sheet.first, len(sheet.rows), BLOCK_ROWS):
        rows = sheet.rows[start : start + BLOCK_ROWS]
        filled = np.array([any(cell not in ("", None) for cell in row) for row in rows], dtype=bool)
        places = np.arange(start, start + len(rows), dtype=np.int64) - sheet.first + 1
        kept = [row for row, is_filled in zip(rows, filled, strict=True) if is_filled]
        columns = [pa.array([format_value(row[position]) for row in kept], pa.string()) for position in wanted]
        in_block = [fault for fault in faults if places[0] <= fault.place <= places[-1]]
        yield Block(columns, places[filled], in_block)


def _list_faults(sheet: _Sheet, wanted: Sequence[int]) -> list[Fault]:
    """List the formulas without a value and the error values in the columns that are read."""
    found: list[tuple[Cell, str, str]] = [
        (cell, FORMULA_WITHOUT_VALUE, "the value of the formula; open the workbook in a spreadsheet and save it")
        for cell in sheet.marks.without_value
    ]
    found += [
        (cell, ERROR_VALUE, "a value, not an error")
        for cell, error in sheet.marks.errors.items()
        if error not in ERRORS_FOR_MISSING
    ]
    return [
        Fault(row - sheet.first + 1, rule, allowed, column, "cell emptied")
        for (row, column), rule, allowed in sorted(found)
        if row >= sheet.first and column in wanted
    ]


def count_rows(file: Path) -> int | None:  # noqa: ARG001 (the rows are known after the sheet is read)
    """Return None: a workbook is read before its rows can be counted."""
    return None
