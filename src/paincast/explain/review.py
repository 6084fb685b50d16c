"""Gather the tables that a reviewer needs on the explanation of a model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.explain.contributions import Explanation
from paincast.explain.dependence import list_dependence
from paincast.explain.directions import DirectionVerdict, assess_directions, list_unseen_directions
from paincast.explain.resampling import rank_importance, resample_explanations
from paincast.models.serialization import Response

MOST_DEPENDENCE = 6
COLUMNS = (
    "variable",
    "importance",
    "lower",
    "upper",
    "rank",
    "rank_lower",
    "rank_upper",
    "evidence_direction",
    "learned_direction",
    "verdict",
    "evidence_strength",
    "method",
)


@dataclass(frozen=True, kw_only=True)
class ExplanationReview:
    """Tables of the explanation; every row describes a group of patients.

    Parameters
    ----------
    importance : DataFrame
        One row per variable, the most important first: ``variable, importance, lower, upper, rank, rank_lower,
        rank_upper, evidence_direction, learned_direction, verdict, evidence_strength, method``.
    dependence : DataFrame
        From :func:`paincast.explain.dependence.compute_dependence`, for the most important variables and for each
        variable that conflicts with its published direction.
    n_refits : int
        Number of refits used for the intervals; if 0, the intervals do not include the uncertainty of the model.
    unseen : tuple of str
        Variables with a published direction that the model does not use.
    guided : bool
        Whether published directions were used to fit the model or to simulate its patients; if so, agreement is not
        independent confirmation.
    contract : Contract
        Declares the variables: their labels and units.
    """

    importance: pd.DataFrame
    dependence: pd.DataFrame
    n_refits: int
    unseen: tuple[str, ...] = ()
    guided: bool = True
    contract: Contract = BUILT_IN

    @property
    def conflicts(self) -> pd.DataFrame:
        """The rows of ``importance`` that conflict with a published direction."""
        return self.importance[self.importance["verdict"] == DirectionVerdict.CONFLICTS.value]


def review_explanation(
    response: Response,
    episodes: pd.DataFrame,
    explanation: Explanation,
    rng: np.random.Generator,
    *,
    directions: Mapping[str, int],
    simulated: bool,
    strong: Collection[str] = (),
    guided: bool = True,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> ExplanationReview:
    """Rank variables with intervals, judge their directions, and compute the dependence of the most important.

    Parameters
    ----------
    response : Response
        The served model.
    episodes : DataFrame of shape (n, ...)
        Episodes in the types of the contract.
    explanation : Explanation
        Their explanation by the served model.
    rng : numpy.random.Generator
        Source of the resamples.
    directions : mapping of str to {-1, 1}
        From :func:`paincast.evidence.expected_signs.load_expected_signs`; empty where the outcome does not follow
        response.
    simulated : bool
        Whether all patients are simulated.
    strong : collection of str
        Variables whose direction has moderate or strong evidence.
    guided : bool
        Whether the directions were used to fit the model or to simulate its patients.
    resamples : int
        Number of resamples of patients and refits.
    confidence : float
        Coverage of all intervals.

    Returns
    -------
    ExplanationReview
    """
    drawn = resample_explanations(response, episodes, rng, resamples=resamples)
    ranked = rank_importance(explanation, drawn, confidence=confidence)
    judged = assess_directions(explanation, drawn, directions, strong=strong, confidence=confidence)
    importance = ranked.merge(judged, on="variable", how="left", validate="one_to_one")[list(COLUMNS)]
    foremost = (importance["rank"] <= MOST_DEPENDENCE) & (importance["importance"] > 0)
    shown = importance[foremost | (importance["verdict"] == DirectionVerdict.CONFLICTS.value)]["variable"]
    return ExplanationReview(
        importance=importance,
        dependence=list_dependence(explanation, drawn, shown.tolist(), simulated=simulated, confidence=confidence),
        n_refits=drawn.n_refits,
        unseen=tuple(list_unseen_directions(explanation, directions)),
        guided=guided,
        contract=explanation.contract,
    )
