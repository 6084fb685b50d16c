"""Simulate treatment choice: a known propensity that depends on severity, age and site preference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from paincast.evidence.figures import Record
from paincast.schema import EPISODES
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.defaults import CENTERS, Preference
from paincast.simulator.population.marginals import Columns
from paincast.simulator.population.sites import Float, Sites, Whole


def find_options(indication: str, records: Sequence[Record]) -> tuple[int, ...]:
    """Return the indices of the records eligible for an indication, without duplicates of technique and approach."""
    options: dict[tuple[str, str | None], int] = {}
    for index, record in enumerate(records):
        if indication in record.indications and record.response:
            option = (record.technique, record.approach)
            if option not in options or record.indication == indication:
                options[option] = index
    return tuple(sorted(options.values()))


def compute_propensity(
    columns: Columns, site: Whole, options: Sequence[Record], sites: Sites, assumptions: Assumptions
) -> Float:
    """Compute the probability that each option is chosen.

    It depends only on observable variables: the columns named in the preferences (before values are set to missing) and
    the site. If the choice is randomised, it depends only on popularity.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n,)
        Columns before the procedure.
    site : ndarray of shape (n,)
        Site of each episode.
    options : sequence of Record
        Record of each option.
    sites : Sites
        Site preferences.
    assumptions : Assumptions
        Preferences, assignment and strength of confounding.

    Returns
    -------
    ndarray of shape (n_options, n)
    """
    strength = 0.0 if assumptions.assignment == "randomised" else assumptions.confounding_strength
    utilities = np.empty((len(options), len(site)), dtype=np.float32)
    for index, record in enumerate(options):
        preference = assumptions.preferences.get((record.technique, record.approach), Preference())
        utilities[index] = np.log(preference.popularity)
        if strength:
            habit = sites.habit[(record.technique, record.approach)]
            utilities[index] += strength * (_sum_utility(preference, columns) + habit.astype(np.float32)[site])
    np.exp(utilities, out=utilities)
    utilities /= utilities.sum(axis=0)
    return utilities


def _sum_utility(preference: Preference, columns: Columns) -> Float:
    utility = np.zeros(len(next(iter(columns.values()))), dtype=np.float32)
    for name, weight in preference.terms.items():
        if name in columns:
            values = columns[name] > 0 if name == "opioid_mme" else columns[name]
            utility += np.float32(weight) * (values - np.float32(CENTERS.get(name, 0.0)))
    return utility


def name_choice_columns(options: Sequence[Record], assumptions: Assumptions) -> tuple[str, ...]:
    """List the baseline columns on which the choice between some options can depend."""
    named = {
        name
        for record in options
        for name in assumptions.preferences.get((record.technique, record.approach), Preference()).terms
    }
    return tuple(name for name in EPISODES if name in named | {"pain_nrs"})


def draw_choice(propensity: Float, rng: np.random.Generator) -> NDArray[np.int8]:
    """Draw the option chosen for each episode."""
    n = int(propensity.shape[1])
    draw = rng.random(n, dtype=np.float32)
    chosen = np.zeros(n, dtype=np.int8)
    reached = np.zeros(n, dtype=np.float32)
    for index in range(len(propensity) - 1):
        reached += propensity[index]
        chosen += draw > reached
    return chosen
