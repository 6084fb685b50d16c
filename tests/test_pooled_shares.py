"""Shares of studies are pooled on a grid: as by direct integration, and new studies fall into their interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import dblquad, quad
from scipy.special import expit
from scipy.stats import binom, norm

from paincast.errors import DataError
from paincast.statistics.pooling import HETEROGENEITY_SCALE, PRIOR_SD, pool_shares


def of_study(z, mean, scale, events, n):
    return norm.pdf(z) * binom.pmf(events, n, expit(mean + scale * z))


def integrate(events, n, below):
    """Integrate the posterior of the mean log odds up to a value, over mean and heterogeneity, without a grid."""

    def density(mean, scale):
        value = norm.pdf(mean, scale=PRIOR_SD) * norm.pdf(scale, scale=HETEROGENEITY_SCALE)
        for x, size in zip(events, n, strict=True):
            value *= quad(of_study, -6, 6, args=(mean, scale, x, size), limit=60)[0]
        return value

    return dblquad(density, 0.0, 4.0, -9.0, below, epsabs=1e-9, epsrel=1e-4)[0]


@pytest.mark.slow
def test_quantiles_are_those_of_direct_integration():
    events, n = [12, 30], [20, 60]
    pooled = pool_shares(events, n)
    below, whole = (integrate(events, n, end) for end in (np.log(pooled.lower / (1 - pooled.lower)), 9.0))
    assert below / whole == pytest.approx(0.025, abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize("studies", [1, 2, 5])
def test_a_new_study_falls_into_its_interval(studies):
    rng = np.random.default_rng(studies)
    inside = []
    for _ in range(300):
        mean, scale = rng.normal(0, PRIOR_SD), abs(rng.normal(0, HETEROGENEITY_SCALE))
        odds = mean + scale * rng.normal(size=studies + 1)
        n = rng.integers(10, 200, studies)
        pooled = pool_shares(rng.binomial(n, expit(odds[:-1])), n, confidence=0.9)
        inside.append(pooled.predicted_lower <= expit(odds[-1]) <= pooled.predicted_upper)
    assert np.mean(inside) == pytest.approx(0.9, abs=0.05)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), min_size=1, max_size=6).filter(
        lambda x: all(map(sum, x))
    )
)
def test_intervals_are_nested_and_turn_with_the_outcome(counts):
    events, n = np.array([a for a, _ in counts]), np.array([a + b for a, b in counts])
    pooled, other = pool_shares(events, n), pool_shares(n - events, n)
    assert pooled.predicted_lower <= pooled.lower <= pooled.share <= pooled.upper <= pooled.predicted_upper
    assert 1 - other.share == pytest.approx(pooled.share, abs=1e-9)
    assert 1 - other.upper == pytest.approx(pooled.lower, abs=1e-9)


def test_more_patients_and_more_studies_narrow_the_interval():
    few, many = pool_shares([10, 12], [20, 25]), pool_shares([10, 12] * 8, [20, 25] * 8)
    assert many.upper - many.lower < few.upper - few.lower
    assert many.predicted_upper - many.predicted_lower < few.predicted_upper - few.predicted_lower


@pytest.mark.parametrize(("events", "n"), [([], []), ([3], [2]), ([-1], [2]), ([0], [0]), ([1, 2], [3])])
def test_what_is_no_count_is_refused(events, n):
    with pytest.raises(DataError) as refused:
        pool_shares(events, n)
    assert refused.value.code == "PC-STATISTICS-01"
