"""Join the files of a registry, and leave out the rows that the mapping excludes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from paincast.cohort.identifiers import find_repeating_ids, find_twin_ids
from paincast.cohort.numerals import NumberStyle
from paincast.cohort.registry.conversion.ledger import Ledger
from paincast.cohort.registry.conversion.redcap import find_unread_rows, read_records
from paincast.cohort.registry.conversion.rows import SourceRows, apply_condition
from paincast.cohort.registry.mapping_readers import list_columns_used, list_record_rows
from paincast.cohort.registry.mapping_types import Join, Redcap, RegistryMapping
from paincast.cohort.rejects import BrokenRule, any_broken
from paincast.errors import DataError


def refuse_numbered_patients(mapping: RegistryMapping, sheet: pd.DataFrame, rejects: pd.DataFrame) -> None:
    """Refuse rows that are numbered as patients although a column shows that patients have several."""
    twins = find_twin_ids(rejects) if mapping.episodes["patient_id"].row_number else []
    if twins:
        raise DataError(
            f"the mapping '{mapping.name}' numbers the rows of {mapping.file} as patients, but '{twins[0]}' appears "
            "twice in the header and may hold their ids: rename one, and name it as patient_id",
            code="PC-REGISTRY-03",
        )
    used = {column for file, column in list_columns_used(mapping) if file == mapping.file}
    repeating = find_repeating_ids(sheet, used) if mapping.episodes["patient_id"].row_number else []
    if repeating:
        name = repeating[0]
        raise DataError(
            f"the mapping '{mapping.name}' numbers the rows of {mapping.file} as patients, but the column '{name}' "
            f"has repeated ids, so rows are not distinct patients; write patient_id: {{column: {name}}}",
            code="PC-REGISTRY-04",
        )


def join_sheets(
    mapping: RegistryMapping, sheets: Mapping[str, pd.DataFrame], style: NumberStyle, ledger: Ledger
) -> SourceRows:
    """Match the rows of the other files to the rows of the main file."""
    main = sheets[mapping.file]
    frames = {mapping.file: main}
    for join in mapping.joins:
        sheet = sheets[join.file]
        if join.others_left_out:
            is_known = sheet[join.called].isin(main[join.by])
            ledger.leave_out(int((~is_known).sum()), join.called, f"no procedure refers to it in {join.file}")
            sheet = sheet[is_known]
        findings = _find_unjoinable(join, sheet, main)
        ledger.reject(join.file, findings, sheet.index)
        kept = sheet[~any_broken(findings, "row left out", len(sheet))].set_index(join.called, drop=False)
        frames[join.file] = kept.reindex(main[join.by]).fillna("").set_axis(main.index)
    rows = SourceRows(
        frames=frames, main=mapping.file, missing=mapping.missing, decimal=style.decimal, strict=style.is_mixed
    )
    return rows if mapping.redcap is None else _tell_records_apart(mapping, mapping.redcap, rows, ledger)


def _tell_records_apart(mapping: RegistryMapping, redcap: Redcap, rows: SourceRows, ledger: Ledger) -> SourceRows:
    used, main = list_record_rows(mapping), rows.frames[mapping.file]
    records = read_records(main, redcap, used, mapping.file)
    unread = find_unread_rows(records, used, redcap.ignored)
    ledger.reject(mapping.file, [unread], rows.index)
    return replace(rows, records=records, whole=main).select(~unread.broken)


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


def filter_rows(mapping: RegistryMapping, rows: SourceRows, ledger: Ledger) -> SourceRows:
    """Leave out the rows that the mapping excludes; of a REDCap record, all rows or none."""
    for condition in mapping.keep_rows_where:
        meant, unlisted = apply_condition(condition, rows)
        if mapping.redcap and rows.records and condition.of is None:
            is_episode = rows.records.match(mapping.redcap.episode)[rows.index]
            unlisted = unlisted._replace(broken=unlisted.broken & is_episode)
            meant = _extend_to_records(meant, is_episode, rows.records.record[rows.index])
        ledger.reject(mapping.file, [unlisted], rows.index)
        ledger.leave_out(int((~meant & ~unlisted.broken).sum()), condition.column, condition.because)
        rows = rows.select(meant)
    return rows


def _extend_to_records(meant: pd.Series, is_episode: pd.Series, record: pd.Series) -> pd.Series:
    """Keep the rows besides the episodes, except of records all of whose episodes are left out."""
    has_episode = is_episode.groupby(record).transform("any")
    keeps_episode = (meant & is_episode).groupby(record).transform("any")
    return (is_episode & meant) | (~is_episode & (keeps_episode | ~has_episode))
