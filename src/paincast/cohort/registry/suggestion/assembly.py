"""Put the draft together: ids, dates, baseline and follow-ups, and what is not read and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from paincast.cohort.coercion import to_code
from paincast.cohort.registry.mapping_types import BIRTH_YEAR, CHANGE, MONTHS_BEFORE, SINCE, YEAR, YEARS_BEFORE
from paincast.cohort.registry.suggestion.choosing import BASELINE, Candidate, Choice, Slot, choose
from paincast.cohort.registry.suggestion.drafting import BlockDraft, FieldDraft, MappingDraft, quote
from paincast.cohort.registry.suggestion.ids import Ids, draft_ids, find_ids, find_unsure_ids
from paincast.cohort.registry.suggestion.language.timepoints import TimePoint
from paincast.cohort.registry.suggestion.language.words import Reading, read_words
from paincast.cohort.registry.suggestion.names.matching import Match, find_form_marks, match_column, match_reading
from paincast.cohort.registry.suggestion.names.targets import Target, squeeze
from paincast.cohort.registry.suggestion.notes import Note
from paincast.cohort.registry.suggestion.redcap import (
    TELLS_ROWS,
    draft_box,
    draft_events,
    is_unit_column,
    use_unit_column,
)
from paincast.cohort.registry.suggestion.roles import (
    IDENTIFIES,
    Dates,
    explain_role,
    find_dates,
    find_items,
    find_regions,
    is_asked,
    is_identifying,
)
from paincast.cohort.registry.suggestion.understood import make_understood
from paincast.cohort.registry.suggestion.values.judging import Verdict, judge
from paincast.cohort.registry.suggestion.values.profiles import Profile
from paincast.cohort.registry.suggestion.visit_rows import VisitRows, find_unsure_visit_rows, find_visit_rows
from paincast.contract import BUILT_IN, Contract
from paincast.files.strict_yaml import UNFINISHED

IDS = ("episode_id", "patient_id")
_NO_FIELD = FieldDraft(name="", settings={})


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file with all that is known of its columns."""

    rows: pd.DataFrame
    readings: Mapping[str, Reading]
    profiles: Mapping[str, Profile]
    notes: Mapping[str, Note]
    targets: Mapping[str, Target]
    contract: Contract = BUILT_IN
    repeating_ids: tuple[str, ...] = ()
    twin_ids: tuple[str, ...] = ()


def assemble(
    source: Source, *, title: str, read: Sequence[str], faults: Sequence[str]
) -> tuple[MappingDraft, pd.DataFrame]:
    """Assemble the draft of a mapping, and the table of what was understood."""
    why_not: dict[str, str] = {}
    matches = _match_all(source, why_not)
    dates = find_dates(source.readings, source.profiles, source.notes)
    ids = find_ids(matches, source.profiles, source.repeating_ids)
    why_not |= {
        name: IDENTIFIES
        for name, reading in source.readings.items()
        if name not in (ids.patient, *ids.episode) and is_identifying(reading)
    }
    visit_rows = (
        find_visit_rows(ids.patient, source.rows, source.readings, source.profiles, source.notes)
        if ids.patient
        else None
    )
    if not ids.patient:
        maybe = find_unsure_ids(matches, source.readings, source.profiles)
        visit_rows = find_unsure_visit_rows(maybe, source.rows, source.readings, source.profiles, source.notes)
        ids = replace(ids, maybe=maybe, repeats=bool(maybe or visit_rows or dates.visit))
        why_not |= dict.fromkeys(maybe, "maybe patient_id")

    used = {ids.patient, *ids.episode, dates.procedure, visit_rows.column if visit_rows else ""}
    choices = choose(_list_candidates(source, matches, used, why_not))
    choices |= choose(_list_changes(source, choices))
    choices = _keep_one_of_each(choices, why_not) if visit_rows else choices
    regions = _draft_regions(source) if "body_map_count" in source.targets else []
    draft = MappingDraft(
        title=title,
        contract=source.contract,
        read=tuple(read),
        procedure_date=_draft_date("procedure_date", dates.procedure, source) if dates.procedure else None,
        baseline_rows=_draft_baseline(visit_rows) if visit_rows else None,
        episodes=(
            *draft_ids(ids, source.twin_ids, is_one_procedure=_is_one_procedure(source.rows, ids, visit_rows)),
            *_draft_episodes(choices, dates, source),
            *[entry for entry in regions if ("episodes", entry.name, BASELINE) not in choices],
        ),
        visits=tuple(
            _draft_visit_rows(choices, visit_rows, dates, source) if visit_rows else _draft_visits(choices, source)
        ),
    )
    if visit_rows and visit_rows.column in TELLS_ROWS:
        why_not |= dict.fromkeys(TELLS_ROWS, "tells the rows of a record apart")
        draft = draft_events(draft, ids.patient, visit_rows, source.rows)
    understood = make_understood(list(source.readings), draft, choices, why_not)
    remarks = _list_unread(understood, why_not)
    return replace(draft, remarks=(*remarks, *faults)), understood


