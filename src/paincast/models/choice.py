"""The one-standard-error rule: the first of several candidates, simplest first, that is as good as the best."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.statistics import compute_clustered_error

FloatArray = npt.NDArray[np.float64]

SMALLEST_SHARE = 0.01
"""Share, beside that of the largest, below which a candidate is left out of an average."""


def compare_losses(
    losses: FloatArray, *, weights: FloatArray | None = None, groups: npt.NDArray[np.generic] | None = None
) -> pd.DataFrame:
    """Compare candidates on the same rows: mean loss, and its paired excess over the best with a standard error.

    Parameters
    ----------
    losses : ndarray of shape (n_candidates, n)
        Loss of each candidate in each row, out of sample.
    weights : ndarray of shape (n,), optional
        Weights of the rows, not negative.
    groups : ndarray of shape (n,), optional
        Patient of each row; the standard error takes patients as the unit. By default each row is a patient.

    Returns
    -------
    DataFrame of shape (n_candidates, 3)
        ``log_loss, excess, excess_se``.

    Examples
    --------
    >>> compare_losses(np.array([[0.5, 0.7, 0.6, 0.6], [0.4, 0.6, 0.6, 0.4]])).round(3).to_numpy().tolist()
    [[0.6, 0.1, 0.041], [0.5, 0.0, 0.0]]
    """
    n = losses.shape[1]
    weight = np.ones(n) if weights is None else weights
    codes = np.arange(n) if groups is None else pd.factorize(groups)[0]
    mean = losses @ weight / weight.sum()
    excess = losses - losses[int(np.argmin(mean))]
    return pd.DataFrame(
        {
            "log_loss": mean,
            "excess": excess @ weight / weight.sum(),
            "excess_se": [_compute_error(row, weight, codes) for row in excess],
        }
    )


def find_simplest(comparison: pd.DataFrame, standard_errors: float) -> int:
    """Find the first candidate whose excess is no more than so many of its standard errors.

    Parameters
    ----------
    comparison : DataFrame
        From :func:`compare_losses`, the simplest candidate first.
    standard_errors : float
        0 takes the best as it is.

    Returns
    -------
    int
        Place of the candidate.

    References
    ----------
    Breiman L et al. Classification and Regression Trees (1984), section 3.4.3.
    """
    return int(np.argmax(comparison["excess"] <= standard_errors * comparison["excess_se"]))


def share_by_likelihood(losses: FloatArray, power: float, *, log_prior: FloatArray | None = None) -> FloatArray:
    """Share one model among candidates in proportion to their cross-validated likelihoods to a power.

    Parameters
    ----------
    losses : ndarray of shape (n_candidates,)
        Sum of the log losses of held-out rows.
    power : float
        1 is the ratio of the likelihoods; below, the shares are more even.
    log_prior : ndarray of shape (n_candidates,), optional
        Log of the odds of a candidate before any row is seen.

    Returns
    -------
    ndarray of shape (n_candidates,)
        Shares that add up to 1; those below a hundredth of the greatest are 0.

    Examples
    --------
    >>> share_by_likelihood(np.array([10.0, 10.0, 40.0]), 0.35).tolist()
    [0.5, 0.5, 0.0]
    """
    log_share = -power * losses + (0.0 if log_prior is None else log_prior)
    shares = np.exp(log_share - log_share.max())
    shares[shares < SMALLEST_SHARE] = 0.0
    return np.asarray(shares / shares.sum(), dtype=float)


def _compute_error(values: FloatArray, weight: FloatArray, codes: npt.NDArray[np.intp]) -> float:
    centred = weight * (values - values @ weight / weight.sum()) / weight.sum()
    return compute_clustered_error(centred[weight > 0], codes[weight > 0])
