"""Convert a registry's files into a cohort with a mapping; every dropped row or cell is listed as a reject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from paincast.cohort.registry.conversion.files import Sources, read_sources
from paincast.cohort.registry.conversion.labels import resolve_labels
from paincast.cohort.registry.conversion.ledger import Ledger
from paincast.cohort.registry.conversion.sources import filter_rows, join_sheets, refuse_numbered_patients
from paincast.cohort.registry.conversion.tables import build_tables
from paincast.cohort.registry.mapping_types import RegistryMapping
from paincast.cohort.rejects import join_rejects, locate_rows
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
    rejects : DataFrame with columns table, file, row, column, rule, allowed, action
        Cells and rows that were left out. ``row`` is the position in ``file``; ``table`` is the file's name for rows
        that belong to no table yet. Values are never included.

    Raises
    ------
    DataError
        If a file is missing or unreadable, or lacks a column that the mapping names; if rows are numbered as patients
        and a column shows that patients have several.
    """
    ledger = Ledger()
    sources = read_sources(mapping, files, ledger)
    mapping = resolve_labels(mapping, sources.labels)
    joined = replace(join_sheets(mapping, sources.sheets, sources.style, ledger), before=sources.before)
    rows = filter_rows(mapping, joined, ledger)
    refuse_numbered_patients(mapping, rows.frames[mapping.file], sources.main_rejects)
    tables, places = build_tables(mapping, rows, sources, ledger)
    valid, broken = validate_tables(tables, places=places, contract=mapping.contract)
    cohort = Cohort(
        episodes=valid["episodes"],
        visits=valid["visits"],
        events=valid["events"],
        basis="real",
        sources=(mapping.citation or mapping.title,),
        details=_details(mapping, sources, ledger),
        contract=mapping.contract,
    )
    return cohort, locate_rows(join_rejects([*ledger.rejects, broken]), sources.extents)


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
    for name, file in details["files"].items():
        choices = ", ".join(f"{key} {value}" for key, value in file["read_as"].items())
        lines += [f"read {_count(file['rows'], 'row')} of {name}" + (f" ({choices})" if choices else "")]
        lines += file["remarks"]
    lines += [
        f"left out by the mapping: {_count(entry['rows'], 'row')} because {entry['because']}"
        for entry in details["left_out"]
    ]
    lines += [f"values of long tables {kind}: {n}" for kind, n in details["long_values"].items()]
    lines += [f"no row of the long tables has the name '{name}'" for name in details["names_not_found"]]
    kinds = rejects.groupby(["action", "table", "column", "rule"]).size().reset_index(name="times")
    lines += [
        f"{kind['action']}: {kind['times']} x {kind['table']} {kind['column']} ({kind['rule']})"
        for kind in kinds.to_dict("records")
    ]
    return lines + [f"not recorded by the source: {note}" for note in details["cannot_tell"]]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _details(mapping: RegistryMapping, sources: Sources, ledger: Ledger) -> dict[str, Any]:
    return {
        "mapping": mapping.name,
        "mapping_sha256": mapping.digest,
        "title": mapping.title,
        "licence": mapping.licence,
        "files": {
            name: {
                "rows": file.n_rows,
                "sha256": file.sha256,
                "as_published": mapping.hashes[name] == file.sha256 if name in mapping.hashes else None,
                "read_as": dict(file.read_as),
                "remarks": list(file.remarks),
                "columns_not_used": list(file.columns_not_used),
            }
            for name, file in sources.facts.items()
        },
        "left_out": ledger.left_out,
        "long_values": ledger.long_values,
        "names_not_found": ledger.names_not_found,
        "cannot_tell": list(mapping.cannot_tell),
    }
