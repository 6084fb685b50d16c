"""Fingerprints of training episodes, used to detect them in another cohort.

They are stored next to the model on disk, readable only by its owner, and are not copied anywhere else. A fingerprint
is a keyed hash of the baseline values; ids are not included, because two registries may use the same patient numbers.
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

from paincast.deferred import pandas as pd
from paincast.errors import OutputError
from paincast.files.bounded import read_json
from paincast.schema import EPISODES

FILE = "fingerprints.json"
KEPT = ".fingerprints"
"""Subfolder of the models folder with the fingerprints of replaced models, by content version."""

PARTS = 3
"""Number of parts of the columns; each part is left out in turn, so that an episode is found if a column changed."""

CHANCE = 0.01
"""Expected number of false matches in a whole comparison."""

CONTENT_ROLES = ("predictor", "technique", "funnel", "safety", "process")

ONE_PATIENT = 1e-3
"""If fewer matching pairs are expected with independent columns, repeated content is assumed to be the same patient."""

MOST_RARE = 400
"""Larger powers of ten are invalid: the probability would underflow to 0."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Marks:
    """Fingerprints over some columns.

    Parameters
    ----------
    columns : tuple of str
        The columns.
    rarity : dict of str to int
        For each fingerprint, the probability that another patient has the same content, as a negative power of ten: 6
        means 1 in a million.
    chance : float
        Share of pairs of training episodes with the same content.
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
        Key of the hashes, specific to this model.
    n : int
        Number of training episodes.
    marks : tuple of Marks
        Fingerprints over all columns, and over all columns except each part.
    ids : tuple of str
        Hashes of patient ids, used if the content is not distinctive.
    named : tuple of str
        Hashes of id and content together.
    """

    version: str
    salt: str
    n: int
    marks: tuple[Marks, ...]
    ids: tuple[str, ...]
    named: tuple[str, ...]


def make_fingerprints(episodes: pd.DataFrame, version: str) -> Fingerprints:
    """Make the fingerprints of training episodes with a random salt.

    Columns that a contract declares are left out: a cohort of another contract, which has none of them, is searched for
    the same patients.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Episodes of a technique.
    version : str
        Content version of the model.

    Returns
    -------
    Fingerprints
    """
    salt = secrets.token_hex(16)
    names = [column.name for column in EPISODES.values() if column.timing == "before" and column.role in CONTENT_ROLES]
    words = {name: _write_words(episodes[name]) for name in names if name != "technique" and name in episodes}
    filled = {name: column for name, column in words.items() if any(column)}
    # Distribute the most distinctive columns evenly over the parts.
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
    # Very improbable repeats are two knees or two procedures of the same patient, not chance matches.
    alike = np.array(prints)[10.0**odds >= ONE_PATIENT / n**2]
    repeated, chance = Counter(alike.tolist()), _count_alike(alike.tolist(), n)
    # Correlated columns make chance matches more frequent than the product of the column frequencies.
    excess = max(0.0, np.log10(chance / np.mean(10.0**odds))) if max(repeated.values(), default=0) > 1 else 0.0
    repeat_share = np.array([repeated[fingerprint] - 1 for fingerprint in prints]) / n
    share = np.maximum(10.0 ** (odds + excess), repeat_share)
    rarity = {
        fingerprint: int(-np.log10(min(probability, 1.0)))
        for fingerprint, probability in zip(prints, share, strict=True)
    }
    return Marks(columns=tuple(columns), rarity=rarity, chance=chance)


def _count_alike(prints: Sequence[str], n: int) -> float:
    """Estimate the probability that two different patients have the same content: matching pairs plus one."""
    pairs = sum(count * (count - 1) for count in Counter(prints).values())
    return min(1.0, (pairs + 2) / max(n * (n - 1), 2))


