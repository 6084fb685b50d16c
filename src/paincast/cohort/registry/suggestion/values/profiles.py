"""What the values of a column look like: numbers, dates, codes or text. Only frequent codes are ever shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from paincast.cohort.coercion import find_missing_words, to_booleans, to_code, to_numbers
from paincast.cohort.dates import read_days, read_years
from paincast.cohort.numerals import Decimal

MOST_CODES = 10
"""A column with more distinct values is treated as free text or an id; its values are not shown."""
FEWEST_PATIENTS = 3
"""A value that occurs in fewer rows is not shown, because it may identify a patient."""
MOST_CATEGORIES = 25
"""The same for a column whose name says that it holds categories."""
LONGEST_CODE = 24
"""A longer value is treated as free text and not shown."""
DATE_FORMATS = (
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d.%m.%y",
)
"""Common date formats other than ISO 8601."""

FEWEST_NUMBERS = 4
"""So many different numbers beside one word make a number of a column."""
MOSTLY = 0.9
"""Share of the values from which a column is said to hold numbers or dates."""
_LOOKS_LIKE_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}(?:[T ].*)?|\d{8}")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What is known of a column from its values.

    Parameters
    ----------
    given : Series of str
        Values that are not missing.
    n_rows : int
        Rows of the file.
    numbers : Series of float
        The values, if most of them are numbers; otherwise empty.
    date_formats : tuple of str or None
        Formats that fit every date, None for ISO 8601; empty if the column holds no dates.
    """

    given: pd.Series
    n_rows: int
    numbers: pd.Series
    date_formats: tuple[str | None, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is no value at all."""
        return self.given.empty

    @property
    def holds_numbers(self) -> bool:
        """Whether most values are numbers."""
        return not self.numbers.empty

    @property
    def holds_dates(self) -> bool:
        """Whether the values are dates."""
        return bool(self.date_formats)

    @property
    def is_whole(self) -> bool:
        """Whether all numbers are whole."""
        return bool((self.numbers % 1 == 0).all())

    @property
    def share_missing(self) -> float:
        """Share of the rows without a value."""
        return 1 - len(self.given) / self.n_rows if self.n_rows else 1.0

    def is_boolean(self) -> bool:
        """Whether every value is read as true or false without a code."""
        return not self.is_empty and not bool(to_booleans(self.given)[1].any())

    def repeats(self) -> bool:
        """Whether a value stands in several rows."""
        return bool(self.given.duplicated().any())

    def codes_to_show(self, most: int = MOST_CODES) -> tuple[list[str], int]:
        """Give the codes that may be shown, and how many others there are."""
        if len(self.counts) > most:
            return [], len(self.counts)
        shown = [code for code, n in self.counts.items() if n >= FEWEST_PATIENTS and len(code) <= LONGEST_CODE]
        return sorted(shown), len(self.counts) - len(shown)


def profile_columns(rows: pd.DataFrame, decimal: Decimal | None) -> dict[str, Profile]:
    """Look at the values of every column."""
    return {str(name): _profile(rows[name], decimal) for name in rows}


def _profile(text: pd.Series, decimal: Decimal | None) -> Profile:
    given = text[(text != "") & ~find_missing_words(text)].astype("str")
    counts = {str(code): int(n) for code, n in given.map(to_code).value_counts().items()} if len(given) else {}
    return Profile(
        given=given,
        n_rows=len(text),
        numbers=_read_numbers(given, decimal),
        date_formats=_find_date_formats(given),
        counts=counts,
    )


def _read_numbers(given: pd.Series, decimal: Decimal | None) -> pd.Series:
    """Read numbers with the mark that fits more of them."""
    readings = [to_numbers(given, decimal=mark) for mark in dict.fromkeys((decimal, None, "comma"))]
    numbers, failed = min(readings, key=lambda reading: int(reading[1].sum()))
    return numbers.dropna() if len(given) and failed.mean() <= 1 - MOSTLY else pd.Series([], dtype="float64")


def _find_date_formats(given: pd.Series) -> tuple[str | None, ...]:
    if given.empty or not given.head(50).str.fullmatch(_LOOKS_LIKE_DATE).mean() > MOSTLY:
        return ()
    fitting: list[str | None] = [form for form in DATE_FORMATS if _fits(given, form)]
    return (None,) if _fits(given, None) else tuple(fitting)


def _fits(dates: pd.Series, date_format: str | None) -> bool:
    return not any(rows.any() for rows in read_days(dates, date_format)[1].values())


def find_odd_word(profile: Profile) -> tuple[str, pd.Series]:
    """Find the one frequent word that stands among numbers ("lost"), and the numbers; empty if there is none."""
    numbers, failed = to_numbers(profile.given, decimal=None)
    words = profile.given[failed].map(to_code).unique()
    numbers = numbers.dropna()
    is_odd = len(words) == 1 and int(failed.sum()) >= FEWEST_PATIENTS and len(words[0]) <= LONGEST_CODE
    if profile.holds_numbers or not is_odd or numbers.nunique() < FEWEST_NUMBERS or re.search(r"\d", words[0]):
        return "", pd.Series([], dtype="float64")
    return str(words[0]), numbers


def holds_years(profile: Profile) -> bool:
    """Check whether the values are calendar years."""
    years, broken = read_years(profile.given)
    return (
        not profile.is_empty
        and not any(rows.any() for rows in broken.values())
        and bool(years.between(1900, 2100).all())
    )
