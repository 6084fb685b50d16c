"""Convert registry text into the types of the contract, and flag cells that cannot be converted."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from paincast.cohort.numerals import (
    Decimal,
    NumberReading,
    NumberStyle,
    is_ambiguous,
    is_written_with,
    read_number,
    settle_reading,
    settle_style,
)
from paincast.deferred import pandas as pd

if TYPE_CHECKING:
    from paincast.schema import Column

MISSING_WORDS = frozenset(
    [
        *("", ".", "..", "...", "-", "--", "---", "?", "??", "\\n"),
        *("na", "n/a", "n.a.", "n.a", "#n/a", "#na", "#nv", "#n/v", "#null!", "nan", "nat", "<na>"),
        *("none", "null", "(null)", "undefined", "<undefined>"),
        *("unknown", "unk", "notknown", "notavailable", "notrecorded", "nodata", "missing"),
        *("k.a.", "k.a", "k/a", "keineangabe", "keineangaben", "unbekannt", "nichtbekannt", "fehlt", "fehlend"),
    ]
)
"""Cell texts that mean "no value" in every source, ignoring case and spacing; a mapping may add others."""

_TRUTHS = {
    **dict.fromkeys(("true", "yes", "y", "t", "1", "1.0"), True),
    **dict.fromkeys(("false", "no", "n", "f", "0", "0.0"), False),
}
_MARKS: tuple[Decimal, Decimal] = ("comma", "point")
_LARGEST_EXACT_WHOLE = 2.0**53
_WHOLE = re.compile(r"^(-?\d+)\.0+$")
_WHOLE_NUMBER = r"[+-]?[0-9]{1,15}"
_POINT_NUMBER = r"[+-]?(?:[0-9]{1,300}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d", "-"))
_UNSEEN = str.maketrans(dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", None))


def is_missing_word(text: str) -> bool:
    """Check whether a cell's text means "no value" in every source.

    Examples
    --------
    >>> [is_missing_word(text) for text in ("K. A.", "#n/a", "–", "0", "no")]
    [True, True, True, False, False]
    """
    return "".join(text.translate(_DASHES).translate(_UNSEEN).split()).casefold() in MISSING_WORDS


def find_missing_words(text: pd.Series) -> pd.Series:
    """Flag cells that contain a word for "no value"; empty cells are not flagged."""
    wordy = text[~text.str.contains("[0-9]", na=True).astype(bool)]
    return text.isin([word for word in wordy.unique() if is_missing_word(word)])


def to_plain_text(column: pd.Series) -> pd.Series:
    """Convert a column to trimmed text, keeping words for "no value"; whole floats lose their ``.0``.

    Parameters
    ----------
    column : Series
        Any dtype.

    Returns
    -------
    Series of dtype str
        NaN where the cell is empty.

    Examples
    --------
    >>> to_plain_text(pd.Series([1.0, 2.5, None])).tolist()
    ['1', '2.5', nan]
    """
    if pd.api.types.is_float_dtype(column.dtype):
        column = _whole_floats_as_integers(column)
    return column.astype("str").str.strip()


def to_text(column: pd.Series, *, keep: Iterable[str] = ()) -> pd.Series:
    """Convert a column to trimmed text; words for "no value" become missing, and whole floats lose their ``.0``.

    Parameters
    ----------
    column : Series
        Any dtype.
    keep : iterable of str
        Words that are values here, for example a category ``none``.

    Returns
    -------
    Series of dtype str
        NaN where there is no value.

    Examples
    --------
    >>> to_text(pd.Series(["7", "n/a", "unknown", " k. A."])).tolist()
    ['7', nan, nan, nan]
    """
    text = to_plain_text(column)
    values = {word.casefold() for word in keep if is_missing_word(word)}
    missing = find_missing_words(text)
    return text.mask(missing & ~text.str.casefold().isin(values) if values else missing)


def _whole_floats_as_integers(column: pd.Series) -> pd.Series:
    values = column.astype("float64")
    whole = (values % 1 == 0) & (values.abs() <= _LARGEST_EXACT_WHOLE)
    as_text = values.astype("str")
    as_text[whole] = values[whole].astype("int64").astype("str")
    return as_text


def count_marks(text: pd.Series, decimal: Decimal | None, *, both: bool = False) -> tuple[int, int]:
    """Count the cells of a column that only a decimal comma explains, and those that only a point does.

    Unless ``both`` are asked for, points are not counted where neither a declaration nor a cell speaks for the comma:
    they change nothing.
    """
    rest = text[~_is_plain(text, "whole" if decimal == "comma" else "number") & text.notna()]
    n_comma = _count_written_with("comma", rest)
    if decimal == "comma":
        return n_comma, _count_written_with("point", rest)
    return n_comma, _count_written_with("point", text.dropna()) if n_comma or both else 0


def to_numbers(
    column: pd.Series,
    *,
    decimal: Decimal | None = None,
    percent: bool = False,
    strict: bool = False,
    reading: NumberReading | None = None,
) -> tuple[pd.Series, pd.Series]:
    """Read a column as finite numbers.

    Digits and minus signs of other scripts are recognized. A thousands separator is accepted if the decimal mark is
    declared; a space or an apostrophe between groups of three digits is always accepted. If a column uses both decimal
    marks, ambiguous numbers are treated as invalid.

    Parameters
    ----------
    column : Series
        Any dtype; numeric types are used as they are.
    decimal : {"point", "comma"}, optional
        Decimal mark that the source declares. If none is declared, the decimal mark is a point and a comma is invalid.
        With ``comma``, a column whose numbers have points but no commas is read with the point.
    percent : bool
        Whether a percent sign may follow the number.
    strict : bool
        Whether a number that would read differently with the other decimal mark is invalid, because the source uses
        both marks.
    reading : NumberReading, optional
        How the whole column is read, where ``column`` is a part of it; by default as ``column`` tells.

    Returns
    -------
    numbers : Series of dtype float64
        NaN where there is no number.
    failed : Series of bool
        Where there was a value and it is not a finite number.

    Examples
    --------
    >>> text = pd.Series(["1.200", "7,5", "7-8"])
    >>> to_numbers(text, decimal="comma")[0].tolist()
    [1200.0, 7.5, nan]
    """
    if column.dtype.kind in "iuf":
        numbers, present = column.astype("float64"), column.notna()
    else:
        text = to_text(column)
        reading = reading or settle_reading(*count_marks(text, decimal), decimal, strict)
        numbers, present = _read_numbers(text, reading, percent), text.notna()
    numbers = numbers.where(np.isfinite(numbers))
    return numbers, present & numbers.isna()


def _read_numbers(text: pd.Series, reading: NumberReading, percent: bool) -> pd.Series:
    plain = _is_plain(text, reading.plain)
    rest = text[~plain & text.notna()]
    decimal, strict = reading.decimal, reading.strict
    readings = {word: read_number(word, decimal, percent=percent, strict=strict) for word in rest.unique()}
    numbers = pd.to_numeric(text.where(plain)).astype("float64")
    return numbers.fillna(rest.map(readings).astype("float64"))


def _is_plain(text: pd.Series, plain: Literal["whole", "number", "none"]) -> pd.Series:
    if plain == "none":
        return pd.Series(False, index=text.index)
    return text.str.fullmatch(_WHOLE_NUMBER if plain == "whole" else _POINT_NUMBER, na=False).astype(bool)


def detect_number_style(columns: Iterable[pd.Series], *, separator: str | None = None) -> NumberStyle:
    """Detect the decimal mark of a source from numbers that only one mark explains, such as 7,5 or 1.200,5.

    Parameters
    ----------
    columns : iterable of Series
        Columns of text; others are ignored.
    separator : str, optional
        Separator of the file. A semicolon leaves the comma to numbers: where no number shows the mark, 1.200 is
        ambiguous.

    Returns
    -------
    NumberStyle
        ``comma`` if numbers show it, in no column beside a point. Numbers that both marks explain are invalid if
        columns differ or a column uses both.

    Examples
    --------
    >>> detect_number_style([pd.Series(["7,5", "6"]), pd.Series(["1.200", "60"])])
    NumberStyle(decimal='comma', is_mixed=False)
    >>> detect_number_style([pd.Series(["7.5", "6"])])
    NumberStyle(decimal=None, is_mixed=False)
    """
    words = [list_marked(column) for column in columns if column.dtype.kind not in "iufb"]
    counts = [(sum(map(_NEEDS_COMMA, column)), sum(map(_NEEDS_POINT, column))) for column in words]
    style = settle_style(counts, is_unclear=False)
    if style != NumberStyle() or separator != ";" or any(n_point for _, n_point in counts):
        return style
    return settle_style(counts, is_unclear=any(is_ambiguous(word) for column in words for word in column))


_NEEDS_COMMA, _NEEDS_POINT = partial(is_written_with, "comma"), partial(is_written_with, "point")


def list_marked(column: pd.Series) -> list[str]:
    """List the distinct texts that hold a digit and a mark, for numbers."""
    text = column.drop_duplicates().dropna().astype("str")
    return text[text.str.contains(r"\d.*[.,]|[.,].*\d", regex=True)].str.strip().tolist()


def has_decimal_commas(columns: Iterable[pd.Series]) -> bool:
    """Check whether more numbers of a source have a decimal comma than a point, which makes 1.200 ambiguous.

    Examples
    --------
    >>> has_decimal_commas([pd.Series(["7,5", "6"]), pd.Series(["1.200", "60"])])
    True
    """
    texts = [to_text(column).dropna() for column in columns if column.dtype.kind not in "iufb"]
    if not any(text.str.contains(",", regex=False).any() for text in texts):
        return False
    n_comma, n_point = (sum(_count_written_with(mark, text) for text in texts) for mark in _MARKS)
    return n_comma > n_point


def _count_written_with(decimal: Decimal, text: pd.Series) -> int:
    return int(text.isin([word for word in text.unique() if is_written_with(decimal, word)]).sum())


def to_booleans(column: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Read a column as true or false.

    Parameters
    ----------
    column : Series
        Any dtype.

    Returns
    -------
    booleans : Series of dtype boolean
        Missing where there is no value.
    failed : Series of bool
        Where there was a value and it is neither true nor false.
    """
    text = to_text(column)
    booleans = text.str.lower().map(_TRUTHS).astype("boolean")
    return booleans, text.notna() & booleans.isna()


