"""Decide which patients receive a prediction; used by training, prediction and evaluation.

The training set contains the episodes for which the model may give predictions (:func:`exclude_ineligible`). At
prediction time the model gives a prediction or abstains with a reason
(:mod:`paincast.predictor.answering.judgement`). A model is evaluated on
episodes with a known outcome for which it does not abstain (:func:`select_evaluable`). Contraindications make a patient
ineligible or add a caution; they do not suppress the prediction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import repeat

import numpy as np
import pyarrow as pa

from paincast import evidence
from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.errors import RefusalError, SettingsError, suggest_name
from paincast.evidence.conditions import Condition
from paincast.evidence.rules import TechniqueRules, collect_contraindications
from paincast.outcomes import OutcomeLabels
from paincast.outcomes.labels import LOST_RELIEF
from paincast.schema import COMPARATORS
from paincast.scoring.conditions import assess, list_columns
from paincast.scoring.patients import Patients


def explain_unreadable(names: Iterable[str], *, used: Collection[str], required: Collection[str]) -> str:
    """Give a reason to abstain if a value that the model uses was given but could not be read.

    An unreadable value is not treated as missing.

    Parameters
    ----------
    names : iterable of str
        Columns of a patient with an unreadable value.
    used : collection of str
        Columns that the model uses.
    required : collection of str
        Columns whose value must be known, so that they cannot be left empty.

    Examples
    --------
    >>> explain_unreadable(["bmi", "sex"], used={"bmi", "odi"}, required={"indication"})
    'could not be read: bmi; correct it or leave it empty'
    """
    needed = [name for name in names if name in used or name in required]
    if not needed:
        return ""
    return (
        f"could not be read: {', '.join(needed)}; correct it{'' if {*required} & {*needed} else ' or leave it empty'}"
    )


def exclude_ineligible(rules: TechniqueRules, labels: OutcomeLabels, episodes: pd.DataFrame) -> OutcomeLabels:
    """Remove episodes for which the model would abstain from the denominator of an outcome.

    Parameters
    ----------
    rules : TechniqueRules
        Rules of the model.
    labels : OutcomeLabels
        Outcome labels of the episodes.
    episodes : DataFrame of shape (n, ...)
        The episodes.

    Returns
    -------
    OutcomeLabels
        Labels with the reason for each removed episode.
    """
    because = check_indication(rules, episodes)
    left_out = labels.eligible & (because != "")
    return replace(labels, eligible=labels.eligible & ~left_out, because=labels.because.mask(left_out, because))


def find_supported_indications(episodes: pd.DataFrame, labels: OutcomeLabels, minimum_events: int) -> list[str]:
    """Find indications with enough episodes in both outcome classes (continuous outcomes: twice as many in total)."""
    is_known = labels.eligible & labels.known
    is_event = labels.value if labels.status is None else labels.status == LOST_RELIEF
    supported = []
    for indication, values in is_event[is_known].groupby(episodes.loc[is_known, "indication"]):
        events = len(values) // 2 if labels.outcome.kind == "continuous" else int(values.sum())
        if min(events, len(values) - events) >= minimum_events:
            supported.append(str(indication))
    return supported


def select_evaluable(outcome: pd.Series, *abstained: pd.Series) -> pd.Series:
    """Select the episodes for evaluation: the outcome is known and no model abstains.

    Parameters
    ----------
    outcome : Series of float, shape (n,)
        The outcome; NaN if it is unknown or the episode is not eligible.
    *abstained : Series of bool, shape (n,)
        Whether each model abstains.

    Returns
    -------
    Series of bool, shape (n,)
    """
    evaluable = outcome.notna()
    for abstains in abstained:
        evaluable &= ~abstains.astype(bool)
    return evaluable


def check_techniques(techniques: Iterable[str], contract: Contract = BUILT_IN) -> None:
    """Refuse unknown techniques and techniques without evidence.

    Raises
    ------
    SettingsError
        If a name is unknown or is a comparator.
    RefusalError
        If there is no evidence for a technique.
    """
    for technique in techniques:
        if technique in COMPARATORS:
            raise SettingsError(f"technique: {_describe_comparator(technique)}", code="PC-SERVING-19")
        if technique not in contract.techniques:
            raise SettingsError(
                f"technique: unknown name '{technique}'; {suggest_name(technique, contract.techniques)}",
                code="PC-SERVING-20",
            )
        if technique not in contract.own_techniques:
            evidence.indications_of(technique)


def explain_missing_model(technique: str, contract: Contract = BUILT_IN) -> str:
    """Explain why there is no prediction for a technique without a loaded model."""
    if technique in COMPARATORS:
        return _describe_comparator(technique)
    if technique in contract.own_techniques:
        return f"there is no model for {technique} among those loaded"
    try:
        evidence.indications_of(technique)
    except RefusalError as refusal:
        return f"there is no model; {refusal}"
    return f"there is no model for {technique} among those loaded"


def _describe_comparator(technique: str) -> str:
    return f"{technique} is a comparator, not a technique; there is no response model for it"


def set_technique(episodes: pd.DataFrame, technique: str, contract: Contract = BUILT_IN) -> pd.DataFrame:
    """Set the technique to predict; choices made for another technique (approach, lesion protocol) become missing."""
    declared = contract.episodes.values()
    choices = [column.name for column in declared if column.role == "technique" and column.name != "technique"]
    made_for_another = episodes["technique"].notna() & (episodes["technique"] != technique)
    patients = episodes.assign(technique=technique)
    patients[choices] = patients[choices].mask(made_for_another)
    return patients


def check_indication(rules: TechniqueRules, episodes: pd.DataFrame) -> pd.Series:
    """Explain for each episode why its indication does not fit the technique; empty if it fits."""
    indication = episodes["indication"]
    known = {name: explain_indication(rules, str(name)) for name in indication.dropna().unique()}
    return indication.astype(object).map(known).where(indication.notna(), explain_indication(rules, None)).astype("str")


def explain_indication(rules: TechniqueRules, indication: str | None) -> str:
    """Explain why an indication does not fit the technique; empty if it fits."""
    if indication is None:
        return "the indication is missing; it is required"
    for gap in reversed(rules.gaps):
        if gap["indication"] == indication and indication not in rules.without_evidence:
            return f"no evidence for {indication}: {gap['reason']}"
    if indication in rules.indications:
        return ""
    return f"the indication is not one this technique treats ({', '.join(rules.indications)})"


def note_missing_evidence(rules: TechniqueRules, indication: str | None) -> str:
    """Note that an indication has no published evidence; empty for the others."""
    if indication not in rules.without_evidence:
        return ""
    return "no published evidence for this indication: the answer is based on real patients only"


def assess_contraindications(rules: TechniqueRules, episodes: pd.DataFrame) -> pd.DataFrame:
    """Assess for each episode which contraindications apply, and which cannot be assessed.

    Parameters
    ----------
    rules : TechniqueRules
        Rules of the technique.
    episodes : DataFrame of shape (n, ...)
        Patients in the types of the contract.

    Returns
    -------
    DataFrame of shape (n, 4)
        As :func:`apply_contraindications`, by episode.
    """
    indications = episodes["indication"].astype(object).where(episodes["indication"].notna(), None)
    truths = [assess_condition(rule["when"], episodes).astype(object) for rule in rules.contraindications]
    holds = zip(*(truth.where(truth.notna(), None) for truth in truths), strict=True) if truths else repeat(())
    rows = [apply_contraindications(rules, *of_patient) for of_patient in zip(indications, holds, strict=False)]
    assessed = pd.DataFrame(rows, columns=list(ASSESSED), index=episodes.index)
    return assessed.astype({name: "boolean" if name == "eligible" else "str" for name in ASSESSED})


ASSESSED = ("eligible", "ineligible_because", "cautions", "not_assessed")
"""What the contraindications of a technique say of a patient."""


def apply_contraindications(
    rules: TechniqueRules, indication: str | None, holds: Sequence[bool | None]
) -> dict[str, bool | str]:
    """Tell which contraindications apply to a patient, and which cannot be assessed.

    A rule applies to the indications of the records that name it. If no record covers the indication, or it is missing,
    all rules of the technique apply.

    Parameters
    ----------
    rules : TechniqueRules
        Rules of the technique.
    indication : str or None
        Indication of the patient.
    holds : sequence of bool or None
        Whether each rule is fulfilled; None where that depends on unknown values.

    Returns
    -------
    dict
        ``eligible``; ``ineligible_because`` and ``cautions``: reasons of absolute contraindications and of others;
        ``not_assessed``: labels of the rules that cannot be assessed because a value is unknown.
    """
    is_elsewhere = not any(indication in rule["indications"] for rule in rules.contraindications)
    told: dict[str, list[str]] = {name: [] for name in ASSESSED[1:]}
    for rule, is_fulfilled in zip(rules.contraindications, holds, strict=True):
        if not is_elsewhere and indication not in rule["indications"]:
            continue
        if is_fulfilled is None:
            told["not_assessed"].append(rule["label"])
        elif is_fulfilled:
            told["ineligible_because" if rule["level"] == "absolute" else "cautions"].append(rule["reason"])
    joined = {name: join_texts(texts) for name, texts in told.items()}
    return {"eligible": not joined["ineligible_because"], **joined}


def assess_technique(technique: str, episodes: pd.DataFrame, contract: Contract = BUILT_IN) -> pd.DataFrame:
    """Assess the contraindications of a technique in the current evidence, with or without a model.

    If the evidence has none, ``eligible`` is missing; see :func:`assess_contraindications`.
    """
    is_own = technique in contract.own_techniques
    rules = TechniqueRules(indications=(), contraindications=() if is_own else collect_contraindications(technique))
    assessed = assess_contraindications(rules, episodes)
    return (
        assessed if rules.contraindications else assessed.assign(eligible=pd.array([pd.NA] * len(assessed), "boolean"))
    )


def assess_condition(condition: Condition, episodes: pd.DataFrame) -> pd.Series:
    """Assess a condition for each episode: true, false, or missing if it depends on unknown values (Kleene logic).

    Examples
    --------
    >>> episodes = pd.DataFrame({"pregnant": pd.array([True, False, None], dtype="boolean")})
    >>> assess_condition({"column": "pregnant", "is": False}, episodes).tolist()
    [False, True, <NA>]
    """
    used = [name for name in list_columns(condition) if name in episodes]
    table = pa.table({name: pa.array(episodes[name], from_pandas=True) for name in used})
    patients = Patients(table if used else pa.table({"row": np.arange(len(episodes))}))
    truth = assess(condition, patients)
    return pd.Series(pd.arrays.BooleanArray(truth.holds, truth.unknown), index=episodes.index)


def join_texts(texts: Iterable[str]) -> str:
    """Join the distinct non-empty texts with semicolons."""
    return "; ".join(dict.fromkeys(text for text in texts if text))


def join_reasons(index: pd.Index, reasons: list[pd.Series]) -> pd.Series:
    """Join the distinct non-empty reasons of each row with semicolons."""
    joined = [join_texts(row) for row in zip(*reasons, strict=True)] or [""] * len(index)
    return pd.Series(joined, index=index, dtype="str")
