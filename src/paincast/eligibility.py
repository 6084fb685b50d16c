"""Who gets an answer: indications, contraindications and control response of a technique, for every part that asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.errors import DataError
from paincast.evidence.conditions import Condition, check_condition
from paincast.evidence.records import gaps_of, indications_of, records_of

CONTROLLED_OUTCOME = "pain_response"
"""The outcome for which the evidence gives a control response."""

_RULE_KEYS = {"name", "label", "level", "reason", "when", "indications"}


@dataclass(frozen=True, kw_only=True)
class TechniqueRules:
    """Rules of one technique, as plain data that a bundle can hold.

    Parameters
    ----------
    indications : tuple of str
        Indications the technique treats.
    controls : tuple of dict
        ``indication, approach, probability``: share that has the outcome without the procedure.
    contraindications : tuple of dict
        ``name, label, level, reason, when, indications``: of a patient with one of the indications for whom ``when``
        holds, it makes the patient ineligible (level ``absolute``) or calls for care.
    gaps : tuple of dict
        ``indication, reason``: indications for which a record says that there is no evidence, and why.
    without_evidence : tuple of str
        Those of ``indications`` that no evidence covers: real patients carry the model there, alone.
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
        The question; control responses are known for ``pain_response`` only.

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
    """Collect the contraindications of a technique: each once, with the indications of the records that name it."""
    rules: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records_of(technique):
        for held in record.contraindications:
            plain = {"name": held.name, "label": held.label, "level": held.level, "reason": held.reason}
            rule = rules.setdefault((held.name, held.reason), {**plain, "when": held.when, "indications": []})
            rule["indications"] += [name for name in record.indications if name not in rule["indications"]]
    return tuple(rules.values())


def read_rules(state: Mapping[str, Any]) -> TechniqueRules:
    """Read the rules that a bundle holds, and check that each can be assessed.

    Raises
    ------
    DataError
        If a condition is malformed.
    """
    rules = TechniqueRules(**{name: tuple(rows) for name, rows in state.items()})
    for place, rule in enumerate(rules.contraindications, 1):
        if "when" in rule:
            if set(rule) != _RULE_KEYS:
                raise DataError(
                    f"contraindication {place} of the bundle: keys are to be {', '.join(sorted(_RULE_KEYS))}",
                    code="PC-ELIGIBILITY-01",
                )
            check_condition(rule["when"], f"contraindication {place} of the bundle")
    return rules


def renew_contraindications(technique: str, rules: TechniqueRules) -> TechniqueRules:
    """Give rules without conditions, as older bundles hold them, the contraindications of today."""
    if rules.contraindications and all("when" in rule for rule in rules.contraindications):
        return rules
    return replace(rules, contraindications=collect_contraindications(technique))


def check_indication(rules: TechniqueRules, episodes: pd.DataFrame) -> pd.Series:
    """Say for each episode why its indication does not fit the technique; empty where it does."""
    indication = episodes["indication"]
    wrong = indication.notna() & ~indication.isin(rules.indications)
    known = ", ".join(rules.indications)
    said = say_where(wrong, f"the indication is not one this technique treats ({known})")
    for gap in rules.gaps:
        if gap["indication"] in rules.without_evidence:
            continue
        in_gap = indication.eq(gap["indication"]).fillna(False).to_numpy(bool)
        said = said.mask(in_gap, f"no evidence for {gap['indication']}: {gap['reason']}")
    return said + say_where(indication.isna(), "the indication is missing; it is required")


def take_without_evidence(rules: TechniqueRules, indications: Iterable[str]) -> TechniqueRules:
    """Let a model answer for indications that no evidence covers, because enough real patients carry it there."""
    taken = tuple(dict.fromkeys(name for name in indications if name not in rules.indications))
    return replace(rules, indications=(*rules.indications, *taken), without_evidence=(*rules.without_evidence, *taken))


def note_missing_evidence(rules: TechniqueRules, episodes: pd.DataFrame) -> pd.Series:
    """Say for each episode whether no published evidence stands beside an answer; empty where it does."""
    alone = episodes["indication"].isin(rules.without_evidence)
    return say_where(alone, "no published evidence for this indication: the answer stands on real patients alone")


def find_controls(rules: TechniqueRules, episodes: pd.DataFrame) -> pd.Series:
    """Give each episode's control response, the share that has the outcome without the procedure; NaN where unknown."""
    found = pd.Series(np.nan, index=episodes.index)
    for control in rules.controls:
        fits = episodes["indication"] == control["indication"]
        if control["approach"] is not None:
            fits &= episodes["approach"] == control["approach"]
        found = found.mask(fits & found.isna(), control["probability"])
    return found


