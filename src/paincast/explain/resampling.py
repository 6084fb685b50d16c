"""Rank variables with intervals, from contributions over resampled patients and refits of the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.deferred import stats
from paincast.explain.contributions import Explanation, sum_by_variable
from paincast.models.serialization import Response

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

FEWEST_REFITS = 2
MOST_PATIENTS = 2000
"""Maximum number of patients for whom the refits are explained: more would change the means little and take longer."""


@dataclass(frozen=True, kw_only=True)
class Resamples:
    """Contributions of the refits of a model, and the patients drawn in each resample.

    Parameters
    ----------
    rows : ndarray of shape (n,)
        Position of each row in the explanation.
    contributions : ndarray of shape (n_models, n, n_variables)
        Contributions by each refit, or by the served model if it has no refits.
    weights : ndarray of shape (resamples, n)
        How often each row was drawn in each resample.
    model : ndarray of shape (resamples,)
        Index of the model that each resample uses.
    n_refits : int
        Number of refits; if 0, only patients are resampled.
    """

    rows: IntArray
    contributions: FloatArray
    weights: FloatArray
    model: IntArray
    n_refits: int

    @property
    def method(self) -> str:
        """Describe in words what was resampled."""
        over = f"{self.n_refits} refits" if self.n_refits else "no refits: the uncertainty of the model is left out"
        return f"percentiles of {len(self.weights)} resamples of patients, over {over}"

    def sum(self, of: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """Sum a function of the contributions over the rows of each resample.

        Parameters
        ----------
        of : callable
            Takes contributions of shape (n, n_variables) and returns an array of shape (n, k).

        Returns
        -------
        ndarray of shape (resamples, k)
        """
        parts = [(self.model == index, of(values)) for index, values in enumerate(self.contributions)]
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
    """Explain patients by the refits of a model, and resample the patients.

    Each resample takes one refit and draws patients with replacement, all episodes of a patient together. The refits
    are those that give the interval of a prediction: each is fitted to reweighted patients, with a tuning drawn from
    those that cross-validation could not distinguish from the best. Encoding and the list of candidates are kept, so
    the uncertainty may be understated.

    Parameters
    ----------
    response : Response
        The served model; if it has no refits, only patients are resampled.
    episodes : DataFrame of shape (n_episodes, ...)
        Episodes in the types of the contract.
    rng : numpy.random.Generator
        Source of the draws.
    resamples : int
        Number of resamples.
    most_patients : int
        Maximum number of patients; if there are more, a random sample is explained.

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
    positions, drawn_patients = pd.factorize(codes[rows])
    part = episodes.iloc[rows]
    refits = [sum_by_variable(response, encoded) for _, encoded in response.refit_contributions(part)]
    refits = refits if len(refits) >= FEWEST_REFITS else []
    contributions = refits or [sum_by_variable(response, response.contributions(part)[1])]
    counts = patient_rng.multinomial(
        len(drawn_patients), np.full(len(drawn_patients), 1.0 / max(len(drawn_patients), 1)), size=resamples
    )
    return Resamples(
        rows=rows,
        contributions=np.array(contributions),
        weights=counts[:, positions].astype(float),
        model=model_rng.permutation(np.arange(resamples) % len(contributions)),
        n_refits=len(refits),
    )


def rank_importance(explanation: Explanation, resamples: Resamples, *, confidence: float = 0.95) -> pd.DataFrame:
    """Rank variables by mean absolute contribution, with intervals of the size and of the rank.

    If the intervals of two ranks overlap, the data do not determine their order. Each interval is widened, if needed,
    to include the served model: refits are noisier than the served model, and a mean of absolute values increases
    with noise, so that percentiles of the refits may lie above it.

    Parameters
    ----------
    explanation : Explanation
        Explanation of the cohort by the served model.
    resamples : Resamples
        From :func:`resample_explanations` of the same cohort.
    confidence : float
        Nominal coverage of the intervals.

    Returns
    -------
    DataFrame
        ``variable, importance, lower, upper, rank, rank_lower, rank_upper, method``, the largest first; tied variables
        share the better rank.

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
    return np.asarray(stats.rankdata(-sizes, method="min", axis=1), dtype=np.int64)
