"""Convert a registry's files into a cohort with a mapping; every dropped row or cell is listed as a reject."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from paincast.cohort.registry.conversion.files import FileFacts, match_files, read_sources
from paincast.cohort.registry.conversion.labels import resolve_labels
from paincast.cohort.registry.conversion.ledger import Ledger
from paincast.cohort.registry.conversion.sources import filter_rows, join_sheets, refuse_numbered_patients
from paincast.cohort.registry.conversion.tables import build_tables
from paincast.cohort.registry.counts import IngestionCounts, count_ingested
from paincast.cohort.registry.mapping_types import RegistryMapping
from paincast.cohort.registry.streaming.decisions import MixedMarksError
from paincast.cohort.registry.streaming.passes import BATCH_ROWS, UnsettledError, stream
from paincast.cohort.registry.streaming.plain import are_streamed, is_plain
from paincast.cohort.registry.streaming.sinks import REJECTS, FolderSink, MemorySink
from paincast.cohort.rejects import join_rejects, locate_rows, order_rejects
from paincast.cohort.tables import MANIFEST, Cohort, save_cohort, write_manifest
from paincast.cohort.validate import validate_tables
from paincast.files import atomic_file, atomic_folder
from paincast.files.spreadsheets import write_csv
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
    path = _find_streamed(mapping, files)
    if path is not None:
        with suppress(UnsettledError, MixedMarksError):
            return ingest_in_batches(mapping, path)
    return ingest_whole(mapping, files)


def ingest_whole(mapping: RegistryMapping, files: Sequence[str | Path]) -> tuple[Cohort, pd.DataFrame]:
    """Read a registry's files as whole tables; see :func:`ingest`."""
    ledger = Ledger()
    sources = read_sources(mapping, files, ledger)
    mapping = resolve_labels(mapping, sources.labels)
    joined = replace(join_sheets(mapping, sources.sheets, sources.style, ledger), before=sources.before)
    rows = filter_rows(mapping, joined, ledger)
    refuse_numbered_patients(mapping, rows.frames[mapping.file], sources.main_rejects)
    tables, places = build_tables(mapping, rows, sources, ledger)
    valid, broken = validate_tables(tables, places=places, contract=mapping.contract)
    rejects = locate_rows(join_rejects([*ledger.rejects, broken]), sources.extents)
    return _make_cohort(mapping, valid, sources.facts, ledger), order_rejects(rejects, sources.extents)


def _find_streamed(mapping: RegistryMapping, files: Sequence[str | Path]) -> Path | None:
    """Return the file that can be read in batches, if it is the only one and each of its rows stands for itself."""
    if not is_plain(mapping):
        return None
    path = match_files(mapping, [Path(file) for file in files])[mapping.file]
    return path if are_streamed([path]) else None


def ingest_in_batches(
    mapping: RegistryMapping, path: Path, *, batch_rows: int = BATCH_ROWS
) -> tuple[Cohort, pd.DataFrame]:
    """Read a file in batches; see :func:`ingest`, and :func:`paincast.cohort.registry.streaming.passes.stream`."""
    sink = MemorySink(mapping.contract)
    streamed = stream(mapping, path, sink, batch_rows=batch_rows)
    cohort = _make_cohort(mapping, sink.collect(), {mapping.file: streamed.facts}, streamed.ledger)
    return cohort, sink.rejects


def _make_cohort(
    mapping: RegistryMapping, tables: Mapping[str, pd.DataFrame], facts: Mapping[str, FileFacts], ledger: Ledger
) -> Cohort:
    return Cohort(
        episodes=tables["episodes"],
        visits=tables["visits"],
        events=tables["events"],
        basis="real",
        sources=(mapping.citation or mapping.title,),
        details=_details(mapping, facts, ledger),
        contract=mapping.contract,
    )


class Ingestion(NamedTuple):
    """What came of an ingestion into a folder.

    Parameters
    ----------
    lines : list of str
        A summary, without any patient's values.
    n_episodes : int
        Episodes of the cohort.
    share : float
        Largest share of the rows of a table that lost a value.
    is_written : bool
        Whether the cohort was written.
    """

    lines: list[str]
    n_episodes: int
    share: float
    is_written: bool


