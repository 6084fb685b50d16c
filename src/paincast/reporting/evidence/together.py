"""The card of a technique with several records: what they say side by side, on two pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from paincast.evidence import wording
from paincast.evidence.figures import PredictorEffect, Record
from paincast.evidence.safety import SEVERITIES, Complication
from paincast.evidence.scenarios import shift_curve, shift_intervals
from paincast.reporting.evidence.blocks import Block, Grid, Line, Paragraph, Section, grade
from paincast.reporting.evidence.parts import name_effect, rank_effect, show_contraindications
from paincast.reporting.evidence.response import compare, format_control, grade_share, show_difference, warn_of

MOST_PREDICTORS = 8
MOST_UNKNOWN = 6
MOST_PLACES = 2
"""Items of a card with several records; each record's own card has the rest."""


def show_together(records: Sequence[Record], scenario: str) -> list[Section]:
    """Show records side by side: response, who benefits, contraindications, complications and what is not known."""
    told = [record for record in records if not record.gap]
    sections = [_show_response(records, scenario), *show_contraindications(records)]
    if told:
        sections += [*_show_benefit(told), _show_complications(told)]
    return [*sections, *_show_unknown(told or records)]


def _show_response(records: Sequence[Record], scenario: str) -> Section:
    ordered = sorted(records, key=lambda record: record.response is None)
    rows = tuple(
        (
            Line(wording.name_place(record)),
            _format_primary(record, scenario),
            _format_later(record, scenario),
            format_control(
                compare(record, record.primary_month), record.primary_month, "no trial tells" if record.response else ""
            ),
            _format_certainty(record),
        )
        for record in ordered
    )
    half = f"at least half less pain ({wording.name_scenario(scenario)})"
    blocks: list[Block] = [Grid(columns=("indication", half, "later", "control arm", "certainty"), rows=rows)]
    blocks += [
        Paragraph((warn,), label=f"{wording.name_place(record)}, read with care:")
        for record in records
        if record.response and (warn := warn_of(record.response))
    ]
    blocks += [
        Paragraph((show_difference(record),), label=f"{wording.name_place(record)}:")
        for record in records
        if record.response and compare(record, record.primary_month)
    ]
    blocks += [
        Paragraph((Line(f"{record.gap}."),), label=f"{wording.name_place(record)}: no evidence:")
        for record in records
        if record.gap
    ]
    return Section(heading="Indications", blocks=tuple(blocks), wide=True)


def _format_primary(record: Record, scenario: str) -> Line:
    if record.response is None or record.primary_month is None:
        return Line("no evidence" if record.gap else "no curve; models stand on real data only")
    month = record.primary_month
    interval = wording.span(shift_intervals(record, scenario)[month])
    text = f"{wording.percent(record.response.scenarios[scenario])} ({interval}) at {wording.months(month)}"
    return Line(text, record.response.points[month].source, grade_share(record, month, scenario))


def _format_later(record: Record, scenario: str) -> Line:
    if record.response is None or record.primary_month is None:
        return Line("")
    curve = shift_curve(record, scenario)
    later = [month for month in curve if month > record.primary_month]
    return Line(
        ", ".join(
            f"{wording.percent(curve[month])} at {month:g} ({grade_share(record, month, scenario)})" for month in later
        )
    )


def _format_certainty(record: Record) -> Line:
    if record.certainty is None:
        return Line("not graded")
    return Line(record.certainty.level, record.certainty.source if record.certainty.tag == "FOUND" else ())


def _show_benefit(records: Sequence[Record]) -> list[Section]:
    """Show the predictors with the clearest effects, over all records that have them."""
    studied = sorted(
        ((effect, record) for record in records for effect in record.predictors if effect.basis != "judged"),
        key=lambda pair: rank_effect(pair[0]),
    )
    groups: dict[str, list[tuple[PredictorEffect, Record]]] = {}
    for effect, record in studied:
        groups.setdefault(name_effect(replace(effect, note="")), []).append((effect, record))
    shown = list(groups.items())[:MOST_PREDICTORS]
    if not shown:
        return []
    rows = tuple(
        (
            Line(f"{name}{_only([record for _, record in found], records)}"),
            _format_effects([effect for effect, _ in found]),
        )
        for name, found in shown
    )
    grid = Grid(columns=("patients with", "odds ratio (95 % interval)"), rows=rows)
    remark = (
        "Odds ratios of response, shrunk towards 1: predictions, not causes. A range holds those of all indications."
    )
    return [Section(heading="Who benefits", blocks=(grid, Paragraph((Line(remark),))))]


