"""A filter that remembers hashes in a fixed number of bits (Bloom 1970, doi:10.1145/362686.362692).

All bits of a hash are in one line of the processor's cache, so that memory is waited for once to look one up (Putze,
Sanders and Singler 2009, doi:10.1145/1498698.1594230).
"""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

PROBES = 4
"""Bits that stand for a hash."""

WORDS_IN_LINE = 8
"""Words of 64 bits that hold the bits of one hash."""

COMPILED_FROM = 10_000
"""Fewest hashes for which machine code is loaded; once loaded it is always used."""

_COMPILED = "paincast.serving.batch.ids_compiled"


def add_to_filter(bits: Hashes, mask: np.uint64, hashes: Hashes) -> None:
    """Remember hashes.

    Parameters
    ----------
    bits : ndarray of uint64
        The filter, 64 bits in each word.
    mask : uint64
        Number of bits, a power of 2, less 1.
    hashes : ndarray of uint64, shape (n,)
    """
    if is_compiled(len(hashes)):
        from paincast.serving.batch import ids_compiled

        ids_compiled.add_to_filter(bits, mask, hashes)
        return
    words, places = _probe(mask, hashes)
    np.bitwise_or.at(bits, words.ravel().astype(np.int64), places.ravel())


def find_in_filter(bits: Hashes, mask: np.uint64, hashes: Hashes) -> npt.NDArray[np.bool_]:
    """Flag hashes that may have been remembered; one that is not flagged was not. See :func:`add_to_filter`."""
    if is_compiled(len(hashes)):
        from paincast.serving.batch import ids_compiled

        return np.asarray(ids_compiled.find_in_filter(bits, mask, hashes))
    words, places = _probe(mask, hashes)
    return np.asarray(((bits[words] & places) != 0).all(axis=0))


def is_compiled(n: int) -> bool:
    """Whether machine code is used for some hashes."""
    return n >= COMPILED_FROM or _COMPILED in sys.modules


def _probe(mask: np.uint64, hashes: Hashes) -> tuple[Hashes, Hashes]:
    """Return the words of the filter, and the bit of each, that stand for hashes; shape (probes, n)."""
    lines = (hashes & mask) >> np.uint64(9)
    steps = np.arange(PROBES, dtype=np.uint64)[:, np.newaxis]
    places = (hashes >> (np.uint64(28) + np.uint64(9) * steps)) & np.uint64(511)
    return lines * np.uint64(WORDS_IN_LINE) + (places >> np.uint64(6)), np.uint64(1) << (places & np.uint64(63))
