"""Read files of patients in batches, with the position of each row.

The decoder of a format (:mod:`paincast.cohort.reading.formats`) provides a header and blocks of rows. The rules on
names and rows are the same for every format: a row that cannot be read becomes a reject with its position, and all
other rows are read.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.coercion import to_plain_text
from paincast.cohort.reading.formats import FORMATS
from paincast.cohort.reading.names import Header, match_case, name_columns
from paincast.cohort.reading.rows import RowRules, is_filled
from paincast.cohort.reading.text.lines import refuse_encoding
from paincast.cohort.reading.types import (
    LONGEST_CELL,
    Block,
    ColumnNotes,
    Decoded,
    Dialect,
    Fault,
    FileFormat,
    ReadOptions,
    empty_cells,
    leave_out_column,
)
from paincast.cohort.rejects import (
    CELL_TOO_LONG,
    TWIN_COLUMN,
    UNNAMED_COLUMN,
    WRONG_BYTES,
    empty_rejects,
    join_rejects,
)
from paincast.errors import DataError
from paincast.files import hash_file
from paincast.files.inputs import refuse_changed_file, require_regular_file

_UNDECLARED = Dialect()


class Batch(NamedTuple):
    """Some rows of a file.

    Parameters
    ----------
    rows : pyarrow.Table
        Trimmed text; from Parquet also numbers and booleans.
    places : array of int
        Position of each row: 1 is the first data row below the header. Blank lines are counted.
    rejects : DataFrame with columns table, row, column, rule, allowed, action
        What could not be read, without values.
    """

    rows: pa.Table
    places: npt.NDArray[np.int64]
    rejects: pd.DataFrame


class PatientTable(NamedTuple):
    """An open file.

    Parameters
    ----------
    columns : tuple of str
        Names of all its columns.
    batches : iterator of Batch
        Its rows.
    dialect : Dialect
        How it is written, as declared or detected; without the decimal mark, which is in the rows.
    labels : mapping of str to ColumnNotes
        Label and value labels of columns, by name; empty for files that have none.
    remarks : tuple of str
        What the user should know about how it is read.
    """

    columns: tuple[str, ...]
    batches: Iterator[Batch]
    dialect: Dialect
    labels: Mapping[str, ColumnNotes]
    remarks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A whole file as text.

    Parameters
    ----------
    rows : DataFrame of str
        The columns used, empty where there is no value; indexed by position.
    columns : tuple of str
        Names of all columns.
    rejects : DataFrame
        What could not be read.
    n_rows : int
        Rows of the file, including those left out.
    sha256 : str
        Hash of the file.
    dialect : Dialect
        How the file is written, as declared or detected.
    labels : mapping of str to ColumnNotes
        Label and value labels of columns, by name; empty for files that have none.
    remarks : tuple of str
        What the user should know about how the file is read.
    """

    rows: pd.DataFrame
    columns: tuple[str, ...]
    rejects: pd.DataFrame
    n_rows: int
    sha256: str
    dialect: Dialect
    labels: Mapping[str, ColumnNotes]
    remarks: tuple[str, ...]


def check_table_file(path: str | Path) -> os.stat_result:
    """Refuse files that do not exist, are unreadable or have an unknown format.

    Raises
    ------
    DataError
        If the file does not exist, is not a regular file, is empty or has another suffix.
    """
    file = Path(path)
    allowed = ", ".join(FORMATS)
    facts = require_regular_file(file, allowed=f"a file ({allowed})")
    if file.suffix.lower() not in FORMATS:
        raise DataError(f"{file}: unknown suffix '{file.suffix}'; allowed: {allowed}", code="PC-READING-01")
    if facts.st_size == 0:
        raise DataError(f"{file} is empty; give a header and one line for each patient", code="PC-READING-02")
    return facts


