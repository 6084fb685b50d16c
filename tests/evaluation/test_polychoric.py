"""Correlations behind rough columns: against the truth of simulated scores, and where there is nothing to estimate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.evaluation.simulated.polychoric import compute_polychoric_correlations

N = 40_000


def draw_pair(correlation: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    first, own = np.random.default_rng(seed).standard_normal((2, N))
    return first, correlation * first + np.sqrt(1 - correlation**2) * own


@pytest.mark.parametrize("correlation", [-0.6, -0.2, 0.0, 0.3, 0.7])
def test_the_correlation_is_found_however_roughly_scores_are_recorded(correlation: float) -> None:
    first, second = draw_pair(correlation)
    columns = pd.DataFrame(
        {
            "fine": np.exp(first),
            "rare": first > 1.3,
            "grade": np.digitize(first, [-1.5, -0.2, 0.4]),
            "other": np.round(3 * second),
            "often": second > -0.9,
        }
    )
    found = compute_polychoric_correlations(columns)
    for left in ("fine", "rare", "grade"):
        for right in ("other", "often"):
            assert found.loc[left, right] == pytest.approx(correlation, abs=0.035), (left, right)


def test_yes_no_columns_are_attenuated_without_it() -> None:
    first, second = draw_pair(0.5)
    columns = pd.DataFrame({"a": first > 1, "b": second > 1})
    assert np.corrcoef(columns.astype(float).T)[0, 1] < 0.35
    assert compute_polychoric_correlations(columns).loc["a", "b"] == pytest.approx(0.5, abs=0.03)


def test_groups_with_other_levels_make_no_correlation() -> None:
    first, second = draw_pair(0.0)
    group = np.repeat([0, 1], N // 2)
    columns = pd.DataFrame({"a": first + 4 * group, "b": second + 4 * group})
    assert compute_polychoric_correlations(columns).loc["a", "b"] > 0.5
    assert compute_polychoric_correlations(columns, group).loc["a", "b"] == pytest.approx(0.0, abs=0.02)


def test_gaps_are_left_out_pair_by_pair() -> None:
    first, second = draw_pair(0.4)
    second[np.random.default_rng(2).random(N) < 0.5] = np.nan
    found = compute_polychoric_correlations(pd.DataFrame({"a": first, "b": second}))
    assert found.loc["a", "b"] == pytest.approx(0.4, abs=0.03)


def test_what_does_not_vary_has_no_correlation() -> None:
    columns = pd.DataFrame({"a": np.arange(100.0), "same": np.ones(100), "gone": np.full(100, np.nan)})
    found = compute_polychoric_correlations(columns)
    assert found.loc["a", "a"] == 1
    assert found.drop(index="a").isna().all(axis=None)


@given(st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=0, max_size=80))
@settings(max_examples=40, deadline=None)
def test_any_table_gives_a_symmetric_matrix_within_bounds(rows: list[list[float]]) -> None:
    found = compute_polychoric_correlations(pd.DataFrame(np.array(rows).reshape(-1, 3))).to_numpy()
    assert np.array_equal(found, found.T, equal_nan=True)
    assert (np.abs(found[np.isfinite(found)]) <= 1).all()