def find_trained_on(fingerprints: Fingerprints, episodes: pd.DataFrame) -> BoolArray:
    """Find the episodes of patients on whom a model was trained.

    The content must match. If it is not distinctive, matches count only if there are more than expected by chance; this
    is also checked among episodes with a matching id.

    Parameters
    ----------
    fingerprints : Fingerprints
        Fingerprints of the model.
    episodes : DataFrame of shape (n, ...)
        Episodes of its technique in another cohort.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for every episode of a patient with a match.
    """
    is_found = np.zeros(len(episodes), dtype=bool)
    if not len(episodes) or not fingerprints.marks:
        return is_found
    words = {name: _write_words(episodes[name]) for name in fingerprints.marks[0].columns}
    allowed = CHANCE / (len(fingerprints.marks) * fingerprints.n * len(episodes))
    prints = [_hash_rows([words[name] for name in marks.columns], fingerprints.salt) for marks in fingerprints.marks]
    for marks, row_prints in zip(fingerprints.marks, prints, strict=True):
        is_found |= np.array([10.0 ** -marks.rarity.get(fingerprint, 0) <= allowed for fingerprint in row_prints])
        is_found |= _keep_beyond_chance(
            np.isin(row_prints, list(marks.rarity)),
            len(row_prints) * fingerprints.n,
            marks,
            row_prints,
        )
    patients = _write_words(episodes["patient_id"])
    same_id = np.isin(_hash_rows([patients], fingerprints.salt), fingerprints.ids)
    same = np.isin(_hash_rows([patients, prints[0]], fingerprints.salt), fingerprints.named)
    is_found |= _keep_beyond_chance(same, int(same_id.sum()), fingerprints.marks[0], prints[0])
    return np.asarray(episodes["patient_id"].isin(set(episodes["patient_id"][is_found])) | is_found)


def _keep_beyond_chance(matched: BoolArray, compared: int, marks: Marks, texts: Sequence[str]) -> BoolArray:
    """Keep matches of non-distinctive content if there are more than expected by chance.

    The match probability between two populations is at most the geometric mean of those within each (Cauchy-Schwarz).
    """
    expected = min(compared * max(marks.chance, _count_alike(texts, len(texts)) if len(texts) > 1 else 0.0), len(texts))
    return matched if matched.sum() > 1.5 * expected + 5 * np.sqrt(expected) + 3 else np.zeros(len(texts), dtype=bool)


def _hash_rows(columns: Sequence[list[str]], salt: str) -> list[str]:
    key = bytes.fromhex(salt)
    return [
        hashlib.blake2b("\x1f".join(row).encode(), key=key, digest_size=12).hexdigest()
        for row in zip(*columns, strict=True)
    ]


def _write_words(values: pd.Series) -> list[str]:
    """Convert values to text that does not depend on their dtype; empty for missing values."""
    return ["" if pd.isna(value) else _write_word(value) for value in values]


def _write_word(value: Hashable) -> str:
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | float | np.number):
        return f"{float(value) + 0.0:.5g}"
    return str(value).strip()


def write_fingerprints(fingerprints: Fingerprints, path: Path) -> None:
    """Write fingerprints to a new file that only its owner can read.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            json.dump(asdict(fingerprints), stream)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}", code="PC-FINGERPRINTS-01") from error


def find_fingerprints(*folders: str | Path) -> dict[str, Fingerprints]:
    """Read all fingerprints in folders, by the content version of their model; unreadable files are skipped."""
    files = [file for folder in folders for file in _list_files(Path(folder))]
    read = [fingerprints for file in files if (fingerprints := _read(file)) is not None]
    return {fingerprints.version: fingerprints for fingerprints in read}


def _list_files(folder: Path) -> Iterable[Path]:
    return [*sorted(folder.glob(f"{KEPT}/*.json")), *sorted(folder.rglob(FILE))] if folder.is_dir() else []


def _read(file: Path) -> Fingerprints | None:
    try:
        state: dict[str, Any] = read_json(file)
        marks = tuple(Marks(**{**entry, "columns": tuple(entry["columns"])}) for entry in state["marks"])
        fingerprints = Fingerprints(
            **{**state, "marks": marks, "ids": tuple(state["ids"]), "named": tuple(state["named"])}
        )
        return fingerprints if _is_usable(fingerprints) else None
    except Exception:  # a file from another source may raise any exception
        return None


def _is_usable(fingerprints: Fingerprints) -> bool:
    """Check that values are valid, after a trial search for a patient without any values."""
    find_trained_on(fingerprints, pd.DataFrame({name: [None] for name in EPISODES}, dtype=object))
    return (
        all(isinstance(text, str) for text in (fingerprints.version, *fingerprints.ids, *fingerprints.named))
        and fingerprints.n > 0
        and all(name in EPISODES for marks in fingerprints.marks for name in marks.columns)
        and all(0 <= marks.chance <= 1 for marks in fingerprints.marks)
        and all(
            type(power) is int and 0 <= power < MOST_RARE
            for marks in fingerprints.marks
            for power in marks.rarity.values()
        )
    )
