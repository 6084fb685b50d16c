"""Find ids that several batches hold, over inputs of any length, in memory that grows with those ids alone.

A filter of fixed size remembers eight-byte hashes: most ids it has certainly not seen. Where it may have seen one, the
ids themselves decide: those of each finished part are on disk, in the order of their hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from paincast.deferred import pandas as pd
from paincast.scoring.arrays import to_arrow
from paincast.scoring.text_bytes import get_bytes
from paincast.serving.batch.bloom import WORDS_IN_LINE, add_to_filter, find_in_filter, is_compiled

Hashes = npt.NDArray[np.uint64]

FILTER_BITS = 29
"""The filter has 2 to the power of this many bits: 64 MiB. Up to some 50 million ids it is rarely mistaken."""

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SCHEMA = pa.schema([("hash", pa.uint64()), ("id", pa.string()), ("repeated", pa.bool_())])


def hash_ids(ids: pa.Array) -> Hashes:
    """Hash texts, the same in every process: a polynomial of the bytes, mixed.

    Examples
    --------
    >>> hashes = hash_ids(pa.array(["a", "b", "a", ""]))
    >>> bool(hashes[0] == hashes[2]), len(set(hashes.tolist()))
    (True, 3)
    """
    raw, offsets = get_bytes(ids)
    lengths = np.diff(offsets)
    if is_compiled(len(ids)):
        from paincast.serving.batch import ids_compiled

        sums = ids_compiled.sum_bytes(raw, offsets, _FACTOR)
    else:
        powers = np.cumprod(np.full(int(lengths.max(initial=0)), _FACTOR, dtype=np.uint64))
        terms = (raw.astype(np.uint64) + np.uint64(1)) * powers[np.arange(len(raw)) - np.repeat(offsets[:-1], lengths)]
        total = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(terms, dtype=np.uint64)])
        sums = total[offsets[1:]] - total[offsets[:-1]]
    return _mix(sums + lengths.astype(np.uint64))


def _mix(values: Hashes) -> Hashes:
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))


class IdRun(NamedTuple):
    """Some ids in the order of their hashes."""

    hashes: Hashes
    ids: pa.Array

    def find(self, hashes: Hashes, ids: pa.Array) -> npt.NDArray[np.int64]:
        """Return the position of each id in the run; -1 for those that it does not hold."""
        first, last = (np.searchsorted(self.hashes, hashes, side=side) for side in ("left", "right"))
        counts = last - first
        found = np.full(len(hashes), -1, dtype=np.int64)
        asked = np.repeat(np.arange(len(hashes)), counts)
        if len(asked):
            # Of each id all places with its hash: nearly always one.
            places = np.arange(len(asked)) - np.repeat(np.cumsum(counts) - counts, counts) + first[asked]
            same = pc.equal(self.ids.take(to_arrow(places)), ids.take(to_arrow(asked)))
            is_same = same.to_numpy(zero_copy_only=False)
            found[asked[is_same]] = places[is_same]
        return found


NO_IDS = IdRun(np.empty(0, dtype=np.uint64), pa.nulls(0, pa.string()))


def sort_ids(ids: pa.Array) -> IdRun:
    """Make a run of ids, each once."""
    ids = ids.unique()
    return _sort(IdRun(hash_ids(ids), ids))


def _sort(ids: IdRun) -> IdRun:
    order = np.argsort(ids.hashes, kind="stable")
    return IdRun(ids.hashes[order], ids.ids.take(to_arrow(order)))


def write_ids(path: Path, hashes: Hashes, ids: pa.Array, repeated: npt.NDArray[np.bool_]) -> None:
    """Write ids in the order of their hashes."""
    order = np.argsort(hashes)
    columns = [to_arrow(hashes[order]), ids.take(to_arrow(order)), to_arrow(repeated[order])]
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
        writer.write_table(pa.table(columns, schema=_SCHEMA))


def read_ids(path: Path) -> IdRun:
    """Read ids into memory.

    Raises
    ------
    ValueError
        If the file was not written in full.
    """
    with pa.OSFile(str(path)) as source:
        return _open_run(source)


def read_repeated(paths: Sequence[Path]) -> IdRun:
    """List the ids of finished parts that an earlier batch held already."""
    repeated = [pa.nulls(0, pa.string())]
    for path in paths:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
            repeated += table["id"].filter(table["repeated"]).chunks
    return sort_ids(pa.concat_arrays(repeated))


class Contents:
    """Compare the rows of ids that repeat.

    Parameters
    ----------
    repeated : IdRun
        The ids.
    """

    def __init__(self, repeated: IdRun) -> None:
        self._repeated = repeated
        self._first = np.zeros(len(repeated.hashes), dtype=np.uint64)
        self._is_known, self._differs = (np.zeros(len(repeated.hashes), dtype=bool) for _ in range(2))

    def __len__(self) -> int:
        return len(self._repeated.ids)

    def find(self, ids: pa.Array) -> npt.NDArray[np.int64]:
        """Return the position of each id among those that repeat; -1 for any other."""
        return self._repeated.find(hash_ids(ids), ids)

    def note(self, positions: npt.NDArray[np.int64], rows: pd.DataFrame) -> None:
        """Compare some rows, whose ids have these positions, with those noted so far."""
        unsigned = rows.assign(**{str(name): rows[name] + 0.0 for name in rows.select_dtypes("float")})  # -0 is 0
        hashes = np.asarray(pd.util.hash_pandas_object(unsigned, index=False), dtype=np.uint64)
        for position, content in zip(positions.tolist(), hashes, strict=True):
            self._differs[position] |= bool(self._is_known[position]) and self._first[position] != content
            self._first[position], self._is_known[position] = content, True

    def list_contradicted(self) -> IdRun:
        """List the ids whose rows differ."""
        return sort_ids(self._repeated.ids.filter(to_arrow(self._differs)))


class SeenIds:
    """The ids of the batches so far: those of finished parts in files, those of the part being made in memory.

    Parameters
    ----------
    bits : int
        Size of the filter, see :data:`FILTER_BITS`.
    """

    def __init__(self, bits: int = FILTER_BITS) -> None:
        self._mask = np.uint64((1 << bits) - 1)
        self._filter: Hashes | None = None
        self._latest: list[Hashes] = []
        self._files: list[Path] = []
        self._recent: list[IdRun] = []
        self._repeated: list[npt.NDArray[np.bool_]] = []

    def find_repeated(self, ids: pa.Array) -> npt.NDArray[np.bool_]:
        """Flag the ids of a batch that an earlier batch holds, and remember all.

        Parameters
        ----------
        ids : Array of string, shape (n,)
            Ids without nulls. An id that repeats within the batch is not flagged.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        while self._latest:
            self._note(self._latest.pop())
        hashes = hash_ids(ids)
        repeated = np.zeros(len(hashes), dtype=bool)
        suspects = np.flatnonzero(self._may_hold(hashes))
        if len(suspects):
            suspects = suspects[np.argsort(hashes[suspects])]
            repeated[suspects] = self._look_up(hashes[suspects], ids.take(to_arrow(suspects)))
        self._recent.append(IdRun(hashes, ids))
        self._repeated.append(repeated)
        self._latest.append(hashes[~repeated])  # noted when a further batch asks: one batch alone needs no filter
        return repeated

    def write_part(self, path: Path) -> None:
        """Write the ids of the part being made; :meth:`open_part` takes over when the file has its final name."""
        hashes = np.concatenate([np.empty(0, dtype=np.uint64), *(run.hashes for run in self._recent)])
        ids = pa.concat_arrays([pa.nulls(0, pa.string()), *(run.ids for run in self._recent)])
        write_ids(path, hashes, ids, np.concatenate([np.empty(0, dtype=bool), *self._repeated]))

    def open_part(self, path: Path) -> None:
        """Go on with the ids of a finished part from its file instead of memory."""
        self._files.append(path)
        self._recent, self._repeated = [], []

    def resume_part(self, path: Path) -> None:
        """Remember the ids of a part that an earlier run finished."""
        with pa.memory_map(str(path)) as source:
            self._note(_open_run(source).hashes)
        self._files.append(path)

    def _look_up(self, hashes: Hashes, ids: pa.Array) -> npt.NDArray[np.bool_]:
        found = np.zeros(len(hashes), dtype=bool)
        for run in self._recent:  # sorted when asked, which is seldom
            found |= _sort(run).find(hashes, ids) >= 0
        for path in self._files:
            with pa.memory_map(str(path)) as source:
                found |= _open_run(source).find(hashes, ids) >= 0
        return found

    def _may_hold(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        if self._filter is None:
            return np.zeros(len(hashes), dtype=bool)
        return find_in_filter(self._filter, self._mask, hashes)

    def _note(self, hashes: Hashes) -> None:
        if self._filter is None:
            self._filter = np.zeros(max(WORDS_IN_LINE, (int(self._mask) + 1) >> 6), dtype=np.uint64)
        add_to_filter(self._filter, self._mask, hashes)


def _open_run(source: pa.NativeFile) -> IdRun:
    table = pa.ipc.open_file(source).read_all().combine_chunks()
    if not len(table):
        return NO_IDS
    return IdRun(table["hash"].chunk(0).to_numpy(), table["id"].chunk(0))
