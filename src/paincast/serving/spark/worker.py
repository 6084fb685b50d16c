"""What a worker does: read some row groups, predict for them, write their parts, and say that they are finished."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from paincast.cohort.reading.stretches import PatientFiles, Stretch, open_stretch
from paincast.errors import DataError, OutputError, PaincastError
from paincast.serving.batch.part import PLAN, PartFiles, WholeInput, name_attempt, read_whole, stamp_parts
from paincast.serving.batch.plan import list_software
from paincast.serving.batch.scoring import PartMaker, cut_parts


class Work(NamedTuple):
    """What all workers need.

    Parameters
    ----------
    maker : PartMaker
        Makes parts.
    patients : PatientFiles
        The input, by absolute paths.
    sizes : mapping of Path to tuple of int
        Bytes of each file, and when it was modified.
    folder : Path
        Where parts are kept, an absolute path.
    suffix : str
        Format of the predictions.
    stamp : str
        What parts are made from, see :func:`paincast.serving.batch.part.stamp_parts`.
    part_rows : int
        Rows of a part.
    software : mapping of str to str
        Versions on which the digits depend.
    """

    maker: PartMaker
    patients: PatientFiles
    sizes: Mapping[Path, tuple[int, int]]
    folder: Path
    suffix: str
    stamp: str
    part_rows: int
    software: Mapping[str, str]


class Failure(NamedTuple):
    """An error that a user can mend, on its way to whoever shows it."""

    kind: str
    message: str
    code: str


class WorkerError(Exception):
    """Anything else: Spark tries again. Only its type is told, because its message may hold a patient's value."""


def make_stretch(work: Work, stretch: Stretch, finished: Collection[int]) -> Failure | None:
    """Make the parts of a stretch that are not finished.

    A part may be made twice, by attempts that know nothing of each other: the first that is recorded counts.
    """
    try:
        _check_worker(work, stretch)
        whole = _read_whole(work.folder, work.stamp)
        with open_stretch(work.patients, stretch) as opened:
            for number, batches in cut_parts(opened, stretch, work.part_rows):
                if number in finished:
                    continue
                files = PartFiles(work.folder, number, work.suffix, name_attempt())
                try:
                    made = work.maker.make(batches, opened, whole, files)
                    _refuse_other_files(work, stretch)
                    files.leave(work.stamp, **made.facts)
                finally:
                    files.remove()
    except PaincastError as error:
        return Failure(type(error).__name__, str(error), error.code)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise WorkerError(f"{type(error).__name__} in {last.name}, line {last.lineno}") from None
    return None


def _check_worker(work: Work, stretch: Stretch) -> None:
    """Refuse to work with other versions, or without the files.

    Raises
    ------
    OutputError, DataError
        If it must not, or cannot.
    """
    here = list_software()
    given = work.software.items()
    others = [f"{name} {here.get(name)} instead of {version}" for name, version in given if here.get(name) != version]
    if others:
        raise OutputError(
            f"a Spark worker has other versions than this process: {', '.join(others)}; digits could differ: install "
            "the same on all machines, and let PYSPARK_PYTHON name it",
            code="PC-SPARK-04",
        )
    if not (work.folder / PLAN).is_file():
        raise OutputError(
            f"a Spark worker cannot see {work.folder}; the output must be on a file system that all machines share "
            "under the same path, for the same user",
            code="PC-SPARK-05",
        )
    _refuse_other_files(work, stretch)


def _refuse_other_files(work: Work, stretch: Stretch) -> None:
    for source in work.patients.list_sources(stretch):
        try:
            found = source.file.stat()
        except OSError as error:
            raise DataError(
                f"a Spark worker cannot see {source.file}; the input must be on a file system that all machines share "
                "under the same path",
                code="PC-SPARK-06",
            ) from error
        if (found.st_size, found.st_mtime_ns) != work.sizes[source.file]:
            raise DataError(
                f"{source.file} is another file on a Spark worker, or changed while it was read; run again when it is "
                "written in full",
                code="PC-SPARK-07",
            )


@lru_cache(maxsize=1)
def _read_whole(folder: Path, stamp: str) -> WholeInput:
    """Read what is decided of the whole input, once in a worker."""
    whole = read_whole(folder)
    if whole is None or stamp_parts(folder) != stamp:
        raise WorkerError("the run that asked for this has ended, or its files are not seen yet")
    return whole
