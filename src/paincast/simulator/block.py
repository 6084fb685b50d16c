"""Simulate a block of episodes: the mechanisms in causal order, each with a separate random stream.

sites and years → patients → diagnosis and pain → choice → trial or block → course → events → observation

Those who do not pass the trial or block of their option have a course without the procedure, if they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from paincast.simulator.course.events import Events, draw_death, draw_events
from paincast.simulator.course.response import compute_effects, compute_shared
from paincast.simulator.course.visit_process import (
    apply_digit_preference,
    draw_entry_errors,
    draw_missing_at_visits,
    draw_missing_items,
    draw_observed,
)
from paincast.simulator.course.visits import Course, follow_course
from paincast.simulator.population.choice import compute_propensity, draw_choice, name_choice_columns
from paincast.simulator.population.marginals import Columns
from paincast.simulator.population.referral import Referred, draw_referred, make_columns
from paincast.simulator.population.sites import Float, Truths, Whole
from paincast.simulator.scenario import Scenario, Stratum, compute_selection_probability

SMALLEST_BLOCK = 4096
LARGEST_BLOCK = 8192
BLOCKS_OF_A_SIZE = 4


def count_patients(number: int) -> int:
    """Count the patients of a block by its number: 4,096 for the first four, then 8,192.

    Small first blocks avoid superfluous draws for small cohorts; larger ones reduce the overhead of large cohorts.

    Examples
    --------
    >>> [count_patients(number) for number in (0, 3, 4, 8, 1000)]
    [4096, 4096, 8192, 8192, 8192]
    """
    doublings = min(number // BLOCKS_OF_A_SIZE, (LARGEST_BLOCK // SMALLEST_BLOCK).bit_length() - 1)
    return SMALLEST_BLOCK << doublings


def count_rows_before(number: int) -> int:
    """Compute the maximum number of episodes in the blocks before a given block: two for each patient.

    Examples
    --------
    >>> count_rows_before(5) == 2 * (4 * 4096 + 8192)
    True
    """
    growing = min(number, BLOCKS_OF_A_SIZE * (LARGEST_BLOCK // SMALLEST_BLOCK).bit_length())
    return 2 * (sum(map(count_patients, range(growing))) + (number - growing) * LARGEST_BLOCK)


@dataclass(frozen=True, kw_only=True)
class Screened:
    """Referred episodes of a block, with the chosen option and the result of selection.

    Parameters
    ----------
    referred : Referred
        Referred episodes.
    propensity, selection_probability : ndarray of shape (n_options, n)
        Probability that each option is chosen, and of selection after its trial or block.
    chosen : ndarray of shape (n,)
        Index of the chosen option.
    goes_on : ndarray of shape (n,)
        True for treated episodes.
    streams : tuple of (Generator, Generator)
        Random streams of each option: of those treated, and of those who are not.
    """

    referred: Referred
    propensity: Float
    selection_probability: Float
    chosen: NDArray[np.int8]
    goes_on: Truths
    streams: tuple[tuple[np.random.Generator, np.random.Generator], ...]


@dataclass(frozen=True, kw_only=True)
class Followed:
    """The first episodes of a block that received an option, or that were to receive it.

    Parameters
    ----------
    place : int
        Index of the option.
    is_treated : bool
        Whether they received it; False for those who did not pass its trial or block.
    rows : ndarray of shape (n,)
        Their rows in the block.
    columns : dict of str to ndarray of shape (n,)
        Baseline columns.
    effects : ndarray of shape (n_sums, n)
        Each sum of predictors of the indication.
    shared : ndarray of shape (n,)
        Contribution of site, year and hidden factor to all log odds.
    course : Course
        Outcomes and measured values.
    death_month : ndarray of shape (n,)
        Month of death.
    events : Events
        Complications and consequences of treatment failure.
    guidance : ndarray of shape (n,)
        Index of the image guidance among the names of the option's technique; without meaning for the untreated.
    seen : ndarray of shape (n, n_months)
        True for recorded visits.
    pain : ndarray of shape (n, n_months)
        Recorded NRS score, in tenths of a point.
    missing, missing_at_visits : dict of str to ndarray
        True for missing values.
    wrong, wrong_at_visits : dict of str to ndarray
        True for values entered out of range.
    """

    place: int
    is_treated: bool
    rows: Whole
    columns: Columns
    effects: Float
    shared: Float
    course: Course
    death_month: Float
    events: Events
    guidance: NDArray[np.int8]
    seen: Truths
    pain: Float
    missing: Mapping[str, Truths]
    missing_at_visits: Mapping[str, Truths]
    wrong: Mapping[str, Truths]
    wrong_at_visits: Mapping[str, Truths]


def screen_block(scenario: Scenario, stratum: Stratum, rng: np.random.Generator, n_patients: int) -> Screened:
    """Simulate referral with an indication, the choice of option and selection for treatment."""
    n_options = len(stratum.options)
    rng_patients, rng_choice, rng_selection, *streams = rng.spawn(3 + 2 * n_options)
    assumptions, population = scenario.assumptions, stratum.population
    referred = draw_referred(population, n_patients, scenario.sites, assumptions, rng_patients)
    records = [option.record for option in stratum.options]
    names = name_choice_columns(records, assumptions)
    columns = make_columns(population, referred, assumptions, names=names)
    propensity = compute_propensity(columns, referred, records, scenario.sites, assumptions)
    chosen = draw_choice(propensity, rng_choice)
    selection_probability = compute_selection_probability(population, referred, records)
    draws = rng_selection.random(len(chosen), dtype=np.float32)
    return Screened(
        referred=referred,
        propensity=propensity,
        selection_probability=selection_probability,
        chosen=chosen,
        goes_on=draws < selection_probability[chosen, np.arange(len(chosen))],
        streams=tuple(zip(streams[:n_options], streams[n_options:], strict=True)),
    )


def follow_option(
    scenario: Scenario,
    stratum: Stratum,
    screened: Screened,
    place: int,
    n: int | None = None,
    *,
    is_treated: bool = True,
) -> Followed:
    """Simulate the course of the episodes that received an option, or of the first ``n``, and its observation.

    Every mechanism draws in the order of the episodes, so the first episodes do not depend on the number that follow.
    The untreated are those who did not pass the trial or block of the option that was chosen: their outcomes are those
    without the procedure, and the only event is death.
    """
    option, assumptions = stratum.options[place], scenario.assumptions
    model, risks = (option.model, option.risks) if is_treated else (option.model.without_procedure, ())
    stream = screened.streams[place][0 if is_treated else 1]
    course_rng, death_rng, event_rng, guidance_rng, visit_rng, score_rng, *item_rngs = stream.spawn(8)
    rows = np.flatnonzero((screened.chosen == place) & (screened.goes_on == is_treated))[:n]
    referred = screened.referred
    site, year = referred.site[rows], referred.year[rows]
    columns = make_columns(stratum.population, referred, assumptions, rows=rows)
    effects = np.array([compute_effects(record, columns, assumptions) for record in stratum.leads])
    shared = compute_shared(scenario.sites, referred, assumptions, rows)

    course = follow_course(model, effects[option.effect], shared, columns, assumptions, course_rng)
    death_month = draw_death(len(rows), stratum.survival, death_rng)
    responded, months = course.responded, model.months
    seen = draw_observed(responded, months, year, death_month, assumptions, visit_rng)
    numbers = {name: values for name, values in columns.items() if values.dtype == np.float32}
    return Followed(
        place=place,
        is_treated=is_treated,
        rows=rows,
        columns=columns,
        effects=effects,
        shared=shared,
        course=course,
        death_month=death_month,
        events=draw_events(risks, months, responded, event_rng),
        guidance=_draw_guidance(list_guidance(scenario, option.record.technique), len(rows), guidance_rng),
        seen=seen,
        pain=apply_digit_preference(course, columns["pain_nrs"], assumptions, score_rng),
        missing=draw_missing_items(columns, scenario.sites, site, stratum.mean_age, assumptions, item_rngs[0]),
        missing_at_visits=draw_missing_at_visits(list(course.measures), seen.shape, assumptions, item_rngs[1]),
        wrong=draw_entry_errors("episodes", numbers, assumptions.entry_error_share, item_rngs[0]),
        wrong_at_visits=draw_entry_errors("visits", course.measures, assumptions.entry_error_share, item_rngs[1]),
    )


def list_guidance(scenario: Scenario, technique: str) -> Mapping[str, float]:
    """Return the shares of image guidance of a technique."""
    guidance = scenario.assumptions.guidance
    return guidance.get(technique, guidance.get("", {}))


def _draw_guidance(shares: Mapping[str, float], n: int, rng: np.random.Generator) -> NDArray[np.int8]:
    edges = np.cumsum(list(shares.values()))[:-1].astype(np.float32)
    return np.searchsorted(edges, rng.random(n, dtype=np.float32), side="right").astype(np.int8)
