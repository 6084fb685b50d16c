"""Convert a registry's files into a cohort with a mapping; every dropped row or cell is listed as a reject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from paincast.cohort.coercion import has_decimal_commas, to_numbers
from paincast.cohort.identifiers import find_repeating_ids, find_twin_ids, names_patients
from paincast.cohort.reading.files import TextTable, read_text_table
from paincast.cohort.registry.fields import SourceRows, apply_condition, apply_field, read_procedure_days
from paincast.cohort.registry.mapping_types import Block, Condition, Field, Join, RegistryMapping
from paincast.cohort.rejects import BrokenRule, any_broken, join_rejects, make_rejects, name_nearest
from paincast.cohort.shared_keys import SEVERAL_PROCEDURES
from paincast.cohort.tables import Cohort
from paincast.cohort.validate import validate_tables
from paincast.errors import DataError
from paincast.schema import EPISODES, TABLES


@dataclass
class _Ledger:
    """Everything left out during ingestion: rejects, and rows that the mapping excludes."""

    rejects: list[pd.DataFrame] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)

    def reject(self, table: str, findings: Sequence[BrokenRule], rows: pd.Index) -> None:
        self.rejects.append(make_rejects(table, findings, rows.to_series()))

    def leave_out(self, n_rows: int, column: str, because: str) -> None:
        self.left_out.append({"column": column, "because": because, "rows": n_rows})


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
    paths = _match_files(mapping, files)
    text_tables = _read_sheets(mapping, paths)
    _require_columns(mapping, text_tables)
    sheets = {name: sheet.rows for name, sheet in text_tables.items()}
    ledger = _Ledger([sheet.rejects for sheet in text_tables.values()])
    rows = _filter_rows(mapping, _join_sheets(mapping, sheets, ledger), ledger)
    _refuse_numbered_patients(mapping, rows.frames[mapping.file], text_tables[mapping.file].rejects)
    tables, places = _build_tables(mapping, rows, sheets, ledger)
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


def _match_files(mapping: RegistryMapping, files: Sequence[str | Path]) -> dict[str, Path]:
    given = [Path(file) for file in files]
    if len(given) != len(mapping.files):
        raise DataError(
            f"the mapping '{mapping.name}' reads {len(mapping.files)} file(s), {', '.join(mapping.files)}; "
            f"{len(given)} given",
            code="PC-REGISTRY-01",
        )
    matched = {path.name: path for path in given if path.name in mapping.files}
    others = iter([path for path in given if path.name not in matched])
    return {name: matched[name] if name in matched else next(others) for name in mapping.files}


def _read_sheets(mapping: RegistryMapping, paths: Mapping[str, Path]) -> dict[str, TextTable]:
    used: dict[str, set[str]] = {name: set() for name in paths}
    for file, column in _columns_used(mapping):
        used[file].add(column)
    return {
        name: read_text_table(
            path,
            used=used[name],
            besides=names_patients,
            table=name,
            separator=mapping.separator,
            encoding=mapping.encoding,
        )
        for name, path in paths.items()
    }


def _require_columns(mapping: RegistryMapping, read: Mapping[str, TextTable]) -> None:
    missing: dict[str, str] = {}
    for file, column in _columns_used(mapping):
        if column not in read[file].rows:
            missing[f"'{column}' in {file}"] = name_nearest(column, read[file].columns)
    if missing:
        hints = "; ".join(f"{location} ({hint})" for location, hint in missing.items())
        raise DataError(
            f"columns that the mapping '{mapping.name}' names are missing: {hints}; correct the mapping",
            code="PC-REGISTRY-02",
        )


def _refuse_numbered_patients(mapping: RegistryMapping, sheet: pd.DataFrame, rejects: pd.DataFrame) -> None:
    twins = find_twin_ids(rejects) if mapping.episodes["patient_id"].row_number else []
    if twins:
        raise DataError(
            f"the mapping '{mapping.name}' numbers the rows of {mapping.file} as patients, but '{twins[0]}' appears "
            "twice in the header and may hold their ids: rename one, and name it as patient_id",
            code="PC-REGISTRY-03",
        )
    repeating = find_repeating_ids(sheet) if mapping.episodes["patient_id"].row_number else []
    if repeating:
        name = repeating[0]
        raise DataError(
            f"the mapping '{mapping.name}' numbers the rows of {mapping.file} as patients, but the column '{name}' "
            f"has repeated ids, so rows are not distinct patients; write patient_id: {{column: {name}}}",
            code="PC-REGISTRY-04",
        )


def _columns_used(mapping: RegistryMapping) -> list[tuple[str, str]]:
    """List the file and column of everything that the mapping reads."""
    readers: list[tuple[str, Field | Condition | None]] = [
        (mapping.file, reader)
        for reader in (
            *mapping.episodes.values(), *mapping.keep_rows_where, mapping.baseline_rows, mapping.procedure_date
        )
    ]  # fmt: skip
    for block in (*mapping.visits, *mapping.events):
        readers += [(block.file or mapping.file, reader) for reader in (*block.fields.values(), block.when)]
    used = [(reader.file or file, reader.column) for file, reader in readers if reader and reader.column]
    fields = [(file, reader) for file, reader in readers if isinstance(reader, Field)]
    used += [(reader.file or file, column) for file, reader in fields for column in reader.columns]
    used += [(mapping.file, join.by) for join in mapping.joins] + [(join.file, join.called) for join in mapping.joins]
    return used


def _join_sheets(mapping: RegistryMapping, sheets: Mapping[str, pd.DataFrame], ledger: _Ledger) -> SourceRows:
    main = sheets[mapping.file]
    frames = {mapping.file: main}
    for join in mapping.joins:
        sheet = sheets[join.file]
        findings = _find_unjoinable(join, sheet, main)
        ledger.reject(join.file, findings, sheet.index)
        kept = sheet[~any_broken(findings, "row left out", len(sheet))].set_index(join.called, drop=False)
        frames[join.file] = kept.reindex(main[join.by]).fillna("").set_axis(main.index)
    texts = (sheet[name] for sheet in sheets.values() for name in sheet)
    strict = mapping.decimal is None and has_decimal_commas(texts)
    return SourceRows(frames=frames, main=mapping.file, missing=mapping.missing, decimal=mapping.decimal, strict=strict)


def _find_unjoinable(join: Join, sheet: pd.DataFrame, main: pd.DataFrame) -> list[BrokenRule]:
    ids = sheet[join.called]
    broken = {
        "required": (ids == "", "an id that appears in the main file"),
        "duplicate": ((ids != "") & ids.duplicated(keep=False), "one row for each id"),
        "unknown episode": ((ids != "") & ~ids.isin(main[join.by]), "an id that appears in the main file"),
    }
    return [
        BrokenRule(broken=rows, column=join.called, rule=rule, allowed=allowed, action="row left out")
        for rule, (rows, allowed) in broken.items()
    ]


def _filter_rows(mapping: RegistryMapping, rows: SourceRows, ledger: _Ledger) -> SourceRows:
    for condition in mapping.keep_rows_where:
        meant, unlisted = apply_condition(condition, rows)
        ledger.reject(mapping.file, [unlisted], rows.index)
        ledger.leave_out(int((~meant & ~unlisted.broken).sum()), condition.column, condition.because)
        rows = rows.select(meant)
    return rows


def _build_tables(
    mapping: RegistryMapping, rows: SourceRows, sheets: Mapping[str, pd.DataFrame], ledger: _Ledger
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.Series]]:
    """Build the raw tables, and the source position of each of their rows."""
    before, after = rows, rows
    if mapping.baseline_rows:
        at_baseline, unlisted = apply_condition(mapping.baseline_rows, rows)
        ledger.reject(mapping.file, [unlisted], rows.index)
        before, after = rows.select(at_baseline), rows.select(~at_baseline & ~unlisted.broken)
    dates = _procedure_dates(mapping, before, ledger)
    episodes, _ = _apply_fields("episodes", mapping.episodes, replace(before, procedure_date=dates), ledger)
    episodes = _leave_out_second_procedures(episodes, dates, ledger)
    known = _index_by_episode(mapping, episodes, dates)
    visits = [_build_block("visits", block, mapping, after, sheets, known, ledger) for block in mapping.visits]
    events = [_build_block("events", block, mapping, after, sheets, known, ledger) for block in mapping.events]
    tables = {
        "episodes": episodes,
        "visits": _stack("visits", _drop_empty_visits(visits, ledger)),
        "events": _stack("events", [built for built, _ in events]),
    }
    return tables, {table: frame.index.to_series() for table, frame in tables.items()}


def _stack(table: str, built: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(built) if built else pd.DataFrame(columns=list(TABLES[table]), dtype="str")


def _drop_empty_visits(built: list[tuple[pd.DataFrame, pd.Series]], ledger: _Ledger) -> list[pd.DataFrame]:
    """Drop visits without a value; a visit whose values were rejected is already listed in the rejects."""
    filled, n_empty = [], 0
    for visits, faulty in built:
        empty = visits.drop(columns=["episode_id", "month"]).isna().all(axis="columns")
        filled.append(visits[~empty])
        n_empty += int((empty & ~faulty).sum())
    if n_empty:
        ledger.leave_out(n_empty, "", "no value was recorded at the visit")
    return filled


def _procedure_dates(mapping: RegistryMapping, rows: SourceRows, ledger: _Ledger) -> pd.Series:
    """Read the procedure date of each row; a row without a date takes the date of its episode's other rows."""
    if mapping.procedure_date is None:
        return pd.Series(pd.NaT, index=rows.index, dtype="datetime64[s]")
    dates, findings = read_procedure_days(mapping.procedure_date, rows)
    ledger.reject("episodes", findings, rows.index)
    dates_by_episode = dates.groupby(apply_field(mapping.episodes["episode_id"], rows)[0])
    has_one_day = dates_by_episode.transform("nunique") == 1
    return dates.fillna(dates_by_episode.transform("first").where(has_one_day))


