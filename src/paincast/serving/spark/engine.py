"""Hand the work of a batch prediction out to Spark workers, and gather the parts that they finish."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from paincast.cohort.reading.several import Source
from paincast.cohort.reading.stretches import PARQUET, Stretch
from paincast.errors import DataError, OutputError, PaincastError, RefusalError, SettingsError
from paincast.serving.batch.run import Run
from paincast.serving.spark.session import hold_session, require_spark
from paincast.serving.spark.worker import Failure, Work, make_stretch

if TYPE_CHECKING:
    from pyspark import SparkContext

POLL_SECONDS = 0.2
"""How often finished parts are looked for."""

SEEN_WITHIN_SECONDS = 60.0
"""How long a file of a worker may take to be seen here: network file systems keep what they know of a folder."""

_KINDS: dict[str, type[PaincastError]] = {
    kind.__name__: kind for kind in (DataError, OutputError, RefusalError, SettingsError)
}


class SparkEngine:
    """Has Spark workers make the parts; use it as a context, which ends the session that it started.

    Parameters
    ----------
    master : str, optional
        Address of the master, such as ``spark://host:7077`` or ``yarn``; by default as Spark is configured
        (spark-submit, ``spark-defaults.conf``), and this machine if it is not.
    """

    def __init__(self, master: str | None = None) -> None:
        self._master = master
        self._context: SparkContext | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._context = None

    def check(self, sources: Sequence[Source]) -> None:
        """Refuse input that cannot be divided, or a machine without pyspark or Java.

        Raises
        ------
        DataError
            If a file is not Parquet.
        SettingsError
            If pyspark or Java is missing.
        """
        for source in sources:
            if source.file.suffix.lower() not in PARQUET:
                raise DataError(
                    f"{source.file}: --engine spark reads Parquet files only, whose row groups can be read apart; "
                    "write it as Parquet, or leave out --engine",
                    code="PC-SPARK-08",
                )
        require_spark()

    def make_parts(self, run: Run) -> None:
        """Make the parts that are not finished; the first, which tells how columns are read, in this process.

        Raises
        ------
        PaincastError
            If a worker refuses to go on, or Spark gives up.
        """
        if run.folder.whole is None:
            run.make_parts(most=1)
        stretches = run.list_unfinished()
        if not stretches:
            return
        if self._context is None:
            run.progress.describe("starting Spark")
            self._context = self._stack.enter_context(hold_session(self._master)).sparkContext
        run.progress.describe("predicting")
        _distribute(self._context, run, stretches)


def _distribute(context: SparkContext, run: Run, stretches: Sequence[Stretch]) -> None:
    """Have workers make the parts of some stretches, and record them as they are finished."""
    work = context.broadcast(_describe_work(run))
    tasks = [(stretch, [n for n in stretch.numbers if n in run.folder.finished]) for stretch in stretches]
    group = f"paincast {run.folder.stamp}"

    def make() -> list[Failure | None]:
        context.setJobGroup(group, "paincast predict", interruptOnCancel=True)
        made = context.parallelize(tasks, len(tasks)).map(lambda task: make_stretch(work.value, *task))
        failures: list[Failure | None] = made.collect()
        return failures

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(make)
        try:
            while not wait([job], timeout=POLL_SECONDS).done:
                _adopt(run)
        except BaseException:
            while not wait([job], timeout=POLL_SECONDS).done:  # it may not have begun yet
                with suppress(Exception):
                    context.cancelJobGroup(group)
            raise
        finally:
            _adopt(run)
    work.unpersist()
    _raise_failure(job)
    _await_parts(run)


def _describe_work(run: Run) -> Work:
    patients = run.patients
    sources = tuple(source._replace(file=source.file.absolute()) for source in patients.sources)
    facts = [run.facts[source] for source in patients.sources]
    return Work(
        maker=run.maker,
        patients=replace(patients, path=patients.path.absolute(), sources=sources),
        sizes={source.file: (fact.st_size, fact.st_mtime_ns) for source, fact in zip(sources, facts, strict=True)},
        folder=run.folder.path.absolute(),
        suffix=run.folder.suffix,
        stamp=run.folder.stamp,
        part_rows=run.part_rows,
        software=run.plan["software"],
    )


def _adopt(run: Run) -> None:
    for part in run.folder.adopt():
        run.progress.advance(part.tally.n_patients)


def _raise_failure(job: Future[list[Failure | None]]) -> None:
    """Raise what a worker refused, or why Spark gave up; what it says may hold a patient's value, and is not told."""
    try:
        failures = [failure for failure in job.result() if failure is not None]
    except Exception as error:
        text = str(error)
        if re.search(r"No module named '?paincast", text):
            raise OutputError(
                "Spark workers have no paincast: install this version on all machines, and let PYSPARK_PYTHON name the "
                "Python that has it",
                code="PC-SPARK-09",
            ) from None
        if "PYTHON_VERSION_MISMATCH" in text:
            raise OutputError(
                "Spark workers run another Python than this process; let PYSPARK_PYTHON name the same version",
                code="PC-SPARK-10",
            ) from None
        found = re.search(r"WorkerError: (\w+ in \w+, line \d+)", text)
        raise OutputError(
            f"the Spark job failed ({found[1] if found else type(error).__name__}); the logs of Spark tell more",
            code="PC-SPARK-11",
        ) from None
    for failure in failures:
        kind = _KINDS.get(failure.kind, DataError)
        raise kind(failure.message, code=failure.code)


def _await_parts(run: Run) -> None:
    """Wait until the parts of all workers are seen."""
    end = time.monotonic() + SEEN_WITHIN_SECONDS
    while run.list_unfinished():
        if time.monotonic() > end:
            raise OutputError(
                f"parts that Spark workers made are not seen in {run.folder.path}; it must be on a file system that "
                "all machines share",
                code="PC-SPARK-12",
            )
        time.sleep(POLL_SECONDS)
        _adopt(run)
