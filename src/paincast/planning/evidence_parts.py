"""What evidence says of a technique beside the response: tests, complications, visits, recovery, costs, certainty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from paincast.evidence.context import Cost
from paincast.evidence.figures import Record
from paincast.evidence.records import load_practice
from paincast.evidence.safety import SEVERITIES, Complication
from paincast.planning.contents import Harm, Step, Sure
from paincast.planning.figures import Figure, Statement, publish
from paincast.planning.patient import Facts
from paincast.schema import EPISODES
from paincast.scoring.conditions import list_columns
from paincast.statistics import compute_wilson_interval

FIRST_YEAR = 12.0
RECOVERY = "stay and recovery"
PROTOCOL = ("diagnostic test", "adjunct", "protocol")


def list_steps(records: Sequence[Record], facts: Facts) -> tuple[Step, ...]:
    """List the blocks and trials on which a technique decides who is treated, and whether their result is known."""
    columns = dict.fromkeys(name for record in records for name in _list_funnel(record))
    [passes, *_] = [*filter(None, map(_count_passes, records)), None]
    return tuple(
        Step(
            column=name,
            description=EPISODES[name].description,
            is_known=facts.get(name) is not None,
            passes=passes,
        )
        for name in columns
    )


def _list_funnel(record: Record) -> Iterator[str]:
    named = [effect.column for effect in record.predictors]
    named += [name for rule in record.contraindications for name in list_columns(rule.when)]
    yield from (name for name in named if EPISODES[name].role == "funnel")


def _count_passes(record: Record) -> Figure | None:
    curve = record.response
    if curve is None or curve.trial_success is None:
        return None
    return publish(
        "share of those tested who pass",
        "share",
        curve.trial_source,
        "FOUND",
        value=curve.trial_success,
        lower=curve.trial_interval[0] if curve.trial_interval else None,
        upper=curve.trial_interval[1] if curve.trial_interval else None,
        interval="95 % interval" if curve.trial_interval else "",
        n=curve.trial_n,
        note="the expected response is of those who pass",
    )


def list_harms(records: Sequence[Record]) -> tuple[Harm, ...]:
    """List the complications of records, the serious ones first, one of each kind; uncounted ones have no value."""
    harms = [
        Harm(
            event=item.event,
            kind=item.kind,
            severity=item.severity,
            figure=show_rate(item),
            approach=record.approach or "",
        )
        for record in records
        for item in _choose_complications(record)
    ]
    return tuple(sorted(harms, key=lambda item: SEVERITIES.index(item.severity)))


def _choose_complications(record: Record) -> list[Complication]:
    rated = {item.kind for item in record.complications if item.rate and not item.repeats}
    return [item for item in record.complications if not item.repeats and (item.rate or item.kind not in rated)]


def show_rate(item: Complication) -> Figure:
    """Show the rate of a complication as a figure."""
    source = (item.source,) if isinstance(item.source, str) else item.source
    if item.rate is None:
        note = "; ".join(filter(None, ("no study counts it", item.note)))
        return publish(item.event, "share", source, item.tag, note=note)
    per_patient = item.rate if item.per == "patient" else item.per_patient
    unit = "share" if per_patient else f"share of each {item.per}"
    lower, upper, interval = _bound(item, per_patient or item.rate)
    value = item.estimate if item.estimate is not None else sum(per_patient or item.rate) / 2.0
    return publish(
        item.event,
        unit,
        source,
        item.tag,
        value=value,
        lower=lower,
        upper=upper,
        interval=interval,
        month=item.by_month,
        n=item.n,
        note=item.note,
    )


def _bound(item: Complication, ends: tuple[float, float]) -> tuple[float | None, float | None, str]:
    """Find the interval of a rate: published or pooled, by the number of patients, or lowest and highest published."""
    if item.estimate is not None or item.ci95:
        lower, upper = item.ci95 or ends
        return lower, upper, "95 % interval"
    if ends[0] < ends[1]:
        return *ends, "lowest and highest published rate"
    if not item.n:
        return None, None, "not told"
    lower, upper = map(float, compute_wilson_interval(ends[0], item.n))
    return lower, upper, "95 % interval (Wilson)"


def count_visits(records: Sequence[Record], steps: Sequence[Step]) -> Figure | None:
    """Count the visits of the first year by the schedule of a record: the procedure, tests still to do, follow-up."""
    counts = [sum(0 < month <= FIRST_YEAR for month in record.follow_up_months) for record in records]
    if not counts:
        return None
    tests = sum(not step.is_known for step in steps)
    low, high = min(counts) + 1 + tests, max(counts) + 1 + tests
    return Figure(
        name="visits in the first year",
        unit="visits",
        basis="schedule",
        validation="a schedule, not a count",
        value=float(high),
        lower=float(low),
        upper=float(high),
        interval="fewest and most of the approaches",
        source=tuple(record.id for record in records),
        note=f"one for the procedure, {tests} for tests still to do, and follow-up as the record has it",
    )


def list_statements(technique: str, topics: Sequence[str]) -> tuple[Statement, ...]:
    """List what publications say of a technique in practice; a topic of which nothing was read says so."""
    told = [
        Statement(text=item.finding, topic=item.topic, source=(item.source,), tag=item.tag)
        for item in load_practice(technique)
        if item.topic in topics
    ]
    silent = [topic for topic in topics if topic not in {item.topic for item in told}]
    return (*told, *(Statement(text="unknown: nothing was read of it", topic=topic) for topic in silent))


def list_published_costs(records: Sequence[Record]) -> tuple[Figure, ...]:
    """List the costs that records publish, each as it stands: other years, countries and views."""
    costs = dict.fromkeys(cost for record in records for cost in record.costs)
    return tuple(map(_show_cost, costs))


def _show_cost(cost: Cost) -> Figure:
    lower, upper = cost.range or (None, None)
    interval = "" if cost.range is None else "range or interval as published"
    return publish(
        cost.item,
        cost.currency or "none",
        cost.source,
        cost.tag,
        value=cost.amount,
        lower=lower,
        upper=upper,
        interval=interval,
        note=cost.note or ("" if cost.amount is not None or cost.range else "the source gives no figure"),
    )


def list_certainty(records: Sequence[Record]) -> tuple[Sure, ...]:
    """List the certainty of the evidence by approach."""
    return tuple(
        Sure(
            level=record.certainty.level,
            grade=record.certainty.grade,
            source=record.certainty.source,
            tag=record.certainty.tag,
            approach=record.approach or "",
        )
        for record in records
        if record.certainty
    )
