"""What patients that a model had never seen said of it: external validations, recorded beside its bundle.

A record holds no row, only counts and the ratio of observed to expected; it is bound to the content version of the
model, so that a model trained again starts without any.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paincast.errors import DataError
from paincast.files import atomic_file
from paincast.files.bounded import read_json
from paincast.files.declared_types import check_declared
from paincast.files.serialization import from_plain

RECORD = "validations.json"
"""File beside a bundle."""

VALIDATIONS = "validations"
"""Tag of a registered version that holds the same."""

FORMAT = 1

ACCEPTED = (0.8, 1.25)
"""Ratios of observed to expected that do not contradict a model."""

FEWEST = 50
"""Patients from which a validation can contradict a model."""

MOST = 20
"""Validations that are kept, the latest: a record stays small."""

VALIDATION_COLUMNS = ("validated_on", "validated_n", "validated_o_e", "validated_lower", "validated_upper")


@dataclass(frozen=True, kw_only=True)
class Validation:
    """External validation of a model on one cohort of real patients.

    Parameters
    ----------
    cohort, content : str
        Name of the cohort, and digest of its rows.
    n : int
        Patients evaluated.
    o_e, lower, upper : float
        Ratio of observed to expected with its interval.
    indications, approaches : tuple of str
        Those of at least five patients of the technique in the cohort.
    """

    cohort: str
    content: str
    n: int
    o_e: float
    lower: float
    upper: float
    indications: tuple[str, ...] = ()
    approaches: tuple[str, ...] = ()

    @property
    def contradicts(self) -> bool:
        """Whether the interval lies wholly outside :data:`ACCEPTED`, in enough patients."""
        return self.n >= FEWEST and (self.upper < ACCEPTED[0] or self.lower > ACCEPTED[1])

    @property
    def distance(self) -> float:
        """Distance of the nearer end of the interval from 1 on the log scale, below 0 if the interval holds 1."""
        return max(math.log(max(self.lower, 1e-9)), -math.log(max(self.upper, 1e-9)))

    def describe(self) -> str:
        """Describe the cohort, the number of patients and the ratio."""
        return f"{self.cohort} (n {self.n}, O/E {self.o_e:.2f}, {self.lower:.2f} to {self.upper:.2f})"


def read_validations(folder: Path, version: str) -> tuple[Validation, ...]:
    """Read the validations of a model that stand beside its bundle, the worst first.

    Raises
    ------
    DataError
        If the record is damaged.
    """
    file = folder / RECORD
    return parse_validations(read_json(file), version, str(file)) if file.is_file() else ()


def parse_validations(content: Any, version: str, where: str) -> tuple[Validation, ...]:
    """Read validations from plain data; none if they are of another version of the model.

    Raises
    ------
    DataError
        If the data are damaged.
    """
    try:
        if content["format"] != FORMAT or content["model_version"] != version:
            return ()
        found = from_plain(content["validations"], tuple[Validation, ...])
        check_declared(found, tuple[Validation, ...])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{where} is damaged ({type(error).__name__}); remove it and evaluate the model again",
            code="PC-MODEL-30",
        ) from error
    return sort_validations(found)


def read_validations_tag(tags: Mapping[str, str], version: str) -> tuple[Validation, ...]:
    """Read the validations of a model from the tags of its registered version, the worst first.

    Raises
    ------
    DataError
        If the tag is damaged.
    """
    written = tags.get(VALIDATIONS)
    if not written:
        return ()
    try:
        content = json.loads(written)
    except ValueError as error:
        raise DataError(f"the tag {VALIDATIONS} is damaged; remove it", code="PC-MODEL-31") from error
    return parse_validations(content, version, f"the tag {VALIDATIONS}")


def sort_validations(validations: Iterable[Validation]) -> tuple[Validation, ...]:
    """Put the worst first: contradictions, then by how far the interval lies from 1."""
    return tuple(sorted(validations, key=lambda item: (not item.contradicts, -item.distance)))


def format_validations(validations: Sequence[Validation], version: str) -> str:
    """Write validations as JSON."""
    content = {"format": FORMAT, "model_version": version, "validations": [asdict(item) for item in validations]}
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def add_validation(validations: Iterable[Validation], validation: Validation) -> tuple[Validation, ...]:
    """Add a validation; it takes the place of one on the same rows."""
    others = [item for item in validations if item.content != validation.content]
    return (*others, validation)[-MOST:]


def record_validation(folder: Path, version: str, validation: Validation) -> Path:
    """Record a validation beside a bundle.

    Raises
    ------
    DataError
        If the present record is damaged.
    OutputError
        If the folder cannot be written.
    """
    kept = add_validation(read_validations(folder, version), validation)
    with atomic_file(folder / RECORD) as draft:
        draft.write_text(format_validations(kept, version), encoding="utf-8")
    return folder / RECORD


def assess_validations(validations: Sequence[Validation], episodes: pd.DataFrame) -> pd.DataFrame:
    """Tell for each patient what validations say of the model that answers.

    Parameters
    ----------
    validations : sequence of Validation
        The worst first.
    episodes : DataFrame of shape (n, ...)
        Patients.

    Returns
    -------
    DataFrame
        :data:`VALIDATION_COLUMNS`: all validations in words, and the numbers of the worst. ``contradicted``: why the
        answer is contradicted by patients of the same indication and approach; ``doubted``: what patients of others
        say against the model. Both are empty where nothing does.
    """
    worst = validations[0] if validations else None
    told = pd.DataFrame(
        {
            "validated_on": "; ".join(item.describe() for item in validations),
            "validated_n": np.nan if worst is None else float(worst.n),
            "validated_o_e": np.nan if worst is None else worst.o_e,
            "validated_lower": np.nan if worst is None else worst.lower,
            "validated_upper": np.nan if worst is None else worst.upper,
            "contradicted": "",
            "doubted": "",
        },
        index=episodes.index,
    )
    for item in reversed([item for item in validations if item.contradicts]):
        alike = episodes["indication"].isin(item.indications).to_numpy(bool)
        if item.approaches and "approach" in episodes:
            alike = alike & episodes["approach"].isin(item.approaches).to_numpy(bool)
        told["contradicted"] = told["contradicted"].where(~alike, f"contradicted by data: {item.describe()}")
        doubt = f"contradicted by data of another indication or approach: {item.describe()}"
        told["doubted"] = told["doubted"].where(alike, doubt)
    return told
