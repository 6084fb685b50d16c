"""Read long tables batch by batch; only rows that a mapping names are kept in memory."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from paincast.cohort import dates
from paincast.cohort.coercion import to_codes
from paincast.cohort.long.types import LongRows, LongTable, join_long_rows
from paincast.cohort.rejects import BrokenRule, any_broken, join_rejects, make_rejects

COMPARATOR = "comparator"
"""The ``rule`` for a value that is only a bound, such as less than 5."""


def read_long_rows(batches: Iterable[pd.DataFrame], table: LongTable, names: frozenset[str]) -> LongRows:
    """Read the rows of a long table that have one of the names.

    Parameters
    ----------
    batches : iterable of DataFrame of str
        The columns of the table, empty where there is no value, indexed by position.
    table : LongTable
        What the columns are called.
    names : frozenset of str
        Names to read, in the form of :func:`paincast.cohort.coercion.to_code`.

    Returns
    -------
    LongRows
        Rows without a value are counted and left out; rows without person or date, with a broken date, or whose value
        is only a bound are rejected.
    """
    parts, rejects = [], []
    n_rows = n_other = n_empty = 0
    for placed in batches:
        batch = placed.reset_index(names="place")
        codes = to_codes(batch[table.name])
        named = batch[codes.isin(names)]
        rows = _normalize(named, table, codes[named.index])
        n_rows, n_other = n_rows + len(batch), n_other + len(batch) - len(named)
        has_value = rows["value"] != ""
        n_empty += int((~has_value).sum())
        rows, named = rows[has_value], named[has_value]
        findings = _find_broken(named, rows, table)
        rejects.append(make_rejects(table.file, findings, rows["place"]))
        parts.append(rows[~any_broken(findings, "row left out", len(rows))])
    return LongRows(join_long_rows(parts), join_rejects(rejects), n_rows, n_other, n_empty)


def _normalize(batch: pd.DataFrame, table: LongTable, codes: pd.Series) -> pd.DataFrame:
    value = pd.Series("", index=batch.index, dtype="str")
    for column in table.value:
        value = value.where(value != "", _present(batch, column, table))
    days, _ = dates.read_days(batch[table.at].where(batch[table.at] != ""), table.date_format)
    return pd.DataFrame(
        {
            "table": table.file,
            "file": table.file,
            "place": batch["place"],
            "person": to_codes(batch[table.person]),
            "name": codes,
            "value": value,
            "unit": _present(batch, table.unit, table) if table.unit else "",
            "day": days,
        },
        index=batch.index,
    )


def _present(batch: pd.DataFrame, column: str, table: LongTable) -> pd.Series:
    codes = to_codes(batch[column])
    return codes.mask(codes.isin(table.absent.get(column, frozenset())), "")


def _find_broken(batch: pd.DataFrame, rows: pd.DataFrame, table: LongTable) -> list[BrokenRule]:
    text = batch[table.at].where(batch[table.at] != "")
    _, broken_dates = dates.read_days(text, table.date_format)
    without_day = rows["day"].isna() & ~pd.DataFrame(broken_dates).any(axis="columns")
    broken = [
        (table.person, "required", rows["person"] == "", "a person"),
        (table.at, "required", without_day, "a date"),
    ]
    broken += [
        (table.at, rule, found, dates.explain_rule(rule, table.date_format)) for rule, found in broken_dates.items()
    ]
    if table.comparator:
        is_bound = _present(batch, table.comparator, table) != ""
        broken.append((table.comparator, COMPARATOR, is_bound, "a value, not a bound"))
    return [
        BrokenRule(broken=found, column=column, rule=rule, allowed=allowed, action="row left out")
        for column, rule, found, allowed in broken
    ]
