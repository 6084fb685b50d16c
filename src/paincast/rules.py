"""What evidence says of a technique beside the model: whom it treats, whom it must not, and the control response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from paincast.evidence.records import gaps_of, indications_of, records_of

CONTROLLED_OUTCOME = "pain_response"
"""The outcome for which the evidence gives a control response."""


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
        ``column, level, reason``: a true value of the column makes the patient ineligible (level ``absolute``) or
        calls for care.
    gaps : tuple of dict
        ``indication, reason``: indications for which a record says that there is no evidence, and why.
    """

    indications: tuple[str, ...]
    controls: tuple[dict[str, Any], ...] = ()
    contraindications: tuple[dict[str, Any], ...] = ()
    gaps: tuple[dict[str, Any], ...] = ()


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
    contraindications = {
        (rule.column, rule.level): {"column": rule.column, "level": rule.level, "reason": rule.reason}
        for record in records
        for rule in record.contraindications
        if rule.column
    }
    controls = [
        {"indication": indication, "approach": record.approach, "probability": record.control_response.share}
        for record in records
        if record.control_response is not None
        for indication in (record.indication, *record.also_covers)
    ]
    return TechniqueRules(
        indications=indications,
        controls=tuple(controls) if outcome == CONTROLLED_OUTCOME else (),
        contraindications=tuple(contraindications.values()),
        gaps=tuple({"indication": name, "reason": gap} for name, gap in gaps_of(technique).items()),
    )


def check_indication(rules: TechniqueRules, episodes: pd.DataFrame) -> pd.Series:
    """Say for each episode why its indication does not fit the technique; empty where it does."""
    indication = episodes["indication"]
    wrong = indication.notna() & ~indication.isin(rules.indications)
    known = ", ".join(rules.indications)
    said = say_where(wrong, f"the indication is not one this technique treats ({known})")
    for gap in rules.gaps:
        in_gap = indication.eq(gap["indication"]).fillna(False).to_numpy(bool)
        said = said.mask(in_gap, f"no evidence for {gap['indication']}: {gap['reason']}")
    return said + say_where(indication.isna(), "the indication is missing; it is required")


def find_controls(rules: TechniqueRules, episodes: pd.DataFrame) -> pd.Series:
    """Give each episode's control response, the share that has the outcome without the procedure; NaN where unknown."""
    found = pd.Series(np.nan, index=episodes.index)
    for control in rules.controls:
        fits = episodes["indication"] == control["indication"]
        if control["approach"] is not None:
            fits &= episodes["approach"] == control["approach"]
        found = found.mask(fits & found.isna(), control["probability"])
    return found


def find_contraindications(rules: TechniqueRules, episodes: pd.DataFrame, *, absolute: bool) -> pd.Series:
    """Say for each episode which contraindications hold: the absolute ones, or those that call for care."""
    return join_reasons(
        episodes.index,
        [
            say_where(episodes[rule["column"]].fillna(False).astype(bool), rule["reason"])
            for rule in rules.contraindications
            if (rule["level"] == "absolute") == absolute
        ],
    )


def say_where(holds: pd.Series, words: str) -> pd.Series:
    """Give ``words`` where a condition holds and an empty text elsewhere."""
    return pd.Series(np.where(holds.to_numpy(bool), words, ""), index=holds.index, dtype="str")


def join_reasons(index: pd.Index, reasons: list[pd.Series]) -> pd.Series:
    """Join the reasons of each row that are not empty with semicolons."""
    joined = ["; ".join(text for text in row if text) for row in zip(*reasons, strict=True)] or [""] * len(index)
    return pd.Series(joined, index=index, dtype="str")
