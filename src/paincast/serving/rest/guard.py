"""What stands around every request: the token, headers, and an answer to whatever goes wrong."""

from __future__ import annotations

import hmac
import logging
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse

from paincast.errors import OutputError
from paincast.serving.rest.audit import REQUEST_ID, audit_request
from paincast.serving.rest.errors import RequestError, describe_place
from paincast.serving.rest.options import ServerOptions

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("paincast.rest")

OPEN_PATHS = ("/health", "/ready")
"""What probes ask, without a token: it tells neither of patients nor of models."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def guard(app: ASGIApp, options: ServerOptions) -> ASGIApp:
    """Let requests through that have the token, number them, and log what fails without its message.

    Parameters
    ----------
    app : ASGI application
        Answers what comes through.
    options : ServerOptions
        They have the token that clients have to send, and the audit log.
    """

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        scope[REQUEST_ID] = uuid.uuid4().hex
        added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
        added.append((b"x-request-id", scope[REQUEST_ID].encode()))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        if scope["path"] not in OPEN_PATHS and not _has_token(scope, options.token):
            with suppress(OutputError):
                audit_request(options.audit, scope, NO_TOKEN.status, NO_TOKEN.code)
            await respond(NO_TOKEN)(scope, receive, send_with_headers)
            return
        try:
            await app(scope, receive, send_with_headers)
        except Exception as error:  # the answer is sent already
            LOG.error("bug: %s\n%s", type(error).__name__, describe_place(error))

    return guarded


NO_TOKEN = RequestError(
    "needs the token of this server: Authorization: Bearer …",
    code="PC-REST-05",
    status=401,
    headers={"WWW-Authenticate": "Bearer"},
)


def _has_token(scope: Scope, token: str | None) -> bool:
    """Compare the token of a request in time that does not depend on it."""
    if token is None:
        return True
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    kind, _, sent = given.partition(b" ")
    return kind.lower() == b"bearer" and hmac.compare_digest(sent.strip(), token.encode())


def respond(error: RequestError) -> JSONResponse:
    """Make the response to a request that is refused."""
    return JSONResponse({"code": error.code, "message": str(error)}, error.status, error.headers)
