"""The parts of a card beside the response: who benefits, contraindications, complications, and what is not known."""

from __future__ import annotations

from collections.abc import Sequence

from paincast.evidence import wording
from paincast.evidence.context import PRACTICE_TOPICS, Cost
from paincast.evidence.figures import PredictorEffect, Record
from paincast.evidence.records import load_comparisons, load_practice
from paincast.evidence.safety import SEVERITIES, Complication, Contraindication
from paincast.reporting.evidence.blocks import BORROWED, Block, Grid, Line, Paragraph, Section, grade
from paincast.reporting.evidence.difference import describe_comparison

MOST_PREDICTORS = 6
MOST_FINDINGS = 6
"""Findings of practice that a card shows for each topic."""
_KINDS = {
    "selection": "acts on who is treated",
    "treatment": "a choice of technique",
    "effect_modifier": "gain over the alternatives",
}
_LEVELS = ("absolute", "relative", "caution")


def show_benefit(record: Record) -> list[Section]:
    """Show at most six predictors that studies report, then those that are only expected."""
    studied = sorted((item for item in record.predictors if item.basis != "judged"), key=rank_effect)
    shown, rest = studied[:MOST_PREDICTORS], studied[MOST_PREDICTORS:]
    blocks: list[Block] = []
    if shown:
        rows = tuple((Line(name_effect(item)), _format_effect(item)) for item in shown)
        blocks.append(Grid(columns=("patients with", "odds ratio (95 % interval)"), rows=rows))
    groups = (
        ("No association found:", [name_effect(item) for item in rest if item.basis == "null"]),
        (
            "Expected, not studied:",
            [name_effect(item, wording.direct(item)) for item in record.predictors if item.basis == "judged"],
        ),
    )
    blocks += [Paragraph((Line(f"{'; '.join(names)}."),), label=label) for label, names in groups if names]
    if not blocks:
        return []
    remark = "Odds ratios of response, shrunk towards 1: predictions, not causes."
    return [Section(heading="Who benefits", blocks=(*blocks, Paragraph((Line(remark),))))]


def rank_effect(effect: PredictorEffect) -> tuple[int, float]:
    """Rank clear sizes first, then other sizes, directions and null results, the strongest first."""
    lower, upper = effect.interval
    if effect.basis == "size":
        return int(lower <= 1.0 <= upper), -abs(effect.log_odds)
    return 2 + (effect.basis == "null"), -abs(effect.log_odds)


def name_effect(effect: PredictorEffect, more: str = "") -> str:
    """Name the patients whom a predictor is about, and where its figure is from."""
    borrowed = effect.note if effect.note.startswith(BORROWED) else ""
    about = "; ".join(filter(None, (_KINDS.get(effect.kind, ""), borrowed, more)))
    meaning = effect.meaning.partition("; ")[0]
    return f"{meaning} ({about})" if about else meaning


def _format_effect(effect: PredictorEffect) -> Line:
    if effect.basis == "direction":
        return Line(f"{wording.direct(effect)}, size not told", effect.source)
    return Line(wording.ratio(effect), effect.source, grade(effect.tag, remark=effect.note))


def show_contraindications(records: Sequence[Record]) -> list[Section]:
    """Show the contraindications of records by level; those of some of the records name them."""
    items = {(item.reason, item.level): item for record in records for item in record.contraindications}
    paragraphs = tuple(
        Paragraph(tuple(lines), label=f"{name.capitalize()}:", joint="; ")
        for name in _LEVELS
        if (lines := [_contraindicate(item, records) for item in items.values() if item.level == name])
    )
    return [Section(heading="Contraindications", blocks=paragraphs)] if paragraphs else []


def _contraindicate(item: Contraindication, records: Sequence[Record]) -> Line:
    own = [record for record in records if any(other.reason == item.reason for other in record.contraindications)]
    places = dict.fromkeys(wording.name_indication(record.indication) for record in own)
    only = f" (only {wording.join(places)})" if len(own) < len(records) else ""
    assumed = " (assumed)" if item.tag == "ASSUMED" else ""
    return Line(f"{item.reason}{only}{assumed}", () if assumed else item.source)


