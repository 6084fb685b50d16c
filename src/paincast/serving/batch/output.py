"""Write predictions and rejects: parts of them, and the files that are put together from parts."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from paincast.cohort.rejects import REJECT_COLUMNS
from paincast.deferred import pandas as pd
from paincast.deferred import parquet as pq
from paincast.files.parquet_join import join_parquet
from paincast.files.spreadsheets import write_csv, write_rows
from paincast.predictor.ids import ID_COLUMNS
from paincast.predictor.rows import PREDICTION_SCHEMA

SUFFIXES = (".csv", ".parquet")
"""Formats of the predictions."""


class PredictionsDraft:
    """The predictions of one part, written to a file of their own; its Parquet file has one group of rows at most.

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
        if suffix == ".csv":
            path.write_bytes(b"")

    def write(self, predictions: pa.Table) -> None:
        """Write the predictions of a batch, of the columns and types of the schema."""
        if self._suffix == ".parquet":
            self._tables.append(predictions)
        elif len(predictions):
            with self._path.open("a", encoding="utf-8", newline="") as stream:
                write_rows(_list_cells(predictions), stream)

    def close(self) -> None:
        """Write what is still in memory."""
        if self._suffix == ".parquet":
            write_parquet(self._tables, self._path, self._schema)
            self._tables = []


def write_parquet(tables: Sequence[pa.Table], path: Path, schema: pa.Schema) -> None:
    """Write tables as one group of rows; texts may be dictionaries, which spares hashing them, and are read as texts.

    Parameters
    ----------
    tables : sequence of pyarrow.Table
        Columns of the schema.
    path : Path
        File to write.
    schema : pyarrow.Schema
        Types in which the file is read.
    """
    filled = [table for table in tables if len(table)] or [schema.empty_table()]
    columns = {column.name: _join_column([table[column.name] for table in filled], column.type) for column in schema}
    table = pa.table(columns).unify_dictionaries()
    declared = {b"ARROW:schema": base64.b64encode(schema.serialize().to_pybytes())}
    written = table.schema.with_metadata(declared)
    with pq.ParquetWriter(path, written, store_schema=False, **_choose_encodings(schema)) as writer:
        writer.write_table(table, row_group_size=max(1, len(table)))


def _join_column(parts: Sequence[pa.ChunkedArray], kind: pa.DataType) -> pa.ChunkedArray:
    """Join the parts of a column; texts stay in dictionaries if they repeat, and all parts have one."""
    chunks = [chunk for part in parts for chunk in part.chunks]
    is_coded = pa.types.is_dictionary(parts[0].type)
    n_texts = sum(len(chunk.dictionary) for chunk in chunks if pa.types.is_dictionary(chunk.type))
    is_rare = 2 * n_texts < sum(map(len, chunks))
    if any(part.type != parts[0].type for part in parts) or (is_coded and not is_rare):
        chunks = [chunk.cast(kind) for chunk in chunks]
    return pa.chunked_array(chunks, chunks[0].type)


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


def join_rejects_parts(parts: Sequence[Path], path: Path) -> str:
    """Put the rejects of all parts together; returns the SHA-256 of the file."""
    with path.open("wb") as stream:
        out = _Digesting(stream)
        _join_csv(parts, out, REJECT_COLUMNS)
    return out.sha256


def _join_csv(parts: Sequence[Path], out: _Digesting, columns: Sequence[str]) -> None:
    out.write((",".join(columns) + "\n").encode())
    for part in parts:
        with part.open("rb") as stream:
            shutil.copyfileobj(stream, out, 1 << 20)
