"""Draw the patients referred with an indication (site, year, baseline variables), including second episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from paincast.evidence.figures import Baseline
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.population.marginals import (
    GRAIN,
    Columns,
    is_true,
    make_column,
    make_skewed,
    make_work_status,
    name_quantities,
    record,
)
from paincast.simulator.population.patients import (
    Latents,
    Structure,
    add_repeats,
    compute_scores,
    draw_patients,
    locate_repeats,
    make_structure,
)
from paincast.simulator.population.selection import Stage, normalise_selected
from paincast.simulator.population.sites import Float, Sites, Truths, Whole, count_from_middle, draw_sites, draw_years

YEARS_OLDER: Mapping[str, float] = {"age_years": 1.0, "pain_duration_months": 12.0}
"""Increase of a column per year, applied to second episodes."""


class Population(NamedTuple):
    """Parameters of the population referred with an indication.

    Parameters
    ----------
    indication : str
        The diagnosis.
    baselines : mapping of str to Baseline
        Distribution of each column.
    structure : Structure
        Factor model of the quantities.
    stages : mapping of str to Stage
        Trials and blocks, by the column of their result.
    """

    indication: str
    baselines: Mapping[str, Baseline]
    structure: Structure
    stages: Mapping[str, Stage]


class Referred(NamedTuple):
    """Episodes before the choice of technique; a second episode directly follows the first.

    Parameters
    ----------
    latents : Latents
        Factors, and the specific part of each quantity.
    patient, site, year : ndarray of shape (n,)
        Patient number, site number and calendar year.
    is_repeat : ndarray of shape (n,)
        True for second episodes.
    hidden : ndarray of shape (n,)
        Factor of the patient that no column shows, standard normal and independent of everything before the choice.
    """

    latents: Latents
    patient: Whole
    site: Whole
    year: Whole
    is_repeat: Truths
    hidden: Float


def make_population(
    indication: str, baselines: Mapping[str, Baseline], stages: Mapping[str, Stage], assumptions: Assumptions
) -> Population:
    """Make the population of an indication."""
    return Population(
        indication=indication,
        baselines=baselines,
        structure=make_structure(name_quantities(baselines), assumptions),
        stages=stages,
    )


def draw_referred(
    population: Population, n_patients: int, sites: Sites, assumptions: Assumptions, rng: np.random.Generator
) -> Referred:
    """Draw the episodes of ``n_patients`` patients of an indication, some of them with a second episode."""
    rng_sites, rng_patients, rng_repeats, rng_hidden = rng.spawn(4)
    site = draw_sites(sites, n_patients, rng_sites)
    year = draw_years(assumptions, n_patients, rng_sites)
    first = draw_patients(population.structure, sites, site, rng_patients)
    again = rng_repeats.random(n_patients, dtype=np.float32) < assumptions.repeat_share
    patient, second = locate_repeats(again)
    is_repeat = np.zeros(len(patient), dtype=bool)
    is_repeat[second] = True
    return Referred(
        latents=add_repeats(population.structure, assumptions, first, again, rng_repeats),
        patient=patient,
        site=site[patient],
        year=year[patient] + is_repeat,
        is_repeat=is_repeat,
        hidden=rng_hidden.standard_normal(n_patients, dtype=np.float32)[patient],
    )


def make_columns(
    population: Population,
    referred: Referred,
    assumptions: Assumptions,
    *,
    rows: Whole | None = None,
    names: Iterable[str] | None = None,
) -> Columns:
    """Make columns of the episodes.

    Parameters
    ----------
    population, referred
        The population.
    assumptions : Assumptions
        Retirement age and drift.
    rows : ndarray, optional
        Requested rows; by default all.
    names : iterable of str, optional
        Requested columns; by default all that have a distribution, and those that are false for everybody.
    """
    wanted = list(population.baselines) if names is None else [name for name in names if name in population.baselines]
    scores = compute_scores(population.structure, referred.latents, name_quantities(wanted), rows)
    for name, stage in population.stages.items():
        if name in scores:
            scores[name] = normalise_selected(stage, scores[name])
    columns: Columns = {
        name: make_column(name, scores[name], population.baselines[name])
        for name in wanted
        if name not in ("work_status", "opioid_mme")
    }
    _age_repeats(columns, _find_repeats(referred, rows))
    if "opioid_mme" in wanted:
        year = referred.year if rows is None else referred.year[rows]
        columns["opioid_mme"] = _make_doses(scores, year, population.baselines["opioid_mme"], assumptions)
    if "work_status" in wanted:
        columns["work_status"] = make_work_status(
            scores["work_status"], columns["age_years"], population.baselines["work_status"], assumptions
        )
    if names is None:
        for name in ("active_infection", "pregnant"):
            columns[name] = np.zeros(len(columns["age_years"]), dtype=bool)
    return columns


def _make_doses(scores: Mapping[str, Float], year: Whole, baseline: Baseline, assumptions: Assumptions) -> Float:
    use = scores["opioid_use"] + np.float32(assumptions.opioid_drift_per_year) * count_from_middle(assumptions, year)
    dose = make_skewed(scores["opioid_dose"], baseline)
    return np.where(is_true(use, baseline), record(dose, "opioid_mme"), np.float32(0.0))


def _find_repeats(referred: Referred, rows: Whole | None) -> Whole:
    return np.flatnonzero(referred.is_repeat if rows is None else referred.is_repeat[rows])


def _age_repeats(columns: Columns, repeats: Whole) -> None:
    for name, more in YEARS_OLDER.items():
        if name in columns:
            columns[name][repeats] = np.minimum(columns[name][repeats] + np.float32(more), GRAIN[name][2])
    if "prior_procedure" in columns:
        columns["prior_procedure"][repeats] = True
