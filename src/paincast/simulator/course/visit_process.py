"""Simulate the observation process: death, informative loss to follow-up, missed visits and missing items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import expit, logit

from paincast.schema import EPISODES, VISITS
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.course.response import PAIN
from paincast.simulator.course.visits import Course, bound_pain
from paincast.simulator.population.marginals import Columns
from paincast.simulator.population.sites import Float, Sites, Truths, Whole

ALWAYS_THERE = frozenset({"active_infection", "pregnant"})
"""Columns that are never missing."""

MIDDLE_OF_YEAR = 0.5


def is_in_time(year: Whole, month: Float | float, assumptions: Assumptions) -> Truths:
    """Flag times before the end of the data; procedures are assumed to take place in the middle of their year."""
    return np.asarray(year + MIDDLE_OF_YEAR + month / 12.0 <= assumptions.data_end_year)


def compute_loss(assumptions: Assumptions) -> tuple[float, float]:
    """Compute the probability of loss at a visit for non-responders and for responders at that visit."""
    share = assumptions.loss_share
    if share in (0.0, 1.0):
        return share, share
    return float(expit(logit(share) + assumptions.loss_mnar)), share


def draw_observed(
    responded: Truths,
    months: Sequence[float],
    year: Whole,
    death_month: Float,
    assumptions: Assumptions,
    rng: np.random.Generator,
) -> Truths:
    """Draw which visits are recorded.

    Loss to follow-up is permanent and depends on the response at the missed visit itself: it is not at random.

    Parameters
    ----------
    responded : ndarray of shape (n, n_months)
        Response at each visit.
    months : sequence of float
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
    failing, responding = (np.float32(share) for share in compute_loss(assumptions))
    hazard = np.where(responded, responding, failing)
    drawn = rng.random((*responded.shape, 2), dtype=np.float32)
    staying = drawn[..., 0] >= hazard
    for visit in range(1, len(months)):
        staying[:, visit] &= staying[:, visit - 1]
    staying &= drawn[..., 1] >= np.float32(assumptions.visit_missing_share)
    for visit, month in enumerate(months):
        staying[:, visit] &= is_in_time(year, month, assumptions) & (month < death_month)
    return staying


def draw_missing_items(
    columns: Columns, sites: Sites, site: Whole, mean_age: float, assumptions: Assumptions, rng: np.random.Generator
) -> dict[str, Truths]:
    """Draw which baseline values are missing.

    The overall share of a column is multiplied by a site factor and increases with age. Both are observed, so values
    are missing at random given site and age.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n,)
        Baseline columns.
    sites, site
        The sites, and the site of each episode.
    mean_age : float
        Age at which the age factor is 1.
    assumptions : Assumptions
        Shares, and their dependence on site and age.
    rng : Generator
        Random stream of this mechanism.
    """
    factor = compute_missingness_factor(columns["age_years"], sites, site, mean_age, assumptions)
    shares = {
        name: share
        for name in EPISODES
        if name in columns and name not in ALWAYS_THERE
        if (share := assumptions.missing.get(name, assumptions.missing_other)) > 0
    }
    limits = np.array(list(shares.values()), dtype=np.float32)[:, None] * factor
    return dict(zip(shares, rng.random((len(site), len(shares)), dtype=np.float32).T.copy() < limits, strict=True))


def compute_missingness_factor(
    age: Float, sites: Sites, site: Whole, mean_age: float, assumptions: Assumptions
) -> Float:
    """Compute the factor for the share of missing values.

    Returns
    -------
    ndarray of shape (n,)
    """
    factor = 1 + np.float32(assumptions.missing_by_age / 10.0) * (age - np.float32(mean_age))
    return np.asarray(np.maximum(factor, 0) * sites.missing.astype(np.float32)[site])


def draw_missing_at_visits(
    names: Sequence[str], shape: tuple[int, ...], assumptions: Assumptions, rng: np.random.Generator
) -> dict[str, Truths]:
    """Draw which items of visits are missing, completely at random."""
    drawn = rng.random((*shape, len(names)), dtype=np.float32)
    return {
        name: drawn[..., column] < np.float32(assumptions.missing_at_visits.get(name, 0.0))
        for column, name in enumerate(names)
    }


def apply_digit_preference(course: Course, before: Float, assumptions: Assumptions, rng: np.random.Generator) -> Float:
    """Round most NRS scores to whole points; scores are in tenths.

    If a whole point would cross a response threshold, the score is rounded to half a point or kept: rounding does not
    change the outcome unless ``heaping_crosses``.

    Returns
    -------
    ndarray of shape (n, n_months)
    """
    score = course.measures["pain_nrs"]
    rounded = rng.random(score.shape, dtype=np.float32) < np.float32(assumptions.nrs_whole_share)
    whole = np.rint(score / 10) * 10
    if assumptions.heaping_crosses:
        return np.where(rounded, whole, score)
    lowest, highest = bound_pain(course.margins[PAIN], before, assumptions)
    half = np.rint(score / 5) * 5
    kept = np.where((half >= lowest) & (half <= highest), half, score)
    kept = np.where((whole >= lowest) & (whole <= highest), whole, kept)
    return np.where(rounded, kept, score)


def draw_entry_errors(
    table: str, values: Mapping[str, Float], share: float, rng: np.random.Generator
) -> dict[str, Truths]:
    """Draw which numbers are entered out of range, with a separate random stream; none if the share is 0."""
    if not share:
        return {}
    columns = VISITS if table == "visits" else EPISODES
    numbers = [name for name in values if columns[name].type == "number" and columns[name].high is not None]
    drawn = rng.spawn(1)[0].random((*values[numbers[0]].shape, len(numbers)), dtype=np.float32)
    return {name: drawn[..., column] < np.float32(share) for column, name in enumerate(numbers)}
