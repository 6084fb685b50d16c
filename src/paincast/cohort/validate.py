"""Validate tables against the contract: valid rows are returned typed, violations as rejects without values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from paincast.cohort.checking import Checked, check_patients, take_columns
from paincast.cohort.coercion import has_decimal_commas
from paincast.cohort.doubts import detect_wrong_scale, detect_wrong_unit, find_sites_below
from paincast.cohort.numerals import NumberStyle
from paincast.cohort.reading.names import clean_name, match_case
from paincast.cohort.reading.patients import PatientRows, read_patients
from paincast.cohort.rejects import (
    UNKNOWN_COLUMN,
    BrokenRule,
    any_broken,
    gather_rejects,
    join_rejects,
    locate_rows,
    make_rejects,
    name_nearest,
)
from paincast.cohort.shared_keys import find_duplicates, merge_rows
from paincast.cohort.tables import conform
from paincast.cohort.violations import TYPES, coerce, find_violations, make_findings
from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.errors import DataError, suggest_name
from paincast.schema import TABLES, Column


def validate_tables(
    tables: Mapping[str, pd.DataFrame],
    *,
    places: Mapping[str, pd.Series] | None = None,
    contract: Contract = BUILT_IN,
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Validate raw tables against the contract.

    A broken rule empties the cell; in a required column it removes the row. Rows that share a key and contradict each
    other are all removed, because the correct row is unknown; of identical rows the first is kept. Rows of the same
    visit or episode that complement each other are merged into the first. Visits and events of an episode that is
    absent or removed are removed too. Each of these is listed as a reject.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        ``episodes``, and optionally ``visits`` and ``events``. Every column may be text.
    places : mapping of str to Series, optional
        Position of each row in its source, per table; by default the row number, counted from 1.
    contract : Contract
        Declares the columns.

    Returns
    -------
    tables : dict of DataFrame
        All three tables with every column of the contract, in its order and types.
    rejects : DataFrame with columns table, file, row, column, rule, allowed, action
        What was left out, without values; ``row`` is 0 for a whole column.

    Raises
    ------
    DataError
        If a table is unknown, a required column is missing or a column appears twice.

    Examples
    --------
    >>> raw = {"episode_id": ["a"], "patient_id": ["p"], "technique": ["facet_rfa"], "pain_nrs": ["eleven"]}
    >>> valid, rejects = validate_tables({"episodes": pd.DataFrame(raw)})
    >>> rejects[["row", "column", "rule", "action"]].to_dict("records")
    [{'row': 1, 'column': 'pain_nrs', 'rule': 'not a number', 'action': 'cell emptied'}]
    """
    _require_tables(tables)
    valid: dict[str, pd.DataFrame] = {}
    all_rejects = []
    doubted_ids: dict[str, set[str]] = {}
    for table, columns in contract.tables.items():
        frame = tables.get(table, pd.DataFrame(columns=list(columns), dtype="str"))
        row_places = _place(frame, (places or {}).get(table))
        typed, findings, doubted = _check_table(table, frame, columns, doubted_ids=doubted_ids)
        if table != "episodes":
            findings.append(_find_orphans(typed, valid["episodes"]))
        else:
            doubted_ids = _list_doubted(typed, findings)
        all_rejects.append(make_rejects(table, [*doubted, *findings], row_places))
        valid[table] = conform(table, typed[~any_broken(findings, "row left out", len(typed))], contract)
    return valid, join_rejects(all_rejects)


