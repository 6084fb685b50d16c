"""Cross-fitted nuisance functions of a target trial, and the doubly robust scores made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paincast.effects.arms import Arms
from paincast.effects.propensity import Propensity
from paincast.effects.ridge import cross_fit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


N_FOLDS = 5

SMALLEST = 0.01
"""Smallest probability by whose inverse an outcome is weighted: below it one patient would stand for a hundred."""


@dataclass(frozen=True, kw_only=True)
class Nuisance:
    """Cross-fitted nuisance functions: every episode is answered by models that have not seen its patient.

    Parameters
    ----------
    fold : ndarray of int, shape (n,)
        Fold in which the episode was held out; the episodes of a patient share one.
    propensity : ndarray of float, shape (n, k)
        P(strategy | covariates); each row sums to 1.
    observation : ndarray of float, shape (n, k)
        P(outcome known | strategy, covariates).
    response : ndarray of float, shape (n, k)
        P(outcome | strategy, covariates), among those whose outcome is known.
    scores : ndarray of float, shape (n, k)
        Augmented inverse probability weighted (AIPW) scores: their mean is the mean outcome under each strategy.
    """

    fold: IntArray
    propensity: FloatArray
    observation: FloatArray
    response: FloatArray
    scores: FloatArray


def assign_folds(arms: Arms, rng: np.random.Generator) -> IntArray:
    """Assign patients to folds at random, so that each strategy, and those lost, are spread over all folds.

    Returns
    -------
    ndarray of int, shape (n,)
        The episodes of a patient share a fold.
    """
    _, first, member = np.unique(arms.patient, return_index=True, return_inverse=True)
    shuffled = rng.permutation(len(first))
    stratum = 2 * arms.strategy[first] + arms.known[first]
    dealt = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    fold = np.empty(len(first), dtype=np.int64)
    fold[dealt] = np.arange(len(first)) % N_FOLDS
    return fold[member]


def fit_nuisance(arms: Arms, propensity: Propensity) -> Nuisance:
    """Fit what the doubly robust scores need: who is observed, and the outcome, within each strategy.

    Both are ridge regressions on all covariates, for each strategy by itself, so that effects may differ between
    patients. A score corrects the predicted outcome by the weighted residual of those who got the strategy and whose
    outcome is known: its mean is right if either the response, or propensity and observation are [1]_ [2]_.

    Parameters
    ----------
    arms : Arms
        The analysed episodes.
    propensity : Propensity
        The propensity, cross-fitted.

    Returns
    -------
    Nuisance

    References
    ----------
    .. [1] Bang H, Robins JM. Doubly robust estimation in missing data and causal inference models. Biometrics
       2005;61:962-973. doi:10.1111/j.1541-0420.2005.00377.x
    .. [2] Chernozhukov V, et al. Double/debiased machine learning for treatment and structural parameters.
       Econom J 2018;21:C1-C68. doi:10.1111/ectj.12097
    """
    known, fold = arms.known, propensity.fold
    event = np.where(known, arms.outcome, 0.0).astype(np.int64)
    observation, response = np.empty((2, *propensity.held_out.shape))
    for place in range(len(arms.strategies)):
        received = arms.strategy == place
        observation[:, place] = cross_fit(arms.matrix, known.astype(np.int64), fold, 2, received).probability[:, 1]
        response[:, place] = cross_fit(arms.matrix, event, fold, 2, received & known).probability[:, 1]
    return Nuisance(
        fold=fold,
        propensity=propensity.held_out,
        observation=observation,
        response=response,
        scores=response + compute_residuals(arms, propensity.held_out, observation, response),
    )


def compute_residuals(arms: Arms, propensity: FloatArray, observation: FloatArray, response: FloatArray) -> FloatArray:
    """Compute the weighted residuals of the observed outcomes, 0 for every strategy but the one received.

    Returns
    -------
    ndarray of shape (n, k)
    """
    rows = np.flatnonzero(arms.known)
    received = arms.strategy[rows]
    chance = np.maximum(propensity[rows, received] * observation[rows, received], SMALLEST)
    residuals = np.zeros(response.shape)
    residuals[rows, received] = (arms.outcome[rows] - response[rows, received]) / chance
    return residuals