def assess_contraindications(rules: TechniqueRules, episodes: pd.DataFrame) -> pd.DataFrame:
    """Assess for each episode which contraindications hold, and which cannot be assessed.

    A rule concerns the indications of the records that name it. Where no record covers the indication, or it is
    missing, every rule of the technique concerns the patient.

    Parameters
    ----------
    rules : TechniqueRules
        Rules of the technique.
    episodes : DataFrame of shape (n, ...)
        Patients in the types of the contract.

    Returns
    -------
    DataFrame of shape (n, 4)
        ``eligible``; ``ineligible_because`` and ``cautions``: reasons that are absolute, and those that call for care;
        ``not_assessed``: labels of the rules of which something is unknown that decides.
    """
    covered = {name for rule in rules.contraindications for name in rule["indications"]}
    is_elsewhere = ~episodes["indication"].isin(covered)
    barred: list[pd.Series] = []
    cautions: list[pd.Series] = []
    not_assessed: list[pd.Series] = []
    for rule in rules.contraindications:
        concerned = is_elsewhere | episodes["indication"].isin(rule["indications"])
        holds = assess_condition(rule["when"], episodes)
        told = say_where(concerned & holds.fillna(False), rule["reason"])
        (barred if rule["level"] == "absolute" else cautions).append(told)
        not_assessed.append(say_where(concerned & holds.isna(), rule["label"]))
    reasons = join_reasons(episodes.index, barred)
    return pd.DataFrame(
        {
            "eligible": (reasons == "").astype("boolean"),
            "ineligible_because": reasons,
            "cautions": join_reasons(episodes.index, cautions),
            "not_assessed": join_reasons(episodes.index, not_assessed),
        }
    )


def assess_technique(technique: str, episodes: pd.DataFrame) -> pd.DataFrame:
    """Assess the contraindications of a technique as the evidence has them today, whether or not it has a model.

    Where the evidence knows none, ``eligible`` is missing; see :func:`assess_contraindications`.
    """
    rules = TechniqueRules(indications=(), contraindications=collect_contraindications(technique))
    assessed = assess_contraindications(rules, episodes)
    return (
        assessed if rules.contraindications else assessed.assign(eligible=pd.array([pd.NA] * len(assessed), "boolean"))
    )


def assess_condition(condition: Condition, episodes: pd.DataFrame) -> pd.Series:
    """Assess a condition for each episode: true, false, or missing where what is unknown decides (Kleene's logic).

    Examples
    --------
    >>> episodes = pd.DataFrame({"pregnant": pd.array([True, False, None], dtype="boolean")})
    >>> assess_condition({"column": "pregnant", "is": False}, episodes).tolist()
    [False, True, <NA>]
    """
    if "column" not in condition:
        [(combination, parts)] = condition.items()
        first, *others = [assess_condition(part, episodes) for part in parts]
        for other in others:
            first = first | other if combination == "any" else first & other
        return first
    name = condition["column"]
    if name not in episodes:
        return pd.Series(pd.NA, index=episodes.index, dtype="boolean")
    is_unknown = episodes[name].isna().to_numpy(bool)
    holds = np.zeros(len(episodes), dtype=bool)
    holds[~is_unknown] = _compare(episodes[name].to_numpy(object)[~is_unknown], condition)
    return pd.Series(pd.arrays.BooleanArray(holds, is_unknown), index=episodes.index)


def _compare(known: npt.NDArray[np.object_], condition: Condition) -> npt.NDArray[np.bool_]:
    if "is" in condition:
        return np.asarray(known.astype(bool) == condition["is"])
    if "at_least" in condition:
        return np.asarray(known.astype(float) >= condition["at_least"])
    if "below" in condition:
        return np.asarray(known.astype(float) < condition["below"])
    return np.isin(known.astype(str), condition["any_of"])


def say_where(holds: pd.Series, words: str) -> pd.Series:
    """Give ``words`` where a condition holds and an empty text elsewhere."""
    return pd.Series(np.where(holds.to_numpy(bool), words, ""), index=holds.index, dtype="str")


def join_reasons(index: pd.Index, reasons: list[pd.Series]) -> pd.Series:
    """Join the reasons of each row that are not empty with semicolons, each once."""
    joined = ["; ".join(dict.fromkeys(text for text in row if text)) for row in zip(*reasons, strict=True)] or [
        ""
    ] * len(index)
    return pd.Series(joined, index=index, dtype="str")
