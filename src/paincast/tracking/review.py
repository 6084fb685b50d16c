"""Open the MLflow UI on the resolved store."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

from paincast.errors import OutputError, SettingsError
from paincast.tracking.store import SERVERS, VIEW, Store, prepare_store

HOST = "127.0.0.1"
PORT = 5000
PORTS_TRIED = 50
START_SECONDS = 120.0
LOOK_SECONDS = 0.2
MODEL_RUNS = f"workflowType=machine_learning&viewStateShareKey={VIEW}"
"""The first page: the saved view of the experiment, which lists models with their verdicts."""

SERVER_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PYTHONWARNINGS": "ignore",
}
"""Environment of the server unless the user has set it: no telemetry, no job runner, errors only."""


def review_command(store: Store, *, host: str = HOST, port: int = PORT) -> list[str]:
    """Return the command that serves the MLflow UI of a store.

    Parameters
    ----------
    store : Store
        From :func:`paincast.tracking.store.resolve_store`; a database, not a tracking server with its UI.
    host : str
        Address to listen on. MLflow only accepts browsers of this machine and of private networks.
    port : int
        Port to listen on.

    Returns
    -------
    list of str
        Program and arguments; :func:`review_environment` provides the address of the store.

    Raises
    ------
    SettingsError
        If the store is a tracking server: open its address instead.
    """
    if store.artifacts is None or store.uri.partition(":")[0] in SERVERS:
        raise SettingsError(
            f"the store {store.address} is a server with its own UI; open it in a browser", code="PC-TRACKING-09"
        )
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--default-artifact-root", store.artifacts if "://" in store.artifacts else Path(store.artifacts).as_uri()),
        "--no-serve-artifacts",
        *("--host", host, "--port", str(port), "--workers", "1"),
        *("--uvicorn-opts", "--log-level warning"),
    ]


def review_environment(store: Store) -> dict[str, str]:
    """Return the environment of the server; the store's address may hold a password, so it is not an argument."""
    addresses = {"MLFLOW_BACKEND_STORE_URI": store.uri, "MLFLOW_REGISTRY_STORE_URI": store.uri}
    return SERVER_SETTINGS | dict(os.environ) | addresses


def find_free_port(host: str = HOST, first: int = PORT) -> int:
    """Find the first free port from ``first`` on.

    Raises
    ------
    OutputError
        If none of the next fifty ports is free.
    """
    for port in range(first, min(first + PORTS_TRIED, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OutputError(
        f"no free port from {first} to {first + PORTS_TRIED - 1} on {host}; give another with --port",
        code="PC-TRACKING-10",
    )


def open_review(store: Store, *, host: str = HOST, port: int = PORT, open_browser: bool = True) -> int:
    """Serve the MLflow UI of a store until interrupted, and print its address.

    Parameters
    ----------
    store : Store
        From :func:`paincast.tracking.store.resolve_store`.
    host : str
        Address to listen on.
    port : int
        First port to try.
    open_browser : bool
        Whether to open the default browser.

    Returns
    -------
    int
        Exit code: 0 if the user ended it.

    Raises
    ------
    OutputError
        If the server does not start.
    SettingsError
        If the store is a tracking server.
    """
    free = find_free_port(host, port)
    command = review_command(store, host=host, port=free)
    address = f"http://{host}:{free}/#/experiments/{prepare_store(store)}/runs?{MODEL_RUNS}"
    environment = review_environment(store)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as server:  # noqa: S603 (no shell)
        try:
            _await_server(server, host, free)
            print(f"MLflow shows {store.address} at {address}\nPress Ctrl-C to end.", flush=True)
            if open_browser:
                webbrowser.open(address)
            return _await_end(server)
        except KeyboardInterrupt:
            return 0
        finally:
            server.terminate()


def _await_server(server: subprocess.Popen[bytes], host: str, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise OutputError(
                f"the MLflow UI did not start (exit code {server.returncode}); its message is shown above",
                code="PC-TRACKING-11",
            )
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(LOOK_SECONDS)
    raise OutputError(
        f"the MLflow UI did not answer within {START_SECONDS:g} s on {host}:{port}", code="PC-TRACKING-12"
    )


def _await_end(server: subprocess.Popen[bytes]) -> int:
    """Wait by polling: with a library that installs a signal handler (polars), ``wait`` ignores an interrupt.

    Such a handler restarts the system call, so an interrupt sent to this process alone would have no effect.
    """
    while (code := server.poll()) is None:
        time.sleep(LOOK_SECONDS)
    return code
