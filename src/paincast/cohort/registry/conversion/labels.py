"""Let a mapping name codes of SPSS and Stata by their labels, as in ``codes: {Male: male}`` for a column of 1 and 2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from paincast.cohort.coercion import to_code
from paincast.cohort.reading.labels import find_meanings, find_missing_codes
from paincast.cohort.reading.types import ColumnNotes
from paincast.cohort.registry.mapping_types import Block, Condition, Field, RegistryMapping

Labels = Mapping[str, Mapping[str, ColumnNotes]]
"""What each file says about its columns."""


def resolve_labels(mapping: RegistryMapping, labels: Labels) -> RegistryMapping:
    """Add to each list of codes in a mapping the codes whose label it lists.

    A column of categories, or of true and false, that lists no codes takes them from the labels, if every label is a
    value of the contract or a word for "no value".

    Parameters
    ----------
    mapping : RegistryMapping
        The mapping as written.
    labels : mapping of str to mapping of str to ColumnNotes
        Notes on columns, by file.

    Returns
    -------
    RegistryMapping
        The same mapping if no file has labels.
    """
    if not any(labels.values()):
        return mapping
    main = mapping.file
    return replace(
        mapping,
        keep_rows_where=tuple(_resolve_condition(condition, main, labels) for condition in mapping.keep_rows_where),
        baseline_rows=_resolve_condition(mapping.baseline_rows, main, labels) if mapping.baseline_rows else None,
        episodes=_resolve_fields(mapping.episodes, main, labels),
        visits=tuple(_resolve_block(block, main, labels) for block in mapping.visits),
        events=tuple(_resolve_block(block, main, labels) for block in mapping.events),
    )


def _resolve_block(block: Block, main: str, labels: Labels) -> Block:
    file = block.file or main
    return block._replace(
        fields=_resolve_fields(block.fields, file, labels),
        when=_resolve_condition(block.when, file, labels) if block.when else None,
    )


def _resolve_fields(fields: Mapping[str, Field], file: str, labels: Labels) -> dict[str, Field]:
    return {name: _resolve_field(field, file, labels) for name, field in fields.items()}


def _resolve_field(field: Field, file: str, labels: Labels) -> Field:
    notes = labels.get(field.file or file, {}).get(field.column or "", ColumnNotes())
    if not notes.value_labels:
        return field
    conditional = {
        code: tuple(entry._replace(where=_resolve_condition(entry.where, file, labels)) for entry in entries)
        for code, entries in field.conditional_codes.items()
    }
    conditional |= {code: conditional[label] for code, label in _find_codes(notes, conditional).items()}
    codes = field.codes
    if codes is not None:
        codes = {**codes, **{code: codes[label] for code, label in _find_codes(notes, codes).items()}}
    elif not field.true_if_contains:
        codes = find_meanings(notes, field.target)
    missing = field.missing | set(_find_codes(notes, field.missing)) | (find_missing_codes(notes) - set(codes or ()))
    return replace(field, codes=codes, conditional_codes=conditional, missing=missing)


def _resolve_condition(condition: Condition, file: str, labels: Labels) -> Condition:
    notes = labels.get(condition.file or file, {}).get(condition.column, ColumnNotes())
    is_not = condition.is_not
    return condition._replace(
        is_=condition.is_ | set(_find_codes(notes, condition.is_)),
        is_not=None if is_not is None else is_not | set(_find_codes(notes, is_not)),
    )


def _find_codes(notes: ColumnNotes, listed: Mapping[str, object] | frozenset[str]) -> dict[str, str]:
    """Find the codes that are not listed themselves, and whose label is: the code, and the label as it is listed."""
    by_fold = {word.casefold(): word for word in listed}
    folded = {code: to_code(label).casefold() for code, label in notes.value_labels.items()}
    return {code: by_fold[label] for code, label in folded.items() if label in by_fold and code not in listed}
