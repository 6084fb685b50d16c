"""Save a predictor as a bundle."""

from __future__ import annotations

import json
from pathlib import Path

from paincast.files import atomic_folder
from paincast.fingerprints import FILE, Fingerprints, write_fingerprints
from paincast.models.serialization import list_files
from paincast.predictor.bundle.checksums import CHECKSUMS, MANIFEST, format_checksums
from paincast.predictor.bundle.content import to_state
from paincast.predictor.model import Predictor


def save_predictor(predictor: Predictor, path: str | Path, fingerprints: Fingerprints | None = None) -> Path:
    """Write a predictor as a bundle: ``bundle.json``, for trees boosters in UBJ, and their checksums. No pickle.

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
    state = {**to_state(predictor), "version": predictor.version}
    manifest = json.dumps(state, indent=1, sort_keys=True) + "\n"
    files = {MANIFEST: manifest.encode(), **list_files(predictor.response)}
    with atomic_folder(path, marker=MANIFEST) as folder:
        for name, raw in files.items():
            (folder / name).write_bytes(raw)
        (folder / CHECKSUMS).write_text(format_checksums(files), encoding="ascii", newline="\n")
        if fingerprints is not None:
            write_fingerprints(fingerprints, folder / FILE)
    return Path(path)
