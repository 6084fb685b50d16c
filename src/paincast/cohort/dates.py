"""Parse dates from registries: the calendar day is used as written; times and UTC offsets are ignored."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.cohort.coercion import to_code

PLACEHOLDERS = frozenset(
    date.fromisoformat(day)
    for day in ("0001-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "2999-12-31", "9999-12-31")
)
"""Days that software writes for "no value". 1970-01-01 is excluded because it is a plausible date of birth."""

NO_DATE, NO_DAY, DAY_NUMBER, NO_CENTURY = "not a date", "no day", "day number", "century"
ISO = "ISO8601"

_CLOCK = r"(?:[01]?\d|2[0-4])(?::?[0-5]\d(?::?(?:[0-5]\d|60)(?:[.,]\d+)?)?)?(?:\s?[AaPp][Mm])?"
_OFFSET = r"(?:\s?(?:Z|[A-Z]{3,4}|[+-][01]\d(?::?[0-5]\d)?))?"
_DAY = re.compile(rf"(\d{{4}})(?:([-/.])(\d{{1,2}})\2(\d{{1,2}})|(\d\d)(\d\d))(?:[T ]{_CLOCK}{_OFFSET})?")
_YEAR = re.compile(r"(\d{4})(?:[-/](?:0?[1-9]|1[0-2]))?")
_DAY_NUMBER = re.compile(r"\d{5}(?:[.,]\d+)?")
_ZEROS = re.compile(r"0000-00-00(?:[T ].*)?|1900-01-00")
_RUN_TOGETHER = re.compile(r"%[A-Za-z]%[A-Za-z]")
_UNKNOWN = np.datetime64("NaT", "s")


def explain_rule(rule: str, date_format: str | None) -> str:
    """Describe the allowed values for a rule of this module."""
    a_date = f"a date, {date_format or 'YYYY-MM-DD'}"
    return {
        NO_DATE: a_date,
        NO_DAY: "a full date; a year or a month alone is not precise enough",
        DAY_NUMBER: f"{a_date}; a spreadsheet's day number is not a date: export the column as dates",
        NO_CENTURY: "a date in one possible century and not in the future; write the year with four digits",
    }[rule]


def read_days(
    text: pd.Series,
    date_format: str | None = None,
    *,
    earliest: pd.Series | pd.Timestamp | None = None,
    latest: pd.Series | pd.Timestamp | None = None,
) -> tuple[pd.Series, dict[str, pd.Series]]:
    """Read dates as calendar days.

    Parameters
    ----------
    text : Series of str
        Dates, missing where there is none.
    date_format : str, optional
        ``strptime`` format; ISO 8601 by default.
    earliest, latest : Series or Timestamp, optional
        Bounds for two-digit years; the century is used only if exactly one fits. By default from 1980 to today.

    Returns
    -------
    days : Series of datetime64[s]
        NaT where there is no date, and for days that mean "no value" (:data:`PLACEHOLDERS`).
    broken : dict of str to Series of bool
        Cells that are not valid dates, by the rule that they break.

    Examples
    --------
    >>> days, broken = read_days(pd.Series(["2022-01-01T00:30:00+02:00", "2022", "44562"]))
    >>> days.dt.strftime("%Y-%m-%d").tolist()
    ['2022-01-01', nan, nan]
    >>> {rule: rows.tolist() for rule, rows in broken.items() if rows.any()}
    {'no day': [False, True, False], 'day number': [False, False, True]}
    """
    read_date = _read_iso if date_format in (None, ISO) else _make_reader(str(date_format))
    codes, words = pd.factorize(text)
    readings = [read_date(word) for word in words]
    days = pd.Series(_to_days(readings)[codes], index=text.index)
    broken = {
        rule: pd.Series(np.array([*(reading == rule for reading in readings), False])[codes], index=text.index)
        for rule in (NO_DATE, NO_DAY, DAY_NUMBER)
    }
    if "%y" in (date_format or ""):
        given = days.notna()
        days = _choose_century(
            days,
            pd.Timestamp("1980-01-01") if earliest is None else earliest,
            pd.Timestamp.now().normalize() if latest is None else latest,
        )
        broken[NO_CENTURY] = given & days.isna()
    return days, broken


def read_years(text: pd.Series, date_format: str | None = None) -> tuple[pd.Series, dict[str, pd.Series]]:
    """Read the years of dates; without a format, a year or a year and month is sufficient."""
    days, broken = read_days(text, date_format)
    years = days.dt.year.astype("float64")
    has_no_day = broken.pop(NO_DAY)
    year_by_text = {word: float(to_code(word)[:4]) for word in text[has_no_day].unique()}
    return years.mask(has_no_day, text.map(year_by_text).astype("float64")), broken


def check_date_format(date_format: str, *, needs_day: bool) -> str:
    """Describe what is wrong with a ``strptime`` format; empty if it is valid.

    Examples
    --------
    >>> check_date_format("%d.%m.%Y", needs_day=True)
    ''
    >>> check_date_format("%m/%Y", needs_day=True)
    "'%m/%Y' does not tell the day"
    """
    if date_format == ISO:
        return ""
    example = datetime(2001, 2, 3, 16, 5, 6)
    try:
        parsed = datetime.strptime(example.strftime(date_format), date_format)
    except ValueError:
        return f"'{date_format}' is not a strptime format for dates"
    if parsed.year != example.year or (needs_day and parsed.date() != example.date()):
        return f"'{date_format}' does not tell the {'day' if needs_day else 'year'}"
    return ""


@lru_cache(maxsize=1 << 16)
def _read_iso(text: str) -> date | str | None:
    word = to_code(text)
    if _ZEROS.fullmatch(word):
        return None
    if match := _DAY.fullmatch(word):
        parts = [int(part) for part in (match[1], match[3] or match[5], match[4] or match[6])]
        try:
            return date(*parts)
        except ValueError:
            return NO_DATE
    if _DAY_NUMBER.fullmatch(word):
        return DAY_NUMBER
    return NO_DAY if _YEAR.fullmatch(word) else NO_DATE


def _make_reader(date_format: str) -> Callable[[str], date | str | None]:
    """Make a function that reads a date; parts without a separator between them must have their full width."""
    run_together = bool(_RUN_TOGETHER.search(date_format))

    def read(text: str) -> date | str | None:
        try:
            moment = datetime.strptime(text, date_format)
        except ValueError:
            return DAY_NUMBER if _DAY_NUMBER.fullmatch(text) else NO_DATE
        return NO_DATE if run_together and moment.strftime(date_format) != text else moment.date()

    return read


def _to_days(readings: Sequence[date | str | None]) -> npt.NDArray[np.datetime64]:
    """Convert readings to days; the last one stands for no date."""
    known = [day if isinstance(day, date) and day not in PLACEHOLDERS else None for day in readings]
    return np.array([*known, None], dtype="datetime64[D]").astype("datetime64[s]")


def _choose_century(days: pd.Series, earliest: pd.Series | pd.Timestamp, latest: pd.Series | pd.Timestamp) -> pd.Series:
    """Move each day into the only century that lies within the bounds; NaT if none or several do."""
    chosen = pd.Series(_UNKNOWN, index=days.index, dtype="datetime64[s]")
    fits = pd.Series(0, index=days.index)
    for century in (1800, 1900, 2000):
        parts = {"year": century + days.dt.year % 100, "month": days.dt.month, "day": days.dt.day}
        moved = pd.to_datetime(pd.DataFrame(parts), errors="coerce").astype("datetime64[s]")
        inside = (moved >= earliest) & (moved <= latest)
        chosen, fits = chosen.mask(inside, moved), fits + inside
    return chosen.where(fits == 1)
