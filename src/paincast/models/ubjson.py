"""Read Universal Binary JSON within bounds: the part of it that XGBoost writes.

XGBoost trusts its files: a length that is wrong ends the process, not the function. What comes from elsewhere is read
here first, and handed on only where it is what it should be.

References
----------
https://ubjson.org, with the optimized containers of draft 12.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import Any, NamedTuple

DEEPEST = 12

_ARRAYS = {
    b"[$d#L": (">f4", 4),
    b"[$l#L": (">i4", 4),
    b"[$L#L": (">i8", 8),
    b"[$U#L": ("u1", 1),
    b"[$i#L": ("i1", 1),
}
"""Kind and bytes of the numbers of an array, by its first five bytes; a length of eight bytes follows."""

_NUMBERS = {ord(marker): struct.Struct(f">{code}") for marker, code in zip("iUIlLdD", "bBhiqfd", strict=True)}
_KEY, _STRING, _OBJECT, _END, _ARRAY = b"LS{}["
_OPEN_ARRAY = b"[#L"
_read_number = struct.Struct(">q").unpack_from


class Numbers(NamedTuple):
    """An array of numbers of one type, not yet read.

    Parameters
    ----------
    kind : str
        Type of numpy: ``>f4``, ``>i4``, ``>i8``, ``u1`` or ``i1``.
    n : int
        How many they are.
    raw : bytes
        Their bytes.
    """

    kind: str
    n: int
    raw: bytes


_make_numbers = partial(tuple.__new__, Numbers)


def read_ubjson(raw: bytes) -> Any:
    """Read a document: objects, arrays with a length, arrays of one type, text and numbers.

    Parameters
    ----------
    raw : bytes
        The whole document.

    Returns
    -------
    dict, list, Numbers, str, int or float

    Raises
    ------
    ValueError
        If the bytes are anything else, or a key stands twice.

    Examples
    --------
    >>> key = bytes(7) + bytes([1]) + b"a"
    >>> read_ubjson(b"{L" + key + b"[#L" + bytes(7) + bytes([2]) + b"i" + bytes([3]) + b"i" + bytes([4]) + b"}")
    {'a': [3, 4]}
    """
    try:
        value, end = _read(raw, 0, DEEPEST)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError("not UBJSON") from error
    if end != len(raw):
        raise ValueError("bytes follow the document")
    return value


def _read(raw: bytes, position: int, depth: int) -> tuple[Any, int]:
    marker = raw[position]
    if marker == _ARRAY:
        return _read_array(raw, position, depth)
    if marker == _STRING:
        if raw[position + 1] != _KEY:
            raise ValueError("the length of a text has eight bytes")
        return _read_text(raw, position + 2)
    if marker == _OBJECT:
        return _read_object(raw, position + 1, depth)
    if marker in _NUMBERS:
        number = _NUMBERS[marker]
        return number.unpack_from(raw, position + 1)[0], position + 1 + number.size
    raise ValueError("an unknown kind of value")


def _read_object(raw: bytes, position: int, depth: int) -> tuple[dict[str, Any], int]:
    if not depth:
        raise ValueError("too many objects within one another")
    found: dict[str, Any] = {}
    while raw[position] == _KEY:
        name, position = _read_text(raw, position + 1)
        if name in found:
            raise ValueError("a key stands twice")
        is_array = raw[position] == _ARRAY  # nearly all of a booster
        found[name], position = (_read_array if is_array else _read)(raw, position, depth - 1)
    if raw[position] != _END:
        raise ValueError("an object does not end")
    return found, position + 1


def _read_array(raw: bytes, position: int, depth: int) -> tuple[Any, int]:
    kind, size = _ARRAYS.get(raw[position : position + 5], ("", 1))
    if kind:
        (n,), start = _read_number(raw, position + 5), position + 13
        end = start + n * size
        if not start <= end <= len(raw):
            raise ValueError("a length that the document does not have")
        return _make_numbers((kind, n, raw[start:end])), end
    if raw[position : position + 3] != _OPEN_ARRAY or not depth:
        raise ValueError("an array without a length")
    (n,), position, values = _read_number(raw, position + 3), position + 11, []
    if not 0 <= n <= len(raw):
        raise ValueError("a length that the document does not have")
    for _ in range(n):
        value, position = _read(raw, position, depth - 1)
        values.append(value)
    return values, position


def _read_text(raw: bytes, position: int) -> tuple[str, int]:
    (n,), start = _read_number(raw, position), position + 8
    end = start + n
    if not start <= end <= len(raw):
        raise ValueError("a length that the document does not have")
    return raw[start:end].decode(), end
