"""Write predictions and rejects: parts of them, and the files that are put together from parts."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.rejects import REJECT_COLUMNS
from paincast.deferred import pandas as pd
from paincast.deferred import parquet as pq
from paincast.files.parquet_join import join_parquet
from paincast.files.spreadsheets import write_csv, write_rows
from paincast.predictor.ids import ID_COLUMNS
from paincast.predictor.rows import PREDICTION_SCHEMA
from paincast.scoring.arrays import to_arrow

SUFFIXES = (".csv", ".parquet")
"""Formats of the predictions."""

GROUP_ROWS, GROUP_BYTES = 131_072, 48 << 20
"""Rows, or bytes in memory, from which on a group of a Parquet file is written."""


class PredictionsDraft:
    """The predictions of one part, written to a file of their own; a Parquet file by groups of rows.

    Parameters
    ----------
    path : Path
        File to write.
    suffix : str
        ``.csv`` (without the names of the columns, which the joined file begins with) or ``.parquet``.
    schema : pyarrow.Schema
        Columns of the predictions.
    """

    def __init__(self, path: Path, suffix: str, schema: pa.Schema = PREDICTION_SCHEMA) -> None:
        self._path, self._suffix, self._schema = path, suffix, schema
        self._tables: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None
        if suffix == ".csv":
            path.write_bytes(b"")

    def write(self, predictions: pa.Table) -> None:
        """Write some predictions, of the columns of the schema.

        Texts may be dictionaries, which spares hashing them; they are read as texts.
        """
        if not len(predictions):
            return
        if self._suffix == ".parquet":
            self._tables.append(pa.table({name: sort_texts(predictions[name]) for name in predictions.column_names}))
            is_large = sum(table.nbytes for table in self._tables) >= GROUP_BYTES
            if is_large or sum(map(len, self._tables)) >= GROUP_ROWS:
                self._write_group()
        else:
            with self._path.open("a", encoding="utf-8", newline="") as stream:
                write_rows(_list_cells(predictions), stream)

    def close(self) -> None:
        """Write what is still in memory."""
        if self._suffix == ".parquet":
            if self._tables or self._writer is None:
                self._write_group()
            assert self._writer is not None
            self._writer.close()

    def _write_group(self) -> None:
        gathered = self._tables or [self._schema.empty_table()]
        table = _join_tables(gathered, self._schema, self._writer.schema if self._writer else None)
        gathered.clear()  # before encoding, which needs memory too
        if self._writer is None:
            declared = {b"ARROW:schema": base64.b64encode(self._schema.serialize().to_pybytes())}
            written = table.schema.with_metadata(declared)
            encodings = _choose_encodings(self._schema)
            self._writer = pq.ParquetWriter(self._path, written, store_schema=False, **encodings)
        self._writer.write_table(table, row_group_size=max(1, len(table)))


def sort_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Keep of each dictionary the texts that occur, sorted: what else it holds, and in what order, hangs on the past.

    Examples
    --------
    >>> column = pa.chunked_array([pa.DictionaryArray.from_arrays([2, 0, None], ["b", "unused", "a"])])
    >>> sort_texts(column).chunk(0).dictionary.to_pylist(), sort_texts(column).to_pylist()
    (['a', 'b'], ['a', 'b', None])
    """
    if not _holds_dictionary(column.type):
        return column
    chunks = [_sort_texts(chunk) for chunk in column.chunks]
    return pa.chunked_array(chunks, chunks[0].type if chunks else column.type)


def _holds_dictionary(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind):
        return _holds_dictionary(kind.value_type)
    if pa.types.is_struct(kind):
        return any(_holds_dictionary(field.type) for field in kind)
    return bool(pa.types.is_dictionary(kind))


