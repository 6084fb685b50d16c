"""Convert a registry's files into a cohort with a mapping; every dropped row or cell is listed as a reject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from paincast.cohort.reading.files import TextTable
from paincast.cohort.registry.conversion.ledger import Ledger
from paincast.cohort.registry.conversion.sources import (
    filter_rows,
    find_style,
    join_sheets,
    match_files,
    read_sheets,
    refuse_numbered_patients,
    require_columns,
)
from paincast.cohort.registry.conversion.tables import build_tables
from paincast.cohort.registry.mapping_readers import list_columns_used
from paincast.cohort.registry.mapping_types import RegistryMapping
from paincast.cohort.rejects import join_rejects
from paincast.cohort.tables import Cohort
from paincast.cohort.validate import validate_tables
from paincast.schema import TABLES


def ingest(mapping: RegistryMapping, files: Sequence[str | Path]) -> tuple[Cohort, pd.DataFrame]:
    """Read a registry's files into a cohort.

    Parameters
    ----------
    mapping : RegistryMapping
        Describes the files; see :func:`paincast.cohort.registry.mapping.load_mapping`.
    files : sequence of Path
        One for each file of the mapping: matched by name, otherwise in the mapping's order.

    Returns
    -------
    cohort : Cohort
        Basis ``real``. ``details`` contains hashes and row counts of the files, the rows that a filter left out and
        why, unused columns, and the known limits of the source.
    rejects : DataFrame with columns table, row, column, rule, allowed, action
        Cells and rows that were left out. ``row`` is the position in the source file; ``table`` is the file's name
        for rows that belong to no table yet. Values are never included.

    Raises
    ------
    DataError
        If a file is missing or unreadable, or lacks a column that the mapping names; if rows are numbered as patients
        and a column shows that patients have several.
    """
    paths = match_files(mapping, files)
    text_tables = read_sheets(mapping, paths)
    require_columns(mapping, text_tables)
    sheets = {name: sheet.rows for name, sheet in text_tables.items()}
    ledger = Ledger([sheet.rejects for sheet in text_tables.values()])
    style = find_style(mapping, text_tables)
    rows = filter_rows(mapping, join_sheets(mapping, sheets, style, ledger), ledger)
    refuse_numbered_patients(mapping, rows.frames[mapping.file], text_tables[mapping.file].rejects)
    tables, places = build_tables(mapping, rows, sheets, ledger)
    valid, broken = validate_tables(tables, places=places)
    cohort = Cohort(
        **valid,
        basis="real",
        sources=(mapping.citation or mapping.title,),
        details=_details(mapping, text_tables, ledger.left_out),
    )
    return cohort, join_rejects([*ledger.rejects, broken])


def describe_ingestion(cohort: Cohort, rejects: pd.DataFrame) -> list[str]:
    """Summarize an ingestion: what was read, left out and rejected, and the known limits of the source.

    Parameters
    ----------
    cohort : Cohort
        As given by :func:`ingest`.
    rejects : DataFrame
        As given by :func:`ingest`.

    Returns
    -------
    list of str
        Lines to print, without any patient's values.
    """
    details = cohort.details
    counts = [f"{len(getattr(cohort, table))} {table}" for table in TABLES]
    lines = [f"{details['title']}: {', '.join(counts)}"]
    lines += [f"read {_count(file['rows'], 'row')} of {name}" for name, file in details["files"].items()]
    lines += [
        f"left out by the mapping: {_count(entry['rows'], 'row')} because {entry['because']}"
        for entry in details["left_out"]
    ]
    kinds = rejects.groupby(["action", "table", "column", "rule"]).size().reset_index(name="times")
    lines += [
        f"{kind['action']}: {kind['times']} x {kind['table']} {kind['column']} ({kind['rule']})"
        for kind in kinds.to_dict("records")
    ]
    return lines + [f"not recorded by the source: {note}" for note in details["cannot_tell"]]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _details(mapping: RegistryMapping, read: Mapping[str, TextTable], left_out: list[dict[str, Any]]) -> dict[str, Any]:
    used = set(list_columns_used(mapping))
    return {
        "mapping": mapping.name,
        "mapping_sha256": mapping.digest,
        "title": mapping.title,
        "licence": mapping.licence,
        "files": {
            name: {
                "rows": sheet.n_rows,
                "sha256": sheet.sha256,
                "as_published": mapping.hashes[name] == sheet.sha256 if name in mapping.hashes else None,
                "columns_not_used": [column for column in sheet.columns if (name, column) not in used],
            }
            for name, sheet in read.items()
        },
        "left_out": left_out,
        "cannot_tell": list(mapping.cannot_tell),
    }
