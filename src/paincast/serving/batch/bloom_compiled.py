"""The filter of :mod:`paincast.serving.batch.bloom` in machine code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.compilation import compile_cached
from paincast.serving.batch.bloom import PROBES

Hashes = npt.NDArray[np.uint64]


@compile_cached
def add_to_filter(bits: Hashes, mask: np.uint64, hashes: Hashes) -> None:
    """Remember hashes."""
    for hashed in hashes:
        step = (hashed >> np.uint64(32)) | np.uint64(1)
        place = hashed & mask
        for _ in range(PROBES):
            bits[np.int64(place >> np.uint64(6))] |= np.uint64(1) << (place & np.uint64(63))
            place = (place + step) & mask


@compile_cached
def find_in_filter(bits: Hashes, mask: np.uint64, hashes: Hashes) -> npt.NDArray[np.bool_]:
    """Flag hashes that may have been remembered."""
    found = np.ones(len(hashes), dtype=np.bool_)
    for position in range(len(hashes)):
        hashed = hashes[position]
        step = (hashed >> np.uint64(32)) | np.uint64(1)
        place = hashed & mask
        for _ in range(PROBES):
            if not bits[np.int64(place >> np.uint64(6))] & (np.uint64(1) << (place & np.uint64(63))):
                found[position] = False
                break
            place = (place + step) & mask
    return found
