"""The protocol card of a technique: one page for an indication, or its indications side by side on two.

:mod:`paincast.reporting.evidence.pages` writes it as Markdown or HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from paincast.errors import RefusalError, SettingsError, suggest_name
from paincast.evidence import wording
from paincast.evidence.figures import Record
from paincast.evidence.records import load_audit, records_of
from paincast.reporting.evidence.blocks import Card, Line, Section
from paincast.reporting.evidence.parts import (
    show_benefit,
    show_certainty,
    show_comparisons,
    show_complications,
    show_contraindications,
    show_gap,
    show_practice,
    show_unknown,
)
from paincast.reporting.evidence.response import show_durability, show_response
from paincast.reporting.evidence.together import show_together
from paincast.settings import SCENARIOS

NOTE = "Research software: a summary of what publications report, and no medical advice. Response is not effect."


def choose_records(technique: str, *, indication: str | None = None, approach: str | None = None) -> tuple[Record, ...]:
    """Choose the records of a technique that a card shows.

    Raises
    ------
    SettingsError
        If there is no technique of that name.
    RefusalError
        If no record fits; the message names those that exist.
    """
    records = records_of(technique)
    chosen = tuple(
        record
        for record in records
        if (indication is None or indication in record.indications) and approach in (None, record.approach)
    )
    if not chosen:
        covered = "; ".join(wording.name_place(record) for record in records)
        asked = ", ".join(filter(None, (indication, approach)))
        raise RefusalError(
            f"technique {technique}: no evidence record for {asked}; there are: {covered}", code="PC-EVIDENCE-30"
        )
    return chosen


def build_card(
    technique: str, *, indication: str | None = None, approach: str | None = None, scenario: str = "literature"
) -> Card:
    """Build the protocol card of a technique.

    Parameters
    ----------
    technique : str
        What is done.
    indication, approach : str, optional
        Show only the records of these.
    scenario : {"literature", "pragmatic", "seed_optimistic"}
        Evidence scenario of the expected response.

    Returns
    -------
    Card

    Raises
    ------
    SettingsError
        If there is no technique or scenario of that name.
    RefusalError
        If no record fits.

    Examples
    --------
    >>> [section.heading for section in build_card("facet_rfa").sections][:3]
    ['Expected response', 'Who benefits', 'Contraindications']
    """
    if scenario not in SCENARIOS:
        raise SettingsError(
            f"scenario: unknown name '{scenario}'; {suggest_name(scenario, SCENARIOS)}", code="PC-EVIDENCE-31"
        )
    records = choose_records(technique, indication=indication, approach=approach)
    alone = records[0] if len(records) == 1 else None
    return Card(
        technique=technique,
        title=wording.name_technique(technique),
        place=wording.name_place(alone) if alone else "",
        about=(*_warn(technique), *(_describe(alone) if alone else ()), Line(NOTE)),
        sections=(
            *(_show_alone(alone, scenario) if alone else show_together(records, scenario)),
            *(() if indication or approach else _show_practice(technique, records)),
        ),
        more=(
            f"What each study found: paincast evidence {technique} --studies. Change of other measures, and where the "
            "founding review and its sources disagree: --format json."
            + (" Published rates: --forest." if any(record.published for record in records) else "")
        ),
    )


def _warn(technique: str) -> tuple[Line, ...]:
    """Lead with what the figures stand on where the literature carries less of them than it should."""
    standing = load_audit().get(technique)
    if standing is None or standing.meets_bar:
        return ()
    found, assumed = wording.percent(standing.found), wording.percent(standing.assumed)
    return (Line(f"Only {found} of what moves these figures stands on studies, {assumed} is assumed."),)


def _show_practice(technique: str, records: Sequence[Record]) -> list[Section]:
    told = [record for record in records if not record.gap]
    indications = [name for record in told for name in record.indications]
    practice = replace(show_practice(technique, told), new_page=bool(told) and len(records) == 1)
    return [practice, *show_comparisons(technique, indications)]


def _describe(record: Record) -> tuple[Line, ...]:
    covered = wording.join(map(wording.name_indication, record.also_covers))
    about = (
        f"{record.title}.",
        f"The nearest evidence for {covered} too." if covered else "",
        f"Mechanism of the pain: {record.mechanism}; bleeding risk: {record.bleeding_class}.",
        record.note,
    )
    return tuple(Line(text) for text in about if text)


def _show_alone(record: Record, scenario: str) -> list[Section]:
    contraindications = show_contraindications([record])
    if record.gap:
        return [show_gap(record, "Expected response"), *contraindications, *show_certainty(record)]
    return [
        show_response(record, scenario),
        *show_benefit(record),
        *contraindications,
        show_complications(record),
        *show_durability(record, scenario),
        *show_unknown(record),
        *show_certainty(record),
    ]
