"""Log loss of binary outcomes, from log odds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def compute_log_loss(log_odds: npt.ArrayLike, outcome: npt.ArrayLike) -> FloatArray:
    """Compute the log loss of each row in nats: the negative log likelihood of a binary outcome.

    Taking log odds instead of probabilities keeps the loss exact where a probability would round to 0 or 1.

    Parameters
    ----------
    log_odds : array-like of shape (..., n)
        Predicted log odds of outcome 1.
    outcome : array-like of shape (n,)
        0 or 1; from 0 to 1 where a row stands for several.

    Returns
    -------
    ndarray of shape (..., n)

    Examples
    --------
    >>> compute_log_loss([0.0, 800.0], [1.0, 1.0]).round(3).tolist()
    [0.693, 0.0]
    """
    return np.asarray(np.logaddexp(0.0, log_odds) - np.multiply(outcome, log_odds), dtype=float)