def _match_all(source: Source, why_not: dict[str, str]) -> dict[str, list[Match]]:
    """Match every column that is not identifying, computed, an item or free text."""
    items = find_items(source.readings, source.notes)
    marks = find_form_marks(source.readings.values())
    matches: dict[str, list[Match]] = {}
    for name, reading in source.readings.items():
        note = source.notes.get(name)
        found = match_column(name, reading, note, source.targets, marks)
        why = explain_role(reading, note) or _explain_label(note) or ("an item, not a score" if name in items else "")
        why = why or ("a unit of the column beside it" if is_unit_column(name, source.readings) else "")
        is_exact = bool(found) and squeeze(name) in found[0].target.names
        if why and not is_exact and not (found and found[0].target.name == "patient_id" and why == IDENTIFIES):
            why_not[name] = why
            continue
        best = [match for match in found if match.certainty != "possible"]
        if not best and found:
            why_not[name] = f"maybe {found[0].target.name}"
        matches[name] = best
    return matches


def _explain_label(note: Note | None) -> str:
    if note is None or not note.label:
        return ""
    reading = read_words(note.label, is_sentence=True)
    return explain_role(Reading(items=reading.items), note) if len(reading.items) <= 3 else ""


def _list_candidates(
    source: Source, matches: Mapping[str, list[Match]], used: set[str], why_not: dict[str, str]
) -> list[Candidate]:
    """List the matches that the values allow, each with its slot."""
    candidates = []
    for name, found in matches.items():
        for match in found[:1]:
            if name in used or match.target.name in IDS:
                continue
            reading, note = source.readings[name], source.notes.get(name)
            label = read_words(note.label, is_sentence=True) if note and note.label else None
            verdict = judge(match.target, source.profiles[name], reading, label, note)
            time = _time_of(reading, label, note)
            slot = _slot(match.target, time)
            if not verdict.possible or slot is None:
                why_not[name] = verdict.why_not or "known only after the procedure"
                continue
            match = replace(match, certainty="doubt") if is_asked(time) else match
            candidates.append(Candidate(match=match, verdict=verdict, slot=slot, time=time))
    return candidates


def _time_of(reading: Reading, label: Reading | None, note: Note | None) -> TimePoint | None:
    form = read_words(note.form) if note and note.form else None
    times = [part.time for part in (reading, label, form) if part is not None and part.time is not None]
    return times[0] if times else None


def _slot(target: Target, time: TimePoint | None) -> Slot | None:
    if time is not None and time.phase == "during":
        return None
    is_before = time is None or time.phase == "before"
    if is_before and target.in_episodes:
        return ("episodes", target.name, BASELINE)
    if not target.in_visits or (is_before and time is not None):
        return None
    return ("visits", target.name, _key(time))


def _key(time: TimePoint | None) -> str:
    if time is None:
        return "a follow-up"
    if time.months is not None:
        return f"{time.months:.4g}"
    return f"visit {time.ordinal}" if time.ordinal is not None else "the follow-up"


