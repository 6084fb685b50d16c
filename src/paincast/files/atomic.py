"""Write files and folders atomically: an interrupted run or a full disk leaves no partial output.

Output is first written to a hidden folder next to its destination, ``.<name>.<random>.draft``, which only its owner can
open. It contains a lock that is held as long as the writing process runs. A draft with a free lock was left by a killed
process: the next run in that folder completes a move that had begun, and removes the draft.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from paincast.errors import OutputError

try:
    import fcntl
except ImportError:  # pragma: no cover - without flock, drafts of killed runs are not removed
    fcntl = None  # type: ignore[assignment]

_DRAFT = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{8}\.draft")
_LOCK, _NEW_LOCK = "lock", "lock.new"
_JOURNAL = "journal.json"
_FILES, _FOLDER, _PREVIOUS, _REPLACED = "files", "folder", "previous", "replaced"
_SECONDS_TO_LOCK = 60
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EXDEV)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path; move it to ``path`` when the block ends without an error.

    Parameters
    ----------
    path : str or Path
        Destination. An existing file is replaced atomically.

    Yields
    ------
    Path
        Temporary path to write to. It has the same name as ``path``.

    Raises
    ------
    OutputError
        If the destination cannot be written or the disk is full.
    """
    with atomic_files(path) as (draft,):
        yield draft


@contextmanager
def atomic_files(path: str | Path, *companions: str | Path) -> Iterator[tuple[Path, ...]]:
    """Yield temporary paths for files that belong together; move all of them when the block ends without an error.

    If a run is killed during the moves, the next run that writes in the same folder completes them. Files of an earlier
    run are never mixed with the new files.

    Parameters
    ----------
    path : str or Path
        Destination of the first file; the block must write it.
    *companions : str or Path
        Further files in the same folder. An existing companion that the block does not write is removed.

    Yields
    ------
    tuple of Path
        Temporary paths to write to, in the order of the arguments.

    Raises
    ------
    OutputError
        If a destination cannot be written or the disk is full.
    """
    targets = [Path(target) for target in (path, *companions)]
    for target in targets:
        if target.is_dir():
            raise OutputError(f"cannot write {target}: it is a directory; give a file name", code="PC-FILES-01")
    with _draft_folder(targets[0]) as scratch:
        (scratch / _FILES).mkdir()
        yield tuple(scratch / _FILES / target.name for target in targets)
        _place_files(scratch, targets)


@contextmanager
def atomic_folder(path: str | Path, *, marker: str) -> Iterator[Path]:
    """Yield a temporary folder; it replaces ``path`` when the block ends without an error.

    Parameters
    ----------
    path : str or Path
        Destination.
    marker : str
        Name of the file that identifies a folder of this kind. An existing folder is replaced only if it is empty or
        contains the marker: a user's other files are never deleted.

    Yields
    ------
    Path
        An empty folder to fill.

    Raises
    ------
    OutputError
        If the destination cannot be written, contains something else, or the disk is full.
    """
    target = Path(path)
    require_utf_8_name(target)
    if target.exists() and not target.is_dir():
        raise OutputError(f"cannot write {target}: a file of that name exists; give a folder name", code="PC-FILES-02")
    if target.is_dir() and any(target.iterdir()) and not (target / marker).is_file():
        raise OutputError(
            f"cannot write {target}: it holds other files and no {marker}; give an empty or new folder",
            code="PC-FILES-03",
        )
    with _draft_folder(target) as scratch:
        draft = scratch / _FOLDER
        draft.mkdir()
        yield draft
        _place_folder(draft, target)


def require_utf_8_name(target: Path) -> None:
    """Refuse a path that is not UTF-8: Arrow can neither write nor read it.

    Raises
    ------
    OutputError
        If a part of the path is not UTF-8.
    """
    try:
        str(target).encode("utf-8")
    except UnicodeEncodeError:
        raise OutputError(f"cannot write {target}: the name is not UTF-8; give another", code="PC-FILES-62") from None


@contextmanager
def _draft_folder(target: Path) -> Iterator[Path]:
    scratch: Path | None = None
    lock: IO[bytes] | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _recover_killed_runs(target.parent)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".draft", dir=target.parent))
        lock = _lock_draft(scratch)
        yield scratch
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror or error}; no partial output was left", code="PC-FILES-04"
        ) from error
    finally:
        if scratch is not None:
            _recover(scratch, target)
        if lock is not None:
            lock.close()


