"""Read the head of a text file: separator, lines above the column names, the names, and the width of rows."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

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
from paincast.cohort.reading.text.cells import CLOSED, Layout, join_lines, learn_kinds, split_cells
from paincast.cohort.reading.text.lines import Lines, refuse_encoding
from paincast.cohort.reading.types import MOST_COLUMNS, SEPARATORS, Dialect, Fault
from paincast.errors import DataError

_LINES_TO_LEARN = 100
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


class Head(NamedTuple):
    """What stands above the first row of a text file.

    Parameters
    ----------
    names : tuple of str
        A name for each cell of a valid row; empty if the column has no name.
    layout : Layout
        Structure of the rows.
    faults : list of Fault
        Lines above the header.
    header_row, header_rows : int
        First line of the header, counted from 1, and the number of lines that together hold the names.
    """

    names: tuple[str, ...]
    layout: Layout
    faults: list[Fault]
    header_row: int
    header_rows: int


def read_head(lines: Lines, file: str, *, dialect: Dialect, usual: str, used: Collection[str]) -> Head:
    """Read a text file up to its first row.

    Parameters
    ----------
    lines : Lines
        Positioned at the first line; advanced to the line after the header.
    file : str
        Name of the file, for messages.
    dialect : Dialect
        What is declared.
    usual : str
        Default separator.
    used : collection of str
        Names of the columns to read: the line with most of them is the header.

    Raises
    ------
    DataError
        If there is no header, or it cannot be read.
    """
    above = [report_title()] if (declared := _pop_separator_line(lines)) else []
    if dialect.header_row is not None:
        above += _pop_above(lines, file, dialect.header_row - 1 - lines.number)
    first = _peek_texts(lines, ROWS_TO_HEADER)
    if first and first[0] is None:
        raise refuse_encoding(file, lines.encoding)
    texts = [text or "" for text in first]
    _refuse_endless_lines(file, texts)
    separator = dialect.separator or declared or _find_separator(texts, usual, used)
    if dialect.header_row is None:
        n_above = _count_lines_above(first, file, lines.encoding, separator, used)
        above += _pop_above(lines, file, n_above, separator)
    header_row, header_rows = lines.number + 1, dialect.header_rows or 1
    rows = [[clean_name(name) for name in _pop_header(lines, file, separator)] for _ in range(header_rows)]
    names = join_header_rows(rows) if header_rows > 1 else rows[0]
    refuse_headerless(file, names)
    header, layout = _learn_layout(lines, names, separator)
    return Head(header, layout, above, header_row, header_rows)


def _refuse_endless_lines(file: str, texts: Sequence[str]) -> None:
    """Refuse lines with far more separators than any table has, before they are split again and again."""
    if any(text.count(mark) > 10 * MOST_COLUMNS for text in texts for mark in SEPARATORS.values()):
        raise DataError(
            f"{file} has a line with more than {10 * MOST_COLUMNS} separators; at most {MOST_COLUMNS} columns can be "
            "read",
            code="PC-READING-36",
        )


def _count_lines_above(
    first: Sequence[str | None], file: str, encoding: str, separator: str, used: Collection[str]
) -> int:
    texts = [text or "" for text in first]
    header_line = _find_header_line(texts, separator, used)
    if header_line is None:
        raise DataError(f"{file} has only blank lines; the first line must name the columns", code="PC-READING-06")
    names = _split_names(texts[header_line], separator)
    is_title = not count_used(names, used) and sum(map(bool, names)) <= 1
    if None in first[:header_line] or (is_title and None in first[header_line : header_line + 2]):
        raise refuse_encoding(file, encoding)  # the undecodable line may be the header
    return header_line


def _pop_above(lines: Lines, file: str, n_lines: int, separator: str = ",") -> list[Fault]:
    faults = []
    for _ in range(n_lines):
        line = lines.peek(0)
        if line is None:
            raise refuse_header_row(file, lines.number + 1)
        if (lines.decode(line) or "").strip(separator + " \t"):
            faults.append(report_title())
        lines.pop()
    return faults


def _peek_texts(lines: Lines, n_lines: int) -> list[str | None]:
    texts = []
    for offset in range(n_lines):
        line = lines.peek(offset)
        if line is None:
            break
        texts.append(lines.decode(line))
    return texts


def _pop_separator_line(lines: Lines) -> str | None:
    first = lines.peek(0)
    match = _SEPARATOR_LINE.fullmatch((lines.decode(first) or "").rstrip()) if first is not None else None
    if match is None and first is not None and first.lower().rstrip(b'"') in (b"sep=\t", b'"sep=\t'):
        lines.pop()
        return "\t"
    if match is None:
        return None
    lines.pop()
    return match[1]


def _split_names(text: str, separator: str) -> list[str]:
    return [clean_name(cell) for cell in split_cells(text, separator)[0]]


def _find_separator(texts: Sequence[str], usual: str, used: Collection[str]) -> str:
    """Find the separator that yields most of the used names; without any, the separator most consistent by line."""
    candidates = list(dict.fromkeys([usual, *SEPARATORS.values()]))
    n_used = {
        separator: max((count_used(_split_names(text, separator), used) for text in texts), default=0)
        for separator in candidates
    }
    if max(n_used.values()) > (1 if n_used[usual] else 0):
        return max(candidates, key=lambda candidate: n_used[candidate])
    plain = [re.sub(r'"[^"]*"', "", text) for text in texts if text.strip()]
    counts = {separator: sorted(text.count(separator) for text in plain) for separator in candidates}
    middle = {separator: ordered[len(ordered) // 2] if ordered else 0 for separator, ordered in counts.items()}
    in_first = {separator: plain[0].count(separator) if plain else 0 for separator in candidates}
    return max(
        candidates,
        key=lambda candidate: (min(middle[candidate], in_first[candidate]), middle[candidate], in_first[candidate]),
    )


def _find_header_line(texts: Sequence[str], separator: str, used: Collection[str]) -> int | None:
    """Find the line of the header; a line with a cell that is not closed may hold names that span several lines."""
    rows = [_split_names(text, separator) for text in texts]
    opening = next((line for line, text in enumerate(texts) if split_cells(text, separator)[1] != CLOSED), len(texts))
    n_used = [count_used(row, used) for row in rows]
    first = next((line for line, row in enumerate(rows) if any(row)), len(texts))
    if opening <= (n_used.index(max(n_used)) if any(n_used) else first) and opening < len(texts):
        return opening
    return find_header(rows, used)


def _pop_header(lines: Lines, file: str, separator: str) -> list[str]:
    line = lines.peek(0)
    if line is None:
        raise refuse_header_row(file, lines.number + 1)
    text = lines.decode(line) or ""
    names, ending = split_cells(text, separator)
    n_more = 0
    if ending != CLOSED:
        joined, n_more = join_lines(lines, separator)
        swallowed = [lines.decode(lines.held[offset]) or "" for offset in range(1, n_more + 1)]
        after = lines.peek(n_more + 1)
        width = len(split_cells(lines.decode(after) or "", separator)[0]) if after is not None else 0
        if joined is None or any(len(split_cells(line, separator)[0]) == max(width, 2) for line in swallowed):
            raise DataError(f"{file}: a quotation mark in the line of column names is not closed", code="PC-READING-07")
        names = joined
    for _ in range(n_more + 1):
        lines.pop()
    return names


def _learn_layout(lines: Lines, names: list[str], separator: str) -> tuple[tuple[str, ...], Layout]:
    """Find the width of a valid row: that of the header, unless the first rows agree on more or fewer blank cells."""
    parsed = [split_cells(text, separator) for text in _peek_texts(lines, _LINES_TO_LEARN) if text is not None]
    rows = [cells for cells, ending in parsed if ending == CLOSED and any(cell.strip() for cell in cells)]
    n_named = max(at for at, name in enumerate(names, 1) if name)
    widths = {len(row) for row in rows}
    width = len(names)
    if len(widths) == 1 and min(widths) >= n_named and not any(cell.strip() for row in rows for cell in row[n_named:]):
        width = widths.pop()
    header = (*names[:width], *[""] * (width - len(names)))
    return header, Layout(separator, width, learn_kinds([row for row in rows if len(row) == width]))
