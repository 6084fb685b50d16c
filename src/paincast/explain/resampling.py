"""How sure a ranking of variables is: contributions over resampled patients and over the refits of the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from paincast.explain.contributions import Explanation, explain_model
from paincast.models.binary.response import ResponseModel
from paincast.models.serialization import Response
from paincast.models.survival.response import DurationResponse

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

FEWEST_REFITS = 2
MOST_PATIENTS = 2000
"""Patients over whom the refits are explained: the mean over so many hardly moves, and each row costs every refit."""


@dataclass(frozen=True, kw_only=True)
class Resamples:
    """Contributions of the refits of a model, and patients drawn anew for each resample.

    Parameters
    ----------
    rows : ndarray of shape (n,)
        Place in the explanation of each row that is held here.
    contributions : ndarray of shape (n_models, n, n_variables)
        Of each refit, or of the served model where it has none.
    weights : ndarray of shape (resamples, n)
        How often each row stands in each resample.
    model : ndarray of shape (resamples,)
        Which of the models each resample uses.
    n_refits : int
        Number of refits; 0 where the model has none, and the resamples are of patients alone.
    """

    rows: IntArray
    contributions: FloatArray
    weights: FloatArray
    model: IntArray
    n_refits: int

    @property
    def method(self) -> str:
        """Say in words what was resampled."""
        over = f"{self.n_refits} refits" if self.n_refits else "no refits, so that the model's own doubt is left out"
        return f"percentiles of {len(self.weights)} resamples of patients, over {over}"

    def sum(self, of: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """Sum a function of the contributions over the rows of each resample.

        Parameters
        ----------
        of : callable
            Given contributions of shape (n, n_variables), gives an array of shape (n, k).

        Returns
        -------
        ndarray of shape (resamples, k)
        """
        parts = [(self.model == place, of(held)) for place, held in enumerate(self.contributions)]
        total = np.zeros((len(self.weights), parts[0][1].shape[1]))
        for chosen, part in parts:
            total[chosen] = self.weights[chosen] @ part
        return total


def resample_explanations(
    response: Response,
    episodes: pd.DataFrame,
    rng: np.random.Generator,
    *,
    resamples: int = 1000,
    most_patients: int = MOST_PATIENTS,
) -> Resamples:
    """Explain patients by the refits of a model, and draw the patients anew.

    Each resample takes one refit and draws patients with replacement, all episodes of a patient together. The refits
    are those that make the interval of a prediction: to reweighted patients, with a tuning drawn from those that
    cross-validation could not tell from the best. Encoding and the list of candidates are not made anew, so that the
    doubt may be understated.

    Parameters
    ----------
    response : ResponseModel, DurationResponse or ChangeResponse
        The served model; one without refits is resampled over patients alone.
    episodes : DataFrame of shape (n_episodes, ...)
        Episodes in the types of the contract.
    rng : numpy.random.Generator
        Source of the draws.
    resamples : int
        Number of resamples.
    most_patients : int
        Of more patients than these a random part is explained.

    Returns
    -------
    Resamples

    References
    ----------
    Field CA, Welsh AH. J R Stat Soc B 2007;69:369-390. doi:10.1111/j.1467-9868.2007.00593.x
    """
    choice_rng, patient_rng, model_rng = rng.spawn(3)
    codes = pd.factorize(episodes["patient_id"])[0]
    n_patients = int(codes.max(initial=-1)) + 1
    if n_patients > most_patients:
        chosen = choice_rng.choice(n_patients, most_patients, replace=False)
        rows = np.flatnonzero(np.isin(codes, chosen))
    else:
        rows = np.arange(len(episodes))
    own, held = pd.factorize(codes[rows])
    refits = list_refits(response)
    part = episodes.iloc[rows]
    contributions = [explain_model(one, part).contributions.to_numpy(dtype=float) for one in refits or [response]]
    counts = patient_rng.multinomial(len(held), np.full(len(held), 1.0 / max(len(held), 1)), size=resamples)
    return Resamples(
        rows=rows,
        contributions=np.array(contributions),
        weights=counts[:, own].astype(float),
        model=model_rng.permutation(np.arange(resamples) % len(contributions)),
        n_refits=len(refits),
    )


def list_refits(response: Response) -> list[Response]:
    """Give the refits of a model as responses of their own; none where there are fewer than two."""
    found: list[Response] = []
    if isinstance(response, ResponseModel):
        found = [replace(response, model=refit) for refit in response.refits]
    elif isinstance(response, DurationResponse):
        model = response.model
        found = [replace(response, model=replace(model, relief=refit)) for refit in model.refits]
    return found if len(found) >= FEWEST_REFITS else []


def rank_importance(explanation: Explanation, resamples: Resamples, *, confidence: float = 0.95) -> pd.DataFrame:
    """Rank variables by mean absolute contribution, with intervals of the size and of the rank.

    The interval of the rank tells whether the order may be read at all: ranks that reach over each other are not
    told apart by the data. An interval is widened, where needed, to hold what is served: refits are noisier than the
    served model, and a mean of absolute values grows with noise, so that percentiles may lie above it.

    Parameters
    ----------
    explanation : Explanation
        Explanation of the cohort by the served model.
    resamples : Resamples
        From :func:`resample_explanations` of the same cohort.
    confidence : float
        Coverage asked of the intervals.

    Returns
    -------
    DataFrame
        ``variable, importance, lower, upper, rank, rank_lower, rank_upper, method``, the largest first; variables of
        the same size share the better rank.

    References
    ----------
    Lundberg SM, Lee SI. NeurIPS 2017. doi:10.48550/arXiv.1705.07874 (contributions)
    Hall P, Miller H. Ann Statist 2009;37:3929-3959. doi:10.1214/09-AOS699 (bootstrap of ranks)
    """
    served = explanation.contributions.abs().mean().to_numpy(dtype=float)
    drawn = resamples.sum(np.abs) / resamples.weights.sum(axis=1, keepdims=True)
    rank = _rank(served[None, :])[0]
    ranks = _rank(drawn)
    tails = [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0]
    lower, upper = np.quantile(drawn, tails, axis=0)
    rank_lower = np.quantile(ranks, tails[0], axis=0, method="lower")
    rank_upper = np.quantile(ranks, tails[1], axis=0, method="higher")
    table = pd.DataFrame(
        {
            "variable": list(explanation.contributions.columns),
            "importance": served,
            "lower": np.minimum(lower, served),
            "upper": np.maximum(upper, served),
            "rank": rank,
            "rank_lower": np.minimum(rank_lower, rank),
            "rank_upper": np.maximum(rank_upper, rank),
            "method": resamples.method,
        }
    )
    return table.sort_values("rank", kind="stable").reset_index(drop=True)


def _rank(sizes: FloatArray) -> npt.NDArray[np.int64]:
    return np.asarray(rankdata(-sizes, method="min", axis=1), dtype=np.int64)
