"""What patients whom a model had never seen said of it: external validations, recorded beside its bundle.

A record holds no row, only a rounded number of patients and the ratio of observed to expected; it is bound to the
content version of the model, so that a model trained again starts without any.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from paincast.errors import DataError
from paincast.files import atomic_file
from paincast.files.bounded import read_json
from paincast.files.declared_schema import TEXT, SchemaWriter
from paincast.files.json_schema import Check, SchemaError, compile_schema
from paincast.files.serialization import from_plain

RECORD = "validations.json"
"""File beside a bundle."""

VALIDATIONS = "validations"
"""Tag of a registered version that holds the same; as many as fit, contradictions first."""

FORMAT = 1
MOST_VALIDATIONS = 10_000
LONGEST_TAG = 5000
"""Characters that MLflow keeps of a tag on every database."""

ACCEPTED = (0.8, 1.25)
"""Ratios of observed to expected that do not contradict a model."""

FEWEST = 50
"""Patients from which a validation can contradict a model."""

CONFIDENCE = 0.95
"""Level of the intervals of a record."""

VALIDATION_COLUMNS = ("validated_on", "validated_n", "validated_o_e", "validated_lower", "validated_upper")


@dataclass(frozen=True, kw_only=True)
class Validation:
    """External validation of a model on one cohort of real patients.

    Parameters
    ----------
    cohort, content : str
        Name of the cohort, and digest of the rows that were evaluated.
    n : int
        Patients evaluated, to the nearest five.
    o_e, lower, upper : float
        Ratio of observed to expected with its 95 % interval, to two decimals.
    contradicts : bool
        Whether 50 patients or more put the interval wholly outside :data:`ACCEPTED`.
    groups : tuple of (str, str)
        Pairs of indication and approach (empty where none is recorded) that make up a tenth of the patients or more.
    """

    cohort: str
    content: str
    n: int
    o_e: float
    lower: float
    upper: float
    contradicts: bool
    groups: tuple[tuple[str, str], ...] = ()

    @property
    def distance(self) -> float:
        """Distance of the nearer end of the interval from 1 on the log scale, below 0 if the interval holds 1."""
        return max(math.log(max(self.lower, 1e-9)), -math.log(max(self.upper, 1e-9)))

    @property
    def verdict(self) -> str:
        """Whether the patients contradict the model, in a few words."""
        if self.contradicts:
            return "contradicted by data"
        return "not contradicted" if self.n >= FEWEST else f"no verdict: fewer than {FEWEST} patients"

    def describe(self) -> str:
        """Describe the cohort, the number of patients and the ratio."""
        return f"{self.cohort} (about {self.n} patients, O/E {self.o_e:.2f}, {self.lower:.2f} to {self.upper:.2f})"


def is_contradicted(n: float, lower: float, upper: float) -> bool:
    """Tell whether enough patients put an interval of observed to expected wholly outside :data:`ACCEPTED`.

    Examples
    --------
    >>> is_contradicted(111, 0.08, 0.30), is_contradicted(49, 0.08, 0.30), is_contradicted(111, 0.7, 1.4)
    (True, False, False)
    """
    return n >= FEWEST and (upper < ACCEPTED[0] or lower > ACCEPTED[1])


def read_validations(folder: Path, version: str) -> tuple[Validation, ...]:
    """Read the validations of a model that stand beside its bundle, the worst first.

    Raises
    ------
    DataError
        If the record is damaged.
    """
    file = folder / RECORD
    if not file.is_file():
        return ()
    try:
        content = read_json(file)
    except DataError as error:
        raise _damaged(str(file)) from error
    return _parse(content, version, str(file))


def read_validations_tag(tags: Mapping[str, str], version: str) -> tuple[Validation, ...]:
    """Read the validations of a model from the tags of its registered version, the worst first.

    Raises
    ------
    DataError
        If the tag is damaged.
    """
    where = f"the tag {VALIDATIONS} of the registered version"
    if not tags.get(VALIDATIONS):
        return ()
    try:
        content = json.loads(tags[VALIDATIONS])
    except (ValueError, RecursionError) as error:
        raise _damaged(where) from error
    return _parse(content, version, where)


def merge_validation_tags(tags: Iterable[Mapping[str, str]], version: str) -> tuple[Validation, ...]:
    """Merge the validations of a model from the tags of all registered versions that hold its bundle."""
    found: tuple[Validation, ...] = ()
    for version_tags in tags:
        for validation in read_validations_tag(version_tags, version):
            found = add_validation(found, validation)
    return found


def _parse(content: Any, version: str, where: str) -> tuple[Validation, ...]:
    try:
        if content["model_version"] != version:
            return ()
        _compile_validations_schema()(content)
        found: tuple[Validation, ...] = from_plain(content["validations"], tuple[Validation, ...])
    except SchemaError as error:
        raise _damaged(where, f": {error}") from None
    except (KeyError, TypeError):
        raise _damaged(where) from None
    if not all(item.lower <= item.o_e <= item.upper for item in found):
        raise _damaged(where)
    return sort_validations(found)


@cache
def make_validations_schema() -> dict[str, Any]:
    """Make the JSON Schema (draft 2020-12) of ``validations.json``."""
    writer = SchemaWriter(
        {
            "Validation.n": {"minimum": 1},
            "Validation.o_e": {"minimum": 0},
            "Validation.lower": {"minimum": 0},
            "Validation.upper": {"minimum": 0},
        }
    )
    validations = {**writer.describe(tuple[Validation, ...]), "maxItems": MOST_VALIDATIONS}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "validations.json of paincast",
        "description": "What patients whom a model had never seen said of it.",
        "type": "object",
        "properties": {"format": {"const": FORMAT}, "model_version": TEXT, "validations": validations},
        "required": ["format", "model_version", "validations"],
        "$defs": writer.definitions,
    }


@cache
def _compile_validations_schema() -> Check:
    return compile_schema(make_validations_schema())


def _damaged(where: str, reason: str = "") -> DataError:
    return DataError(f"{where} is damaged{reason}; remove it and evaluate the model again", code="PC-MODEL-30")


def sort_validations(validations: Iterable[Validation]) -> tuple[Validation, ...]:
    """Put the worst first: contradictions, then by how far the interval lies from 1."""
    return tuple(sorted(validations, key=lambda item: (not item.contradicts, -item.distance)))


def format_validations(validations: Sequence[Validation], version: str) -> str:
    """Write validations as JSON."""
    content = {"format": FORMAT, "model_version": version, "validations": [asdict(item) for item in validations]}
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def add_validation(validations: Iterable[Validation], validation: Validation) -> tuple[Validation, ...]:
    """Add a validation, the worst first; it takes the place of one on the same rows or of the same name."""
    others = [item for item in validations if item.content != validation.content and item.cohort != validation.cohort]
    return sort_validations([*others, validation])


def format_tag(validations: Sequence[Validation], version: str) -> str:
    """Write as many validations as a tag of MLflow holds, the worst first."""
    kept = list(sort_validations(validations))
    while len(kept) > 1 and len(format_validations(kept, version)) > LONGEST_TAG:
        kept.pop()
    return format_validations(kept, version)


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


def assess_validations(
    validations: Sequence[Validation], indication: str | None, approach: str | None
) -> dict[str, float | str]:
    """Tell for a patient what validations say of the model that answers.

    A contradiction concerns patients of the indications and approaches that make up a tenth of those evaluated, and
    those of such an indication whose approach is unknown; for all others it is a doubt.

    Parameters
    ----------
    validations : sequence of Validation
        The worst first.
    indication, approach : str or None
        Of the patient; None where it is not known.

    Returns
    -------
    dict
        :data:`VALIDATION_COLUMNS`: all validations in words, and the numbers of the worst. ``contradicted``: why the
        answer is contradicted; ``doubted``: what other patients say against the model. Both are empty where nothing
        does.
    """
    told: dict[str, float | str] = {"validated_on": "; ".join(item.describe() for item in validations)}
    told |= dict.fromkeys(VALIDATION_COLUMNS[1:], math.nan)
    if validations:
        worst = validations[0]
        numbers = (float(worst.n), worst.o_e, worst.lower, worst.upper)
        told |= dict(zip(VALIDATION_COLUMNS[1:], numbers, strict=True))
    told |= {"contradicted": "", "doubted": ""}
    for item in reversed([item for item in validations if item.contradicts]):
        if any(indication == group and approach in (None, way) for group, way in item.groups):
            told["contradicted"] = f"contradicted by data: {item.describe()}"
        else:
            told["doubted"] = f"contradicted by data of other indications or approaches: {item.describe()}"
    return told
