"""Check patients column by column, as arrays: every distinct text is read once, and only what is wrong costs more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
from paincast.cohort.violations import Raw, coerce_column, find_violations, is_number
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
    raw: Mapping[str, Raw],
    places: npt.NDArray[np.int64],
    *,
    style: NumberStyle | None = None,
    contract: Contract = BUILT_IN,
) -> Checked:
    """Check rows of patients against the ``episodes`` columns of the contract.

    Parameters
    ----------
    raw : mapping of str to pyarrow.Array or Series, of length n
        Raw columns by name; a series where cells have several types. Names that are not in the contract are ignored.
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
    known = {name: raw[name] for name in columns if name in raw}
    style = style or _find_style(known, columns)
    typed, whole, findings = _read_columns({**known, **name_rows(known, places)}, columns, style, len(places))
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


def take_columns(rows: pa.Table | pd.DataFrame, names: Collection[str]) -> dict[str, Raw]:
    """Take some columns of a table, as arrays where their cells have one type."""
    if isinstance(rows, pa.Table):
        return {name: _join(rows.column(name)) for name in rows.column_names if name in names}
    return {str(name): _to_array(rows[name]) for name in rows.columns if name in names}


def _join(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks != 1 and pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    joined = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return joined.cast(pa.string()) if pa.types.is_large_string(joined.type) else joined


def _to_array(column: pd.Series) -> Raw:
    if column.dtype == object or isinstance(column.dtype, pd.CategoricalDtype):
        return column.reset_index(drop=True)
    if column.dtype.kind in "iufb" or column.dtype == "str":
        return _join(pa.chunked_array(pa.array(column, from_pandas=True)))
    return column.reset_index(drop=True)


def _find_style(raw: Mapping[str, Raw], columns: Mapping[str, Column]) -> NumberStyle:
    texts = [
        array if isinstance(array, pd.Series) else array.to_pandas()
        for name, array in raw.items()
        if columns[name].type in ("number", "integer") and not is_number(array)
    ]
    return NumberStyle(is_mixed=has_decimal_commas(texts))


def name_rows(raw: Mapping[str, Raw], places: npt.NDArray[np.int64]) -> dict[str, pa.Array]:
    """Give every patient both ids as text: the given one, or one made from the position of the row (``row-17``).

    Parameters
    ----------
    raw : mapping of str to pyarrow.Array or Series, of length n
        Raw columns; those of ids may be absent.
    places : ndarray of int, shape (n,)
        Position of each row in its source.

    Returns
    -------
    dict of str to pyarrow.Array
        ``episode_id`` and ``patient_id``.
    """
    made = pc.binary_join_element_wise("row", pa.array(places).cast(pa.string()), "-")
    named: dict[str, pa.Array] = {}
    for name in IDS:
        if name in raw:
            made = pc.coalesce(_read_ids(raw[name]), made)
        named[name] = made
    return named


def _read_ids(column: Raw) -> pa.Array:
    """Return ids as trimmed text; words for "no value" are missing."""
    if isinstance(column, pd.Series):
        return pa.array(to_text(column), pa.string(), from_pandas=True)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_integer(column.type):
        return column.cast(pa.string())
    if not pa.types.is_string(column.type):
        return pa.array(to_text(column.to_pandas()), pa.string(), from_pandas=True)
    text = pc.utf8_trim_whitespace(column)
    without_digits = pc.invert(pc.match_substring_regex(text, "[0-9]"))
    if pc.any(without_digits).as_py():
        words = pc.unique(text.filter(without_digits)).to_pylist()
        missing = [word for word in words if word is not None and is_missing_word(word)]
        text = pc.if_else(pc.is_in(text, pa.array(missing, pa.string())), pa.scalar(None, pa.string()), text)
    return text


def _read_columns(
    raw: Mapping[str, Raw], columns: Mapping[str, Column], style: NumberStyle, n: int
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
