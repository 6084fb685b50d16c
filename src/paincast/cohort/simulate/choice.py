"""The choice of technique and approach among those eligible: a known propensity by severity, age and site habit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from paincast.cohort.simulate.assumptions import Assumptions
from paincast.cohort.simulate.defaults import Preference
from paincast.cohort.simulate.marginals import Columns
from paincast.cohort.simulate.sites import Float, Sites, Whole
from paincast.evidence.figures import Record

PAIN_CENTER_NRS = 7.0
AGE_CENTER_YEARS = 60.0
CHOICE_COLUMNS = ("age_years", "pain_nrs", "opioid_mme", "prior_spine_surgery")
"""Columns before the procedure on which the choice depends."""


def find_options(indication: str, records: Sequence[Record]) -> tuple[int, ...]:
    """Give the places in ``records`` of those that are eligible for an indication, one per technique and approach."""
    options: dict[tuple[str, str | None], int] = {}
    for place, record in enumerate(records):
        if indication in record.indications and record.response:
            option = (record.technique, record.approach)
            if option not in options or record.indication == indication:
                options[option] = place
    return tuple(sorted(options.values()))


def compute_propensity(
    columns: Columns, site: Whole, options: Sequence[Record], sites: Sites, assumptions: Assumptions
) -> Float:
    """Compute the probability with which each option is chosen.

    It depends only on what a cohort can hold: pain, age, earlier surgery, opioids and site. If the choice is
    randomised it depends on popularity alone.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n,)
        Columns before the procedure.
    site : ndarray of shape (n,)
        Site of each episode.
    options : sequence of Record
        Record of each option.
    sites : Sites
        Their habits.
    assumptions : Assumptions
        Preferences, assignment and strength of confounding.

    Returns
    -------
    ndarray of shape (n_options, n)
    """
    strength = 0.0 if assumptions.assignment == "randomised" else assumptions.confounding_strength
    utilities = np.empty((len(options), len(site)), dtype=np.float32)
    for place, record in enumerate(options):
        preference = assumptions.preferences.get((record.technique, record.approach), Preference())
        utilities[place] = np.log(preference.popularity)
        if strength:
            habit = sites.habit[(record.technique, record.approach)]
            utilities[place] += strength * (_sum_utility(preference, columns) + habit.astype(np.float32)[site])
    np.exp(utilities, out=utilities)
    utilities /= utilities.sum(axis=0)
    return utilities


def _sum_utility(preference: Preference, columns: Columns) -> Float:
    utility = np.float32(preference.pain) * (columns["pain_nrs"] - np.float32(PAIN_CENTER_NRS))
    utility += np.float32(preference.age / 10.0) * (columns["age_years"] - np.float32(AGE_CENTER_YEARS))
    utility += np.float32(preference.opioids) * (columns["opioid_mme"] > 0)
    if preference.prior_surgery and "prior_spine_surgery" in columns:
        utility += np.float32(preference.prior_surgery) * columns["prior_spine_surgery"]
    return np.asarray(utility)


def draw_choice(propensity: Float, rng: np.random.Generator) -> NDArray[np.int8]:
    """Draw the option chosen for each episode."""
    n = int(propensity.shape[1])
    draw = rng.random(n, dtype=np.float32)
    chosen = np.zeros(n, dtype=np.int8)
    reached = np.zeros(n, dtype=np.float32)
    for place in range(len(propensity) - 1):
        reached += propensity[place]
        chosen += draw > reached
    return chosen