_PLAIN_NUMBERS = {"number": re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,5})?"), "integer": re.compile(r"[0-9]{1,15}")}
"""Numbers that are read alike in every style without a decimal comma."""


def read_plain(column: Column, words: Iterable[str | None]) -> list[Any] | None:
    """Read texts that are written as the contract writes them, as most are, one by one.

    Parameters
    ----------
    column : Column
        Its declaration.
    words : iterable of str or None
        Texts of cells.

    Returns
    -------
    list or None
        The values, None for a missing one, the same as those of the functions for columns; None in place of the list if
        one of the texts has to be looked at more closely.

    Examples
    --------
    >>> from paincast.schema import EPISODES
    >>> read_plain(EPISODES["pain_nrs"], ["7", None, "6.5"]), read_plain(EPISODES["pain_nrs"], ["7", "six"])
    ([7.0, None, 6.5], None)
    """
    try:
        return [None if not word else _read_plain(column, word) for word in words]
    except KeyError:
        return None


def _read_plain(column: Column, word: str) -> Any:
    """Read one text; a KeyError says that it is not plain."""
    if column.type in _PLAIN_NUMBERS:
        if _PLAIN_NUMBERS[column.type].fullmatch(word):
            return float(word)
    elif column.type == "boolean":
        if word.isascii():
            return _TRUTHS[word.lower()]
    elif column.type == "category":
        if word in column.categories and word.isascii():
            return word
    elif word.isascii() and word.strip() == word and not is_missing_word(word):
        return word
    raise KeyError


