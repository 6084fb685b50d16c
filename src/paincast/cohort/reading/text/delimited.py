"""Open and decode delimited text files (CSV, TSV)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from paincast.cohort.reading.text.cells import parse_blocks
from paincast.cohort.reading.text.encodings import UTF_16_MARKS, WINDOWS, detect_encoding
from paincast.cohort.reading.text.head import read_head
from paincast.cohort.reading.text.lines import Lines, read_blocks, refuse_encoding
from paincast.cohort.reading.types import MOST_COLUMNS, Decoded, FileFormat, ReadOptions
from paincast.errors import DataError
from paincast.files.inputs import looks_like_utf_16

_WORKBOOK_MARKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


def make_text_format(usual_separator: str) -> FileFormat:
    """Make the format of text files with a default separator, used unless the header indicates another."""
    return FileFormat(partial(decode_text, usual_separator=usual_separator), count_lines)


@contextmanager
def decode_text(file: Path, options: ReadOptions, *, usual_separator: str) -> Iterator[Decoded]:
    """Open a text file and read its header.

    Raises
    ------
    DataError
        If the file has another encoding, no header or too many columns.
    """
    _refuse_workbook(file)
    declared = options.dialect.encoding
    encoding = declared or detect_encoding(file)
    with file.open("rb") as stream:
        first = stream.peek(4)[:4]
        if encoding != "utf-16" and first[:2] in UTF_16_MARKS:
            raise refuse_encoding(str(file), encoding)
        if encoding != "utf-16" and looks_like_utf_16(first):
            raise DataError(
                f"{file} looks like UTF-16 without its byte order mark; save it as UTF-8 (in a spreadsheet: "
                "'CSV UTF-8'), or declare 'encoding: utf-16' in a mapping",
                code="PC-READING-38",
            )
        lines = Lines(read_blocks(stream, encoding), encoding)
        head = read_head(lines, str(file), dialect=options.dialect, usual=usual_separator, used=options.used)
        if len(head.names) > MOST_COLUMNS:
            raise DataError(
                f"{file} has {len(head.names)} columns; at most {MOST_COLUMNS} can be read", code="PC-READING-03"
            )
        is_guess = declared is None and encoding == WINDOWS
        yield Decoded(
            header=head.names,
            read=lambda wanted: parse_blocks(lines, head.layout, wanted),
            faults=tuple(head.faults),
            dialect=options.dialect._replace(
                separator=head.layout.separator,
                encoding=encoding,
                header_row=head.header_row,
                header_rows=head.header_rows,
            ),
            remarks=(f"{file.name} is not valid UTF-8 and was read as {WINDOWS}",) if is_guess else (),
        )


def _refuse_workbook(file: Path) -> None:
    with file.open("rb") as stream:
        if stream.read(8).startswith(_WORKBOOK_MARKS):
            raise DataError(
                f"{file} is a workbook under another name; rename it to .xlsx or .xls", code="PC-READING-35"
            )


def count_lines(file: Path) -> int | None:
    """Count the lines after the header by counting line breaks."""
    with file.open("rb") as stream:
        return max(sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b"")) - 1, 0) or None
