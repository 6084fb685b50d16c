"""Read the head of a text file: separator, lines above the column names, the names, and the width of rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from paincast.cohort.coercion import is_missing_word
from paincast.cohort.reading.lines import Lines, refuse_encoding
from paincast.cohort.reading.text import CLOSED, Layout, join_lines, learn_kinds, split_cells
from paincast.cohort.reading.types import SEPARATORS, Fault
from paincast.cohort.rejects import TITLE_LINE, WHOLE_COLUMN
from paincast.errors import DataError

_LINES_TO_HEADER, _LINES_TO_LEARN = 20, 100
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_LOOKS_LIKE_DATA = re.compile(r"[-+]?\d+([.,]\d+)?|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}")
_INVISIBLE = str.maketrans("", "", "\ufeff\u200b\u200e\u200f\u2060\u00ad\0")


def clean_name(name: str) -> str:
    r"""Normalize a column name: single spaces, no invisible characters.

    Examples
    --------
    >>> clean_name("\ufeff vas\u00a0  after ")
    'vas after'
    """
    return " ".join(name.translate(_INVISIBLE).split())


def read_head(
    lines: Lines, file: str, *, separator: str | None, usual: str, used: Collection[str]
) -> tuple[tuple[str, ...], Layout, list[Fault]]:
    """Read a text file up to its first row.

    Parameters
    ----------
    lines : Lines
        Positioned at the first line; advanced to the line after the header.
    file : str
        Name of the file, for messages.
    separator : str, optional
        Declared separator.
    usual : str
        Default separator.
    used : collection of str
        Names of the columns to read: the line with most of them is the header.

    Returns
    -------
    header : tuple of str
        A name for each cell of a valid row; empty if the column has no name.
    layout : Layout
        Structure of the rows.
    faults : list of Fault
        Lines above the header.

    Raises
    ------
    DataError
        If there is no header, or it cannot be read.
    """
    above = [_title_fault()] if (declared := _pop_separator_line(lines)) else []
    first = _peek_texts(lines, _LINES_TO_HEADER)
    if first and first[0] is None:
        raise refuse_encoding(file, lines.encoding)
    texts = [text or "" for text in first]
    chosen = separator or declared or _find_separator(texts, usual, used)
    header_line = _find_header(texts, chosen, used)
    if header_line is None:
        raise DataError(f"{file} has only blank lines; the first line must name the columns", code="PC-READING-06")
    is_title = (
        not _count_used(texts[header_line], chosen, used)
        and sum(map(bool, _split_names(texts[header_line], chosen))) <= 1
    )
    if None in first[:header_line] or (is_title and None in first[header_line : header_line + 2]):
        raise refuse_encoding(file, lines.encoding)  # the undecodable line may be the header
    for text in texts[:header_line]:
        if text.strip(chosen + " \t"):
            above.append(_title_fault())
        lines.pop()
    names = [clean_name(name) for name in _pop_header(lines, file, chosen)]
    _refuse_headerless(file, names)
    header, layout = _learn_layout(lines, names, chosen)
    return header, layout, above


def _title_fault() -> Fault:
    return Fault(WHOLE_COLUMN, TITLE_LINE, "the names of the columns in the first line")


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


def _count_used(text: str, separator: str, used: Collection[str]) -> int:
    return sum(name in used for name in _split_names(text, separator))


def _find_separator(texts: Sequence[str], usual: str, used: Collection[str]) -> str:
    """Find the separator that yields most of the used names; without any, the separator most consistent by line."""
    candidates = list(dict.fromkeys([usual, *SEPARATORS.values()]))
    n_used = {
        separator: max((_count_used(text, separator, used) for text in texts), default=0) for separator in candidates
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


def _find_header(texts: Sequence[str], separator: str, used: Collection[str]) -> int | None:
    """Find the header: the line with most of the used names, else the first line as wide as those after it."""
    filled = [sum(bool(name) for name in _split_names(text, separator)) for text in texts]
    blank_free = [line for line, n_filled in enumerate(filled) if n_filled]
    if not blank_free:
        return None
    n_used = [_count_used(text, separator, used) for text in texts]
    most_used = n_used.index(max(n_used))
    opening = next((line for line in blank_free if split_cells(texts[line], separator)[1] != CLOSED), len(texts))
    if opening <= (most_used if max(n_used) else blank_free[0]):
        return opening  # names that span several lines
    if max(n_used):
        return most_used
    usual = Counter(len(_split_names(texts[line], separator)) for line in blank_free[1:]).most_common(1)
    for line in blank_free:
        names = _split_names(texts[line], separator)
        is_title = filled[line] <= 1 or (usual and len(names) != usual[0][0] and 2 * filled[line] <= usual[0][0])
        if not is_title:
            # A line with a number is a data row: then the first line is the header, even if it is short.
            return blank_free[0] if any(_LOOKS_LIKE_DATA.fullmatch(name) for name in names) else line
    return blank_free[0]


def _pop_header(lines: Lines, file: str, separator: str) -> list[str]:
    text = lines.decode(lines.held[0]) or ""
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


def _is_data(names: Sequence[str]) -> bool:
    named = [name for name in names if name]
    like_data = [name for name in named if _LOOKS_LIKE_DATA.fullmatch(name) or is_missing_word(name)]
    return 2 * len(like_data) >= len(named)


def _refuse_headerless(file: str, names: Sequence[str]) -> None:
    if not any(names):
        raise DataError(f"{file}: the first line is blank; it must name the columns", code="PC-READING-08")
    if _is_data(names):
        raise DataError(
            f"{file}: the first line holds numbers or dates instead of column names; add a header", code="PC-READING-09"
        )


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
