"""The expected response on a card: the curve as a table, the control arm beside it, and how long it lasts."""

from __future__ import annotations

from paincast.evidence import wording
from paincast.evidence.comparators import Comparator, choose_comparator, explain_silence
from paincast.evidence.figures import TAG_OF_SUPPORT, Curve, Record
from paincast.evidence.scenarios import shift_curve, shift_intervals
from paincast.reporting.evidence.blocks import Bar, Block, Grid, Line, Paragraph, Section, grade
from paincast.reporting.evidence.difference import Difference, compare_arms

PAIN = "pain_response"
NOT_COUNTED = {"interpolated": "read between other months", "carried over": "carried over from other indications"}
MOST_NOT_COUNTED = 0.4
"""Share of months that no study of the record counts above which the card begins with a warning."""


def compare(record: Record, month: float | None) -> Comparator | None:
    """Choose the control arm for a month."""
    return None if month is None else choose_comparator(record.own_comparators, PAIN, month)


def show_response(record: Record, scenario: str) -> Section:
    """Show the curve of a record in a scenario, and what a control arm had."""
    if record.response is None or record.primary_month is None:
        said = "No response curve; models stand on real data only."
        return Section(heading="Expected response", blocks=(Paragraph((Line(said),)),), wide=True)
    blocks: list[Block] = [Paragraph((warn,), label="Read with care:")] if (warn := warn_of(record.response)) else []
    blocks += [
        _grid_of_curve(record, scenario),
        Paragraph((show_difference(record), *_name_months_above(record, scenario)), label="Control arm:"),
        _list_scenarios(record, record.response, scenario),
        *_name_denominator(record.response),
    ]
    return Section(heading="Expected response", blocks=tuple(blocks), wide=True)


def warn_of(curve: Curve) -> Line | None:
    """Warn of a curve that mostly stands on no count of its own indication."""
    supports = [point.support for point in curve.points.values()]
    counts = {words: supports.count(support) for support, words in NOT_COUNTED.items() if support in supports}
    n, months = sum(counts.values()), len(supports)
    if n <= MOST_NOT_COUNTED * months:
        return None
    told = wording.join(f"{words} ({count})" for words, count in counts.items())
    which = f"all {months}" if n == months else f"{n} of {months}"
    return Line(f"{which} months were counted in no study of this indication, but {told}.")


def _grid_of_curve(record: Record, scenario: str) -> Grid:
    assert record.response is not None
    points = record.response.points
    curve, intervals = shift_curve(record, scenario), shift_intervals(record, scenario)
    controls = {month: compare(record, month) for month in curve}
    shown = 4 if any(controls.values()) else 3
    cited = (record.seed.source,) if record.seed and _is_of_seed(record, scenario) else ()
    rows = tuple(
        (
            Line(wording.months(month)),
            Line(wording.percent(share), cited or points[month].source, grade_share(record, month, scenario)),
            Line(wording.span(intervals[month])),
            format_control(controls[month], month),
        )[:shown]
        for month, share in curve.items()
    )
    bars = tuple(
        Bar(share, *intervals[month], control.share if (control := controls[month]) else None)
        for month, share in curve.items()
    )
    columns = ("after", "at least half less pain", "in a new study (95 %)", "control arm (95 % interval)")
    return Grid(columns=columns[:shown], rows=rows, bars=bars)


def grade_share(record: Record, month: float, scenario: str) -> str:
    """Find the letter of the share at a month in a scenario."""
    assert record.response is not None
    tag = "SEED" if _is_of_seed(record, scenario) else "DERIVED" if scenario == "pragmatic" else "FOUND"
    return grade(TAG_OF_SUPPORT[record.response.points[month].support], tag)


def _is_of_seed(record: Record, scenario: str) -> bool:
    """Tell whether the shares of a scenario are those of the founding review; without any they are the literature's."""
    return scenario == "seed_optimistic" and record.seed is not None and record.seed.response is not None


