"""Hold a name against its values: whether they can be what it says, in which unit, and what is in doubt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from paincast.cohort.registry.mapping_types import BIRTH_YEAR, YEAR
from paincast.cohort.registry.suggestion.language.words import Reading
from paincast.cohort.registry.suggestion.names.targets import Target
from paincast.cohort.registry.suggestion.notes import Note
from paincast.cohort.registry.suggestion.values.meanings import find_meanings
from paincast.cohort.registry.suggestion.values.profiles import (
    MOST_CATEGORIES,
    MOST_CODES,
    Profile,
    find_odd_word,
    holds_years,
)
from paincast.cohort.registry.units import unit_factors, unit_offset
from paincast.files.strict_yaml import UNFINISHED
from paincast.schema import Column

FITS = 0.95
"""Share of the values that must lie in the range of the column."""
FEWEST_VALUES = 3
MOST_CHOICES = 8
"""A number with fewer choices is a category ("less than 3 months"), unless its range is as short."""
RAW_SUM_TOP = 45
"""Whole numbers up to here are more likely the raw sum of a short form than T-scores, whose mean is 50."""
PAIN_TOP = 10
"""Highest value of a pain score that is not a percentage."""
MOST_HIDDEN = 0.01
"""Largest share of rows whose codes are too rare to be shown, and which are left to become rejects."""
MOST_KINDS = 30
"""A category with more distinct values is text."""
YOUNGEST_MEDIAN = 12
"""A lower median of age in another unit than years is more likely a wrong unit."""
VERBAL_TOP = 4
"""Whole numbers up to here may be a verbal rating scale (none, mild, moderate, severe, very severe)."""
FEWEST_OF_SCALE = 10
"""So many values of pain tell that higher ones do not occur."""
HEAVIEST_MEDIAN = 120
"""A higher median of body weight is more likely in pounds."""

_TIME_UNITS = frozenset({"years", "months", "weeks", "days"})
_SYNONYMS = {"NRS points": {"%": "0-100"}, "ODI points": {"%": "0-100"}, "WOMAC points": {"%": "0-100"}}
_BETTER = re.compile(
    r"(?:very|much|a great deal|completely|sehr|stark|considerabl)\w*\s.*?(?:improved|better|verbessert|besser)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the values say of a match.

    Parameters
    ----------
    possible : bool
        Whether the values can be those of the column.
    settings : mapping
        Further keys of the field in the mapping: ``unit``, ``codes``, ``reads``.
    doubt : str
        What a person must decide; empty if nothing.
    confirmed : bool
        Whether the values confirm a name that may mean something else.
    why_not : str
        Why it is not possible.
    """

    possible: bool = True
    settings: Mapping[str, object] = field(default_factory=dict)
    doubt: str = ""
    confirmed: bool = False
    why_not: str = ""


def judge(target: Target, profile: Profile, reading: Reading, label: Reading | None, note: Note | None) -> Verdict:
    """Judge a match by the values of the column, and by the choices and range of a dictionary."""
    column = target.column
    if column.type in ("number", "integer"):
        return _judge_number(target, profile, reading, label, note or Note())
    if profile.holds_dates or set(reading.units) & {*_TIME_UNITS, "%", "kg", "cm"}:
        return Verdict(possible=False, why_not="dates or a measure, not " + column.allowed)
    if column.type == "text":
        return Verdict()
    return _judge_codes(column, profile, reading, note or Note())


def _judge_codes(column: Column, profile: Profile, reading: Reading, note: Note) -> Verdict:
    n_kinds = len(profile.counts)
    is_score = reading.is_score or (profile.holds_numbers and n_kinds > 5)
    if column.type == "boolean" and is_score:
        return Verdict(possible=False, why_not="a score, not yes or no")
    if profile.holds_numbers and n_kinds > MOST_KINDS:
        return Verdict(possible=False, why_not="a number, not a category")
    if note.kind in ("number", "integer", "date", "slider") or (note.kind == "calc" and column.type == "boolean"):
        return Verdict(possible=False, why_not="a number or date, not a category")
    if column.name == "sex" and reading.items and set(reading.items) <= {"female", "male"}:
        return _judge_named_sex(profile, reading)
    shown, n_hidden = _codes(profile, note, MOST_CATEGORIES if column.type == "category" else MOST_CODES)
    if column.type == "boolean" and (profile.is_boolean() or profile.is_empty) and not _informs(note, shown):
        return Verdict()
    codes = find_meanings(column, shown, note.choices)
    if (n_hidden and _is_worth_asking(column, profile, shown)) or (not shown and not profile.is_empty):
        codes[UNFINISHED] = UNFINISHED
    return Verdict(settings={"codes": codes} if codes else {}, doubt="codes" if UNFINISHED in codes.values() else "")


