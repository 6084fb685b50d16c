"""Build the raw tables of a cohort from the rows of a registry's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from paincast.cohort.coercion import to_codes, to_numbers
from paincast.cohort.long.linking import Procedures, link_to_latest_before
from paincast.cohort.registry.conversion.fields import apply_field, read_procedure_days
from paincast.cohort.registry.conversion.files import Sources
from paincast.cohort.registry.conversion.ledger import Ledger
from paincast.cohort.registry.conversion.named import NamedValues
from paincast.cohort.registry.conversion.rows import SourceRows, apply_condition
from paincast.cohort.registry.mapping_long import list_names
from paincast.cohort.registry.mapping_types import Block, Field, RegistryMapping
from paincast.cohort.registry.units import DAYS_PER_YEAR
from paincast.cohort.rejects import BrokenRule, any_broken
from paincast.cohort.shared_keys import SEVERAL_PROCEDURES
from paincast.schema import TABLES

FURTHER_ROW = "an earlier row has the same technique of the patient on the same day"
NO_DATE = "it has no date"
EMPTY_VISIT = "no value was recorded at the visit"
NO_PROCEDURE_BEFORE = "no procedure of the patient is before the row's date"


class _Known(NamedTuple):
    """Baseline numbers and procedure dates by episode, and the procedures of each patient."""

    numbers: pd.DataFrame
    days: pd.Series
    procedures: Procedures


class _Linked(NamedTuple):
    """What blocks of visits and events are built from."""

    episode_id: Field
    rows: SourceRows
    sheets: Mapping[str, pd.DataFrame]
    known: _Known
    named: NamedValues | None


def build_tables(
    mapping: RegistryMapping, rows: SourceRows, sources: Sources, ledger: Ledger
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.Series]]:
    """Build the raw tables, and the source position of each of their rows."""
    before, after = rows, rows
    if mapping.redcap and rows.records:
        before = rows.select(rows.records.match(mapping.redcap.episode)[rows.index])
    if mapping.baseline_rows:
        at_baseline, unlisted = apply_condition(mapping.baseline_rows, rows)
        ledger.reject(mapping.file, [unlisted], rows.index)
        before, after = rows.select(at_baseline), rows.select(~at_baseline & ~unlisted.broken)
    dates = _procedure_dates(mapping, before, ledger)
    named = _make_named_values(mapping, sources.long_rows)
    before = replace(before, procedure_date=dates, named=_read_named_before(mapping, named, before, dates))
    episodes, _ = _apply_fields("episodes", mapping.episodes, before, ledger)
    if mapping.one_procedure_a_day:
        episodes = _keep_one_procedure_a_day(episodes, dates, ledger)
    episodes = _leave_out_second_procedures(episodes, dates, ledger)
    known = _index_by_episode(mapping, episodes, dates)
    linked = _Linked(mapping.episodes["episode_id"], after, sources.sheets, known, named)
    visits = [_build_block("visits", block, linked, ledger) for block in mapping.visits]
    events = [_build_block("events", block, linked, ledger) for block in mapping.events]
    if named:
        named.tell(known.procedures, ledger)
    tables = {
        "episodes": episodes,
        "visits": _stack("visits", _drop_empty_visits(visits, ledger)),
        "events": _stack("events", [built for built, _ in events]),
    }
    return tables, {table: frame.index.to_series() for table, frame in tables.items()}


def _make_named_values(mapping: RegistryMapping, rows: pd.DataFrame) -> NamedValues | None:
    if mapping.baseline_window is None or not mapping.long:
        return None
    persons = to_codes(mapping.episodes["patient_id"].prefix + rows["person"])
    return NamedValues(
        rows=rows.assign(person=persons),
        window=mapping.baseline_window,
        missing=mapping.missing,
        names=list_names(mapping),
    )


def _read_named_before(
    mapping: RegistryMapping, named: NamedValues | None, rows: SourceRows, dates: pd.Series
) -> Mapping[str, pd.DataFrame]:
    if named is None:
        return {}
    persons, _ = apply_field(mapping.episodes["patient_id"], rows)
    return named.read_before([field for field in mapping.episodes.values() if field.named], to_codes(persons), dates)


def _stack(table: str, built: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(built) if built else pd.DataFrame(columns=list(TABLES[table]), dtype="str")


def _drop_empty_visits(built: list[tuple[pd.DataFrame, pd.Series]], ledger: Ledger) -> list[pd.DataFrame]:
    """Drop visits without a value; a visit whose values were rejected is already listed in the rejects."""
    filled, n_empty = [], 0
    for visits, faulty in built:
        empty = visits.drop(columns=["episode_id", "month"]).isna().all(axis="columns")
        filled.append(visits[~empty])
        n_empty += int((empty & ~faulty).sum())
    if n_empty:
        ledger.leave_out(n_empty, "", EMPTY_VISIT)
    return filled


def _procedure_dates(mapping: RegistryMapping, rows: SourceRows, ledger: Ledger) -> pd.Series:
    """Read the procedure date of each row; a row without a date takes the date of its episode's other rows."""
    if mapping.procedure_date is None:
        return pd.Series(pd.NaT, index=rows.index, dtype="datetime64[s]")
    dates, findings = read_procedure_days(mapping.procedure_date, rows)
    ledger.reject("episodes", findings, rows.index)
    return complete_dates(dates, apply_field(mapping.episodes["episode_id"], rows)[0])