def _sort_texts(array: pa.Array) -> pa.Array:
    kind = array.type
    if not _holds_dictionary(kind):
        return array
    if pa.types.is_list(kind):
        offsets = array.offsets.to_numpy() - array.offsets[0].as_py()
        mask = array.is_null() if array.null_count else None
        return pa.ListArray.from_arrays(to_arrow(offsets), _sort_texts(array.flatten()), type=None, mask=mask)
    if pa.types.is_struct(kind):
        fields = [_sort_texts(array.field(at)) for at in range(kind.num_fields)]
        return pa.StructArray.from_arrays(fields, names=[field.name for field in kind])
    used = np.flatnonzero(np.bincount(array.indices.drop_null().to_numpy(), minlength=len(array.dictionary)))
    words = array.dictionary.take(to_arrow(used)).dictionary_encode()
    order = pc.array_sort_indices(words.dictionary).to_numpy()
    ranks = np.empty(len(order), dtype=np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    places = np.zeros(len(array.dictionary), dtype=np.int32)
    places[used] = ranks[words.indices.to_numpy()]
    indices = to_arrow(places).take(array.indices)
    return pa.DictionaryArray.from_arrays(indices, words.dictionary.take(to_arrow(order)))


def _join_tables(tables: Sequence[pa.Table], schema: pa.Schema, written: pa.Schema | None) -> pa.Table:
    """Put tables below each other, in the types of what is written already, if anything is."""
    columns = {}
    for column in schema:
        parts = [table[column.name] for table in tables]
        kind = _choose_type(parts, column.type) if written is None else written.field(column.name).type
        columns[column.name] = pa.chunked_array([chunk.cast(kind) for part in parts for chunk in part.chunks], kind)
    return pa.table(columns).unify_dictionaries()


def _choose_type(parts: Sequence[pa.ChunkedArray], declared: pa.DataType) -> pa.DataType:
    """Keep the type of the parts of a column if it is the same, but not dictionaries of texts that hardly repeat."""
    kind = parts[0].type
    if any(part.type != kind for part in parts):
        return declared
    if not pa.types.is_dictionary(kind):
        return kind
    n_texts = sum(len(chunk.dictionary) for part in parts for chunk in part.chunks)
    return kind if 2 * n_texts <= sum(map(len, parts)) else declared


def _choose_encodings(schema: pa.Schema) -> dict[str, list[str]]:
    """Keep dictionaries of what repeats, unlike ids and the numbers of an answer; no statistics of reasons."""
    repeating, flat = [], []
    for column in schema:
        if pa.types.is_list(column.type):
            leaves = [f"{column.name}.list.element.{leaf.name}" for leaf in column.type.value_type]
            repeating += leaves
        else:
            flat.append(column.name)
            if column.name not in ID_COLUMNS and pa.types.is_string(column.type):
                repeating.append(column.name)
    return {"use_dictionary": repeating, "write_statistics": flat}


def _list_cells(predictions: pa.Table) -> list[list[Any]]:
    """List the cells of each column of a CSV file, lists of reasons as JSON."""
    columns = []
    for column in predictions.columns:
        if pa.types.is_list(column.type):
            columns.append([_dump_reasons(cell) for cell in column.to_pylist()])
        elif pa.types.is_dictionary(column.type):
            encoded = column.unify_dictionaries().combine_chunks()
            columns.append(encoded.to_pylist())
        else:
            columns.append(column.to_pylist())
    return columns


def _dump_reasons(reasons: Sequence[Mapping[str, Any]] | None) -> str:
    return json.dumps(
        [{name: value for name, value in reason.items() if value is not None} for reason in reasons or ()]
    )


class RejectsDraft:
    """The rejects of one part, as lines of CSV without the names of the columns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(b"")

    def write(self, rejects: pd.DataFrame) -> None:
        """Write the rejects of a batch."""
        if len(rejects):
            with self._path.open("a", encoding="utf-8", newline="") as stream:
                write_csv(rejects, stream, header=False)


class _Digesting:
    """A binary stream that hashes what is written to it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._digest = stream, hashlib.sha256()

    def write(self, raw: bytes) -> int:
        self._digest.update(raw)
        return self._stream.write(raw)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def join_predictions(parts: Sequence[Path], path: Path, suffix: str, schema: pa.Schema = PREDICTION_SCHEMA) -> str:
    """Put the predictions of all parts together; returns the SHA-256 of the file."""
    with path.open("wb") as stream:
        out = _Digesting(stream)
        if suffix == ".parquet":
            join_parquet(parts, out)
        else:
            _join_csv(parts, out, schema.names)
    return out.sha256


def join_rejects_parts(columns: pd.DataFrame | None, parts: Sequence[Path], path: Path) -> str:
    """Put the rejects of whole columns and those of all parts together; returns the SHA-256 of the file."""
    text = io.StringIO(newline="")
    if columns is not None:
        write_csv(columns, text, header=False)
    with path.open("wb") as stream:
        out = _Digesting(stream)
        _join_csv(parts, out, REJECT_COLUMNS, text.getvalue())
    return out.sha256


def _join_csv(parts: Sequence[Path], out: _Digesting, columns: Sequence[str], first: str = "") -> None:
    out.write((",".join(columns) + "\n" + first).encode())
    for part in parts:
        with part.open("rb") as stream:
            shutil.copyfileobj(stream, out, 1 << 20)
