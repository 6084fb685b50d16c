"""Read an open file in batches: the rules on names and rows, rows of a requested number, and rejects by position."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.reading.names import Header
from paincast.cohort.reading.rows import RowRules, is_filled, is_text, spell_out_dictionary
from paincast.cohort.reading.text.lines import refuse_encoding
from paincast.cohort.reading.types import (
    LONGEST_CELL,
    Block,
    Decoded,
    Fault,
    empty_cells,
    leave_out_column,
)
from paincast.cohort.rejects import (
    CELL_TOO_LONG,
    REJECT_COLUMNS,
    TWIN_COLUMN,
    UNNAMED_COLUMN,
    WHOLE_COLUMN,
    WRONG_BYTES,
    gather_rejects,
)
from paincast.deferred import pandas as pd
from paincast.errors import DataError
from paincast.files.inputs import refuse_changed_file


def to_frame(rows: pa.Table) -> pd.DataFrame:
    """Convert rows of a file to a data frame in which no value changes its looks.

    Whole numbers and yes/no values beside missing ones become text: as floats, long ids would lose digits.
    """
    columns = {}
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if column.null_count and pa.types.is_integer(column.type):
            column = pc.cast(column, pa.string())
        elif column.null_count and pa.types.is_boolean(column.type):
            column = pc.if_else(column, "True", "False")
        columns[name] = column
    return pd.DataFrame(pa.table(columns).to_pandas())


class Batch(NamedTuple):
    """Some rows of a file.

    Parameters
    ----------
    rows : pyarrow.Table
        Trimmed text, perhaps in dictionaries; from Parquet also numbers and booleans. Ids may be as they stand.
    places : array of int
        Position of each row: 1 is the first data row below the header. Blank lines are counted.
    rejects : DataFrame with columns table, file, row, column, rule, allowed, action, or None
        What could not be read, without values; None for nothing.
    """

    rows: pa.Table
    places: npt.NDArray[np.int64]
    rejects: pd.DataFrame | None


@contextmanager
def words_for_failures(file: Path) -> Iterator[None]:
    """Turn failures of the system while a file is read into words."""
    try:
        yield
    except UnicodeError as error:
        raise refuse_encoding(str(file), "utf-16") from error
    except OSError as error:
        raise DataError(
            f"{file} cannot be read: {error.strerror or type(error).__name__}", code="PC-READING-04"
        ) from error


def read_rows(
    file: Path, decoded: Decoded, header: Header, facts: os.stat_result, verbatim: Collection[str] = ()
) -> Iterator[Block]:
    """Trim texts and apply the rules on names and rows to every block; refuse files without rows, or that changed.

    Texts of ``verbatim`` columns are returned as they stand. The rules on rows are learned from the first rows of the
    file, also where others are read.
    """
    rules = RowRules(header.names)
    if decoded.read_head is not None:
        with words_for_failures(file):
            rules.leave_out(_limit_cells(_trim(decoded.read_head(header.wanted)), header.wanted))
    n_rows, broken = 0, Counter[str]()
    first_fault: Fault | None = None
    unnamed = set(header.unnamed)
    twins = [
        leave_out_column(TWIN_COLUMN, "one column of each name", decoded.header.index(name)) for name in header.twins
    ]
    yield Block([], np.array([], dtype=np.int64), [*decoded.faults, *twins])
    blocks = decoded.read(header.wanted)
    while True:
        with words_for_failures(file):
            block = next(blocks, None)
        if block is None:
            break
        given, block = block, _limit_cells(_trim(block), header.wanted)
        block = _restore(rules.leave_out(block), given, [name in verbatim for name in header.names])
        n_rows += len(block.places)
        broken.update(fault.rule for fault in block.faults if fault.action == "row left out")
        first_fault = first_fault or next((fault for fault in block.faults if fault.action == "row left out"), None)
        unnamed |= _find_filled(block, header)
        yield block
    if broken[WRONG_BYTES] > n_rows + broken.total() - broken[WRONG_BYTES]:
        raise refuse_encoding(str(file), decoded.dialect.encoding or "utf-8")
    if n_rows == 0 and not decoded.is_part:
        raise DataError(_describe_empty_file(file, first_fault, broken), code="PC-READING-05")
    refuse_changed_file(file, facts)
    names = [leave_out_column(UNNAMED_COLUMN, "a name in the header", position) for position in sorted(unnamed)]
    yield Block([], np.array([], dtype=np.int64), names)


def _describe_empty_file(file: Path, first: Fault | None, broken: Counter[str]) -> str:
    if first is None:
        return f"{file} has column names but no patients"
    rules = ", ".join(f"{rule} ({n})" for rule, n in broken.items())
    return f"{file}: no row can be read: {rules}; first at row {first.place}: {first.rule}; allowed: {first.allowed}"


def _trim(block: Block) -> Block:
    return block._replace(columns=[_trim_column(column) for column in block.columns])


def _trim_column(column: pa.Array) -> pa.Array:
    if pa.types.is_string(column.type):
        return pc.utf8_trim_whitespace(column)
    if not (pa.types.is_dictionary(column.type) and pa.types.is_string(column.type.value_type)):
        return column
    trimmed = pc.utf8_trim_whitespace(column.dictionary)
    if pc.count_distinct(trimmed).as_py() < len(trimmed):  # texts that differ by spaces become alike
        return trimmed.take(column.indices)
    return pa.DictionaryArray.from_arrays(column.indices, trimmed)


def _restore(block: Block, given: Block, is_verbatim: Sequence[bool]) -> Block:
    """Give the texts of some columns back as they stood, but those that were emptied."""
    kept = None if len(block.places) == len(given.places) else pa.array(np.isin(given.places, block.places))
    columns = list(block.columns)
    for at, column in enumerate(given.columns):
        if is_verbatim[at] and is_text(column.type):
            stood = spell_out_dictionary(column if kept is None else column.filter(kept))
            columns[at] = pc.if_else(pc.is_null(columns[at]), pa.scalar(None, pa.string()), stood)
    return block._replace(columns=columns)


def _limit_cells(block: Block, wanted: Sequence[int]) -> Block:
    """Empty cells that are too long."""
    columns, faults = [], list(block.faults)
    for column, position in zip(block.columns, wanted, strict=True):
        if pa.types.is_string(column.type) and (pc.max(pc.binary_length(column)).as_py() or 0) > LONGEST_CELL:
            broken = pc.greater(pc.utf8_length(column), LONGEST_CELL)
            allowed = f"at most {LONGEST_CELL} characters in a cell"
            column, cell_faults = empty_cells(column, broken, block.places, CELL_TOO_LONG, allowed, position)
            faults += cell_faults
        columns.append(column)
    return Block(columns, block.places, faults)


def _find_filled(block: Block, header: Header) -> set[int]:
    """Return the positions of columns that have data but no name."""
    return {
        position
        for position, name, column in zip(header.wanted, header.names, block.columns, strict=False)
        if not name and is_filled(column).any()
    }


def group_rows(blocks: Iterator[Block], header: Header, table: str, file: str, batch_rows: int) -> Iterator[Batch]:
    """Regroup blocks into batches of the requested size, with the used columns and the rejects up to the last row."""
    buffer, places = pa.table({}), np.array([], dtype=np.int64)
    rejects: pd.DataFrame | None = None
    for block in blocks:
        if block.faults:
            rejects = gather_rejects([rejects, _to_rejects(block.faults, header.all_names, table, file)])
        if not len(block.places):
            continue
        rows = _to_table(block, header)
        buffer = concat_rows([buffer, rows]) if len(places) else rows
        places = np.concatenate([places, block.places])
        while len(places) > batch_rows:
            released, rejects = _release(rejects, int(places[batch_rows - 1]))
            yield Batch(rows=buffer.slice(0, batch_rows), places=places[:batch_rows], rejects=released)
            buffer, places = buffer.slice(batch_rows), places[batch_rows:]
    yield Batch(rows=buffer, places=places, rejects=rejects)


def _release(rejects: pd.DataFrame | None, last: int) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Divide rejects into those up to a row and those behind it."""
    if rejects is None:
        return None, None
    is_released = rejects["row"] <= last
    return gather_rejects([rejects[is_released]]), gather_rejects([rejects[~is_released]])


