"""Which mappings and files are read in batches: each row is read for itself, and numbers are texts of one column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from paincast.cohort.reading.several import list_sources
from paincast.cohort.registry.mapping_types import PERCENT, YEAR, Block, Condition, Field, RegistryMapping

STREAMED = (".csv", ".tsv", ".txt", ".parquet", ".pq")
"""Suffixes of files that are read block by block and hold no labels of codes."""


def is_plain(mapping: RegistryMapping) -> bool:
    """Check whether each row of the main file is an episode with its visits and events, whatever other rows hold.

    REDCap exports, long tables, joined files, rows of several visits, rows that are numbered as patients and
    percent reductions (which need the whole column) are read as whole tables.
    """
    whole = (mapping.redcap, mapping.model, mapping.joins, mapping.long, mapping.baseline_rows)
    if any(whole) or mapping.one_procedure_a_day or mapping.episodes["patient_id"].row_number:
        return False
    conditions = [*mapping.keep_rows_where, *(block.when for block in _blocks(mapping) if block.when)]
    return (
        all(_is_plain_block(block) for block in _blocks(mapping))
        and all(_is_plain_field(field, mapping.file) for field in _fields(mapping))
        and all(_is_plain_condition(condition, mapping.file) for condition in conditions)
    )


def are_streamed(paths: Sequence[Path]) -> bool:
    """Check whether all files that the paths mean are of a format that is read block by block."""
    return all(source.file.suffix.lower() in STREAMED for path in paths for source in list_sources(path))


def is_by_word(field: Field) -> bool:
    """Check whether a value follows from the text of one column alone."""
    one_column = field.column is not None and field.unit_column is None and not field.conditional_codes
    return field.always is not None or (one_column and field.reads in ("value", YEAR))


def _blocks(mapping: RegistryMapping) -> tuple[Block, ...]:
    return (*mapping.visits, *mapping.events)


def _fields(mapping: RegistryMapping) -> Iterator[Field]:
    yield from mapping.episodes.values()
    if mapping.procedure_date:
        yield mapping.procedure_date
    for block in _blocks(mapping):
        yield from block.fields.values()


def _is_plain_block(block: Block) -> bool:
    return not (block.file or block.of or block.patient or block.is_long or "episode_id" in block.fields)


def _is_plain_field(field: Field, main: str) -> bool:
    if field.file not in (None, main) or field.of or field.named or field.checked or field.reads == PERCENT:
        return False
    conditions = [candidate.where for candidates in field.conditional_codes.values() for candidate in candidates]
    words = [field.always, *(field.codes or {}).values()]
    words += [candidate.meaning for candidates in field.conditional_codes.values() for candidate in candidates]
    is_number = field.target.type in ("number", "integer")
    has_comma = is_number and any("," in word for word in words if word)
    return not has_comma and all(_is_plain_condition(condition, main) for condition in conditions)


def _is_plain_condition(condition: Condition, main: str) -> bool:
    return condition.file in (None, main) and condition.of is None