def _is_worth_asking(column: Column, profile: Profile, shown: list[str]) -> bool:
    """Check whether codes that are not shown stand in more than a few rows; those of a few rows become rejects."""
    n_hidden_rows = sum(n for code, n in profile.counts.items() if code not in shown)
    return column.required or n_hidden_rows > MOST_HIDDEN * len(profile.given)


def _informs(note: Note, shown: list[str]) -> bool:
    return bool(note.choices) and set(shown) != {"0", "1"}


def _codes(profile: Profile, note: Note, most: int = MOST_CODES) -> tuple[list[str], int]:
    """Give the codes: those of the dictionary, and frequent short ones of the file."""
    shown, n_hidden = profile.codes_to_show(most)
    if not note.choices:
        return shown, n_hidden
    listed = list(note.choices) if profile.is_empty or set(profile.counts) & set(note.choices) else []
    others = [code for code in shown if code not in listed]
    return [*listed, *others], len(set(profile.counts) - {*listed, *others})


def _judge_named_sex(profile: Profile, reading: Reading) -> Verdict:
    """Read a yes/no column that is named for one sex."""
    named, other = ("female", "male") if "female" in reading.items else ("male", "female")
    codes = list(profile.counts) or ["1", "0"]
    meanings = find_meanings(
        Column(name=named, type="boolean", description="", role="predictor", timing="before"), codes, {}
    )
    truths = {"1": "true", "0": "false"}
    meant = {code: truths.get(code, meanings[code]) for code in codes}
    sexes = {code: {"true": named, "false": other}.get(truth, truth) for code, truth in meant.items()}
    return Verdict(settings={"codes": sexes}, doubt="codes" if UNFINISHED in sexes.values() else "")


def _judge_number(target: Target, profile: Profile, reading: Reading, label: Reading | None, note: Note) -> Verdict:
    column = target.column
    if column.name == "procedure_year":
        is_year = profile.is_empty or profile.holds_dates or holds_years(profile)
        return Verdict(settings={} if is_year else {"reads": YEAR, "date_format": UNFINISHED})
    if profile.holds_dates or note.kind in ("date", "datetime", "file", "notes", "yesno", "truefalse"):
        return Verdict(possible=False, why_not="dates or yes/no, not a number")
    if column.name == "pgic":
        return _judge_pgic(profile, note)
    word, others = find_odd_word(profile)
    if word and not note.choices:
        verdict = _judge_number(target, replace(profile, numbers=others), reading, label, note)
        asked = f"remove {UNFINISHED} if this word means that no value was recorded"
        return replace(verdict, settings={**verdict.settings, "missing": [word, UNFINISHED]}, doubt=asked)
    if _are_kinds(column, note) or (not profile.is_empty and not profile.holds_numbers):
        return _judge_kinds(profile, note)
    if column.name == "age_years" and _are_birth_years(profile.numbers):
        return Verdict(settings={"reads": BIRTH_YEAR}, doubt="the values are years of birth")
    if "1" in profile.counts and set(profile.counts) <= {"0", "1"} and (column.high or 2) > 4:
        return Verdict(possible=False, why_not="0 and 1 only")
    values = profile.numbers if profile.holds_numbers else pd.Series([note.low, note.high], dtype="float64").dropna()
    if "lasting" in reading.items and values.max() <= PAIN_TOP:
        return Verdict(settings={"unit": UNFINISHED}, doubt="how long pain has lasted, or pain from 0 to 10")
    return _judge_range(target, values, _declared_units(reading, label), reading, is_range=profile.is_empty)


