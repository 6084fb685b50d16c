"""Cross-fitted nuisance functions of a target trial, and the doubly robust scores made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


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
