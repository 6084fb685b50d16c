"""Put a plan into the words of a language: everything that the page shows, and nothing that it computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from paincast.evidence.reading import list_source_ids
from paincast.files.serialization import to_plain
from paincast.planning.contents import Expected, Plan, TechniquePlan
from paincast.planning.figures import Figure
from paincast.planning.page.catalogue import Words
from paincast.planning.page.compared import summarise_compared, write_compared, write_unrelated
from paincast.planning.page.harms import write_harms
from paincast.planning.page.icons import PEOPLE
from paincast.planning.page.naming import name_column, name_indication, name_technique, write_value
from paincast.planning.page.relief import (
    count_figure,
    draw_control,
    draw_treated,
    draw_unknown_treated,
    find_control,
    list_relief,
    write_benefit,
    write_confidence,
    write_lasts,
    write_later,
)
from paincast.planning.page.table import compare_options
from paincast.planning.page.view import OptionView, PageView
from paincast.planning.page.work_up import list_missing, write_steps
from paincast.planning.patient import Contradiction
from paincast.planning.suitability import HOLDS, OPEN, RuleResult

VALUES = ("pain", "lasting", "moving", "drugs", "harm", "recover", "visits", "cost")
"""What may matter to a patient, in the order of the catalogue."""

OPEN_GROUPS = ("indicated", "not assessed")
"""Groups of options that the patient may have."""

SHOWN = (*OPEN_GROUPS, "contraindicated")
"""Groups that have a part of their own; the others are named."""


def make_view(plan: Plan, facts: Mapping[str, object], words: Words, today: date) -> PageView:
    """Put a plan into words.

    Parameters
    ----------
    plan : Plan
        The plan.
    facts : mapping of str to object
        Values of the patient by column, for the patient to check; those that the plan could not use are left out.
    words : Words
        The language.
    today : date
        Date of the page.
    """
    shown = [item for item in plan.techniques if item.group in SHOWN]
    options = [_view_option(item, plan, words) for item in shown]
    indication = name_indication(plan.indication, words)
    return PageView(
        title=words.write("page", "title", indication=indication),
        choice=list(_write_choice(plan, words)),
        facts=[
            (name_column(name, words), write_value(name, facts[name], words)) for name in plan.known if name in facts
        ],
        unread=_unique(name_column(item.column, words) for item in plan.unread),
        contradictions=[_write_contradiction(item, words) for item in plan.contradictions],
        missing=_list_missing(plan, words),
        options=options,
        others=[name_technique(item, words) for item in plan.techniques if item.group not in SHOWN],
        rows=list(compare_options([option for option in options if option.is_open], words)),
        without=_write_without(shown, plan, words),
        values=VALUES,
        preferences=_write_preferences(plan, words),
        certainty=[(name_technique(item, words), _write_certainty(item, words)) for item in shown],
        sources=_list_sources(shown, plan),
        about=[
            words.write("about", "made", date=today.isoformat(), version=plan.version, evidence=plan.evidence_version),
            *(words.write("about", name) for name in ("who", "update", "funding", "tested", "grade")),
        ],
    )


def _list_sources(shown: Sequence[TechniquePlan], plan: Plan) -> list[tuple[str, str]]:
    """List the sources of what the page tells; the plan as text and JSON cites more."""
    parts = (
        "rules",
        "steps",
        "expected",
        "benefits",
        "trials",
        "tells_nothing",
        "harms",
        "durability",
        "costs",
        "certainty",
    )
    used = list_source_ids([to_plain(getattr(item, name)) for item in shown for name in parts])
    return [
        (item.citation, f"https://doi.org/{item.doi}" if item.doi else item.url)
        for name, item in plan.sources.items()
        if name in used
    ]


def _unique(sentences: Iterator[str] | Sequence[str]) -> list[str]:
    return list(dict.fromkeys(sentences))


def _list_missing(plan: Plan, words: Words) -> list[tuple[str, list[str]]]:
    """List the facts that could change the page: what models lack, only where a model answered."""
    by_model = any(one.figure.basis != "published" for item in plan.techniques for one in item.expected)
    return list_missing([item for item in plan.work_up if by_model or item.kind != "model"], words)


def _write_contradiction(item: Contradiction, words: Words) -> str:
    if not item.set_aside:
        return words.write("told", "doubtful")
    return words.write("told", "contradiction", facts="; ".join(name_column(name, words) for name in item.set_aside))


def _write_choice(plan: Plan, words: Words) -> Iterator[str]:
    if plan.indication in words.get("indications"):
        yield words.write("indications", plan.indication, "about")
    has_options = any(item.group in OPEN_GROUPS for item in plan.techniques)
    yield words.write("choice", "options" if has_options else "no_options")
    yield words.write("choice", "not_effect")
    if plan.month is None:
        yield words.write("choice", "no_month")
    else:
        yield words.write("choice", "month", month=words.write_months(plan.month))
    if any(item.ages for item in plan.techniques):
        yield words.write("choice", "ages")


def _view_option(item: TechniquePlan, plan: Plan, words: Words) -> OptionView:
    is_open = item.group in OPEN_GROUPS
    known = words.get("techniques").get(item.technique)
    view = OptionView(
        name=item.technique,
        heading=name_technique(item, words),
        what=known["what"] if known else item.title,
        standing=item.group.replace(" ", "_"),
        reasons=_unique(
            words.write("rules", rule.name, "reason")
            for rule in item.rules
            if rule.status == HOLDS and rule.severity == "absolute"
        ),
        missing=list(_list_open(item.rules, words)),
        is_open=is_open,
    )
    if not is_open:
        return view
    severities = {rule.name: rule.severity for rule in item.rules if rule.status == HOLDS}
    month = plan.month
    treated = [draw_treated(expected, item, month, words) for expected in list_relief(item)]
    control = find_control(item, month)
    details = {
        "first": _write_first(item, words),
        "watch": _unique(words.write("rules", n, "reason") for n, s in severities.items() if s != "absolute"),
        "treated": treated or [draw_unknown_treated(item, month, words)],
        "control": draw_control(control, item, month, words),
        "benefit": list(write_benefit(item, month, words)),
        "compared": write_compared(item, words),
        "found": [summarise_compared(item, words)],
        "unrelated": write_unrelated(item, words),
        "harms": write_harms(item.harms, words),
        "lasts": write_lasts(item, words) or [words.write("lasts", "unknown")],
        "later": write_later(item, words),
        "visits": [_write_visits(item.visits, words)],
        "recovery": [_write_recovery(item, words)],
        "cost": [_write_cost(item.costs, words)],
        "unknown": list(_write_unknown(item, plan, control, words)),
    }
    return OptionView(**{**vars(view), **details})


def _list_open(rules: Sequence[RuleResult], words: Words) -> Iterator[tuple[str, list[str]]]:
    """List the facts that rules lack under what they could mean."""
    is_open = [rule for rule in rules if rule.status == OPEN]
    for name, excludes in (("would_exclude", True), ("would_caution", False)):
        facts = [words.get("rules", rule.name, "fact") for rule in is_open if (rule.severity == "absolute") == excludes]
        if facts:
            yield words.write("option", name), _unique(facts)


def _write_first(item: TechniquePlan, words: Words) -> list[str]:
    sentences = write_steps(item.steps, words)
    passes = next((step.passes for step in item.steps if step.passes and step.passes.value is not None), None)
    if passes is not None and passes.value is not None:
        sentences.append(words.write("option", "passes", number=round(PEOPLE * passes.value)))
    if any(rule.status == OPEN for rule in item.rules):
        sentences.append(words.write("option", "find_out"))
    return sentences or [words.write("option", "first_none")]


def _write_visits(figure: Figure | None, words: Words) -> str:
    if figure is None or figure.value is None:
        return words.write("visits", "unknown")
    low, high = (round(figure.value if end is None else end) for end in (figure.lower, figure.upper))
    if low == high:
        return words.write("visits", "exact", number=high)
    return words.write("visits", "range", lower=low, upper=high)


def _write_recovery(item: TechniquePlan, words: Words) -> str:
    return words.write("recovery", "told" if any(one.source for one in item.recovery) else "unknown")


def _write_cost(costs: Sequence[Figure], words: Words) -> str:
    price = next((figure for figure in costs if figure.name == "price of one procedure"), None)
    if price is None or price.value is None:
        return words.write("cost", "unknown")
    currency, _, year = price.unit.partition(" of ")
    note = words.write("cost", "year", year=year)
    if price.lower is None or price.upper is None:
        return words.write("cost", "known", amount=f"{currency} {price.value:,.0f}", note=note)
    ends = (f"{currency} {end:,.0f}" for end in (price.lower, price.upper))
    told = words.write("cost", "range", lower=next(ends), upper=next(ends), note=note)
    return " ".join([told, *write_confidence([price], words)])


def _write_unknown(item: TechniquePlan, plan: Plan, control: Expected | None, words: Words) -> Iterator[str]:
    if item.group == "not assessed":
        yield words.write("unknown", "standing")
    if plan.month is not None:
        when = words.write_months(plan.month)
        if not list_relief(item):
            yield words.write("relief", "with_unknown", month=when)
        if control is None:
            yield words.write("relief", "without_unknown", month=when)
    if not write_lasts(item, words):
        yield words.write("unknown", "lasting")
    uncounted = len({harm.kind for harm in item.harms if harm.figure.value is None})
    if uncounted:
        yield words.write("unknown", "harm" if uncounted == 1 else "harms", number=uncounted)
    if not any(trial.technique not in ("", item.technique) for trial in item.trials):
        yield words.write("unknown", "compared")
    if not any(one.figure.validation and one.figure.basis in ("real", "blended") for one in list_relief(item)):
        yield words.write("unknown", "validated")
    if item.not_known:
        yield words.write("unknown", "open_one" if len(item.not_known) == 1 else "open", number=len(item.not_known))


def _write_without(shown: Sequence[TechniquePlan], plan: Plan, words: Words) -> list[str]:
    sentences = [words.write("without", "lead")]
    told = []
    for item in shown:
        found = find_control(item, plan.month)
        if found and found.control and plan.month is not None:
            kind = found.control.note.partition(":")[0]
            told.append(
                words.write(
                    "without",
                    "arm",
                    kind=words.get("controls").get(kind, kind),
                    month=words.write_months(plan.month),
                    **vars(count_figure(found.control)),
                )
            )
            told += write_confidence([found.control], words)
    sentences += [words.write("without", "known"), *_unique(told)] if told else [words.write("without", "unknown")]
    return [*sentences, words.write("harms", "not_counted_without"), words.write("without", "change")]


def _write_preferences(plan: Plan, words: Words) -> list[str]:
    sentences = [words.write("values", "order" if plan.preferences is None else "weighed")]
    if plan.comparison_unused:
        return [*sentences, words.write("values", "comparison_unused")]
    return [*sentences, words.write("values", "no_comparison")] if plan.preferences is None else sentences


def _write_certainty(item: TechniquePlan, words: Words) -> list[str]:
    levels = {sure.level for sure in item.certainty} or {"none"}
    sentences = [words.write("sure", "levels", level) for level in words.get("sure", "levels") if level in levels]
    relief = list_relief(item)
    sentences += [words.write("sure", "basis", figure.figure.basis) for figure in relief]
    counted = [one.figure.n for one in relief if one.figure.n]
    if counted:
        sentences.append(words.write("sure", "counted", n=f"{max(counted):,}"))
    return _unique(sentences)
