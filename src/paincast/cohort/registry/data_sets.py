"""Download published data sets from pinned URLs; interrupted downloads resume, and hashes are checked.

A source is the ``source`` section of a registry mapping in ``configs/mapping/``: citation, licence, and a URL and a
SHA-256 for each file. A download is written to ``<file>.part`` and renamed once it is complete and its hash matches.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import requests
import yaml

from paincast.errors import DataError, OutputError, SettingsError, suggest_name
from paincast.files import hash_file
from paincast.files.bounded import read_yaml_text
from paincast.progress import SILENT, Progress
from paincast.settings import find_configs

try:
    import fcntl
except ImportError:  # pragma: no cover - where there is no flock, nobody waits
    fcntl = None  # type: ignore[assignment]

CONNECT_SECONDS = 10
SILENCE_SECONDS = 60
CHUNK_BYTES = 1024  # at most this much is lost when a download is interrupted


class DataSetFile(NamedTuple):
    """A published file: its name, its pinned URL and the SHA-256 of its content."""

    name: str
    url: str
    sha256: str


class DataSet(NamedTuple):
    """A published data set.

    Parameters
    ----------
    name : str
        Name of the mapping that reads it.
    citation : str
        How to cite the data set.
    licence : str
        Terms of use.
    files : tuple of DataSetFile
        Its files.
    """

    name: str
    citation: str
    licence: str
    files: tuple[DataSetFile, ...]


def list_data_sets() -> tuple[DataSet, ...]:
    """List the data sets that can be fetched, by name.

    Returns
    -------
    tuple of DataSet
        One for each mapping that has a ``source`` section.

    Raises
    ------
    SettingsError
        If a mapping cannot be read or its ``source`` section is incomplete.
    """
    data_sets = (_read_source(file) for file in sorted((find_configs() / "mapping").glob("*.yaml")))
    return tuple(data_set for data_set in data_sets if data_set is not None)


def get_data_set(name: str) -> DataSet:
    """Find a data set by name.

    Raises
    ------
    SettingsError
        If there is no data set of that name; similar names are shown.
    """
    data_sets = {data_set.name: data_set for data_set in list_data_sets()}
    if name not in data_sets:
        raise SettingsError(f"fetch: unknown data set '{name}'; {suggest_name(name, data_sets)}", code="PC-REGISTRY-06")
    return data_sets[name]


def _read_source(file: Path) -> DataSet | None:
    try:
        section = (yaml.safe_load(read_yaml_text(file)) or {}).get("source")
        if section is None:
            return None
        return DataSet(
            name=file.stem,
            citation=section["citation"],
            licence=section["licence"],
            files=tuple(
                DataSetFile(name=name, url=entry["url"], sha256=entry["sha256"])
                for name, entry in section["files"].items()
            ),
        )
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(
            f"mapping {file.name}: its source section cannot be read ({type(error).__name__}); "
            "it needs citation, licence and files, each file with url and sha256",
            code="PC-REGISTRY-07",
        ) from error


def locate_data_set(name: str, folder: str | Path) -> Path:
    """Return the folder in which :func:`fetch` stores the files of a data set."""
    return (Path(folder) / name).absolute()


def fetch(name: str, folder: str | Path, *, mirror: str | None = None, progress: Progress = SILENT) -> list[Path]:
    """Download a published data set into ``folder/name``; files already present and correct are skipped.

    Parameters
    ----------
    name : str
        Name of the data set, one of :func:`list_data_sets`.
    folder : str or Path
        Parent folder of the data sets.
    mirror : str, optional
        A folder or an http(s) URL to use instead: ``mirror/name/file`` or ``mirror/file``.
    progress : Progress
        Advanced by the bytes received.

    Returns
    -------
    list of Path
        The files; their SHA-256 was checked.

    Raises
    ------
    SettingsError
        If there is no data set of that name.
    DataError
        If a file is not available, the download was interrupted (run it again to resume) or the hash does not match.
    OutputError
        If ``folder`` cannot be written.
    """
    data_set = get_data_set(name)
    target = locate_data_set(name, folder)
    try:
        with _alone(target, progress):
            return [_fetch_file(file, target, _list_addresses(name, file, mirror), progress) for file in data_set.files]
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}", code="PC-REGISTRY-08") from error


@contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    """Let only a single process download into a folder; the lock is released when the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    if fcntl is None:  # pragma: no cover
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            _wait_for_lock(descriptor, folder, progress)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int, folder: Path, progress: Progress) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress.describe(f"waiting for another fetch in {folder}")
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _fetch_file(file: DataSetFile, target: Path, addresses: list[str], progress: Progress) -> Path:
    file_path, part_path = target / file.name, target / f"{file.name}.part"
    if file_path.is_file() and hash_file(file_path) == file.sha256:
        return file_path
    if not any(_transfer(address, part_path, progress) for address in addresses):
        raise DataError(
            f"not found: {' nor '.join(addresses)}; check the address or give another --mirror", code="PC-REGISTRY-09"
        )
    _etag_file(part_path).unlink(missing_ok=True)
    received = hash_file(part_path)
    if received != file.sha256:
        part_path.unlink()
        raise DataError(
            f"{file.name} as received is not the published file (SHA-256 {received}, published {file.sha256}), so it "
            "was not kept. Run the command again; if that does not help, the file was changed at its address, so give "
            "a --mirror that has the original",
            code="PC-REGISTRY-10",
        )
    part_path.replace(file_path)
    return file_path