def _list_changes(source: Source, choices: Mapping[Slot, Choice]) -> list[Candidate]:
    """List changes from baseline where the value itself is not recorded."""
    candidates = []
    for name, reading in source.readings.items():
        if "change" not in reading.items or reading.time is None or reading.time.months is None:
            continue
        bare = Reading(
            tuple(item for item in reading.items if item != "change"), reading.instruments, (), reading.time, ()
        )
        match = next((m for m in _match_bare(name, bare, source) if m.target.in_visits and m.target.in_episodes), None)
        numbers = source.profiles[name].numbers
        if match is None or numbers.empty or (numbers > 0).mean() > 0.5:
            continue
        slot = _slot(match.target, reading.time)
        if slot is not None and slot not in choices:
            candidates.append(
                Candidate(match=match, verdict=Verdict(settings={"reads": CHANGE}), slot=slot, time=reading.time)
            )
    return candidates


def _keep_one_of_each(choices: Mapping[Slot, Choice], why_not: dict[str, str]) -> dict[Slot, Choice]:
    """Keep of each measure the column whose name tells no time, or the only one: rows tell the times already."""
    slots: dict[str, list[Slot]] = {}
    for slot in sorted(choices, key=lambda slot: slot[0] == "visits"):
        slots.setdefault(slot[1], []).append(slot)
    kept = {own[0] for own in slots.values() if len(own) == 1 or own[0][0] == "episodes"}
    for slot in choices.keys() - kept:
        why_not |= {one.match.source: "names a time, as the rows do" for one in choices[slot].candidates}
    return {slot: choice for slot, choice in choices.items() if slot in kept}


def _match_bare(name: str, reading: Reading, source: Source) -> list[Match]:
    return match_reading(name, reading, source.targets)


def _draft_episodes(choices: Mapping[Slot, Choice], dates: Dates, source: Source) -> list[FieldDraft]:
    drafts = {
        slot[1]: use_unit_column(_draft_choice(slot[1], choice, source.notes), source.profiles, source.notes)
        for slot, choice in choices.items()
        if slot[0] == "episodes"
    }
    if dates.procedure:
        drafts["procedure_year"] = _draft_date("procedure_year", dates.procedure, source, reads=YEAR)
    elif (
        "procedure_year" in drafts
        and source.profiles[name := str(drafts["procedure_year"].settings["column"])].holds_dates
    ):
        drafts["procedure_year"] = _draft_date("procedure_year", name, source, reads=YEAR)
    if not dates.procedure and drafts.get("age_years", _NO_FIELD).settings.get("reads") == BIRTH_YEAR:
        drafts["age_years"] = _ask_procedure_date(drafts["age_years"])
    if dates.procedure and dates.birth and "age_years" not in drafts:
        drafts["age_years"] = _draft_date("age_years", dates.birth, source, reads=YEARS_BEFORE)
    if dates.procedure and dates.onset and "pain_duration_months" not in drafts:
        drafts["pain_duration_months"] = _draft_date("pain_duration_months", dates.onset, source, reads=MONTHS_BEFORE)
    drafts.setdefault(
        "technique", FieldDraft(name="technique", settings={"always": UNFINISHED}, comment="or: a column and its codes")
    )
    order = list(source.targets)
    return [drafts[name] for name in sorted(drafts, key=lambda name: order.index(name) if name in order else -1)]


def _ask_procedure_date(entry: FieldDraft) -> FieldDraft:
    """Leave an age open whose years of birth need the date of the procedure."""
    comment = f"{BIRTH_YEAR}, which needs procedure_date"
    return FieldDraft(name=entry.name, settings={**entry.settings, "reads": UNFINISHED}, comment=comment)


def _draft_regions(source: Source) -> list[FieldDraft]:
    """Draft the count of painful regions from the columns of a body map."""
    regions, is_named = find_regions(source.readings, source.profiles, source.notes)
    if not regions:
        return []
    asked = f"remove {UNFINISHED} if these {len(regions)} yes/no columns are regions of a body map"
    settings = {"count_true": [*regions, *([] if is_named else [UNFINISHED])]}
    return [FieldDraft(name="body_map_count", settings=settings, comment="guess" if is_named else asked)]


def _draft_date(target: str, name: str, source: Source, reads: str = "") -> FieldDraft:
    formats = source.profiles[name].date_formats
    settings: dict[str, object] = {"column": name}
    if reads:
        settings["reads"] = reads
    if formats and None not in formats:
        settings["date_format"] = formats[0] if len(formats) == 1 else UNFINISHED
    is_open = len(formats) > 1
    comment = "guess; date_format: " + ", ".join(map(str, formats)) if is_open else "guess"
    return FieldDraft(name=target, settings=settings, comment=comment)


