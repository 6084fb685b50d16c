"""Read what a mapping says about long tables: their columns, the window of the baseline, OMOP and FHIR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from paincast.cohort.coercion import to_code
from paincast.cohort.long import omop
from paincast.cohort.long.fhir import tables as fhir
from paincast.cohort.long.types import BaselineWindow, LongTable
from paincast.cohort.registry.mapping_fields import one_or_more, read_date_format, read_days, read_text
from paincast.cohort.registry.mapping_readers import list_readers
from paincast.cohort.registry.mapping_types import YEAR, Condition, Field, Join, RegistryMapping
from paincast.files.strict_yaml import Node
from paincast.schema import EPISODES

OTHER_CODE = "its code is not listed under technique"


def read_long_table(node: Node) -> LongTable:
    """Read what the columns of a long table are called."""
    keys = node.section(
        ("file", "person", "name", "value", "at", "unit", "date_format"),
        required=("file", "person", "name", "value", "at"),
    )
    return LongTable(
        file=keys["file"].text(),
        person=keys["person"].text(),
        name=keys["name"].text(),
        value=one_or_more(keys["value"]),
        at=keys["at"].text(),
        unit=read_text(keys, "unit"),
        date_format=read_date_format(keys["date_format"], needs_day=True) if "date_format" in keys else None,
    )


def read_window(node: Node) -> BaselineWindow:
    """Read how long before a procedure a value may be to count as its baseline."""
    keys = node.section(("most_days_before", "same_day"), required=("most_days_before", "same_day"))
    return BaselineWindow(read_days(keys["most_days_before"]), keys["same_day"].flag())


def complete_model(mapping: RegistryMapping) -> RegistryMapping:
    """Complete a mapping of OMOP or FHIR by what its standard fixes: dates, joins, long tables and their columns.

    Procedures whose code the mapping does not list under ``technique`` are left out.
    """
    if mapping.model is None:
        return mapping
    date, tables, joins = _MODELS[mapping.model]
    read = {field.file for _, field in list_readers(mapping)}
    named_files = {field.file for field in list_named(mapping).values()}
    tables = tuple(
        replace(table, is_optional=table.file not in named_files)
        for table in tables
        if table.file in named_files or None in named_files
    )
    return replace(
        mapping,
        joins=tuple(join for join in joins if join.file in read),
        long=tables,
        procedure_date=mapping.procedure_date or Field(target=EPISODES["procedure_year"], column=date, reads=YEAR),
        keep_rows_where=(*_keep_listed_codes(mapping.episodes), *mapping.keep_rows_where),
    )


def list_named(mapping: RegistryMapping) -> dict[str, Field]:
    """List the fields that are read by name from long tables, by their place in the mapping."""
    fields = {f"episodes.{name}": field for name, field in mapping.episodes.items()}
    for i, block in enumerate(mapping.visits, 1):
        fields |= {f"visits[{i}].{name}": field for name, field in block.fields.items()}
    return {place: field for place, field in fields.items() if field.named}


def list_names(mapping: RegistryMapping) -> frozenset[str]:
    """List the names that a mapping reads from long tables."""
    return frozenset(name for field in list_named(mapping).values() for name in field.named)


def check_long(mapping: RegistryMapping, root: Node, top: Mapping[str, Node]) -> None:
    """Refuse named fields without a long table, and long tables without what they need."""
    named, files = list_named(mapping), [table.file for table in mapping.long]
    for place, field in named.items():
        if not mapping.long:
            raise root.refuse(f"{place}: 'named' needs 'long', 'omop' or 'fhir' under 'read'")
        if field.file is not None and field.file not in files:
            raise root.refuse(f"{place}: '{field.file}' is no long table; known: {', '.join(files)}")
    if mapping.one_procedure_a_day and mapping.procedure_date is None:
        raise top["read"].refuse("'one_procedure_a_day' needs the top-level key 'procedure_date'")
    if not mapping.long:
        return
    if mapping.baseline_window is None:
        raise top["read"].refuse("long tables need 'baseline_window: {most_days_before: ..., same_day: ...}'")
    if mapping.procedure_date is None:
        raise top["read"].refuse("long tables need the top-level key 'procedure_date'")
    if mapping.episodes["patient_id"].column is None:
        raise top["episodes"].refuse("long tables need patient_id as 'column', to find the rows of the patient")


def _keep_listed_codes(episodes: Mapping[str, Field]) -> tuple[Condition, ...]:
    technique = episodes.get("technique")
    if technique is None or technique.codes is None or technique.column is None:
        return ()
    codes = frozenset(map(to_code, technique.codes))
    condition = Condition(technique.column, file=technique.file, is_=codes, is_not=None, because=OTHER_CODE)
    return (condition,)


_MODELS: dict[str, tuple[str, tuple[LongTable, ...], tuple[Join, ...]]] = {
    "omop": (
        omop.PROCEDURE_DATE,
        omop.LONG_TABLES,
        tuple(Join(file=name, by=key, called=key, others_left_out=True) for name, key in omop.KEYS.items()),
    ),
    "fhir": (
        fhir.PROCEDURE_DATE,
        fhir.LONG_TABLES,
        (Join(file=fhir.PATIENTS, by=fhir.PATIENT, called="id", others_left_out=True),),
    ),
}
MAIN_FILES = {"omop": omop.PROCEDURES, "fhir": fhir.PROCEDURES}
"""The table with one row for each procedure, by model."""
