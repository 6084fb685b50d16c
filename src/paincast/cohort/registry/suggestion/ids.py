"""Which columns identify the patient and the procedure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paincast.cohort.identifiers import repeats_like_ids
from paincast.cohort.registry.suggestion.drafting import FieldDraft, quote
from paincast.cohort.registry.suggestion.language.words import Reading
from paincast.cohort.registry.suggestion.names.matching import Match
from paincast.cohort.registry.suggestion.values.profiles import Profile
from paincast.files.strict_yaml import UNFINISHED

_OF_IDS = frozenset({"number", "id", "record", "patient", "episode", "mrn", "national_id", "insurance"})
"""Concepts of names that may be those of an id."""


@dataclass(frozen=True)
class Ids:
    """The column of the patient's id, and the one or two columns of the procedure's id."""

    patient: str = ""
    episode: tuple[str, ...] = ()
    repeats: bool = False
    maybe: tuple[str, ...] = ()
    """Columns with values that repeat like ids, where none is known."""


def find_ids(matches: Mapping[str, Sequence[Match]], profiles: Mapping[str, Profile], repeating: Sequence[str]) -> Ids:
    """Find the ids; a number of the procedure that is not unique alone stands beside the patient's id."""
    patient = _find_best("patient_id", matches, profiles) or next(iter(repeating), "")
    episode = _find_best("episode_id", matches, profiles)
    repeats = bool(patient) and profiles[patient].repeats()
    is_count = bool(episode) and "number" in matches[episode][0].concepts and not repeats
    if not episode or episode == patient or is_count:
        return Ids(patient=patient, repeats=repeats)
    is_number = _is_short_number(profiles[episode])
    is_alone = not patient or not (
        is_number or (repeats and profiles[episode].given.nunique() < profiles[patient].given.nunique())
    )
    return Ids(patient=patient, episode=(episode,) if is_alone else (patient, episode), repeats=repeats)


def find_unsure_ids(
    matches: Mapping[str, Sequence[Match]], readings: Mapping[str, Reading], profiles: Mapping[str, Profile]
) -> tuple[str, ...]:
    """Find columns that may hold the patient's id where none is known: many values, each about equally often."""
    return tuple(
        name
        for name, reading in readings.items()
        if not any(match.target.name != "patient_id" for match in matches.get(name, ()))
        and reading.time is None
        and not reading.units
        and reading.known <= _OF_IDS
        and repeats_like_ids(profiles[name].given)
        and not profiles[name].holds_dates
    )


def _is_short_number(profile: Profile) -> bool:
    """Check for a running number within a patient: 1, 2, 3."""
    return profile.holds_numbers and profile.is_whole and bool(profile.numbers.max() <= 50) and profile.repeats()


def _find_best(target: str, matches: Mapping[str, Sequence[Match]], profiles: Mapping[str, Profile]) -> str:
    found = [
        found[0]
        for name, found in matches.items()
        if found
        and found[0].target.name == target
        and found[0].certainty in ("certain", "likely")
        and _may_hold_ids(name, target, profiles[name])
    ]
    return min(found, key=lambda match: match.rank).source if found else ""


def _may_hold_ids(name: str, target: str, profile: Profile) -> bool:
    is_flag = re.match(r"(?:is|has)(?:[_ ]|(?=[A-Z]))", name, re.IGNORECASE) is not None
    is_flag |= target == "patient_id" and len(profile.counts) == 2
    return not profile.holds_dates and not is_flag


def draft_ids(ids: Ids, twins: Sequence[str], *, is_one_procedure: bool) -> list[FieldDraft]:
    """Draft the two ids; rows are numbered only if no column shows that a patient has several rows.

    Parameters
    ----------
    ids : Ids
        The columns found.
    twins : sequence of str
        Names of ids that appear twice in the header.
    is_one_procedure : bool
        Whether rows are visits and each patient has one row before the procedure.
    """
    numbered = FieldDraft(
        name="", settings={"row_number": "true", "prefix": "row-"}, comment="no column was found; rows are numbered"
    )
    if twins and not ids.patient:
        numbered = FieldDraft(
            name="",
            settings={"column": UNFINISHED},
            comment=f"{quote(twins[0])} appears twice in the header: rename one",
        )
    if ids.repeats and not ids.patient:
        names = ", ".join(map(quote, ids.maybe)) or "the column of the patient's id"
        numbered = FieldDraft(
            name="", settings={"column": UNFINISHED}, comment=f"rows are not distinct patients: name {names}"
        )
    patient = (
        FieldDraft(name="patient_id", settings={"column": ids.patient})
        if ids.patient
        else _named(numbered, "patient_id")
    )
    return [_draft_episode(ids, numbered, is_one_procedure=is_one_procedure), patient]


def _draft_episode(ids: Ids, numbered: FieldDraft, *, is_one_procedure: bool) -> FieldDraft:
    if len(ids.episode) == 1:
        return FieldDraft(name="episode_id", settings={"column": ids.episode[0]})
    if ids.episode:
        return FieldDraft(name="episode_id", settings={"columns": list(ids.episode)})
    if is_one_procedure:
        return FieldDraft(
            name="episode_id", settings={"column": ids.patient}, comment="guess; one procedure for each patient"
        )
    if ids.repeats and ids.patient:
        comment = (
            f"{quote(ids.patient)} stands in several rows: name what tells procedures apart, or columns: "
            "[patient, number]; rows of visits need 'baseline_rows'"
        )
        return FieldDraft(name="episode_id", settings={"column": UNFINISHED}, comment=comment)
    return _named(numbered, "episode_id")


def _named(draft: FieldDraft, name: str) -> FieldDraft:
    return FieldDraft(name=name, settings=draft.settings, comment=draft.comment)
