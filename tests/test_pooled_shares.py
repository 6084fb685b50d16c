"""Shares of studies are pooled on a grid: as by direct integration, and new studies fall into their interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import binom, norm

from paincast.errors import DataError
from paincast.statistics.pooling import HETEROGENEITY_SCALE, PRIOR_SD, pool_shares


def integrate(events, n, lowest, highest):
    """Integrate the posterior of the mean log odds over an interval: Gauss nodes of mean, heterogeneity and study."""
    z, weights = np.polynomial.hermite_e.hermegauss(80)
    means, of_means = place_nodes(lowest, highest, 150)
    scales, of_scales = place_nodes(0.0, 4.0, 60)
    shares = expit(means[:, None, None] + scales[None, :, None] * z)
    posterior = norm.pdf(means, scale=PRIOR_SD)[:, None] * norm.pdf(scales, scale=HETEROGENEITY_SCALE)
    for x, size in zip(events, n, strict=True):
        posterior = posterior * (binom.pmf(x, size, shares) @ weights)
    return of_means @ posterior @ of_scales


def place_nodes(low, high, n):
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return low + (high - low) * (nodes + 1.0) / 2.0, weights * (high - low) / 2.0


@pytest.mark.parametrize(("events", "n"), [([12, 30], [20, 60]), ([0, 3], [15, 40]), ([5], [9])])
def test_quantiles_are_those_of_direct_integration(events, n):
    pooled = pool_shares(events, n)
    odds = [np.log(share / (1.0 - share)) for share in (pooled.lower, pooled.share, pooled.upper)]
    whole = integrate(events, n, -9.0, 9.0)
    lower, median, upper = (integrate(events, n, -9.0, end) / whole for end in odds)
    assert [lower, upper] == pytest.approx([0.025, 0.975], abs=0.002)
    assert median == pytest.approx(0.5, abs=0.005)


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
