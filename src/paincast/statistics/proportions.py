"""Intervals of observed shares."""

from __future__ import annotations

from math import hypot
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def compute_wilson_interval(
    share: npt.ArrayLike, n: npt.ArrayLike, confidence: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Compute Wilson's score interval of a share [1]_.

    Parameters
    ----------
    share : array-like of shape (k,) or float
        Observed shares, from 0 to 1.
    n : array-like of shape (k,) or int
        Counts they rest on, above 0.
    confidence : float
        Coverage.

    Returns
    -------
    lower, upper : ndarray of shape (k,) or float
        The interval holds the share.

    References
    ----------
    .. [1] Wilson EB. Probable inference, the law of succession, and statistical inference. J Am Stat Assoc
       1927;22:209-212. doi:10.1080/01621459.1927.10502953

    Examples
    --------
    >>> lower, upper = compute_wilson_interval(0.5, 100)
    >>> round(float(lower), 3), round(float(upper), 3)
    (0.404, 0.596)
    """
    observed, count = np.asarray(share, dtype=np.float64), np.asarray(n, dtype=np.float64)
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    centre = (observed + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(observed * (1 - observed) / count + z**2 / (4 * count**2))
    return np.clip(centre - half, 0.0, observed), np.clip(centre + half, observed, 1.0)


def compute_newcombe_interval(
    first: float, first_n: float, second: float, second_n: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Compute Newcombe's interval of a difference of two independent shares [1]_.

    Parameters
    ----------
    first, second : float
        Observed shares, from 0 to 1; the difference is the first less the second.
    first_n, second_n : float
        Counts they rest on, above 0.
    confidence : float
        Coverage.

    Returns
    -------
    lower, upper : float

    References
    ----------
    .. [1] Newcombe RG. Interval estimation for the difference between independent proportions. Stat Med
       1998;17:873-890, method 10. doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I

    Examples
    --------
    >>> lower, upper = compute_newcombe_interval(56 / 70, 70, 48 / 80, 80)
    >>> round(lower, 4), round(upper, 4)
    (0.0524, 0.3339)
    """
    lower, upper = map(float, compute_wilson_interval(first, first_n, confidence))
    other_lower, other_upper = map(float, compute_wilson_interval(second, second_n, confidence))
    difference = first - second
    return (
        difference - hypot(first - lower, other_upper - second),
        difference + hypot(upper - first, second - other_lower),
    )
