"""Check patients column by column, as arrays: every distinct text is read once, and only what is wrong costs more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.coercion import has_decimal_commas, is_missing_word, to_text
from paincast.cohort.doubts import doubt_scale, find_small, find_smaller_top, leave_out_unit
from paincast.cohort.numerals import NumberStyle
from paincast.cohort.rejects import BrokenRule, any_broken, gather_rejects, make_rejects
from paincast.cohort.shared_keys import find_duplicates
from paincast.cohort.survey import Survey, WholeColumns, decide, survey_numbers
from paincast.cohort.tables import conform
from paincast.cohort.violations import (
    Raw,
    coerce_column,
    find_extremes,
    find_violations,
    holds_comma,
    is_number,
    to_array,
)
from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.schema import Column
from paincast.scoring.arrays import to_arrow
from paincast.scoring.text_bytes import end_with_digits

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
    rejects : DataFrame with columns table, file, row, column, rule, allowed, action, or None
        What was left out, without values; None for nothing.
    survey : Survey
        Counts of the numbers, by which whole columns are doubted.
    """

    table: pa.Table
    kept: BoolArray
    rejects: pd.DataFrame | None
    survey: Survey


def check_patients(
    raw: Mapping[str, Raw],
    places: npt.NDArray[np.int64],
    *,
    style: NumberStyle | None = None,
    whole: WholeColumns | None = None,
    apart: BoolArray | None = None,
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
    whole : WholeColumns, optional
        What is decided of the source of which these rows are a part; by default they are all of it.
    apart : ndarray of bool, shape (n,), optional
        Rows to leave out as duplicates because of other rows of their source.
    contract : Contract
        Declares the columns.

    Returns
    -------
    Checked
    """
    read = _read_patients(raw, places, style, whole, contract)
    columns, typed, decided, n = read.columns, read.typed, read.decided, len(places)
    findings = [*read.findings, *_find_wrong_scales(read)]
    findings += [
        finding
        for name, values in typed.items()
        if name not in IDS
        for finding in find_violations(values, columns[name], read.extremes.get(name))
    ]
    duplicates = _find_duplicates(typed, contract, np.zeros(n, dtype=bool) if apart is None else apart)
    for finding in findings:
        emptied = typed[finding.column]
        mask = pa.array(finding.broken.to_numpy(dtype=bool))
        typed[finding.column] = pc.if_else(mask, pa.scalar(None, emptied.type), emptied)
    findings += duplicates
    kept = ~any_broken(findings, "row left out", n)
    doubted = [name for name in columns if name in decided.wrong_unit]
    rejects = None
    if doubted or findings:
        none = pd.Series(False, index=range(n))
        broken = [*(leave_out_unit(none, columns[name]) for name in doubted), *findings]
        rejects = gather_rejects([make_rejects("episodes", broken, pd.Series(places))])
    table = pa.table({name: typed[name] for name in columns if name in typed})
    return Checked(table if kept.all() else table.filter(to_arrow(kept)), kept, rejects, read.survey)


def list_contents(
    raw: Mapping[str, Raw], places: npt.NDArray[np.int64], whole: WholeColumns, contract: Contract
) -> pd.DataFrame:
    """List the values by which rows that share an id are compared, before anything implausible is emptied."""
    typed = _read_patients(raw, places, None, whole, contract).typed
    return conform("episodes", pa.table(typed).to_pandas(), contract)


@lru_cache(maxsize=8)
def _list_optional(contract: Contract) -> dict[str, Column]:
    """List the columns of patients, of which none is required."""
    return {name: replace(column, required=False) for name, column in contract.episodes.items()}


def take_columns(rows: pa.Table | pd.DataFrame, names: Collection[str]) -> dict[str, Raw]:
    """Take some columns of a table, as arrays where their cells have one type."""
    if isinstance(rows, pa.Table):
        return {name: _join(rows.column(name)) for name in rows.column_names if name in names}
    return {str(name): _to_array(rows[name]) for name in rows.columns if name in names}


def join_chunks(rows: pa.Table, columns: Mapping[str, Column]) -> pa.Table:
    """Join the chunks of each column, once for all who look at it, and make dictionaries of texts that are read."""
    joined = dict(zip(rows.column_names, map(_join, rows.columns), strict=True))
    for name, array in joined.items():
        if pa.types.is_string(array.type) and name in columns and columns[name].type != "text":
            joined[name] = array.dictionary_encode()
    return pa.table(joined)


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
    numbers = [array for name, array in raw.items() if columns[name].type in ("number", "integer")]
    texts = [
        array.to_pandas() if isinstance(array, pa.Array) else array
        for array in numbers
        if not (isinstance(array, pa.Array) and (is_number(array) or not holds_comma(array)))
    ]
    if not texts:
        return NumberStyle()
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
    named: dict[str, pa.Array] = {}
    made: pa.Array | None = None
    for name in IDS:
        ids = _read_ids(raw[name]) if name in raw else None
        if ids is None or ids.null_count:
            if made is None:
                made = pc.binary_join_element_wise("row", to_arrow(places).cast(pa.string()), "-")
            ids = made if ids is None else pc.coalesce(ids, made)
        named[name] = made = ids
    return named


def _read_ids(column: Raw) -> pa.Array:
    """Return ids as trimmed text; words for "no value" are missing."""
    if not isinstance(column, pa.Array):
        return to_array(to_text(column), pa.string())
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_integer(column.type):
        return column.cast(pa.string())
    if not pa.types.is_string(column.type):
        return to_array(to_text(column.to_pandas()), pa.string())
    text = pc.utf8_trim_whitespace(column)
    if end_with_digits(text):
        return text
    without_digits = pc.invert(pc.match_substring_regex(text, "[0-9]"))
    if pc.any(without_digits).as_py():
        words = pc.unique(text.filter(without_digits)).to_pylist()
        missing = [word for word in words if word is not None and is_missing_word(word)]
        text = pc.if_else(pc.is_in(text, pa.array(missing, pa.string())), pa.scalar(None, pa.string()), text)
    return text


class _Read(NamedTuple):
    """Typed columns, without those in another unit, the lowest and highest value of numbers, and cells not readable."""

    columns: Mapping[str, Column]
    typed: dict[str, pa.Array]
    extremes: dict[str, tuple[float, float]]
    findings: list[BrokenRule]
    survey: Survey
    decided: WholeColumns


def _read_patients(
    raw: Mapping[str, Raw],
    places: npt.NDArray[np.int64],
    style: NumberStyle | None,
    whole: WholeColumns | None,
    contract: Contract,
) -> _Read:
    columns = _list_optional(contract)
    known = {name: raw[name] for name in columns if name in raw}
    style = whole.style if whole else style or _find_style(known, columns)
    typed: dict[str, pa.Array] = {}
    extremes: dict[str, tuple[float, float]] = {}
    findings: list[BrokenRule] = []
    named = name_rows(known, places)
    for name, column in columns.items():
        if name in named:
            typed[name] = named[name]
        elif name in known:
            reading = whole.readings.get(name) if whole else None
            typed[name], failed, bounds = coerce_column(known[name], column, style, reading)
            findings.extend(failed)
            if column.type in ("number", "integer"):
                extremes[name] = bounds or find_extremes(typed[name])
    survey = survey_numbers(typed, extremes, columns)
    decided = whole or decide(survey, columns)
    for name in decided.wrong_unit:
        if name in typed:
            typed[name], extremes[name] = pa.nulls(len(places), pa.float64()), (np.nan, np.nan)
    return _Read(columns, typed, extremes, findings, survey, decided)


def _find_wrong_scales(read: _Read) -> list[BrokenRule]:
    findings: list[BrokenRule] = []
    for name, (lowest, _) in read.extremes.items():
        column = read.columns[name]
        is_doubted = name in read.decided.two_scales or name in read.decided.sites_below
        if is_doubted and lowest <= find_smaller_top(column):
            small = find_small(pd.Series(read.typed[name].to_numpy(zero_copy_only=False)), column)
            if name not in read.decided.two_scales and "site_id" in read.typed:
                sites = read.typed["site_id"].cast(pa.string())
                below = pc.is_in(sites, pa.array(read.decided.sites_below[name], pa.string()))
                small &= below.to_numpy(zero_copy_only=False)
            findings += doubt_scale(small, column)
    return findings


def _find_duplicates(typed: Mapping[str, pa.Array], contract: Contract, apart: BoolArray) -> list[BrokenRule]:
    """Find rows that share an id; only these are compared with each other, without those that are ``apart`` anyway."""
    ids = typed["episode_id"]
    encoded = ids.dictionary_encode()
    if len(encoded.dictionary) == len(ids) and not apart.any():
        return []
    codes = encoded.indices.to_numpy()
    shared = np.flatnonzero((np.bincount(codes[~apart], minlength=len(encoded.dictionary))[codes] > 1) & ~apart)
    frame = pa.table({name: array.take(pa.array(shared)) for name, array in typed.items()}).to_pandas()
    duplicates, _ = find_duplicates(conform("episodes", frame, contract), "episodes", merges=False)
    widened = []
    for finding in duplicates:
        broken = apart.copy()
        broken[shared] = np.asarray(finding.broken, dtype=bool)
        widened.append(finding._replace(broken=pd.Series(broken)))
    return widened
