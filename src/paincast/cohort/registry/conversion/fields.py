"""Apply the fields of a mapping to rows of text; codes that they do not list are reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from paincast.cohort import dates
from paincast.cohort.coercion import to_booleans, to_listed, to_numbers
from paincast.cohort.doubts import find_shares
from paincast.cohort.registry.conversion.redcap import combine_boxes, find_stem
from paincast.cohort.registry.conversion.rows import SourceRows, apply_condition, contains_words, read_text
from paincast.cohort.registry.mapping_types import (
    BIRTH_YEAR,
    CHANGE,
    DATE_READINGS,
    MONTHS_BEFORE,
    PERCENT,
    SINCE,
    YEAR,
    YEARS_BEFORE,
    ConditionalCode,
    Field,
)
from paincast.cohort.registry.units import DAYS_PER_YEAR, unit_codes
from paincast.cohort.rejects import SEVERAL_VALUES, Action, BrokenRule

OLDEST_PATIENT, LONGEST_PAIN = 105, 80
"""Earliest date of birth or of pain onset, in years before the procedure, for two-digit years."""

_DAYS_PER_MONTH = DAYS_PER_YEAR / 12


def apply_field(field: Field, rows: SourceRows) -> tuple[pd.Series, list[BrokenRule]]:
    """Read one column of the contract.

    Returns
    -------
    values : Series
        Text or numbers in the contract's units and codes; missing where there is no value.
    findings : list of BrokenRule
        Cells that the mapping cannot turn into a value.
    """
    if field.always is not None:
        return pd.Series(field.always, index=rows.index, dtype="str"), []
    if field.row_number:
        return field.prefix + (rows.index.to_series() - rows.before.get(rows.main, 0)).astype("str"), []
    if field.columns:
        return field.prefix + _join_texts(field, rows), []
    if field.checked:
        return _apply_boxes(field, rows)
    if field.count_true:
        return _count_true(field, rows)
    text, several = read_text(field, str(field.column), rows)
    findings = _found(field, {SEVERAL_VALUES: several}, "one value for each row, or values that agree")
    values, broken = _apply_text(field, text, rows)
    return values, findings + broken


def _apply_text(field: Field, text: pd.Series, rows: SourceRows) -> tuple[pd.Series, list[BrokenRule]]:
    if field.codes is not None:
        return _apply_codes(field, text, rows)
    if field.true_if_contains:
        return contains_words(text, field.true_if_contains).astype("str").where(text.notna()), []
    if field.reads in DATE_READINGS:
        return _apply_date(field, text, rows)
    if field.target.type in ("number", "integer"):
        return _apply_number(field, text, rows)
    return field.prefix + text, []


def read_procedure_days(field: Field, rows: SourceRows) -> tuple[pd.Series, list[BrokenRule]]:
    """Read the days of the procedures, and find the cells that contain no date."""
    text, several = read_text(field, str(field.column), rows)
    days, broken = dates.read_days(text, field.date_format)
    broken[SEVERAL_VALUES] = several
    return days, _find_no_dates(field, broken, column=str(field.column), action="cell emptied")


def _join_texts(field: Field, rows: SourceRows) -> pd.Series:
    """Join the texts of several columns into an id; the id is missing if any part is missing."""
    parts = [read_text(field, column, rows)[0] for column in field.columns]
    joined, *others = [part.str.replace("%", "%25").str.replace("|", "%7C", regex=False) for part in parts]
    for part in others:
        joined = joined + "|" + part
    return joined


def _apply_codes(field: Field, text: pd.Series, rows: SourceRows) -> tuple[pd.Series, list[BrokenRule]]:
    meanings = field.codes or {}
    code = to_listed(text, meanings)
    unlisted = text.notna() & ~code.isin(list(meanings))
    values = code.map({code: meaning for code, meaning in meanings.items() if meaning is not None}).astype("str")
    findings = _found(field, {"category": unlisted}, "a code that the mapping lists: " + ", ".join(meanings))
    for conditional, candidates in field.conditional_codes.items():
        values, ambiguous = _choose_meaning(values, code == conditional, candidates, rows)
        allowed = f"the code {conditional} in rows where one condition of the mapping tells its meaning"
        findings += _found(field, {"ambiguous code": ambiguous}, allowed)
    return values, findings


def _choose_meaning(
    values: pd.Series, has_code: pd.Series, candidates: Sequence[ConditionalCode], rows: SourceRows
) -> tuple[pd.Series, pd.Series]:
    """Choose the meaning whose condition holds; rows in which none does, or several differ, are ambiguous."""
    chosen = pd.DataFrame(
        {
            i: pd.Series(candidate.meaning, index=values.index, dtype="str").where(
                apply_condition(candidate.where, rows)[0]
            )
            for i, candidate in enumerate(candidates)
        }
    )
    is_clear = chosen.nunique(axis="columns") == 1
    meaning = chosen.bfill(axis="columns").iloc[:, 0]
    return values.mask(has_code & is_clear, meaning), has_code & ~is_clear


def _apply_boxes(field: Field, rows: SourceRows) -> tuple[pd.Series, list[BrokenRule]]:
    whole = rows.frames[rows.main] if field.of is None or rows.whole is None else rows.whole
    stems = {find_stem(box) for box in field.checked} - {None}
    boxes = [name for name in map(str, whole) if find_stem(name) in stems or name in (*field.checked, field.none_box)]
    texts = {name: read_text(field, name, rows)[0] for name in boxes}
    values, broken = combine_boxes(texts, field.checked, field.none_box, field.nothing_checked)
    findings = [_found(field, {rule: found}, allowed) for rule, (found, allowed) in broken.items()]
    return values, [finding for part in findings for finding in part]


def _count_true(field: Field, rows: SourceRows) -> tuple[pd.Series, list[BrokenRule]]:
    """Count the columns that are true; a row in which some are empty has no count."""
    readings = [to_booleans(read_text(field, column, rows)[0]) for column in field.count_true]
    values = pd.concat([booleans for booleans, _ in readings], axis="columns")
    unread = pd.concat([failed for _, failed in readings], axis="columns").any(axis="columns")
    n_empty = values.isna().sum(axis="columns")
    partial = ~unread & (n_empty > 0) & (n_empty < len(readings))
    counts = values.fillna(False).sum(axis="columns").astype("float64").mask(unread | (n_empty > 0))
    findings = _found(field, {"category": unread}, "true or false (yes/no, 1/0) in every column that is counted")
    return counts, findings + _found(
        field, {"incomplete": partial}, "a value in every column that is counted, or in none"
    )


def _round(numbers: pd.Series) -> pd.Series:
    """Round to what units leave of a number; numbers near the largest become infinite, and are out of any range."""
    with np.errstate(over="ignore"):
        return numbers.round(9)


def _apply_number(field: Field, text: pd.Series, rows: SourceRows) -> tuple[pd.Series, list[BrokenRule]]:
    percent = _may_hold_percent(field)
    numbers, failed = to_numbers(text, decimal=rows.decimal, percent=percent, strict=rows.strict, reading=rows.reading)
    allowed = "a number in the unit and with the decimal mark that the mapping declares"
    findings = _found(field, {"not a number": failed}, allowed)
    factors, unknown = _read_factors(field, rows)
    findings += _found(field, {"unit": numbers.notna() & unknown}, "a unit that the mapping lists for the column")
    if field.named or field.units is not None or field.factor != 1.0:
        numbers = _round(numbers * factors)
    if field.reads == BIRTH_YEAR:
        return _subtract_from_procedure_year(field, numbers, rows, findings)
    if field.reads not in (CHANGE, PERCENT):
        return numbers + field.offset, findings
    before = _baseline(field, rows)
    findings += _found(
        field, {"no baseline": numbers.notna() & before.isna()}, "a value before the procedure to start from"
    )
    if field.reads == CHANGE:
        return _round(before + numbers), findings
    shares = find_shares(numbers)
    findings += _found(field, {"unit": shares}, "a percentage, such as 50 for half; shares need 'unit: 0-1'")
    numbers = numbers.mask(shares)
    return _round(before * (1 - numbers / 100)), findings


def _read_factors(field: Field, rows: SourceRows) -> tuple[pd.Series, pd.Series]:
    """Read the factor of each row into the contract's unit, and flag rows whose unit is not listed."""
    if field.named:
        return _read_named_factors(field, rows.named[field.target.name])
    if field.units is None:
        return pd.Series(field.factor, index=rows.index), pd.Series(False, index=rows.index)
    unit = read_text(replace(field, codes=dict.fromkeys(field.units)), str(field.unit_column), rows)[0]
    factors = to_listed(unit, field.units).map(field.units).astype("float64")
    return factors, factors.isna()


