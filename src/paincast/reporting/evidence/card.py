"""The protocol card of a technique, as blocks: a paragraph, a list, or a grid of cells.

:mod:`paincast.reporting.evidence.pages` writes them as Markdown or HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from paincast.errors import RefusalError, SettingsError, suggest_name
from paincast.evidence import wording
from paincast.evidence.comparators import Comparator, choose_comparator, explain_silence
from paincast.evidence.conditions import describe_condition
from paincast.evidence.figures import PROVENANCE_TAGS, TAG_OF_SUPPORT, PredictorEffect, Record
from paincast.evidence.records import load_sources, records_of
from paincast.evidence.scenarios import shift_curve
from paincast.settings import SCENARIOS

NOTE = (
    "Research software: a summary of what publications report, many figures judged or assumed, and no medical advice. "
    "Response is not effect: the response without the procedure stands beside it."
)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A small table.

    Parameters
    ----------
    columns : tuple of str
        Headings.
    rows : tuple of tuple of str
        Cells.
    shares : tuple of tuple
        For each row a share and the share without the procedure (or None), drawn as a bar; empty for no bars.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    shares: tuple[tuple[float, float | None], ...] = ()


Block = str | tuple[str, ...] | Grid


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading with blocks below it: a paragraph is a text, a list a tuple of texts."""

    heading: str
    blocks: tuple[Block, ...]
    level: int = 2


