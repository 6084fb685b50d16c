"""A block of simulated episodes: the mechanisms in causal order, each with its own stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from paincast.cohort.simulate.choice import compute_propensity, draw_choice
from paincast.cohort.simulate.followup import draw_process, respond, score_pain
from paincast.cohort.simulate.observation import draw_death, draw_missing_items, draw_observed
from paincast.cohort.simulate.population import Population, draw_population
from paincast.cohort.simulate.response import compute_control_probability, compute_effects, compute_probability
from paincast.cohort.simulate.sites import FloatArray
from paincast.cohort.simulate.world import World

BLOCK_PATIENTS = 2048
"""Patients drawn at a time; part of what a seed means."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Episodes with all that was simulated of them; months are those of the world.

    Parameters
    ----------
    indication : str
        Diagnosis treated.
    population : Population
        What is known before.
    options : tuple of int
        Eligible options.
    propensity : ndarray of shape (n, n_options)
        Probability of choosing each option.
    chosen : ndarray of shape (n,)
        Place of the option received in ``options``.
    probability : ndarray of shape (n_options, n, n_months)
        Probability of response under each option; NaN at months its curve does not have.
    control_probability : ndarray of shape (n_options, n)
        Probability of response without a procedure, by the record of each option; NaN where unknown.
    responded : ndarray of shape (n, n_months)
        Response to the option received.
    pain : ndarray of shape (n, n_months)
        NRS score that follows from it.
    observed : ndarray of shape (n, n_months)
        Whether the registry holds the visit.
    death_month : ndarray of shape (n,)
        Month of death, infinite where death does not compete.
    missing : dict of str to ndarray of shape (n,)
        Which values before the procedure the registry lacks.
    """

    indication: str
    population: Population
    options: tuple[int, ...]
    propensity: FloatArray
    chosen: NDArray[np.int64]
    probability: FloatArray
    control_probability: FloatArray
    responded: NDArray[np.bool_]
    pain: FloatArray
    observed: NDArray[np.bool_]
    death_month: FloatArray
    missing: dict[str, NDArray[np.bool_]]


def simulate_block(world: World, indication: str, rng: np.random.Generator, n_patients: int = BLOCK_PATIENTS) -> Block:
    """Simulate the episodes of some patients of one indication.

    population → choice → potential responses → course of the one received → death → what the registry sees.
    """
    streams = rng.spawn(6)
    assumptions, options = world.assumptions, world.options[indication]
    population = draw_population(n_patients, world.baselines[indication], world.sites, assumptions, streams[0])
    n = len(population.patient)

    propensity = compute_propensity(population, options, world.records, world.sites, assumptions)
    chosen = draw_choice(propensity, streams[1])

    probability, control_probability = _compute_potentials(world, options, population)
    received = probability[chosen, np.arange(n)]
    process = draw_process(n, world.months, assumptions, streams[2])
    responded = respond(process, received)
    pain = score_pain(process, received, population.columns["pain_nrs"], assumptions)

    death_month = draw_death(n, world.records[options[0]].survival, streams[3])
    scheduled = np.isfinite(received)
    observed = draw_observed(responded, scheduled, world.months, population.year, death_month, assumptions, streams[4])
    return Block(
        indication=indication,
        population=population,
        options=options,
        propensity=propensity,
        chosen=chosen,
        probability=probability,
        control_probability=control_probability,
        responded=responded,
        pain=pain,
        observed=observed,
        death_month=death_month,
        missing=draw_missing_items(population.columns, assumptions, streams[5]),
    )


def _compute_potentials(
    world: World, options: tuple[int, ...], population: Population
) -> tuple[FloatArray, FloatArray]:
    n = len(population.patient)
    probability = np.full((len(options), n, len(world.months)), np.nan)
    control_probability = np.empty((len(options), n))
    site_response = world.sites.response[population.site]
    for place, option in enumerate(options):
        model = world.models[option]
        effects = compute_effects(world.records[option], population.columns, world.assumptions)
        at = np.searchsorted(world.months, model.months)
        probability[place][:, at] = compute_probability(model, effects, site_response)
        control_probability[place] = compute_control_probability(model, effects, site_response, world.assumptions)
    return probability, control_probability
