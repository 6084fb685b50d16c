"""Sign a bundle, and check its signature against trusted keys before anything of it is read.

A hash shows that a bundle is as somebody saved it, a signature who that was. ``signature.json`` beside the bundle holds
an Ed25519 signature over the checksums of its files, as in ``SHA256SUMS``, and its content version. Validations, which
are written later, are not signed, nor is the use that a registry allows.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paincast.errors import DataError
from paincast.files import atomic_file
from paincast.files.bounded import parse_json, read_bytes
from paincast.files.json_schema import SchemaError, compile_schema
from paincast.predictor.bundle.checksums import format_checksums, read_files
from paincast.predictor.bundle.keys import ALGORITHM, SigningKey, TrustedKeys

SIGNATURE = "signature.json"
SIGNATURE_TAG = "signature"
"""Tag of a registered version that holds the same."""

SIGNATURE_FORMAT = 1
SIGNATURE_BYTES = 10_000

SIGNATURE_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "signature.json of paincast",
    "type": "object",
    "properties": {
        "format": {"const": SIGNATURE_FORMAT},
        "algorithm": {"const": ALGORITHM},
        "key": {"type": "string", "pattern": "^[0-9a-f]{16}$", "maxLength": 16},
        "model_version": {"type": "string", "pattern": "^[0-9a-f]{12}$", "maxLength": 12},
        "signature": {"type": "string", "pattern": "^[A-Za-z0-9+/]{86}==$", "maxLength": 88},
    },
    "required": ["format", "algorithm", "key", "model_version", "signature"],
    "additionalProperties": False,
}


def sign_files(files: Mapping[str, bytes], version: str, key: SigningKey) -> str:
    """Sign the files of a bundle.

    Parameters
    ----------
    files : mapping of str to bytes
        From :func:`paincast.predictor.bundle.checksums.read_files`.
    version : str
        Content version of the bundle.
    key : SigningKey
        The private key.

    Returns
    -------
    str
        The text of ``signature.json``.
    """
    content = {
        "format": SIGNATURE_FORMAT,
        "algorithm": ALGORITHM,
        "key": key.name,
        "model_version": version,
        "signature": base64.b64encode(key.key.sign(_write_message(files, version))).decode("ascii"),
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def sign_bundle(folder: str | Path, key: SigningKey) -> Path:
    """Sign a bundle that loads, and write ``signature.json`` beside it.

    Parameters
    ----------
    folder : str or Path
        Folder of the bundle.
    key : SigningKey
        From :func:`paincast.predictor.bundle.keys.read_signing_key`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If the folder is not a bundle, or is damaged.
    OutputError
        If the file cannot be written.
    """
    from paincast.predictor.bundle.loading import load_predictor

    version = load_predictor(folder).version
    files = read_files(Path(folder))
    file = Path(folder) / SIGNATURE
    with atomic_file(file) as draft:
        draft.write_text(sign_files(files, version, key), encoding="utf-8")
    return file


def check_signature(folder: Path, files: Mapping[str, bytes], trusted: TrustedKeys) -> str:
    """Check that a trusted key signed the files of a bundle.

    Parameters
    ----------
    folder : Path
        Folder of the bundle.
    files : mapping of str to bytes
        From :func:`paincast.predictor.bundle.checksums.read_files`: what was read, so that nothing changes afterwards.
    trusted : TrustedKeys
        The keys.

    Returns
    -------
    str
        The content version that was signed.

    Raises
    ------
    DataError
        If the bundle is unsigned, signed by another key, or was changed after it was signed.
    """
    from cryptography.exceptions import InvalidSignature

    file = folder / SIGNATURE
    try:
        content = parse_json(read_bytes(file, SIGNATURE_BYTES), str(file))
        compile_schema(SIGNATURE_SCHEMA)(content)
    except FileNotFoundError:
        raise DataError(
            f"{folder} is not signed ({SIGNATURE} is missing), and only signed models are trusted here; sign it with "
            "'paincast promote --sign'",
            code="PC-MODEL-46",
        ) from None
    except SchemaError as error:
        raise DataError(f"{file}: {error}; sign the model again", code="PC-MODEL-47") from None
    key = trusted.keys.get(content["key"])
    if key is None:
        raise DataError(
            f"{folder} is signed by key {content['key']}, which is none of the trusted keys "
            f"({', '.join(trusted.keys)})",
            code="PC-MODEL-48",
        )
    version: str = content["model_version"]
    try:
        key.verify(base64.b64decode(content["signature"]), _write_message(files, version))
    except InvalidSignature:
        raise DataError(
            f"{folder} was changed after it was signed: {SIGNATURE} does not fit its files; fetch the bundle again",
            code="PC-MODEL-49",
        ) from None
    return version


def _write_message(files: Mapping[str, bytes], version: str) -> bytes:
    """Write what is signed: what it is, the version, and a line for each file with its checksum and name."""
    return f"paincast bundle {SIGNATURE_FORMAT}\n{version}\n{format_checksums({**files})}".encode()
