"""Open and decode delimited text files (CSV, TSV)."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from paincast.cohort.reading.header import read_head
from paincast.cohort.reading.lines import Lines, read_blocks, refuse_encoding
from paincast.cohort.reading.text import parse_blocks
from paincast.cohort.reading.types import MOST_COLUMNS, Decoded, FileFormat, ReadOptions
from paincast.errors import DataError

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def make_text_format(usual_separator: str) -> FileFormat:
    """Make the format of text files with a default separator, used unless the header indicates another."""
    return FileFormat(partial(decode_text, usual_separator=usual_separator), count_lines, guess_encoding)


@contextmanager
def decode_text(file: Path, options: ReadOptions, *, usual_separator: str) -> Iterator[Decoded]:
    """Open a text file and read its header.

    Raises
    ------
    DataError
        If the file has another encoding, no header or too many columns.
    """
    with file.open("rb") as stream:
        if options.encoding != "utf-16" and stream.peek(2)[:2] in _UTF_16_MARKS:
            raise refuse_encoding(str(file), options.encoding, "utf-16")
        lines = Lines(read_blocks(stream, options.encoding), options.encoding)
        header, layout, above = read_head(
            lines, str(file), separator=options.separator, usual=usual_separator, used=options.used
        )
        if len(header) > MOST_COLUMNS:
            raise DataError(
                f"{file} has {len(header)} columns; at most {MOST_COLUMNS} can be read", code="PC-READING-03"
            )
        yield Decoded(
            header=header,
            read=lambda wanted: parse_blocks(lines, layout, wanted),
            faults=tuple(above),
            separator=layout.separator,
        )


def count_lines(file: Path) -> int | None:
    """Count the lines after the header by counting line breaks."""
    with file.open("rb") as stream:
        return max(sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b"")) - 1, 0) or None


def guess_encoding(file: Path) -> str:
    """Guess the encoding: UTF-16 or UTF-8 if valid, else Windows-1252, the default of spreadsheets on Windows."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with file.open("rb") as stream:
        if stream.peek(2)[:2] in _UTF_16_MARKS:
            return "utf-16"
        try:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                decoder.decode(chunk)
        except UnicodeDecodeError:
            return "windows-1252"
    return "utf-8"
