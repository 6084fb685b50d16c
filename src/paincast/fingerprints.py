"""Fingerprints of the episodes a model was trained on, by which they are known again in another cohort.

They lie beside the model on disk, readable by its owner alone, and go nowhere else. A fingerprint is a keyed hash of
what was known before the procedure; ids are no part of it, since two registries may number their patients alike.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.errors import OutputError
from paincast.files.bounded import read_json
from paincast.schema import EPISODES

FILE = "fingerprints.json"
KEPT = ".fingerprints"
"""Folder below that of the models: fingerprints of models that later trainings replaced, by content version."""

PARTS = 3
"""Columns fall into so many parts; leaving out one at a time, an episode is found again after a column was changed."""

CHANCE = 0.01
"""Expected number of strangers that a whole comparison may take for patients of the training."""

CONTENT_ROLES = ("predictor", "technique", "funnel", "safety", "process")

ONE_PATIENT = 1e-3
"""Expected pairs of strangers alike, were columns independent, below which repeated content is of one patient."""

MOST_RARE = 400
"""Powers of ten above it are not written: beside them a number is 0."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Marks:
    """Fingerprints over some columns.

    Parameters
    ----------
    columns : tuple of str
        The columns.
    rarity : dict of str to int
        For each fingerprint the power of ten below which a stranger shares its content: 6 means 1 in a million.
    chance : float
        Share of the pairs of training episodes whose content is the same.
    """

    columns: tuple[str, ...]
    rarity: dict[str, int]
    chance: float


@dataclass(frozen=True, kw_only=True)
class Fingerprints:
    """Fingerprints of the episodes a model was trained on.

    Parameters
    ----------
    version : str
        Content version of the model.
    salt : str
        Key of the hashes, of this model alone.
    n : int
        Training episodes.
    marks : tuple of Marks
        Of all columns, and of all but each part.
    ids : tuple of str
        Of the ids of patients; they help where content is too thin to tell.
    named : tuple of str
        Of id and content together.
    """

    version: str
    salt: str
    n: int
    marks: tuple[Marks, ...]
    ids: tuple[str, ...]
    named: tuple[str, ...]


def make_fingerprints(episodes: pd.DataFrame, version: str) -> Fingerprints:
    """Make the fingerprints of training episodes, under a random salt.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Episodes of one technique.
    version : str
        Content version of the model.

    Returns
    -------
    Fingerprints
    """
    salt = secrets.token_hex(16)
    held = [column.name for column in EPISODES.values() if column.timing == "before" and column.role in CONTENT_ROLES]
    words = {name: _write_words(episodes[name]) for name in held if name != "technique" and name in episodes}
    filled = {name: column for name, column in words.items() if any(column)}
    # The most telling columns are dealt out in turn, so that no part holds them all.
    ordered = sorted(filled, key=lambda name: (-len(set(filled[name])), name))
    parts = [ordered[start::PARTS] for start in range(PARTS)]
    choices = [ordered, *([name for name in ordered if name not in part] for part in parts if len(ordered) > PARTS)]
    marks = tuple(_make_marks(filled, columns, salt, len(episodes)) for columns in choices if columns)
    patients = _write_words(episodes["patient_id"])
    whole = _hash_rows([filled[name] for name in marks[0].columns], salt) if marks else [""] * len(episodes)
    return Fingerprints(
        version=version,
        salt=salt,
        n=len(episodes),
        marks=marks,
        ids=tuple(sorted(set(_hash_rows([patients], salt)))),
        named=tuple(sorted(set(_hash_rows([patients, whole], salt)))),
    )


def _make_marks(words: Mapping[str, list[str]], columns: Sequence[str], salt: str, n: int) -> Marks:
    prints = _hash_rows([words[name] for name in columns], salt)
    odds = np.zeros(n)
    for name in columns:
        counts = Counter(word for word in words[name] if word)
        known = max(sum(counts.values()), 1)
        odds += np.array([np.log10(counts[word] / known) if word else 0.0 for word in words[name]])
    # So much in common is no chance however columns go together: two knees or two procedures of one patient.
    alike = np.array(prints)[10.0**odds >= ONE_PATIENT / n**2]
    repeated, chance = Counter(alike.tolist()), _count_alike(alike.tolist(), n)
    # Columns that go together make strangers alike more often than each column for itself tells.
    excess = max(0.0, np.log10(chance / np.mean(10.0**odds))) if max(repeated.values(), default=0) > 1 else 0.0
    again = np.array([repeated[one] - 1 for one in prints]) / n
    share = np.maximum(10.0 ** (odds + excess), again)
    rarity = {one: int(-np.log10(min(own, 1.0))) for one, own in zip(prints, share, strict=True)}
    return Marks(columns=tuple(columns), rarity=rarity, chance=chance)


def _count_alike(prints: Sequence[str], n: int) -> float:
    """Estimate the chance that two of n strangers have the same content from the pairs that do, and one more."""
    pairs = sum(count * (count - 1) for count in Counter(prints).values())
    return min(1.0, (pairs + 2) / max(n * (n - 1), 2))


