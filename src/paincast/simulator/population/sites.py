"""Simulate sites and years, with site effects on case mix, treatment choice, response and missing values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from paincast.simulator.assumptions import Assumptions

Float = NDArray[np.float32]
FloatArray = NDArray[np.float64]
Whole = NDArray[np.int64]
Truths = NDArray[np.bool_]


class Sites(NamedTuple):
    """Site effects; the same in every cohort, regardless of its seed.

    Parameters
    ----------
    weight : ndarray of shape (n_sites,)
        Share of patients.
    case_mix, response : ndarray of shape (n_sites,)
        Shift of sensitisation and of the log odds of response; their weighted mean is 0.
    missing : ndarray of shape (n_sites,)
        Factor for the share of missing values; its weighted mean is 1.
    habit : mapping of (technique, approach) to ndarray of shape (n_sites,)
        Shift of the log odds of choosing each option.
    """

    weight: FloatArray
    case_mix: FloatArray
    response: FloatArray
    missing: FloatArray
    habit: Mapping[tuple[str, str | None], FloatArray]


def make_sites(assumptions: Assumptions, options: Sequence[tuple[str, str | None]], rng: np.random.Generator) -> Sites:
    """Draw the sites in decreasing size, with their preference for each technique and approach."""
    n = assumptions.n_sites
    weight = 1.0 / np.arange(3.0, n + 3.0)
    weight /= weight.sum()
    case_mix, response = (_center(rng.standard_normal(n), weight) for _ in range(2))
    missing = np.exp(assumptions.missing_by_site * rng.standard_normal(n))
    return Sites(
        weight=weight,
        case_mix=assumptions.site_case_mix_sd * case_mix,
        response=assumptions.site_response_sd * response,
        missing=missing / (missing @ weight),
        habit={option: assumptions.site_habit_sd * rng.standard_normal(n) for option in options},
    )


def _center(values: FloatArray, weight: FloatArray) -> FloatArray:
    centred: FloatArray = values - values @ weight
    return centred


def draw_sites(sites: Sites, n: int, rng: np.random.Generator) -> Whole:
    """Draw the site of each patient."""
    edges = np.cumsum(sites.weight)[:-1]
    return np.searchsorted(edges, rng.random(n, dtype=np.float32), side="right")


def draw_years(assumptions: Assumptions, n: int, rng: np.random.Generator) -> Whole:
    """Draw the calendar year of each first episode."""
    return rng.integers(assumptions.first_year, assumptions.last_year + 1, size=n)


def count_from_middle(assumptions: Assumptions, year: Whole) -> Float:
    """Count years from the middle of the period."""
    middle = (assumptions.first_year + assumptions.last_year) / 2.0
    return np.asarray(year - middle, dtype=np.float32)
