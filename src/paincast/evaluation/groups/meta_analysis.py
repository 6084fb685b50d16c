"""Random-effects meta-analysis: the mean over groups, their heterogeneity and what a new group may show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import t as student

from paincast.errors import DataError
from paincast.evaluation.predictions import FloatArray


@dataclass(frozen=True)
class PooledEstimate:
    """Groups pooled under random effects.

    Parameters
    ----------
    mean, error : float
        Mean over groups and its standard error.
    lower, upper : float
        Interval of the mean.
    predicted_lower, predicted_upper : float
        Interval in which the value of a new group is expected; NaN with fewer than three groups.
    tau : float
        Standard deviation between groups, beyond what the errors explain.
    groups : int
        Number pooled.
    """

    mean: float
    error: float
    lower: float
    upper: float
    predicted_lower: float
    predicted_upper: float
    tau: float
    groups: int


def pool_random_effects(estimates: FloatArray, errors: FloatArray, *, confidence: float = 0.95) -> PooledEstimate:
    """Pool estimates of groups by restricted maximum likelihood [1]_, with the interval of Hartung and Knapp [2]_.

    Groups that differ less than their errors would have them do not shorten the interval [4]_. The prediction interval
    for a new group [3]_ adds the variance between groups to that of the mean; its quantiles are those of t with two
    degrees of freedom fewer than there are groups. Where groups differ no more than their errors it is too short [5]_:
    with ten groups a simulation in the tests finds 89 % of new ones in intervals of 95 %.

    Parameters
    ----------
    estimates, errors : ndarray of shape (n_groups,)
        Estimates on a scale on which they are about normal, and their standard errors, above 0. At least two groups.
    confidence : float
        Coverage of the intervals.

    Returns
    -------
    PooledEstimate

    Raises
    ------
    DataError
        If there are fewer than two groups, or one is not finite or has no error above 0.

    References
    ----------
    .. [1] Viechtbauer W. J Educ Behav Stat 2005;30:261-293. doi:10.3102/10769986030003261
    .. [2] IntHout J, Ioannidis JPA, Borm GF. BMC Med Res Methodol 2014;14:25. doi:10.1186/1471-2288-14-25
    .. [3] Higgins JPT, Thompson SG, Spiegelhalter DJ. A re-evaluation of random-effects meta-analysis. J R Stat Soc A
       2009;172:137-159. doi:10.1111/j.1467-985X.2008.00552.x
    .. [4] Röver C, Knapp G, Friede T. BMC Med Res Methodol 2015;15:99. doi:10.1186/s12874-015-0091-1
    .. [5] Partlett C, Riley RD. Stat Med 2017;36:301-317. doi:10.1002/sim.7140

    Examples
    --------
    >>> pooled = pool_random_effects(np.array([0.1, 0.3, 0.2, 0.6]), np.array([0.1, 0.1, 0.2, 0.15]))
    >>> round(pooled.mean, 2), round(pooled.tau, 2)
    (0.29, 0.17)
    """
    count = len(estimates)
    if count < 2 or not (np.isfinite(estimates) & np.isfinite(errors) & (errors > 0)).all():
        raise DataError(
            f"{count} groups to pool: at least 2 are needed, each with a finite estimate and an error above 0",
            code="PC-EVALUATION-02",
        )
    between = _estimate_between(estimates, errors**2)
    weights = 1.0 / (errors**2 + between)
    mean = float(weights @ estimates / weights.sum())
    spread = float(weights @ (estimates - mean) ** 2) / (count - 1)
    error = float(np.sqrt(max(1.0, spread) / weights.sum()))
    reach = float(student.ppf(0.5 + confidence / 2.0, count - 1)) * error
    wide = np.nan
    if count > 2:
        wide = float(student.ppf(0.5 + confidence / 2.0, count - 2)) * float(np.sqrt(error**2 + between))
    return PooledEstimate(
        mean=mean,
        error=error,
        lower=mean - reach,
        upper=mean + reach,
        predicted_lower=mean - wide,
        predicted_upper=mean + wide,
        tau=float(np.sqrt(between)),
        groups=count,
    )


def shrink_estimates(
    estimates: FloatArray, errors: FloatArray, *, confidence: float = 0.95
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shrink estimates of groups towards their mean, the less they are known the more [1]_.

    Parameters
    ----------
    estimates, errors, confidence
        As for :func:`pool_random_effects`, at least three groups: the variance between two cannot be estimated.

    Returns
    -------
    shrunken, lower, upper : ndarray of shape (n_groups,)
        Empirical Bayes estimates; the intervals take the variance between groups as known and hold the uncertainty of
        the mean.

    Raises
    ------
    DataError
        If there are fewer than three groups, or one is not finite or has no error above 0.

    References
    ----------
    .. [1] Morris CN. Parametric empirical Bayes inference: theory and applications. J Am Stat Assoc 1983;78:47-55.
       doi:10.1080/01621459.1983.10477920
    """
    if len(estimates) < 3:
        raise DataError(
            f"{len(estimates)} groups to shrink: at least 3 are needed to know how far groups differ",
            code="PC-EVALUATION-03",
        )
    pooled = pool_random_effects(estimates, errors, confidence=confidence)
    towards_mean = errors**2 / (errors**2 + pooled.tau**2)
    shrunken = towards_mean * pooled.mean + (1.0 - towards_mean) * estimates
    spread = np.sqrt((1.0 - towards_mean) * errors**2 + towards_mean**2 * pooled.error**2)
    reach = float(student.ppf(0.5 + confidence / 2.0, len(estimates) - 1)) * spread
    return shrunken, shrunken - reach, shrunken + reach


def _estimate_between(estimates: FloatArray, variances: FloatArray) -> float:
    """Find the variance between groups where the restricted likelihood is highest."""

    def slope(between: float) -> float:
        weights = 1.0 / (variances + between)
        mean = weights @ estimates / weights.sum()
        squares = (weights**2) @ (estimates - mean) ** 2
        return float(squares - weights.sum() + (weights**2).sum() / weights.sum())

    if slope(0.0) <= 0.0:
        return 0.0
    ceiling = float(np.ptp(estimates) ** 2 + variances.max())
    while slope(ceiling) > 0.0:
        ceiling *= 2.0
    return float(brentq(slope, 0.0, ceiling, xtol=1e-14, rtol=1e-13))
