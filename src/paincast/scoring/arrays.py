"""Arrow arrays of numbers and flags of numpy, for which PyArrow's own way takes longer and loads more; coded texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def to_arrow(values: npt.NDArray[Any], missing: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Make an Arrow array of numbers or flags, without copying numbers.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Numbers or flags.
    missing : ndarray of bool, shape (n,), optional
        Where there is no value.

    Examples
    --------
    >>> to_arrow(np.array([True, False, True]), np.array([False, True, False])).to_pylist()
    [True, None, True]
    """
    is_flag = values.dtype == np.bool_
    kind = pa.bool_() if is_flag else pa.from_numpy_dtype(values.dtype)
    held = pa.py_buffer(_pack(values) if is_flag else np.ascontiguousarray(values))
    known = None if missing is None else pa.py_buffer(_pack(~missing))
    return pa.Array.from_buffers(kind, len(values), [known, held])


def make_texts(places: npt.NDArray[np.integer], texts: Sequence[str]) -> pa.DictionaryArray:
    """Make a column of texts, each of which is there once, from the place of each row's text among them."""
    return pa.DictionaryArray.from_arrays(to_arrow(places), pa.array(texts, pa.string()))


def join_texts(first: pa.DictionaryArray, second: pa.DictionaryArray) -> pa.DictionaryArray:
    """Join the texts of two columns by semicolons, each distinct pair once.

    Examples
    --------
    >>> some, others = make_texts(np.array([0, 1, 1]), ["", "a"]), make_texts(np.array([1, 1, 0]), ["", "b"])
    >>> join_texts(some, others).to_pylist()
    ['b', 'a; b', 'a']
    """
    n = len(second.dictionary)
    coded = first.indices.to_numpy().astype(np.int64) * n + second.indices.to_numpy()
    pairs = to_arrow(coded).dictionary_encode()
    places = pairs.dictionary.to_numpy()
    one, other = first.dictionary.take(to_arrow(places // n)), second.dictionary.take(to_arrow(places % n))
    is_either_empty = pc.or_(pc.equal(one, ""), pc.equal(other, ""))
    joined = pc.binary_join_element_wise(one, other, pc.if_else(is_either_empty, "", "; "))
    return pa.DictionaryArray.from_arrays(pairs.indices, joined)


def find_first(places: npt.NDArray[np.integer], size: int) -> npt.NDArray[np.int64]:
    """Find the first row of each place, of which there are ``size`` and each has a row.

    Examples
    --------
    >>> find_first(np.array([0, 1, 0, 2, 1]), 3).tolist()
    [0, 1, 3]
    """
    first = np.empty(size, dtype=np.int64)
    first[places[::-1]] = np.arange(len(places) - 1, -1, -1)
    return first


def _pack(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    return np.packbits(flags, bitorder="little")
