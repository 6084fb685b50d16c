"""Parse numbers: decimal marks, thousands separators, and digits and signs of other scripts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal, NamedTuple

Decimal = Literal["point", "comma"]

_MARKS: dict[Decimal, str] = {"point": ".", "comma": ","}
_SIGNS = dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-") | {"\uff0b": "+"}
_SPACES = dict.fromkeys("\u00a0\u2007\u2009\u202f'\u2019\u066c\uff07", " ")
_STOPS = {"\uff0e": ".", "\uff0c": ",", "\uff05": "%", "\u066a": "%"}
_TRANSLATED = str.maketrans(_SIGNS | _SPACES | _STOPS)
_ARABIC_MARK = "\u066b"


def _compile(mark: str, separator: str) -> re.Pattern[str]:
    """Compile the pattern of a number: plain, or in groups of three digits with a separator or spaces."""
    mark = re.escape(mark)
    grouped = rf"[1-9]\d{{0,2}}(?:(?:{re.escape(separator)}\d{{3}})+|(?: \d{{3}})+)(?:{mark}\d+)?"
    plain = rf"(?:\d+(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d+)?"
    return re.compile(rf"[+-]?(?:{plain}|{grouped})", re.ASCII)


_NUMBER: dict[Decimal, re.Pattern[str]] = {"point": _compile(".", ","), "comma": _compile(",", ".")}


def read_number(text: str, decimal: Decimal | None, *, percent: bool = False, strict: bool = False) -> float:
    """Read a number.

    Parameters
    ----------
    text : str
        Trimmed text of a cell.
    decimal : {"point", "comma"}, optional
        Decimal mark that the source declares. If none is declared, the decimal mark is a point and a comma is invalid.
    percent : bool
        Whether a percent sign may follow the number.
    strict : bool
        Whether a number that would read differently with the other mark is invalid.

    Returns
    -------
    float
        NaN if the text is not a number.

    Examples
    --------
    >>> read_number("1.200", "comma"), read_number("1.200", "point"), read_number("−7", None), read_number("7-8", None)
    (1200.0, 1.2, -7.0, nan)
    """
    mark = decimal or "point"
    plain = _normalize_digits(text, _MARKS[mark])
    if percent and plain.endswith("%"):
        plain = plain[:-1].rstrip()
    if not _NUMBER[mark].fullmatch(plain) or (decimal is None and "," in plain):
        return float("nan")
    if strict and _NUMBER["comma" if mark == "point" else "point"].fullmatch(plain) and ("," in plain or "." in plain):
        return float("nan")
    separator = "," if mark == "point" else "."
    return float(plain.replace(" ", "").replace(separator, "").replace(_MARKS[mark], "."))


def is_written_with(decimal: Decimal, text: str) -> bool:
    """Check whether a text is a number with this decimal mark but not with the other.

    Examples
    --------
    >>> [is_written_with("comma", text) for text in ("7,5", "1,200", "1.200", "0,500", "75")]
    [True, False, False, True, False]
    """
    other: Decimal = "comma" if decimal == "point" else "point"
    plain = _normalize_digits(text, _MARKS[decimal]).rstrip("% ")
    return _NUMBER[decimal].fullmatch(plain) is not None and _NUMBER[other].fullmatch(plain) is None


def is_ambiguous(text: str) -> bool:
    """Check whether a text is a number with either decimal mark, but not the same one.

    Examples
    --------
    >>> [is_ambiguous(text) for text in ("1.200", "1,200", "0.500", "1.2", "75")]
    [True, True, False, False, False]
    """
    plain = _normalize_digits(text, ".").rstrip("% ")
    return ("," in plain or "." in plain) and all(pattern.fullmatch(plain) for pattern in _NUMBER.values())


class NumberStyle(NamedTuple):
    """How numbers are written in a source.

    Parameters
    ----------
    decimal : {"point", "comma"}, optional
        The decimal mark; None if it is not declared and no number shows a comma.
    is_mixed : bool
        Whether a number that would read differently with the other mark is invalid (``strict`` in
        :func:`paincast.cohort.coercion.to_numbers`).
    """

    decimal: Decimal | None = None
    is_mixed: bool = False


def settle_style(counts: Sequence[tuple[int, int]], *, is_unclear: bool) -> NumberStyle:
    """Settle how numbers are written; see :func:`paincast.cohort.coercion.detect_number_style`.

    Parameters
    ----------
    counts : sequence of tuple of int
        Of each column, the distinct texts that only a comma explains, and those that only a point does.
    is_unclear : bool
        Whether numbers that both marks explain are invalid where no number shows the mark.
    """
    n_comma, n_point = (sum(count[mark] for count in counts) for mark in (0, 1))
    if any(commas and points for commas, points in counts):
        return NumberStyle(None, is_mixed=n_comma >= n_point)
    if n_comma:
        return NumberStyle("comma", is_mixed=n_point > 0)
    return NumberStyle(None, is_mixed=is_unclear and not n_point)


class NumberReading(NamedTuple):
    """How the numbers of a column are read, as all its texts tell together.

    Parameters
    ----------
    decimal : {"point", "comma"}, optional
        The decimal mark; None if the source declares none.
    strict : bool
        Whether a number that would read differently with the other mark is invalid.
    plain : {"whole", "number", "none"}
        Which texts need no closer look: whole numbers, any number with a point, or none.
    """

    decimal: Decimal | None
    strict: bool
    plain: Literal["whole", "number", "none"]


def settle_reading(n_comma: int, n_point: int, decimal: Decimal | None, strict: bool) -> NumberReading:
    """Settle how a column is read.

    Parameters
    ----------
    n_comma, n_point : int
        Cells that only a comma, or only a point, explains (:func:`paincast.cohort.coercion.count_marks`).
    decimal, strict
        As in :func:`paincast.cohort.coercion.to_numbers`.

    Examples
    --------
    >>> settle_reading(0, 3, "comma", False)
    NumberReading(decimal='point', strict=True, plain='whole')
    """
    if decimal == "comma":
        is_point = n_point > 0 and not n_comma
        return NumberReading("point" if is_point else "comma", strict or n_point > n_comma, "whole")
    return NumberReading(decimal, strict or n_comma > n_point, "none" if n_comma or strict else "number")


def _normalize_digits(text: str, mark: str) -> str:
    """Convert digits, signs, spaces and marks of other scripts to ASCII."""
    if text.isascii() and "'" not in text:
        return text
    plain = text.replace(_ARABIC_MARK, mark).translate(_TRANSLATED)
    return "".join(str(unicodedata.decimal(letter, letter)) for letter in plain)
