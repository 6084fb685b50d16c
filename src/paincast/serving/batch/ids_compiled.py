"""Hashes of ids and the filter of :mod:`paincast.serving.batch.bloom` in machine code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.compilation import compile_cached
from paincast.serving.batch.bloom import PROBES, WORDS_IN_LINE

Hashes = npt.NDArray[np.uint64]


@compile_cached
def sum_bytes(raw: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer], factor: np.uint64) -> Hashes:
    """Evaluate the polynomial of the bytes of each text; see :func:`paincast.serving.batch.ids.hash_ids`."""
    sums = np.empty(len(offsets) - 1, dtype=np.uint64)
    for position in range(len(sums)):
        total, power = np.uint64(0), factor
        for place in range(offsets[position], offsets[position + 1]):
            total += (np.uint64(raw[place]) + np.uint64(1)) * power
            power *= factor
        sums[position] = total
    return sums


@compile_cached
def add_to_filter(bits: Hashes, mask: np.uint64, hashes: Hashes) -> None:
    """Remember hashes."""
    for hashed in hashes:
        line = np.int64((hashed & mask) >> np.uint64(9)) * WORDS_IN_LINE
        rest = hashed >> np.uint64(28)
        for _ in range(PROBES):
            bits[line + np.int64((rest >> np.uint64(6)) & np.uint64(7))] |= np.uint64(1) << (rest & np.uint64(63))
            rest >>= np.uint64(9)


@compile_cached
def find_in_filter(bits: Hashes, mask: np.uint64, hashes: Hashes) -> npt.NDArray[np.bool_]:
    """Flag hashes that may have been remembered."""
    found = np.ones(len(hashes), dtype=np.bool_)
    for position in range(len(hashes)):
        line = np.int64((hashes[position] & mask) >> np.uint64(9)) * WORDS_IN_LINE
        rest = hashes[position] >> np.uint64(28)
        for _ in range(PROBES):
            word = bits[line + np.int64((rest >> np.uint64(6)) & np.uint64(7))]
            found[position] &= (word >> (rest & np.uint64(63))) & np.uint64(1) != np.uint64(0)
            rest >>= np.uint64(9)
    return found
