"""Read the files of a bundle, and hold each against its checksum in ``SHA256SUMS``.

The file is one that ``sha256sum --check SHA256SUMS`` takes. It holds what a prediction needs: ``bundle.json`` and, for
trees, the boosters. Validations and fingerprints, which come and go beside a bundle, are not in it. Bundles of earlier
versions have no such file; all of them have the hash of their content in ``bundle.json``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from paincast.errors import DataError
from paincast.files.bounded import JSON_BYTES, read_bytes

MANIFEST = "bundle.json"
CHECKSUMS = "SHA256SUMS"

MOST_FILES = 2_000
MOST_BYTES = 1_000_000_000
"""Bounds of all files of a bundle together."""

_FILE = re.compile(r"bundle\.json|booster\.ubj|refit-[0-9]{3,4}\.ubj")
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64}) [ *](?P<name>[^\s/\\]{1,64})")


def format_checksums(files: Mapping[str, bytes]) -> str:
    """Write the checksums of files in the form of ``sha256sum``, in the order of their names.

    Parameters
    ----------
    files : mapping of str to bytes
        Content by name.

    Examples
    --------
    >>> format_checksums({"bundle.json": b""})[:20]
    'e3b0c44298fc1c149afb'
    """
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))


def read_files(folder: Path) -> dict[str, bytes]:
    """Read the files of a bundle, each within bounds, and check that they are those that were saved.

    Parameters
    ----------
    folder : Path
        Folder of the bundle.

    Returns
    -------
    dict of str to bytes
        Content by name: ``bundle.json`` and the boosters.

    Raises
    ------
    DataError
        If the folder is not a bundle, a file is missing, too large or no regular file, or differs from its checksum;
        the message names the file.
    """
    try:
        is_bundle = (folder / MANIFEST).exists()
        present = sorted(path.name for path in folder.iterdir() if _FILE.fullmatch(path.name)) if is_bundle else []
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}", code="PC-MODEL-51") from None
    if not is_bundle:
        raise DataError(f"{folder} is not a model folder ({MANIFEST} is missing)", code="PC-MODEL-16")
    expected = _read_checksums(folder)
    names = list(expected) or present
    files: dict[str, bytes] = {}
    for name in names:
        try:
            files[name] = read_bytes(folder / name, JSON_BYTES)
        except FileNotFoundError:
            raise DataError(
                f"{folder} is damaged: {name} is missing; fetch the bundle again", code="PC-MODEL-32"
            ) from None
        if sum(map(len, files.values())) > MOST_BYTES:
            raise DataError(
                f"{folder} is no bundle of this package: its files are larger than {MOST_BYTES:,} bytes",
                code="PC-MODEL-33",
            )
        if expected and hashlib.sha256(files[name]).hexdigest() != expected[name]:
            raise DataError(
                f"{folder / name} was changed after it was saved: it does not match its checksum in {CHECKSUMS}; "
                "fetch the bundle again",
                code="PC-MODEL-34",
            )
    return files


def _read_checksums(folder: Path) -> dict[str, str]:
    """Read the checksums by name; none in bundles of earlier versions."""
    file = folder / CHECKSUMS
    if not file.exists() and not file.is_symlink():
        return {}
    try:
        lines = read_bytes(file, 100 * MOST_FILES).decode("ascii", errors="replace").splitlines()
    except FileNotFoundError:  # a link that leads nowhere
        lines = []
    matches = [_LINE.fullmatch(line) for line in lines]
    found = {match["name"]: match["digest"] for match in matches if match and _FILE.fullmatch(match["name"])}
    if len(found) != len(lines) or MANIFEST not in found:
        raise DataError(
            f"{file} is damaged: it must hold one line for each file of the bundle; fetch the bundle again",
            code="PC-MODEL-35",
        )
    return found
