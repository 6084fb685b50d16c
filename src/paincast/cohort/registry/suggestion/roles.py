"""What else a column may be: an id, a date, a name of a person, an outcome that is already computed, an item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from paincast.cohort.registry.conversion.redcap import find_stem
from paincast.cohort.registry.suggestion.language.timepoints import TimePoint
from paincast.cohort.registry.suggestion.language.words import Reading, read_words
from paincast.cohort.registry.suggestion.notes import Note
from paincast.cohort.registry.suggestion.values.profiles import Profile

IDENTIFYING = frozenset({"name", "address", "postcode", "phone", "email", "national_id", "mrn"})
COMPUTED = frozenset({"change", "improvement", "responder", "success", "predicted", "relief"})
"""Concepts of outcomes that someone has already computed: as predictors they would give the answer away."""
IDENTIFIES = "identifies persons"
"""Why a column of names, addresses or numbers of persons is not read."""
MOST_FOLLOW_UPS = 6
USUAL_MONTHS = frozenset({1, 2, 3, 6, 9, 12, 18, 24, 36, 48, 60})
"""Numbers that usually are months of follow-ups."""
FEWEST_ITEMS = 3
"""So many columns that differ in a number only are the items of a questionnaire."""
HAPPENED = frozenset({"complication", "reoperation", "death", "bleeding"})
"""Concepts of what may happen after a procedure."""
FIRST_VISIT = TimePoint("before", 0.0, 1)
FEWEST_REGIONS = 15
"""So many yes/no columns that differ in a number only may be the regions of a body map."""

DateRole = Literal["procedure", "birth", "visit", "onset"]


@dataclass(frozen=True)
class Dates:
    """The columns that hold the date of the procedure, of birth, of a visit and of the onset of pain."""

    procedure: str = ""
    birth: str = ""
    visit: str = ""
    onset: str = ""


def explain_role(reading: Reading, note: Note | None) -> str:
    """Say why a column is not read at all; empty if nothing speaks against it.

    Examples
    --------
    >>> from paincast.cohort.registry.suggestion.language.words import read_words
    >>> explain_role(read_words("patient_name"), None)
    'identifies persons'
    >>> explain_role(read_words("delta_nrs"), None)
    'an outcome that is already computed: as a predictor it would give the answer away'
    """
    items = set(reading.items)
    if (note and note.identifies and "birth" not in items) or is_identifying(reading):
        return IDENTIFIES
    if "free_text" in items:
        return "free text"
    if items & HAPPENED and not reading.instruments:
        return "happens after the procedure: see 'events' of a mapping"
    if items & COMPUTED and not items & {"pgic", "test_block", "stimulation_trial", "patient_id"}:
        return "an outcome that is already computed: as a predictor it would give the answer away"
    if reading.time is not None and reading.time.phase == "during":
        return "known only during the procedure or shortly after it"
    return ""


def is_identifying(reading: Reading) -> bool:
    """Check whether a name speaks of the name, address or number of a person."""
    items = {item for item in reading.items if item not in ("patient", "number", "id", "partner")}
    return bool(items & IDENTIFYING) and items <= IDENTIFYING


def drop_question_numbers(readings: Mapping[str, Reading], notes: Mapping[str, Note]) -> dict[str, Reading]:
    """Read names such as ``V12`` as numbers of questions, not of visits, where a label tells what they are."""
    return {
        name: replace(reading, time=None)
        if not reading.items
        and reading.time is not None
        and reading.time.ordinal
        and name in notes
        and notes[name].label
        else reading
        for name, reading in readings.items()
    }


def read_numbered_follow_ups(readings: Mapping[str, Reading]) -> dict[str, Reading]:
    """Read numbers at the end of names as follow-ups: ``nrs_0``, ``nrs_3`` and ``nrs_12``, but not items 1 to 12.

    Returns
    -------
    dict of str to Reading
        All readings; 0 is the time before the procedure, and the time of the others is not told.
    """
    families: dict[tuple[str, ...], dict[int, str]] = {}
    for name, reading in readings.items():
        if len(reading.numbers) == 1 and reading.time is None and reading.items:
            families.setdefault(reading.items, {})[int(reading.numbers[0])] = name
    numbered = {name: n for family in families.values() if _are_follow_ups(set(family)) for n, name in family.items()}
    return {
        name: replace(reading, numbers=(), time=_follow_up(numbered[name])) if name in numbered else reading
        for name, reading in readings.items()
    }


def ask_first_visit(readings: Mapping[str, Reading]) -> dict[str, Reading]:
    """Read visit 1 as the time before the procedure where no name speaks of a baseline; a person decides.

    Returns
    -------
    dict of str to Reading
        All readings; see :func:`is_asked`.
    """
    times = {reading.time for reading in readings.values() if reading.time is not None}
    ordinals = {time.ordinal for time in times if time.ordinal is not None}
    if any(time.phase == "before" for time in times) or len(ordinals) < 2 or min(ordinals) != 1:
        return dict(readings)
    return {
        name: replace(reading, time=FIRST_VISIT) if reading.time is not None and reading.time.ordinal == 1 else reading
        for name, reading in readings.items()
    }


def ask_recall(readings: Mapping[str, Reading]) -> dict[str, Reading]:
    """Read the only time of a file as the span that a questionnaire looks back on: ``pain_7d`` beside no other pain.

    Returns
    -------
    dict of str to Reading
        All readings; in a file of visits without that time, else such that a person decides.
    """
    times = {reading.time for reading in readings.values() if reading.time is not None}
    untimed = {frozenset(reading.items) for reading in readings.values() if reading.time is None}
    if len(times) != 1 or not all(0 < (time.months or 0) < 1 for time in times):
        return dict(readings)
    has_visits = any("visit" in reading.items for reading in readings.values())
    return {
        name: replace(reading, time=None if has_visits else FIRST_VISIT)
        if reading.time is not None and frozenset(reading.items) not in untimed
        else reading
        for name, reading in readings.items()
    }


def is_asked(time: TimePoint | None) -> bool:
    """Check whether a time before the procedure is only that of a first visit."""
    return time is not None and time.phase == "before" and time.ordinal == 1


def _are_follow_ups(numbers: set[int]) -> bool:
    is_row_of_items = len(numbers) > 1 and numbers == set(range(min(numbers), max(numbers) + 1))
    return 1 < len(numbers) <= MOST_FOLLOW_UPS and (0 in numbers or (numbers <= USUAL_MONTHS and not is_row_of_items))


def _follow_up(number: int) -> TimePoint:
    return TimePoint("after" if number else "before", None if number else 0.0, number)


def _is_number_of_question(reading: Reading) -> bool:
    """Check for a name that says nothing but the number of a question, such as ``q12``: then its label tells."""
    return not reading.known - {"item"}


def find_items(readings: Mapping[str, Reading], notes: Mapping[str, Note]) -> frozenset[str]:
    """Find columns that are items of a questionnaire: several that differ in a number only, and the items of EQ-5D."""
    told = {
        name: _read_label(notes[name])
        for name, reading in readings.items()
        if name in notes and notes[name].label and (_is_number_of_question(reading) or find_stem(name) is not None)
    }
    families = Counter(_family(reading) for reading in readings.values() if reading.numbers)
    has_eq5d = sum("eq5d_item" in reading.items for reading in readings.values()) > 1
    return frozenset(
        name
        for name, reading in readings.items()
        if "item" in told.get(name, reading).items
        or (name not in told and reading.numbers and families[_family(reading)] >= FEWEST_ITEMS)
        or (has_eq5d and reading.time is not None and set(reading.items) in ({"anxiety"}, {"anxiety", "depression"}))
    )


def _family(reading: Reading) -> tuple[tuple[str, ...], str]:
    return reading.items, str(reading.time)


def find_regions(
    readings: Mapping[str, Reading], profiles: Mapping[str, Profile], notes: Mapping[str, Note]
) -> tuple[list[str], bool]:
    """Find the yes/no columns of a body map.

    Returns
    -------
    regions : list of str
        Many yes/no columns that name a region of the body, or that differ in a number only; empty if there are none.
    is_named : bool
        Whether names or labels speak of regions; otherwise a person must tell what the columns are.
    """
    binary = [name for name in readings if _is_binary(profiles[name])]
    named = [name for name in binary if "region" in {*readings[name].items, *_read_label(notes.get(name)).items}]
    if len(named) >= FEWEST_REGIONS:
        return named, True
    numbered = [name for name in binary if readings[name].numbers and not readings[name].known]
    families = Counter(readings[name].items for name in numbered)
    items, n = families.most_common(1)[0] if families else ((), 0)
    return ([name for name in numbered if readings[name].items == items], False) if n >= FEWEST_REGIONS else ([], False)


def _read_label(note: Note | None) -> Reading:
    return read_words(note.label, is_sentence=True) if note is not None else Reading()


def _is_binary(profile: Profile) -> bool:
    return profile.holds_numbers and set(profile.counts) <= {"0", "1"}


def find_dates(readings: Mapping[str, Reading], profiles: Mapping[str, Profile], notes: Mapping[str, Note]) -> Dates:
    """Find the columns of dates by name, label and values."""
    found: dict[DateRole, list[str]] = {"procedure": [], "birth": [], "visit": [], "onset": []}
    for name, reading in readings.items():
        label = _read_label(notes.get(name))
        role = _date_role(label if _is_number_of_question(reading) else reading, profiles[name], notes.get(name))
        if role:
            found[role].append(name)
    return Dates(**{role: _best(names, readings) for role, names in found.items()})


def _best(names: Sequence[str], readings: Mapping[str, Reading]) -> str:
    """Choose the date with the plainest name; two equally plain ones leave it open."""
    ordered = sorted(names, key=lambda name: len(readings[name].items))
    plainest = [name for name in ordered if len(readings[name].items) == len(readings[ordered[0]].items)]
    return plainest[0] if len(plainest) == 1 else ""


def _date_role(reading: Reading, profile: Profile, note: Note | None) -> DateRole | None:
    items = set(reading.items)
    is_date = profile.holds_dates or (
        profile.is_empty and (note is None or note.kind in ("", "text", "date", "datetime"))
    )
    if not is_date or reading.unknown or reading.instruments:
        return None
    if "birth" in items and items <= {"birth", "date", "patient"}:
        return "birth"
    if "date" not in items and not profile.holds_dates:
        return None
    if "procedure" in items and items <= {"procedure", "date", "treatment_arm", "visit"}:
        return "procedure"
    if "onset" in items and items <= {"onset", "date", "pain", "symptom"}:
        return "onset"
    is_visit = (
        (reading.time is None or reading.time.phase != "before")
        and items <= {"visit", "date", "consent"}
        and items & {"visit", "date"}
    )
    return "visit" if is_visit and "consent" not in items else None
