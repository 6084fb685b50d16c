"""Put a technique into a group by its rules, and tell what each missing fact would change."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from paincast.deferred import pandas as pd
from paincast.eligibility import assess_condition
from paincast.errors import RefusalError
from paincast.evidence.conditions import COMBINATIONS, Condition, describe_condition
from paincast.evidence.figures import Record
from paincast.evidence.records import load_sources, records_of
from paincast.evidence.safety import Contraindication
from paincast.schema import EPISODES
from paincast.scoring.conditions import list_columns

GROUPS = ("indicated", "not assessed", "contraindicated", "not indicated")
"""Groups of techniques, in the order of a plan; each technique is in one."""

HOLDS, CLEAR, OPEN = "holds", "clear", "not assessed"


@dataclass(frozen=True, kw_only=True)
class RuleResult:
    """A rule of a technique, assessed for the patient.

    Parameters
    ----------
    name, label : str
        Name of the rule, and of the characteristic that it is about.
    severity : {"absolute", "relative", "caution"}
        Absolute: not eligible; relative: needs a plan; caution: consider the risk.
    status : {"holds", "clear", "not assessed"}
        Whether the patient fulfils it.
    reason, condition : str
        Why it matters, and when it holds.
    source, citation, tag : str
        Where it is from.
    """

    name: str
    label: str
    severity: str
    status: str
    reason: str
    condition: str
    source: str
    citation: str
    tag: str


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """What a value of a missing fact would make of a technique.

    Parameters
    ----------
    value : str
        The value, in words.
    group : str
        Group that the technique would be in, everything else as it is known now.
    holds, still_open : tuple of str
        Names of the rules that would hold, and that could still not be assessed, among those the fact concerns.
    """

    value: str
    group: str
    holds: tuple[str, ...] = ()
    still_open: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OpenFact:
    """A missing fact that a technique needs, and what each possible value would change."""

    column: str
    description: str
    rules: tuple[str, ...]
    what_if: tuple[WhatIf, ...]


@dataclass(frozen=True, kw_only=True)
class Suitability:
    """The group of a technique, why, and all that was assessed."""

    group: str
    because: tuple[str, ...]
    records: tuple[Record, ...] = ()
    rules: tuple[RuleResult, ...] = ()
    open_facts: tuple[OpenFact, ...] = ()


def assess_technique(technique: str, episode: pd.DataFrame) -> Suitability:
    """Put a technique into a group for a patient.

    Parameters
    ----------
    technique : str
        Technique.
    episode : DataFrame of shape (1, ...)
        The patient, in the types of the contract.

    Returns
    -------
    Suitability
        ``indicated``: a record covers the indication, and no absolute rule holds or is open. ``not assessed``: an
        absolute rule cannot be assessed, or the indication is missing. ``contraindicated``: an absolute rule holds.
        ``not indicated``: no record covers the indication, or one says that there is no evidence.

    Examples
    --------
    >>> from paincast.planning.patient import read_facts
    >>> patient = {"indication": "lumbar_facet", "active_infection": True}
    >>> assess_technique("facet_rfa", read_facts(patient).episode).group
    'contraindicated'
    """
    indication = episode["indication"].iloc[0]
    if pd.isna(indication):
        return _assess_without_indication(technique, episode)
    own = [record for record in _records(technique) if indication in record.indications]
    chosen = choose_records(own, str(indication), episode["approach"].iloc[0])
    if not chosen:
        return Suitability(group="not indicated", because=(_explain(technique, own, str(indication)),))
    rules = _list_rules(chosen)
    truths = _assess(rules, episode)[0]
    results = tuple(_describe(rule, truth) for rule, truth in zip(rules, truths, strict=True))
    group = _choose_group(rules, truths)
    because = {
        "contraindicated": [item.reason for item in results if item.severity == "absolute" and item.status == HOLDS],
        "not assessed": [
            f"an absolute contraindication cannot be assessed: {item.label}"
            for item in results
            if item.severity == "absolute" and item.status == OPEN
        ],
        "indicated": [f"evidence covers the indication: {', '.join(record.title for record in chosen)}"],
    }[group]
    return Suitability(
        group=group,
        because=tuple(because),
        records=chosen,
        rules=results,
        open_facts=tuple(_list_open_facts(rules, truths, episode)),
    )


def _records(technique: str) -> tuple[Record, ...]:
    try:
        return records_of(technique)
    except RefusalError:
        return ()


def choose_records(records: Sequence[Record], indication: str, approach: Any) -> tuple[Record, ...]:
    """Choose for each approach the record that is nearest to an indication, of those that cover it.

    One with the indication as its own comes before one that covers it too.
    """
    nearest: dict[str | None, Record] = {}
    for record in sorted(records, key=lambda record: record.indication != indication):
        if not record.gap and (record.approach is None or pd.isna(approach) or approach == record.approach):
            nearest.setdefault(record.approach, record)
    return tuple(record for record in records if record in nearest.values())


def _explain(technique: str, covering: Sequence[Record], indication: str) -> str:
    """Explain why no record of a technique is used."""
    gaps = [record.gap for record in (covering or _records(technique)) if record.gap]
    if covering and len(gaps) == len(covering):
        return f"no evidence for {indication}: {gaps[0]}"
    if covering:
        return f"no record covers {indication} by the approach given; there is one for {_name_approaches(covering)}"
    treated = [name for record in _records(technique) if not record.gap for name in record.indications]
    if not treated:
        return f"no evidence: {gaps[0]}" if gaps else "no evidence record"
    return f"the indication is not one that it treats ({', '.join(dict.fromkeys(treated))})"


def _name_approaches(records: Sequence[Record]) -> str:
    return ", ".join(record.approach for record in records if record.approach)


def _assess_without_indication(technique: str, episode: pd.DataFrame) -> Suitability:
    """Tell which indications would make a technique one to consider, and its group in each."""
    records, approach = _records(technique), episode["approach"].iloc[0]
    treated = dict.fromkeys(name for record in records if not record.gap for name in record.indications)
    if not treated:
        return Suitability(group="not indicated", because=(_explain(technique, (), ""),))
    what_if = []
    for name in treated:
        own = [record for record in records if name in record.indications]
        rules = _list_rules(chosen := choose_records(own, name, approach))
        group = _choose_group(rules, _assess(rules, episode)[0]) if chosen else "not indicated"
        what_if.append(WhatIf(value=name, group=group))
    fact = OpenFact(
        column="indication",
        description=EPISODES["indication"].description,
        rules=("indication",),
        what_if=(*what_if, WhatIf(value="any other", group="not indicated")),
    )
    return Suitability(group="not assessed", because=("the indication is missing",), open_facts=(fact,))


def _list_rules(records: Sequence[Record]) -> list[Contraindication]:
    """List the distinct contraindications of records; those of several approaches count once."""
    rules = {(item.name, item.reason): item for record in records for item in record.contraindications}
    return list(rules.values())


def _assess(rules: Sequence[Contraindication], episodes: pd.DataFrame) -> list[list[bool | None]]:
    """Assess rules for each row: true, false, or None where it depends on unknown values."""
    columns = [assess_condition(rule.when, episodes).astype(object) for rule in rules]
    cleaned = [column.where(column.notna(), None).tolist() for column in columns]
    return [list(row) for row in zip(*cleaned, strict=True)] if rules else [[] for _ in range(len(episodes))]


def _choose_group(rules: Sequence[Contraindication], truths: Sequence[bool | None]) -> str:
    absolute = [truth for rule, truth in zip(rules, truths, strict=True) if rule.level == "absolute"]
    if True in absolute:
        return "contraindicated"
    return "not assessed" if None in absolute else "indicated"


def _describe(rule: Contraindication, truth: bool | None) -> RuleResult:
    return RuleResult(
        name=rule.name,
        label=rule.label,
        severity=rule.level,
        status={True: HOLDS, False: CLEAR, None: OPEN}[truth],
        reason=rule.reason,
        condition=describe_condition(rule.when),
        source=rule.source,
        citation=load_sources()[rule.source].citation,
        tag=rule.tag,
    )


class _Value(NamedTuple):
    words: str
    value: Any


def _list_open_facts(
    rules: Sequence[Contraindication], truths: Sequence[bool | None], episode: pd.DataFrame
) -> Iterator[OpenFact]:
    """Set each missing fact to each value that a rule tells apart, and assess all rules of the technique anew."""
    used = {rule.name: list_columns(rule.when) for rule in rules}
    is_open = [rule for rule, truth in zip(rules, truths, strict=True) if truth is None]
    missing = [name for rule in is_open for name in used[rule.name] if pd.isna(episode[name].iloc[0])]
    conditions = [rule.when for rule in rules]
    cases = [(name, value) for name in dict.fromkeys(missing) for value in list_values(name, conditions)]
    columns = list(dict.fromkeys(name for names in used.values() for name in names))
    rows = episode.loc[episode.index.repeat(len(cases)), columns].reset_index(drop=True)
    for name in dict.fromkeys(missing):
        tried = [value.value if other == name else None for other, value in cases]
        rows[name] = pd.Series(tried, dtype=object).astype(episode[name].dtype)
    assessed = list(zip(cases, _assess(rules, rows), strict=True))
    for name in dict.fromkeys(missing):
        concerned = [place for place, rule in enumerate(rules) if name in used[rule.name]]
        what_if = [
            WhatIf(
                value=value.words,
                group=_choose_group(rules, row),
                holds=tuple(rules[place].name for place in concerned if row[place]),
                still_open=tuple(rules[place].name for place in concerned if row[place] is None),
            )
            for (other, value), row in assessed
            if other == name
        ]
        yield OpenFact(
            column=name,
            description=EPISODES[name].description,
            rules=tuple(rules[place].name for place in concerned),
            what_if=tuple(what_if),
        )


def list_values(name: str, conditions: Sequence[Condition]) -> list[_Value]:
    """List values of a column of which conditions tell every two apart, with words.

    Examples
    --------
    >>> [item.words for item in list_values("inr", [{"column": "inr", "at_least": 1.5}])]
    ['below 1.5', 'at least 1.5']
    >>> [item.value for item in list_values("pregnant", [{"column": "pregnant", "is": True}])]
    [True, False]
    """
    column = EPISODES[name]
    comparisons = [part for condition in conditions for part in _walk(condition) if part["column"] == name]
    if column.type == "boolean":
        return [_Value("yes", True), _Value("no", False)]
    if column.type == "category":
        named = {value for part in comparisons for value in part["any_of"]}
        return [_Value(value.replace("_", " "), value) for value in column.categories if value in named] + [
            _Value("another", next(value for value in column.categories if value not in named))
        ]
    unit = f" {column.unit}" if column.unit else ""
    bounds = sorted({float(part.get("at_least", part.get("below"))) for part in comparisons})
    step = 1.0 if column.type == "integer" else 0.0
    lowest = bounds[0] - step if step else math.nextafter(bounds[0], -math.inf)
    words = [f"at least {bound:g}{unit}" for bound in bounds]
    return [_Value(f"below {bounds[0]:g}{unit}", lowest), *map(_Value, words, bounds)]


def _walk(condition: Condition) -> Iterator[Mapping[str, Any]]:
    """Yield the comparisons of a condition."""
    if "column" in condition:
        yield condition
    for combination in COMBINATIONS:
        for part in condition.get(combination, ()):
            yield from _walk(part)