def to_code(text: str) -> str:
    """Normalize a code for comparison: single spaces, plain dashes, no ``.0``.

    Examples
    --------
    >>> to_code("  2.0 "), to_code(" no  surgery"), to_code("pre–op")
    ('2', 'no surgery', 'pre-op')
    """
    return _WHOLE.sub(r"\1", " ".join(text.translate(_UNSEEN).translate(_DASHES).split()))


def to_codes(text: pd.Series) -> pd.Series:
    """Normalize the codes of a column by :func:`to_code`.

    Examples
    --------
    >>> to_codes(pd.Series(["2.0", " pre–op"])).tolist()
    ['2', 'pre-op']
    """
    return text.map({word: to_code(word) for word in text.dropna().unique()}).astype("str")


def to_listed(text: pd.Series, meanings: Mapping[str, Hashable] | Iterable[str]) -> pd.Series:
    """Match each text to a listed code: exactly, or ignoring case if the match is unambiguous.

    Parameters
    ----------
    text : Series of str
        Texts of cells.
    meanings : mapping of str to any, or iterable of str
        Meaning of each code, or codes with distinct meanings, in the form of :func:`to_code`.

    Returns
    -------
    Series of dtype str
        The listed code; the result of :func:`to_code` if none is listed; NaN where there is no text.

    Examples
    --------
    >>> to_listed(pd.Series(["Female", "male ", "F"]), ["female", "male"]).tolist()
    ['female', 'male', 'F']
    """
    meanings = meanings if isinstance(meanings, Mapping) else {code: code for code in meanings}
    by_fold: dict[str, list[str]] = {}
    for code in meanings:
        by_fold.setdefault(code.casefold(), []).append(code)
    only = {fold: codes[0] for fold, codes in by_fold.items() if len({meanings[code] for code in codes}) == 1}
    codes = {word: to_code(word) for word in text.dropna().unique()}
    listed = {word: code if code in meanings else only.get(code.casefold(), code) for word, code in codes.items()}
    return text.map(listed).astype("str")