def _index_by_episode(
    mapping: RegistryMapping, episodes: pd.DataFrame, dates: pd.Series
) -> tuple[pd.DataFrame, pd.Series]:
    """Index baseline numbers and procedure dates by episode; validation handles rows that share an id."""
    numbers = [name for name in mapping.episodes if EPISODES[name].type == "number" and name in episodes]
    ids = episodes["episode_id"]
    before = episodes[numbers].apply(lambda column: to_numbers(column)[0])
    return before.groupby(ids, sort=False).first(), dates.loc[episodes.index].groupby(ids, sort=False).first()


def _leave_out_second_procedures(episodes: pd.DataFrame, dates: pd.Series, ledger: _Ledger) -> pd.DataFrame:
    """Leave out rows that share an id but have different days: they are separate procedures."""
    n_days = dates.loc[episodes.index].groupby(episodes["episode_id"]).transform("nunique")
    broken = n_days > 1
    allowed = "one day of the procedure for each episode_id; " + SEVERAL_PROCEDURES
    finding = BrokenRule(broken=broken, column="episode_id", rule="duplicate", allowed=allowed, action="row left out")
    ledger.reject("episodes", [finding], episodes.index)
    return episodes[~broken]


def _build_block(
    table: str,
    block: Block,
    mapping: RegistryMapping,
    rows: SourceRows,
    sheets: Mapping[str, pd.DataFrame],
    known: tuple[pd.DataFrame, pd.Series],
    ledger: _Ledger,
) -> tuple[pd.DataFrame, pd.Series]:
    if block.file:
        rows = replace(rows, frames={block.file: sheets[block.file]}, main=block.file)
    if block.when:
        meant, unlisted = apply_condition(block.when, rows)
        ledger.reject(table, [unlisted], rows.index)
        rows = rows.select(meant)
    fields = {"episode_id": mapping.episodes["episode_id"], **block.fields}
    ids, _ = apply_field(fields["episode_id"], rows)
    rows = replace(
        rows,
        baseline=known[0].reindex(ids).set_axis(rows.index),
        procedure_date=known[1].reindex(ids).set_axis(rows.index),
    )
    return _apply_fields(table, fields, rows, ledger)


def _apply_fields(
    table: str, fields: Mapping[str, Field], rows: SourceRows, ledger: _Ledger
) -> tuple[pd.DataFrame, pd.Series]:
    """Build the table without rows that lack a required value, and flag the rows with a rejected cell."""
    built = {}
    findings: list[BrokenRule] = []
    for name, reader in fields.items():
        built[name], broken_rules = apply_field(reader, rows)
        findings += broken_rules
    ledger.reject(table, findings, rows.index)
    kept = ~any_broken(findings, "row left out", len(rows.index))
    faulty = pd.Series(any_broken(findings, "cell emptied", len(rows.index)), index=rows.index)
    return pd.DataFrame(built, index=rows.index)[kept], faulty[kept]


def _details(mapping: RegistryMapping, read: Mapping[str, TextTable], left_out: list[dict[str, Any]]) -> dict[str, Any]:
    used = set(_columns_used(mapping))
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
