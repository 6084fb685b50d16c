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
from paincast.cohort.doubts import detect_wrong_scale, detect_wrong_unit, find_sites_below, find_smaller_top
from paincast.cohort.rejects import BrokenRule, any_broken, make_rejects
from paincast.cohort.shared_keys import find_duplicates
from paincast.cohort.tables import conform
from paincast.cohort.violations import Raw, coerce_column, find_extremes, find_violations, is_number, to_array
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
    read = _read_columns({**known, **name_rows(known, places)}, columns, style, len(places))
    typed, findings = read.typed, [*read.findings, *_find_wrong_scales(read, columns)]
    findings += [
        finding
        for name, values in typed.items()
        if name not in IDS
        for finding in find_violations(values, columns[name], read.extremes.get(name))
    ]
    duplicates = _find_duplicates(typed, contract)
    for finding in findings:
        emptied = typed[finding.column]
        mask = pa.array(finding.broken.to_numpy(dtype=bool))
        typed[finding.column] = pc.if_else(mask, pa.scalar(None, emptied.type), emptied)
    findings += duplicates
    kept = ~any_broken(findings, "row left out", len(places))
    rejects = make_rejects("episodes", [*read.whole, *findings], pd.Series(places))
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
        return to_array(to_text(column), pa.string())
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_integer(column.type):
        return column.cast(pa.string())
    if not pa.types.is_string(column.type):
        return to_array(to_text(column.to_pandas()), pa.string())
    text = pc.utf8_trim_whitespace(column)
    without_digits = pc.invert(pc.match_substring_regex(text, "[0-9]"))
    if pc.any(without_digits).as_py():
        words = pc.unique(text.filter(without_digits)).to_pylist()
        missing = [word for word in words if word is not None and is_missing_word(word)]
        text = pc.if_else(pc.is_in(text, pa.array(missing, pa.string())), pa.scalar(None, pa.string()), text)
    return text


class _Read(NamedTuple):
    """Typed columns, the lowest and highest value of numbers, and rules broken by whole columns and by single cells."""

    typed: dict[str, pa.Array]
    extremes: dict[str, tuple[float, float]]
    whole: list[BrokenRule]
    findings: list[BrokenRule]


def _read_columns(raw: Mapping[str, Raw], columns: Mapping[str, Column], style: NumberStyle, n: int) -> _Read:
    read = _Read({}, {}, [], [])
    for name, column in columns.items():
        if name in IDS and name in raw:
            read.typed[name] = raw[name]
        elif name in raw:
            typed, failed = coerce_column(raw[name], column, style)
            read.findings.extend(failed)
            if column.type in ("number", "integer"):
                extremes = find_extremes(typed)
                doubts = detect_wrong_unit(_to_series(typed), column, "episodes", extremes)
                if doubts:
                    typed, extremes = pa.nulls(n, pa.float64()), (np.nan, np.nan)
                read.whole.extend(doubts)
                read.extremes[name] = extremes
            read.typed[name] = typed
    return read


def _to_series(numbers: pa.Array) -> pd.Series:
    return pd.Series(numbers.to_numpy(zero_copy_only=False))


def _find_wrong_scales(read: _Read, columns: Mapping[str, Column]) -> list[BrokenRule]:
    findings: list[BrokenRule] = []
    sites: pd.Series | None = None
    for name, (lowest, _) in read.extremes.items():
        column = columns[name]
        if column.type == "number" and lowest <= find_smaller_top(column):
            values = _to_series(read.typed[name])
            if sites is None:
                found = read.typed.get("site_id")
                sites = pd.Series(pd.NA, index=values.index, dtype="str") if found is None else found.to_pandas()
            findings += detect_wrong_scale(values, column, "episodes", find_sites_below(values, sites, column))
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
