"""Check patients column by column, as arrays: every distinct text is read once, and only what is wrong costs more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.coercion import NumberStyle, has_decimal_commas, is_missing_word, to_text
from paincast.cohort.doubts import detect_wrong_scale, detect_wrong_unit, find_sites_below
from paincast.cohort.rejects import BrokenRule, any_broken, make_rejects
from paincast.cohort.shared_keys import find_duplicates
from paincast.cohort.tables import conform
from paincast.cohort.violations import coerce_column, find_violations
from paincast.contract import BUILT_IN, Contract
from paincast.schema import Column

BoolArray = npt.NDArray[np.bool_]

IDS = ("episode_id", "patient_id")


class Checked(NamedTuple):
    """Patients that were kept, and what was left out.

    Parameters
    ----------
    table : pyarrow.Table of shape (n_kept, ...)
        Columns of ``episodes`` that were given and the ids, in their types.
    kept : ndarray of bool, shape (n,)
        Rows that were kept.
    rejects : DataFrame with columns table, file, row, column, rule, allowed, action
        What was left out, without values.
    """

    table: pa.Table
    kept: BoolArray
    rejects: pd.DataFrame


def check_patients(
    rows: pa.Table, places: npt.NDArray[np.int64], *, style: NumberStyle | None = None, contract: Contract = BUILT_IN
) -> Checked:
    """Check rows of patients against the ``episodes`` columns of the contract.

    Parameters
    ----------
    rows : pyarrow.Table of shape (n, ...)
        Raw columns: text, numbers, booleans. Columns that are not in the contract are ignored.
    places : ndarray of int, shape (n,)
        Position of each row in its source.
    style : NumberStyle, optional
        How numbers are written; by default as the rows show.
    contract : Contract
        Declares the columns.

    Returns
    -------
    Checked
    """
    columns = {name: replace(column, required=False) for name, column in contract.episodes.items()}
    raw = {name: _join(rows.column(name)) for name in columns if name in rows.column_names}
    style = style or _find_style(raw, columns)
    typed, whole, findings = _read_columns({**raw, **_name_rows(raw, places)}, columns, style, len(places))
    findings += _find_wrong_scales(typed, columns)
    findings += [
        finding
        for name, values in typed.items()
        if name not in IDS
        for finding in find_violations(values, columns[name])
    ]
    duplicates = _find_duplicates(typed, contract)
    for finding in findings:
        emptied = typed[finding.column]
        mask = pa.array(finding.broken.to_numpy(dtype=bool))
        typed[finding.column] = pc.if_else(mask, pa.scalar(None, emptied.type), emptied)
    findings += duplicates
    kept = ~any_broken(findings, "row left out", len(places))
    rejects = make_rejects("episodes", [*whole, *findings], pd.Series(places))
    table = pa.table({name: typed[name] for name in columns if name in typed})
    return Checked(table if kept.all() else table.filter(pa.array(kept)), kept, rejects)


def _join(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _find_style(raw: Mapping[str, pa.Array], columns: Mapping[str, Column]) -> NumberStyle:
    texts = [
        array.to_pandas()
        for name, array in raw.items()
        if columns[name].type in ("number", "integer") and not _is_native(array)
    ]
    return NumberStyle(is_mixed=has_decimal_commas(texts))


def _is_native(array: pa.Array) -> bool:
    return bool(pa.types.is_integer(array.type) or pa.types.is_floating(array.type))


def _name_rows(raw: Mapping[str, pa.Array], places: npt.NDArray[np.int64]) -> dict[str, pa.Array]:
    """Give every patient both ids: as given, or made from the position of the row."""
    made = pc.binary_join_element_wise("row", pa.array(places).cast(pa.string()), "-")
    named: dict[str, pa.Array] = {}
    for name in IDS:
        if name in raw:
            made = pc.coalesce(_read_ids(raw[name]), made)
        named[name] = made
    return named


def _read_ids(array: pa.Array) -> pa.Array:
    """Return ids as trimmed text; words for "no value" are missing."""
    if pa.types.is_integer(array.type):
        return array.cast(pa.string())
    if not pa.types.is_string(array.type):
        return pa.array(to_text(array.to_pandas(integer_object_nulls=True)), pa.string(), from_pandas=True)
    text = pc.utf8_trim_whitespace(array)
    without_digits = pc.invert(pc.match_substring_regex(text, "[0-9]"))
    if pc.any(without_digits).as_py():
        words = pc.unique(text.filter(without_digits)).to_pylist()
        missing = [word for word in words if word is not None and is_missing_word(word)]
        text = pc.if_else(pc.is_in(text, pa.array(missing, pa.string())), pa.scalar(None, pa.string()), text)
    return text


def _read_columns(
    raw: Mapping[str, pa.Array], columns: Mapping[str, Column], style: NumberStyle, n: int
) -> tuple[dict[str, pa.Array], list[BrokenRule], list[BrokenRule]]:
    """Return typed columns, and the rules broken by whole columns and by single cells."""
    typed: dict[str, pa.Array] = {}
    whole: list[BrokenRule] = []
    findings: list[BrokenRule] = []
    for name, column in columns.items():
        if name in IDS and name in raw:
            typed[name] = raw[name]
        elif name in raw:
            typed[name], failed = coerce_column(raw[name], column, style)
            findings += failed
            if column.type == "number":
                doubts = detect_wrong_unit(_to_series(typed[name]), column, "episodes")
                whole += doubts
                typed[name] = pa.nulls(n, pa.float64()) if doubts else typed[name]
    return typed, whole, findings


def _to_series(numbers: pa.Array) -> pd.Series:
    return pd.Series(numbers.to_numpy(zero_copy_only=False))


def _find_wrong_scales(typed: Mapping[str, pa.Array], columns: Mapping[str, Column]) -> list[BrokenRule]:
    findings: list[BrokenRule] = []
    sites: pd.Series | None = None
    for name, array in typed.items():
        if columns[name].type == "number" and array.null_count < len(array):
            values = _to_series(array)
            if sites is None:
                found = typed.get("site_id")
                sites = pd.Series(pd.NA, index=values.index, dtype="str") if found is None else found.to_pandas()
            findings += detect_wrong_scale(
                values, columns[name], "episodes", find_sites_below(values, sites, columns[name])
            )
    return findings


def _find_duplicates(typed: Mapping[str, pa.Array], contract: Contract) -> list[BrokenRule]:
    """Find rows that share an id; only these are compared with each other."""
    ids = typed["episode_id"]
    encoded = ids.dictionary_encode()
    if len(encoded.dictionary) == len(ids):
        return []
    codes = encoded.indices.to_numpy()
    shared = np.flatnonzero(np.bincount(codes)[codes] > 1)
    frame = pa.table({name: array.take(pa.array(shared)) for name, array in typed.items()}).to_pandas()
    duplicates, _ = find_duplicates(conform("episodes", frame, contract), "episodes", merges=False)
    widened = []
    for finding in duplicates:
        broken = np.zeros(len(ids), dtype=bool)
        broken[shared] = np.asarray(finding.broken, dtype=bool)
        widened.append(finding._replace(broken=pd.Series(broken)))
    return widened


def list_names(columns: Sequence[str], contract: Contract) -> list[str]:
    """List the columns of the contract among some names, in its order."""
    return [name for name in contract.episodes if name in columns]
