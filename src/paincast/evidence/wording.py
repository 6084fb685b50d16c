"""Format the figures of a record as text: percentages, months, ranges, and sentences with source and tag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from paincast.evidence.context import Cost, ExpectedChange, Finding
from paincast.evidence.figures import PredictorEffect, PublishedRate, Record
from paincast.evidence.safety import Complication

TECHNIQUE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "facet_rfa": "Radiofrequency ablation of the lumbar medial branches",
        "si_joint_rfa": "Radiofrequency ablation of the sacral lateral branches",
        "genicular_rfa": "Radiofrequency ablation of the genicular nerves",
        "nerve_root_block": "Selective nerve root block",
        "celiac_plexus_neurolysis": "Coeliac plexus neurolysis",
    }
)
INDICATION_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "lumbar_radicular_disc": "radicular pain from a disc herniation",
        "lumbar_stenosis": "lumbar spinal stenosis",
        "other_radicular": "radicular pain of other or mixed cause",
        "lumbar_facet": "lumbar facet joint pain",
        "sacroiliac_joint": "sacroiliac joint pain",
        "failed_back_surgery": "pain after spine surgery",
        "crps": "complex regional pain syndrome",
        "other_neuropathic": "other neuropathic pain",
        "": "chronic pain",
    }
)
SCENARIO_NAMES: Mapping[str, str] = MappingProxyType(
    {"literature": "literature", "pragmatic": "pragmatic", "seed_optimistic": "as the founding review has it"}
)
MEASURES: Mapping[str, str] = MappingProxyType(
    {
        "pain_nrs": "pain (NRS points)",
        "odi": "disability (ODI points)",
        "eq5d_index": "quality of life (EQ-5D index)",
        "opioid_mme": "opioid dose (mg morphine equivalents a day)",
        "opioid_users": "opioid users who stop or take less",
        "womac": "WOMAC points",
    }
)


def name_technique(technique: str) -> str:
    """Return the display name of a technique."""
    return TECHNIQUE_NAMES.get(technique) or technique.replace("_", " ").capitalize()


def name_indication(indication: str) -> str:
    """Return the display name of an indication."""
    return INDICATION_NAMES.get(indication) or indication.replace("_", " ")


def name_place(record: Record) -> str:
    """Return the display name of a record's indication and approach."""
    named = name_indication(record.indication)
    return f"{named[0].upper()}{named[1:]}" + (f", {record.approach}" if record.approach else "")


def name_scenario(scenario: str) -> str:
    """Return the display name of a scenario."""
    return SCENARIO_NAMES.get(scenario, scenario)


def percent(share: float) -> str:
    """Format a share in percent, with more digits for rare events.

    Examples
    --------
    >>> percent(0.54), percent(0.0997), percent(0.005), percent(0.00033)
    ('54 %', '10 %', '0.5 %', '0.033 %')
    """
    hundred = 100 * share
    return f"{hundred:.0f} %" if hundred >= 9.5 or hundred == 0 else f"{hundred:.2g} %"


def months(number: float) -> str:
    """Format a time after the procedure.

    Examples
    --------
    >>> months(0), months(0.5), months(1), months(24)
    ('once', '2 weeks', '1 month', '24 months')
    """
    if number == 0:
        return "once"
    if number < 1:
        weeks = max(1, round(number * 52 / 12))
        return f"{weeks} week{'s' * (weeks != 1)}"
    return f"{number:g} month{'s' * (number != 1)}"


def span(ends: tuple[float, float]) -> str:
    """Format a range of shares in percent."""
    low, high = ends
    return percent(low) if low == high else f"{percent(low).removesuffix(' %')} to {percent(high)}"


def join(parts: Iterable[str]) -> str:
    """Join items as in a sentence.

    Examples
    --------
    >>> join(["a", "b", "c"])
    'a, b and c'
    """
    items = list(parts)
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def cite(source: str | tuple[str, ...], tag: str) -> str:
    """Format source ids and tag in brackets."""
    names = (source,) if isinstance(source, str) else source
    return f"[{', '.join(names)}; {tag}]"


def schedule(follow_up: tuple[float, ...]) -> str:
    """Format the follow-up schedule."""
    if not follow_up:
        return "No follow-up schedule is recorded."
    later = [f"{month:g}" for month in follow_up if month > 0]
    return f"Follow-up: before the procedure and at {join(later)} months."


