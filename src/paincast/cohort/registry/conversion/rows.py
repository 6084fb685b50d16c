"""Rows of a registry's files as texts: values of columns and of other rows of a record, and conditions on rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from paincast.cohort.coercion import find_missing_words, to_listed
from paincast.cohort.numerals import Decimal, NumberReading
from paincast.cohort.registry.conversion.redcap import Records
from paincast.cohort.registry.mapping_types import MISSING, Condition, Field
from paincast.cohort.rejects import BrokenRule


@dataclass(frozen=True, kw_only=True)
class SourceRows:
    """Rows of text with the baseline values and procedure dates of their episodes.

    Parameters
    ----------
    frames : dict of DataFrame
        Per file; all share one index, the position of the row in the file ``main``.
    main : str
        The file used if a field names none.
    missing : frozenset of str
        Codes that mean "no value" anywhere in this source.
    decimal : {"point", "comma"}, optional
        Decimal mark that the source declares.
    strict : bool
        Whether an ambiguous number is missing; see :func:`paincast.cohort.coercion.has_decimal_commas`.
    baseline : DataFrame, optional
        Values before the procedure, per row.
    procedure_date : Series, optional
        Date of the procedure, per row.
    records, whole : Records and DataFrame, optional
        Of a REDCap export: all its rows, and what tells the rows of a record apart.
    named : dict of DataFrame
        Columns value, unit, several and has_units, per row, of what is read from long tables.
    before : dict of int
        Per file: the last position before its own.
    reading : NumberReading, optional
        How the numbers of a whole column are read, where the rows are a part of it.
    """

    frames: Mapping[str, pd.DataFrame]
    main: str
    missing: frozenset[str]
    decimal: Decimal | None
    strict: bool = False
    baseline: pd.DataFrame | None = None
    procedure_date: pd.Series | None = None
    records: Records | None = None
    whole: pd.DataFrame | None = None
    named: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    before: Mapping[str, int] = field(default_factory=dict)
    reading: NumberReading | None = None

    @property
    def index(self) -> pd.Index:
        """Return the positions of the rows."""
        return self.frames[self.main].index

    def select(self, kept: pd.Series) -> SourceRows:
        """Return the rows where ``kept`` is true."""
        frames = {name: frame[kept] for name, frame in self.frames.items()}
        return replace(self, frames=frames, baseline=None, procedure_date=None)


def apply_condition(condition: Condition, rows: SourceRows) -> tuple[pd.Series, BrokenRule]:
    """Select the rows that match a condition.

    Returns
    -------
    meant : Series of bool
        Rows that match the condition.
    unlisted : BrokenRule
        Rows whose code is listed neither as matching nor as not matching; they are left out.
    """
    text, several = _read_condition_text(condition, rows)
    if condition.contains:
        meant, unlisted = contains_words(text, condition.contains), several
    else:
        others = condition.is_not or frozenset()
        listed = dict.fromkeys(others, False) | dict.fromkeys(condition.is_, True)
        code = to_listed(text, listed)
        code = code.mask(_is_absent(text, rows.missing) & ~code.isin(list(listed)), MISSING)
        meant = code.isin(condition.is_)
        unlisted = ~meant & ~code.isin(condition.is_not) if condition.is_not is not None else ~meant & False
        unlisted |= several
    allowed = "a code that the mapping lists: " + ", ".join(sorted(condition.is_ | (condition.is_not or frozenset())))
    unlisted_codes = BrokenRule(
        broken=unlisted, column=condition.column, rule="category", allowed=allowed, action="row left out"
    )
    return meant & ~several, unlisted_codes


def _read_condition_text(condition: Condition, rows: SourceRows) -> tuple[pd.Series, pd.Series]:
    if condition.of is None or rows.records is None or rows.whole is None:
        text = rows.frames[condition.file or rows.main][condition.column]
        return text, pd.Series(False, index=text.index)
    given = rows.whole[condition.column].replace("", np.nan)
    text, several = rows.records.look_up(given, condition.of, rows.index)
    return text.fillna(""), several


def read_text(field: Field, column: str, rows: SourceRows) -> tuple[pd.Series, pd.Series]:
    """Read the texts of a column, missing where there is no value; and where several rows hold different values."""
    if field.named:
        named = rows.named[field.target.name]
        return named["value"], named["several"]
    if field.of is None or rows.records is None or rows.whole is None:
        text = mask_absent(field, rows.frames[field.file or rows.main][column], rows.missing)
        return text, pd.Series(False, index=text.index)
    return rows.records.look_up(mask_absent(field, rows.whole[column], rows.missing), field.of, rows.index)


def mask_absent(field: Field, text: pd.Series, missing: frozenset[str]) -> pd.Series:
    """Replace texts that mean "no value", in this source or in this column, by missing."""
    absent = _is_absent(text, missing)
    if field.codes is not None:
        absent &= ~to_listed(text, field.codes).isin(list(field.codes))
    elif field.target.categories:
        is_value = to_listed(text, field.target.categories).isin(field.target.categories)
        absent = (absent & ~is_value) | _is_one_of(text, missing)
    return text.mask(absent | _is_one_of(text, field.missing))


def _is_absent(text: pd.Series, missing: frozenset[str]) -> pd.Series:
    return find_missing_words(text) | _is_one_of(text, missing)


def _is_one_of(text: pd.Series, codes: frozenset[str]) -> pd.Series:
    if not codes:
        return pd.Series(False, index=text.index)
    return to_listed(text, dict.fromkeys(codes, MISSING)).isin(codes)


def contains_words(text: pd.Series, beginnings: tuple[str, ...]) -> pd.Series:
    """Flag texts with a word that has one of the beginnings, in any case."""
    pattern = r"\b(?:" + "|".join(re.escape(word) for word in beginnings) + ")"
    return text.str.contains(pattern, case=False, regex=True, na=False).astype(bool)