def ingest_to_folder(
    mapping: RegistryMapping, files: Sequence[str | Path], out: Path, *, max_rejects: float
) -> Ingestion:
    """Read a registry's files into the folder of a cohort, with ``rejects.csv`` in it.

    Where each row of a single file stands for itself, memory does not grow with the number of rows.

    Parameters
    ----------
    mapping, files
        As for :func:`ingest`.
    out : Path
        The folder.
    max_rejects : float
        If a larger share of the rows of a table lost a value, the cohort is not written, and the list of rejects is in
        ``<out>.rejects.csv``.
    """
    beside = out.with_name(f"{out.name}.rejects.csv")
    try:
        with atomic_folder(out, marker=MANIFEST) as folder:
            ingestion = _write_folder(mapping, files, folder)
            if ingestion.share > max_rejects:
                with atomic_file(beside) as draft:
                    shutil.copyfile(folder / REJECTS, draft)
                raise _TooManyRejectsError(ingestion._replace(is_written=False))
    except _TooManyRejectsError as refused:
        return refused.ingestion
    beside.unlink(missing_ok=True)  # of a refused run before
    return ingestion


class _TooManyRejectsError(Exception):
    def __init__(self, ingestion: Ingestion) -> None:
        super().__init__()
        self.ingestion = ingestion


def _write_folder(mapping: RegistryMapping, files: Sequence[str | Path], folder: Path) -> Ingestion:
    path = _find_streamed(mapping, files)
    if path is not None:
        with suppress(UnsettledError, MixedMarksError):
            return _stream_to_folder(mapping, path, folder)
    cohort, rejects = ingest_whole(mapping, files)
    save_cohort(cohort, folder)
    write_csv(rejects, folder / REJECTS)
    counts = _count(cohort, rejects)
    before = cohort.episodes["pain_nrs"].notna()
    followed = set(cohort.visits.loc[cohort.visits["pain_nrs"].notna(), "episode_id"])
    paired = before & cohort.episodes["episode_id"].isin(followed)
    return _summarize(cohort.details, counts, int(before.sum()), int(paired.sum()))


def _stream_to_folder(mapping: RegistryMapping, path: Path, folder: Path) -> Ingestion:
    sink = FolderSink(folder, mapping.contract)
    try:
        streamed = stream(mapping, path, sink)
    finally:
        sink.remove_parts()
    details = _details(mapping, {mapping.file: streamed.facts}, streamed.ledger)
    write_manifest(
        folder,
        basis="real",
        n_episodes=sink.counts.n_rows["episodes"],
        sources=(mapping.citation or mapping.title,),
        details=details,
        contract=mapping.contract,
    )
    return _summarize(details, sink.counts, streamed.n_before, streamed.n_paired)


def _summarize(details: Mapping[str, Any], counts: IngestionCounts, n_before: int, n_paired: int) -> Ingestion:
    pairs = f"episodes with pain before: {n_before}; with pain before and after: {n_paired}"
    return Ingestion(
        lines=[*_describe(details, counts), pairs],
        n_episodes=counts.n_rows["episodes"],
        share=counts.compute_worst_share(details["files"]),
        is_written=True,
    )


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
    return _describe(cohort.details, _count(cohort, rejects))


def _count(cohort: Cohort, rejects: pd.DataFrame) -> IngestionCounts:
    return count_ingested({table: getattr(cohort, table) for table in TABLES}, rejects)


def _describe(details: Mapping[str, Any], counts: IngestionCounts) -> list[str]:
    n_rows = [f"{counts.n_rows[table]} {table}" for table in TABLES]
    lines = [f"{details['title']}: {', '.join(n_rows)}"]
    for name, file in details["files"].items():
        choices = ", ".join(f"{key} {value}" for key, value in file["read_as"].items())
        lines += [f"read {_with_noun(file['rows'], 'row')} of {name}" + (f" ({choices})" if choices else "")]
        lines += file["remarks"]
    lines += [
        f"left out by the mapping: {_with_noun(entry['rows'], 'row')} because {entry['because']}"
        for entry in details["left_out"]
    ]
    lines += [f"values of long tables {kind}: {n}" for kind, n in details["long_values"].items()]
    lines += [f"no row of the long tables has the name '{name}'" for name in details["names_not_found"]]
    lines += [
        f"{action}: {times} x {table} {column} ({rule})"
        for (action, table, column, rule), times in sorted(counts.kinds.items())
    ]
    return lines + [f"not recorded by the source: {note}" for note in details["cannot_tell"]]


def compute_worst_share(cohort: Cohort, rejects: pd.DataFrame) -> float:
    """Compute the largest share of the rows of a table, or of a file, that lost a value.

    Parameters
    ----------
    cohort : Cohort
        From :func:`ingest`.
    rejects : DataFrame
        What was left out.
    """
    return _count(cohort, rejects).compute_worst_share(cohort.details["files"])


def _with_noun(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _details(mapping: RegistryMapping, facts: Mapping[str, FileFacts], ledger: Ledger) -> dict[str, Any]:
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
            for name, file in facts.items()
        },
        "left_out": ledger.left_out,
        "long_values": ledger.long_values,
        "names_not_found": ledger.names_not_found,
        "cannot_tell": list(mapping.cannot_tell),
    }
