"""Bundles that earlier versions wrote, unpacked for tests that change them."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from paincast.errors import DataError
from paincast.models.serialization import name_files
from paincast.predictor import Predictor, load_predictor
from paincast.predictor.bundle.content import hash_content

BUNDLES = Path(__file__).resolve().parents[1] / "golden" / "bundles"
ARCHIVES = ("format2.zip", "format2_curved.zip", "format2_prior.zip")


def unpack(folder: Path) -> Path:
    """Unpack all released bundles."""
    for name in ARCHIVES:
        with zipfile.ZipFile(BUNDLES / name) as archive:
            archive.extractall(folder)
    return folder


def copy_bundle(bundle: Path, target: Path) -> Path:
    """Copy a bundle, in place of what an earlier example of the same test left."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(bundle, target)
    return target


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write a state with a hash made anew, as somebody would who knows how."""
    state.pop("version", None)
    try:
        names = name_files(state)
        state["version"] = hash_content(state, [(folder / name).read_bytes() for name in names])
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        state["version"] = "0" * 12
    (folder / "bundle.json").write_text(json.dumps(state))


def load_or_refuse(folder: Path) -> tuple[Predictor | None, DataError]:
    """Load a bundle, or give the error by which it is refused; any other error goes on."""
    try:
        return load_predictor(folder), DataError("")
    except DataError as error:
        return None, error
