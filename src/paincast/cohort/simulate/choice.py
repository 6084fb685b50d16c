"""The choice of technique and approach among those eligible: a known propensity by severity, age and site habit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from paincast.cohort.simulate.assumptions import Assumptions, Preference
from paincast.cohort.simulate.population import Population
from paincast.cohort.simulate.sites import FloatArray, Sites
from paincast.evidence.figures import Record

PAIN_CENTER_NRS = 7.0
AGE_CENTER_YEARS = 60.0


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
    population: Population,
    options: Sequence[int],
    records: Sequence[Record],
    sites: Sites,
    assumptions: Assumptions,
) -> FloatArray:
    """Compute the probability with which each option is chosen.

    It depends only on what a cohort can hold: pain, age, earlier surgery, opioids and site.

    Returns
    -------
    ndarray of shape (n, n_options)
    """
    columns = population.columns
    utilities = np.empty((len(population.patient), len(options)))
    for place, option in enumerate(options):
        record = records[option]
        preference = assumptions.preferences.get((record.technique, record.approach), Preference())
        utilities[:, place] = (
            np.log(preference.popularity)
            + preference.pain * (columns["pain_nrs"] - PAIN_CENTER_NRS)
            + preference.age * (columns["age_years"] - AGE_CENTER_YEARS) / 10.0
            + preference.prior_surgery * columns.get("prior_spine_surgery", np.zeros(1))
            + preference.opioids * (columns["opioid_mme"] > 0)
            + sites.habit[(record.technique, record.approach)][population.site]
        )
    propensity: FloatArray = softmax(utilities, axis=1)
    return propensity


def draw_choice(propensity: FloatArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the option each patient receives."""
    reached = np.cumsum(propensity[:, :-1], axis=1)
    chosen: NDArray[np.int64] = (rng.random((len(propensity), 1)) > reached).sum(axis=1)
    return chosen
