"""The endpoints of the REST server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from paincast.errors import OutputError
from paincast.predictor.bundle import read_trusted_keys
from paincast.serving.rest.answers import Reply
from paincast.serving.rest.audit import audit_request
from paincast.serving.rest.errors import RequestError, describe_place, report_bug
from paincast.serving.rest.guard import guard, respond
from paincast.serving.rest.openapi import describe_server
from paincast.serving.rest.options import ServerOptions
from paincast.serving.rest.sources import ModelSources
from paincast.serving.rest.waiting import RETRY, WaitingRoom
from paincast.version import __version__

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOG = logging.getLogger("paincast.rest")

JSON = "application/json"


def load_sources(options: ServerOptions) -> ModelSources:
    """Load the models to serve for the first time; see :class:`ModelSources` for what is raised."""
    keys = None if options.trusted_keys is None else read_trusted_keys(options.trusted_keys)
    return ModelSources(options.models, keys)


@dataclass
class Server:
    """What the endpoints share: there from the start of the application to its end."""

    options: ServerOptions
    sources: ModelSources
    room: WaitingRoom


def make_app(options: ServerOptions, sources: ModelSources | None = None) -> ASGIApp:
    """Make the application.

    Parameters
    ----------
    options : ServerOptions
        From the command line.
    sources : ModelSources, optional
        Models that are loaded already; else they are loaded when the application starts.
    """

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        loaded = sources or load_sources(options)
        room = WaitingRoom(lambda: loaded.served, max_patients=options.max_patients, max_waiting=options.max_waiting)
        app.state.server = Server(options, loaded, room)
        refreshing = asyncio.create_task(_refresh(loaded, options.refresh_seconds))
        yield
        refreshing.cancel()
        room.close()

    # No page that loads scripts from elsewhere, and no redirection, which would repeat the address that was asked.
    app = FastAPI(lifespan=live, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_api_route("/predict", predict, methods=["POST"])
    for path, endpoint in (
        ("/health", tell_health),
        ("/ready", tell_ready),
        ("/models", list_models),
        ("/openapi.json", describe),
    ):
        app.add_api_route(path, endpoint, methods=["GET"])
    app.add_exception_handler(RequestError, _answer_refused)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_bug)
    return guard(app, options)


async def _refresh(sources: ModelSources, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(sources.refresh)
        except Exception as error:
            LOG.error("bug: %s\n%s", type(error).__name__, describe_place(error))


async def predict(request: Request) -> Response:
    """Predict for patients."""
    server: Server = request.app.state.server
    started = time.monotonic()
    refused: RequestError | None = None
    reply: Reply | None = None
    try:
        reply = await _answer(request, server)
    except RequestError as error:
        refused = error
    facts: dict[str, Any] = {"milliseconds": round(1000 * (time.monotonic() - started), 1)}
    status, code = (refused.status, refused.code) if refused else (200, "")
    try:
        audit_request(server.options.audit, request.scope, status, code, **facts, **(reply.facts if reply else {}))
    except OutputError as error:
        LOG.error("%s [%s]", error, error.code)
        refused = RequestError("the audit log cannot be written", code="PC-REST-51", status=503, headers=RETRY)
    if refused is not None or reply is None:
        return respond(refused or report_bug())
    return Response(reply.body, media_type=JSON)


async def _answer(request: Request, server: Server) -> Reply:
    """Read a request and wait for its answer."""
    try:
        async with asyncio.timeout(server.options.timeout_seconds):
            raw = await _read_body(request, server.options.max_bytes)
    except TimeoutError:
        raise RequestError("the body did not come in time", code="PC-REST-33", status=408) from None
    waiting = asyncio.wrap_future(server.room.enter(raw))
    try:
        return await asyncio.wait_for(waiting, server.options.timeout_seconds)
    except TimeoutError:
        raise RequestError(
            "the answer took too long; send fewer patients, or try again", code="PC-REST-34", status=504
        ) from None


async def _read_body(request: Request, max_bytes: int) -> bytes:
    """Read a body of JSON as it comes, and no more of it than is allowed."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON or request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(f"needs Content-Type: {JSON}, without compression", code="PC-REST-35", status=415)
    too_large = RequestError(f"the body has more than {max_bytes:,} bytes", code="PC-REST-36", status=413)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > max_bytes):
        raise too_large
    raw = bytearray()
    try:
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > max_bytes:
                raise too_large
    except ClientDisconnect:
        raise RequestError("the body ended early", code="PC-REST-37", status=400) from None
    return bytes(raw)


async def tell_health() -> Response:
    """Tell that the server is alive."""
    return JSONResponse({"status": "alive", "version": __version__})


async def tell_ready(request: Request) -> Response:
    """Tell whether models are loaded, and what keeps newer ones from being served."""
    sources: ModelSources = request.app.state.server.sources
    n_models = len(sources.served.models)
    content = {
        "ready": n_models > 0,
        "models": n_models,
        "loaded_at": sources.served.loaded_at,
        "problems": [problem.code for problem in sources.problems],
    }
    return JSONResponse(content, 200 if n_models else 503)


async def list_models(request: Request) -> Response:
    """List the models that are served."""
    sources: ModelSources = request.app.state.server.sources
    return JSONResponse(
        {
            "models": sources.served.describe(),
            "loaded_at": sources.served.loaded_at,
            "notes": list(sources.served.notes),
            "problems": [{"code": problem.code, "message": str(problem)} for problem in sources.problems],
        }
    )


async def describe(request: Request) -> Response:
    """Describe the server as OpenAPI."""
    server: Server = request.app.state.server
    return JSONResponse(describe_server(server.sources.served, server.options))


def _answer_refused(_: Request, error: Exception) -> Response:
    return respond(error if isinstance(error, RequestError) else report_bug())


def _answer_http_error(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = getattr(error, "headers", None)
    if status == 405:
        return respond(RequestError("the method is not allowed here", code="PC-REST-07", status=405, headers=headers))
    if status == 404:
        paths = "POST /predict, GET /models, /ready, /health, /openapi.json"
        return respond(RequestError(f"there is nothing here; there are: {paths}", code="PC-REST-06", status=404))
    return respond(RequestError("the request cannot be read", code="PC-REST-08", status=status))


def _answer_bug(_request: Request, _error: Exception) -> Response:
    return respond(report_bug())
