"""Simulate treatment choice: a known propensity that depends on severity, age, site and, if set, a hidden factor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paincast.evidence.figures import Record
from paincast.schema import EPISODES, TECHNIQUES
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.defaults import CENTERS, Never, Preference
from paincast.simulator.population.marginals import Columns
from paincast.simulator.population.referral import Referred
from paincast.simulator.population.sites import Float, Sites, Truths


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
    columns: Columns, referred: Referred, options: Sequence[Record], sites: Sites, assumptions: Assumptions
) -> Float:
    """Compute the probability that each option is chosen.

    It depends on the columns named in the preferences (before values are set to missing), on the site and, if
    ``hidden_choice`` is not 0, on the hidden factor. If the choice is randomised, it depends only on popularity.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n,)
        Columns before the procedure.
    referred : Referred
        Site and hidden factor of each episode.
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
    utilities = np.empty((len(options), len(referred.site)), dtype=np.float32)
    for index, record in enumerate(options):
        preference = assumptions.preferences.get((record.technique, record.approach), Preference())
        utilities[index] = np.log(preference.popularity)
        if strength:
            habit = sites.habit[(record.technique, record.approach)]
            utilities[index] += strength * (_sum_utility(preference, columns) + habit.astype(np.float32)[referred.site])
    if assumptions.hidden_choice and assumptions.assignment == "confounded":
        utilities += np.float32(assumptions.hidden_choice) * rank_techniques(options)[:, None] * referred.hidden
    np.exp(utilities, out=utilities)
    utilities /= utilities.sum(axis=0)
    if assumptions.never and assumptions.assignment == "confounded":
        return withhold(utilities, columns, options, assumptions.never)
    return utilities


def withhold(propensity: Float, columns: Columns, options: Sequence[Record], never: Mapping[str, Never]) -> Float:
    """Take techniques away from the patients for whom they are never chosen.

    Its odds against the others are multiplied by the factor of the rule. Patients for whom no option would be left keep
    their probabilities.

    Returns
    -------
    ndarray of shape (n_options, n)
    """
    limited = propensity.copy()
    for technique, rule in never.items():
        is_own = np.array([record.technique == technique for record in options])
        if is_own.any() and rule.column in columns:
            factors = np.where(is_concerned(columns[rule.column], rule), rule.odds_factor, 1.0)
            limited[is_own] *= factors.astype(np.float32)
    total = limited.sum(axis=0)
    return np.asarray(np.divide(limited, total, out=propensity.copy(), where=total > 0))


def is_concerned(values: NDArray[Any], rule: Never) -> Truths:
    """Flag the values in the range of a rule."""
    low = -np.inf if rule.at_least is None else rule.at_least
    high = np.inf if rule.below is None else rule.below
    return np.asarray((values >= np.float32(low)) & (values < np.float32(high)))


def rank_techniques(options: Sequence[Record]) -> Float:
    """Rank the technique of each option among those of an indication, in the order of the contract, from 0 on.

    Returns
    -------
    ndarray of shape (n_options,)
    """
    eligible = {record.technique for record in options}
    ordered = [technique for technique in TECHNIQUES if technique in eligible]
    return np.array([ordered.index(record.technique) for record in options], dtype=np.float32)


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
    named |= {assumptions.never[record.technique].column for record in options if record.technique in assumptions.never}
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
    # Rounded, the probabilities may add up to less than 1: the rest belongs to the last option that may be chosen.
    if not propensity[-1].all():
        last = len(propensity) - 1 - np.argmax(propensity[::-1] > 0, axis=0)
        chosen = np.minimum(chosen, last.astype(np.int8))
    return chosen