def _format_effects(effects: Sequence[PredictorEffect]) -> Line:
    sources = _join_sources(effect.source for effect in effects)
    effects = [effect for effect in effects if effect.basis != "direction"] or effects
    if effects[0].basis == "direction":
        return Line(f"{wording.direct(effects[0])}, size not told", sources)
    letter = max(grade(effect.tag, remark=effect.note) for effect in effects)
    if len({wording.ratio(effect) for effect in effects}) == 1:
        return Line(wording.ratio(effects[0]), sources, letter)
    means = [effect.odds_ratio for effect in effects]
    lower, upper = min(effect.interval[0] for effect in effects), max(effect.interval[1] for effect in effects)
    ends = dict.fromkeys(f"{mean:.2f}" for mean in (min(means), max(means)))
    return Line(f"{' to '.join(ends)} ({lower:.2f} to {upper:.2f})", sources, letter)


def _show_complications(records: Sequence[Record]) -> Section:
    """Show one row for each kind of complication: its rate, or the lowest and the highest of the records."""
    found = [(item, record) for record in records for item in record.complications if not item.repeats]
    found.sort(key=lambda pair: (SEVERITIES.index(pair[0].severity), pair[0].kind, pair[0].rate is None))
    rows = tuple(
        (
            Line(first.severity),
            Line(f"{first.event}{_only([record for _, record in group], records)}"),
            _format_rates(items),
        )
        for group in (list(pairs) for _, pairs in groupby(found, key=lambda pair: pair[0].kind))
        for items in [[item for item, _ in group]]
        for first in items[:1]
    )
    block: Block = Paragraph((Line("No rate is known."),))
    if rows:
        block = Grid(columns=("severity", "complication", "rate (95 % interval)"), rows=rows)
    return Section(heading="Complications", blocks=(block,), wide=True)


def _format_rates(items: Sequence[Complication]) -> Line:
    rated = [item for item in items if item.rate]
    if not rated:
        return Line(wording.rate(items[0]), items[0].source)
    letter = max(grade(item.tag) for item in rated)
    sources = _join_sources(item.source for item in rated if item.tag != "ASSUMED")
    texts = list(dict.fromkeys(wording.rate(item) for item in rated))
    return Line("; ".join(texts) if len(texts) < 3 else f"{_range(rated)}", sources, letter)


def _range(items: Sequence[Complication]) -> str:
    shares = [item.estimate if item.estimate is not None else item.rate[1] for item in items if item.rate]
    lower, upper = min(item.rate[0] for item in items if item.rate), max(item.rate[1] for item in items if item.rate)
    return f"{wording.percent(min(shares))} to {wording.percent(max(shares))} ({wording.span((lower, upper))})"


def _show_unknown(records: Sequence[Record]) -> list[Section]:
    """Show what no study tells: of each record in turn the first, then the second."""
    ranked = [(place, text) for record in records for place, text in enumerate(record.not_known)]
    names = list(dict.fromkeys(text for _, text in sorted(ranked, key=lambda pair: pair[0])))
    if not names:
        return []
    first, *others = names[:MOST_UNKNOWN]
    lines = tuple(map(Line, (f"{first[0].upper()}{first[1:]}", *others)))
    return [Section(heading="Not known", blocks=(Paragraph(lines, joint="; "),), wide=True)]


def _only(found: Sequence[Record], records: Sequence[Record]) -> str:
    """Name the records that have something, or count them, where others have not."""
    places = list(dict.fromkeys(map(wording.name_place, found)))
    if len(places) == len(records):
        return ""
    if len(places) > MOST_PLACES:
        return f" ({len(places)} of {len(records)} indications)"
    return f" ({'; '.join(f'{place[0].lower()}{place[1:]}' for place in places)})"


def _join_sources(sources: Iterable[str | tuple[str, ...]]) -> tuple[str, ...]:
    names = ((source,) if isinstance(source, str) else source for source in sources)
    return tuple(dict.fromkeys(name for group in names for name in group))