def _draft_choice(name: str, choice: Choice, notes: Mapping[str, Note]) -> FieldDraft:
    taken = choice.taken
    box = draft_box(taken.match.source, notes) if taken.match.target.column.type == "boolean" else None
    if box is not None and not choice.is_open:
        return FieldDraft(
            name=name,
            settings=box,
            comment="guess; nothing_checked: false, or missing" if UNFINISHED in box.values() else "guess",
        )
    if choice.is_open and len(choice.candidates) > 1:
        names = ", ".join(quote(candidate.match.source) for candidate in choice.candidates)
        return FieldDraft(name=name, settings={"column": UNFINISHED}, comment=f"one of {names}")
    if choice.is_open:
        return FieldDraft(
            name=name, settings={"column": UNFINISHED}, comment=f"only if it is meant: {quote(taken.match.source)}"
        )
    comment = f"guess; {taken.verdict.doubt}" if taken.verdict.doubt not in ("", "codes") else "guess"
    return FieldDraft(name=name, settings={"column": taken.match.source, **taken.verdict.settings}, comment=comment)


def _draft_visits(choices: Mapping[Slot, Choice], source: Source) -> list[BlockDraft]:
    """Draft a block for each follow-up that stands in columns."""
    keys = sorted(
        {slot[2] for slot in choices if slot[0] == "visits"},
        key=lambda key: (not _is_number(key), float(key) if _is_number(key) else 0, key),
    )
    return [
        BlockDraft(
            month=FieldDraft(
                name="month",
                settings={"always": key if _is_number(key) else UNFINISHED},
                comment="guess, from the names of the columns"
                if _is_number(key)
                else f"months from the procedure to {key}",
            ),
            fields=tuple(
                _draft_choice(slot[1], choice, source.notes)
                for slot, choice in choices.items()
                if slot[0] == "visits" and slot[2] == key
            ),
        )
        for key in keys
    ]


def _is_number(key: str) -> bool:
    return key.replace(".", "", 1).isdigit()


def _is_one_procedure(rows: pd.DataFrame, ids: Ids, visits: VisitRows | None) -> bool:
    """Check that rows are visits and that each patient has at most one row before the procedure."""
    if visits is None or not ids.patient:
        return False
    before = rows[rows[visits.column].map(to_code).isin(visits.before or visits.during)]
    return not before[ids.patient].duplicated().any()


def _draft_baseline(visits: VisitRows) -> FieldDraft:
    before = visits.before or visits.during
    others = [code for code in (*visits.during, *visits.after) if code not in before]
    settings: dict[str, object] = {"column": visits.column, "is": list(before), "is_not": others}
    if visits.doubt:
        settings["is"] = [*before, UNFINISHED]
    return FieldDraft(
        name="baseline_rows", settings=settings, comment=f"guess; {visits.doubt}" if visits.doubt else "guess"
    )


def _draft_visit_rows(
    choices: Mapping[Slot, Choice], visits: VisitRows, dates: Dates, source: Source
) -> list[BlockDraft]:
    """Draft the block of a file with a row for each visit."""
    fields = [
        _draft_choice(slot[1], choice, source.notes)
        for slot, choice in choices.items()
        if (slot[0] == "visits" or source.targets[slot[1]].in_visits) and not choice.is_open
    ]
    if dates.procedure and dates.visit:
        month = _draft_date("month", dates.visit, source, reads=SINCE)
    elif visits.is_month:
        month = FieldDraft(name="month", settings={"column": visits.column})
    else:
        month = FieldDraft(name="month", settings={"column": visits.column, "codes": dict(visits.months)})
    when = (
        {"column": visits.column, "is": list(visits.after), "is_not": list(visits.during)}
        if visits.during and visits.before
        else None
    )
    return [BlockDraft(month=month, fields=tuple(fields), when=when)] if fields else []


def _list_unread(understood: pd.DataFrame, why_not: Mapping[str, str]) -> list[str]:
    unread = [str(name) for name in understood.loc[understood["becomes"] == "", "column"]]
    lines = [f"#   {name}" + (f"  ({why_not[name]})" if name in why_not else "") for name in unread]
    return ["", "# Columns that are not read:", *lines] if lines else []
