"""What a registry sees: death ends follow-up, who fares badly is lost more often, visits and items are missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from paincast.cohort.simulate.assumptions import Assumptions
from paincast.cohort.simulate.pain import Columns
from paincast.cohort.simulate.sites import FloatArray
from paincast.evidence.figures import Survival


def draw_death(n: int, survival: Survival | None, rng: np.random.Generator) -> FloatArray:
    """Draw the month of death, exponential about the record's median; infinite where death does not compete.

    Returns
    -------
    ndarray of shape (n,)
    """
    waits = rng.standard_exponential(n)
    return np.full(n, np.inf) if survival is None else waits * survival.median_months / np.log(2.0)


def draw_observed(
    responded: NDArray[np.bool_],
    scheduled: NDArray[np.bool_],
    months: FloatArray,
    year: NDArray[np.int64],
    death_month: FloatArray,
    assumptions: Assumptions,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Draw which visits a registry holds.

    Loss to follow-up is for good and depends on response at the very visit that is missed: it is not at random.

    Parameters
    ----------
    responded : ndarray of shape (n, n_months)
        Response at each visit.
    scheduled : ndarray of shape (n, n_months)
        Whether there is a visit at all: at the months of the record's curve.
    months : ndarray of shape (n_months,)
        Months of the visits.
    year : ndarray of shape (n,)
        Calendar year of the procedure.
    death_month : ndarray of shape (n,)
        Month of death.
    assumptions : Assumptions
        Rates of loss and of missed visits, and the end of the data.
    rng : Generator
        Stream of this mechanism.

    Returns
    -------
    ndarray of shape (n, n_months)
    """
    hazard = expit(assumptions.loss_log_odds + assumptions.loss_log_odds_non_responder * ~responded)
    lost = np.logical_or.accumulate((rng.random(responded.shape) < hazard) & scheduled, axis=1)
    missed = rng.random(responded.shape) < assumptions.visit_missing_share
    in_time = year[:, None] + 0.5 + months / 12.0 <= assumptions.data_end_year
    observed: NDArray[np.bool_] = scheduled & ~lost & ~missed & in_time & (months < death_month[:, None])
    return observed


def draw_missing_items(
    columns: Columns, assumptions: Assumptions, rng: np.random.Generator
) -> dict[str, NDArray[np.bool_]]:
    """Draw which values before the procedure are missing, completely at random, for each column that can be."""
    n = len(columns["age_years"])
    drawn = {name: rng.random(n) < share for name, share in assumptions.missing.items()}
    return {name: missing for name, missing in drawn.items() if name in columns}
