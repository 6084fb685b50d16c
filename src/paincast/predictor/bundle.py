"""Save and load a predictor as a folder of JSON and, for trees, UBJ files, with a content hash and without pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pandas as pd

from paincast.cohort.tables import conform
from paincast.contract import restore_contract
from paincast.errors import DataError
from paincast.evidence.rules import check_rules
from paincast.features import EncodedVariable
from paincast.files import atomic_folder
from paincast.files.bounded import read_json
from paincast.files.declared_types import check_declared
from paincast.files.serialization import from_plain, to_plain
from paincast.fingerprints import FILE, Fingerprints, write_fingerprints
from paincast.models.serialization import list_files, name_files, read_response, to_response_state
from paincast.predictor.model import Predictor
from paincast.predictor.validation import read_validations
from paincast.settings import BASES

MANIFEST = "bundle.json"
FORMAT = 2

_APART = ("response", "version", "use", "validations", "contract")
_PLAIN = {name: hint for name, hint in get_type_hints(Predictor).items() if name not in _APART}
"""Fields of a predictor that are stored as plain data in its bundle, with their declared types."""


def add_version(predictor: Predictor) -> Predictor:
    """Set the version of a predictor: a hash of everything it uses to predict."""
    return replace(predictor, version=_hash_content(_to_state(predictor), list_files(predictor.response).values()))


def save_predictor(predictor: Predictor, path: str | Path, fingerprints: Fingerprints | None = None) -> Path:
    """Write a predictor as a bundle: ``bundle.json`` and, for trees, boosters in UBJ. No pickle.

    Parameters
    ----------
    predictor : Predictor
        A predictor with its version.
    path : str or Path
        Folder; an existing bundle is replaced.
    fingerprints : Fingerprints, optional
        Fingerprints of the training episodes, stored with the bundle and readable by its owner only.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    with atomic_folder(path, marker=MANIFEST) as folder:
        state = {**_to_state(predictor), "version": predictor.version}
        (folder / MANIFEST).write_text(json.dumps(state, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        for name, raw in list_files(predictor.response).items():
            (folder / name).write_bytes(raw)
        if fingerprints is not None:
            write_fingerprints(fingerprints, folder / FILE)
    return Path(path)


def load_predictor(path: str | Path) -> Predictor:
    """Load a bundle and check that it is unchanged since it was saved.

    Raises
    ------
    DataError
        If the folder is not a bundle, has another format, or is damaged or changed.
    """
    folder = Path(path)
    try:
        state = read_json(folder / MANIFEST)
    except FileNotFoundError as error:
        raise DataError(f"{folder} is not a model folder ({MANIFEST} is missing)", code="PC-MODEL-16") from error
    if state.get("format") != FORMAT:
        format_version = state.get("format") if isinstance(state.get("format"), int) else "unknown"
        raise DataError(
            f"{folder} has bundle format {format_version}; this version reads format {FORMAT}; train the model again",
            code="PC-MODEL-17",
        )
    try:
        version = state.pop("version")
        if _hash_content(state, [(folder / name).read_bytes() for name in name_files(state)]) != version:
            raise DataError(
                f"{folder} was changed after it was saved: its content does not match its version", code="PC-MODEL-18"
            )
        predictor = replace(_from_state(state, folder), version=version)
        _check_usable(predictor)
        predictor = replace(predictor, validations=read_validations(folder, version))
    except DataError:
        raise
    except Exception as error:  # whatever a file that was not written by save_predictor can provoke
        raise DataError(f"{folder} is damaged ({type(error).__name__}); fetch it again", code="PC-MODEL-19") from error
    return predictor


def _check_usable(predictor: Predictor) -> None:
    """Check the types of a predictor's fields, and that it predicts for a patient with almost no known values."""
    check_declared(predictor, Predictor)
    check_declared(predictor.response.encoder.variables_, tuple[EncodedVariable, ...])
    controls = tuple(control["probability"] for control in predictor.rules.controls)
    check_declared(controls, tuple[float, ...])
    _require(all(0 <= probability <= 1 for probability in controls))
    _require(predictor.basis in BASES and predictor.n_real >= 0 and 0 < predictor.level < 1)
    unknown: dict[str, list[Any]] = {
        "episode_id": ["probe"],
        "patient_id": ["probe"],
        "technique": [predictor.technique],
    }
    columns = predictor.contract.episodes
    unknown |= {name: [columns[name].high] for name in predictor.measures}
    indication = pd.Series(predictor.rules.indications[:1], dtype="str")
    probe = conform("episodes", pd.DataFrame(unknown).assign(indication=indication), predictor.contract)
    predictor.predict_episodes(probe)
    answer = predictor.response.answer(probe, predictor.level)
    is_number = predictor.question.kind == "continuous"
    names = ("expected_lower", "expected", "expected_upper") if is_number else ("lower", "probability", "upper")
    lower, estimate, upper = (float(answer[name].iloc[0]) for name in names)
    _require(lower <= upper and bool(np.isfinite([lower, estimate, upper]).all()))


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("a bundle cannot hold this value")


def _hash_content(state: Mapping[str, Any], boosters: Iterable[bytes]) -> str:
    digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode())
    for raw in boosters:
        digest.update(raw)
    return digest.hexdigest()[:12]


def _to_state(predictor: Predictor) -> dict[str, Any]:
    plain = to_plain({name: getattr(predictor, name) for name in _PLAIN})
    if predictor.is_primary:  # absent in bundles of earlier versions, which must keep their hash
        del plain["is_primary"]
    for name in ("without_evidence", "remarks"):  # likewise
        if not getattr(predictor.rules, name):
            del plain["rules"][name]
    declared = predictor.contract.declared
    contract = {"contract": declared} if declared else {}
    return {"format": FORMAT, **plain, **contract, **to_response_state(predictor.response)}


def _from_state(state: dict[str, Any], folder: Path) -> Predictor:
    stored = {"is_primary": True, **state}
    plain = {name: from_plain(stored[name], hint) for name, hint in _PLAIN.items()}
    check_rules(plain["rules"])
    contract = restore_contract(str(state.get("contract", "")))
    response = read_response(state, folder)
    response.encoder.set_params(contract=contract)
    return Predictor(**plain, response=response, contract=contract)
