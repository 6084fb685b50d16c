"""Bytes of a text file, as lines: a block ends where a line ends, and no line is longer than memory may hold."""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import IO

from paincast.errors import DataError

LONGEST_LINE = 8 << 20
"""Bytes of the longest line that is held in memory."""
TOO_LONG = b"\0\0"
"""What stands for a line that is longer."""

_FIRST_BYTES, _BLOCK_BYTES = 1 << 16, 1 << 20
_LINE_END = re.compile(rb"\r\n|\n|\r")


def read_blocks(stream: IO[bytes], encoding: str) -> Iterator[bytes]:
    """Yield bytes that end where a line ends; a line that is too long to hold is replaced by a short mark."""
    rest, too_long = b"", False
    for chunk in _read_bytes(stream, encoding):
        held = rest + chunk
        cut = max(held.rfind(b"\n"), held.rfind(b"\r", 0, len(held) - 1)) + 1
        block, rest = held[:cut], held[cut:]
        if block and too_long:
            first = _LINE_END.search(block)
            block, too_long = TOO_LONG + block[first.start() if first else 0 :], False
        if len(rest) > LONGEST_LINE:
            rest, too_long = b"", True
        if block:
            yield block
    if rest or too_long:
        yield TOO_LONG if too_long else rest


def _read_bytes(stream: IO[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the file's bytes without its byte order mark; UTF-16 becomes UTF-8."""
    chunks = chain([stream.read(_FIRST_BYTES)], iter(lambda: stream.read(_BLOCK_BYTES), b""))
    first = next(chunks)
    if encoding == "utf-16":
        decoder = codecs.getincrementaldecoder(_name_utf_16(first))("surrogatepass")
        for chunk in chain([first], chunks):
            yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
        decoder.decode(b"", final=True)
        return
    yield first.removeprefix(codecs.BOM_UTF8) if encoding == "utf-8" else first
    yield from chunks


def _name_utf_16(first: bytes) -> str:
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-16-be" if first.startswith(b"\0") else "utf-16-le"


class Lines:
    """Lines of a file in their order, with a look ahead of bounded length."""

    def __init__(self, blocks: Iterator[bytes], encoding: str) -> None:
        self.blocks = blocks
        self.encoding = "utf-8" if encoding == "utf-16" else encoding
        self.held: deque[bytes] = deque()
        self.number = 0

    def peek(self, offset: int) -> bytes | None:
        """Give the line ``offset`` lines ahead; None beyond the last."""
        while len(self.held) <= offset:
            block = next(self.blocks, None)
            if block is None:
                return None
            self.hold(block)
        return self.held[offset]

    def hold(self, block: bytes) -> None:
        """Put the lines of a block behind those held."""
        lines = _LINE_END.split(block)
        self.held.extend(lines if lines[-1] else lines[:-1])

    def pop(self) -> None:
        """Go on to the next line."""
        self.held.popleft()
        self.number += 1

    def decode(self, line: bytes) -> str | None:
        """Give a line as text; None where its bytes are none in this encoding."""
        if b"\0" in line:
            return None
        try:
            return line.decode(self.encoding)
        except UnicodeDecodeError:
            return None


def refuse_encoding(name: str, encoding: str, likely: str = "windows-1252") -> DataError:
    """Make the error for a file of which most is no text in the encoding expected."""
    return DataError(
        f"{name} is not {encoding.upper()} text; save it as UTF-8 (in a spreadsheet: 'CSV UTF-8'). Another encoding is "
        f"read by 'paincast ingest' alone, where its mapping declares it ('encoding: {likely}')",
        code="PC-READING-10",
    )
