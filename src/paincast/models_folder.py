"""Record which models of a folder the last training made, and list notes on using models of a folder together."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from paincast.errors import DataError
from paincast.files import atomic_file
from paincast.files.bounded import read_json
from paincast.predictor import Predictor

TRAINING_RECORD = "training.json"
"""File in a folder of models: the models that the last training made, by content version, and those it refused."""

FORMAT = 1
MOST_NAMES = 6

MIXED_BASES = "mixed_bases"
EARLIER_TRAINING = "earlier_training"
REFUSED_SINCE = "refused_since"
UNREADABLE_RECORD = "unreadable_record"


def record_training(folder: str | Path, trained: Mapping[str, Predictor], refused: Iterable[str]) -> None:
    """Record which models of a folder the last training made, and which it refused.

    The same training writes the same bytes: the file has no time stamp and no reasons (a reason may contain counts of
    patients).

    Parameters
    ----------
    folder : str or Path
        Folder of models; if it does not exist, nothing is written.
    trained : mapping of str to Predictor
        By name (:func:`paincast.outcomes.name_model`), which is their path inside the folder.
    refused : iterable of str
        Names of models that were requested but refused.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    models_folder = Path(folder)
    if not models_folder.is_dir():
        return
    record = {
        "format": FORMAT,
        "trained": {name: {"version": model.version, "basis": model.basis} for name, model in sorted(trained.items())},
        "refused": sorted(refused),
    }
    with atomic_file(models_folder / TRAINING_RECORD) as draft:
        draft.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def list_notes(
    source: str | Path, models: Mapping[str, Predictor], techniques: Collection[str] | None = None
) -> dict[str, str]:
    """List notes on models that were loaded from one folder, by a code for each kind of note.

    Parameters
    ----------
    source : str or Path
        Where they were loaded from; only a folder can have models of several trainings.
    models : mapping of str to Predictor
        By name.
    techniques : collection of str, optional
        Requested techniques; by default all that have a model.

    Returns
    -------
    dict of str to str
        ``mixed_bases`` if models are based on different kinds of evidence; ``refused_since`` or ``earlier_training``
        if a model was not made by the last finished training, which refused it or was not asked to train it;
        ``unreadable_record`` if the record of the last training is damaged. Empty if there is nothing to note.
    """
    selected = {name: model for name, model in models.items() if not techniques or model.technique in techniques}
    return dict([*_note_bases(source, selected), *_note_age(Path(source), selected)])


def _note_bases(source: str | Path, models: Mapping[str, Predictor]) -> Iterator[tuple[str, str]]:
    bases = dict.fromkeys(model.basis for model in models.values())
    if len(bases) > 1:
        named = "; ".join(
            f"{basis}: {_name([name for name, model in models.items() if model.basis == basis])}" for basis in bases
        )
        finding = f"the models in {source} are based on different evidence ({named})"
        yield MIXED_BASES, f"{finding}; the column basis gives that of each answer"


def _note_age(folder: Path, models: Mapping[str, Predictor]) -> Iterator[tuple[str, str]]:
    file = folder / TRAINING_RECORD
    if not file.is_file():
        return
    record = _read_record(file)
    if record is None:
        yield UNREADABLE_RECORD, f"{file} cannot be read: the models of the last training are unknown"
        return
    trained, refused = record
    older = [name for name, model in models.items() if trained.get(name) != model.version]
    since = [name for name in older if name in refused]
    others = [name for name in older if name not in refused]
    if since:
        yield REFUSED_SINCE, f"the last training into {folder} made no model for {_name(since)}: another one answers"
    if others:
        yield (
            EARLIER_TRAINING,
            f"not from the last training that finished into {folder}: {_name(others)}",
        )


def _read_record(file: Path) -> tuple[dict[str, str], set[str]] | None:
    """Read versions by name and the refused names; None if the file was not written by a training."""
    try:
        record: Any = read_json(file)
        trained = {str(name): str(made["version"]) for name, made in record["trained"].items()}
        return trained, {str(name) for name in record["refused"]}
    except (OSError, DataError, TypeError, KeyError, AttributeError):
        return None


def _name(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