def _are_birth_years(values: pd.Series) -> bool:
    return not values.empty and float((values.between(1900, 2100) & (values % 1 == 0)).mean()) >= FITS


def _declared_units(reading: Reading, label: Reading | None) -> list[str]:
    """List the units that name and label tell, and "how many months" among them."""
    told = [*reading.units, *(label.units if label else ())]
    spans = [f"{item}s" for item in (label.items if label else ()) if f"{item}s" in _TIME_UNITS]
    return told or spans


def _are_kinds(column: Column, note: Note) -> bool:
    """Check whether a number is recorded in a few classes."""
    span = (column.high or 0) - (column.low or 0)
    return 1 < len(note.choices) < MOST_CHOICES and span > MOST_CHOICES


def _judge_kinds(profile: Profile, note: Note) -> Verdict:
    shown, n_hidden = _codes(profile, note)
    if not shown or n_hidden > len(shown):
        return Verdict(possible=False, why_not="text, not a number")
    codes = dict.fromkeys(shown, UNFINISHED) | ({UNFINISHED: UNFINISHED} if n_hidden else {})
    return Verdict(settings={"codes": codes}, doubt="classes instead of a number: give each a value")


def _judge_range(
    target: Target, values: pd.Series, declared: list[str], reading: Reading, *, is_range: bool
) -> Verdict:
    column = target.column
    factors = unit_factors(column)
    synonyms = _SYNONYMS.get(column.unit or "", {})
    units = [synonyms.get(unit, unit) for unit in declared]
    if "percent" in reading.items and column.unit in _SYNONYMS:
        units.append("0-100")
    named = [unit for unit in units if unit in factors]
    if not named and set(units) & _TIME_UNITS and column.unit not in ("years", "months"):
        return Verdict(possible=False, why_not="a span of time")
    is_fitting = _may_span if is_range else _fits
    fitting = [unit for unit in factors if is_fitting(values * factors[unit] + unit_offset(column, unit), column)]
    if named:
        return _judge_named_unit(values, named[0], fitting)
    if not factors:
        ok = values.empty or is_fitting(values, column)
        return Verdict(possible=ok, why_not="out of range") if not ok else _judge_scale(target, values, {}, is_range)
    if values.empty:
        return _judge_without_values(column)
    return _choose_unit(target, values, fitting, is_range)


def _judge_without_values(column: Column) -> Verdict:
    if column.name == "pain_duration_months":
        return Verdict(settings={"unit": UNFINISHED}, doubt="the unit: months, years, weeks or days")
    return Verdict()


def _judge_named_unit(values: pd.Series, unit: str, fitting: list[str]) -> Verdict:
    if values.empty or unit in fitting:
        return Verdict(settings={"unit": unit}, confirmed=True)
    if fitting:
        others = ", ".join(fitting)
        return Verdict(
            settings={"unit": UNFINISHED}, doubt=f"the name says {unit}, the values do not fit; they fit {others}"
        )
    return Verdict(possible=False, why_not=f"out of range in {unit}")


def _choose_unit(target: Target, values: pd.Series, fitting: list[str], is_range: bool) -> Verdict:
    column = target.column
    if not fitting:
        return Verdict(possible=False, why_not="out of range")
    own = next(unit for unit, factor in unit_factors(column).items() if factor == 1.0)
    if column.name == "pain_duration_months":
        return Verdict(settings={"unit": UNFINISHED}, doubt="the unit: months, years, weeks or days")
    if column.name == "age_years" and own not in fitting:
        fitting = [unit for unit in fitting if values.median() * unit_factors(column)[unit] >= YOUNGEST_MEDIAN]
        asked = "the unit: years, months or days"
        return Verdict(settings={"unit": fitting[0] if len(fitting) == 1 else UNFINISHED}, doubt=asked)
    if column.name == "weight_kg" and values.median() > HEAVIEST_MEDIAN:
        return Verdict(settings={"unit": UNFINISHED}, doubt="the unit: kg or pounds")
    if "0-1" in fitting and values.max() <= 1 and bool((values % 1 != 0).any()):
        return Verdict(settings={"unit": UNFINISHED}, doubt="0-1, as no value is above 1, or " + own)
    if column.unit == "NRS points":
        return _choose_pain_unit(values, is_range)
    if own in fitting:
        return _judge_scale(target, values, {}, is_range)
    if len({unit_factors(column)[unit] for unit in fitting}) == 1:
        return Verdict(settings={"unit": fitting[0]})
    return Verdict(settings={"unit": UNFINISHED}, doubt="the unit: " + ", ".join(fitting))


