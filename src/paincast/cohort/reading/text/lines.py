"""Split the bytes of a text file into lines: blocks end at line breaks, and the length of a line is limited."""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import IO

from paincast.errors import DataError

LONGEST_LINE = 8 << 20
"""Bytes of the longest line that is kept in memory."""
TOO_LONG = b"\0\0"
"""Placeholder for a longer line."""

_FIRST_BYTES, _BLOCK_BYTES = 1 << 16, 1 << 20
_LINE_END = re.compile(rb"\r\n|\n|\r")


def read_blocks(stream: IO[bytes], encoding: str) -> Iterator[bytes]:
    """Yield blocks of bytes that end at a line break; a line that is too long is replaced by a placeholder."""
    rest, too_long = b"", False
    for chunk in _read_bytes(stream, encoding):
        buffer = rest + chunk
        cut = max(buffer.rfind(b"\n"), buffer.rfind(b"\r", 0, len(buffer) - 1)) + 1
        block, rest = buffer[:cut], buffer[cut:]
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
    """Yield the file's bytes without the byte order mark; UTF-16 is converted to UTF-8."""
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
    """Lines of a file in order, with a bounded lookahead."""

    def __init__(self, blocks: Iterator[bytes], encoding: str) -> None:
        self.blocks = blocks
        self.encoding = "utf-8" if encoding == "utf-16" else encoding
        self.held: deque[bytes] = deque()
        self.number = 0

    def peek(self, offset: int) -> bytes | None:
        """Return the line ``offset`` lines ahead; None after the last line."""
        while len(self.held) <= offset:
            block = next(self.blocks, None)
            if block is None:
                return None
            self.hold(block)
        return self.held[offset]

    def hold(self, block: bytes) -> None:
        """Append the lines of a block to the lookahead."""
        lines = _LINE_END.split(block)
        self.held.extend(lines if lines[-1] else lines[:-1])

    def pop(self) -> None:
        """Advance to the next line."""
        self.held.popleft()
        self.number += 1

    def decode(self, line: bytes) -> str | None:
        """Decode a line; None if its bytes are invalid in this encoding."""
        if b"\0" in line:
            return None
        try:
            return line.decode(self.encoding)
        except UnicodeDecodeError:
            return None


def refuse_encoding(name: str, encoding: str) -> DataError:
    """Make the error for a file that is mostly not text in the expected encoding."""
    return DataError(
        f"{name} is not {encoding.upper()} text; save it as UTF-8 (in a spreadsheet: 'CSV UTF-8'), or declare its "
        "encoding in a mapping ('encoding: latin-1')",
        code="PC-READING-10",
    )
