"""Pool shares of several studies, and predict the share of a new one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.deferred import special, stats
from paincast.errors import DataError

FloatArray = npt.NDArray[np.float64]

PRIOR_SD = 2.5
"""Standard deviation of the normal prior of the mean log odds: shares from 0.7 % to 99.3 % within two of them."""

HETEROGENEITY_SCALE = 1.0
"""Scale of the half-normal prior of the standard deviation between studies, on the log odds."""

_LOG_ODDS = np.linspace(-9.0, 9.0, 1201)
_HETEROGENEITY = np.linspace(0.0, 4.0, 41)


class PooledShare(NamedTuple):
    """A share pooled over studies.

    Parameters
    ----------
    share, lower, upper : float
        Median of the share of the typical study, and its interval.
    predicted_lower, predicted_upper : float
        Interval of the share in a new study.
    heterogeneity : float
        Median standard deviation between studies, on the log odds.
    studies : int
        Number pooled.
    """

    share: float
    lower: float
    upper: float
    predicted_lower: float
    predicted_upper: float
    heterogeneity: float
    studies: int


def pool_shares(events: npt.ArrayLike, n: npt.ArrayLike, *, confidence: float = 0.95) -> PooledShare:
    """Pool shares by a binomial model with random effects on the log odds.

    Each study has its own log odds, normal around the mean of studies; its count is binomial, so that small studies and
    counts of 0 need no correction. With few studies the data say little of how far studies differ, and the half-normal
    prior of that standard deviation [1]_ keeps intervals honest: a single study still gives a prediction interval. The
    posterior is computed on a grid.

    Parameters
    ----------
    events, n : array-like of shape (n_studies,)
        Patients with the outcome, and patients, of each study; at least one study.
    confidence : float
        Coverage of the intervals.

    Returns
    -------
    PooledShare

    Raises
    ------
    DataError
        If there is no study, or a count is not from 0 to ``n``.

    References
    ----------
    .. [1] Röver C, Bender R, Dias S et al. On weakly informative prior distributions for the heterogeneity parameter in
       Bayesian random-effects meta-analysis. Res Synth Methods 2021;12:448-474. doi:10.1002/jrsm.1475

    Examples
    --------
    >>> pooled = pool_shares([12, 30, 9], [20, 60, 30])
    >>> round(pooled.share, 2), round(pooled.lower, 2), round(pooled.upper, 2)
    (0.46, 0.25, 0.7)
    """
    counted, total = (np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in (events, n))
    if (
        not len(counted)
        or counted.shape != total.shape
        or not ((counted >= 0) & (counted <= total) & (total > 0)).all()
    ):
        raise DataError(
            "shares to pool: at least one study is needed, each with events from 0 to n", code="PC-STATISTICS-01"
        )
    posterior = _compute_posterior(counted, total)
    mean, heterogeneity = posterior.sum(axis=0), posterior.sum(axis=1)
    spread = [_spread(weights, scale) for weights, scale in zip(posterior, _HETEROGENEITY, strict=True)]
    predicted = np.sum(spread, axis=0)
    tails = (0.5 - confidence / 2.0, 0.5 + confidence / 2.0)
    lower, upper = (float(special.expit(_find_quantile(_LOG_ODDS, mean, tail))) for tail in tails)
    predicted_lower, predicted_upper = (
        float(special.expit(_find_quantile(_LOG_ODDS, predicted, tail))) for tail in tails
    )
    return PooledShare(
        share=float(special.expit(_find_quantile(_LOG_ODDS, mean, 0.5))),
        lower=lower,
        upper=upper,
        predicted_lower=predicted_lower,
        predicted_upper=predicted_upper,
        heterogeneity=_find_quantile(_HETEROGENEITY, heterogeneity, 0.5),
        studies=len(counted),
    )


def _compute_posterior(events: FloatArray, n: FloatArray) -> FloatArray:
    """Compute the joint posterior of heterogeneity (rows) and mean log odds (columns) on the grid."""
    log_likelihood = events[:, None] * _LOG_ODDS - n[:, None] * np.logaddexp(0.0, _LOG_ODDS)
    likelihood = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    log_posterior = np.empty((len(_HETEROGENEITY), len(_LOG_ODDS)))
    prior = stats.norm.logpdf(_LOG_ODDS, scale=PRIOR_SD)
    for row, scale in enumerate(_HETEROGENEITY):
        of_mean = _spread(likelihood, scale)
        log_posterior[row] = np.log(np.maximum(of_mean, 1e-300)).sum(axis=0) + prior
        log_posterior[row] += stats.norm.logpdf(scale, scale=HETEROGENEITY_SCALE)
    posterior = np.exp(log_posterior - log_posterior.max())
    return np.asarray(posterior / posterior.sum())


def _spread(values: FloatArray, scale: float) -> FloatArray:
    """Convolve values on the grid with the normal distribution of studies around their mean."""
    from scipy.fft import irfft, rfft, rfftfreq

    step = _LOG_ODDS[1] - _LOG_ODDS[0]
    size = 2 * len(_LOG_ODDS) + 1
    transfer = np.exp(-0.5 * (2.0 * np.pi * rfftfreq(size, step) * scale) ** 2)
    return np.asarray(np.maximum(irfft(rfft(values, size) * transfer, size)[..., : len(_LOG_ODDS)], 0.0))


def _find_quantile(values: FloatArray, weights: FloatArray, share: float) -> float:
    """Find a quantile of a distribution on a grid, each weight spread evenly over its cell."""
    width = values[1] - values[0]
    edges = np.append(values - width / 2.0, values[-1] + width / 2.0)
    below = np.concatenate([[0.0], np.cumsum(weights) / weights.sum()])
    return float(np.clip(np.interp(share, below, edges), values[0], values[-1]))