def _list_addresses(name: str, file: DataSetFile, mirror: str | None) -> list[str]:
    """List the addresses of a file in the order in which they are tried."""
    if mirror is None:
        return [file.url]
    if not _is_http(mirror) and not Path(mirror).is_dir():
        raise DataError(
            f"mirror {mirror}: no such folder; give a folder or an address that begins with http", code="PC-REGISTRY-11"
        )
    return [f"{mirror.rstrip('/')}/{name}/{file.name}", f"{mirror.rstrip('/')}/{file.name}"]


def _is_http(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def _transfer(address: str, part: Path, progress: Progress) -> bool:
    """Complete the file ``part``; False if there is no such file at the address."""
    if _is_http(address):
        try:
            return _resume(address, part, progress)
        except requests.RequestException as error:
            raise DataError(_describe_failure(address, part, error), code="PC-REGISTRY-12") from error
    return _copy(Path(address), part)


def _copy(origin: Path, part: Path) -> bool:
    if not origin.is_file():
        return False
    try:
        original = origin.open("rb")
    except OSError as error:
        raise DataError(f"{origin} cannot be read: {error.strerror}", code="PC-REGISTRY-13") from error
    with original, part.open("wb") as stream:
        shutil.copyfileobj(original, stream)
    return True


def _resume(address: str, part: Path, progress: Progress) -> bool:
    n_bytes = _size(part)
    etag = _etag_file(part).read_text(encoding="utf-8") if _etag_file(part).is_file() else ""
    headers = {"Accept-Encoding": "identity"}
    if n_bytes:
        headers |= {"Range": f"bytes={n_bytes}-"} | ({"If-Range": etag} if etag else {})
    with requests.get(address, headers=headers, stream=True, timeout=(CONNECT_SECONDS, SILENCE_SECONDS)) as response:
        if response.status_code in (404, 410):
            return False
        continues = response.headers.get("Content-Range", "").startswith(f"bytes {n_bytes}-")
        if n_bytes and (response.status_code == 416 or (response.status_code == 206 and not continues)):
            part.unlink()  # the file on the server has changed since the download began
            return _resume(address, part, progress)
        response.raise_for_status()
        _store(response, part, n_bytes if response.status_code == 206 else 0, progress)
    return True


def _store(response: requests.Response, part: Path, have: int, progress: Progress) -> None:
    etag = response.headers.get("ETag", "")
    # a weak ETag does not guarantee identical bytes
    _etag_file(part).write_text("" if etag.startswith("W/") else etag, encoding="utf-8")
    length = response.headers.get("Content-Length")
    progress.describe(part.name.removesuffix(".part"))
    if length:
        progress.expect(int(length))
    with part.open("ab" if have else "wb") as stream:
        for chunk in response.iter_content(CHUNK_BYTES):
            stream.write(chunk)
            progress.advance(len(chunk))


def _describe_failure(address: str, part: Path, error: requests.RequestException) -> str:
    kind, n_bytes = type(error).__name__, _size(part)
    if error.response is not None:
        status = f"{error.response.status_code} {error.response.reason}"
        return f"{address}: the server answered {status}; try later or give a --mirror"
    if n_bytes or isinstance(error, requests.exceptions.ChunkedEncodingError):
        kept_bytes = f"{n_bytes} bytes are kept in {part.name}"
        return f"{address}: the transfer was interrupted ({kind}); {kept_bytes}: run the same command again to resume"
    return f"{address}: the server cannot be reached ({kind}); check the connection or give a --mirror"


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _etag_file(part: Path) -> Path:
    return part.with_name(part.name + ".etag")
