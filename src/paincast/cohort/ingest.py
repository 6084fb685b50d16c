"""Turn a registry's files into a cohort by its mapping: nothing is guessed, and nothing is dropped without a reject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from paincast.cohort.fields import Rows, apply_condition, apply_field, parse_dates
from paincast.cohort.mapping_types import Block, Condition, Field, Join, RegistryMapping
from paincast.cohort.reading import read_sheet
from paincast.cohort.rejects import Finding, any_broken, join_rejects, make_rejects, name_nearest
from paincast.cohort.tables import Cohort
from paincast.cohort.validate import validate_tables
from paincast.errors import DataError
from paincast.files import hash_file
from paincast.schema import EPISODES, TABLES


def ingest(mapping: RegistryMapping, files: Sequence[str | Path]) -> tuple[Cohort, pd.DataFrame]:
    """Read a registry's files into a cohort.

    Parameters
    ----------
    mapping : RegistryMapping
        What the files hold, see :func:`paincast.cohort.mapping.load_mapping`.
    files : sequence of Path
        One for each file of the mapping: recognised by name, otherwise taken in the mapping's order.

    Returns
    -------
    cohort : Cohort
        Basis ``real``. ``details`` holds hashes and row counts of the files, the rows that a filter left out and why,
        columns that are not used, and what the source cannot tell.
    rejects : DataFrame with columns table, row, column, rule, allowed, action
        Cells and rows that were left out. ``row`` is the place in the source file; ``table`` is the file's name
        for rows that belong to no table yet. Never a value.

    Raises
    ------
    DataError
        If a file is missing or unreadable, or lacks a column that the mapping names.
    """
    paths = _match_files(mapping, files)
    sheets, unreadable = _read_sheets(mapping, paths)
    _require_columns(mapping, sheets)
    rejects = [unreadable]
    rows = _join_sheets(mapping, sheets, rejects)
    rows, left_out = _filter_rows(mapping, rows, rejects)
    tables, places = _build_tables(mapping, rows, sheets, rejects, left_out)
    valid, broken = validate_tables(tables, places=places)
    cohort = Cohort(
        **valid,
        basis="real",
        sources=(mapping.citation or mapping.title,),
        details=_details(mapping, paths, sheets, left_out),
    )
    return cohort, join_rejects([*rejects, broken])


def describe_ingestion(cohort: Cohort, rejects: pd.DataFrame) -> list[str]:
    """Say in lines what an ingestion brought: what was read, left out and rejected, and what the source cannot tell.

    Parameters
    ----------
    cohort : Cohort
        As given by :func:`ingest`.
    rejects : DataFrame
        As given by :func:`ingest`.

    Returns
    -------
    list of str
        Lines to print; no value of a patient.
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
    return lines + [f"the source cannot tell: {note}" for note in details["cannot_tell"]]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _match_files(mapping: RegistryMapping, files: Sequence[str | Path]) -> dict[str, Path]:
    given = [Path(file) for file in files]
    if len(given) != len(mapping.files):
        raise DataError(
            f"the mapping '{mapping.name}' reads {len(mapping.files)} file(s), {', '.join(mapping.files)}; "
            f"{len(given)} given"
        )
    matched = {path.name: path for path in given if path.name in mapping.files}
    others = iter([path for path in given if path.name not in matched])
    return {name: matched[name] if name in matched else next(others) for name in mapping.files}


def _read_sheets(mapping: RegistryMapping, paths: Mapping[str, Path]) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    read = {
        name: read_sheet(path, separator=mapping.separator, encoding=mapping.encoding) for name, path in paths.items()
    }
    return {name: sheet for name, (sheet, _) in read.items()}, join_rejects(rejects for _, rejects in read.values())


def _require_columns(mapping: RegistryMapping, sheets: Mapping[str, pd.DataFrame]) -> None:
    missing: dict[str, str] = {}
    for file, column in _columns_used(mapping):
        if column not in sheets[file]:
            missing[f"'{column}' in {file}"] = name_nearest(column, map(str, sheets[file].columns))
    if missing:
        hints = "; ".join(f"{place} ({hint})" for place, hint in missing.items())
        raise DataError(f"columns that the mapping '{mapping.name}' names are missing: {hints}; correct the mapping")


