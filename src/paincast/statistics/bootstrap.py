"""The Bayesian bootstrap of patients."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd

FloatArray = npt.NDArray[np.float64]


def draw_bayesian_bootstrap_weights(patients: npt.ArrayLike, rng: np.random.Generator) -> FloatArray:
    """Draw one exponential weight per patient, shared by the patient's rows and scaled to a mean of 1 over rows [1]_.

    Parameters
    ----------
    patients : array-like of shape (n,)
        Patient of each row.
    rng : Generator
        Source of the weights.

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    .. [1] Rubin DB. The Bayesian bootstrap. Ann Stat 1981;9:130-134. doi:10.1214/aos/1176345338

    Examples
    --------
    >>> weights = draw_bayesian_bootstrap_weights(["a", "b", "a"], np.random.default_rng(1))
    >>> bool(weights[0] == weights[2]), round(float(weights.mean()), 6)
    (True, 1.0)
    """
    codes, names = pd.factorize(np.asarray(patients))
    weights = rng.exponential(size=len(names))[codes]
    return np.asarray(weights / weights.mean(), dtype=float)
