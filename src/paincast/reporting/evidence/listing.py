"""All techniques and indications at a glance: response, control, certainty, and gaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from paincast.evidence import wording
from paincast.evidence.comparators import choose_comparator
from paincast.evidence.figures import Record
from paincast.reporting.evidence.blocks import Card, Grid, Line, Paragraph, Section
from paincast.reporting.evidence.card import NOTE

_COLUMNS = ("technique", "indication", "month", "respond", "control arm", "certainty", "factors")
_WIDEST_GAP = 72


def build_list(records: Iterable[Record], scenario: str = "literature") -> Card:
    """Build the list of records as a card: one grid, and the gaps below it."""
    listed = tuple(records)
    rows = tuple(tuple(map(Line, _row_of(record, scenario))) for record in listed)
    gaps = tuple(
        Paragraph((Line(f"{gap}."),), label=f"{record.technique}, {_name_place(record)}:")
        for record in listed
        if (gap := _name_gap(record))
    )
    sections = (
        Section(
            heading=f"Expected response ({wording.name_scenario(scenario)})",
            blocks=(Grid(columns=_COLUMNS, rows=rows),),
            wide=True,
        ),
        Section(heading="Gaps", blocks=gaps, wide=True),
    )
    title = "Evidence by technique and indication"
    return Card(technique="all techniques", title=title, about=(Line(NOTE),), sections=sections[: 1 + bool(gaps)])


def _row_of(record: Record, scenario: str) -> tuple[str, ...]:
    month = "" if record.primary_month is None else f"{record.primary_month:g}"
    response = wording.percent(record.response.scenarios[scenario]) if record.response else "no model"
    comparator = choose_comparator(record.own_comparators, "pain_response", record.primary_month or 0.0)
    control = "" if comparator is None else f"{wording.percent(comparator.share)} {comparator.kind}"
    certainty = record.certainty.level if record.certainty else ""
    n = str(len(record.active_predictors)) if record.active_predictors else ""
    return record.technique, _name_place(record), month, response if month else "refused", control, certainty, n


def _name_place(record: Record) -> str:
    return " ".join(filter(None, (record.indication or "chronic_pain", record.approach)))


def _name_gap(record: Record) -> str:
    if record.gap:
        return record.gap
    return "" if record.response else "no response curve, so models stand on real data only"


def write_lines(records: Sequence[Record], scenario: str = "literature") -> str:
    """Write the list for a terminal, below a line per technique and without the number of predictors.

    Returns
    -------
    str
        Lines of at most 100 characters.
    """
    heads = _COLUMNS[1:-1]
    rows = [_row_of(record, scenario) for record in records]
    widths = [max(len(head), *(len(row[column]) for row in rows)) for column, head in enumerate(heads, 1)]
    lines = [_pad(heads, widths)]
    shown = ""
    for record, row in zip(records, rows, strict=True):
        if record.technique != shown:
            shown = record.technique
            lines.append(shown)
        lines.append(_pad(row[1:-1], widths))
        if gap := _name_gap(record):
            lines.append(f"      {_cut(gap)}")
    heading = (
        f"Share expected to lose at least half the pain ({wording.name_scenario(scenario)} scenario), and the share in",
        "a matching control arm, if a trial tells. 'paincast evidence TECHNIQUE' shows the card of one.",
    )
    return "\n".join([*heading, "", *lines, ""])


def _pad(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  " + "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST_GAP else f"{text[:_WIDEST_GAP].rsplit(' ', 1)[0]} …"