def _columns_used(mapping: RegistryMapping) -> list[tuple[str, str]]:
    """List file and column of everything that the mapping reads."""
    readers: list[tuple[str, Field | Condition | None]] = [
        (mapping.file, reader)
        for reader in (
            *mapping.episodes.values(), *mapping.keep_rows_where, mapping.baseline_rows, mapping.procedure_date
        )
    ]  # fmt: skip
    for block in (*mapping.visits, *mapping.events):
        readers += [(block.file or mapping.file, reader) for reader in (*block.fields.values(), block.when)]
    used = [(reader.file or file, reader.column) for file, reader in readers if reader and reader.column]
    used += [(mapping.file, join.by) for join in mapping.joins] + [(join.file, join.called) for join in mapping.joins]
    return used


def _join_sheets(mapping: RegistryMapping, sheets: Mapping[str, pd.DataFrame], rejects: list[pd.DataFrame]) -> Rows:
    main = sheets[mapping.file]
    frames = {mapping.file: main}
    for join in mapping.joins:
        sheet = sheets[join.file]
        findings = _find_unjoinable(join, sheet, main)
        rejects.append(make_rejects(join.file, findings, sheet.index.to_series()))
        kept = sheet[~any_broken(findings, "row left out", len(sheet))].set_index(join.called, drop=False)
        frames[join.file] = kept.reindex(main[join.by]).fillna("").set_axis(main.index)
    return Rows(frames=frames, main=mapping.file, missing=mapping.missing, decimal_comma=mapping.decimal_comma)


def _find_unjoinable(join: Join, sheet: pd.DataFrame, main: pd.DataFrame) -> list[Finding]:
    ids = sheet[join.called]
    broken = {
        "required": (ids == "", "an id of the main file"),
        "duplicate": ((ids != "") & ids.duplicated(keep=False), "one row for each id"),
        "unknown episode": ((ids != "") & ~ids.isin(main[join.by]), "an id of the main file"),
    }
    return [
        Finding(broken=rows, column=join.called, rule=rule, allowed=allowed, action="row left out")
        for rule, (rows, allowed) in broken.items()
    ]


def _filter_rows(
    mapping: RegistryMapping, rows: Rows, rejects: list[pd.DataFrame]
) -> tuple[Rows, list[dict[str, Any]]]:
    left_out = []
    for condition in mapping.keep_rows_where:
        meant, unlisted = apply_condition(condition, rows)
        rejects.append(make_rejects(mapping.file, [unlisted], rows.index.to_series()))
        count = int((~meant & ~unlisted.broken).sum())
        left_out.append({"column": condition.column, "because": condition.because, "rows": count})
        rows = rows.select(meant)
    return rows, left_out


def _build_tables(
    mapping: RegistryMapping,
    rows: Rows,
    sheets: Mapping[str, pd.DataFrame],
    rejects: list[pd.DataFrame],
    left_out: list[dict[str, Any]],
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.Series]]:
    """Build the raw tables and the place of each of their rows; rejects and rows left out are added to the lists."""
    before, after = rows, rows
    if mapping.baseline_rows:
        at_baseline, unlisted = apply_condition(mapping.baseline_rows, rows)
        rejects.append(make_rejects(mapping.file, [unlisted], rows.index.to_series()))
        before, after = rows.select(at_baseline), rows.select(~at_baseline & ~unlisted.broken)
    dates = _procedure_dates(mapping, before, rejects)
    episodes = _apply_fields("episodes", mapping.episodes, replace(before, procedure_date=dates), rejects)
    known = _index_by_episode(mapping, episodes, dates)
    tables = {"episodes": episodes}
    for table, blocks in (("visits", mapping.visits), ("events", mapping.events)):
        built = [_build_block(table, block, mapping, after, sheets, known, rejects) for block in blocks]
        tables[table] = pd.concat(built) if built else pd.DataFrame(columns=list(TABLES[table]), dtype="str")
    tables["visits"] = _drop_visits_without_values(tables["visits"], left_out)
    return tables, {table: frame.index.to_series() for table, frame in tables.items()}


