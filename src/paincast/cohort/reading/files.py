"""Read files of patients in batches, with the position of each row.

The decoder of a format (:mod:`paincast.cohort.reading.formats`) provides a header and blocks of rows. The rules on
names and rows are the same for every format: a row that cannot be read becomes a reject with its position, and all
other rows are read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from paincast.cohort.coercion import to_plain_text
from paincast.cohort.reading.batches import Batch, group_rows, read_rows, to_frame, words_for_failures
from paincast.cohort.reading.formats import FORMATS
from paincast.cohort.reading.names import match_case, name_columns
from paincast.cohort.reading.several import Source, list_sources
from paincast.cohort.reading.types import (
    ColumnNotes,
    Dialect,
    FileFormat,
    ReadOptions,
    Span,
)
from paincast.cohort.rejects import Extent, join_rejects
from paincast.deferred import pandas as pd
from paincast.errors import DataError
from paincast.files import hash_file
from paincast.files.inputs import refuse_changed_file, require_regular_file

_UNDECLARED = Dialect()


class PatientTable(NamedTuple):
    """An open file.

    Parameters
    ----------
    columns : tuple of str
        Names of all its columns.
    batches : iterator of Batch
        Its rows.
    dialects : list of Dialect
        How each file is written, as declared or detected, without the decimal mark, which is in the rows; complete
        after the last batch.
    labels : mapping of str to ColumnNotes
        Label and value labels of columns, by name; empty for files that have none.
    remarks : list of str
        What the user should know about how it is read; of several files complete after the last batch.
    extents : list of Extent
        Where the positions of each file begin; complete after the last batch.
    """

    columns: tuple[str, ...]
    batches: Iterator[Batch]
    dialects: list[Dialect]
    labels: Mapping[str, ColumnNotes]
    remarks: list[str]
    extents: list[Extent]

    @property
    def dialect(self) -> Dialect:
        """How all files are written that are opened so far; None for what differs between them."""
        alike = (set(values) for values in zip(*self.dialects, strict=True))
        return Dialect(*(values.pop() if len(values) == 1 else None for values in alike))


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
    extents : tuple of Extent
        Where the positions of each file begin.
    """

    rows: pd.DataFrame
    columns: tuple[str, ...]
    rejects: pd.DataFrame
    n_rows: int
    sha256: str
    dialect: Dialect
    labels: Mapping[str, ColumnNotes]
    remarks: tuple[str, ...]
    extents: tuple[Extent, ...]


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
    verbatim: Collection[str] = (),
    table: str | None = None,
    dialect: Dialect = _UNDECLARED,
    batch_rows: int = 5000,
) -> Iterator[PatientTable]:
    """Open a file of patients, or several with the same columns.

    Parameters
    ----------
    path : str or Path
        A file, whose suffix determines the format; a sheet (``registry.xlsx!Visits``), a folder, or a pattern
        (``export/*.csv``). Positions count on from file to file.
    used : collection of str, optional
        Columns to read; by default all. Only these are kept in memory, and only these must not be duplicated.
    besides : callable, optional
        Selects further columns by name, if their names are unique.
    any_case : bool
        Whether names are matched ignoring case; columns are returned with the names in ``used``.
    verbatim : collection of str
        Columns whose texts are not trimmed.
    table : str, optional
        Name of the table in rejects; by default the file's name.
    dialect : Dialect
        What is declared about how the file is written; the rest is detected.
    batch_rows : int
        Maximum number of rows in a batch.

    Yields
    ------
    PatientTable
        After its last batch a file is checked: a file that changed while it was read is refused.

    Raises
    ------
    DataError
        If a file cannot be read, has no header or no rows, or a used column appears twice; if one of several files has
        other columns, or other labels of their codes, than the first.
    """
    sources = list_sources(path)

    def open_one(source: Source) -> AbstractContextManager[PatientTable]:
        return open_source(
            source,
            used=used,
            besides=besides,
            any_case=any_case,
            verbatim=verbatim,
            table=table,
            dialect=dialect._replace(sheet=source.sheet or dialect.sheet),
            batch_rows=batch_rows,
        )

    with open_one(sources[0]) as first:
        if len(sources) == 1:
            yield first
        else:
            chained = _chain(first, sources, open_one, lambda name: _is_wanted(name, used, besides))
            yield first._replace(batches=chained)


def _is_wanted(name: str, used: Collection[str] | None, besides: Callable[[str], bool] | None) -> bool:
    return used is None or name in used or (besides is not None and besides(name))


def _chain(
    first: PatientTable,
    sources: Sequence[Source],
    open_one: Callable[[Source], AbstractContextManager[PatientTable]],
    is_wanted: Callable[[str], bool],
) -> Iterator[Batch]:
    """Yield the batches of one file after another; positions count on from file to file."""
    names: list[str] = []
    offset = yield from shift_batches(first.batches, 0, names)
    for source in sources[1:]:
        with open_one(source) as opened:
            refuse_other_columns(source, opened, sources[0], first, is_wanted)
            first.dialects.extend(opened.dialects)
            first.remarks.extend(opened.remarks)
            first.extents.append(Extent(source.name, offset))
            offset = yield from shift_batches(opened.batches, offset, names)


