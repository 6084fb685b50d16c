"""Require that each class of a binary outcome is large enough to fit a model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.disclosure.flow import format_counts_together
from paincast.errors import RefusalError

FloatArray = npt.NDArray[np.float64]


def require_both_classes(outcome: FloatArray, minimum_events: int) -> None:
    """Raise an error if one class of the outcome is too small to fit a model.

    Parameters
    ----------
    outcome : ndarray of shape (n,)
        0 or 1, NaN where follow-up is missing.
    minimum_events : int
        Minimum of each class.

    Raises
    ------
    RefusalError
        With the counts and the minimum.
    """
    known = outcome[~np.isnan(outcome)]
    n_events = int(known.sum())
    n_others = len(known) - n_events
    if min(n_events, n_others) < minimum_events:
        with_it, without, total = format_counts_together(n_events, n_others, len(known))
        raise RefusalError(
            f"{with_it} with and {without} without the outcome among {total} episodes with follow-up; "
            f"at least {minimum_events} of each are needed to fit a model",
            code="PC-MODEL-02",
        )
