"""Judge patients by the rules of a model: who is answered and eligible, and what stands beside the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from paincast.contract import describe_own_technique
from paincast.eligibility import (
    apply_contraindications,
    explain_indication,
    join_texts,
    note_missing_evidence,
)
from paincast.evidence.rules import TechniqueRules
from paincast.models.domain import explain_distance
from paincast.outcomes import explain_ineligibility
from paincast.predictor.answering.controls import find_control
from paincast.predictor.validation import VALIDATION_COLUMNS, assess_validations

if TYPE_CHECKING:
    from paincast.predictor.model import Predictor

NO_SKILL = "no reasons: the model tells patients apart no better than the overall risk does"


class Pattern(NamedTuple):
    """What the words beside a prediction depend on, but for what could not be read; who is alike gets the same words.

    Parameters
    ----------
    indication, approach : str or None
        None where it is not known.
    unseen : collection of str
        Variables with a value that did not occur in training.
    far : sequence of str
        Numbers that are far from the training mean.
    together : bool
        Whether the numbers together are far from the training cohort.
    known : sequence of bool
        Whether each baseline value is known that the outcome needs.
    reachable : bool
        Whether the outcome can be reached from any of them.
    holds : sequence of bool or None
        Whether each contraindication applies; None where that depends on unknown values.
    """

    indication: str | None
    approach: str | None
    unseen: Sequence[str]
    far: Sequence[str]
    together: bool
    known: Sequence[bool]
    reachable: bool
    holds: Sequence[bool | None]


def judge(
    model: Predictor, rules: TechniqueRules, patterns: Iterable[Pattern], *, allow_contradicted: bool
) -> list[dict[str, Any]]:
    """Make what stands beside the numbers of predictions.

    Parameters
    ----------
    model : Predictor
        The model.
    rules : TechniqueRules
        Its rules in the form of this version.
    patterns : iterable of Pattern
        Of patients without choices made for another technique.
    allow_contradicted : bool
        Whether the model answers where an external validation contradicts it.

    Returns
    -------
    list of dict
        For each pattern the columns of a prediction but for the ids, the numbers and the reasons.
    """
    return [_judge(model, rules, pattern, allow_contradicted=allow_contradicted) for pattern in patterns]


def _judge(model: Predictor, rules: TechniqueRules, pattern: Pattern, *, allow_contradicted: bool) -> dict[str, Any]:
    indication, approach = pattern.indication, pattern.approach
    validated = assess_validations(model.validations, indication, approach)
    contradicted = str(validated.pop("contradicted"))
    doubted = str(validated.pop("doubted"))
    distance = _explain_distance(model, pattern)
    reasons = [*_list_reasons(model, pattern), distance, "" if allow_contradicted else contradicted]
    because = join_texts(reasons)
    assessed = apply_contraindications(rules, indication, pattern.holds)
    cautions = [
        contradicted if allow_contradicted else "",
        doubted,
        "" if model.response.shows_reasons else NO_SKILL,
        _note_evidence(model, indication),
        str(assessed["cautions"]),
    ]
    unmatched = model.question.list_unmatched(model.measures)
    where = (indication or "", approach or "")
    return {
        "technique": model.technique,
        "outcome": model.outcome,
        "horizon_months": model.horizon_months,
        "level": math.nan if because else model.level,
        **{name: validated[name] for name in VALIDATION_COLUMNS},
        **find_control(rules, model.outcome, model.horizon_months, *where, unmatched=unmatched),
        **assessed,
        "cautions": join_texts(cautions),
        "in_domain": not distance,
        "abstained": bool(because),
        "abstained_because": because,
        "basis": model.basis,
        "n_real": model.n_real,
        "use": model.mark,
        "model_version": model.version,
        "contract": model.contract.digest,
    }


def _list_reasons(model: Predictor, pattern: Pattern) -> list[str]:
    """List the reasons to abstain, but for the distance from the training cohort."""
    variables = model.response.encoder.variables_
    unseen = [
        f"{variable.name} has a value that the model has not seen (seen: {', '.join(variable.levels)})"
        for variable in variables
        if variable.kind == "category" and variable.name in pattern.unseen
    ]
    is_possible = pattern.reachable or not pattern.known
    return [
        explain_indication(model.rules, pattern.indication),
        *(unseen if pattern.indication in model.rules.indications else ()),
        "" if is_possible else explain_ineligibility(model.question, pattern.known),
    ]


def _explain_distance(model: Predictor, pattern: Pattern) -> str:
    """Say in what patients are far from the training cohort."""
    booleans = [variable.name for variable in model.response.encoder.variables_ if variable.kind == "boolean"]
    names = [*pattern.far, *(name for name in booleans if name in pattern.unseen)]
    return explain_distance(model.contract, names, together=pattern.together)


def _note_evidence(model: Predictor, indication: str | None) -> str:
    """Say what evidence is lacking: of an indication, or of a technique that a contract declares."""
    own = model.contract.own_techniques.get(model.technique)
    return note_missing_evidence(model.rules, indication) if own is None else describe_own_technique(own)
