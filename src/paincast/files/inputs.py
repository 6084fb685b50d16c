"""Check input files before they are opened, and check after reading that they did not change."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from paincast.errors import DataError, PaincastError

_KINDS = (
    (stat.S_ISDIR, "is a directory"),
    (stat.S_ISFIFO, "is a named pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


def require_regular_file(
    path: str | Path, *, allowed: str = "a file", error: type[PaincastError] = DataError
) -> os.stat_result:
    """Refuse a path that is not a regular file before opening it, because opening a pipe or device could block.

    Parameters
    ----------
    path : str or Path
        Path given by the user.
    allowed : str
        What to give instead, for the message.
    error : type of PaincastError
        Exception to raise.

    Returns
    -------
    os.stat_result
        Status of the file, for :func:`refuse_changed_file`.

    Raises
    ------
    PaincastError
        If the path does not exist, is not readable, or is a directory, a named pipe, a socket or a device.
    """
    file = Path(path)
    try:
        facts = file.stat()
    except (OSError, ValueError) as problem:
        raise error(f"{file} {_describe_unreachable(file, problem)}", code="PC-FILES-17") from problem
    for is_kind, words in _KINDS:
        if is_kind(facts.st_mode):
            raise error(f"{file} {words}; give {allowed}", code="PC-FILES-18")
    if not os.access(file, os.R_OK):
        raise error(f"{file} cannot be read: permission denied", code="PC-FILES-19")
    return facts


def _describe_unreachable(file: Path, problem: OSError | ValueError) -> str:
    if isinstance(problem, ValueError):
        return "is not a path: it holds a null character"
    if isinstance(problem, FileNotFoundError):
        return "is a link to a file that does not exist" if file.is_symlink() else "does not exist"
    if isinstance(problem, NotADirectoryError):
        return "does not exist: a part of its path is a file, not a folder"
    if problem.errno == errno.ELOOP:
        return "is a link that leads back to itself"
    return f"cannot be read: {(problem.strerror or type(problem).__name__).lower()}"


def refuse_changed_file(path: str | Path, before: os.stat_result) -> None:
    """Refuse a file that was written, replaced or removed since ``before``: the data read may be inconsistent.

    Raises
    ------
    DataError
        If size, modification time or identity differ.
    """
    now = require_regular_file(path)
    if any(getattr(now, name) != getattr(before, name) for name in ("st_size", "st_mtime_ns", "st_ino", "st_dev")):
        raise DataError(
            f"{path} changed while it was read; wait until it is written in full, then run again", code="PC-FILES-16"
        )


def looks_like_utf_16(first: bytes) -> bool:
    """Whether the first bytes of a text are those of UTF-16 without its mark: two characters of ASCII.

    Examples
    --------
    >>> looks_like_utf_16("id".encode("utf-16-le")), looks_like_utf_16(b"id,pain")
    (True, False)
    """
    return [byte == 0 for byte in first[:4]] in ([False, True] * 2, [True, False] * 2)
