"""What evidence says of a technique beside the response: tests, complications, trials, visits, costs, certainty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from paincast.evidence.context import ComparedOutcome, Comparison, Cost, Finding
from paincast.evidence.figures import Record
from paincast.evidence.records import comparisons_of, load_controlled_trials, load_practice
from paincast.evidence.safety import SEVERITIES, Complication
from paincast.planning.contents import Harm, Step, Sure, Trial
from paincast.planning.figures import Figure, Statement, publish
from paincast.planning.patient import Facts
from paincast.reporting.evidence.difference import describe_comparison
from paincast.schema import EPISODES
from paincast.scoring.conditions import list_columns
from paincast.statistics import compute_wilson_interval

FIRST_YEAR = 12.0
RECOVERY = "stay and recovery"
STEPS: Mapping[str, str] = {
    "diagnostic_blocks_positive": "block",
    "block_relief_percent": "block",
    "test_block_success": "block",
    "stimulation_trial_success": "trial",
    "failed_first_block": "history",
}
"""What tells each column of the funnel: a test block, a trial of the device, or what happened before."""

PROTOCOL = ("diagnostic test", "adjunct", "protocol")


def list_steps(records: Sequence[Record], facts: Facts) -> tuple[Step, ...]:
    """List the blocks and trials on which a technique decides who is treated, and whether their result is known."""
    columns = dict.fromkeys(name for record in records for name in _list_funnel(record))
    [passes, *_] = [*filter(None, map(_count_passes, records)), None]
    return tuple(
        Step(
            column=name,
            description=EPISODES[name].description,
            kind=STEPS[name],
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


def list_harms(records: Sequence[Record], indication: str) -> tuple[Harm, ...]:
    """List the complications of records, the serious ones first, one of each kind; uncounted ones have no value.

    Parameters
    ----------
    records : sequence of Record
        The nearest records, one for each approach.
    indication : str
        Indication of the patient; a rate of patients with another says so.
    """
    harms = [
        Harm(
            event=item.event,
            kind=item.kind,
            severity=item.severity,
            figure=show_rate(item),
            approach=record.approach or "",
            counted_in=_tell_others(item, record, indication),
        )
        for record in records
        for item in _choose_complications(record)
    ]
    return tuple(sorted(harms, key=lambda item: SEVERITIES.index(item.severity)))


def _tell_others(item: Complication, record: Record, indication: str) -> tuple[str, ...]:
    """Tell whose rate it is where patients with the indication were not counted by themselves."""
    counted = item.counted_in or record.indications[:1]
    return () if indication in counted else counted


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


def list_trials(technique: str, records: Sequence[Record], indication: str) -> tuple[Trial, ...]:
    """List what studies found that held a technique against a control arm or another procedure.

    Parameters
    ----------
    technique, indication : str
        The technique, and the indication of the patient.
    records : sequence of Record
        The nearest records, one for each approach; trials of other approaches are left out.

    Returns
    -------
    tuple of Trial
        In the order of the evidence base: no result decides where one stands.
    """
    approaches = {record.approach for record in records}

    def fits(approach: str) -> bool:
        return not approach or None in approaches or approach in approaches

    controlled = (
        Trial(
            **{name: getattr(item, name) for name in ("against", "outcome", "result", "finding", "source", "tag")},
            design="randomised trial",
            approach=item.approach,
            month=item.month,
            n=item.n,
        )
        for item in load_controlled_trials(technique)
        if indication in item.indications and fits(item.approach)
    )
    compared = (
        trial
        for item in comparisons_of(indication, technique)
        for trial in _read_comparison(item, technique)
        if fits(trial.approach)
    )
    return (*controlled, *compared)


def _read_comparison(item: Comparison, technique: str) -> Iterator[Trial]:
    """Read what a comparison of two procedures says of a technique, which may be both of them by two approaches."""
    texts = list(describe_comparison(item))
    results = [*map(_judge, item.outcomes), *(finding.result or NOT_TOLD for finding in item.findings)]
    sides = ((item.first, item.second, False), (item.second, item.first, True))
    for own, other, is_second in sides:
        if own.technique != technique or (is_second and other.technique == technique):
            continue
        findings: tuple[ComparedOutcome | Finding, ...] = (*item.outcomes, *item.findings)
        for told, text, result in zip(findings, texts, results, strict=True):
            patients = [told.first_n, told.second_n] if isinstance(told, ComparedOutcome) else [told.n]
            yield Trial(
                against=other.what,
                outcome=told.outcome,
                result=_TURNED.get(result, result) if is_second else result,
                finding=text,
                design=item.design,
                source=item.source,
                tag=item.tag,
                approach=own.approach,
                technique=other.technique,
                by=other.approach,
                month=told.month,
                n=None if None in patients else sum(n or 0 for n in patients),
            )


NOT_TOLD = "not told"
_TURNED = {"better": "worse", "worse": "better"}
_LOWER_IS_BETTER = ("pain", "pain_change")


def _judge(outcome: ComparedOutcome) -> str:
    """Judge what the interval of a difference says of the first arm."""
    if outcome.lower is None or outcome.upper is None:
        return NOT_TOLD
    if outcome.lower <= 0.0 <= outcome.upper:
        return "none"
    if outcome.measure == "mean" and outcome.outcome not in _LOWER_IS_BETTER:
        return "different"
    return "better" if (outcome.lower > 0.0) == (outcome.measure == "share") else "worse"


def list_unrelated(records: Sequence[Record]) -> tuple[Statement, ...]:
    """List what studies found not to tell who responds: columns with a null result alone, and other null findings."""
    nulls = [
        Statement(text=effect.finding or effect.meaning, topic=effect.column, source=effect.source, tag=effect.tag)
        for record in records
        for effect in record.predictors
        if effect.basis == "null" and effect.column not in {other.column for other in record.active_predictors}
    ]
    told = [
        Statement(text=item.finding, source=(item.source,), tag=item.tag)
        for record in records
        for item in record.null_findings
    ]
    by_name = {statement.topic or statement.text: statement for statement in reversed([*nulls, *told])}
    return tuple(reversed(by_name.values()))


def count_visits(records: Sequence[Record], steps: Sequence[Step]) -> Figure | None:
    """Count the visits of the first year by the schedule of a record: the procedure, tests still to do, follow-up."""
    counts = [sum(0 < month <= FIRST_YEAR for month in record.follow_up_months) for record in records]
    if not counts:
        return None
    done = {step.kind for step in steps if step.is_known}
    tests = len({step.kind for step in steps} - done - {"history"})
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
