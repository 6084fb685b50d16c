"""Find what labelled codes of SPSS and Stata mean in a column of the contract."""

from __future__ import annotations

import re
from collections.abc import Mapping

from paincast.cohort.coercion import is_missing_word, to_booleans, to_code
from paincast.cohort.reading.types import ColumnNotes
from paincast.deferred import pandas as pd
from paincast.schema import Column


def find_meanings(notes: ColumnNotes, column: Column) -> dict[str, str | None] | None:
    """Find the value of each labelled code.

    Parameters
    ----------
    notes : ColumnNotes
        What the file says about the codes.
    column : Column
        The column of the contract: a category, or true and false.

    Returns
    -------
    dict of str to str, or None
        The value of each code, None for "no value"; None instead of the dict if a label has no such meaning, or the
        codes have no labels.

    Examples
    --------
    >>> from paincast.schema import EPISODES
    >>> find_meanings(ColumnNotes("", {"1": "Female", "2": "Male", "9": "unknown"}), EPISODES["sex"])
    {'1': 'female', '2': 'male', '9': None}
    >>> find_meanings(ColumnNotes("", {"1": "F", "2": "M"}), EPISODES["sex"]) is None
    True
    """
    meanings = {code: _read_label(label, column) for code, label in notes.value_labels.items()}
    is_clear = all(code in find_missing_codes(notes) for code, meaning in meanings.items() if meaning is None)
    return meanings if is_clear and any(meanings.values()) else None


def find_missing_codes(notes: ColumnNotes) -> set[str]:
    """Find the codes whose label is a word for "no value".

    Examples
    --------
    >>> find_missing_codes(ColumnNotes("", {"10": "worst pain", "99": "unknown"}))
    {'99'}
    """
    return {code for code, label in notes.value_labels.items() if is_missing_word(label)}


def _read_label(label: str, column: Column) -> str | None:
    if column.type == "boolean":
        truth = to_booleans(pd.Series([label], dtype="str"))[0].iloc[0]
        return None if pd.isna(truth) else str(bool(truth)).lower()
    plain = "_".join(re.findall(r"\w+", label.casefold()))
    return plain if column.type == "category" and plain in column.categories else None


def spell_out(rows: pd.DataFrame, labels: Mapping[str, ColumnNotes], columns: Mapping[str, Column]) -> pd.DataFrame:
    """Replace the codes of columns of the contract by what their labels mean.

    Codes whose label is a word for "no value" become missing. In a column of categories, or of true and false, the
    other codes are replaced if every label has a meaning. Codes without a label stay, and are checked like any value.
    """
    changed = {}
    for name in labels.keys() & columns.keys() & set(map(str, rows.columns)):
        missing = dict.fromkeys(find_missing_codes(labels[name]))
        meanings = {**(find_meanings(labels[name], columns[name]) or {}), **missing}
        if meanings:
            codes = rows[name].map(lambda value: to_code(str(value)), na_action="ignore")
            changed[name] = rows[name].astype(object).mask(codes.isin(list(meanings)), codes.map(meanings))
    return rows.assign(**changed)
