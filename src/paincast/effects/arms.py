"""The analysed episodes of a target trial: strategy received, outcome, clusters and encoded covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Arms:
    """The analysed episodes of a target trial.

    Parameters
    ----------
    strategies : tuple of str
        Names of the k strategies, the reference first.
    episodes : DataFrame of shape (n, ...)
        Episodes eligible for every strategy, in the types of the contract.
    strategy : ndarray of int, shape (n,)
        Index of the strategy that was received.
    outcome : ndarray of float, shape (n,)
        0 or 1; NaN where the patient was lost to follow-up.
    patient, site : ndarray of int, shape (n,)
        Codes of the patients and of the sites; a single code of the site if none is recorded.
    matrix : ndarray of float, shape (n, p)
        Encoded covariates: numbers as standard scores, indicators of categories and missing values, and at the end
        indicators of the sites.
    columns : tuple of str
        Names of the p encoded covariates.
    common : ndarray of bool, shape (p,)
        False for indicators so rare that the propensity leaves them out.
    """

    strategies: tuple[str, ...]
    episodes: pd.DataFrame
    strategy: IntArray
    outcome: FloatArray
    patient: IntArray
    site: IntArray
    matrix: FloatArray
    columns: tuple[str, ...]
    common: BoolArray

    @property
    def known(self) -> BoolArray:
        """Whether the outcome of each episode is known, shape (n,)."""
        return np.asarray(np.isfinite(self.outcome))
