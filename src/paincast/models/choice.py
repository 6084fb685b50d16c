"""Choose among candidates by the one-standard-error rule, or average them by their cross-validated likelihoods."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.deferred import special
from paincast.statistics import compute_clustered_error, compute_log_loss

FloatArray = npt.NDArray[np.float64]

SMALLEST_SHARE = 0.01
"""Share, relative to the largest, below which a candidate is left out of an average."""


def compare_losses(
    losses: FloatArray, *, weights: FloatArray | None = None, groups: npt.NDArray[np.generic] | None = None
) -> pd.DataFrame:
    """Compare candidates on the same rows: mean loss, and paired excess over the best with a standard error.

    Parameters
    ----------
    losses : ndarray of shape (n_candidates, n)
        Out-of-sample loss of each candidate in each row.
    weights : ndarray of shape (n,), optional
        Weights of the rows, not negative.
    groups : ndarray of shape (n,), optional
        Patient of each row; patients are the unit of the standard error. By default each row is a patient.

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
    """Find the first candidate whose excess loss is at most ``standard_errors`` times its standard error.

    Parameters
    ----------
    comparison : DataFrame
        From :func:`compare_losses`, the simplest candidate first.
    standard_errors : float
        0 selects the best candidate.

    Returns
    -------
    int
        Position of the candidate.

    References
    ----------
    Breiman L et al. Classification and Regression Trees (1984), section 3.4.3.
    """
    return int(np.argmax(comparison["excess"] <= standard_errors * comparison["excess_se"]))


def is_better(
    losses: FloatArray,
    baseline: FloatArray,
    standard_errors: float,
    *,
    weights: FloatArray | None = None,
    groups: npt.NDArray[np.generic] | None = None,
) -> bool:
    """Tell whether the mean loss lies below that of a baseline by more than some standard errors of the difference.

    Parameters
    ----------
    losses, baseline : ndarray of shape (n,)
        Out-of-sample losses of the same rows.
    standard_errors : float
        1 asks for a clear gain, 0 for any, and -1 for no clear harm.
    weights, groups : ndarray of shape (n,), optional
        As for :func:`compare_losses`.

    Examples
    --------
    >>> losses, baseline = np.array([0.4, 0.6, 0.6, 0.4]), np.array([0.5, 0.7, 0.6, 0.6])
    >>> is_better(losses, baseline, 1.0), is_better(baseline, losses, -1.0), is_better(losses, losses, 0.0)
    (True, False, False)
    """
    comparison = compare_losses(np.array([losses, baseline]), weights=weights, groups=groups)
    gain = comparison["log_loss"].iloc[1] - comparison["log_loss"].iloc[0]
    return bool(gain > standard_errors * comparison["excess_se"].max())


def is_better_than_overall_risk(
    linear_predictor: FloatArray,
    outcome: FloatArray,
    standard_errors: float,
    *,
    groups: npt.NDArray[np.generic] | None = None,
) -> bool:
    """Tell whether out-of-fold predictions are better than the overall risk, see :func:`is_better`.

    Parameters
    ----------
    linear_predictor : ndarray of shape (n,)
        Out-of-fold log odds.
    outcome : ndarray of shape (n,)
        0 or 1, both present.
    standard_errors : float
        As for :func:`is_better`.
    groups : ndarray of shape (n,), optional
        As for :func:`compare_losses`.

    Examples
    --------
    >>> outcome = np.array([0.0, 1.0] * 20)
    >>> [is_better_than_overall_risk(slope * (outcome - 0.5), outcome, 1.0) for slope in (2.0, 0.0, -2.0)]
    [True, False, False]
    """
    overall = np.full(len(outcome), special.logit(outcome.mean()))
    losses, baseline = compute_log_loss([linear_predictor, overall], outcome)
    return is_better(losses, baseline, standard_errors, groups=groups)


def share_by_likelihood(losses: FloatArray, power: float, *, log_prior: FloatArray | None = None) -> FloatArray:
    """Compute shares of candidates in proportion to their cross-validated likelihoods raised to a power.

    Parameters
    ----------
    losses : ndarray of shape (n_candidates,)
        Sum of the log losses of held-out rows.
    power : float
        With 1, shares are proportional to the likelihoods; below 1, they are more even.
    log_prior : ndarray of shape (n_candidates,), optional
        Log prior odds of each candidate.

    Returns
    -------
    ndarray of shape (n_candidates,)
        Shares that add up to 1; those below a hundredth of the largest are 0.

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
    error = compute_clustered_error(centred[weight > 0], codes[weight > 0])
    return 0.0 if np.isnan(error) else error  # one patient has no standard error: only the best candidate wins