def validate_patients(patients: object, *, contract: Contract = BUILT_IN) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Validate a table of patients to predict against the episode columns of the contract.

    Parameters
    ----------
    patients : DataFrame, Arrow table, list of dict, dict, str or Path
        Anything :func:`paincast.cohort.reading.patients.read_patients` accepts, with any columns of ``episodes``,
        named in any case, as text or typed; an index with the name of a column counts as that column. ``technique`` is
        optional. A missing ``episode_id`` is made from the row number (``row-1``), a missing ``patient_id`` from
        the ``episode_id``.
    contract : Contract
        Declares the columns.

    Returns
    -------
    episodes : DataFrame
        Every episode column of the contract, in its order and types.
    rejects : DataFrame with columns table, file, row, column, rule, allowed, action
        What was left out, without values; ``row`` is the patient's row number, counted from 1.

    Raises
    ------
    DataError
        If the input is not a table of patients, contains no column of the contract, or a column appears twice.

    Examples
    --------
    >>> patients, rejects = validate_patients([{"Pain_NRS": "7", "age_years": "sixty"}])
    >>> patients[["episode_id", "pain_nrs"]].to_dict("records")
    [{'episode_id': 'row-1', 'pain_nrs': 7.0}]
    >>> rejects[["row", "column", "rule", "action"]].to_dict("records")
    [{'row': 1, 'column': 'age_years', 'rule': 'not a number', 'action': 'cell emptied'}]
    """
    patient_rows = read_patients(patients, contract=contract)
    checked = check_rows(patient_rows, contract)
    # Who passes rows that are already read counts them on from file to file.
    is_read = patients is patient_rows
    found = join_rejects([checked.rejects])
    rejects = found if is_read else locate_rows(found, patient_rows.extents)
    return conform("episodes", checked.table.to_pandas(), contract), rejects


def check_rows(patients: PatientRows, contract: Contract = BUILT_IN) -> Checked:
    """Check patients that are read; see :func:`validate_patients`.

    Returns
    -------
    Checked
        Its rejects begin with what the reader left out.

    Raises
    ------
    DataError
        As :func:`validate_patients`.
    """
    columns, rows = contract.episodes, patients.rows
    if not isinstance(rows, pa.Table):
        rows = match_columns(rows, columns)
        _refuse_twice("episodes", rows, columns)
        _refuse_nested(rows, columns)
    names = list(map(str, rows.column_names if isinstance(rows, pa.Table) else rows.columns))
    if not set(names) & set(columns):
        raise DataError(
            f"the table of patients has no known column; {name_nearest('pain_nrs', names)}; "
            "'paincast schema' lists the known columns",
            code="PC-COHORT-07",
        )
    told: dict[str, Any] = {"style": patients.style, "whole": patients.whole, "apart": patients.apart}
    checked = check_patients(take_columns(rows, columns), patients.places, contract=contract, **told)
    unknown = reject_unknown_columns([*patients.others, *(name for name in names if name not in columns)], columns)
    return checked._replace(rejects=gather_rejects([unknown, patients.rejects, checked.rejects]))


def match_columns(frame: pd.DataFrame, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Rename columns of patients as in the contract, and turn index levels with such names into columns.

    Parameters
    ----------
    frame : DataFrame of shape (n, ...)
        Raw columns.
    columns : mapping of str to Column
        Columns of the contract by name.

    Returns
    -------
    DataFrame of shape (n, ...)
        With the same index.
    """
    names, index = (
        match_case([clean_name(str(name)) for name in names], columns) for names in (frame.columns, frame.index.names)
    )
    levels = {name: frame.index.get_level_values(level) for level, name in enumerate(index)}
    kept = {name: values for name, values in levels.items() if name in columns and name not in names}
    return frame.set_axis(names, axis="columns").assign(**kept)


def _refuse_nested(frame: pd.DataFrame, columns: Mapping[str, Column]) -> None:
    """Refuse cells that contain several values or bytes, because their meaning is unknown."""
    known = [index for index, name in enumerate(frame.columns) if name in columns]
    for index in known:
        column = frame.iloc[:, index]
        if pd.api.types.is_object_dtype(column.dtype) and not all(map(_is_one_value, column)):
            raise DataError(
                f"the column '{frame.columns[index]}' of the patients holds lists, bytes or other nested values; give "
                "one number, text, or true or false",
                code="PC-COHORT-13",
            )


def _is_one_value(cell: object) -> bool:
    if isinstance(cell, Decimal):
        return not cell.is_snan()
    if isinstance(cell, str):
        return cell.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in cell)  # unpaired surrogates
    return bool(pd.api.types.is_scalar(cell)) and not isinstance(cell, bytes)


def reject_unknown_columns(names: Iterable[str], columns: Mapping[str, Column]) -> pd.DataFrame | None:
    """Make a reject for each name that is not among the columns of the ``episodes`` table; None if all are."""
    unknown = list(dict.fromkeys(name for name in names if name not in columns))
    if not unknown:
        return None
    findings = _find_unknown_columns(pd.DataFrame(columns=unknown), columns)
    return make_rejects("episodes", findings, pd.Series(dtype="int64"))


def _require_tables(tables: Mapping[str, pd.DataFrame]) -> None:
    for table in tables:
        if table not in TABLES:
            raise DataError(f"unknown table '{table}'; {suggest_name(table, TABLES)}", code="PC-COHORT-09")
    if "episodes" not in tables:
        raise DataError(
            "the table 'episodes' is missing; it is the only one that every cohort needs", code="PC-COHORT-10"
        )


def _place(frame: pd.DataFrame, place: pd.Series | None) -> pd.Series:
    if place is None:
        return pd.Series(range(1, len(frame) + 1), dtype="int64")
    return place.reset_index(drop=True)


