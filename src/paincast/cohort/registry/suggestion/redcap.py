"""Drafts for exports of REDCap: fields of other events of a record, checkbox fields, units in a neighbouring column."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from paincast.cohort.coercion import find_missing_words, to_code
from paincast.cohort.registry.conversion.redcap import REDCAP_COLUMNS, find_stem
from paincast.cohort.registry.suggestion.drafting import FieldDraft, MappingDraft, quote
from paincast.cohort.registry.suggestion.language.vocabulary import load_vocabulary, to_tokens
from paincast.cohort.registry.suggestion.notes import Note
from paincast.cohort.registry.suggestion.values.meanings import mean_truth
from paincast.cohort.registry.suggestion.values.profiles import Profile
from paincast.cohort.registry.suggestion.visit_rows import VisitRows
from paincast.files.strict_yaml import UNFINISHED

TELLS_ROWS = frozenset(name for names in REDCAP_COLUMNS.values() for name in names)
"""Columns of an export that tell events, repeating instruments and instances."""
IDS = ("episode_id", "patient_id")
UNIT_ENDINGS = ("_unit", "_units", " unit", " units", "_einheit", ".unit")
"""How the name of a column with units ends."""


def draft_events(draft: MappingDraft, record: str, visits: VisitRows, rows: pd.DataFrame) -> MappingDraft:
    """Say of each field in which event of the record it stands, instead of which rows are the baseline.

    Parameters
    ----------
    draft : MappingDraft
        Draft with ``baseline_rows``, of an export with events.
    record : str
        Column of the record's id.
    visits : VisitRows
        How the events become visits.
    rows : DataFrame
        The export.
    """
    events = rows[visits.column].map(to_code)
    own = (visits.during or visits.before)[0]
    candidates = (own, *visits.during, *visits.before)
    episode = f"  redcap: {{record: {quote(record)}, episode: {{event: {quote(own)}}}}}  # guess"
    return replace(
        draft,
        read=(*draft.read, episode),
        baseline_rows=None,
        procedure_date=_place(draft.procedure_date, own, candidates, events, rows) if draft.procedure_date else None,
        episodes=tuple(
            entry if entry.name in IDS else _place(entry, own, candidates, events, rows) for entry in draft.episodes
        ),
        visits=tuple(replace(block, when=None, events=visits.after) for block in draft.visits),
    )


def _place(entry: FieldDraft, own: str, candidates: Sequence[str], events: pd.Series, rows: pd.DataFrame) -> FieldDraft:
    """Add the event in which most values of a field stand, if it is not that of the episode."""
    name = str(entry.settings.get("column") or entry.settings.get("checked") or "")
    if name not in rows:
        return entry
    given = (rows[name] != "") & ~find_missing_words(rows[name])
    if find_stem(name) is not None:
        given &= rows[name] != "0"
    n_given = {event: int(given[events == event].sum()) for event in dict.fromkeys(candidates)}
    best = max(n_given, key=lambda event: n_given[event])
    return entry if best == own or not n_given[best] else replace(entry, settings={**entry.settings, "event": best})


def draft_box(name: str, notes: Mapping[str, Note]) -> dict[str, object] | None:
    """Draft how a box of a checkbox field is read; None for any other column.

    Examples
    --------
    >>> draft_box("comorb___3", {"comorb___9": Note(label="None of these")})
    {'checked': 'comorb___3', 'none': 'comorb___9'}
    """
    stem = find_stem(name)
    if stem is None:
        return None
    others = [box for box in notes if box != name and find_stem(box) == stem]
    none = next((box for box in others if mean_truth(notes[box].label.rsplit(" ", 1)[-1]) == "false"), None)
    none = none or next((box for box in others if to_tokens(notes[box].label)[:1] in ((("none",)), (("keine",)))), None)
    return {"checked": name, "none": none} if none else {"checked": name, "nothing_checked": UNFINISHED}


def is_unit_column(name: str, names: Container[str]) -> bool:
    """Check whether a column holds the units of another, such as ``sx_dur_unit`` of ``sx_dur``."""
    return any(name.endswith(ending) and name.removesuffix(ending) in names for ending in UNIT_ENDINGS)


def use_unit_column(entry: FieldDraft, profiles: Mapping[str, Profile], notes: Mapping[str, Note]) -> FieldDraft:
    """Read the unit of a field from the column beside it, where there is one."""
    name = str(entry.settings.get("column"))
    beside = next((name + ending for ending in UNIT_ENDINGS if name + ending in profiles), None)
    if beside is None or entry.settings.get("unit") != UNFINISHED:
        return entry
    labels = notes[beside].choices if beside in notes else {}
    codes = list(labels) or profiles[beside].codes_to_show()[0]
    units = {code: load_vocabulary().units.get(to_tokens(labels.get(code, code)), UNFINISHED) for code in codes}
    settings = {key: value for key, value in entry.settings.items() if key != "unit"}
    settings |= {"unit_column": beside, "units": units or {UNFINISHED: UNFINISHED}}
    return replace(entry, settings=settings, comment="guess")
