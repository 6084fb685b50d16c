"""Policies that give each patient the strategy with the best individual contrast, and what they are worth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.effects.arms import Arms
from paincast.effects.average import summarize_estimate
from paincast.effects.nuisance import Nuisance

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

INDIVIDUAL, SINGLE, USUAL = "individual", "best single strategy", "treat as usual"

CURVE_SHARES = np.linspace(0.0, 1.0, 21)
"""Shares of patients who get another strategy than the reference, at which the policy curve is computed."""


def recommend(contrasts: FloatArray) -> IntArray:
    """Recommend for each patient the strategy with the largest individual contrast, the reference in a tie.

    Parameters
    ----------
    contrasts : ndarray of shape (n, k)
        From :func:`paincast.effects.individual.estimate_individual_contrasts`.

    Returns
    -------
    ndarray of int, shape (n,)
        Index of the strategy.

    Examples
    --------
    >>> recommend(np.array([[0.0, 0.1, 0.2], [0.0, -0.1, 0.0]])).tolist()
    [2, 0]
    """
    return np.asarray(np.argmax(contrasts, axis=1))


def compute_policy_value(arms: Arms, nuisance: Nuisance, contrasts: FloatArray) -> pd.DataFrame:
    """Estimate the share of patients who would have the outcome if each got the recommended strategy.

    The value of a policy is the mean doubly robust score of what it recommends [1]_. No patient's outcome had a part in
    the contrasts that decide on the same patient, nor in the choice of the best single strategy, which is that with the
    highest mean score in the other folds. Treat as usual is what the patients got, corrected for loss alone.

    Parameters
    ----------
    arms : Arms
        The analysed episodes.
    nuisance : Nuisance
        Cross-fitted nuisance functions and scores.
    contrasts : ndarray of shape (n, k)
        Cross-fitted individual contrasts.

    Returns
    -------
    DataFrame
        ``policy, against, estimate, standard_error, lower, upper, n``: the value of each policy (``against`` is empty),
        and the advantage of the individual policy over the others. Intervals of 95 % are clustered by patient and site.

    References
    ----------
    .. [1] Athey S, Wager S. Policy learning with observational data. Econometrica 2021;89:133-161.
       doi:10.3982/ECTA15732
    """
    rows = np.arange(len(arms.strategy))
    values = {
        INDIVIDUAL: nuisance.scores[rows, recommend(contrasts)],
        SINGLE: nuisance.scores[rows, choose_single(nuisance)],
        USUAL: _score_usual(arms, nuisance),
    }
    compared = [(name, "", score) for name, score in values.items()]
    compared += [(INDIVIDUAL, name, values[INDIVIDUAL] - values[name]) for name in (SINGLE, USUAL)]
    return pd.DataFrame(
        [{"policy": name, "against": against, **_average(arms, score)} for name, against, score in compared]
    )


def choose_single(nuisance: Nuisance) -> IntArray:
    """Choose one strategy for all patients of a fold: that with the highest mean score in the other folds.

    Returns
    -------
    ndarray of int, shape (n,)
        The same within a fold, and mostly in all.
    """
    chosen = np.empty(len(nuisance.fold), dtype=np.int64)
    for number in np.unique(nuisance.fold):
        own = nuisance.fold == number
        chosen[own] = int(np.argmax(nuisance.scores[~own].mean(axis=0)))
    return chosen


def compute_policy_curve(arms: Arms, nuisance: Nuisance, contrasts: FloatArray) -> pd.DataFrame:
    """Compute the value of giving another strategy than the reference to those with the largest contrasts only.

    Patients are ordered by their best contrast among the other strategies. At share 0 all get the reference, at share 1
    all get their best other strategy. ``at_random`` is the value if as many patients were drawn at random: the distance
    between both is what the order is worth, as in a Qini curve [1]_.

    Parameters
    ----------
    arms, nuisance, contrasts
        As in :func:`compute_policy_value`.

    Returns
    -------
    DataFrame
        ``share, threshold, estimate, standard_error, lower, upper, n, at_random``. ``threshold`` is the smallest
        contrast of those who get another strategy, NaN at share 0. Each interval is for its share alone.

    References
    ----------
    .. [1] Radcliffe NJ. Using control groups to target on predicted lift: building and assessing uplift models. Direct
       Marketing Analytics Journal 2007;1:14-21.
    """
    best = 1 + np.argmax(contrasts[:, 1:], axis=1)
    rows = np.arange(len(best))
    gain = nuisance.scores[rows, best] - nuisance.scores[:, 0]
    order = np.argsort(-contrasts[rows, best], kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = rows
    found = []
    for share in CURVE_SHARES:
        count = round(share * len(order))
        is_given = rank < count
        threshold = float(contrasts[order[count - 1], best[order[count - 1]]]) if count else float("nan")
        score = nuisance.scores[:, 0] + is_given * gain
        at_random = float((nuisance.scores[:, 0] + share * gain).mean())
        found.append({"share": share, "threshold": threshold, **_average(arms, score), "at_random": at_random})
    return pd.DataFrame(found)


def _score_usual(arms: Arms, nuisance: Nuisance) -> FloatArray:
    """Score what was received: the residual of its doubly robust score is weighted for loss, not for the choice."""
    received = np.arange(len(arms.strategy)), arms.strategy
    response = nuisance.response[received]
    return np.asarray(response + nuisance.propensity[received] * (nuisance.scores[received] - response))


def _average(arms: Arms, score: FloatArray) -> dict[str, float]:
    estimate = float(score.mean())
    return summarize_estimate(arms, estimate, score - estimate)
