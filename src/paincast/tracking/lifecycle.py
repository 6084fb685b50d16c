"""Start and end runs with the right status, and close runs that a killed process left open."""

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
"""Tag of a run: host, boot, process namespace, process id and start time of the process that logs it."""

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
    """Start a run and end it with the block: as finished, failed if the block raises, or killed if interrupted.

    Parameters
    ----------
    store : Store
        Store in use.
    experiment_id, name, tags, description
        Attributes of the run.
    parent : str, optional
        Id of the parent run.

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
    """Turn MLflow's errors into a one-line OutputError."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise OutputError(
            f"the run could not be recorded in {store.address} ({type(error).__name__}: {reason}); it is marked as "
            "failed if the store can be written",
            code="PC-TRACKING-01",
        ) from error


def close_abandoned_runs(experiment_id: str) -> list[str]:
    """End runs as killed if their process is certainly gone.

    Runs of another machine, container or boot are left alone, and so are runs with an unknown process.

    Parameters
    ----------
    experiment_id : str
        Experiment in the current store.

    Returns
    -------
    list of str
        Ids of the closed runs.
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
    """Identify this process so that another process can check whether it still runs; empty if that is not possible.

    Returns
    -------
    str
        ``host boot namespace pid start``.
    """
    machine, start = _identify_machine(), _read_start(os.getpid())
    return f"{machine} {os.getpid()} {start}" if machine and start else ""


def is_gone(process: str) -> bool:
    """Check whether a process of this machine, as written by :func:`identify_process`, has certainly ended.

    Parameters
    ----------
    process : str
        The tag of a run; empty if there is none.
    """
    machine, _, start = process.strip().rpartition(" ")
    machine, _, pid = machine.rpartition(" ")
    if not machine or machine != _identify_machine() or not pid.isdecimal():
        return False
    return _read_start(int(pid)) != start and not _is_hidden(int(pid))


def _identify_machine() -> str:
    """Name the machine, its boot and the process namespace: within these a process id is unique."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        return ""
    return f"{socket.gethostname()} {boot} {namespace}"


def _is_hidden(pid: int) -> bool:
    """Check whether a process exists although /proc does not show it, as may be the case for another user's."""
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
    """Read the start time of a process in ticks since boot; empty if it does not exist or is dead but not reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in ("Z", "X") else fields[18]
