"""Random effects: against metafor, invariances, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit

from paincast.errors import DataError
from paincast.evaluation.groups.meta_analysis import pool_random_effects, shrink_estimates

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("name", ["many", "alike", "few"])
def test_pooled_values_agree_with_metafor(name):
    rows = pd.read_csv(GOLDEN / "pooling.csv").groupby("set").get_group(name)
    expected = pd.read_csv(GOLDEN / "pooling_expected.csv").groupby("set").get_group(name)
    expected = expected.set_index("quantity")["value"]
    estimates, errors = rows["estimate"].to_numpy(), rows["error"].to_numpy()
    pooled = pool_random_effects(estimates, errors)
    for quantity in ("mean", "error", "lower", "upper", "tau", "predicted_lower", "predicted_upper"):
        assert getattr(pooled, quantity) == pytest.approx(expected[quantity], abs=1e-6), quantity
    shrunken = shrink_estimates(estimates, errors)[0]
    assert shrunken.tolist() == pytest.approx(expected.filter(like="shrunken").tolist(), abs=1e-6)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(3, 20), shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_units_carry_over(seed, k, shift, scale):
    rng = np.random.default_rng(seed)
    estimates, errors = rng.normal(size=k), 0.1 + rng.random(k)
    before, after = (
        pool_random_effects(estimates, errors),
        pool_random_effects(shift + scale * estimates, scale * errors),
    )
    assert after.mean == pytest.approx(shift + scale * before.mean, abs=1e-6)
    assert after.tau == pytest.approx(scale * before.tau, abs=1e-5 * scale)
    assert before.predicted_lower <= before.lower <= before.mean <= before.upper <= before.predicted_upper


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(3, 20))
def test_shrunken_estimates_lie_between_their_own_and_the_mean(seed, k):
    rng = np.random.default_rng(seed)
    estimates, errors = rng.normal(size=k), 0.1 + rng.random(k)
    mean = pool_random_effects(estimates, errors).mean
    shrunken, lower, upper = shrink_estimates(estimates, errors)
    assert (np.abs(shrunken - mean) <= np.abs(estimates - mean) + 1e-9).all()
    assert (lower < shrunken).all()
    assert (shrunken < upper).all()


@pytest.mark.parametrize(("largest_error", "least"), [(0.15, 0.92), (0.4, 0.87)])
def test_prediction_intervals_hold_new_groups(largest_error, least):
    held = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        errors = rng.uniform(largest_error / 4, largest_error, 10)
        pooled = pool_random_effects(rng.normal(0.5, np.sqrt(0.3**2 + errors**2)), errors)
        held += pooled.predicted_lower <= rng.normal(0.5, 0.3) <= pooled.predicted_upper
    assert least <= held / 400 <= 0.98


def test_two_groups_have_a_mean_and_no_prediction():
    pooled = pool_random_effects(np.array([0.1, 0.4]), np.array([0.1, 0.2]))
    assert np.isfinite([pooled.mean, pooled.lower]).all()
    assert np.isnan([pooled.predicted_lower, pooled.predicted_upper]).all()


@pytest.mark.parametrize(
    ("estimates", "errors"), [([0.1], [0.1]), ([0.1, np.nan], [0.1, 0.1]), ([0.1, 0.2], [0.1, 0.0])]
)
def test_what_cannot_be_pooled_is_refused(estimates, errors):
    with pytest.raises(DataError, match="at least 2 are needed, each with a finite estimate and an error above 0"):
        pool_random_effects(np.array(estimates), np.array(errors))
    with pytest.raises(DataError, match="2 groups to shrink: at least 3 are needed"):
        shrink_estimates(np.array([0.1, 0.2]), np.array([0.1, 0.1]))


@pytest.mark.parametrize("name", pd.read_csv(GOLDEN / "shares.csv")["set"].unique())
def test_shares_of_the_extraction_table_pool_as_in_metafor(name: str) -> None:
    counts = pd.read_csv(GOLDEN / "shares.csv").groupby("set").get_group(name)
    expected = pd.read_csv(GOLDEN / "shares_expected.csv").groupby("set").get_group(name).set_index("quantity")["value"]
    events, n = (counts[column].to_numpy(dtype=float) for column in ("events", "n"))
    pooled = pool_random_effects(logit(events / n), np.sqrt(1 / events + 1 / (n - events)))
    for quantity, value in expected.items():
        assert getattr(pooled, str(quantity)) == pytest.approx(value, abs=1e-6)