def show_complications(record: Record) -> Section:
    """Show the complications of a record, the serious ones first; one figure of each kind."""
    rated = {item.kind for item in record.complications if item.rate and not item.repeats}
    shown = [item for item in record.complications if not item.repeats and (item.rate or item.kind not in rated)]
    rows = tuple(
        (Line(item.severity), Line(item.event), _format_rate(item))
        for item in sorted(shown, key=lambda item: SEVERITIES.index(item.severity))
    )
    block: Block = Paragraph((Line("No rate is known."),))
    if rows:
        block = Grid(columns=("severity", "complication", "rate (95 % interval)"), rows=rows)
    return Section(heading="Complications", blocks=(block,))


def _format_rate(item: Complication) -> Line:
    told = item.note if item.severity == "serious" or item.rate is None else ""
    text = f"{wording.rate(item)}{f'; {told}' if told else ''}"
    return Line(text, () if item.tag == "ASSUMED" else item.source, grade(item.tag) if item.rate else "")


def show_unknown(record: Record) -> list[Section]:
    """Show what no study tells."""
    if not record.not_known:
        return []
    first, *others = record.not_known
    lines = tuple(map(Line, (f"{first[0].upper()}{first[1:]}", *others)))
    return [Section(heading="Not known", blocks=(Paragraph(lines, joint="; "),))]


def show_certainty(record: Record) -> list[Section]:
    """Show the certainty of the evidence, and whether a review states it."""
    certainty = record.certainty
    if certainty is None:
        return []
    who = "As graded in" if certainty.tag == "FOUND" else "Judged from"
    is_told = certainty.level == "none" or certainty.grade.startswith(certainty.level)
    told = certainty.grade if is_told else f"{certainty.level}: {certainty.grade}"
    lines = Line(f"{told[0].upper()}{told[1:]}."), Line(who, certainty.source)
    return [Section(heading="Certainty", blocks=(Paragraph(lines),))]


def show_gap(record: Record, heading: str) -> Section:
    """Show why there is no figure, and what is not known."""
    unknown = [Line(f"Not known: {'; '.join(record.not_known)}.")] if record.not_known else []
    block = Paragraph((Line(f"{record.gap}."), *unknown), label="No evidence:")
    return Section(heading=heading, blocks=(block,), wide=True)


def show_practice(technique: str, records: Sequence[Record]) -> Section:
    """Show what publications say of a technique in practice; a topic of which nothing was read is called unknown."""
    told = [(item.topic, Line(item.finding.removesuffix("."), item.source)) for item in load_practice(technique)]
    priced = {item.source for item in load_practice(technique) if item.topic == "cost"}
    costs = [cost for record in records for cost in record.costs if cost.source not in priced]
    told += [("cost", Line(format_cost(cost), cost.source)) for cost in costs]
    lines = {topic: list(dict.fromkeys(line for name, line in told if name == topic)) for topic in PRACTICE_TOPICS}
    blocks = tuple(
        Paragraph(_cut_lines(found), label=f"{topic.capitalize()}:", joint="; ") for topic, found in lines.items()
    )
    return Section(heading="In practice", blocks=blocks, wide=True)


def show_comparisons(technique: str, indications: Sequence[str]) -> list[Section]:
    """Show studies that compared the technique with another procedure, or two of its routes, in the same patients."""
    lines = tuple(
        Line(text, item.source)
        for item in load_comparisons()
        if item.indication in indications and technique in (item.first.technique, item.second.technique)
        for text in describe_comparison(item)
    )
    if not lines:
        return []
    return [Section(heading="Compared with other procedures", blocks=(Paragraph(lines, joint="; "),), wide=True)]


def _cut_lines(found: Sequence[Line]) -> tuple[Line, ...]:
    if not found:
        return (Line("unknown: no figure was read."),)
    rest = len(found) - MOST_FINDINGS
    return (*found[:MOST_FINDINGS], *([Line(f"{rest} more with --format json")] if rest > 0 else []))


def format_cost(cost: Cost) -> str:
    """Format a cost with its currency."""
    money = f"{cost.currency} " if cost.currency else ""
    shown = "" if cost.amount is None else f"{money}{cost.amount:,g}"
    if cost.range:
        ends = f"{cost.range[0]:,g} to {cost.range[1]:,g}"
        shown = f"{shown} ({ends})" if shown else f"{money}{ends}"
    about = f" ({cost.note})" if cost.note else ""
    return f"{cost.item}{f': {shown}' if shown else ''}{about}"
