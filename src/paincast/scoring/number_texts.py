"""Write numbers as text once for all that look the same, and remember the texts from batch to batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from paincast.scoring.arrays import find_first, to_arrow

FloatArray = npt.NDArray[np.float64]
CodeArray = npt.NDArray[np.int32]

FormatNumber = Callable[[str, float], str]
"""Writes a number of a column with its unit, with :data:`DIGITS` significant digits."""

DIGITS = 4
MOST_TEXTS = 50_000
"""Most texts that are remembered of a column; it is emptied when there are more."""

_HALF = 0.5 - 1e-6
_LARGEST_EXPONENT = 30


@dataclass(frozen=True)
class NumberTexts:
    """Texts of numbers by column.

    Parameters
    ----------
    format_number : callable
        Called once for all numbers of a column that look the same.
    """

    format_number: FormatNumber
    _texts: dict[str, dict[int, str]] = field(default_factory=dict, repr=False)

    def write(self, column: str, numbers: FloatArray) -> tuple[CodeArray, list[str]]:
        """Write numbers of a column.

        Parameters
        ----------
        column : str
            Column of ``episodes``.
        numbers : ndarray of shape (n,)
            Finite numbers.

        Returns
        -------
        codes : ndarray of int, shape (n,)
            Place of each number's text.
        texts : list of str
        """
        encoded = to_arrow(find_alike(numbers)).dictionary_encode()
        codes = encoded.indices.to_numpy()
        first = find_first(codes, len(encoded.dictionary))
        known = self._texts.setdefault(column, {})
        if len(known) > MOST_TEXTS:
            known.clear()
        texts: list[str] = []
        for key, number in zip(encoded.dictionary.to_pylist(), numbers[first].tolist(), strict=True):
            text = known.get(key)
            if text is None:
                text = known[key] = self.format_number(column, number)
            texts.append(text)
        return codes, texts


def find_alike(numbers: FloatArray) -> npt.NDArray[np.int64]:
    """Find numbers that look the same with :data:`DIGITS` significant digits.

    Parameters
    ----------
    numbers : ndarray of shape (n,)
        Finite numbers.

    Returns
    -------
    ndarray of int, shape (n,)
        Numbers of the same key look the same. One so close to the middle between two texts that rounding could err has
        a key of its own: its bits.

    Examples
    --------
    >>> keys = find_alike(np.array([7.0, 7.00004, 7.001, 7.0005, -7.0]))
    >>> bool(keys[0] == keys[1]), len(set(keys.tolist()))
    (True, 4)
    """
    size = np.abs(numbers)
    is_zero = size == 0.0
    with np.errstate(divide="ignore"):
        exponent = np.floor(np.log10(size))
    exponent = np.clip(np.where(is_zero, 0.0, exponent), -_LARGEST_EXPONENT, _LARGEST_EXPONENT)
    scaled = size * 10.0 ** (DIGITS - 1 - exponent)
    nearest = np.rint(np.where(scaled < 10.0**DIGITS, scaled, 0.0))
    is_whole = (nearest >= 10 ** (DIGITS - 1)) & (nearest < 10**DIGITS)
    is_settled = is_zero | (is_whole & (np.abs(scaled - nearest) < _HALF))
    key = (exponent + _LARGEST_EXPONENT) * 10**DIGITS + nearest
    return np.where(is_settled, np.where(numbers < 0.0, -key, key).astype(np.int64), numbers.view(np.int64))
