"""Intervals of observed shares."""

from __future__ import annotations

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