@contextmanager
def open_table(
    path: str | Path,
    *,
    used: Collection[str] | None = None,
    besides: Callable[[str], bool] | None = None,
    any_case: bool = False,
    table: str | None = None,
    dialect: Dialect = _UNDECLARED,
    batch_rows: int = 5000,
) -> Iterator[PatientTable]:
    """Open a file of patients.

    Parameters
    ----------
    path : str or Path
        The file; its suffix determines the format.
    used : collection of str, optional
        Columns to read; by default all. Only these are kept in memory, and only these must not be duplicated.
    besides : callable, optional
        Selects further columns by name, if their names are unique.
    any_case : bool
        Whether names are matched ignoring case; columns are returned with the names in ``used``.
    table : str, optional
        Name of the table in rejects; by default the file's name.
    dialect : Dialect
        What is declared about how the file is written; the rest is detected.
    batch_rows : int
        Maximum number of rows in a batch.

    Yields
    ------
    PatientTable
        After its last batch the file is checked: a file that changed while it was read is refused.

    Raises
    ------
    DataError
        If the file cannot be read, has no header or no rows, or a used column appears twice.
    """
    file = Path(path)
    facts = check_table_file(file)
    with ExitStack() as opened:
        with _words_for_failures(file):
            options = ReadOptions(dialect, used or ())
            decoded = opened.enter_context(_format_of(file).decode(file, options))
        if any_case:
            labelled = match_case(list(decoded.labels), used or ())
            decoded = decoded._replace(
                header=match_case(decoded.header, used or ()),
                labels=dict(zip(labelled, decoded.labels.values(), strict=True)),
            )
        columns = tuple(name for name in dict.fromkeys(decoded.header) if name)
        header = name_columns(file, decoded, used, besides)
        blocks = _read_rows(file, decoded, header, facts)
        batches = _group(blocks, header, table or file.name, batch_rows)
        yield PatientTable(
            columns=columns, batches=batches, dialect=decoded.dialect, labels=decoded.labels, remarks=decoded.remarks
        )


def read_text_table(
    path: str | Path,
    *,
    used: Collection[str] | None = None,
    besides: Callable[[str], bool] | None = None,
    any_case: bool = False,
    table: str | None = None,
    dialect: Dialect = _UNDECLARED,
) -> TextTable:
    """Read a whole file as text; see :func:`open_table`.

    Returns
    -------
    TextTable
    """
    facts = check_table_file(path)
    with open_table(path, used=used, besides=besides, any_case=any_case, table=table, dialect=dialect) as opened:
        batches = list(opened.batches)
    digest = hash_file(path)
    refuse_changed_file(path, facts)
    rejects = join_rejects(batch.rejects for batch in batches)
    left_out = rejects.loc[(rejects["action"] == "row left out") & (rejects["row"] > 0), "row"].nunique()
    rows = pd.concat([to_texts(batch) for batch in batches])
    return TextTable(
        rows=rows,
        columns=opened.columns,
        rejects=rejects,
        n_rows=len(rows) + left_out,
        sha256=digest,
        dialect=opened.dialect,
        labels=opened.labels,
        remarks=opened.remarks,
    )


def count_rows(path: str | Path) -> int | None:
    """Count the rows, for the progress display: exactly for Parquet, by line ends for text."""
    return _format_of(Path(path)).count_rows(Path(path))


def _format_of(file: Path) -> FileFormat:
    return FORMATS[file.suffix.lower()]


def to_texts(batch: Batch) -> pd.DataFrame:
    """Convert a batch to texts, empty where there is no value, indexed by position."""
    frame = batch.rows.to_pandas()
    texts = {name: frame[name] if _is_text(frame[name]) else to_plain_text(frame[name]) for name in frame}
    return (
        pd.DataFrame(texts, index=pd.RangeIndex(len(frame)))
        .fillna("")
        .set_axis(batch.places, axis="index")
        .astype("str")
    )


def _is_text(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.StringDtype)


