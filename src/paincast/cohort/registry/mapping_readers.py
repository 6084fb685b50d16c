"""List what a mapping reads: its fields and conditions, their columns, and rows of REDCap records."""

from __future__ import annotations

from paincast.cohort.registry.mapping_types import Condition, Field, RecordRows, RegistryMapping


def list_columns_used(mapping: RegistryMapping) -> list[tuple[str, str]]:
    """List the file and column of everything that the mapping reads."""
    used = [(reader.file or file, column) for file, reader in list_readers(mapping) for column in _columns_of(reader)]
    used += [(mapping.file, join.by) for join in mapping.joins] + [(join.file, join.called) for join in mapping.joins]
    return used + ([(mapping.file, mapping.redcap.record)] if mapping.redcap else [])


def list_readers(mapping: RegistryMapping) -> list[tuple[str, Field | Condition]]:
    """List the fields and conditions of a mapping, each with the file that it reads if it names none."""
    readers: list[tuple[str, Field | Condition | None]] = [
        (mapping.file, reader)
        for reader in (
            *mapping.episodes.values(), *mapping.keep_rows_where, mapping.baseline_rows, mapping.procedure_date
        )
    ]  # fmt: skip
    for block in (*mapping.visits, *mapping.events):
        fields = (*block.fields.values(), block.when, block.patient)
        readers += [(block.file or mapping.file, reader) for reader in fields]
    given = [(file, reader) for file, reader in readers if reader]
    conditional = [
        (file, code.where)
        for file, reader in given
        if isinstance(reader, Field)
        for codes in reader.conditional_codes.values()
        for code in codes
    ]
    return given + conditional


def list_record_rows(mapping: RegistryMapping) -> list[RecordRows]:
    """List which rows of a REDCap record the mapping reads."""
    blocks = [block.of for block in (*mapping.visits, *mapping.events)]
    episode = [mapping.redcap.episode] if mapping.redcap else []
    return [rows for rows in (*episode, *blocks, *(reader.of for _, reader in list_readers(mapping))) if rows]


def _columns_of(reader: Field | Condition) -> list[str]:
    columns = [reader.column]
    if isinstance(reader, Field):
        columns += [*reader.columns, *reader.count_true, *reader.checked, reader.none_box, reader.unit_column]
    return [column for column in columns if column]
