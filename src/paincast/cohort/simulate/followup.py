"""Follow-up: response first, from the exact true probability, then the pain score that agrees with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from paincast.cohort.simulate.assumptions import Assumptions
from paincast.cohort.simulate.sites import FloatArray


def draw_process(n: int, months: FloatArray, assumptions: Assumptions, rng: np.random.Generator) -> FloatArray:
    """Draw one persistent process per episode: uniform at each month, a first-order autoregression in log time.

    A Gaussian copula: the correlation of the normal scores between two months is ``response_persistence`` to the power
    of the number of doublings between them.

    Parameters
    ----------
    n : int
        Number of episodes.
    months : ndarray of shape (n_months,)
        Increasing months.
    assumptions : Assumptions
        ``response_persistence``.
    rng : Generator
        Stream of this mechanism.

    Returns
    -------
    ndarray of shape (n, n_months)
        The lower the value, the better the course.
    """
    noise = rng.standard_normal((n, len(months)))
    kept = assumptions.response_persistence ** np.log2(months[1:] / months[:-1])
    for place, correlation in enumerate(kept, start=1):
        noise[:, place] = correlation * noise[:, place - 1] + np.sqrt(1.0 - correlation**2) * noise[:, place]
    uniform: FloatArray = ndtr(noise)
    return uniform


def respond(process: FloatArray, probability: FloatArray) -> NDArray[np.bool_]:
    """Decide response: exactly with its probability, because the process is uniform.

    Parameters
    ----------
    process, probability : ndarray of shape (n, n_months)
        From :func:`draw_process`, and the true probability.
    """
    responded: NDArray[np.bool_] = process < probability
    return responded


def score_pain(
    process: FloatArray,
    probability: FloatArray,
    before: FloatArray,
    assumptions: Assumptions,
) -> FloatArray:
    """Give the whole NRS score of each visit: at most half of the score before exactly for those who respond.

    The place of the process within its region (responding or not) sets how far pain falls, so that a good course stays
    good between visits.

    Parameters
    ----------
    process, probability : ndarray of shape (n, n_months)
        As in :func:`respond`.
    before : ndarray of shape (n,)
        Whole NRS score before the procedure.
    assumptions : Assumptions
        ``non_responder_spread``.

    Returns
    -------
    ndarray of shape (n, n_months)
    """
    half = np.floor(before / 2.0)[:, None]
    responded = respond(process, probability)
    within = np.where(responded, process / probability, (process - probability) / (1.0 - probability))
    within = np.clip(within, 0.0, 1.0 - 1e-12)
    worst = np.minimum(before[:, None] + 1.0, 10.0)
    good = np.floor(within * (half + 1.0))
    bad = half + 1.0 + np.floor(within**assumptions.non_responder_spread * (worst - half))
    score: FloatArray = np.where(responded, good, bad)
    return score