def format_control(control: Comparator | None, month: float | None, silence: str = "") -> Line:
    """Format the share of a control arm, with its month where it is another than the one asked."""
    if control is None:
        return Line(silence)
    when = "" if control.month == month else f" at {wording.months(control.month)}"
    interval = wording.span((control.lower, control.upper))
    text = f"{wording.percent(control.share)} ({interval}), {control.kind}{when}, n {control.n}"
    return Line(text, control.source, grade(control.tag))


def show_difference(record: Record) -> Line:
    """Show what the treated had over a control arm at the primary month, or why no trial tells."""
    month = record.primary_month or 0.0
    control = compare(record, month)
    if control is None:
        return Line(f"{explain_silence(record.own_comparators, PAIN, month, record.without)}.")
    difference = compare_arms(record, control)
    if difference is None:
        return Line(
            f"{wording.percent(control.share)} with {control.kind} at {wording.months(control.month)}; the benefit is "
            "not known, because not every trial of the control arm tells its treated arm near that month, and those "
            "treated in other studies are other patients.",
            control.source,
            grade(control.tag),
        )
    return Line(_describe_difference(difference, control), control.source, grade(control.tag))


def _describe_difference(difference: Difference, control: Comparator) -> str:
    trials = f"randomised trial{'s' * (len(control.source) > 1)}" if difference.randomised else "comparison"
    shares = (
        f"{wording.percent(difference.treated)} of {difference.n} treated and "
        f"{wording.percent(control.share)} of {control.n} with {control.kind}"
    )
    more = f"{wording.points(difference.points)} ({100 * difference.lower:+.0f} to {100 * difference.upper:+.0f})"
    needed = f", number needed to treat {difference.needed}."
    if difference.needed is None:
        needed = "; no number needed to treat, because the interval holds no difference."
    return (
        f"in the {trials} of this arm{'' if difference.randomised else ', which is not randomised,'} {shares} had at "
        f"least half less pain at {wording.months(control.month)}: {more}{needed}"
    )


def _name_months_above(record: Record, scenario: str) -> list[Line]:
    """Name the months at which a control arm had more than is expected of the treated."""
    curve = shift_curve(record, scenario)
    above = [month for month in curve if (control := compare(record, month)) and control.share > curve[month]]
    told = wording.join(wording.months(month) for month in above)
    return [Line(f"At {told} the control arm had more than is expected of the treated.")] if above else []


def _list_scenarios(record: Record, curve: Curve, scenario: str) -> Paragraph:
    """List the shares of all scenarios at the primary month, the chosen one first."""
    month = record.primary_month or 0.0
    lines = tuple(
        Line(f"{wording.percent(share)} {wording.name_scenario(name)}", (), grade_share(record, month, name))
        for name, share in sorted(curve.scenarios.items(), key=lambda pair: pair[0] != scenario)
        if name != "seed_optimistic" or _is_of_seed(record, name) or name == scenario
    )
    return Paragraph(lines, label=f"Scenarios at {wording.months(month)}:", joint=", ")


def _name_denominator(curve: Curve) -> list[Paragraph]:
    whom = curve.denominator or ("those treated" if curve.trial_success is not None else "")
    lines = [Line(f"{whom}{f' ({curve.note})' if curve.note else ''}")] if whom else []
    if curve.trial_success is not None:
        lines.append(Line(f"{wording.percent(curve.trial_success)} of those tested pass", (), "A"))
    return [Paragraph(tuple(lines), label="Shares are of", joint="; ")] if lines else []


def show_durability(record: Record, scenario: str) -> list[Section]:
    """Show in a line the share at the primary and the last months, and survival."""
    lines: list[Line] = []
    if record.response and record.primary_month is not None:
        curve = shift_curve(record, scenario)
        last = [month for month in curve if month > record.primary_month][-2:]
        for month in (record.primary_month, *last):
            text = f"{wording.percent(curve[month])} at {wording.months(month)}"
            lines.append(Line(text, (), grade_share(record, month, scenario)))
    if record.survival:
        months = wording.months(record.survival.median_months)
        lines.append(Line(f"median survival {months}", record.survival.source, grade(record.survival.tag)))
    paragraph = Paragraph(tuple(lines), label="At least half less pain:", joint=", ")
    return [Section(heading="Durability", blocks=(paragraph,))] if lines else []