def format_published_rate(rate: PublishedRate) -> str:
    """Format a published rate."""
    spread = f" ({span(rate.ci95)})" if rate.ci95 else ""
    counted = f"n {rate.n}" if rate.n else ""
    about = "; ".join(filter(None, (rate.population, rate.design, counted, rate.note)))
    when = "at once" if rate.month == 0 else f"at {months(rate.month)}"
    return f"{percent(rate.share)}{spread} {when}: {rate.definition}{_more(about)} {cite(rate.source, rate.tag)}"


def format_finding(finding: Finding) -> str:
    """Format a finding."""
    about = "; ".join(
        filter(None, (f"at {months(finding.month)}" if finding.month else "", f"n {finding.n:,}" if finding.n else ""))
    )
    return f"{finding.finding}{_more(about)} {cite(finding.source, finding.tag)}"


def format_effect(effect: PredictorEffect) -> str:
    """Format the association of a predictor with response."""
    lower, upper = effect.interval
    size = f"odds ratio {effect.odds_ratio:.2f} ({lower:.2f} to {upper:.2f})"
    kinds = {"selection": "acts on who is treated", "treatment": "a choice of technique"}
    sizes = {"direction": "only the direction is published", "judged": "no study reports it"}
    about = "; ".join(filter(None, (kinds.get(effect.kind, ""), sizes.get(effect.basis, ""), effect.note)))
    found = f"{effect.finding[0].upper()}{effect.finding[1:]} " if effect.finding else ""
    return f"{effect.meaning}: {size}{_more(about)}. {found}{cite(effect.source, effect.tag)}"


def format_change(change: ExpectedChange) -> str:
    """Format the expected change of a measure."""
    share = change.measure == "opioid_users"
    shown = "" if change.change is None else percent(change.change) if share else f"{change.change:+g}"
    if change.range:
        shown = f"{change.range[0]:+g} to {change.range[1]:+g}"
    spread = [
        f"95 % interval {change.ci95[0]:g} to {change.ci95[1]:g}" if change.ci95 else "",
        f"standard deviation {change.sd:g}" if change.sd else "",
        "" if change.control_change is None else f"{change.control_change or 0:g} in the control group",
        change.note,
    ]
    when = f"at {months(change.month)}" if change.month else ""
    against = f"against {change.compared_with}" if change.compared_with else ""
    statement = " ".join(filter(None, (shown, against, when)))
    return (
        f"{MEASURES.get(change.measure, change.measure)}: {statement}{_more('; '.join(filter(None, spread)))} "
        + cite(change.source, change.tag)
    )


def format_complication_rate(item: Complication) -> str:
    """Format the rate of a complication with its denominator and time."""
    if item.rate is None:
        return "not known"
    rate = span(item.rate) + (f" of {item.per}s" if item.per != "patient" else "")
    if item.estimate is not None:
        rate = f"{percent(item.estimate)} ({rate})"
    rate += f" ({span(item.per_patient)} of patients)" if item.per_patient else ""
    return rate + (f" by {months(item.by_month)}" if item.by_month else "")


def format_complication_note(item: Complication) -> str:
    """Format the source, confidence interval, number of patients and remarks of a complication's rate."""
    spread = f"95 % interval {span(item.ci95)}" if item.ci95 else ""
    counted = "" if not item.n else f"n {item.n}" if item.events is None else f"{item.events} of {item.n}"
    details = "; ".join(filter(None, (spread, counted, item.repeats, item.note)))
    return f"{cite(item.source, item.tag)}{f' {details}' if details else ''}"


def format_cost(cost: Cost) -> str:
    """Format a cost."""
    money = f"{cost.currency} " if cost.currency else ""
    shown = "" if cost.amount is None else f"{money}{cost.amount:,g}"
    if cost.range:
        ends = f"{cost.range[0]:,g} to {cost.range[1]:,g}"
        shown = f"{shown} ({ends})" if shown else f"{money}{ends}"
    if cost.sd:
        shown += f" (standard deviation {cost.sd:g})"
    return f"{cost.item}{f': {shown}' if shown else ''}{_more(cost.note)} {cite(cost.source, cost.tag)}"


def _more(about: str) -> str:
    return f" ({about})" if about else ""