@dataclass(frozen=True, kw_only=True)
class Card:
    """The card of one technique.

    Parameters
    ----------
    technique, title : str
        Name in the contract, and in words.
    note : str
        What the card is and is not.
    sections : tuple of Section
        In the order of reading.
    """

    technique: str
    title: str
    note: str
    sections: tuple[Section, ...]


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
    ['Indications', 'Contraindications and precautions', 'Lumbar facet joint pain']
    """
    if scenario not in SCENARIOS:
        raise SettingsError(
            f"scenario: unknown name '{scenario}'; {suggest_name(scenario, SCENARIOS)}", code="PC-EVIDENCE-31"
        )
    records = choose_records(technique, indication=indication, approach=approach)
    sections = [_show_overview(records, scenario), *_show_safety(records)]
    for record in records:
        sections += _show_record(record, scenario)
    sections += [*_show_costs(records), _show_sources(records)]
    return Card(technique=technique, title=wording.name_technique(technique), note=NOTE, sections=tuple(sections))


def _show_overview(records: Sequence[Record], scenario: str) -> Section:
    rows = tuple(
        (
            wording.name_place(record),
            _format_primary(record, scenario),
            _format_comparator(_compare(record, record.primary_month)) or "no trial tells",
            record.certainty.level if record.certainty else "not graded",
        )
        for record in records
    )
    names = ("indication", f"expected response ({wording.name_scenario(scenario)})", "without it", "certainty")
    return Section(heading="Indications", blocks=(Grid(columns=names, rows=rows),))


def _format_primary(record: Record, scenario: str) -> str:
    if record.gap:
        return "no evidence"
    if record.response is None or record.primary_month is None:
        return "no curve; models stand on real data only"
    share = record.response.scenarios[scenario]
    return f"{wording.percent(share)} at {wording.months(record.primary_month)}"


def _show_safety(records: Sequence[Record]) -> list[Section]:
    classes = list(dict.fromkeys(record.bleeding_class for record in records))
    unique = {(item.reason, item.level): item for record in records for item in record.contraindications}
    order = ("absolute", "relative", "caution")
    lines = tuple(
        f"{item.level.capitalize()}: {item.reason}{_format_note(item.note)} {wording.cite(item.source, item.tag)}; "
        f"applies where: {describe_condition(item.when)}"
        for item in sorted(unique.values(), key=lambda item: order.index(item.level))
    )
    return [
        Section(
            heading="Contraindications and precautions",
            blocks=(f"Bleeding risk class: {', '.join(classes)}.", lines or "No contraindication is recorded."),
        )
    ]


def _show_record(record: Record, scenario: str) -> list[Section]:
    title = wording.name_place(record)
    about = [f"{record.title}. Mechanism of the pain: {record.mechanism}."]
    if record.gap:
        return [
            Section(heading=title, blocks=(*about, f"No evidence: {record.gap}.")),
            *_show_conflicts(record),
            *_show_unknown(record),
        ]
    if record.also_covers:
        about.append(f"The nearest evidence for {wording.join(map(wording.name_indication, record.also_covers))} too.")
    if record.note:
        about.append(record.note)
    return [
        Section(heading=title, blocks=tuple(about)),
        *_show_response(record, scenario),
        *_show_predictors(record),
        *_show_changes(record),
        *_show_complications(record),
        *_show_certainty(record),
        *_show_conflicts(record),
        *_show_unknown(record),
    ]


def _show_response(record: Record, scenario: str) -> list[Section]:
    blocks: list[Block] = []
    if record.response:
        blocks += [_grid_of_curve(record, scenario), *_describe_curve(record, scenario)]
    if record.response:
        blocks.append(_describe_comparators(record))
    if record.survival:
        months = wording.months(record.survival.median_months)
        blocks.append(f"Median survival {months} {wording.cite(record.survival.source, record.survival.tag)}.")
    blocks.append(wording.schedule(record.follow_up_months))
    if record.published:
        blocks.append(tuple(wording.format_published_rate(rate) for rate in record.published))
    if record.findings:
        blocks.append(tuple(wording.format_finding(finding) for finding in record.findings))
    return [Section(heading="Expected response", level=3, blocks=tuple(blocks))]


def _grid_of_curve(record: Record, scenario: str) -> Grid:
    assert record.response is not None
    curve = shift_curve(record, scenario)
    points = record.response.points if scenario == "literature" else {}
    comparators = {month: _compare(record, month) for month in curve}
    rows = tuple(
        (
            wording.months(month),
            wording.percent(share),
            wording.span((points[month].predicted_lower, points[month].predicted_upper)) if month in points else "",
            _SUPPORT[record.response.points[month].support],
            _format_comparator(comparators[month]),
        )
        for month, share in curve.items()
    )
    names = ("after", "respond (pain lower by at least half)", "in a new study", "studies", "control arm")
    shares = tuple(
        (share, comparator.share if (comparator := comparators[month]) else None) for month, share in curve.items()
    )
    return Grid(columns=names, rows=rows, shares=shares)


_SUPPORT = {
    "counted": "counted",
    "other outcome": "in another outcome",
    "interpolated": "between months",
    "carried over": "of other records",
}


def _compare(record: Record, month: float | None) -> Comparator | None:
    return None if month is None else choose_comparator(record.own_comparators, "pain_response", month)


def _format_comparator(comparator: Comparator | None) -> str:
    if comparator is None:
        return ""
    interval = wording.span((comparator.lower, comparator.upper))
    return f"{wording.percent(comparator.share)} ({interval}), {comparator.kind}"


def _describe_curve(record: Record, scenario: str) -> list[str]:
    curve = record.response
    assert curve is not None
    assert record.primary_month is not None
    others = [
        f"{wording.percent(share)} {wording.name_scenario(name)}"
        for name, share in curve.scenarios.items()
        if name != scenario
    ]
    tag = TAG_OF_SUPPORT[curve.points[record.primary_month].support]
    sentences = [
        f"Scenario: {wording.name_scenario(scenario)} {wording.cite(curve.source, tag)}. At "
        f"{wording.months(record.primary_month)} the others give {wording.join(others)}."
    ]
    if curve.denominator:
        sentences.append(f"Of {curve.denominator}.")
    if curve.trial_success is not None:
        sentences.append(
            f"{wording.percent(curve.trial_success)} of those tested pass; the shares above are of those treated."
        )
    return sentences + ([f"{curve.note[0].upper()}{curve.note[1:]}."] if curve.note else [])


def _describe_comparators(record: Record) -> str:
    month = record.primary_month or 0.0
    comparator = _compare(record, month)
    if comparator is None:
        said = explain_silence(record.own_comparators, "pain_response", month, record.without)
        return f"Without the procedure: {said}."
    return (
        f"In a control arm: {_format_comparator(comparator)} at {wording.months(comparator.month)} "
        f"({comparator.definition}; n {comparator.n}) {wording.cite(comparator.source, comparator.tag)}."
    )


def _show_predictors(record: Record) -> list[Section]:
    groups = (
        ("More likely to benefit", [item for item in record.active_predictors if item.odds_ratio > 1]),
        ("Less likely to benefit", [item for item in record.active_predictors if item.odds_ratio < 1]),
        ("Gains more over the alternatives", [item for item in record.predictors if item.kind == "effect_modifier"]),
    )
    blocks: list[Block] = []
    for heading, effects in groups:
        if effects:
            blocks += [f"{heading}:", tuple(wording.format_effect(item) for item in sorted(effects, key=_strength_of))]
    nulls = [wording.format_effect(item) for item in record.predictors if item.odds_ratio == 1]
    nulls += [wording.format_finding(finding) for finding in record.null_findings]
    if nulls:
        blocks += ["Looked for and not found:", tuple(nulls)]
    if not blocks:
        return []
    text = (
        "Odds ratios of response with their 95 % interval, computed by one rule from what studies publish; they "
        "predict and are no causes. "
    )
    if record.implied:
        text += (
            f"Together they let no model reach an area under the curve above {record.implied.bayes_optimal_auc:.2f} "
            f"({record.implied.active_predictors} independent predictors)."
        )
    return [Section(heading="Who is likely to benefit", level=3, blocks=(text, *blocks))]


def _strength_of(effect: PredictorEffect) -> float:
    return -max(effect.odds_ratio, 1 / effect.odds_ratio)


def _show_changes(record: Record) -> list[Section]:
    if not record.expected_change:
        return []
    lines = tuple(wording.format_change(change) for change in record.expected_change)
    return [Section(heading="Expected change", level=3, blocks=(lines,))]


def _show_complications(record: Record) -> list[Section]:
    if not record.complications:
        return [Section(heading="Complications", level=3, blocks=("No rate is known.",))]
    rows = tuple(
        (item.event, wording.format_complication_rate(item), wording.format_complication_note(item))
        for item in record.complications
    )
    return [
        Section(heading="Complications", level=3, blocks=(Grid(columns=("event", "rate", "source, note"), rows=rows),))
    ]


def _show_certainty(record: Record) -> list[Section]:
    if record.certainty is None:
        return []
    certainty = record.certainty
    grade = f"Graded {certainty.level}: {certainty.grade} {wording.cite(certainty.source, certainty.tag)}."
    return [Section(heading="Certainty", level=3, blocks=(grade,))]


def _show_conflicts(record: Record) -> list[Section]:
    blocks: list[Block] = []
    if record.seed:
        blocks.append(f"The founding review: {record.seed.says} {wording.cite(record.seed.source, record.seed.tag)}.")
    if record.seed_conflicts:
        blocks.append(
            tuple(
                f"it says: {item.claim}; but {item.finding} {wording.cite(item.source, item.tag)}"
                for item in record.seed_conflicts
            )
        )
    return [
        Section(heading="Where the founding review and its sources disagree", level=3, blocks=tuple(blocks))
    ] * bool(record.seed_conflicts)


def _show_unknown(record: Record) -> list[Section]:
    return [Section(heading="Not known", level=3, blocks=(record.not_known,))] if record.not_known else []


def _show_costs(records: Sequence[Record]) -> list[Section]:
    lines = tuple(dict.fromkeys(wording.format_cost(cost) for record in records for cost in record.costs))
    if all(record.gap for record in records):
        return []
    return [Section(heading="Cost", blocks=(lines or "No usable figure was found.",))]


def _show_sources(records: Iterable[Record]) -> Section:
    sources = load_sources()
    names = sorted({name for record in records for name in record.sources})
    lines = tuple(
        f"[{name}] {sources[name].citation} ({'; '.join(filter(None, (sources[name].access, sources[name].note)))})"
        for name in names
    )
    tags = "; ".join(f"{tag}: {meaning}" for tag, meaning in PROVENANCE_TAGS.items())
    return Section(heading="Sources", blocks=(f"Tags. {tags}.", lines))


def _format_note(note: str) -> str:
    return f" ({note})" if note else ""
