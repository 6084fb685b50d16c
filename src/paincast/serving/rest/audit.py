"""The audit log: a line of JSON for each request, with counts and versions, never an id or a value of a patient."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paincast.errors import OutputError

if TYPE_CHECKING:
    from starlette.types import Scope

REQUEST_ID = "paincast.request"
"""Where a request's scope has its number."""


def audit_request(file: Path | None, scope: Scope, status: int, code: str = "", **facts: Any) -> None:
    """Append a line on a request to the log, if there is one.

    Parameters
    ----------
    file : Path or None
        The log.
    scope : mapping
        The request, of which its number and the address of the client are told.
    status : int
        HTTP status of the response.
    code : str
        Code of the error, if it is one.
    **facts
        What else is known.

    Raises
    ------
    OutputError
        If the line cannot be written.
    """
    if file is None:
        return
    client = scope.get("client")
    told = {"request": scope[REQUEST_ID], "client": client[0] if client else "", "status": status}
    _write_line(file, {**told, **({"code": code} if code else {}), **facts})


def _write_line(file: Path, facts: dict[str, Any]) -> None:
    """Append a line, with the time, to a file that only its owner may read.

    It is opened for each line, so that it can be moved away at any time, and written at once, so that the lines of
    several processes do not mix.
    """
    line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **facts}) + "\n"
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OutputError(f"{file} cannot be written: {error.strerror or error}", code="PC-REST-50") from error
