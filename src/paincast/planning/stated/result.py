"""Check that the result of a comparison does not contradict itself, and whether it says something of techniques."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from paincast.effects.average import ATE
from paincast.errors import SettingsError
from paincast.schema import COMPARATORS, TECHNIQUES

COMPONENT_OF: Mapping[str, str] = MappingProxyType(
    {
        "pain_response": "relief",
        "relief_duration": "durability",
        "function_response": "function",
        "opioid_reduction": "opioid_reduction",
    }
)
"""Component that a contrast of an outcome is of."""

ENDS = ("estimate", "lower", "upper")


def check_verdict(content: Mapping[str, Any]) -> None:
    """Check that diagnostics, refusal and contrasts go with the verdict."""
    answered = content["verdict"] == "answered"
    if answered == (content["contrasts"] is None) or answered == (content["refusal"] is not None):
        raise _contradict("its verdict does not go with its contrasts and refusal")
    if not answered:
        return
    diagnostics = content["diagnostics"]
    if not diagnostics or content.get("passed", True) is not True:
        raise _contradict("it is answered, and not every diagnostic passed")
    for one in diagnostics:
        value, limit = one["value"], one["limit"]
        reached = value <= limit if one["is_upper"] else value >= limit
        if one["passed"] is not True or not reached:
            raise _contradict("it is answered, and not every diagnostic passed")


def check_strategies(
    strategies: Sequence[tuple[str, str, bool]], reference: str, rows: Sequence[Mapping[str, Any]]
) -> Mapping[str, str]:
    """Check that strategies and rows are complete, each once, and that the reference does not differ from itself."""
    techniques = {name: technique for name, technique, _ in strategies}
    whole = [technique for _, technique, has_approaches in strategies if not has_approaches]
    if len(techniques) < len(strategies) or len(set(whole)) < len(whole):
        raise _contradict("a strategy stands there twice")
    if len(strategies) < 2 or not set(techniques.values()) <= {*TECHNIQUES, *COMPARATORS}:
        raise _contradict("a strategy is unknown, or there are fewer than two")
    if reference not in techniques:
        raise _contradict("its reference is none of its strategies")
    keys = [(row["strategy"], row["population"]) for row in rows]
    if len(set(keys)) < len(keys) or any(row.get("reference", reference) != reference for row in rows):
        raise _contradict("a contrast stands there twice, or is with another reference")
    named = {row["strategy"] for row in rows if row["population"] == ATE}
    if {name for name, _ in keys} - set(techniques) or named | {reference} != set(techniques):
        raise _contradict("its contrasts are not those of its strategies")
    for row in rows:
        check_ends([row[name] for name in ENDS], is_reference=row["strategy"] == reference)
    return techniques


def check_ends(ends: Sequence[Any], *, is_reference: bool) -> None:
    """Check a difference of shares: three numbers, and an interval that holds its estimate; the reference has none."""
    if not all(type(end) in (int, float) and -1 <= end <= 1 for end in ends):
        raise _contradict("an estimate, or an end of its interval, is no difference of shares")
    if not ends[1] <= ends[0] <= ends[2]:
        raise _contradict("an interval does not hold its estimate")
    if is_reference and any(ends):
        raise _contradict("the reference differs from itself")


def find_unusable(strategies: Sequence[tuple[str, str, bool]], outcome: str) -> tuple[str, str] | None:
    """Find why a comparison says nothing of techniques or of a component."""
    if any(has_approaches for *_, has_approaches in strategies):
        return "approaches", "a comparison of approaches says nothing of techniques as a whole"
    if outcome not in COMPONENT_OF:
        return "outcome", f"a comparison of {outcome} is of no component of the preferences"
    if any(technique in COMPARATORS for _, technique, _ in strategies):
        return "comparator", "a comparison with a comparator does not order techniques"
    return None


def tabulate(
    techniques: Mapping[str, str],
    reference: str,
    outcome: str,
    rows: Sequence[Mapping[str, Any]],
    told: Mapping[str, Any],
) -> dict[str, Any]:
    """Turn rows of all analysed patients into plain data."""
    contrasts = {
        techniques[row["strategy"]]: {COMPONENT_OF[outcome]: [row[name] for name in ENDS]}
        for row in rows
        if row["population"] == ATE and row["strategy"] != reference
    }
    return {"reference": techniques[reference], "passed": True, "contrasts": contrasts, **told}


def _contradict(what: str) -> SettingsError:
    return SettingsError(
        f"comparison: the file contradicts itself: {what}; write it anew with 'paincast compare'",
        code="PC-PLANNING-14",
    )
