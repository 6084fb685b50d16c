"""Decide which patients receive a prediction; used by training, prediction and evaluation.

The training set contains the episodes for which the model may give predictions (:func:`exclude_ineligible`). At
prediction time the model gives a prediction or abstains with a reason (:func:`decide_answers`). A model is evaluated on
episodes with a known outcome for which it does not abstain (:func:`select_evaluable`). Contraindications make a patient
ineligible or add a caution; they do not suppress the prediction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa

from paincast.contract import BUILT_IN, Contract
from paincast.errors import RefusalError, SettingsError, suggest_name
from paincast.evidence.conditions import Condition
from paincast.evidence.records import indications_of
from paincast.evidence.rules import TechniqueRules, collect_contraindications
from paincast.outcomes import Outcome, OutcomeLabels, list_ineligibility
from paincast.outcomes.labels import LOST_RELIEF
from paincast.schema import COMPARATORS
from paincast.scoring.conditions import assess, list_columns
from paincast.scoring.patients import Patients


def decide_answers(
    rules: TechniqueRules,
    outcome: Outcome,
    episodes: pd.DataFrame,
    *,
    unreadable: pd.Series,
    unseen: pd.Series,
    out_of_domain: pd.Series,
) -> pd.Series:
    """Decide for each patient whether a model gives a prediction.

    Parameters
    ----------
    rules : TechniqueRules
        Rules of the model.
    outcome : Outcome
        Predicted outcome.
    episodes : DataFrame of shape (n, ...)
        Patients in the types of the contract.
    unreadable, unseen, out_of_domain : Series of str, shape (n,)
        From :func:`check_readable`, :func:`check_categories` and :func:`paincast.models.domain.flag_out_of_domain`.

    Returns
    -------
    Series of str, shape (n,)
        All reasons to abstain, joined by semicolons; empty if the model gives a prediction.
    """
    reasons = [
        unreadable,
        check_indication(rules, episodes),
        unseen,
        list_ineligibility(outcome, episodes),
        out_of_domain,
    ]
    return join_reasons(episodes.index, reasons)


def check_readable(
    index: pd.Index, unreadable: pd.Series | None, *, used: Collection[str], required: Collection[str]
) -> pd.Series:
    """Give a reason to abstain if a value that the model uses was given but could not be read.

    An unreadable value is not treated as missing.

    Parameters
    ----------
    index : Index of length n
        Index of the patients.
    unreadable : Series of tuple of str, shape (n,), or None
        Columns with an unreadable value for each patient; None if all values could be read.
    used : collection of str
        Columns that the model uses.
    required : collection of str
        Columns whose value must be known, so that they cannot be left empty.

    Returns
    -------
    Series of str, shape (n,)
    """
    if unreadable is None:
        return pd.Series("", index=index, dtype="str")
    named = [[name for name in names if name in used or name in required] for names in unreadable]
    reasons = [
        f"could not be read: {', '.join(names)}; correct it{'' if {*required} & {*names} else ' or leave it empty'}"
        if names
        else ""
        for names in named
    ]
    return pd.Series(reasons, index=index, dtype="str")


def check_categories(
    rules: TechniqueRules, episodes: pd.DataFrame, unseen: pd.DataFrame, known: Mapping[str, Sequence[str]]
) -> pd.Series:
    """Give a reason to abstain if a category did not occur in training.

    Parameters
    ----------
    rules : TechniqueRules
        Rules of the model; no reason is given if the indication does not fit, because that is reported separately.
    episodes : DataFrame of shape (n, ...)
        Patients in the types of the contract.
    unseen : DataFrame of bool, shape (n, ...)
        For each categorical column, whether the value is unknown to the model.
    known : mapping of str to sequence of str
        The categories seen in training, by column.

    Returns
    -------
    Series of str, shape (n,)
    """
    fits = episodes["indication"].isin(rules.indications)
    return join_reasons(
        episodes.index,
        [
            text_where(
                unseen[name] & fits, f"{name} has a value that the model has not seen (seen: {', '.join(categories)})"
            )
            for name, categories in known.items()
        ],
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
            indications_of(technique)


def explain_missing_model(technique: str, contract: Contract = BUILT_IN) -> str:
    """Explain why there is no prediction for a technique without a loaded model."""
    if technique in COMPARATORS:
        return _describe_comparator(technique)
    if technique in contract.own_techniques:
        return f"there is no model for {technique} among those loaded"
    try:
        indications_of(technique)
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
    wrong = indication.notna() & ~indication.isin(rules.indications)
    known = ", ".join(rules.indications)
    reasons = text_where(wrong, f"the indication is not one this technique treats ({known})")
    for gap in rules.gaps:
        if gap["indication"] in rules.without_evidence:
            continue
        in_gap = indication.eq(gap["indication"]).fillna(False).to_numpy(bool)
        reasons = reasons.mask(in_gap, f"no evidence for {gap['indication']}: {gap['reason']}")
    return reasons + text_where(indication.isna(), "the indication is missing; it is required")


def note_missing_evidence(rules: TechniqueRules, episodes: pd.DataFrame) -> pd.Series:
    """Add a note to episodes whose indication has no published evidence; empty for the others."""
    lacks_evidence = episodes["indication"].isin(rules.without_evidence)
    return text_where(
        lacks_evidence, "no published evidence for this indication: the answer is based on real patients only"
    )


def assess_contraindications(rules: TechniqueRules, episodes: pd.DataFrame) -> pd.DataFrame:
    """Assess for each episode which contraindications apply, and which cannot be assessed.

    A rule applies to the indications of the records that name it. If no record covers the indication, or it is missing,
    all rules of the technique apply.

    Parameters
    ----------
    rules : TechniqueRules
        Rules of the technique.
    episodes : DataFrame of shape (n, ...)
        Patients in the types of the contract.

    Returns
    -------
    DataFrame of shape (n, 4)
        ``eligible``; ``ineligible_because`` and ``cautions``: reasons of absolute contraindications and of others;
        ``not_assessed``: labels of the rules that cannot be assessed because a value is unknown.
    """
    covered = {name for rule in rules.contraindications for name in rule["indications"]}
    is_elsewhere = ~episodes["indication"].isin(covered)
    barred: list[pd.Series] = []
    cautions: list[pd.Series] = []
    not_assessed: list[pd.Series] = []
    for rule in rules.contraindications:
        concerned = is_elsewhere | episodes["indication"].isin(rule["indications"])
        holds = assess_condition(rule["when"], episodes)
        reason = text_where(concerned & holds.fillna(False), rule["reason"])
        (barred if rule["level"] == "absolute" else cautions).append(reason)
        not_assessed.append(text_where(concerned & holds.isna(), rule["label"]))
    reasons = join_reasons(episodes.index, barred)
    return pd.DataFrame(
        {
            "eligible": (reasons == "").astype("boolean"),
            "ineligible_because": reasons,
            "cautions": join_reasons(episodes.index, cautions),
            "not_assessed": join_reasons(episodes.index, not_assessed),
        }
    )


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


def text_where(holds: pd.Series, words: str) -> pd.Series:
    """Return ``words`` where a condition holds and an empty text elsewhere."""
    return pd.Series(np.where(holds.to_numpy(bool), words, ""), index=holds.index, dtype="str")


def join_reasons(index: pd.Index, reasons: list[pd.Series]) -> pd.Series:
    """Join the distinct non-empty reasons of each row with semicolons."""
    joined = ["; ".join(dict.fromkeys(text for text in row if text)) for row in zip(*reasons, strict=True)] or [
        ""
    ] * len(index)
    return pd.Series(joined, index=index, dtype="str")