def complete_dates(dates: pd.Series, ids: pd.Series) -> pd.Series:
    """Give a row without a date the date of the other rows of its episode, where they have one day."""
    dates_by_episode = dates.groupby(ids)
    has_one_day = dates_by_episode.transform("nunique") == 1
    return dates.fillna(dates_by_episode.transform("first").where(has_one_day))


def _index_by_episode(mapping: RegistryMapping, episodes: pd.DataFrame, dates: pd.Series) -> _Known:
    """Index baseline numbers and procedure dates by episode; validation handles rows that share an id."""
    numbers = [
        name for name in mapping.episodes if mapping.contract.episodes[name].type == "number" and name in episodes
    ]
    ids, days = episodes["episode_id"], dates.loc[episodes.index]
    before = episodes[numbers].apply(lambda column: to_numbers(column)[0])
    return _Known(
        numbers=before.groupby(ids, sort=False).first(),
        days=days.groupby(ids, sort=False).first(),
        procedures=Procedures(ids, to_codes(episodes["patient_id"]), days),
    )


def _leave_out_second_procedures(episodes: pd.DataFrame, dates: pd.Series, ledger: Ledger) -> pd.DataFrame:
    second = find_second_procedures(episodes["episode_id"], dates.loc[episodes.index])
    ledger.reject("episodes", [second], episodes.index)
    return episodes[~second.broken]


def find_second_procedures(ids: pd.Series, dates: pd.Series) -> BrokenRule:
    """Find rows that share an id but have different days: they are separate procedures."""
    broken = dates.groupby(ids).transform("nunique") > 1
    allowed = "one day of the procedure for each episode_id; " + SEVERAL_PROCEDURES
    return BrokenRule(broken=broken, column="episode_id", rule="duplicate", allowed=allowed, action="row left out")


def _keep_one_procedure_a_day(episodes: pd.DataFrame, dates: pd.Series, ledger: Ledger) -> pd.DataFrame:
    """Keep the first row of each patient, technique and day; others are sides and levels of the same procedure."""
    keys = pd.DataFrame(
        {"patient": episodes["patient_id"], "technique": episodes["technique"], "day": dates.loc[episodes.index]}
    )
    is_further = keys.notna().all(axis="columns") & keys.duplicated()
    ledger.leave_out(int(is_further.sum()), "", FURTHER_ROW)
    return episodes[~is_further]


