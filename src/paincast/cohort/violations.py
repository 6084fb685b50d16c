"""Read a raw column in the type of the contract, and find the cells that break its rules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.coercion import read_plain, to_booleans, to_listed, to_numbers, to_text
from paincast.cohort.numerals import NumberReading, NumberStyle
from paincast.cohort.rejects import Action, BrokenRule
from paincast.deferred import pandas as pd
from paincast.schema import Column
from paincast.scoring.arrays import to_arrow

BoolArray = npt.NDArray[np.bool_]

BEFORE = "before the procedure"
"""The ``rule`` for a visit before the procedure."""

TYPES = {
    "text": pa.string(),
    "category": pa.string(),
    "number": pa.float64(),
    "integer": pa.float64(),
    "boolean": pa.bool_(),
}
"""Arrow types of checked columns; whole numbers are numbers here."""


Raw: TypeAlias = "pa.Array | pd.Series"
"""A raw column: an array of one type, or a series of cells of several."""


def is_number(raw: Raw) -> bool:
    """Whether the cells of a raw column are numbers."""
    if not isinstance(raw, pa.Array):
        return raw.dtype.kind in "iuf"
    return bool(pa.types.is_integer(raw.type) or pa.types.is_floating(raw.type))


class Coerced(NamedTuple):
    """A raw column in the type of the contract.

    Parameters
    ----------
    values : pyarrow.Array of length n
        In the type of :data:`TYPES`, texts as a dictionary; empty where there is no value, or none that can be read.
    findings : list of BrokenRule
        Cells that could not be read.
    extremes : tuple of float, optional
        Lowest and highest number, where they are known.
    """

    values: pa.Array
    findings: list[BrokenRule]
    extremes: tuple[float, float] | None = None


def coerce_column(raw: Raw, column: Column, style: NumberStyle, reading: NumberReading | None = None) -> Coerced:
    """Read a raw column in the type of the contract.

    Parameters
    ----------
    raw : pyarrow.Array or Series, of length n
        Text, numbers, booleans, or cells of several types.
    column : Column
        Its declaration.
    style : NumberStyle
        How numbers are written.
    reading : NumberReading, optional
        How the numbers of the whole column are read, where ``raw`` is a part of it.

    Returns
    -------
    Coerced
    """
    if not isinstance(raw, pa.Array):
        return _read_cells(raw, column, style, reading)
    is_numeric = column.type in ("number", "integer")
    if is_numeric and is_number(raw):
        return _read_numbers(raw, column)
    if column.type == "boolean" and pa.types.is_boolean(raw.type):
        return Coerced(raw, [])
    if pa.types.is_null(raw.type):
        return Coerced(pa.nulls(len(raw), TYPES[column.type]), [])
    if is_numeric and not reading and (style.decimal or style.is_mixed or holds_comma(raw)):
        return _read_cells(raw.to_pandas(), column, style, None)
    encoded = raw if pa.types.is_dictionary(raw.type) else raw.dictionary_encode()
    words = encoded.dictionary
    if len(words) <= FEW_WORDS and words.nbytes <= FEW_BYTES:
        distinct, broken = _read_few(column, style, reading, words.type, tuple(words.to_pylist()))
    else:
        distinct, broken = _read_distinct(column, style, reading, words)
    codes = encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    findings = {rule: np.append(flags, False)[codes] for rule, flags in broken.items()}
    return Coerced(_spread(distinct, codes), make_findings(column, findings))


FEW_WORDS = 100
"""Most distinct texts of a column that are remembered from batch to batch."""

FEW_BYTES = 4_000
"""Their most bytes: long texts are not remembered."""


class _Distinct(NamedTuple):
    """The meaning of distinct raw values: places among values of which each is there once, -1 for none; or values."""

    places: npt.NDArray[np.int32] | None
    values: pa.Array


@lru_cache(maxsize=2000)
def _read_few(
    column: Column, style: NumberStyle, reading: NumberReading | None, kind: pa.DataType, words: tuple[Any, ...]
) -> tuple[_Distinct, dict[str, BoolArray]]:
    is_text = TYPES[column.type] != pa.float64()
    if pa.types.is_string(kind) and (is_text or reading is None or reading.plain == "number"):
        plain = read_plain(column, words)
        if plain is not None:
            return _Distinct(*_code_texts(plain, column)), {}
    return _read_distinct(column, style, reading, pa.array(words, kind))


def _code_texts(values: Sequence[Any], column: Column) -> tuple[npt.NDArray[np.int32] | None, pa.Array]:
    kind = TYPES[column.type]
    if kind != pa.string():
        return None, pa.array([*values, None], kind)
    distinct = list(dict.fromkeys(value for value in values if value is not None))
    places = {None: -1, **{value: place for place, value in enumerate(distinct)}}
    return np.array([*(places[value] for value in values), -1], dtype=np.int32), pa.array(distinct, kind)


def _read_distinct(
    column: Column, style: NumberStyle, reading: NumberReading | None, words: pa.Array
) -> tuple[_Distinct, dict[str, BoolArray]]:
    """Read distinct raw values, and flag by rule those that cannot be read."""
    plain = _read_plain_numbers(column, style, reading, words)
    if plain is not None:
        return _Distinct(None, pa.concat_arrays([plain, pa.nulls(1, plain.type)])), {}
    values, broken = coerce(words.to_pandas(integer_object_nulls=True), column, style, reading)
    flags = {rule: found.to_numpy(dtype=bool) for rule, found in broken.items() if found.any()}
    if TYPES[column.type] == pa.string():
        places, distinct = pd.factorize(values)
        return _Distinct(np.append(places, -1).astype(np.int32), pa.array(distinct.tolist(), pa.string())), flags
    known = to_array(values, TYPES[column.type])
    return _Distinct(None, pa.concat_arrays([known, pa.nulls(1, known.type)])), flags


def _read_plain_numbers(
    column: Column, style: NumberStyle, reading: NumberReading | None, words: pa.Array
) -> pa.Array | None:
    """Read texts that are all plain numbers with a point, or without a mark; None if any needs a closer look."""
    is_plain = reading.plain == "number" if reading else style == NumberStyle()
    if column.type not in ("number", "integer") or not is_plain or not pa.types.is_string(words.type):
        return None
    if not pc.all(pc.match_substring_regex(words, _PLAIN_NUMBER), skip_nulls=False).as_py():
        return None
    numbers = words.cast(pa.float64())
    is_whole = column.type == "number" or not (numbers.to_numpy() % 1).any()
    return numbers if is_whole else None


_PLAIN_NUMBER = r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$"


def _spread(distinct: _Distinct, codes: npt.NDArray[np.integer]) -> pa.Array:
    """Give each row the value of its code; the code after the last one is that of a missing value."""
    if distinct.places is None:
        return distinct.values.take(to_arrow(codes))
    taken = distinct.places[codes]
    return pa.DictionaryArray.from_arrays(to_arrow(taken, taken < 0), distinct.values)


def _read_cells(raw: pd.Series, column: Column, style: NumberStyle, reading: NumberReading | None) -> Coerced:
    """Read cell by cell where one depends on the others, or their types differ."""
    values, broken = coerce(raw, column, style, reading)
    return Coerced(to_array(values, TYPES[column.type]), make_findings(column, broken))


def to_array(values: pd.Series, kind: pa.DataType) -> pa.Array:
    """Convert a series to one array; pandas may keep texts in several."""
    converted = pa.array(values, kind, from_pandas=True)
    return converted.combine_chunks() if isinstance(converted, pa.ChunkedArray) else converted


def holds_comma(raw: pa.Array) -> bool:
    """Whether any text of a column holds a comma."""
    if pa.types.is_dictionary(raw.type):
        raw = raw.dictionary
    if not (pa.types.is_string(raw.type) or pa.types.is_large_string(raw.type)):
        return False
    return bool(pc.any(pc.match_substring(raw, ",")).as_py())


def _read_numbers(raw: pa.Array, column: Column) -> Coerced:
    numbers = raw if pa.types.is_float64(raw.type) else raw.cast(pa.float64(), safe=False)
    is_whole = column.type != "integer" or pa.types.is_integer(raw.type)
    extremes = find_extremes(numbers)
    if is_whole and math.isfinite(extremes[0]) and math.isfinite(extremes[1]):
        return Coerced(numbers, [], extremes)
    values = numbers.to_numpy(zero_copy_only=False)
    failed = np.isinf(values)
    fraction = np.zeros(len(values), dtype=bool)
    if not is_whole:
        with np.errstate(invalid="ignore"):
            fraction = ~failed & ~np.isnan(values) & (values % 1 != 0)
    bad = failed | fraction
    typed = pa.array(values, mask=bad | np.isnan(values)) if bad.any() else numbers
    return Coerced(typed, make_findings(column, {"not a number": failed, "not a whole number": fraction}))


def find_extremes(numbers: pa.Array) -> tuple[float, float]:
    """Return the lowest and the highest of some numbers; NaN without any."""
    values = numbers.to_numpy(zero_copy_only=False)
    if not len(values):
        return math.nan, math.nan
    return float(np.fmin.reduce(values)), float(np.fmax.reduce(values))


def coerce(
    raw: pd.Series, column: Column, style: NumberStyle, reading: NumberReading | None = None
) -> tuple[pd.Series, dict[str, pd.Series]]:
    """Read raw cells in the type of the contract; return values, and by rule the cells that could not be read."""
    if column.type == "boolean":
        values, failed = to_booleans(raw)
        return values, {"boolean": failed}
    if column.type in ("number", "integer"):
        is_percent = column.unit == "%"
        values, failed = to_numbers(
            raw, decimal=style.decimal, percent=is_percent, strict=style.is_mixed, reading=reading
        )
        fraction = values.notna() & (values % 1 != 0) & (column.type == "integer")
        return values.mask(fraction), {"not a number": failed, "not a whole number": fraction}
    text = to_text(raw, keep=column.categories)
    return (to_listed(text, column.categories) if column.type == "category" else text), {}


def find_violations(values: pa.Array, column: Column, extremes: tuple[float, float] | None = None) -> list[BrokenRule]:
    """Find typed cells outside the range or the categories of a column.

    Parameters
    ----------
    values : pyarrow.Array of length n
        Typed column.
    column : Column
        Its declaration.
    extremes : tuple of float, optional
        Lowest and highest value, where they are known.
    """
    if column.categories:
        return _find_unlisted(values, column)
    if column.low is None and column.high is None:
        return []
    lowest, highest = extremes or find_extremes(values)
    is_low = column.low is not None and lowest < column.low
    is_high = column.high is not None and highest > column.high
    if not is_low and not is_high:
        return []
    numbers = values.to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        below = numbers < column.low if column.low is not None else np.zeros(len(numbers), dtype=bool)
        above = numbers > column.high if column.high is not None else np.zeros(len(numbers), dtype=bool)
    if column.name == "month":
        return make_findings(column, {BEFORE: below, "range": above})
    return make_findings(column, {"range": below | above})


def _find_unlisted(values: pa.Array, column: Column) -> list[BrokenRule]:
    listed = pa.array(column.categories, pa.string())
    if pa.types.is_dictionary(values.type):
        if pc.all(pc.is_in(values.dictionary, listed)).as_py() is not False:
            return []
        values = values.cast(pa.string())
    unlisted = pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, listed)))
    return make_findings(column, {"category": unlisted.to_numpy(zero_copy_only=False)})


def make_findings(column: Column, broken: Mapping[str, pd.Series | BoolArray]) -> list[BrokenRule]:
    """Make a finding for each rule that a cell breaks."""
    return [
        BrokenRule(
            broken=pd.Series(rows),
            column=column.name,
            rule=rule,
            allowed=column.allowed,
            action=_choose_action(column, rule),
        )
        for rule, rows in broken.items()
        if rows.any()
    ]


def _choose_action(column: Column, rule: str) -> Action:
    return "row left out" if column.required or rule == BEFORE else "cell emptied"
