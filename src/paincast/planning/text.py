"""Write a plan as text, wrapped for a terminal: the same content as its JSON, nothing ordered by a result."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace

from paincast.evidence import wording
from paincast.evidence.comparators import CONTROL_KINDS
from paincast.evidence.context import Comparison
from paincast.planning.contents import Benefit, Expected, Harm, Plan, TechniquePlan, Trial
from paincast.planning.figures import NOT_VALIDATED, Figure, Statement
from paincast.planning.preferences import Preferences
from paincast.planning.suitability import HOLDS, OPEN, OpenFact, RuleResult
from paincast.reporting.evidence.difference import describe_comparison

WIDTH = 100
LEGEND = (
    "Published figures were not held against patients of a registry. Tags: FOUND was read or counted, DERIVED computed "
    "from related figures, ASSUMED guessed, SEED said by the founding review."
)
MOST_STATEMENTS = 3
"""Statements of a topic that the text shows; JSON has all."""


def format_plan(made: Plan) -> str:
    """Write a plan as text.

    Examples
    --------
    >>> from paincast.planning import plan
    >>> print(format_plan(plan({"indication": "cancer_pain"})).splitlines()[0])
    # Plan for cancer pain
    """
    lines = [f"# Plan for {wording.name_indication(made.indication) if made.indication else 'an unknown indication'}"]
    lines += ["", *_wrap(" ".join((*made.notes, LEGEND))), *_list_problems(made), "", *_wrap(_describe_month(made))]
    lines += _wrap(f"Order: {made.order}.")
    for item in made.techniques:
        if item.records or item.open_facts:
            lines += _format_technique(item)
    lines += [*_format_others(made), *_format_work_up(made), *_format_comparisons(made.comparisons)]
    if made.comparison_unused:
        lines += ["", *_wrap(f"{made.comparison_unused[0].upper()}{made.comparison_unused[1:]}.")]
    if made.preferences:
        lines += _format_preferences(made.preferences)
    lines += _format_sources(made)
    return "\n".join(lines).rstrip() + "\n"


def _wrap(text: str, bullet: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _bullet(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in _wrap(text, "- ")]


def _head(title: str) -> list[str]:
    return ["", f"## {title}", ""]


def _describe_month(made: Plan) -> str:
    if made.month is None:
        return f"No common month: {made.month_because}."
    return f"All that is expected is at {wording.months(made.month)} ({made.month_because})."


def _list_problems(made: Plan) -> list[str]:
    """List what could not be used, and what does not go together."""
    texts = [f"not used: {item.column} ({item.rule}; {item.allowed})" for item in made.unread]
    texts += [
        f"{item.kind}: {item.finding}; likely {item.meaning}"
        + (f"; counted as unknown: {', '.join(item.set_aside)}" if item.set_aside else "")
        for item in made.contradictions
    ]
    if not made.indication:
        texts.append("missing: indication; without it no technique can be assessed")
    return ["", *_bullet(texts)] if texts else []


def _format_technique(item: TechniquePlan) -> list[str]:
    lines = [*_head(f"{item.title} ({item.technique}): {item.group}"), *_bullet(item.because)]
    lines += _bullet(_describe_rule(rule) for rule in item.rules if rule.status == HOLDS)
    open_rules = [rule.label for rule in item.rules if rule.status == OPEN]
    if open_rules:
        lines += _bullet([f"not assessed: {', '.join(open_rules)}"])
    lines += _bullet(_describe_fact(fact, item.group) for fact in item.open_facts)
    if item.ages:
        lines += _bullet([f"{item.ages}: what is expected is withheld; complications and visits are of other ages"])
    parts: tuple[tuple[str, Iterable[str]], ...] = (
        ("Before it", _describe_steps(item)),
        ("Expected", map(_describe_expected, item.expected)),
        ("Benefit over a control arm", map(_describe_benefit, item.benefits)),
        ("Trials against something else", map(_describe_trial, item.trials)),
        ("Found not to tell who responds", map(_describe_unrelated, item.tells_nothing)),
        ("Complications", map(_describe_harm, item.harms)),
        ("Later", map(format_figure, item.durability)),
        ("Visits", [format_figure(item.visits)] if item.visits else []),
        ("Stay and recovery", _describe_statements(item.recovery)),
        ("Protocol", _describe_statements(item.protocol)),
        ("Cost", map(format_figure, item.costs)),
        ("Certainty", (_by(sure.approach, f"{sure.level}: {sure.grade} [{sure.source}]") for sure in item.certainty)),
        ("Not known", item.not_known),
    )
    for title, texts in parts:
        bullets = _bullet(texts)
        lines += [f"{title}:", *bullets] if bullets else []
    return lines


def _by(approach: str, text: str) -> str:
    return f"{approach}: {text}" if approach else text


def _describe_rule(rule: RuleResult) -> str:
    return f"{rule.severity}: {rule.reason} [{rule.source}, {rule.tag}]"


def _describe_fact(fact: OpenFact, group: str) -> str:
    """Describe what the values of a missing fact would change, those alike together."""
    told: dict[str, list[str]] = {}
    for case in fact.what_if:
        consequence = case.group if case.group != group else "no change of group"
        if case.holds:
            consequence += f", {' and '.join(name.replace('_', ' ') for name in case.holds)} to weigh"
        if case.still_open:
            consequence += f", {' and '.join(name.replace('_', ' ') for name in case.still_open)} still open"
        told.setdefault(consequence, []).append(case.value.replace("_", " "))
    values = "; ".join(f"{', '.join(values)}: {consequence}" for consequence, values in told.items())
    return f"missing: {fact.column} ({fact.description}) -> {values}"


def _describe_steps(item: TechniquePlan) -> Iterator[str]:
    for step in item.steps:
        state = "result known" if step.is_known else "to be asked" if step.kind == "history" else "to do"
        passes = f"; {format_figure(step.passes)}" if step.passes else ""
        yield f"{step.column}: {step.description} ({state}){passes}"


def _describe_expected(item: Expected) -> str:
    control = format_figure(item.control) if item.control else f"none, {item.control_because}"
    return f"{_by(item.approach, format_figure(item.figure))}. Control arm: {control}"


def _describe_benefit(item: Benefit) -> str:
    if item.difference is None:
        return _by(item.approach, f"refused: {item.because}")
    return _by(item.approach, f"{format_figure(item.difference)}; {item.because}")


def _describe_harm(item: Harm) -> str:
    month = item.figure.month
    when = f"by {wording.months(month)}" if month else "no time told"
    whose = f"; counted in {', '.join(item.counted_in).replace('_', ' ')}" if item.counted_in else ""
    return _by(item.approach, f"{item.severity}: {format_figure(replace(item.figure, month=None))}; {when}{whose}")


def _describe_trial(item: Trial) -> str:
    result = "no difference" if item.result == "none" else item.result
    finding = f"{item.finding} [{item.source}, {item.tag}]"
    if item.against not in CONTROL_KINDS:
        return f"{result}: {finding}"
    when = f" at {wording.months(item.month)}" if item.month else ""
    n = f", n {item.n}" if item.n else ""
    outcome = item.outcome.replace("_", " ")
    return _by(item.approach, f"{result}: {outcome}{when} against {item.against}{n}, {item.design}: {finding}")


def _describe_unrelated(item: Statement) -> str:
    return f"{_by(item.topic, item.text)} [{', '.join(item.source)}]"


def _describe_statements(statements: tuple[Statement, ...]) -> Iterator[str]:
    topics = dict.fromkeys(item.topic for item in statements)
    for topic in topics:
        own = [item for item in statements if item.topic == topic]
        for item in own[:MOST_STATEMENTS]:
            cited = f" [{', '.join(item.source)}]" if item.source else ""
            yield f"{topic}: {item.text.removesuffix('.')}{cited}"
        if len(own) > MOST_STATEMENTS:
            yield f"{topic}: {len(own) - MOST_STATEMENTS} more with --json"


def format_figure(figure: Figure) -> str:
    """Format a figure with its interval, month, n, basis, sources and validation.

    That published figures are not validated stands once, at the top of a plan.

    Examples
    --------
    >>> format_figure(Figure(name="visits", unit="visits", basis="schedule", validation="a schedule", value=5.0))
    'visits: 5 visits (n not told; schedule; a schedule)'
    """
    about = [f"at {wording.months(figure.month)}"] if figure.month else []
    if figure.value is not None or figure.lower is not None:
        about += [f"n {figure.n:,}" if figure.n is not None else "n not told"]
        about += [" ".join(filter(None, (figure.basis, figure.tag)))]
        about += [f"of {figure.denominator}"] if figure.denominator else []
        about += [figure.validation] if figure.validation not in ("", NOT_VALIDATED) else []
    about += [figure.note] if figure.note else []
    told = f" ({'; '.join(about)})" if about else ""
    cited = f" [{', '.join(figure.source)}]" if figure.source else ""
    return f"{figure.name}: {_format_value(figure)}{told}{cited}"


def _format_value(figure: Figure) -> str:
    if figure.value is None and figure.lower is None:
        return "unknown"
    is_share = figure.unit.startswith("share")
    is_difference = is_share and (" less " in figure.name or "difference" in figure.name)

    def write(number: float) -> str:
        if is_difference:
            return f"{100 * number:+.0f} points"
        return wording.percent(number) if is_share else f"{number:,.4g}"

    unit = "" if is_share or figure.unit == "none" else f" {figure.unit}"
    value = "" if figure.value is None else f"{write(figure.value)}{unit}"
    if figure.lower is None or figure.upper is None or figure.lower == figure.upper:
        return value
    ends = f"{write(figure.lower)} to {write(figure.upper)}, {figure.interval}"
    return f"{value} ({ends})" if value else f"{ends}{unit}"


def _format_others(made: Plan) -> list[str]:
    """Name the techniques that do not fit, with the reason."""
    others = [item for item in made.techniques if not item.records and not item.open_facts]
    texts = [f"{item.technique}: {'; '.join(item.because)}" for item in others]
    return [*_head("Not indicated"), *_bullet(texts)] if texts else []


def _format_work_up(made: Plan) -> list[str]:
    titles = {
        "rule": "Find out, because a rule needs it",
        "test": "Do before the technique",
        "model": "Would sharpen what is expected",
    }
    lines = _head("Work-up") if made.work_up else []
    for kind, title in titles.items():
        own = [item for item in made.work_up if item.kind == kind]
        texts = [f"{item.column}: {item.description} (for {', '.join(item.techniques)})" for item in own]
        lines += [f"{title}:", *_bullet(texts)] if own else []
    return lines


def _format_comparisons(comparisons: tuple[Comparison, ...]) -> list[str]:
    if not comparisons:
        return []
    told = "Each is what one study found in its own patients; together they order nothing."
    texts = [f"{text} [{item.source}]" for item in comparisons for text in describe_comparison(item)]
    return [*_head("Studies that compared two procedures"), *_wrap(told), "", *_bullet(texts)]


def _format_preferences(preferences: Preferences) -> list[str]:
    lines = [*_head("By your weights"), *_wrap(f"{preferences.because[0].upper()}{preferences.because[1:]}.")]
    lines += ["", "Order: " + ", ".join(preferences.order)] if preferences.order else []
    for utility in preferences.utilities:
        parts = "; ".join(
            f"{item.name} {item.value:.3g} x weight {item.weight:g} ({format_figure(item.figure)})"
            for item in utility.components
        )
        ends = f"{utility.lower:.3g} to {utility.upper:.3g}"
        lines += _bullet([f"{utility.technique}: {utility.value:.3g} ({ends}): {parts or 'no component'}"])
    lines += _bullet(f"{name} has no say: {reason}" for name, reason in preferences.left_out.items())
    for move in preferences.moves:
        pair = f"{move.above} before {move.below}"
        moved = "no weight from 0 on makes them equal" if move.to is None else f"equal at weight {move.to:.4g}"
        lines += _bullet([f"{pair}, weight of {move.name} {move.weight:g}: {moved}"])
    return lines


def _format_sources(made: Plan) -> list[str]:
    texts = [f"{name}: {item.citation}" for name, item in made.sources.items()]
    return [*_head("Sources"), *_bullet(texts)] if texts else []