@contextmanager
def _words_for_failures(file: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeError as error:
        raise refuse_encoding(str(file), "utf-16") from error
    except OSError as error:
        raise DataError(
            f"{file} cannot be read: {error.strerror or type(error).__name__}", code="PC-READING-04"
        ) from error


def _read_rows(file: Path, decoded: Decoded, header: Header, facts: os.stat_result) -> Iterator[Block]:
    """Apply the rules on names and rows to every block; refuse files without rows and files that changed."""
    rules = RowRules(header.names)
    n_rows, broken = 0, Counter[str]()
    first_fault: Fault | None = None
    unnamed = set(header.unnamed)
    twins = [
        leave_out_column(TWIN_COLUMN, "one column of each name", decoded.header.index(name)) for name in header.twins
    ]
    yield Block([], np.array([], dtype=np.int64), [*decoded.faults, *twins])
    blocks = decoded.read(header.wanted)
    while True:
        with _words_for_failures(file):
            block = next(blocks, None)
        if block is None:
            break
        block = rules.leave_out(_limit_cells(block, header.wanted))
        n_rows += len(block.places)
        broken.update(fault.rule for fault in block.faults if fault.action == "row left out")
        first_fault = first_fault or next((fault for fault in block.faults if fault.action == "row left out"), None)
        unnamed |= _find_filled(block, header)
        yield block
    if broken[WRONG_BYTES] > n_rows + broken.total() - broken[WRONG_BYTES]:
        raise refuse_encoding(str(file), decoded.dialect.encoding or "utf-8")
    if n_rows == 0:
        raise DataError(_describe_empty_file(file, first_fault, broken), code="PC-READING-05")
    refuse_changed_file(file, facts)
    names = [leave_out_column(UNNAMED_COLUMN, "a name in the header", position) for position in sorted(unnamed)]
    yield Block([], np.array([], dtype=np.int64), names)


def _describe_empty_file(file: Path, first: Fault | None, broken: Counter[str]) -> str:
    if first is None:
        return f"{file} has column names but no patients"
    rules = ", ".join(f"{rule} ({n})" for rule, n in broken.items())
    return f"{file}: no row can be read: {rules}; first at row {first.place}: {first.rule}; allowed: {first.allowed}"


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


def _group(blocks: Iterator[Block], header: Header, table: str, batch_rows: int) -> Iterator[Batch]:
    """Regroup blocks into batches of the requested size, with the used columns and the rejects up to the last row."""
    buffer, places, rejects = pa.table({}), np.array([], dtype=np.int64), empty_rejects()
    for block in blocks:
        rejects = join_rejects([rejects, _to_rejects(block.faults, header.all_names, table)])
        if not len(block.places):
            continue
        rows = _to_table(block, header)
        buffer = _concat([buffer, rows]) if len(places) else rows
        places = np.concatenate([places, block.places])
        while len(places) > batch_rows:
            is_released = rejects["row"] <= places[batch_rows - 1]
            yield Batch(rows=buffer.slice(0, batch_rows), places=places[:batch_rows], rejects=rejects[is_released])
            buffer, places, rejects = buffer.slice(batch_rows), places[batch_rows:], rejects[~is_released]
    yield Batch(rows=buffer, places=places, rejects=rejects)


def _to_table(block: Block, header: Header) -> pa.Table:
    chosen = [
        (name, column) for name, kept, column in zip(header.names, header.kept, block.columns, strict=True) if kept
    ]
    return pa.table([column for _, column in chosen], names=[name for name, _ in chosen])


def _concat(tables: Sequence[pa.Table]) -> pa.Table:
    """Concatenate tables; a column that is text in any of them becomes text in all."""
    schemas = {table.schema for table in tables}
    if len(schemas) > 1:
        tables = [
            pa.table([_as_text(column) for column in table.columns], names=table.column_names) for table in tables
        ]
    return pa.concat_tables(tables)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column if pa.types.is_string(column.type) else pc.cast(column, pa.string())


def _to_rejects(faults: Sequence[Fault], names: Sequence[str], table: str) -> pd.DataFrame:
    if not faults:
        return empty_rejects()
    rows = [
        (table, fault.place, _format_column(fault.column, names), fault.rule, fault.allowed, fault.action)
        for fault in faults
    ]
    return pd.DataFrame(rows, columns=list(empty_rejects().columns))


def _format_column(position: int | None, names: Sequence[str]) -> str:
    if position is None:
        return ""
    return names[position] or f"column {position + 1}"
