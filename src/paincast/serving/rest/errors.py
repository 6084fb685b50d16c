"""Errors of the REST server: a code, an HTTP status and a message that holds nothing of the request."""

from __future__ import annotations

import traceback
from collections.abc import Mapping

from paincast.errors import DataError, PaincastError

UNPROCESSABLE = 422

READING = {
    "PC-COHORT-07": "no patient has a column of the contract; /openapi.json lists the columns",
    "PC-COHORT-11": "a column appears twice, with names that differ in case or spaces only; keep one",
    "PC-COHORT-13": "a column of the patients holds lists or objects; give one number, text, or true or false",
}
"""Messages of errors that name what was given as a column: here they must not."""

UNREADABLE = "the patients cannot be read as a table; give a list with an object for each patient"


class RequestError(PaincastError):
    """A request is refused.

    Parameters
    ----------
    message : str
        What is allowed, and what to do; nothing of the request.
    code : str
        Stable code.
    status : int
        HTTP status.
    headers : mapping of str to str, optional
        Further headers of the response.
    """

    def __init__(
        self, message: str, *, code: str, status: int = UNPROCESSABLE, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.headers = dict(headers or {})


def refuse(error: PaincastError) -> RequestError:
    """Give an error that patients or what is asked of them caused the message it may have over HTTP."""
    if isinstance(error, RequestError):
        return error
    message = READING.get(error.code, UNREADABLE) if isinstance(error, DataError) else str(error)
    return RequestError(message, code=error.code)


def report_bug() -> RequestError:
    """Make the answer to a request that a bug ended."""
    return RequestError("the server could not answer; its log has the place", code="PC-REST-01", status=500)


def describe_place(error: BaseException) -> str:
    """Describe where an error was raised, without its message, which could hold a value of a patient."""
    return "".join(traceback.format_tb(error.__traceback__)).rstrip()
