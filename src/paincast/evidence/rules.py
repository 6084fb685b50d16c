"""Collect the rules of a technique from its evidence records: indications, comparators, contraindications."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from paincast import evidence
from paincast.errors import DataError
from paincast.evidence.comparators import CONTROL_KINDS
from paincast.evidence.conditions import check_condition

_RULE_KEYS = {"name", "label", "level", "reason", "when", "indications"}
_CONTROL_KEYS = {
    *("indication", "approach", "arm", "month", "probability", "lower", "upper", "n", "definition", "source", "tag"),
}


@dataclass(frozen=True, kw_only=True)
class TechniqueRules:
    """Rules of a technique, as plain data that a bundle can store.

    Parameters
    ----------
    indications : tuple of str
        Indications that the technique treats.
    controls : tuple of dict
        ``indication, approach, arm, month, probability, lower, upper, n, definition, source, tag``: share with the
        outcome in the control arms of trials, see :class:`paincast.evidence.comparators.Comparator`.
    contraindications : tuple of dict
        ``name, label, level, reason, when, indications``: makes patients with an indication in ``indications`` who
        fulfil ``when`` ineligible (level ``absolute``) or adds a caution.
    gaps : tuple of dict
        ``indication, reason``: indications for which a record states that there is no evidence, with the reason.
    without_evidence : tuple of str
        Indications without evidence, for which the model is based only on real patients.
    remarks : tuple of dict
        ``indication, approach, remark``: what trials say of patients without the procedure where no control fits.
    """

    indications: tuple[str, ...]
    controls: tuple[dict[str, Any], ...] = ()
    contraindications: tuple[dict[str, Any], ...] = ()
    gaps: tuple[dict[str, Any], ...] = ()
    without_evidence: tuple[str, ...] = ()
    remarks: tuple[dict[str, Any], ...] = ()


def collect_rules(technique: str, outcome: str) -> TechniqueRules:
    """Collect the rules of a technique from its evidence records.

    Parameters
    ----------
    technique : str
        Name of the technique.
    outcome : str
        Outcome; control arms are compared for the outcomes of
        :data:`paincast.evidence.comparators.OUTCOME_OF` only.

    Returns
    -------
    TechniqueRules

    Raises
    ------
    RefusalError
        If there is no evidence for the technique.
    """
    return TechniqueRules(
        indications=evidence.indications_of(technique),
        controls=_collect_controls(technique, outcome),
        contraindications=collect_contraindications(technique),
        gaps=tuple({"indication": name, "reason": gap} for name, gap in evidence.gaps_of(technique).items()),
        remarks=_collect_remarks(technique),
    )


def _collect_controls(technique: str, outcome: str) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "indication": comparator.indication,
            "approach": record.approach,
            "arm": comparator.kind,
            "month": comparator.month,
            "probability": comparator.share,
            "lower": comparator.lower,
            "upper": comparator.upper,
            "n": comparator.n,
            "definition": comparator.definition,
            "source": list(comparator.source),
            "tag": comparator.tag,
        }
        for record in evidence.records_of(technique)
        for comparator in record.comparators
        if comparator.outcome == outcome
    )


def _collect_remarks(technique: str) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"indication": indication, "approach": record.approach, "remark": record.without}
        for record in evidence.records_of(technique)
        if record.without
        for indication in record.indications
    )


def collect_contraindications(technique: str) -> tuple[dict[str, Any], ...]:
    """Collect the distinct contraindications of a technique, with the indications of the records that name them."""
    rules: dict[tuple[str, str], dict[str, Any]] = {}
    for record in evidence.records_of(technique):
        for contraindication in record.contraindications:
            plain = {
                "name": contraindication.name,
                "label": contraindication.label,
                "level": contraindication.level,
                "reason": contraindication.reason,
            }
            rule = rules.setdefault(
                (contraindication.name, contraindication.reason),
                {**plain, "when": contraindication.when, "indications": []},
            )
            rule["indications"] += [name for name in record.indications if name not in rule["indications"]]
    return tuple(rules.values())


def check_rules(rules: TechniqueRules) -> None:
    """Check that the contraindications and controls of a bundle can be used.

    Raises
    ------
    DataError
        If a condition or control is malformed.
    """
    for number, rule in enumerate(rules.contraindications, 1):
        if "when" in rule:
            if set(rule) != _RULE_KEYS:
                raise DataError(
                    f"contraindication {number} of the bundle: keys are to be {', '.join(sorted(_RULE_KEYS))}",
                    code="PC-ELIGIBILITY-01",
                )
            check_condition(rule["when"], f"contraindication {number} of the bundle")
    for number, control in enumerate(rules.controls, 1):
        if "month" in control and not _is_control(control):
            raise DataError(f"control {number} of the bundle is malformed", code="PC-ELIGIBILITY-04")


def _is_control(control: dict[str, Any]) -> bool:
    numbers = [control.get(name) for name in ("month", "probability", "lower", "upper", "n")]
    if set(control) != _CONTROL_KEYS or not all(type(value) in (int, float) for value in numbers):
        return False
    texts = [control[name] for name in ("indication", "arm", "definition", "tag")]
    return (
        control["arm"] in CONTROL_KINDS
        and all(isinstance(text, str) for text in [*texts, control["approach"] or ""])
        and isinstance(control["source"], list)
        and all(isinstance(name, str) for name in control["source"])
        and control["month"] > 0
        and 0 <= control["lower"] <= control["probability"] <= control["upper"] <= 1
    )


def renew_rules(technique: str, outcome: str, rules: TechniqueRules) -> TechniqueRules:
    """Replace, in the rules of an older bundle, contraindications without conditions and controls without a month."""
    if not (rules.contraindications and all("when" in rule for rule in rules.contraindications)):
        rules = replace(rules, contraindications=collect_contraindications(technique))
    if rules.controls and not all("month" in control for control in rules.controls):
        controls, remarks = _collect_controls(technique, outcome), _collect_remarks(technique)
        rules = replace(rules, controls=controls, remarks=remarks)
    return rules


def take_without_evidence(rules: TechniqueRules, indications: Iterable[str]) -> TechniqueRules:
    """Add indications without evidence for which there are enough real patients."""
    taken = tuple(dict.fromkeys(name for name in indications if name not in rules.indications))
    return replace(rules, indications=(*rules.indications, *taken), without_evidence=(*rules.without_evidence, *taken))
