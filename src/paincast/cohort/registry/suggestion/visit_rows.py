"""Files with a row for each visit: which column tells the visit, which rows are the baseline, and the month of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from paincast.cohort.registry.suggestion.language.timepoints import TimePoint
from paincast.cohort.registry.suggestion.language.words import Reading, read_words
from paincast.cohort.registry.suggestion.notes import Note
from paincast.cohort.registry.suggestion.values.profiles import LONGEST_CODE, Profile
from paincast.files.strict_yaml import UNFINISHED

MOST_VISITS = 30
_FRENCH_DAY = re.compile(r"J\d+", re.IGNORECASE)
_FRENCH_WEEK = re.compile(r"^S(\d+)$", re.IGNORECASE)
"""S6 is week 6 (semaine) where J0 is day 0 (jour)."""


@dataclass(frozen=True, kw_only=True)
class VisitRows:
    """How rows become visits.

    Parameters
    ----------
    column : str
        Column that tells the visit.
    before, during, after : tuple of str
        Its codes before, at and after the procedure.
    months : mapping of str to str
        Month of each code after the procedure; ``TODO`` where its words do not tell it.
    is_month : bool
        Whether the column itself holds months.
    doubt : str
        What a person must decide.
    """

    column: str
    before: tuple[str, ...] = ()
    during: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    months: Mapping[str, str] = field(default_factory=dict)
    is_month: bool = False
    doubt: str = ""


def find_visit_rows(
    patient: str,
    rows: pd.DataFrame,
    readings: Mapping[str, Reading],
    profiles: Mapping[str, Profile],
    notes: Mapping[str, Note],
) -> VisitRows | None:
    """Find the column that tells the visits of a patient who stands in several rows."""
    if patient not in rows or not profiles[patient].repeats():
        return None
    candidates = [name for name in readings if name != patient and _may_tell_visits(readings[name], profiles[name])]
    found = [
        visits for name in candidates if (visits := _read_visits(name, readings[name], profiles[name], notes.get(name)))
    ]
    told = [visits for visits in found if _is_told_apart(visits.column, patient, rows)]
    return min(told, key=lambda visits: bool(visits.doubt), default=None)


def find_unsure_visit_rows(
    maybe: Sequence[str],
    rows: pd.DataFrame,
    readings: Mapping[str, Reading],
    profiles: Mapping[str, Profile],
    notes: Mapping[str, Note],
) -> VisitRows | None:
    """Find the column that tells visits where the patient's id is not known; a person decides."""
    found = [visits for patient in maybe if (visits := find_visit_rows(patient, rows, readings, profiles, notes))]
    if not found:
        candidates = [name for name in readings if _may_tell_visits(readings[name], profiles[name])]
        read = [_read_visits(name, readings[name], profiles[name], notes.get(name)) for name in candidates]
        found = [visits for visits in read if visits and not visits.doubt and len(visits.after) < len(rows) / 2]
    return replace(found[0], doubt=found[0].doubt or "which column is the patient's id") if found else None


def _may_tell_visits(reading: Reading, profile: Profile) -> bool:
    items = set(reading.items)
    is_visit = bool(items & {"visit", "month"}) and items <= {"visit", "month", "category", "number", "id", "procedure"}
    is_span = not items and reading.time is not None and bool(reading.units)
    return (is_visit or is_span) and not profile.holds_dates and 1 < len(profile.counts) <= MOST_VISITS


def _is_told_apart(column: str, patient: str, rows: pd.DataFrame) -> bool:
    """Check that a patient mostly has different visits in different rows."""
    return float(rows.duplicated([patient, column]).mean()) < 0.5


def _read_visits(name: str, reading: Reading, profile: Profile, note: Note | None) -> VisitRows | None:
    codes = list(profile.counts)
    if profile.holds_numbers and profile.is_whole and (_tells_months(reading) or not (note and note.choices)):
        return _read_numbers(name, reading, codes)
    labels = note.choices if note else {}
    is_french = any(_FRENCH_DAY.fullmatch(code) for code in codes)
    texts = {code: _FRENCH_WEEK.sub(r"W\1", code) if is_french else code for code in codes}
    times = {code: _time_of(labels.get(code, texts[code])) for code in codes}
    before = tuple(code for code, time in times.items() if time and time.phase == "before")
    during = tuple(code for code, time in times.items() if time and time.phase == "during")
    after = tuple(code for code, time in times.items() if time and time.phase == "after")
    if not (before or during) or not after:
        return None
    months = {code: _month(times[code]) for code in after}
    open_codes = [code for code in codes if code not in {*before, *during, *after}]
    doubt = "codes that tell no time" if open_codes else ""
    return VisitRows(column=name, before=before, during=during, after=after, months=months, doubt=doubt)


def _read_numbers(name: str, reading: Reading, codes: list[str]) -> VisitRows | None:
    """Read whole numbers; a few other values may stand among them, and become rejects."""
    ordered = sorted((code for code in codes if re.fullmatch("-?[0-9]{1,6}", code)), key=int)
    if len(ordered) < 2:
        return None
    if _tells_months(reading) and ordered[0] == "0":
        return VisitRows(
            column=name,
            before=("0",),
            after=tuple(ordered[1:]),
            months={code: code for code in ordered[1:]},
            is_month=True,
        )
    months = dict.fromkeys(ordered[1:], UNFINISHED)
    first = ordered[0]
    doubt = f"whether '{first}' is the visit before the procedure, and the months of the others"
    return VisitRows(column=name, before=(first,), after=tuple(ordered[1:]), months=months, doubt=doubt)


def _tells_months(reading: Reading) -> bool:
    return "month" in reading.items or "months" in reading.units


def _time_of(text: str) -> TimePoint | None:
    """Read the code of a visit: words of time and a number alone, so that it tells nothing of a patient."""
    reading = read_words(text)
    if reading.unknown or len(text) > LONGEST_CODE:
        return None
    if reading.time is not None and reading.time.months is None and reading.time.ordinal is None and reading.numbers:
        return None
    if reading.time is None and set(reading.items) & {"procedure"} and not reading.unknown:
        return TimePoint("during")
    return reading.time


def _month(time: TimePoint | None) -> str:
    return f"{time.months:.4g}" if time is not None and time.months is not None else UNFINISHED
