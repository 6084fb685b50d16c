"""Look at the bytes of a column of text as a whole, where a search in each cell would cost more."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

BoolArray = npt.NDArray[np.bool_]

_IS_DIGIT = np.zeros(256, dtype=np.bool_)
_IS_DIGIT[ord("0") : ord("9") + 1] = True
_IS_LETTER = np.zeros(256, dtype=np.bool_)
"""Letters, and the bytes of characters beyond ASCII."""
_IS_LETTER[[*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1), *range(128, 256)]] = True


class TextBytes(NamedTuple):
    """Bytes of all cells one after the other, and where each cell begins and the last one ends, shape (n + 1,)."""

    raw: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.integer]


def get_bytes(texts: pa.Array) -> TextBytes:
    """Return the bytes of a column of strings; an empty or missing cell may have none."""
    _, starts, content = texts.buffers()
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    if starts is None or not len(texts):
        return TextBytes(np.empty(0, dtype=np.uint8), np.zeros(len(texts) + 1, dtype=width))
    offsets = np.frombuffer(starts, dtype=width)[texts.offset : texts.offset + len(texts) + 1]
    raw = np.frombuffer(content or b"", dtype=np.uint8)[offsets[0] : offsets[-1]]
    return TextBytes(raw, offsets - offsets[0])


def holds_any(texts: pa.Array, characters: bytes) -> bool:
    """Check whether any of some ASCII characters is in a column."""
    content = get_bytes(texts).raw.tobytes()
    return any(character in content for character in characters)


def find_words(texts: pa.Array) -> BoolArray:
    """Flag the cells that begin with a letter that no digit follows; what is beyond ASCII counts as letters."""
    return _has(texts, _IS_LETTER, 0) & ~_has(texts, _IS_DIGIT, 1)


def end_with_digits(texts: pa.Array) -> bool:
    """Check whether every cell holds a text, and ends with a digit."""
    raw, offsets = get_bytes(texts)
    return bool((np.diff(offsets) > 0).all() and _IS_DIGIT[raw[offsets[1:] - 1]].all())


def _has(texts: pa.Array, kind: BoolArray, place: int) -> BoolArray:
    """Flag the cells whose byte at a place is of a kind."""
    raw, offsets = get_bytes(texts)
    found = np.zeros(len(texts), dtype=np.bool_)
    long_enough = np.diff(offsets) > place
    if long_enough.all():
        return np.asarray(kind[raw[offsets[:-1] + place]])
    found[long_enough] = kind[raw[offsets[:-1][long_enough] + place]]
    return found
