"""The tables of the OMOP Common Data Model 5.4 that a mapping can read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from paincast.cohort.long.types import LongTable
from paincast.errors import DataError

PROCEDURES = "procedure_occurrence"
PROCEDURE_DATE = "procedure_date"
KEYS = {"person": "person_id", "visit_occurrence": "visit_occurrence_id"}
"""Tables that are matched to procedures, and the column that both share."""

_NO_CONCEPT, _EQUAL = "0", "4172703"
_ABSENT = {
    "value_as_concept_id": frozenset({_NO_CONCEPT}),
    "unit_concept_id": frozenset({_NO_CONCEPT}),
    "operator_concept_id": frozenset({_NO_CONCEPT, _EQUAL}),
}
_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")


def _table(name: str, values: Sequence[str], *, comparator: str | None = None) -> LongTable:
    return LongTable(
        file=name,
        person="person_id",
        name=f"{name}_concept_id",
        value=tuple(values),
        at=f"{name}_date",
        unit="unit_concept_id",
        comparator=comparator,
        absent=_ABSENT,
        is_optional=True,
    )


LONG_TABLES = (
    _table("measurement", ("value_as_number", "value_as_concept_id"), comparator="operator_concept_id"),
    _table("observation", ("value_as_number", "value_as_concept_id", "value_as_string")),
    LongTable(
        file="condition_occurrence",
        person="person_id",
        name="condition_concept_id",
        value=("condition_concept_id",),
        at="condition_start_date",
        is_optional=True,
    ),
)
"""Measurements, observations, and conditions, whose value is their concept.

Answers to surveys are observations; the table ``survey_conduct`` adds no value.
"""


def find_tables(files: Sequence[Path]) -> dict[str, Path]:
    """Find the file of each table by its name, in any case.

    Parameters
    ----------
    files : sequence of Path
        Files, or folders of files.

    Raises
    ------
    DataError
        If a table has two files.
    """
    listed = [path for file in files for path in (sorted(file.iterdir()) if file.is_dir() else [file])]
    found: dict[str, Path] = {}
    for path in listed:
        name = path.stem.casefold()
        if path.suffix.casefold() not in _SUFFIXES or path.name.startswith("."):
            continue
        if name in found:
            raise DataError(f"the table {name} has two files, {found[name]} and {path}; keep one", code="PC-LONG-01")
        found[name] = path
    return found
