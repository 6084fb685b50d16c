"""Write whole files and folders or nothing: an interrupted run or a full disk leaves no half output."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paincast.errors import OutputError


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it into place when the block ends without an error.

    Parameters
    ----------
    path : str or Path
        Where the finished file shall stand. An existing file is replaced in one step.

    Yields
    ------
    Path
        Where to write. It keeps the suffix of ``path``.

    Raises
    ------
    OutputError
        If the place cannot be written or the disk is full.
    """
    target = Path(path)
    if target.is_dir():
        raise OutputError(f"cannot write {target}: it is a directory; give a file name")
    with _scratch_folder(target) as scratch:
        draft = scratch / target.name
        yield draft
        draft.replace(target)


@contextmanager
def atomic_folder(path: str | Path, *, marker: str) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; it takes the place of ``path`` when the block ends without an error.

    Parameters
    ----------
    path : str or Path
        Where the finished folder shall stand.
    marker : str
        Name of the file that tells a folder of this kind. An existing folder is replaced, as a whole, only if
        it is empty or holds the marker: a user's other files are never deleted.

    Yields
    ------
    Path
        An empty folder to fill.

    Raises
    ------
    OutputError
        If the place cannot be written, holds something else, or the disk is full.
    """
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise OutputError(f"cannot write {target}: a file of that name exists; give a folder name")
    if target.is_dir() and any(target.iterdir()) and not (target / marker).is_file():
        raise OutputError(f"cannot write {target}: it holds other files and no {marker}; give an empty or new folder")
    with _scratch_folder(target) as scratch:
        draft = scratch / "draft"
        draft.mkdir()
        yield draft
        if target.exists():
            target.replace(scratch / "previous")
        draft.replace(target)


@contextmanager
def _scratch_folder(target: Path) -> Iterator[Path]:
    scratch: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        yield scratch
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}; nothing was left behind") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def hash_file(path: str | Path) -> str:
    """Compute the SHA-256 of a file as a hexadecimal string."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_folder(path: str | Path) -> str:
    """Compute one SHA-256 over the names and contents of all files below a folder."""
    digest = hashlib.sha256()
    for file in sorted(Path(path).rglob("*")):
        if file.is_file():
            digest.update(file.relative_to(path).as_posix().encode())
            digest.update(hash_file(file).encode())
    return digest.hexdigest()
