"""Calibration curve: quantile groups that keep ties together and are never too small, with Wilson intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.disclosure.cuts import choose_cuts, make_release_rule
from paincast.errors import DataError, SettingsError
from paincast.evaluation.performance.calibration_by_groups import (
    CALIBRATION_GROUP_COLUMNS,
    compute_calibration_by_groups,
    compute_risk_histogram,
    list_group_cuts,
)
from paincast.statistics import compute_wilson_interval

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
    curve = compute_calibration_by_groups(outcome, probability)
    order = np.argsort(probability)
    assert {name: str(kind) for name, kind in curve.dtypes.items()} == CALIBRATION_GROUP_COLUMNS
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
    curve = compute_calibration_by_groups(outcome, probability, bins=bins, minimum_cell=minimum_cell)
    if min(outcome.sum(), n - outcome.sum()) < minimum_cell:
        assert curve.empty
        return
    with_outcome = (curve["n"] * curve["observed"]).round()
    assert (np.minimum(with_outcome, curve["n"] - with_outcome) >= minimum_cell).all()
    assert curve["n"].sum() == n
    assert len(curve) <= bins
    assert (curve["n"] >= min(n, max(2 * minimum_cell, 10))).all()
    assert curve["predicted"].is_monotonic_increasing
    assert (curve["lower"] <= curve["observed"]).all()
    assert (curve["observed"] <= curve["upper"]).all()
    assert curve["n"] @ curve["observed"] == pytest.approx(outcome.sum())
    assert curve["n"] @ curve["predicted"] == pytest.approx(probability.sum())


def test_small_studies_get_fewer_groups():
    assert compute_calibration_by_groups(*make_rows(47))["n"].min() >= 20
    assert len(compute_calibration_by_groups([0, 1] * 6, np.linspace(0.1, 0.8, 12))) == 1


def test_constant_predictions_make_one_group():
    outcome, _ = make_rows(200)
    curve = compute_calibration_by_groups(outcome, np.full(200, 0.4))
    assert curve["n"].tolist() == [200]
    assert curve["observed"].item() == pytest.approx(outcome.mean())


def test_equal_predictions_stay_together():
    outcome, _ = make_rows(300)
    probability = np.repeat([0.1, 0.5, 0.50001, 0.9], [140, 4, 6, 150])
    curve = compute_calibration_by_groups(outcome, probability)
    assert curve["n"].sum() == 300
    assert curve["n"].min() >= 10
    assert curve["predicted"].iloc[-1] > 0.85


def test_fewer_rows_than_may_be_shown_give_no_group():
    curve = compute_calibration_by_groups([0, 1, 1, 0], [0.1, 0.2, 0.3, 0.4])
    assert curve.empty
    assert list(curve.columns) == list(CALIBRATION_GROUP_COLUMNS)


def test_intervals_keep_room_where_nobody_responded():
    lower, upper = compute_wilson_interval(np.zeros(1), np.array([20]), 0.95)
    assert lower == 0
    assert upper > 0.15


def test_groups_with_few_events_are_joined():
    """Ten events among 111 patients: a share times n of ten quantile groups gave 1, 0, 0, 0, 0, 4, 2, 1, 2 and 0."""
    events = np.repeat([1, 0, 0, 0, 0, 4, 2, 1, 2, 0], [11, 11, 11, 11, 11, 11, 11, 11, 11, 12])
    outcome = np.concatenate([np.arange(len(part)) < part[0] for part in np.split(events, np.arange(11, 100, 11))])
    curve = compute_calibration_by_groups(outcome, np.linspace(0.02, 0.4, 111))
    counts = (curve["observed"] * curve["n"]).round()
    assert counts.tolist() == [5, 5]
    (cut,) = list_group_cuts(outcome, np.linspace(0.02, 0.4, 111))
    assert (np.linspace(0.02, 0.4, 111) >= cut).sum() == curve["n"].iloc[-1]


def test_episodes_of_one_patient_are_no_group():
    outcome, probability = np.tile([0.0, 1.0], 50), np.linspace(0.1, 0.9, 100)
    assert len(compute_calibration_by_groups(outcome, probability)) == 10
    few = np.repeat(np.arange(20), 5)
    curve = compute_calibration_by_groups(outcome, probability, patients=few)
    assert curve.empty or (curve["n"] >= 25).all()


@settings(deadline=None)
@given(
    n=st.integers(1, 300),
    seed=st.integers(0, 1000),
    digits=st.integers(1, 6),
    told=st.lists(st.floats(0, 1), max_size=4),
)
def test_bars_hold_five_patients_or_nobody_also_between_what_is_told(n, seed, digits, told):
    _, probability = make_rows(n, seed, digits)
    told = choose_cuts(probability, told, make_release_rule(range(n)))
    bars = compute_risk_histogram(probability, published_cuts=told)
    if n < 5:
        assert bars.empty
        return
    assert bars["n"].sum() == n
    assert (bars["left"].iloc[0], bars["right"].iloc[-1]) == (0, 1)
    cells = np.histogram(probability, np.unique([*bars["left"], *told, 1.0]))[0]
    assert ((cells == 0) | (cells >= 5)).all()


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="probability has 1 rows, the outcome has 2"):
        compute_calibration_by_groups([0, 1], [0.5])
    with pytest.raises(SettingsError, match="bins=0, minimum_cell=5: both must be 1 or more"):
        compute_calibration_by_groups([0, 1], [0.5, 0.6], bins=0)
    with pytest.raises(SettingsError, match=r"confidence=1 is out of range; allowed: 0\.5 to 0\.999"):
        compute_calibration_by_groups([0, 1], [0.5, 0.6], confidence=1.0)
