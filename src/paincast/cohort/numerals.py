"""Parse numbers: decimal marks, thousands separators, and digits and signs of other scripts."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

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


def _normalize_digits(text: str, mark: str) -> str:
    """Convert digits, signs, spaces and marks of other scripts to ASCII."""
    if text.isascii() and "'" not in text:
        return text
    plain = text.replace(_ARABIC_MARK, mark).translate(_TRANSLATED)
    return "".join(str(unicodedata.decimal(letter, letter)) for letter in plain)
