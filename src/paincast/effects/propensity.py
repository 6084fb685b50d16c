"""The propensity of each strategy given the covariates, and the preference score made of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.effects.arms import Arms
from paincast.effects.ridge import cross_fit, fit_path

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Propensity:
    """P(strategy | covariates) by a multinomial ridge regression; rows sum to 1.

    Parameters
    ----------
    fold : ndarray of int, shape (n,)
        Fold in which an episode was held out.
    held_out : ndarray of float, shape (n, k)
        From models that have not seen the patient: what the estimates use.
    fitted : ndarray of float, shape (n, k)
        From one model of all episodes: what the diagnostics use, which ask whether these very patients are balanced.
    """

    fold: IntArray
    held_out: FloatArray
    fitted: FloatArray


def fit_propensity(arms: Arms, fold: IntArray) -> Propensity:
    """Fit the propensity on the covariates that are not rare, with the sites among them.

    Parameters
    ----------
    arms : Arms
        The analysed episodes.
    fold : ndarray of int, shape (n,)
        Folds, grouped by patient.

    Returns
    -------
    Propensity
    """
    matrix, k = arms.matrix[:, arms.common], len(arms.strategies)
    held_out = cross_fit(matrix, arms.strategy, fold, k)
    [fitted] = fit_path(matrix, arms.strategy, k, matrix, [held_out.prior_sd])
    return Propensity(fold=fold, held_out=held_out.probability, fitted=fitted)


def compute_preference(propensity: FloatArray, strategy: IntArray, pair: tuple[int, int]) -> FloatArray:
    """Compute the preference score for the second of two strategies against the first.

    It is the propensity among those who get either, on the scale on which both are equally common [1]_: half means that
    a patient gets either as often as the average patient does.

    Parameters
    ----------
    propensity : ndarray of shape (n, k)
        P(strategy | covariates).
    strategy : ndarray of int, shape (n,)
        Strategy received.
    pair : tuple of int
        The two strategies.

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    .. [1] Walker AM, Patrick AR, Lauer MS, et al. A tool for assessing the feasibility of comparative effectiveness
       research. Comp Eff Res 2013;3:11-20. doi:10.2147/CER.S40357

    Examples
    --------
    >>> rare = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.7, 0.3]])
    >>> compute_preference(rare, np.array([0, 0, 0, 1]), (0, 1)).round(2).tolist()
    [0.25, 0.25, 0.25, 0.56]
    """
    first, second = (propensity[:, index] / np.mean(strategy == index) for index in pair)
    return np.asarray(second / (first + second))


def count_preference(arms: Arms, propensity: Propensity, n_bins: int = 20) -> pd.DataFrame:
    """Count the episodes of each strategy by preference score, for a histogram of each pair.

    Returns
    -------
    DataFrame
        ``first, second, strategy, lower, upper, n``.
    """
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    frames = []
    for pair in combinations(range(len(arms.strategies)), 2):
        score = compute_preference(propensity.fitted, arms.strategy, pair)
        first, second = (arms.strategies[index] for index in pair)
        for index in pair:
            n = np.histogram(score[arms.strategy == index], bins=edges)[0]
            named = {"first": first, "second": second, "strategy": arms.strategies[index]}
            frames.append(pd.DataFrame({**named, "lower": edges[:-1], "upper": edges[1:], "n": n}))
    return pd.concat(frames, ignore_index=True)
