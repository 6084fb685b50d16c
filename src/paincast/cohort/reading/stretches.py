"""Divide files of patients into stretches that different processes can read, each into the same parts.

Row groups of Parquet files can be read without the rows before them: small ones are gathered to a part, a large one is
read in several. Any other input is one stretch, which has to be read from its beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from paincast.cohort.reading.batches import Batch
from paincast.cohort.reading.binary.parquet import list_group_rows
from paincast.cohort.reading.files import (
    PatientTable,
    count_rows,
    open_source,
    open_table,
    refuse_other_columns,
    shift_batches,
)
from paincast.cohort.reading.several import Source, list_sources
from paincast.cohort.reading.types import Dialect, Span
from paincast.cohort.rejects import Extent

PARQUET = (".parquet", ".pq")
"""Suffixes of files that can be divided."""


class Piece(NamedTuple):
    """Some row groups of a file, which is given by its position among the files."""

    file: int
    span: Span


class Stretch(NamedTuple):
    """What is read at once.

    Parameters
    ----------
    first : int
        Number of its first part.
    n_parts : int or None
        Parts into which it is cut; None if only reading tells.
    pieces : tuple of Piece
        What it consists of; none stands for the whole input.
    """

    first: int
    n_parts: int | None
    pieces: tuple[Piece, ...] = ()

    @property
    def numbers(self) -> range:
        """Numbers of its parts, as far as they are known."""
        return range(self.first, self.first + (self.n_parts or 0))


EVERYTHING = Stretch(1, None)


def plan_stretches(groups: Sequence[Sequence[int]], part_rows: int) -> list[Stretch]:
    """Divide Parquet files into stretches.

    Parameters
    ----------
    groups : sequence of sequence of int
        Rows of each row group, by file.
    part_rows : int
        Most rows of a part.

    Examples
    --------
    >>> [(stretch.first, stretch.n_parts, len(stretch.pieces)) for stretch in plan_stretches([[4, 4, 4], [5, 25]], 10)]
    [(1, 1, 1), (2, 1, 2), (3, 3, 1)]
    """
    stretches: list[Stretch] = []
    pieces: list[Piece] = []
    n_gathered = 0

    def close(n_parts: int = 1) -> None:
        nonlocal n_gathered
        if pieces:
            first = stretches[-1].numbers.stop if stretches else 1
            stretches.append(Stretch(first, n_parts, tuple(pieces)))
            pieces.clear()
        n_gathered = 0

    for file, counts in enumerate(groups):
        before = 0
        for group, n_rows in enumerate(counts):
            if n_gathered + n_rows > part_rows:
                close()
            if pieces and pieces[-1].file == file:
                pieces[-1] = Piece(file, pieces[-1].span._replace(stop=group + 1))
            elif n_rows:
                pieces.append(Piece(file, Span(group, group + 1, before)))
            n_gathered += n_rows
            if n_rows > part_rows:
                close(-(-n_rows // part_rows))
            before += n_rows
    close()
    return stretches


@dataclass(frozen=True, kw_only=True)
class PatientFiles:
    """Files that are read together.

    Parameters
    ----------
    path : Path
        A file, a sheet, a folder or a pattern, as for :func:`paincast.cohort.reading.files.open_table`.
    sources : tuple of Source
        The files.
    options : mapping of str to object
        Further arguments of :func:`paincast.cohort.reading.files.open_table`.
    columns : tuple of str
        Names of all columns of the first file.
    extents : tuple of Extent
        Where the positions of each file begin; only for Parquet files.
    stretches : tuple of Stretch
        What is read at once, in the order of the rows.
    unread : list of PatientTable
        Other files than Parquet: the open table, until it is read.
    """

    path: Path
    sources: tuple[Source, ...]
    options: Mapping[str, Any]
    columns: tuple[str, ...]
    extents: tuple[Extent, ...]
    stretches: tuple[Stretch, ...]
    unread: list[PatientTable] = field(default_factory=list)

    @property
    def is_divided(self) -> bool:
        """Whether stretches can be read in any order, and by several processes."""
        return bool(self.extents)

    def list_sources(self, stretch: Stretch) -> list[Source]:
        """List the files that a stretch reads."""
        return [self.sources[piece.file] for piece in stretch.pieces] or list(self.sources)


@contextmanager
def open_files(path: Path, *, part_rows: int, **options: Any) -> Iterator[PatientFiles]:
    """Find the files that a path means, and divide them into stretches.

    Parameters
    ----------
    path : Path
        As for :func:`paincast.cohort.reading.files.open_table`.
    part_rows : int
        Most rows of a part.
    **options
        Further arguments of that function.

    Yields
    ------
    PatientFiles

    Raises
    ------
    DataError
        If a file cannot be opened; if one of several Parquet files has other columns than the first.
    """
    sources = tuple(list_sources(path))
    if any(source.file.suffix.lower() not in PARQUET for source in sources):
        with open_table(path, **options) as opened:
            yield PatientFiles(
                path=path,
                sources=sources,
                options=options,
                columns=opened.columns,
                extents=(),
                stretches=(EVERYTHING,),
                unread=[opened],
            )
        return
    with open_source(sources[0], **options) as first:
        for source in sources[1:]:
            with open_source(source, **options) as opened:
                refuse_other_columns(source, opened, sources[0], first, lambda name: name in options["used"])
    groups = [list_group_rows(source.file) for source in sources]
    before, extents = 0, []
    for source, counts in zip(sources, groups, strict=True):
        extents.append(Extent(source.name, before))
        before += sum(counts)
    yield PatientFiles(
        path=path,
        sources=sources,
        options=options,
        columns=first.columns,
        extents=tuple(extents),
        stretches=tuple(plan_stretches(groups, part_rows)),
    )


@contextmanager
def open_stretch(files: PatientFiles, stretch: Stretch) -> Iterator[PatientTable]:
    """Open what is read at once; the positions of its rows are those in the whole input."""
    if not stretch.pieces and files.unread:
        yield files.unread.pop()
        return
    if not stretch.pieces:
        with open_table(files.path, **files.options) as opened:
            yield opened
        return
    yield PatientTable(
        columns=files.columns,
        batches=_read_pieces(files, stretch),
        dialects=[Dialect()],
        labels={},
        remarks=[],
        extents=list(files.extents),
    )


def _read_pieces(files: PatientFiles, stretch: Stretch) -> Iterator[Batch]:
    names = [name for name in files.columns if name in files.options["used"]]
    for piece in stretch.pieces:
        with open_source(files.sources[piece.file], span=piece.span, **files.options) as opened:
            yield from shift_batches(opened.batches, files.extents[piece.file].before, names)


def count_all_rows(files: PatientFiles) -> int:
    """Count the rows of all files, as far as that is known before they are read."""
    return sum(count_rows(source.file) or 0 for source in files.sources)
