"""A population of one indication: sites and years → patients → diagnosis and pain, with second episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from paincast.cohort.simulate.assumptions import Assumptions
from paincast.cohort.simulate.pain import GRAIN, Columns, make_columns
from paincast.cohort.simulate.patients import Latents, compute_scores, draw_patients, draw_repeats
from paincast.cohort.simulate.sites import Sites, draw_sites, draw_years
from paincast.evidence.figures import Baseline


@dataclass(frozen=True, kw_only=True)
class Population:
    """Episodes before any technique is chosen.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n,)
        What is recorded before the procedure.
    patient : ndarray of shape (n,)
        Number of the patient; a second episode follows its first directly.
    site, year : ndarray of shape (n,)
        Number of the site, calendar year.
    """

    columns: Columns
    patient: NDArray[np.int64]
    site: NDArray[np.int64]
    year: NDArray[np.int64]


def draw_population(
    n_patients: int,
    baselines: Mapping[str, Baseline],
    sites: Sites,
    assumptions: Assumptions,
    rng: np.random.Generator,
) -> Population:
    """Draw the episodes of ``n_patients`` patients of one indication, a share of them with a second episode."""
    rng_sites, rng_patients, rng_repeats = rng.spawn(3)
    site = draw_sites(sites, n_patients, rng_sites)
    year = draw_years(assumptions, n_patients, rng_sites)
    first = draw_patients(assumptions, sites.case_mix[site], rng_patients)
    again = np.flatnonzero(rng_repeats.random(n_patients) < assumptions.repeat_share)
    second = draw_repeats(assumptions, _take(first, again), rng_repeats)
    patient = np.concatenate([np.arange(n_patients), again])
    is_repeat = np.arange(len(patient)) >= n_patients
    years = np.concatenate([year, year[again] + 1])
    middle = (assumptions.first_year + assumptions.last_year) / 2.0
    scores = compute_scores(assumptions, _join(first, second))
    columns = make_columns(scores, baselines, assumptions, years - middle)
    _age_repeats(columns, is_repeat)
    order = np.argsort(patient, kind="stable")
    return Population(
        columns={name: values[order] for name, values in columns.items()},
        patient=patient[order],
        site=site[patient][order],
        year=years[order],
    )


def _age_repeats(columns: Columns, is_repeat: NDArray[np.bool_]) -> None:
    for name, more in (("age_years", 1.0), ("pain_duration_months", 12.0)):
        columns[name] = np.minimum(columns[name] + more * is_repeat, GRAIN[name][2])
    columns["prior_procedure"] = columns["prior_procedure"] | is_repeat


def _take(latents: Latents, rows: NDArray[np.int64]) -> Latents:
    return Latents(factors=latents.factors[rows], particular=latents.particular[rows])


def _join(*parts: Latents) -> Latents:
    return Latents(
        factors=np.concatenate([part.factors for part in parts]),
        particular=np.concatenate([part.particular for part in parts]),
    )


def select_rows(columns: Columns, rows: NDArray[np.int64]) -> Columns:
    """Select rows of every column."""
    return {name: values[rows] for name, values in columns.items()}


def join_columns(parts: Iterable[Columns]) -> Columns:
    """Join columns of several parts, which hold the same names, row after row."""
    held = list(parts)
    return {name: np.concatenate([part[name] for part in held]) for name in held[0]}