def _check_table(
    table: str,
    frame: pd.DataFrame,
    columns: Mapping[str, Column],
    *,
    doubted_ids: Mapping[str, set[str]] = MappingProxyType({}),
) -> tuple[pd.DataFrame, list[BrokenRule], list[BrokenRule]]:
    """Return the typed table with invalid cells emptied, and the rules broken by single rows and by whole columns."""
    _require_columns(table, frame, columns)
    column_findings = _find_unknown_columns(frame, columns)
    raw = frame[[name for name in columns if name in frame]].reset_index(drop=True)
    typed = {}
    findings: list[BrokenRule] = []
    numbers = [name for name in raw if columns[str(name)].type in ("number", "integer")]
    style = NumberStyle(is_mixed=has_decimal_commas(raw[name] for name in numbers))
    for name in map(str, raw):
        typed[name], broken = coerce(raw[name], columns[name], style)
        failed = make_findings(columns[name], broken)
        doubts = detect_wrong_unit(typed[name], columns[name], table)
        column_findings += doubts
        findings += failed
        if doubts:
            typed[name] = pd.Series(float("nan"), index=raw.index)
    table_values = pd.DataFrame(typed, index=raw.index).reindex(columns=list(columns))
    findings += _detect_wrong_scales(table_values, columns, table, doubted_ids)
    findings += _check_contract(table_values, columns, findings)
    duplicates, group = find_duplicates(table_values, table, merges=True)
    for finding in findings:
        table_values[finding.column] = table_values[finding.column].mask(finding.broken)
    table_values, findings = merge_rows(table_values, group, [*findings, *duplicates], table)
    return table_values, findings, column_findings


def _detect_wrong_scales(
    frame: pd.DataFrame, columns: Mapping[str, Column], table: str, doubted_ids: Mapping[str, set[str]]
) -> list[BrokenRule]:
    findings: list[BrokenRule] = []
    for name, column in columns.items():
        if column.type == "number" and frame[name].notna().any():
            also = frame["episode_id"].isin(doubted_ids.get(name, set()))
            if table == "episodes":
                also |= find_sites_below(frame[name], frame["site_id"], column)
            findings += detect_wrong_scale(frame[name], column, table, also)
    return findings


def _list_doubted(episodes: pd.DataFrame, findings: list[BrokenRule]) -> dict[str, set[str]]:
    """List by column the episodes whose baseline value may be on another scale."""
    doubts = [finding for finding in findings if finding.rule == "unit"]
    return {finding.column: set(episodes.loc[finding.broken, "episode_id"].dropna()) for finding in doubts}


def _require_columns(table: str, frame: pd.DataFrame, columns: Mapping[str, Column]) -> None:
    names = [str(name) for name in frame.columns]
    _refuse_twice(table, frame, columns)
    missing = [name for name, column in columns.items() if column.required and name not in names]
    if missing:
        hints = "; ".join(f"'{name}' ({name_nearest(name, names)})" for name in missing)
        raise DataError(f"{table}: required columns are missing: {hints}; rename or add them", code="PC-COHORT-12")


def _refuse_twice(table: str, frame: pd.DataFrame, columns: Collection[str]) -> None:
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        known = [str(name) for name in twice if name in columns]
        raise DataError(
            f"{table}: a column appears twice ({', '.join(known) or 'none of the contract'}); keep one",
            code="PC-COHORT-11",
        )


def _find_unknown_columns(frame: pd.DataFrame, columns: Mapping[str, Column]) -> list[BrokenRule]:
    nothing = pd.Series(False, index=range(len(frame)))
    return [
        BrokenRule(
            broken=nothing,
            column=str(name),
            rule=UNKNOWN_COLUMN,
            allowed=suggest_name(str(name), columns),
            action="column left out",
        )
        for name in frame.columns
        if name not in columns
    ]


def _check_contract(frame: pd.DataFrame, columns: Mapping[str, Column], known: list[BrokenRule]) -> list[BrokenRule]:
    findings: list[BrokenRule] = []
    for name, column in columns.items():
        values = frame[name]
        if column.required:
            absent = values.isna() & ~_any_of_column(known, name, frame.index)
            findings += make_findings(column, {"required": absent})
        if values.notna().any():
            findings += find_violations(pa.array(values, TYPES[column.type], from_pandas=True), column)
    return findings


def _any_of_column(findings: list[BrokenRule], column: str, index: pd.Index) -> pd.Series:
    broken = pd.Series(False, index=index)
    for finding in findings:
        if finding.column == column:
            broken |= finding.broken
    return broken


def _find_orphans(typed: pd.DataFrame, episodes: pd.DataFrame) -> BrokenRule:
    return find_orphans(typed["episode_id"].notna() & ~typed["episode_id"].isin(episodes["episode_id"]))


def find_orphans(orphan: pd.Series) -> BrokenRule:
    """Leave out rows of an episode that is absent or left out."""
    allowed = "an episode_id of the table episodes that was not left out"
    return BrokenRule(
        broken=orphan, column="episode_id", rule="unknown episode", allowed=allowed, action="row left out"
    )
