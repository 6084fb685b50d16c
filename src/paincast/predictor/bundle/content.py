"""Turn a predictor into the plain data of ``bundle.json`` and back, and hash them into its version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, get_type_hints

from paincast.contract import Contract
from paincast.files.serialization import from_plain, to_plain
from paincast.models.serialization import list_files, read_response, to_response_state
from paincast.predictor.model import Predictor

FORMAT = 2

_APART = ("response", "version", "use", "validations", "contract")
PLAIN = {name: hint for name, hint in get_type_hints(Predictor).items() if name not in _APART}
"""Fields of a predictor that are stored as plain data in its bundle, with their declared types."""


def add_version(predictor: Predictor) -> Predictor:
    """Set the version of a predictor: a hash of everything it uses to predict."""
    return replace(predictor, version=hash_content(to_state(predictor), list_files(predictor.response).values()))


def hash_content(state: Mapping[str, Any], boosters: Iterable[bytes]) -> str:
    """Hash the plain data of a bundle, without its version, and the bytes of its boosters: twelve digits."""
    digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode())
    for raw in boosters:
        digest.update(raw)
    return digest.hexdigest()[:12]


def to_state(predictor: Predictor) -> dict[str, Any]:
    """Convert a predictor to the content of ``bundle.json``, without the version."""
    plain = to_plain({name: getattr(predictor, name) for name in PLAIN})
    if predictor.is_primary:  # absent in bundles of earlier versions, which must keep their hash
        del plain["is_primary"]
    for name in ("without_evidence", "remarks"):  # likewise
        if not getattr(predictor.rules, name):
            del plain["rules"][name]
    declared = predictor.contract.declared
    contract = {"contract": declared} if declared else {}
    return {"format": FORMAT, **plain, **contract, **to_response_state(predictor.response)}


def from_state(state: Mapping[str, Any], files: Mapping[str, bytes], contract: Contract) -> Predictor:
    """Build a predictor from the content of a bundle.

    Parameters
    ----------
    state : mapping
        From :func:`to_state`, checked against :data:`paincast.predictor.bundle.schema.BUNDLE_SCHEMA`.
    files : mapping of str to bytes
        Content of the boosters by name.
    contract : Contract
        The contract that the bundle declares.

    Returns
    -------
    Predictor
        Without its version.
    """
    stored = {"is_primary": True, **state}
    plain = {name: from_plain(stored[name], hint) for name, hint in PLAIN.items()}
    response = read_response(state, files)
    response.encoder.contract = contract
    return Predictor(**plain, response=response, contract=contract)