def _build_block(table: str, block: Block, linked: _Linked, ledger: Ledger) -> tuple[pd.DataFrame, pd.Series]:
    rows, known = linked.rows, linked.known
    if block.is_long and linked.named:
        return _build_long_block(table, block, linked.named, linked, ledger)
    if block.file:
        rows = replace(rows, frames={block.file: linked.sheets[block.file]}, main=block.file)
    if block.of and rows.records:
        rows = rows.select(rows.records.match(block.of)[rows.index])
    if block.when:
        meant, unlisted = apply_condition(block.when, rows)
        ledger.reject(table, [unlisted], rows.index)
        rows = rows.select(meant)
    if block.patient:
        rows, ids = _link_to_procedures(table, block, block.patient, rows, known.procedures, ledger)
        fields = dict(block.fields)
    else:
        fields = {"episode_id": linked.episode_id, **block.fields}
        ids, _ = apply_field(fields["episode_id"], rows)
    rows = replace(
        rows,
        baseline=known.numbers.reindex(ids).set_axis(rows.index),
        procedure_date=known.days.reindex(ids).set_axis(rows.index),
    )
    built, faulty = _apply_fields(table, fields, rows, ledger)
    return (built.assign(episode_id=ids[built.index]) if block.patient else built), faulty


def _build_long_block(
    table: str, block: Block, named: NamedValues, linked: _Linked, ledger: Ledger
) -> tuple[pd.DataFrame, pd.Series]:
    """Build the visits of the long tables; a visit has the position of its first row."""
    visits = named.read_visits(block, linked.known.procedures, ledger)
    index = pd.RangeIndex(len(visits.day))
    ids = visits.episode_id.set_axis(index)
    rows = replace(
        linked.rows,
        frames={"": pd.DataFrame(index=index)},
        main="",
        named=visits.named,
        baseline=linked.known.numbers.reindex(ids).set_axis(index),
    )
    built, faulty = _apply_fields(table, block.fields, rows, ledger, places=pd.Index(visits.place))
    days = (visits.day.set_axis(index) - linked.known.days.reindex(ids).set_axis(index)).dt.days
    built = built.assign(episode_id=ids, month=(days / (DAYS_PER_YEAR / 12)).round(9))
    places = pd.Index(visits.place.to_numpy()[built.index])
    return built.set_axis(places), faulty.set_axis(places)


def _link_to_procedures(
    table: str, block: Block, patient: Field, rows: SourceRows, procedures: Procedures, ledger: Ledger
) -> tuple[SourceRows, pd.Series]:
    """Link each row to the latest procedure of its patient before its date.

    An event without a date is none, and left out; a visit without a date stays unlinked, and is rejected.
    """
    persons, _ = apply_field(patient, rows)
    days, broken_dates = read_procedure_days(block.fields["month"], rows)
    links = link_to_latest_before(to_codes(persons), days, procedures)
    several = BrokenRule(
        broken=links.several,
        column="episode_id",
        rule="several procedures",
        allowed="one procedure of the patient on a day",
        action="row left out",
    )
    ledger.reject(table, [several], rows.index)
    undated = days.isna() & ~any_broken(broken_dates, "cell emptied", len(days))
    is_event = table == "events"
    ledger.leave_out(int(undated.sum()) * is_event, str(block.fields["month"].column), NO_DATE)
    kept = links.episode_id.notna() | (days.isna() & ~(undated & is_event)) | persons.isna()
    ledger.leave_out(int((~kept & ~links.several & ~undated).sum()), str(patient.column), NO_PROCEDURE_BEFORE)
    return rows.select(kept), links.episode_id[kept]


def _apply_fields(
    table: str, fields: Mapping[str, Field], rows: SourceRows, ledger: Ledger, *, places: pd.Index | None = None
) -> tuple[pd.DataFrame, pd.Series]:
    """Build the table without rows that lack a required value, and flag the rows with a rejected cell."""
    built = {}
    findings: list[BrokenRule] = []
    for name, reader in fields.items():
        built[name], broken_rules = apply_field(reader, rows)
        findings += broken_rules
    ledger.reject(table, findings, rows.index if places is None else places)
    kept = ~any_broken(findings, "row left out", len(rows.index))
    faulty = pd.Series(any_broken(findings, "cell emptied", len(rows.index)), index=rows.index)
    return pd.DataFrame(built, index=rows.index)[kept], faulty[kept]
