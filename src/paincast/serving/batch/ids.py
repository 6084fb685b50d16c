"""Find ids that several batches hold, over inputs of any length, in memory that grows with those ids alone.

Each part has its ids on disk, in the order of their eight-byte hashes. Those of all parts are compared range by range
of the hashes; where hashes are alike, the ids themselves decide.
"""

from __future__ import annotations

import sys
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

Hashes = npt.NDArray[np.uint64]

IDS_AT_ONCE = 1 << 22
"""Ids whose hashes are compared at once: 32 MiB of them."""

COMPILED_FROM = 10_000
"""Fewest ids for which machine code is loaded; once loaded it is always used."""

CONTRADICTED = -1
"""Place of an id whose rows differ: none of them is kept."""

_COMPILED = "paincast.serving.batch.ids_compiled"

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SCHEMA = pa.schema([("hash", pa.uint64()), ("id", pa.string()), ("place", pa.int64())])


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
    if len(ids) >= COMPILED_FROM or _COMPILED in sys.modules:
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
    """Some ids in the order of their hashes, and the place of a row of each."""

    hashes: Hashes
    ids: pa.Array
    places: npt.NDArray[np.int64]

    def find(self, ids: pa.Array) -> npt.NDArray[np.int64]:
        """Return the position of each id in the run; -1 for those that it does not hold."""
        hashes = hash_ids(ids)
        first, last = (np.searchsorted(self.hashes, hashes, side=side) for side in ("left", "right"))
        counts = last - first
        found = np.full(len(hashes), -1, dtype=np.int64)
        asked = np.repeat(np.arange(len(hashes)), counts)
        if len(asked):
            # Of each id all positions with its hash: nearly always one.
            positions = np.arange(len(asked)) - np.repeat(np.cumsum(counts) - counts, counts) + first[asked]
            same = pc.equal(self.ids.take(to_arrow(positions)), ids.take(to_arrow(asked)))
            is_same = same.to_numpy(zero_copy_only=False)
            found[asked[is_same]] = positions[is_same]
        return found

    def find_apart(self, ids: pa.Array, places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Flag the rows whose id is in the run with another place."""
        if not len(self.ids):
            return np.zeros(len(ids), dtype=bool)
        found = self.find(ids)
        return np.asarray((found >= 0) & (self.places[found] != places))


NO_IDS = IdRun(np.empty(0, dtype=np.uint64), pa.nulls(0, pa.string()), np.empty(0, dtype=np.int64))


def list_ids(ids: pa.Array, places: npt.NDArray[np.int64]) -> IdRun:
    """List the ids of a batch, not yet in the order of their hashes; of rows that share one, the first counts.

    Parameters
    ----------
    ids : Array of string, shape (n,)
        Ids without nulls.
    places : ndarray of int, shape (n,)
        Place of each row, ascending.
    """
    hashes = hash_ids(ids)
    in_order = np.sort(hashes)
    if (in_order[1:] == in_order[:-1]).any():
        _, first = np.unique(ids.dictionary_encode().indices.to_numpy(), return_index=True)
        first.sort()
        return IdRun(hashes[first], ids.take(to_arrow(first)), places[first])
    return IdRun(hashes, ids, places)


def join_ids(runs: Sequence[IdRun]) -> IdRun:
    """Put lists of ids together, in the order of their hashes; an id that several hold stays as often."""
    hashes = np.concatenate([NO_IDS.hashes, *(run.hashes for run in runs)])
    order = np.argsort(hashes)
    ids = pa.concat_arrays([NO_IDS.ids, *(run.ids for run in runs)])
    places = np.concatenate([NO_IDS.places, *(run.places for run in runs)])
    return IdRun(hashes[order], ids.take(to_arrow(order)), places[order])


def write_ids(path: Path, run: IdRun) -> None:
    """Write ids in the order of their hashes."""
    columns = [to_arrow(run.hashes), run.ids, to_arrow(run.places)]
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


def find_repeated(paths: Sequence[Path], n_ids: int) -> IdRun:
    """Find the ids that several batches hold, with the place of the first row of each.

    Parameters
    ----------
    paths : sequence of Path
        Ids of all parts, from :func:`write_ids`; those of a batch once.
    n_ids : int
        Roughly how many there are.
    """
    n_ranges = n_ids // IDS_AT_ONCE + 1
    bounds = [(number << 64) // n_ranges for number in range(n_ranges)]
    found = [_find_in_range(paths, low, high - 1) for low, high in zip(bounds, [*bounds[1:], 1 << 64], strict=True)]
    return join_ids(found)


def _find_in_range(paths: Sequence[Path], low: int, high: int) -> IdRun:
    """Find the ids that several batches hold, of those whose hash is between two."""
    ranged = [_take_range(path, low, high) for path in paths]
    every = np.sort(np.concatenate([NO_IDS.hashes, *ranged]))
    alike = np.unique(every[1:][every[1:] == every[:-1]])
    if not len(alike):
        return NO_IDS
    return _keep_repeated(join_ids([_take_hashes(path, alike) for path in paths]))


def _take_range(path: Path, low: int, high: int) -> Hashes:
    with pa.memory_map(str(path)) as source:
        hashes = _open_run(source).hashes
        first, last = np.searchsorted(hashes, np.array([low, high], dtype=np.uint64), side="left")
        return hashes[first : last + int(last < len(hashes) and int(hashes[last]) == high)].copy()


def _take_hashes(path: Path, wanted: Hashes) -> IdRun:
    """Take the ids of a part that have one of some hashes."""
    with pa.memory_map(str(path)) as source:
        run = _open_run(source)
        at = np.searchsorted(wanted, run.hashes)
        is_wanted = wanted[np.minimum(at, len(wanted) - 1)] == run.hashes
        return IdRun(run.hashes[is_wanted], run.ids.filter(to_arrow(is_wanted)), run.places[is_wanted])


def _keep_repeated(run: IdRun) -> IdRun:
    """Keep the ids that occur several times, each once with its first place."""
    codes = run.ids.dictionary_encode().indices.to_numpy()
    order = np.lexsort((run.places, codes))
    _, first, counts = np.unique(codes[order], return_index=True, return_counts=True)
    kept = np.sort(order[first[counts > 1]])
    return IdRun(run.hashes[kept], run.ids.take(to_arrow(kept)), run.places[kept])


def holds_any(path: Path, repeated: IdRun) -> bool:
    """Whether a part has a row with one of some ids, or with the hash of one."""
    return len(repeated.ids) > 0 and len(_take_hashes(path, repeated.hashes).ids) > 0


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

    def find(self, ids: pa.Array) -> npt.NDArray[np.int64]:
        """Return the position of each id among those that repeat; -1 for any other."""
        return self._repeated.find(ids)

    def note(self, positions: npt.NDArray[np.int64], rows: pd.DataFrame) -> None:
        """Compare some rows, whose ids have these positions, with those noted so far."""
        unsigned = rows.assign(**{str(name): rows[name] + 0.0 for name in rows.select_dtypes("float")})  # -0 is 0
        hashes = np.asarray(pd.util.hash_pandas_object(unsigned, index=False), dtype=np.uint64)
        for position, content in zip(positions.tolist(), hashes, strict=True):
            self._differs[position] |= bool(self._is_known[position]) and self._first[position] != content
            self._first[position], self._is_known[position] = content, True

    def list_repeated(self) -> IdRun:
        """List the ids with the place of the row to keep; with :data:`CONTRADICTED` where rows differ."""
        return self._repeated._replace(places=np.where(self._differs, CONTRADICTED, self._repeated.places))


def _open_run(source: pa.NativeFile) -> IdRun:
    table = pa.ipc.open_file(source).read_all().combine_chunks()
    if not len(table):
        return NO_IDS
    return IdRun(table["hash"].chunk(0).to_numpy(), table["id"].chunk(0), table["place"].chunk(0).to_numpy())
