"""A folder beside an output in which a long run keeps its finished parts, held by one process at a time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from paincast.errors import OutputError

try:
    import fcntl
except ImportError:  # pragma: no cover - without flock, a second run is not noticed
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"
NEW = ".new"
"""Suffix of a file that is being written."""

_TRIALS = 20


@contextmanager
def hold_working_folder(folder: Path) -> Iterator[None]:
    """Create a folder that only its owner can open, and lock it during the block; it stays after the block.

    The lock is free as soon as the process ends, however it ends.

    Parameters
    ----------
    folder : Path
        The folder; what a run that was killed left in it stays.

    Raises
    ------
    OutputError
        If another process holds the folder, or it belongs to another user.
    OSError
        If it cannot be created.
    """
    lock = _lock(folder)
    try:
        yield
    finally:
        lock.close()


def _lock(folder: Path) -> IO[bytes]:
    """Lock a folder; one that its last holder removed in between is made again."""
    for trial in range(_TRIALS):
        try:
            _make(folder)
            lock = (folder / LOCK).open("a+b")
        except FileNotFoundError:
            if trial == _TRIALS - 1 or not folder.parent.is_dir():
                raise
            continue
        if _is_held(lock):
            holder = _read_holder(lock)
            lock.close()
            raise OutputError(
                f"another run{holder} is writing the same output ({folder} is locked); wait for it, or end it",
                code="PC-FILES-70",
            )
        if _is_in_place(lock, folder):
            lock.truncate(0)
            lock.write(str(os.getpid()).encode())
            lock.flush()
            return lock
        lock.close()
    raise FileNotFoundError(2, f"{folder.name} is removed again and again")


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise OutputError(f"{folder} is a link, or belongs to another user; remove it", code="PC-FILES-71")


def _is_held(lock: IO[bytes]) -> bool:
    if fcntl is None:  # pragma: no cover
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _is_in_place(lock: IO[bytes], folder: Path) -> bool:
    """Whether the locked file is still the one in the folder, and not that of a folder which was removed."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), (folder / LOCK).stat())
    except FileNotFoundError:
        return False


def _read_holder(lock: IO[bytes]) -> str:
    lock.seek(0)
    written = lock.read(20)
    return f" (process {int(written)})" if written.isdigit() else ""


def remove_working_folder(folder: Path, *, first: str) -> None:
    """Remove a folder that this process holds: the file by which it counts as unfinished first, the lock last."""
    with suppress(OSError):
        (folder / first).unlink(missing_ok=True)
        sweep_working_folder(folder, keep=())
    for _ in range(_TRIALS):  # another process that was told to write there may still do so
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


def sweep_working_folder(folder: Path, *, keep: Collection[str]) -> None:
    """Remove what is in a folder that this process holds, but what is to be kept, and the lock."""
    for path in list(folder.iterdir()):
        if path.name not in {*keep, LOCK}:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@contextmanager
def durable_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; when the block ends without an error its content is forced to disk, then renamed.

    The name itself survives a loss of power after :func:`sync_folder`.
    """
    draft = path.with_name(path.name + NEW)
    yield draft
    sync_file(draft)
    draft.replace(path)


def sync_file(path: Path) -> None:
    """Force the content of a file to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to disk, where the file system can."""
    with suppress(OSError):
        sync_file(folder)


def append_durably(path: Path, line: str) -> None:
    """Append a line to a file and force it to disk."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
        stream.flush()
        os.fsync(stream.fileno())
