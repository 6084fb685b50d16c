"""Is the cohort large enough? The first question: how well is the overall risk known."""

from __future__ import annotations

import math

Z_95 = 1.959963984540054


def overall_risk_margin(prevalence: float, n: int) -> float:
    """Give the half width of the 95 % interval of the overall risk.

    Parameters
    ----------
    prevalence : float
        Share with the outcome.
    n : int
        Number of episodes with follow-up.

    Returns
    -------
    float
        On the probability scale.
    """
    return Z_95 * math.sqrt(prevalence * (1 - prevalence) / n)


def minimum_n_for_overall_risk(prevalence: float, margin: float = 0.05) -> int:
    """Compute how many episodes are needed to know the overall risk within a margin.

    Parameters
    ----------
    prevalence : float
        Share with the outcome.
    margin : float
        Half width of the 95 % interval wanted, on the probability scale.

    Returns
    -------
    int

    References
    ----------
    Riley RD et al. BMJ 2020;368:m441, doi:10.1136/bmj.m441, step 1.

    Examples
    --------
    >>> minimum_n_for_overall_risk(0.5)
    385
    """
    return math.ceil(prevalence * (1 - prevalence) * (Z_95 / margin) ** 2)
