"""Calibration curve: quantile groups that keep ties together and are never too small, with Wilson intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.errors import DataError, SettingsError
from paincast.evaluation.calibration import CURVE_COLUMNS, compute_calibration_curve, compute_wilson_interval

GOLDEN = Path(__file__).parents[1] / "golden"


def make_rows(n, seed=0, digits=9):
    rng = np.random.default_rng(seed)
    probability = rng.beta(2, 3, size=n).round(digits)
    return (rng.random(n) < probability).astype(float), probability


def test_wilson_interval_agrees_with_r():
    expected = pd.read_csv(GOLDEN / "wilson_expected.csv")
    n = expected["n"].to_numpy()
    lower, upper = compute_wilson_interval(expected["events"].to_numpy() / n, n, 0.95)
    np.testing.assert_allclose(lower, expected["lower"], atol=1e-12)
    np.testing.assert_allclose(upper, expected["upper"], atol=1e-12)


def test_groups_are_those_of_sorted_tenths():
    outcome, probability = make_rows(1000)
    curve = compute_calibration_curve(outcome, probability)
    order = np.argsort(probability)
    assert {name: str(kind) for name, kind in curve.dtypes.items()} == CURVE_COLUMNS
    assert curve["n"].tolist() == [100] * 10
    np.testing.assert_allclose(curve["predicted"], probability[order].reshape(10, 100).mean(axis=1))
    np.testing.assert_allclose(curve["observed"], outcome[order].reshape(10, 100).mean(axis=1))


@settings(deadline=None)
@given(
    n=st.integers(5, 400),
    seed=st.integers(0, 10_000),
    digits=st.integers(1, 6),
    bins=st.integers(1, 20),
    minimum_cell=st.integers(1, 15),
)
def test_every_row_is_in_one_group_that_is_large_enough(n, seed, digits, bins, minimum_cell):
    outcome, probability = make_rows(n, seed, digits)
    curve = compute_calibration_curve(outcome, probability, bins=bins, minimum_cell=minimum_cell)
    if n < minimum_cell:
        assert curve.empty
        return
    assert curve["n"].sum() == n
    assert len(curve) <= bins
    assert (curve["n"] >= min(n, max(2 * minimum_cell, 10))).all()
    assert curve["predicted"].is_monotonic_increasing
    assert (curve["lower"] <= curve["observed"]).all()
    assert (curve["observed"] <= curve["upper"]).all()
    assert curve["n"] @ curve["observed"] == pytest.approx(outcome.sum())
    assert curve["n"] @ curve["predicted"] == pytest.approx(probability.sum())


def test_small_studies_get_fewer_groups():
    assert compute_calibration_curve(*make_rows(47))["n"].tolist() == [12, 11, 12, 12]
    assert len(compute_calibration_curve(*make_rows(12))) == 1


def test_constant_predictions_make_one_group():
    outcome, _ = make_rows(200)
    curve = compute_calibration_curve(outcome, np.full(200, 0.4))
    assert curve["n"].tolist() == [200]
    assert curve["observed"].item() == pytest.approx(outcome.mean())


def test_equal_predictions_stay_together():
    outcome, _ = make_rows(300)
    probability = np.repeat([0.1, 0.5, 0.50001, 0.9], [140, 4, 6, 150])
    curve = compute_calibration_curve(outcome, probability)
    assert curve["n"].sum() == 300
    assert curve["n"].min() >= 10
    assert curve["predicted"].iloc[-1] > 0.85


def test_fewer_rows_than_may_be_shown_give_no_group():
    curve = compute_calibration_curve([0, 1, 1, 0], [0.1, 0.2, 0.3, 0.4])
    assert curve.empty
    assert list(curve.columns) == list(CURVE_COLUMNS)


def test_intervals_keep_room_where_nobody_responded():
    curve = compute_calibration_curve(np.zeros(20), np.linspace(0.01, 0.2, 20))
    assert (curve["lower"] == 0).all()
    assert (curve["upper"] > 0.2).all()


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="probability has 1 rows, the outcome has 2"):
        compute_calibration_curve([0, 1], [0.5])
    with pytest.raises(SettingsError, match="bins=0, minimum_cell=5: both must be 1 or more"):
        compute_calibration_curve([0, 1], [0.5, 0.6], bins=0)
    with pytest.raises(SettingsError, match=r"confidence=1 is outside what is allowed, 0\.5 to 0\.999"):
        compute_calibration_curve([0, 1], [0.5, 0.6], confidence=1.0)
