"""Decode Parquet in small batches: text, numbers and booleans; columns of other types are left out and reported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.reading.binary.arrow_columns import is_readable, is_text, leave_out_type, to_plain
from paincast.cohort.reading.names import clean_name
from paincast.cohort.reading.rows import ROWS_TO_LEARN
from paincast.cohort.reading.types import (
    LONGEST_CELL,
    MOST_COLUMNS,
    Block,
    Decoded,
    ReadOptions,
    Span,
)
from paincast.deferred import parquet as pq
from paincast.errors import DataError

BATCH_ROWS = 32_768
SAMPLE_ROWS = 1000
"""Rows by which it is decided whether the texts of a column repeat, so that it is read as a dictionary."""
BATCH_BYTES = 64 << 20
"""Maximum bytes of the rows of a batch, according to the file's metadata."""
BATCH_CELLS = 4_000_000
"""Maximum cells of a batch."""

_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
_UNREADABLE = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)
_LARGEST = 1 << 53
_LARGE_CHUNK, _LARGEST_EXPANSION, _LONGEST_CODE = 64 << 20, 200, 200


@contextmanager
def decode_parquet(file: Path, options: ReadOptions) -> Iterator[Decoded]:
    """Open a Parquet file. A named pandas index becomes a column; an unnamed index is a column without a name.

    Raises
    ------
    DataError
        If the file is damaged, encrypted or not Parquet, or has too many columns or no rows.
    """
    opened = _open(file)
    if opened.metadata.num_rows == 0:
        raise DataError(f"{file} has no rows", code="PC-READING-12")
    names = [str(name) for name in opened.schema_arrow.names]
    if len(names) > MOST_COLUMNS:
        raise DataError(f"{file} has {len(names)} columns; at most {MOST_COLUMNS} can be read", code="PC-READING-13")
    header = ["" if _UNNAMED_INDEX.fullmatch(name) else clean_name(name) for name in names]
    ranges = {name: values for name, values in _list_ranges(opened).items() if name and name not in header}
    whole = Span(0, opened.metadata.num_row_groups, 0)
    span = options.span or whole
    read = partial(_read_blocks, file, opened.metadata, tuple(ranges.values()))
    head = _find_head(opened.metadata)
    yield Decoded(
        header=(*header, *ranges),
        read=partial(read, span),
        is_typed=True,
        is_part=span != whole,
        read_head=(lambda wanted: next(read(head, wanted, ROWS_TO_LEARN))) if span.before else None,
    )


def _find_head(facts: pq.FileMetaData) -> Span:
    """Find the row groups that hold the first rows."""
    n_rows = group = 0
    while n_rows < ROWS_TO_LEARN and group < facts.num_row_groups:
        n_rows, group = n_rows + facts.row_group(group).num_rows, group + 1
    return Span(0, group, 0)


def _list_ranges(opened: pq.ParquetFile) -> dict[str, range]:
    """List the named indices that pandas stored as a range: they are in its metadata, not in a column."""
    ranges = {}
    try:
        for index in json.loads(opened.schema_arrow.metadata[b"pandas"])["index_columns"]:
            if isinstance(index, dict) and isinstance(index["name"], str):
                values = range(index["start"], index["stop"], index["step"])
                if len(values) == opened.metadata.num_rows and -_LARGEST < values.start < _LARGEST:
                    ranges[clean_name(index["name"])] = values
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return {}
    return ranges


def count_rows(file: Path) -> int:
    """Return the number of rows according to the file's metadata."""
    return int(_open(file).metadata.num_rows)


def list_group_rows(file: Path) -> list[int]:
    """List the number of rows of each row group according to the file's metadata."""
    facts = _open(file).metadata
    return [facts.row_group(group).num_rows for group in range(facts.num_row_groups)]


def list_integers(file: Path) -> dict[str, pa.DataType]:
    """List the columns of integers without a gap, as the statistics of the file tell, by name with their types."""
    opened = _open(file)
    schema, facts = opened.schema_arrow, opened.metadata
    leaves = [_count_leaves(field.type) for field in schema]
    kept = [place for place, field in enumerate(schema) if pa.types.is_integer(field.type)]
    return {
        clean_name(schema.field(place).name): schema.field(place).type
        for place in kept
        if all(_has_no_gap(facts.row_group(group).column(sum(leaves[:place]))) for group in range(facts.num_row_groups))
    }


def _has_no_gap(chunk: pq.ColumnChunkMetaData) -> bool:
    return chunk.statistics is not None and chunk.statistics.has_null_count and chunk.statistics.null_count == 0


def _open(file: Path, facts: pq.FileMetaData | None = None, as_dictionary: Sequence[str] = ()) -> pq.ParquetFile:
    options: dict[str, Any] = {"metadata": facts, "read_dictionary": list(as_dictionary)}
    try:
        return pq.ParquetFile(file, **options, pre_buffer=False, buffer_size=1 << 20)
    except _UNREADABLE as error:
        raise DataError(
            f"{file} is not a readable Parquet file (truncated, encrypted or of another kind); write it again",
            code="PC-READING-14",
        ) from error


