"""Hashes of ids in machine code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.compilation import compile_cached

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