def _drop_visits_without_values(visits: pd.DataFrame, left_out: list[dict[str, Any]]) -> pd.DataFrame:
    measures = [name for name in visits if name not in ("episode_id", "month")]
    held = visits[visits[measures].notna().any(axis="columns")]
    if len(held) < len(visits):
        because = "no value was recorded at the visit"
        left_out.append({"column": "", "because": because, "rows": len(visits) - len(held)})
    return held


def _procedure_dates(mapping: RegistryMapping, rows: Rows, rejects: list[pd.DataFrame]) -> pd.Series:
    if mapping.procedure_date is None:
        return pd.Series(pd.NaT, index=rows.index)
    dates, failed = parse_dates(mapping.procedure_date, rows)
    allowed = f"a date, {mapping.procedure_date.date_format or 'YYYY-MM-DD'}"
    column = str(mapping.procedure_date.column)
    finding = Finding(broken=failed, column=column, rule="not a date", allowed=allowed, action="cell emptied")
    rejects.append(make_rejects("episodes", [finding], rows.index.to_series()))
    return dates


def _index_by_episode(
    mapping: RegistryMapping, episodes: pd.DataFrame, dates: pd.Series
) -> tuple[pd.DataFrame, pd.Series]:
    """Give the numbers before the procedure and its date by episode; validation settles rows that share an id."""
    numbers = [name for name in mapping.episodes if EPISODES[name].type == "number" and name in episodes]
    first = episodes[episodes["episode_id"].notna() & ~episodes["episode_id"].duplicated()]
    baseline = first.set_index("episode_id")[numbers].apply(pd.to_numeric, errors="coerce")
    return baseline, dates.loc[first.index].set_axis(first["episode_id"])


def _build_block(
    table: str,
    block: Block,
    mapping: RegistryMapping,
    rows: Rows,
    sheets: Mapping[str, pd.DataFrame],
    known: tuple[pd.DataFrame, pd.Series],
    rejects: list[pd.DataFrame],
) -> pd.DataFrame:
    if block.file:
        rows = replace(rows, frames={block.file: sheets[block.file]}, main=block.file)
    if block.when:
        meant, unlisted = apply_condition(block.when, rows)
        rejects.append(make_rejects(table, [unlisted], rows.index.to_series()))
        rows = rows.select(meant)
    fields = {"episode_id": mapping.episodes["episode_id"], **block.fields}
    ids, _ = apply_field(fields["episode_id"], rows)
    rows = replace(
        rows,
        baseline=known[0].reindex(ids).set_axis(rows.index),
        procedure_date=known[1].reindex(ids).set_axis(rows.index),
    )
    return _apply_fields(table, fields, rows, rejects)


def _apply_fields(table: str, fields: Mapping[str, Field], rows: Rows, rejects: list[pd.DataFrame]) -> pd.DataFrame:
    built = {}
    findings: list[Finding] = []
    for name, field in fields.items():
        built[name], found = apply_field(field, rows)
        findings += found
    rejects.append(make_rejects(table, findings, rows.index.to_series()))
    return pd.DataFrame(built, index=rows.index)[~any_broken(findings, "row left out", len(rows.index))]


def _details(
    mapping: RegistryMapping,
    paths: Mapping[str, Path],
    sheets: Mapping[str, pd.DataFrame],
    left_out: list[dict[str, Any]],
) -> dict[str, Any]:
    hashes = {name: hash_file(path) for name, path in paths.items()}
    used = set(_columns_used(mapping))
    return {
        "mapping": mapping.name,
        "mapping_sha256": mapping.digest,
        "title": mapping.title,
        "licence": mapping.licence,
        "files": {
            name: {
                "rows": len(sheets[name]),
                "sha256": hashes[name],
                "as_published": mapping.hashes[name] == hashes[name] if name in mapping.hashes else None,
                "columns_not_used": [str(column) for column in sheets[name] if (name, column) not in used],
            }
            for name in paths
        },
        "left_out": left_out,
        "cannot_tell": list(mapping.cannot_tell),
    }