def shift_batches(batches: Iterator[Batch], offset: int, names: list[str]) -> Generator[Batch, None, int]:
    """Yield batches with positions after ``offset`` and columns in the order of ``names``; returns the last position.

    The first batch of all gives the names.
    """
    last = offset
    for batch in batches:
        rejects = batch.rejects
        if rejects is not None:
            rejects = rejects.assign(row=rejects["row"].where(rejects["row"] == 0, rejects["row"] + offset))
        places = batch.places + offset
        last = max(last, *places[-1:].tolist(), 0 if rejects is None else int(rejects["row"].max()))
        names += batch.rows.column_names if not names else []
        rows = batch.rows.select(names) if len(batch.places) else batch.rows
        yield batch._replace(rows=rows, places=places, rejects=rejects)
    return last


def refuse_other_columns(
    source: Source, opened: PatientTable, first_source: Source, first: PatientTable, is_wanted: Callable[[str], bool]
) -> None:
    """Refuse a file that has other columns than the first, or other labels of their codes."""
    expected, found = ({name for name in table.columns if is_wanted(name)} for table in (first, opened))
    other_codes = [
        name
        for name in expected & found
        if first.labels.get(name, ColumnNotes()).value_labels != opened.labels.get(name, ColumnNotes()).value_labels
    ]
    for names, fault in (
        (expected - found, f"lacks columns of {first_source.name}"),
        (found - expected, f"has columns that {first_source.name} lacks"),
        (other_codes, f"labels codes otherwise than {first_source.name}"),
    ):
        if names:
            quoted = ", ".join(f"'{name}'" for name in sorted(names))
            raise DataError(
                f"{source.file} {fault}: {quoted}; files that are read together need the same columns",
                code="PC-READING-32",
            )


@contextmanager
def open_source(
    source: Source,
    *,
    used: Collection[str] | None,
    any_case: bool,
    verbatim: Collection[str],
    table: str | None,
    batch_rows: int,
    besides: Callable[[str], bool] | None = None,
    dialect: Dialect = _UNDECLARED,
    span: Span | None = None,
) -> Iterator[PatientTable]:
    """Open one file, or some row groups of a Parquet file; see :func:`open_table`."""
    file = source.file
    facts = check_table_file(file)
    with ExitStack() as opened:
        with words_for_failures(file):
            decoded = opened.enter_context(_format_of(file).decode(file, ReadOptions(dialect, used or (), span)))
        if any_case:
            labelled = match_case(list(decoded.labels), used or ())
            decoded = decoded._replace(
                header=match_case(decoded.header, used or ()),
                labels=dict(zip(labelled, decoded.labels.values(), strict=True)),
            )
        header = name_columns(file, decoded, used, besides)
        blocks = read_rows(file, decoded, header, facts, verbatim)
        yield PatientTable(
            columns=tuple(name for name in dict.fromkeys(decoded.header) if name),
            batches=group_rows(blocks, header, table or source.name, source.name, batch_rows),
            dialects=[decoded.dialect],
            labels=decoded.labels,
            remarks=list(decoded.remarks),
            extents=[Extent(source.name, 0)],
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
    files = [source.file for source in list_sources(path)]
    facts = [check_table_file(file) for file in files]
    with open_table(path, used=used, besides=besides, any_case=any_case, table=table, dialect=dialect) as opened:
        batches = list(opened.batches)
    digest = hash_files(files)
    for file, before in zip(files, facts, strict=True):
        refuse_changed_file(file, before)
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
        remarks=tuple(opened.remarks),
        extents=tuple(opened.extents),
    )


def count_rows(path: str | Path) -> int | None:
    """Count the rows, for the progress display: exactly for Parquet, by line ends for text; None if unknown."""
    counts = [_format_of(source.file).count_rows(source.file) for source in list_sources(path)]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def list_integers(path: str | Path, known: Collection[str]) -> dict[str, pa.DataType]:
    """List columns that hold an integer in every row of every file, with their common type.

    Parameters
    ----------
    path : str or Path
        As for :func:`open_table`.
    known : collection of str
        Names of the columns that are looked for, in any case.

    Returns
    -------
    dict of str to pyarrow.DataType
        Only columns of formats that declare types; whoever reads another file knows only when it ends.
    """
    listed = []
    for source in list_sources(path):
        found = _format_of(source.file).list_integers(source.file)
        listed.append(dict(zip(match_case(list(found), known), found.values(), strict=True)))
    first = listed[0]
    return {
        name: first[name] for name in known if name in first and all(one.get(name) == first[name] for one in listed)
    }


def hash_files(files: Sequence[Path]) -> str:
    """Hash a file, or the hashes of several."""
    hashes = [hash_file(file) for file in files]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _format_of(file: Path) -> FileFormat:
    return FORMATS[file.suffix.lower()]


def to_texts(batch: Batch) -> pd.DataFrame:
    """Convert a batch to texts, empty where there is no value, indexed by position."""
    frame = to_frame(batch.rows)
    texts = {name: frame[name] if _is_text(frame[name]) else to_plain_text(frame[name]) for name in frame}
    return (
        pd.DataFrame(texts, index=pd.RangeIndex(len(frame)))
        .fillna("")
        .set_axis(batch.places, axis="index")
        .astype("str")
    )


def _is_text(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.StringDtype)