def find_trained_on(fingerprints: Fingerprints, episodes: pd.DataFrame) -> BoolArray:
    """Find the episodes of a cohort whose patients a model was trained on.

    Content has to match. Where it is too thin to tell one patient from another, matches count if they are more than
    strangers would show; with the same id, of those who are numbered alike.

    Parameters
    ----------
    fingerprints : Fingerprints
        Of the model.
    episodes : DataFrame of shape (n, ...)
        Episodes of its technique in another cohort.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for every episode of a patient of whom one was found.
    """
    found = np.zeros(len(episodes), dtype=bool)
    if not len(episodes) or not fingerprints.marks:
        return found
    words = {name: _write_words(episodes[name]) for name in fingerprints.marks[0].columns}
    allowed = CHANCE / (len(fingerprints.marks) * fingerprints.n * len(episodes))
    prints = [_hash_rows([words[name] for name in marks.columns], fingerprints.salt) for marks in fingerprints.marks]
    for marks, own in zip(fingerprints.marks, prints, strict=True):
        found |= np.array([10.0 ** -marks.rarity.get(one, 0) <= allowed for one in own])
        found |= _keep_beyond_chance(np.isin(own, list(marks.rarity)), len(own) * fingerprints.n, marks, own)
    patients = _write_words(episodes["patient_id"])
    same_id = np.isin(_hash_rows([patients], fingerprints.salt), fingerprints.ids)
    same = np.isin(_hash_rows([patients, prints[0]], fingerprints.salt), fingerprints.named)
    found |= _keep_beyond_chance(same, int(same_id.sum()), fingerprints.marks[0], prints[0])
    return np.asarray(episodes["patient_id"].isin(set(episodes["patient_id"][found])) | found)


def _keep_beyond_chance(matched: BoolArray, compared: int, marks: Marks, own: Sequence[str]) -> BoolArray:
    """Keep matches of thin content if they are more than strangers would show in so many pairs.

    Two populations agree no more often than the geometric mean of how often each agrees with itself (Cauchy-Schwarz).
    """
    expected = min(compared * max(marks.chance, _count_alike(own, len(own)) if len(own) > 1 else 0.0), len(own))
    return matched if matched.sum() > 1.5 * expected + 5 * np.sqrt(expected) + 3 else np.zeros(len(own), dtype=bool)


def _hash_rows(columns: Sequence[list[str]], salt: str) -> list[str]:
    key = bytes.fromhex(salt)
    return [
        hashlib.blake2b("\x1f".join(row).encode(), key=key, digest_size=12).hexdigest()
        for row in zip(*columns, strict=True)
    ]


def _write_words(values: pd.Series) -> list[str]:
    """Write values so that the same value is the same word however it was read; empty where it is missing."""
    return ["" if pd.isna(value) else _write_word(value) for value in values]


def _write_word(value: Hashable) -> str:
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | float | np.number):
        return f"{float(value) + 0.0:.5g}"
    return str(value).strip()


def write_fingerprints(fingerprints: Fingerprints, path: Path) -> None:
    """Write fingerprints to a new file that its owner alone can read.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            json.dump(asdict(fingerprints), stream)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}", code="PC-FINGERPRINTS-01") from error


def find_fingerprints(*folders: str | Path) -> dict[str, Fingerprints]:
    """Read what fingerprints lie below folders, by the content version of their model; those unreadable are none."""
    files = [file for folder in folders for file in _list_files(Path(folder))]
    read = [held for file in files if (held := _read(file)) is not None]
    return {held.version: held for held in read}


def _list_files(folder: Path) -> Iterable[Path]:
    return [*sorted(folder.glob(f"{KEPT}/*.json")), *sorted(folder.rglob(FILE))] if folder.is_dir() else []


def _read(file: Path) -> Fingerprints | None:
    try:
        state: dict[str, Any] = read_json(file)
        marks = tuple(Marks(**{**one, "columns": tuple(one["columns"])}) for one in state["marks"])
        held = Fingerprints(**{**state, "marks": marks, "ids": tuple(state["ids"]), "named": tuple(state["named"])})
        return held if _is_usable(held) else None
    except Exception:  # whatever a file that was not written by write_fingerprints can provoke
        return None


def _is_usable(held: Fingerprints) -> bool:
    """Say whether values are such as can be, after a search for a patient of whom nothing is known."""
    find_trained_on(held, pd.DataFrame({name: [None] for name in EPISODES}, dtype=object))
    return (
        all(isinstance(text, str) for text in (held.version, *held.ids, *held.named))
        and held.n > 0
        and all(name in EPISODES for marks in held.marks for name in marks.columns)
        and all(0 <= marks.chance <= 1 for marks in held.marks)
        and all(
            type(power) is int and 0 <= power < MOST_RARE for marks in held.marks for power in marks.rarity.values()
        )
    )