def _lock_draft(scratch: Path) -> IO[bytes]:
    """Lock a draft while this process runs; the lock file gets its final name only after it is locked."""
    lock = (scratch / _NEW_LOCK).open("wb")
    if _take_lock(lock):
        (scratch / _NEW_LOCK).rename(scratch / _LOCK)
    return lock


def _take_lock(lock: IO[bytes]) -> bool:
    if fcntl is None:  # pragma: no cover
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _recover_killed_runs(folder: Path) -> None:
    """Complete and remove the drafts that killed processes of this user left in a folder."""
    if fcntl is None:  # pragma: no cover
        return
    for scratch in folder.glob(".*.draft"):
        match = _DRAFT.fullmatch(scratch.name)
        if match is None or scratch.is_symlink() or not scratch.is_dir():
            continue
        with suppress(OSError):
            if scratch.stat().st_uid != os.getuid():
                continue
            if not (scratch / _LOCK).is_file():
                _remove_unlocked(scratch)
                continue
            with (scratch / _LOCK).open("r+b") as lock:
                if _take_lock(lock):
                    _recover(scratch, folder / match["name"])


def _remove_unlocked(scratch: Path) -> None:
    """Remove a draft whose process was killed before locking it; on systems without locks drafts are kept."""
    names = {path.name for path in scratch.iterdir()}
    if names <= {_NEW_LOCK} and time.time() - scratch.stat().st_mtime > _SECONDS_TO_LOCK:
        shutil.rmtree(scratch, ignore_errors=True)


def _recover(scratch: Path, target: Path) -> None:
    """Complete a move that had begun, restore a folder that was moved away, and remove the draft."""
    previous = scratch / _PREVIOUS
    try:
        if (scratch / _JOURNAL).is_file():
            _finish_files(scratch)
        elif previous.is_dir() and not os.path.lexists(target):
            previous.rename(target)
    except (OSError, ValueError):
        return  # a later run may succeed
    with suppress(OSError):
        for path in [
            path for path in scratch.iterdir() if path.name != _LOCK
        ]:  # a draft without its lock would never be removed
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    shutil.rmtree(scratch, ignore_errors=True)


def _place_files(scratch: Path, targets: Sequence[Path]) -> None:
    first, *companions = targets
    if not companions:
        (scratch / _FILES / first.name).replace(first)
        return
    if not (scratch / _FILES / first.name).is_file():
        raise FileNotFoundError(errno.ENOENT, f"{first.name} was not written")
    journal = scratch / _JOURNAL
    (scratch / _REPLACED).mkdir()
    written = {target.name: (scratch / _FILES / target.name).is_file() for target in targets}
    draft = scratch / f"{_JOURNAL}.new"
    draft.write_text(json.dumps(written), encoding="utf-8")
    draft.replace(journal)
    was_there = os.path.lexists(first)
    if was_there:
        with suppress(OSError):  # not every file system has links; the old file is then lost with the first move
            os.link(first, scratch / _REPLACED / first.name, follow_symlinks=False)
    try:
        _finish_files(scratch)
    except OSError:
        journal.unlink()
        _move_back(scratch, first if not was_there else None, companions)
        raise


def _move_back(scratch: Path, new: Path | None, companions: Sequence[Path]) -> None:
    """Remove the files that were moved, and move those of the earlier run back."""
    for target in (*companions, *([new] if new else [])):
        if not (scratch / _FILES / target.name).exists():
            target.unlink(missing_ok=True)
    for path in (scratch / _REPLACED).iterdir():
        path.replace(scratch.parent / path.name)


def _finish_files(scratch: Path) -> None:
    """Move files to their destinations after removing those of an earlier run; completed moves are not repeated."""
    written = json.loads((scratch / _JOURNAL).read_text(encoding="utf-8"))
    drafts = {name: scratch / _FILES / name for name in written}
    first, *companions = written
    for name in companions:
        if os.path.lexists(scratch.parent / name) and (drafts[name].exists() or not written[name]):
            (scratch.parent / name).replace(scratch / _REPLACED / name)
    for name in (first, *companions):
        if drafts[name].exists():
            drafts[name].replace(scratch.parent / name)


def _place_folder(draft: Path, target: Path) -> None:
    if not os.path.lexists(target):
        draft.rename(target)
    elif not _exchange(draft, target):
        target.rename(draft.parent / _PREVIOUS)
        draft.rename(target)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two paths atomically; False if the system or file system does not support it."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(other))


def hash_file(path: str | Path) -> str:
    """Compute the SHA-256 of a file as a hexadecimal string."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