def _read_named_factors(field: Field, named: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Read the factor of each row of a long table; if no row has a unit, values are in the contract's."""
    units = field.units
    if units is None:
        target = replace(field.target, unit="%") if field.reads == PERCENT else field.target
        units = unit_codes(target) | ({} if named["has_units"].any() else {"": 1.0})
    factors = to_listed(named["unit"], units).map(units).astype("float64")
    return factors, factors.isna()


def _subtract_from_procedure_year(
    field: Field, years: pd.Series, rows: SourceRows, findings: list[BrokenRule]
) -> tuple[pd.Series, list[BrokenRule]]:
    """Compute an age from the year of birth; it is at most one year too high."""
    procedure = rows.procedure_date
    procedure_years = years * np.nan if procedure is None else procedure.dt.year.astype("float64")
    undated = _found(
        field, {"no procedure date": years.notna() & procedure_years.isna()}, "a date of the procedure to count from"
    )
    return procedure_years - years, findings + undated


def _may_hold_percent(field: Field) -> bool:
    return (field.reads == PERCENT or field.target.unit == "%") and field.factor == 1.0


def _baseline(field: Field, rows: SourceRows) -> pd.Series:
    if rows.baseline is None or field.target.name not in rows.baseline:
        return pd.Series(np.nan, index=rows.index)
    before, target = rows.baseline[field.target.name], field.target
    low = -np.inf if target.low is None else target.low
    high = np.inf if target.high is None else target.high
    return before.where(before.between(low, high))


def _apply_date(field: Field, text: pd.Series, rows: SourceRows) -> tuple[pd.Series, list[BrokenRule]]:
    action = _action(field)
    if field.reads == YEAR:
        years, broken = dates.read_years(text, field.date_format)
        return years, _find_no_dates(field, broken, column=field.target.name, action=action)
    procedure = rows.procedure_date
    if procedure is None:
        procedure = pd.Series(pd.NaT, index=rows.index, dtype="datetime64[s]")
    days, broken = dates.read_days(text, field.date_format, **_bounds_of_century(field, procedure))
    findings = _find_no_dates(field, broken, column=field.target.name, action=action)
    undated = days.notna() & procedure.isna()
    findings += _found(field, {"no procedure date": undated}, "a date of the procedure to count from")
    since = (days - procedure).dt.days.astype("float64")
    in_unit = {
        SINCE: since / _DAYS_PER_MONTH,
        MONTHS_BEFORE: -since / _DAYS_PER_MONTH,
        YEARS_BEFORE: -since / DAYS_PER_YEAR,
    }
    return in_unit[field.reads].round(9) + 0.0, findings


def _bounds_of_century(field: Field, procedure: pd.Series) -> dict[str, pd.Series]:
    """Bound two-digit years: birth and onset precede the procedure by a limited number of years."""
    if field.reads == SINCE:
        return {}
    latest = procedure.fillna(pd.Timestamp.now().normalize())
    years = OLDEST_PATIENT if field.reads == YEARS_BEFORE else LONGEST_PAIN
    return {"earliest": latest - pd.Timedelta(days=years * DAYS_PER_YEAR), "latest": latest}


def _find_no_dates(field: Field, broken: Mapping[str, pd.Series], *, column: str, action: Action) -> list[BrokenRule]:
    return [
        BrokenRule(
            broken=rows,
            column=column,
            rule=rule,
            allowed="one value" if rule == SEVERAL_VALUES else dates.explain_rule(rule, field.date_format),
            action=action,
        )
        for rule, rows in broken.items()
        if rows.any()
    ]


def _action(field: Field) -> Action:
    return "row left out" if field.target.required else "cell emptied"


def _found(field: Field, broken: Mapping[str, pd.Series], allowed: str) -> list[BrokenRule]:
    return [
        BrokenRule(broken=rows, column=field.target.name, rule=rule, allowed=allowed, action=_action(field))
        for rule, rows in broken.items()
        if rows.any()
    ]
