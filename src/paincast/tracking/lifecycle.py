"""The life of a run: it starts, it ends as what it was, and what a killed process left open is closed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from paincast.environment import hide_values
from paincast.errors import OutputError, PaincastError
from paincast.tracking.store import Store

PROCESS = "process"
"""Tag of a run: host, boot, process namespace, process id and start time of the process that records it."""

MOST_RUNS = 1000


@contextmanager
def started_run(
    store: Store,
    experiment_id: str,
    name: str,
    tags: Mapping[str, str],
    description: str | None = None,
    parent: str | None = None,
) -> Iterator[str]:
    """Record a run for as long as the block lasts: finished, failed when the block raises, killed when interrupted.

    Parameters
    ----------
    store : Store
        Store in use.
    experiment_id, name, tags, description
        Of the run.
    parent : str, optional
        Id of the run above it.

    Yields
    ------
    str
        The id of the run.

    Raises
    ------
    OutputError
        If the store cannot be written.
    """
    import mlflow

    with mlflow_errors_in_words(store):
        run_id = mlflow.start_run(
            experiment_id=experiment_id,
            run_name=name,
            nested=True,
            parent_run_id=parent,
            tags={**tags, PROCESS: identify_process()},
            description=description,
        ).info.run_id
    try:
        yield run_id
    except BaseException as error:
        with suppress(Exception):
            failure = hide_values(str(error)) if isinstance(error, PaincastError) else type(error).__name__
            mlflow.set_tag("failure", failure)
        with suppress(Exception):  # a store that cannot be written keeps the run open; the next training closes it
            mlflow.end_run("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    with mlflow_errors_in_words(store):
        mlflow.end_run()


@contextmanager
def mlflow_errors_in_words(store: Store) -> Iterator[None]:
    """Say in one line that a run could not be recorded, and why."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise OutputError(
            f"the run could not be recorded in {store.address} ({type(error).__name__}: {reason}); it is marked as "
            "failed where the store can be written",
            code="PC-TRACKING-01",
        ) from error


def close_abandoned_runs(experiment_id: str) -> list[str]:
    """End runs as killed whose process is surely gone.

    A run of another machine, container or boot is left alone, as is one whose process cannot be told.

    Parameters
    ----------
    experiment_id : str
        Experiment in the store in use.

    Returns
    -------
    list of str
        Ids of the runs that were closed.
    """
    from mlflow import MlflowClient

    client = MlflowClient()
    running = client.search_runs([experiment_id], "attributes.status = 'RUNNING'", max_results=MOST_RUNS)
    abandoned = [run.info.run_id for run in running if is_gone(run.data.tags.get(PROCESS, ""))]
    for run_id in abandoned:
        client.set_tag(run_id, "failure", "the process ended before the run did")
        client.set_terminated(run_id, "KILLED")
    return abandoned


def identify_process() -> str:
    """Identify this process so that another of the same machine can tell whether it still runs; empty where it cannot.

    Returns
    -------
    str
        ``host boot namespace pid start``.
    """
    machine, start = _identify_machine(), _read_start(os.getpid())
    return f"{machine} {os.getpid()} {start}" if machine and start else ""


def is_gone(process: str) -> bool:
    """Say whether a process of this machine, as :func:`identify_process` wrote it, has surely ended.

    Parameters
    ----------
    process : str
        The tag of a run; empty for none.
    """
    machine, _, own = process.strip().rpartition(" ")
    machine, _, pid = machine.rpartition(" ")
    if not machine or machine != _identify_machine() or not pid.isdecimal():
        return False
    return _read_start(int(pid)) != own and not _is_hidden(int(pid))


def _identify_machine() -> str:
    """Name the machine, its boot and the namespace that numbers processes: within them a number means one process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        return ""
    return f"{socket.gethostname()} {boot} {namespace}"


def _is_hidden(pid: int) -> bool:
    """Say whether a process is there although /proc does not show it: that of another user may be hidden."""
    if Path(f"/proc/{pid}").exists():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _read_start(pid: int) -> str:
    """Read when a process started, in ticks since boot; empty where there is none, or it is dead and not yet reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in ("Z", "X") else fields[18]
