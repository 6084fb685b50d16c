"""Collect the rules of a technique from its evidence records: indications, control responses, contraindications."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from paincast.errors import DataError
from paincast.evidence.conditions import check_condition
from paincast.evidence.records import gaps_of, indications_of, records_of

CONTROLLED_OUTCOME = "pain_response"
"""The outcome for which control responses are published."""

_RULE_KEYS = {"name", "label", "level", "reason", "when", "indications"}


@dataclass(frozen=True, kw_only=True)
class TechniqueRules:
    """Rules of a technique, as plain data that a bundle can store.

    Parameters
    ----------
    indications : tuple of str
        Indications that the technique treats.
    controls : tuple of dict
        ``indication, approach, probability``: share with the outcome without the procedure.
    contraindications : tuple of dict
        ``name, label, level, reason, when, indications``: makes patients with an indication in ``indications`` who
        fulfil ``when`` ineligible (level ``absolute``) or adds a caution.
    gaps : tuple of dict
        ``indication, reason``: indications for which a record states that there is no evidence, with the reason.
    without_evidence : tuple of str
        Indications without evidence, for which the model is based only on real patients.
    """

    indications: tuple[str, ...]
    controls: tuple[dict[str, Any], ...] = ()
    contraindications: tuple[dict[str, Any], ...] = ()
    gaps: tuple[dict[str, Any], ...] = ()
    without_evidence: tuple[str, ...] = ()


def collect_rules(technique: str, outcome: str) -> TechniqueRules:
    """Collect the rules of a technique from its evidence records.

    Parameters
    ----------
    technique : str
        Name of the technique.
    outcome : str
        Outcome; control responses are known for ``pain_response`` only.

    Returns
    -------
    TechniqueRules

    Raises
    ------
    RefusalError
        If there is no evidence for the technique.
    """
    indications = indications_of(technique)
    records = records_of(technique)
    controls = [
        {"indication": indication, "approach": record.approach, "probability": record.control_response.share}
        for record in records
        if record.control_response is not None
        for indication in (record.indication, *record.also_covers)
    ]
    return TechniqueRules(
        indications=indications,
        controls=tuple(controls) if outcome == CONTROLLED_OUTCOME else (),
        contraindications=collect_contraindications(technique),
        gaps=tuple({"indication": name, "reason": gap} for name, gap in gaps_of(technique).items()),
    )


def collect_contraindications(technique: str) -> tuple[dict[str, Any], ...]:
    """Collect the distinct contraindications of a technique, with the indications of the records that name them."""
    rules: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records_of(technique):
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
    """Check that the contraindications of a bundle can be assessed.

    Raises
    ------
    DataError
        If a condition is malformed.
    """
    for number, rule in enumerate(rules.contraindications, 1):
        if "when" in rule:
            if set(rule) != _RULE_KEYS:
                raise DataError(
                    f"contraindication {number} of the bundle: keys are to be {', '.join(sorted(_RULE_KEYS))}",
                    code="PC-ELIGIBILITY-01",
                )
            check_condition(rule["when"], f"contraindication {number} of the bundle")


def renew_contraindications(technique: str, rules: TechniqueRules) -> TechniqueRules:
    """Replace contraindications without conditions, as in older bundles, by the current ones."""
    if rules.contraindications and all("when" in rule for rule in rules.contraindications):
        return rules
    return replace(rules, contraindications=collect_contraindications(technique))


def take_without_evidence(rules: TechniqueRules, indications: Iterable[str]) -> TechniqueRules:
    """Add indications without evidence for which there are enough real patients."""
    taken = tuple(dict.fromkeys(name for name in indications if name not in rules.indications))
    return replace(rules, indications=(*rules.indications, *taken), without_evidence=(*rules.without_evidence, *taken))
