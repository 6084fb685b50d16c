"""What can be set of the REST server, checked once before anything starts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from paincast.errors import SettingsError

TOKEN_VARIABLE = "PAINCAST_TOKEN"  # noqa: S105
FEWEST_CHARACTERS = 16
"""Fewest characters of a token."""


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Options of the REST server.

    Parameters
    ----------
    models : tuple of str
        Folders of models and MLflow addresses; a name of a registered model may have ``*``.
    host : str
        Address to listen on.
    port : int
        Port; 0 takes a free one.
    workers : int
        Processes that answer.
    refresh_seconds : float
        How often the models are looked at.
    trusted_keys : Path, optional
        PEM file of public keys, one of which must have signed each model.
    max_patients, max_bytes : int
        Most patients, and most bytes, of a request.
    timeout_seconds : float
        Longest time for a request to come, and for its answer.
    max_waiting : int
        Most requests that wait for an answer.
    audit : Path, optional
        File of the audit log.
    token : str, optional
        What clients have to send as ``Authorization: Bearer``.
    """

    models: tuple[str, ...] = ("models",)
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    refresh_seconds: float = 5.0
    trusted_keys: Path | None = None
    max_patients: int = 1000
    max_bytes: int = 5_000_000
    timeout_seconds: float = 30.0
    max_waiting: int = 100
    audit: Path | None = None
    token: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def check_options(options: ServerOptions) -> None:
    """Refuse to serve other machines without a token.

    Raises
    ------
    SettingsError
        If the host is not a loopback address and there is no token.
    """
    if options.token is None and not options.is_local:
        raise SettingsError(
            f"host: other machines can reach {options.host}; set a token for it (--token-file, or the variable "
            f"{TOKEN_VARIABLE}), or serve 127.0.0.1",
            code="PC-REST-02",
        )


def read_token(file: Path | None) -> str | None:
    """Read the token that clients have to send: from a file, or else from the environment.

    Parameters
    ----------
    file : Path, optional
        A file that holds nothing else.

    Returns
    -------
    str or None
        None if there is neither a file nor the variable ``PAINCAST_TOKEN``.

    Raises
    ------
    SettingsError
        If the file cannot be read, or the token is too short or not of printable ASCII.
    """
    if file is None:
        given = os.environ.get(TOKEN_VARIABLE)
    else:
        try:
            given = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"token: {file} cannot be read ({type(error).__name__})", code="PC-REST-03") from None
    if given is None:
        return None
    token = given.strip()
    if len(token) < FEWEST_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(
            f"token: needs {FEWEST_CHARACTERS} or more printable ASCII characters without spaces; "
            "make one with: openssl rand -hex 32",
            code="PC-REST-04",
        )
    return token
