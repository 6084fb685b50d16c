"""Load a bundle: files and checksums, signature, schema, content hash, and only then what is built from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from paincast.contract import Contract, restore_contract
from paincast.errors import DataError
from paincast.evidence.rules import check_rules
from paincast.files.bounded import parse_json
from paincast.files.json_schema import SchemaError
from paincast.models.serialization import DamagedFileError, name_files
from paincast.predictor.bundle.checksums import MANIFEST, read_files
from paincast.predictor.bundle.content import FORMAT, from_state, hash_content
from paincast.predictor.bundle.keys import TrustedKeys, read_trusted_keys
from paincast.predictor.bundle.schema import compile_bundle_schema
from paincast.predictor.bundle.signature import check_signature
from paincast.predictor.bundle.usable import UnusableError, check_lengths, check_usable
from paincast.predictor.model import Predictor
from paincast.predictor.validation import read_validations


def load_predictor(path: str | Path, *, trusted_keys: str | Path | TrustedKeys | None = None) -> Predictor:
    """Load a bundle and check that it is unchanged since it was saved.

    Parameters
    ----------
    path : str or Path
        Folder of the bundle.
    trusted_keys : str, Path or TrustedKeys, optional
        PEM file of public keys, one of which must have signed the bundle; by default no signature is asked for.

    Returns
    -------
    Predictor

    Raises
    ------
    DataError
        If the folder is not a bundle, has another format, is damaged or changed, or, with trusted keys, is not signed
        by one of them. The message names the file or the key, never a value.
    SettingsError
        If the trusted keys cannot be read.
    """
    folder = Path(path)
    keys = None if trusted_keys is None else read_trusted_keys(trusted_keys)
    files = read_files(folder)
    signed = None if keys is None else check_signature(folder, files, keys)
    state = parse_json(files[MANIFEST], str(folder / MANIFEST))
    _check_format(state, folder)
    check_schema = compile_bundle_schema()
    try:
        check_schema(state)
        check_lengths(state)
        predictor = _build(state, files, folder)
        check_usable(predictor)
    except (SchemaError, UnusableError) as error:
        raise DataError(f"{folder / MANIFEST}: {error}; fetch the bundle again", code="PC-MODEL-36") from None
    except DamagedFileError as error:
        raise DataError(
            f"{folder / error.name} is damaged: it holds no trees of this package; fetch the bundle again",
            code="PC-MODEL-50",
        ) from None
    except DataError:
        raise
    except Exception as error:  # whatever a file that was not written by save_predictor can provoke
        raise DataError(f"{folder} is damaged ({type(error).__name__}); fetch it again", code="PC-MODEL-19") from None
    if signed is not None and signed != predictor.version:
        raise DataError(
            f"{folder} was signed as version {signed}, which its {MANIFEST} does not name; fetch the bundle again",
            code="PC-MODEL-37",
        )
    return replace(predictor, validations=read_validations(folder, predictor.version))


def _check_format(state: Mapping[str, Any], folder: Path) -> None:
    given = state.get("format")
    if given == FORMAT and type(given) is int:
        return
    named = given if type(given) is int and 0 <= given < 1000 else "unknown"
    raise DataError(
        f"{folder} has bundle format {named}; this version reads format {FORMAT}; train the model again",
        code="PC-MODEL-17",
    )


def _build(state: dict[str, Any], files: Mapping[str, bytes], folder: Path) -> Predictor:
    """Build a predictor, after its content was held against its version."""
    names = name_files(state)
    missing = [name for name in names if name not in files]
    if missing:
        raise DataError(f"{folder} is damaged: {missing[0]} is missing; fetch the bundle again", code="PC-MODEL-38")
    version = state.pop("version")
    if hash_content(state, [files[name] for name in names]) != version:
        raise DataError(
            f"{folder} was changed after it was saved: its content does not match its version; fetch the bundle again",
            code="PC-MODEL-18",
        )
    contract = _restore_contract(state, folder)
    predictor = replace(from_state(state, files, contract), version=version)
    try:
        check_rules(predictor.rules)
    except DataError as error:
        raise DataError(
            f"{folder / MANIFEST}: rules cannot be used ({error.code}); fetch the bundle again", code="PC-MODEL-39"
        ) from None
    return predictor


def _restore_contract(state: Mapping[str, Any], folder: Path) -> Contract:
    try:
        return restore_contract(state.get("contract", ""))
    except DataError as error:
        raise DataError(
            f"{folder / MANIFEST}: contract cannot be used ({error.code}); fetch the bundle again", code="PC-MODEL-40"
        ) from None
