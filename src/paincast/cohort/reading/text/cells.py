"""Parse delimited text block by block: a fault rejects only the row that contains it.

A block in which every line is a valid row is parsed in a single pass, any other block line by line.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from paincast.cohort.reading.text.lines import TOO_LONG, Lines
from paincast.cohort.reading.types import LONGEST_CELL, Block, Fault
from paincast.cohort.rejects import CELL_TOO_LONG, QUOTATION_MARK, TOO_FEW_CELLS, TOO_MANY_CELLS, WRONG_BYTES

CLOSED, OPEN, STRAY = "closed", "open", "stray"

_MOST_ROWS = 1 << 14
_ALLOWED = {
    QUOTATION_MARK: 'a cell in quotation marks ends with one, and a mark inside it is doubled ("")',
    WRONG_BYTES: "text in the encoding of the file",
    CELL_TOO_LONG: f"at most {LONGEST_CELL} characters in a cell",
}


def split_cells(text: str, separator: str) -> tuple[list[str], str]:
    """Split a line, or several, into cells.

    Returns
    -------
    cells : list of str
        Cells without their enclosing quotation marks. If the ending is not ``closed``, the last cell is the text after
        the opening mark.
    ending : str
        ``closed``; ``open`` if a cell's quotation mark is never closed; ``stray`` if a quotation mark neither encloses
        a cell nor is doubled. A quotation mark inside an unquoted cell is text.

    Examples
    --------
    >>> split_cells('a,"b, c",5" disc', ",")
    (['a', 'b, c', '5" disc'], 'closed')
    >>> split_cells('a,"b', ","), split_cells('a,"b" c', ",")
    ((['a', 'b'], 'open'), (['a', 'b" c'], 'stray'))
    """
    cells: list[str] = []
    start, encloses, ends = 0, False, False
    blank = " " if separator == "\t" else " \t"
    while True:
        opening = _skip(text, start, blank)
        if text.startswith('"', opening):
            closing = _find_closing(text, opening + 1)
            end = _skip(text, closing + 1, blank)
            if closing < 0 or text[end : end + 1] not in ("", separator):
                return [*cells, text[opening + 1 :]], OPEN if closing < 0 else STRAY
            cells.append(text[opening + 1 : closing].replace('""', '"'))
            encloses = True
        else:
            end = text.find(separator, start)
            end = len(text) if end < 0 else end
            cells.append(text[start:end])
            ends |= text.endswith('"', start, end)
        if end >= len(text):
            # Software that quotes cells doubles the marks in them, so a mark at the end of an unquoted cell is stray.
            return cells, STRAY if encloses and ends else CLOSED
        start = end + 1


def _skip(text: str, start: int, blank: str) -> int:
    while start < len(text) and text[start] in blank:
        start += 1
    return start


def _find_closing(text: str, start: int) -> int:
    end = text.find('"', start)
    while end >= 0 and text.startswith('""', end):
        end = text.find('"', end + 2)
    return end


class Layout(NamedTuple):
    """Structure of the rows of a text file.

    ``width`` is the number of cells of a valid row; ``kinds`` gives, for each column, what all its cells in the first
    rows have in common (see :func:`learn_kinds`).
    """

    separator: str
    width: int
    kinds: tuple[frozenset[str], ...] = ()


_NUMBER = re.compile(r"[-+]?\d[\d.,:/ -]*%?")


def learn_kinds(rows: Sequence[Sequence[str]]) -> tuple[frozenset[str], ...]:
    """Find what all cells of a column have in common (filled, numbers, a digit, no space), if three are filled."""
    return tuple(_learn_kinds_of_column([cell.strip() for cell in column]) for column in zip(*rows, strict=True))


def _learn_kinds_of_column(cells: Sequence[str]) -> frozenset[str]:
    filled = [cell for cell in cells if cell]
    if len(filled) < 3:
        return frozenset()
    common = frozenset.intersection(*map(_kinds_of, filled))
    return common if len(filled) == len(cells) else common - {"filled"}


def _kinds_of(cell: str) -> frozenset[str]:
    kinds = {
        "filled": bool(cell),
        "number": bool(_NUMBER.fullmatch(cell)),
        "digit": any(character.isdigit() for character in cell),
        "no space": " " not in cell,
    }
    return frozenset(kind for kind, has in kinds.items() if has)


def looks_like_row(text: str, layout: Layout) -> bool:
    """Check whether a line is a complete row: the number of cells fits, and most cells match their column.

    A line with a quotation mark that is not closed may be the end of a cell of several lines; all its cells must match.
    """
    cells, ending = split_cells(text, layout.separator)
    if ending == CLOSED:
        return len(cells) == layout.width and _share_of_strange(cells, layout) <= 0.5
    cells = [cell.replace('"', "").strip() for cell in text.split(layout.separator)]
    return (
        len(cells) == layout.width
        and any(layout.kinds)
        and not any("filled" in kinds for kinds, cell in zip(layout.kinds, cells, strict=True) if not cell)
        and _share_of_strange(cells, layout) == 0
    )


def _share_of_strange(cells: Sequence[str], layout: Layout) -> float:
    """Compute the share of filled cells that do not match the kind of their column."""
    pairs = [(kinds, cell.strip()) for kinds, cell in zip(layout.kinds, cells, strict=False) if kinds and cell.strip()]
    return sum(not kinds <= _kinds_of(cell) for kinds, cell in pairs) / max(len(pairs), 1)


class RowParser:
    """Parse the rows of a text file into cells, or report the rule that a row breaks.

    A quotation mark that is not closed in its line either opens a cell of several lines, or is stray. It is stray if
    the cell would never end, would end in the middle of another cell, or would include a line that is a complete row.
    Then the line with the opening mark and the line with the closing mark are rejected, and those between are rows.
    """

    def __init__(self, lines: Lines, layout: Layout) -> None:
        self.lines = lines
        self.layout = layout
        self.closing: set[int] = set()
        self.doubtful_until = -1

    @property
    def at_rest(self) -> bool:
        """Whether the lines still to come do not depend on those already read."""
        return not self.lines.held and self.doubtful_until < self.lines.number and not self.closing

    def read(self) -> list[str] | str:
        """Read the row that begins at the next line: its cells, or the rule that it breaks."""
        lines, number = self.lines, self.lines.number
        line = lines.held[0]
        text = lines.decode(line)
        if text is None:
            lines.pop()
            return CELL_TOO_LONG if line == TOO_LONG else WRONG_BYTES
        if '"' not in text:
            cells, ending = text.split(self.layout.separator), CLOSED
        else:
            cells, ending = self._split(text)
        if ending == OPEN:
            return self._read_open(cells)
        if ending == STRAY and text.count('"') % 2:
            self._flag_following_lines(number)
        lines.pop()
        if ending == STRAY or number in self.closing:
            self.closing.discard(number)
            return QUOTATION_MARK
        if (
            number <= self.doubtful_until
            and len(cells) == self.layout.width
            and _share_of_strange(cells, self.layout) >= 0.5
        ):
            return QUOTATION_MARK
        return self._check_width(cells)

    def _flag_following_lines(self, number: int) -> None:
        """Flag the lines into which a cell with a stray mark may extend, and reject the line where it ends."""
        _, n_more = join_lines(self.lines, self.layout.separator)
        for offset in range(1, n_more + 1):
            text = self.lines.decode(self.lines.held[offset]) or ""
            if '"' in text:
                if any(cell.endswith('"') for cell in text.split(self.layout.separator)) and not text.startswith('"'):
                    self.closing.add(number + offset)
                n_more = offset
                break
        self.doubtful_until = max(self.doubtful_until, number + n_more)

    def _split(self, text: str) -> tuple[list[str], str]:
        try:
            cells = next(csv.reader((text,), delimiter=self.layout.separator, skipinitialspace=True, strict=True))
        except csv.Error:
            return split_cells(text, self.layout.separator)
        return (
            split_cells(text, self.layout.separator) if any(cell.endswith('"') for cell in cells) else (cells, CLOSED)
        )

    def _check_width(self, cells: list[str]) -> list[str] | str:
        if len(cells) == self.layout.width or not any(cell.strip() for cell in cells):
            return cells
        return TOO_FEW_CELLS if len(cells) < self.layout.width else TOO_MANY_CELLS

    def _read_open(self, alone: list[str]) -> list[str] | str:
        joined, n_more = join_lines(self.lines, self.layout.separator)
        swallowed = [self.lines.decode(line) for line in islice(self.lines.held, 1, n_more + 1)]
        first, last = self.lines.number, self.lines.number + n_more
        if joined is not None and not self._swallows_rows(alone, swallowed):
            for _ in range(n_more + 1):
                self.lines.pop()
            return self._check_width(joined)
        self.lines.pop()
        if joined is not None:
            self.closing.add(last)
        self.doubtful_until = max(self.doubtful_until, last, first)
        return QUOTATION_MARK

    def _swallows_rows(self, alone: list[str], swallowed: Sequence[str | None]) -> bool:
        width = self.layout.width
        n_alone = len(alone) + alone[-1].count(self.layout.separator)
        if n_alone < width < 4:
            return False
        return any(line is None or looks_like_row(line, self.layout) for line in swallowed)


def join_lines(lines: Lines, separator: str) -> tuple[list[str] | None, int]:
    """Read the next line and the lines up to the closing quotation mark of its open cell.

    Returns
    -------
    cells : list of str, or None
        None if the mark is not closed within the maximum length of a cell, or is closed in the middle of another cell.
    n_more : int
        Number of lines read after the first.
    """
    parts = [lines.decode(lines.held[0]) or ""]
    room, n_more = LONGEST_CELL, 0
    while room > 0:
        line = lines.peek(n_more + 1)
        text = None if line is None else lines.decode(line)
        if text is None:
            return None, n_more
        n_more += 1
        parts.append(text)
        room -= len(text) + 1
        if '"' in text.replace('""', ""):
            cells, ending = split_cells("\n".join(parts), separator)
            if ending != OPEN:
                return (cells if ending == CLOSED else None), n_more
    return None, n_more


def parse_blocks(lines: Lines, layout: Layout, wanted: Sequence[int]) -> Iterator[Block]:
    """Yield the requested columns of all rows, starting at the next line.

    Parameters
    ----------
    lines : Lines
        Positioned after the header.
    layout : Layout
        Structure of the rows.
    wanted : sequence of int
        Positions of the requested columns.

    Yields
    ------
    Block
        Columns of text. Blank lines are counted in the positions but give no rows.
    """
    parser, last_place = RowParser(lines, layout), 0
    while True:
        if parser.at_rest:
            raw = next(lines.blocks, None)
            if raw is None:
                return
            columns = _parse_clean(raw, lines.encoding, layout, wanted)
            if columns is not None:
                places = np.arange(last_place + 1, last_place + 1 + len(columns[0]), dtype=np.int64)
                last_place += len(places)
                lines.number += len(places)
                yield Block(columns, places, [])
                continue
            lines.hold(raw)
        elif not lines.held and lines.peek(0) is None:
            return
        block, last_place = _parse_lines(parser, last_place, wanted)
        yield block


def _parse_lines(parser: RowParser, position: int, wanted: Sequence[int]) -> tuple[Block, int]:
    """Parse the buffered lines row by row; returns the block and the position of its last row."""
    rows: list[list[str]] = []
    places: list[int] = []
    faults: list[Fault] = []
    while parser.lines.held and len(places) < _MOST_ROWS:
        row = parser.read()
        position += 1
        if isinstance(row, str):
            faults.append(Fault(position, row, _ALLOWED.get(row, f"{parser.layout.width} cells, as in the header")))
        elif any(row) and any(cell.strip() for cell in row):
            rows.append(row)
            places.append(position)
    columns = [pa.array([row[position] for row in rows], pa.string()) for position in wanted]
    return Block(columns, np.array(places, dtype=np.int64), faults), position


def _parse_clean(raw: bytes, encoding: str, layout: Layout, wanted: Sequence[int]) -> list[pa.Array] | None:
    """Parse a block in a single pass; None if a line needs to be parsed individually."""
    separator = layout.separator.encode()
    if b"\0" in raw or (b"\r" in raw and raw.count(b"\r") != raw.count(b"\r\n")) or _has_blank_line(raw, separator):
        return None
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        return None
    plain = raw if encoding == "utf-8" else text.encode()
    is_quoted = b'"' in plain
    if is_quoted and not _encloses_cells(plain, separator):
        return _parse_quoted(text, layout, wanted)
    names = [str(position) for position in range(layout.width)]
    parsing = arrow_csv.ParseOptions(
        delimiter=layout.separator, quote_char='"' if is_quoted else False, ignore_empty_lines=False
    )
    try:
        table = arrow_csv.read_csv(
            pa.py_buffer(plain),
            read_options=arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(plain) + 64),
            parse_options=parsing,
            convert_options=arrow_csv.ConvertOptions(
                include_columns=[str(position) for position in wanted],
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    if is_quoted and len(table) != plain.count(b"\n") + (not plain.endswith(b"\n")):
        return None
    return [column.combine_chunks() for column in table.columns]


def _encloses_cells(raw: bytes, separator: bytes) -> bool:
    """Check whether quotation marks stand only where a cell begins and where it ends."""
    content = np.frombuffer(raw, dtype=np.uint8)
    marks = np.flatnonzero(content == ord('"'))
    opening, closing = marks[::2], marks[1::2]
    if len(opening) > len(closing):
        return False
    is_end = np.zeros(256, dtype=np.bool_)
    is_end[[*separator, *b"\r\n"]] = True
    begins = (opening == 0) | is_end[content[opening - 1]]
    ends = (closing == len(content) - 1) | is_end[content[np.minimum(closing + 1, len(content) - 1)]]
    return bool(begins.all() and ends.all())


def _parse_quoted(text: str, layout: Layout, wanted: Sequence[int]) -> list[pa.Array] | None:
    """Parse lines that are all rows of the right width without quotation marks in cells; else None."""
    lines = text.removesuffix("\n").removesuffix("\r").replace("\r\n", "\n").split("\n")
    try:
        rows = list(csv.reader(lines, delimiter=layout.separator, skipinitialspace=True, strict=True))
    except csv.Error:
        return None
    if len(rows) != len(lines) or any(len(row) != layout.width or not any(row) for row in rows):
        return None
    if '"' in "".join(map("".join, rows)):
        return None
    columns = list(zip(*rows, strict=True))
    return [pa.array(columns[position], pa.string()) for position in wanted]


def _has_blank_line(raw: bytes, separator: bytes) -> bool:
    """Check for lines without values: nothing but spaces, separators and quotation marks."""
    blank = rb'[ \t"' + re.escape(separator) + rb"]*\r?\n"
    last = rb'[ \t"' + re.escape(separator) + rb"]+\Z"
    return bool(re.match(blank, raw) or re.search(rb"\n(?:" + blank + rb"|" + last + rb")", raw))
