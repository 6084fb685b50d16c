"""Join Parquet files of one schema without decoding them: their row groups are copied, and one footer is written.

Decoding and encoding again would cost more than writing the parts did. The footer is a Thrift structure in the compact
protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md); of its fields
(https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift) only row counts and positions in
the file change, everything else is written as it was read.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

MAGIC = b"PAR1"
_TRAILER = 8
_COPY_BYTES = 1 << 20

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)

# Fields of FileMetaData, RowGroup, ColumnChunk and ColumnMetaData.
_SCHEMA, _NUM_ROWS, _ROW_GROUPS = 2, 3, 4
_COLUMNS, _GROUP_OFFSET, _ORDINAL = 1, 5, 7
_CHUNK_OFFSET, _META_DATA, _OFFSET_INDEX, _COLUMN_INDEX = 2, 3, 4, 6
_PAGE_OFFSETS = (9, 10, 11, 14)


class Sink(Protocol):
    """What bytes can be written to."""

    def write(self, raw: bytes, /) -> int:
        """Write bytes."""


class Value(NamedTuple):
    """A value of the compact protocol with its type; a structure is a dict of its fields by number."""

    kind: int
    content: Any


class Items(NamedTuple):
    """The content of a list: the type of its items, and what they hold."""

    kind: int
    contents: list[Any]


def join_parquet(parts: Sequence[Path], out: Sink) -> int:
    """Copy the row groups of Parquet files, in their order, into one file.

    Parameters
    ----------
    parts : sequence of Path
        At least one file; all of the same schema, written by the same program without an index of pages.
    out : Sink
        A binary stream at its beginning.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    ValueError
        If a part is no Parquet file, or has other columns than the first.
    """
    out.write(MAGIC)
    footer: dict[int, Value] | None = None
    groups: list[bytes] = []  # as written: of many parts they would be large otherwise
    position, n_rows = len(MAGIC), 0
    for part in parts:
        with part.open("rb") as stream:
            found, length = _read_footer(stream)
            footer = footer or found
            if found[_SCHEMA] != footer[_SCHEMA]:
                raise ValueError("the parts have different columns")
            for group in found[_ROW_GROUPS].content.contents:
                _shift_group(group, position - len(MAGIC), len(groups))
                groups.append(write_struct(group))
            n_rows += found[_NUM_ROWS].content
            stream.seek(len(MAGIC))
            position += _copy(stream, out, length)
    if footer is None:
        raise ValueError("there is no part")
    footer[_NUM_ROWS] = Value(_I64, n_rows)
    footer[_ROW_GROUPS] = Value(_LIST, Items(_STRUCT, groups))
    written = write_struct(footer)
    out.write(written + struct.pack("<I", len(written)) + MAGIC)
    return n_rows


def _read_footer(stream: IO[bytes]) -> tuple[dict[int, Value], int]:
    """Return the footer, and the number of bytes between the first mark and it."""
    size = stream.seek(0, 2)
    stream.seek(size - _TRAILER)
    length, mark = struct.unpack("<I4s", stream.read(_TRAILER))
    if mark != MAGIC or length + _TRAILER + len(MAGIC) > size:
        raise ValueError("not a Parquet file")
    stream.seek(size - _TRAILER - length)
    return read_struct(stream.read(length)), size - _TRAILER - length - len(MAGIC)


def _copy(stream: IO[bytes], out: Sink, length: int) -> int:
    left = length
    while left:
        block = stream.read(min(left, _COPY_BYTES))
        if not block:
            raise ValueError("a Parquet file is shorter than its footer says")
        out.write(block)
        left -= len(block)
    return length


def _shift_group(group: dict[int, Value], by: int, number: int) -> None:
    """Move the positions of a row group, and give it its number."""
    _shift(group, (_GROUP_OFFSET,), by)
    if _ORDINAL in group:
        # The number is of 16 bits; a group beyond has none, as the format allows.
        group.pop(_ORDINAL)
        if number < 1 << 15:
            group[_ORDINAL] = Value(_I16, number)
    for chunk in group[_COLUMNS].content.contents:
        if _OFFSET_INDEX in chunk or _COLUMN_INDEX in chunk:
            raise ValueError("an index of pages cannot be joined")
        _shift(chunk, (_CHUNK_OFFSET,), by)
        _shift(chunk[_META_DATA].content, _PAGE_OFFSETS, by)


def _shift(fields: dict[int, Value], names: Sequence[int], by: int) -> None:
    for name in names:
        # Position 0 stands for "not given".
        if name in fields and fields[name].content > 0:
            fields[name] = Value(_I64, fields[name].content + by)


def read_struct(raw: bytes) -> dict[int, Value]:
    """Read a structure of the compact protocol.

    Raises
    ------
    ValueError
        If the bytes are none.
    """
    try:
        return _Reader(raw).struct()
    except IndexError as error:
        raise ValueError("a structure ends too early") from error


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def byte(self) -> int:
        self.at += 1
        return self.raw[self.at - 1]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def integer(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def take(self, length: int) -> bytes:
        self.at += length
        if self.at > len(self.raw):
            raise IndexError
        return self.raw[self.at - length : self.at]

    def struct(self) -> dict[int, Value]:
        fields: dict[int, Value] = {}
        name = 0
        while head := self.byte():
            kind, step = head & 0x0F, head >> 4
            name = name + step if step else self.integer()
            # A truth in a structure is its type.
            content = kind == _TRUE if kind in (_TRUE, _FALSE) else self.value(kind)
            fields[name] = Value(kind, content)
        return fields

    def value(self, kind: int) -> Any:
        if kind in (_TRUE, _FALSE, _BYTE):
            return self.byte()
        if kind in (_I16, _I32, _I64):
            return self.integer()
        if kind == _DOUBLE:
            return self.take(8)
        if kind == _BINARY:
            return self.take(self.varint())
        if kind in (_LIST, _SET):
            head = self.byte()
            length = head >> 4 if head < 0xF0 else self.varint()
            return Items(head & 0x0F, [self.value(head & 0x0F) for _ in range(length)])
        if kind == _STRUCT:
            return self.struct()
        raise ValueError("a type that no Parquet footer holds")


def write_struct(fields: dict[int, Value]) -> bytes:
    """Write a structure in the compact protocol."""
    out = bytearray()
    before = 0
    for name, value in sorted(fields.items()):
        kind = value.kind if value.kind not in (_TRUE, _FALSE) else (_TRUE if value.content else _FALSE)
        step = name - before
        out += bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + _integer(name)
        before = name
        if kind not in (_TRUE, _FALSE):
            out += _write(kind, value.content)
    return bytes(out) + b"\0"


def _write(kind: int, content: Any) -> bytes:
    if kind in (_TRUE, _FALSE, _BYTE):
        return bytes([content])
    if kind in (_I16, _I32, _I64):
        return _integer(content)
    if kind == _DOUBLE:
        return bytes(content)
    if kind == _BINARY:
        return _varint(len(content)) + bytes(content)
    if kind == _STRUCT:
        return content if isinstance(content, bytes) else write_struct(content)
    length = len(content.contents)
    head = bytes([length << 4 | content.kind]) if length < 15 else bytes([0xF0 | content.kind]) + _varint(length)
    return head + b"".join(_write(content.kind, item) for item in content.contents)


def _integer(value: int) -> bytes:
    return _varint(value << 1 if value >= 0 else (-value << 1) - 1)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