def _to_table(block: Block, header: Header) -> pa.Table:
    chosen = [
        (name, column) for name, kept, column in zip(header.names, header.kept, block.columns, strict=True) if kept
    ]
    return pa.table([column for _, column in chosen], names=[name for name, _ in chosen])


def concat_rows(tables: Sequence[pa.Table]) -> pa.Table:
    """Concatenate tables; a column that is text in any of them becomes text in all."""
    schemas = {table.schema for table in tables}
    if len(schemas) > 1:
        tables = [
            pa.table([_as_text(column) for column in table.columns], names=table.column_names) for table in tables
        ]
    return pa.concat_tables(tables)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column if pa.types.is_string(column.type) else pc.cast(column, pa.string())


def _to_rejects(faults: Sequence[Fault], names: Sequence[str], table: str, file: str) -> pd.DataFrame:
    rows = []
    for fault in faults:
        named = file if fault.place == WHOLE_COLUMN else ""
        column = _format_column(fault.column, names)
        rows.append((table, named, fault.place, column, fault.rule, fault.allowed, fault.action))
    return pd.DataFrame(rows, columns=list(REJECT_COLUMNS))


def _format_column(position: int | None, names: Sequence[str]) -> str:
    if position is None:
        return ""
    return names[position] or f"column {position + 1}"
