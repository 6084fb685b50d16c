"""Find the rows that are alike in all that words depend on, so that words are made once for each kind of row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.scoring.arrays import find_first, to_arrow

CodeArray = npt.NDArray[np.generic]

FEW_ROWS = 100
"""Most rows that are looked up one by one, which spares grouping them."""

_LARGEST_KEY = 2**62


class Found(NamedTuple):
    """Number of the pattern of each row, shape (n,), and the first row of each pattern that is new."""

    numbers: npt.NDArray[np.int64]
    new_rows: npt.NDArray[np.int64]


@dataclass
class Patterns:
    """Patterns seen so far, numbered from 0 in the order in which they were first seen."""

    _numbers: dict[bytes, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._numbers)

    def find(self, codes: Sequence[CodeArray], n: int) -> Found:
        """Find the number of the pattern of each row.

        Parameters
        ----------
        codes : sequence of ndarray of int or bool, shape (n,)
            Everything that makes rows differ: whole numbers from 0 on, always in the same order.
        n : int
            Number of rows.
        """
        if not n:
            return Found(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        if n <= FEW_ROWS:
            key = first = np.arange(n)
            chosen = codes
        else:
            key, first = _group(codes, n)
            chosen = [code[first] for code in codes]
        distinct = np.ascontiguousarray(np.concatenate(chosen).astype(np.int64).reshape(len(codes), len(first)).T)
        numbers, new_rows = [], []
        for place, row in enumerate(first):
            content = distinct[place].tobytes()
            if content not in self._numbers:
                self._numbers[content] = len(self._numbers)
                new_rows.append(row)
            numbers.append(self._numbers[content])
        return Found(np.array(numbers)[key], np.array(new_rows, dtype=np.int64))


def _group(codes: Sequence[CodeArray], n: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the group of each row, from 0 in order of appearance, and the first row of each group."""
    key, size = np.zeros(n, dtype=np.int64), 1
    for code in codes:
        whole: npt.NDArray[np.int64] = code.astype(np.int64)
        top = int(whole.max(initial=0)) + 1
        if top == 1:
            continue
        if size > _LARGEST_KEY // top:
            key, size = _renumber(key)
        key, size = key * top + whole, size * top
    key, size = _renumber(key)
    return key, find_first(key, size)


def _renumber(key: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    encoded = to_arrow(key).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)