def _read_blocks(
    file: Path,
    facts: pq.FileMetaData,
    ranges: Sequence[range],
    span: Span,
    wanted: Sequence[int],
    most_rows: int = BATCH_ROWS,
) -> Iterator[Block]:
    schema = _open(file, facts).schema_arrow
    n_stored = len(schema)
    kept = [position for position in wanted if position < n_stored and is_readable(schema.field(position).type)]
    texts = [schema.field(position).name for position in kept if is_text(schema.field(position).type)]
    opened = _open(file, facts, _list_repeating(file, facts, texts))
    leaves = _find_leaves(opened, schema, kept)
    groups = range(span.first, span.stop)
    names = [schema.field(position).name for position in kept]
    n_rows = min(most_rows, _batch_rows(file, opened, groups, leaves, names))
    faults = [leave_out_type(position) for position in wanted if position < n_stored and position not in kept]
    last_place = span.before
    try:
        batches = opened.reader.iter_batches(
            batch_size=n_rows, row_groups=list(groups), column_indices=leaves, use_threads=False
        )
        for batch in batches:
            places = np.arange(last_place + 1, last_place + 1 + batch.num_rows, dtype=np.int64)
            last_place += batch.num_rows
            arrays = dict(zip(kept, batch.columns, strict=True))
            columns = []
            for position in wanted:
                if position in arrays:
                    column, column_faults = to_plain(arrays[position], places, position)
                    faults += column_faults
                elif position >= n_stored:
                    values = ranges[position - n_stored]
                    column = pa.array(values.start + values.step * (places - 1), pa.int64())
                else:
                    column = pa.nulls(batch.num_rows, pa.string())
                columns.append(column)
            yield Block(columns, places, faults)
            faults = []
    except _UNREADABLE as error:
        raise DataError(
            f"{file} is damaged (a Parquet block cannot be read); write it again", code="PC-READING-15"
        ) from error


def _list_repeating(file: Path, facts: pq.FileMetaData, texts: Sequence[str]) -> list[str]:
    """List the columns whose texts repeat in the first rows: at most a tenth of them are distinct."""
    try:
        batches = _open(file, facts).iter_batches(batch_size=SAMPLE_ROWS, columns=list(texts), use_threads=False)
        sample = next(batches, None)
        if sample is None:
            return []
        counts = {name: pc.count_distinct(sample[name]).as_py() for name in sample.schema.names}
    except _UNREADABLE:
        return list(texts)
    return [name for name, n_distinct in counts.items() if 10 * n_distinct <= max(len(sample), 10)]


def _find_leaves(opened: pq.ParquetFile, schema: pa.Schema, kept: Sequence[int]) -> list[int]:
    """Return the position among the stored columns of each plain column; a nested column is stored as several."""
    first_leaf, leaf = [], 0
    for field in schema:
        first_leaf.append(leaf)
        leaf += _count_leaves(field.type)
    if leaf != opened.metadata.num_columns:
        raise DataError(
            "the columns of the Parquet file are nested; write it without nested columns",
            code="PC-READING-16",
        )
    return [first_leaf[position] for position in kept]


def _count_leaves(kind: pa.DataType) -> int:
    if isinstance(kind, pa.BaseExtensionType):
        return _count_leaves(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _count_leaves(kind.value_type)
    if pa.types.is_nested(kind):
        return sum(_count_leaves(kind.field(at).type) for at in range(kind.num_fields))
    return 1


def _batch_rows(
    file: Path, opened: pq.ParquetFile, groups: Sequence[int], leaves: Sequence[int], names: Sequence[str]
) -> int:
    """Compute the number of rows that fit in a batch, and refuse cells that are too long before reading them."""
    per_row = 1.0
    for group in groups:
        facts = opened.metadata.row_group(group)
        in_group = 1.0
        for leaf, name in zip(leaves, names, strict=True):
            chunk = facts.column(leaf)
            size = chunk.total_uncompressed_size / max(chunk.num_values, 1)
            if chunk.physical_type.endswith("BYTE_ARRAY") and (
                size > 4 * LONGEST_CELL or _hides_long_cells(chunk, size)
            ):
                raise DataError(
                    f"{file}: the column '{name}' holds cells of more than {LONGEST_CELL} characters; shorten them",
                    code="PC-READING-17",
                )
            in_group += size
        per_row = max(per_row, in_group)
    return int(min(BATCH_ROWS, max(1, BATCH_BYTES // per_row), max(1, BATCH_CELLS // max(len(leaves), 1))))


def _hides_long_cells(chunk: pq.ColumnChunkMetaData, size: float) -> bool:
    """Check for a few huge cells: a large column, hundreds of times its compressed size, and no short codes."""
    expansion = chunk.total_uncompressed_size / max(chunk.total_compressed_size, 1)
    return bool(
        chunk.total_uncompressed_size > _LARGE_CHUNK and expansion > _LARGEST_EXPANSION and size > _LONGEST_CODE
    )
