"""Find the encoding of a text file by what its bytes prove, never by how often they occur."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import IO

UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
WINDOWS = "windows-1252"
"""The default of spreadsheets on Windows in western Europe and America."""


def detect_encoding(file: Path) -> str:
    """Detect the encoding of a text file.

    UTF-16 has a byte order mark. UTF-8 is a file whose bytes are all valid, or that has its mark, or a line with a
    character beyond ASCII that is valid: then single lines are damaged. Any other file is taken for Windows-1252.

    Returns
    -------
    {"utf-8", "utf-16", "windows-1252"}
    """
    with file.open("rb") as stream:
        first = stream.peek(3)[:3]
        if first.startswith(UTF_16_MARKS):
            return "utf-16"
        if first == codecs.BOM_UTF8 or _is_utf_8(stream):
            return "utf-8"
        stream.seek(0)
        return "utf-8" if any(map(_is_beyond_ascii_and_valid, _read_lines(stream))) else WINDOWS


def _is_utf_8(stream: IO[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _read_lines(stream: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in iter(lambda: stream.read(1 << 20), b""):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        rest = rest[-(1 << 20) :]
    yield rest


def _is_beyond_ascii_and_valid(line: bytes) -> bool:
    try:
        return not line.decode("utf-8").isascii()
    except UnicodeDecodeError:
        return False
