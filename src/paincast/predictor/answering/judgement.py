"""Judge patients by the rules of a model: who is answered and eligible, and what stands beside the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paincast.contract import describe_own_technique
from paincast.eligibility import (
    assess_contraindications,
    check_categories,
    check_readable,
    decide_answers,
    join_reasons,
    note_missing_evidence,
)
from paincast.evidence.rules import renew_rules
from paincast.predictor.answering.controls import find_controls
from paincast.predictor.rows import make_abstentions
from paincast.predictor.validation import VALIDATION_COLUMNS, assess_validations

if TYPE_CHECKING:
    from paincast.predictor.model import Predictor

NO_SKILL = "no reasons: the model tells patients apart no better than the overall risk does"


def judge_patients(
    model: Predictor,
    episodes: pd.DataFrame,
    unreadable: pd.Series | None,
    out_of_domain: pd.Series,
    *,
    allow_contradicted: bool,
) -> pd.DataFrame:
    """Make the rows of a model's predictions with everything but the numbers and the reasons.

    Parameters
    ----------
    model : Predictor
        The model.
    episodes : DataFrame of shape (n, ...)
        Patients in the types of the contract, without choices made for another technique.
    unreadable : Series of tuple of str, shape (n,), or None
        Columns of each patient whose value was given but could not be used.
    out_of_domain : Series of str, shape (n,)
        Why each patient is unlike the training cohort; empty if not.
    allow_contradicted : bool
        Whether the model answers where an external validation contradicts it.

    Returns
    -------
    DataFrame of shape (n, len(PREDICTION_COLUMNS))
    """
    encoder = model.response.encoder
    used, required = {variable.name for variable in encoder.variables_}, {*model.measures, "indication"}
    categories = {variable.name: variable.levels for variable in encoder.variables_ if variable.kind == "category"}
    because = decide_answers(
        model.rules,
        model.question,
        episodes,
        unreadable=check_readable(episodes.index, unreadable, used=used, required=required),
        unseen=check_categories(model.rules, episodes, encoder.find_unseen(episodes), categories),
        out_of_domain=out_of_domain,
    )
    validated = assess_validations(model.validations, episodes)
    doubts = [validated["doubted"]]
    if allow_contradicted:
        doubts.insert(0, validated["contradicted"])
    else:
        because = join_reasons(episodes.index, [because, validated["contradicted"]])
    answered = because == ""
    is_own = model.technique in model.contract.own_techniques
    rules = model.rules if is_own else renew_rules(model.technique, model.outcome, model.rules)
    assessed = assess_contraindications(rules, episodes)
    if not model.response.shows_reasons:
        doubts.append(pd.Series(NO_SKILL, index=episodes.index))
    cautions = [*doubts, _note_evidence(model, episodes), assessed["cautions"]]
    unmatched = model.question.list_unmatched(model.measures)
    return make_abstentions(episodes, model.technique, model.outcome, because).assign(
        horizon_months=model.horizon_months,
        level=np.where(answered, model.level, np.nan),
        **validated[list(VALIDATION_COLUMNS)],
        **find_controls(rules, model.outcome, model.horizon_months, episodes, unmatched=unmatched),
        **assessed.assign(cautions=join_reasons(episodes.index, cautions)),
        in_domain=(out_of_domain == "").astype("boolean"),
        abstained=~answered,
        basis=model.basis,
        n_real=model.n_real,
        use=model.mark,
        model_version=model.version,
        contract=model.contract.digest,
    )


def _note_evidence(model: Predictor, episodes: pd.DataFrame) -> pd.Series:
    """Say what evidence is lacking: of an indication, or of a technique that a contract declares."""
    own = model.contract.own_techniques.get(model.technique)
    if own is None:
        return note_missing_evidence(model.rules, episodes)
    return pd.Series(describe_own_technique(own), index=episodes.index, dtype="str")