def _choose_pain_unit(values: pd.Series, is_range: bool) -> Verdict:
    is_verbal = len(values) >= FEWEST_OF_SCALE and values.max() <= VERBAL_TOP and bool((values % 1 == 0).all())
    if is_verbal and values.max() > 1 and not is_range:
        asked = "0-10, or a verbal rating scale, which cannot be read as such: no value is above 4"
        return Verdict(settings={"unit": UNFINISHED}, doubt=asked)
    if values.max() <= 10:
        return Verdict()
    if (values > 10).mean() > 0.2 or is_range:
        return Verdict(settings={"unit": "0-100"})
    return Verdict(settings={"unit": UNFINISHED}, doubt="0-10 with some larger values, or 0-100")


def _judge_scale(target: Target, values: pd.Series, settings: Mapping[str, object], is_range: bool) -> Verdict:
    """Find other scales of the same name that fit: a raw sum of 0-50 looks like a percentage of at most 50."""
    if _confirms(target, values):
        return Verdict(settings=settings, confirmed=True)
    is_whole = bool((values % 1 == 0).all()) and len(values) > 0
    if target.is_t_score and is_whole and values.max() <= RAW_SUM_TOP:
        return Verdict(
            settings={"unit": UNFINISHED}, doubt="T-score if these are T-scores; raw sums cannot be read as such"
        )
    smaller = [scale for scale in target.scales if is_whole and 1 < values.max() <= float(scale.split("-")[1])]
    if not smaller or (len(values) < FEWEST_VALUES and not is_range):
        return Verdict(settings=settings)
    low, high = target.column.low or 0, target.column.high or 0
    others = ", or ".join(f"{scale} ({target.scales[scale]})" for scale in smaller)
    return Verdict(
        settings={"unit": UNFINISHED},
        doubt=f"{low:g}-{high:g}, or {others}: no value is above {smaller[0].split('-')[1]}",
    )


def _confirms(target: Target, values: pd.Series) -> bool:
    rule = target.confirmed
    if not rule or len(values) < FEWEST_VALUES:
        return False
    is_whole = rule.get("whole") != "true" or bool((values % 1 == 0).all())
    return is_whole and values.max() > float(rule["above"]) and values.min() < float(rule["below"])


def _fits(values: pd.Series, column: Column) -> bool:
    if values.empty:
        return True
    low, high = column.low, column.high
    inside = (values >= (low if low is not None else values.min())) & (
        values <= (high if high is not None else values.max())
    )
    return float(inside.mean()) >= FITS


def _may_span(bounds: pd.Series, column: Column) -> bool:
    """Check whether a range that data entry allows may be that of a column: it need not be as narrow."""
    if bounds.empty or column.high is None:
        return True
    return bool(bounds.max() > (column.low or 0) and bounds.min() < column.high and bounds.max() <= 1.5 * column.high)


def _judge_pgic(profile: Profile, note: Note) -> Verdict:
    """Read the impression of change, whose direction and lowest code differ between sources."""
    values = profile.numbers
    keys = [int(code) for code in note.choices if re.fullmatch(r"\d+", code)] or (
        [1, 7] if values.empty else list(values)
    )
    best = [int(code) for code, label in note.choices.items() if code.isdigit() and _BETTER.search(label)]
    low, high = min(keys), max(keys)
    if high > 7 or (not profile.is_empty and not profile.holds_numbers):
        return Verdict(possible=False, why_not="not seven steps")
    if best and (low, high) == (0, 6) and max(best) <= 3:
        return Verdict(settings={"unit": "0-6"})
    if best and (low, high) == (1, 7):
        return Verdict(settings={"unit": "1-7" if max(best) < 4 else "7-1"})
    asked = "1-7 if 1 is very much improved, 7-1 if 7 is, 0-6 if 0 is"
    return Verdict(settings={"unit": UNFINISHED}, doubt=asked)
