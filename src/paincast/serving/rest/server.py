"""Run the REST server: the socket, one process or several, and a stop that lets running requests finish."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.supervisors import Multiprocess

from paincast.errors import OutputError
from paincast.serving.rest.app import load_sources, make_app
from paincast.serving.rest.options import ServerOptions, check_options
from paincast.serving.rest.sources import ModelSources

if TYPE_CHECKING:
    from starlette.types import ASGIApp

PATIENCE = 5.0
"""Seconds beyond its time limit that a running request has when the server stops."""

IDLE = 60
"""Seconds that a connection is kept open between requests."""

SLOWEST_START = 120
"""Seconds within which a process has to answer its parent, which restarts it otherwise."""

MOST_CONNECTING = 2048
"""Most connections that wait until a process takes them."""

TURN = 0.001
"""Seconds that a process leaves to the others after it took a connection."""


def serve(options: ServerOptions, *, tell: Callable[[str], None] = print) -> None:
    """Serve models until the process is asked to stop (SIGTERM or SIGINT), and return when running requests are done.

    Parameters
    ----------
    options : ServerOptions
        What to serve, where and how.
    tell : callable
        Is told in a line what is served and where.

    Raises
    ------
    SettingsError
        If other machines are served without a token.
    OutputError
        If the address cannot be listened on.
    PaincastError
        If there are no models, or they cannot be loaded.
    """
    check_options(options)
    _log_to_stderr()
    with listen(options.host, options.port) as listener:
        sources = load_sources(options)
        host = f"[{options.host}]" if ":" in options.host else options.host
        tell(
            f"serving {len(sources.served.models)} models at http://{host}:{listener.getsockname()[1]} "
            "(described at /openapi.json); end with Ctrl-C"
        )
        for note in sources.served.notes:
            tell(f"note: {note}")
        if options.workers == 1:
            _run_alone(options, sources, listener)
        else:
            del sources  # each process loads its own
            _run_workers(options, listener)


def _run_alone(options: ServerOptions, sources: ModelSources, listener: socket.socket) -> None:
    # A second handler of these signals would end the process once uvicorn has stopped: it raises them again.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvicorn.Server(configure(make_app(options, sources), options)).run([listener])


def _run_workers(options: ServerOptions, listener: socket.socket) -> None:
    # asyncio takes as many connections at a time as may wait; of those that come at once, one process would take all.
    taking_turns = {"backlog": 1, "callback_notify": partial(_lengthen_queue, listener), "http": _TakingTurns}
    app = partial(_make_app_of_worker, options)
    config = configure(app, options, factory=True, workers=options.workers, **taking_turns)
    supervisor = Multiprocess(config, [listener])
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise OutputError("a process of the server could not start; its log says why", code="PC-REST-61")


class _TakingTurns(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Takes a connection, and then lets another process take the next."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        time.sleep(TURN)


async def _lengthen_queue(listener: socket.socket) -> None:
    """Let connections wait, now that the process listens."""
    listener.listen(MOST_CONNECTING)


def _make_app_of_worker(options: ServerOptions) -> ASGIApp:
    _log_to_stderr()
    threading.Thread(target=_end_after_parent, daemon=True).start()
    return make_app(options)


def _end_after_parent() -> None:
    """Stop this process as SIGTERM does, once its parent is gone: one that was killed cannot stop the others."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _log_to_stderr() -> None:
    """Log warnings, and which models are served."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("paincast.rest").setLevel(logging.INFO)


def configure(app: Any, options: ServerOptions, **more: Any) -> uvicorn.Config:
    """Configure uvicorn: no log of addresses, no header that names it, and time for running requests to finish."""
    return uvicorn.Config(
        app,
        access_log=False,  # it would hold whatever a client writes into an address
        proxy_headers=False,  # what a client writes there would become its address in the audit log
        log_config=None,
        log_level="warning",
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=int(options.timeout_seconds + PATIENCE),
        timeout_worker_healthcheck=SLOWEST_START,
        **more,
    )


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket; it is listened on only when models are loaded.

    Raises
    ------
    OutputError
        If the address is in use, or is not one of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(
            family, kind, protocol
        )  # without its protocol, asyncio would wait 40 ms with each answer
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise OutputError(
            f"cannot listen on {host}:{port}: {reason}; choose another --port", code="PC-REST-60"
        ) from None
    listener.set_inheritable(True)
    return listener
