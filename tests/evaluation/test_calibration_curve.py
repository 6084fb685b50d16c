"""Smooth calibration curve: against R, against the truth it should find, its band, its speed-ups, and honest gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from sklearn.linear_model import LinearRegression

from paincast.errors import SettingsError
from paincast.evaluation.performance import calibration_curve
from paincast.evaluation.performance.calibration_curve import (
    compute_calibration_curve,
    compute_weighted_quantile,
    place_knots,
)
from paincast.evaluation.performance.estimators import make_auroc, make_brier
from paincast.evaluation.performance.metrics import METRIC_COLUMNS
from paincast.evaluation.performance.weighted_logistic import fit_weighted_logistic
from paincast.evaluation.predictions import check_predictions
from paincast.evaluation.resampling import compute_distance_interval
from paincast.statistics import compute_kernel, smooth_shares

GOLDEN = Path(__file__).parents[1] / "golden"
SETS = ["calibrated", "badly_calibrated", "tiny"]


def expit(value):
    return 1.0 / (1.0 + np.exp(-value))


def make_rows(n, seed, bend=lambda log_odds: log_odds):
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-0.3, 1.2, size=n)
    return (rng.random(n) < expit(bend(log_odds))).astype(float), expit(log_odds)


def compute(outcome, probability, *, seed=0, **more):
    settings = {"patients": None, "resamples": 50, **more}
    return compute_calibration_curve(outcome, probability, rng=np.random.default_rng(seed), **settings)


def read(found):
    return found.indices.set_index("metric")["estimate"]


@pytest.fixture(params=SETS)
def golden(request):
    rows = pd.read_csv(GOLDEN / f"metrics_{request.param}.csv")
    expected = pd.read_csv(GOLDEN / "calibration_expected.csv").query("set == @request.param")
    smooth = pd.read_csv(GOLDEN / "calibration_lowess.csv").query("set == @request.param")
    return request.param, rows, expected.set_index("quantity")["value"], smooth["observed"].to_numpy()


@pytest.mark.parametrize(("name", "ridge"), [("spline", 0.0), ("ridge", 4.0)])
def test_indices_agree_with_rms(golden, name, ridge):
    _, rows, expected, _ = golden
    got = read(compute(rows["outcome"], rows["probability"], ridge=ridge))
    for index in ("ici", "e50", "e90", "emax"):
        assert got[index] == pytest.approx(expected[f"{name}_{index}"], abs=1e-6), index


def test_the_distances_are_those_of_val_prob_given_its_curve(golden):
    _, rows, expected, smooth = golden
    distance = np.abs(smooth - rows["probability"].to_numpy())
    assert distance.mean() == pytest.approx(expected["val_prob_eavg"], abs=1e-12)
    ninth = compute_weighted_quantile(distance[None, :], np.ones((1, len(distance))), 0.9)[0]
    assert ninth == pytest.approx(expected["val_prob_e90"], abs=1e-12)
    assert distance.max() == pytest.approx(expected["val_prob_emax"], abs=1e-12)


def test_the_curve_is_near_the_lowess_of_val_prob(golden):
    """Two smoothers of the same rows: mean distances of the curves from the diagonal differ by less than 0.02."""
    _, rows, expected, _ = golden
    got = read(compute(rows["outcome"], rows["probability"]))
    assert got["ici"] == pytest.approx(expected["val_prob_eavg"], abs=0.02)
    assert got["e90"] == pytest.approx(expected["val_prob_e90"], abs=0.06)
    assert got["emax"] == pytest.approx(expected["val_prob_emax"], abs=0.08)


def test_joint_intercept_and_slope_agree_with_val_prob(golden):
    name, rows, expected, _ = golden
    scored = check_predictions(rows["outcome"], rows["probability"])
    columns = np.column_stack([np.ones(scored.n), scored.log_odds])
    got = fit_weighted_logistic(np.ones((1, scored.n)), scored.outcome, columns, np.zeros(scored.n), np.zeros(2))[0]
    # lrm.fit stops at a relative change of 0.00025 of the deviance; on 47 rows that is felt in the sixth digit.
    limit = 5e-6 if name == "tiny" else 1e-6
    assert got.tolist() == pytest.approx(expected[["val_prob_intercept", "val_prob_slope"]].tolist(), abs=limit)


def test_c_index_and_brier_score_agree_with_val_prob(golden):
    _, rows, expected, _ = golden
    scored = check_predictions(rows["outcome"], rows["probability"])
    ones = np.ones((1, scored.n))
    assert make_brier(scored)(ones)[0] == pytest.approx(expected["val_prob_brier"], abs=1e-12)
    # lrm.fit ranks probabilities in steps of 0.002, so that neighbours count as tied.
    assert make_auroc(scored)(ones)[0] == pytest.approx(expected["val_prob_c"], abs=1e-4)


def test_a_known_bend_is_found():
    outcome, probability = make_rows(60_000, 3, lambda log_odds: 0.3 + 0.5 * np.tanh(2 * log_odds))
    found = compute(outcome, probability)
    truth = np.abs(expit(0.3 + 0.5 * np.tanh(2 * np.log(probability / (1 - probability)))) - probability)
    assert read(found)["ici"] == pytest.approx(truth.mean(), abs=0.01)
    curve = found.curve
    log_odds = np.log(curve["predicted"] / (1 - curve["predicted"]))
    assert np.abs(curve["observed"] - expit(0.3 + 0.5 * np.tanh(2 * log_odds))).max() < 0.03


@pytest.mark.slow
def test_the_band_covers_the_truth():
    covered = []
    for seed in range(60):
        curve = compute(*make_rows(400, seed, lambda log_odds: 0.7 * log_odds), seed=seed, resamples=200).curve
        truth = expit(0.7 * np.log(curve["predicted"] / (1 - curve["predicted"])))
        covered.append(((curve["lower"] <= truth) & (truth <= curve["upper"])).mean())
    assert 0.90 <= np.mean(covered) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize(
    ("slope", "shift"), [(1.0, 0.0), (0.5, 0.0), (1.0, 0.5)], ids=["calibrated", "too extreme", "too low"]
)
def test_the_interval_of_a_distance_covers_the_truth_and_its_estimate(slope, shift):
    """Percentiles of the resamples hold a true 0 never, and not always their own estimate."""
    reference = -0.3 + 1.2 * ndtri((np.arange(20_000) + 0.5) / 20_000)
    distance = np.abs(expit(slope * reference + shift) - expit(reference))
    truth = {"ici": distance.mean(), "e50": np.median(distance), "e90": np.quantile(distance, 0.9)}
    covered = {index: [] for index in truth}
    for seed in range(60):
        rows = make_rows(500, seed, lambda log_odds: slope * log_odds + shift)
        table = compute(*rows, seed=seed, resamples=100).indices.set_index("metric")
        assert ((table["lower"] <= table["estimate"]) & (table["estimate"] <= table["upper"])).all()
        for index, true in truth.items():
            covered[index].append(table["lower"][index] - 1e-12 <= true <= table["upper"][index])
    # 95 % promised; of 60 draws fewer than 52 are then a chance of 1 in 200.
    assert {index: np.sum(held) >= 52 for index, held in covered.items()} == dict.fromkeys(truth, True)


@pytest.mark.slow
def test_most_calibrated_models_of_1200_patients_keep_the_limit_of_the_gate_and_hardly_one_that_breaks_it():
    def count(shift: float) -> int:
        tables = [
            compute(*make_rows(1200, seed, lambda log_odds: log_odds + shift), seed=seed, resamples=50).indices
            for seed in range(20)
        ]
        return sum(table["upper"][0] <= 0.05 for table in tables)

    assert count(0.0) >= 14
    assert count(0.3) <= 2  # a true ICI of 0.06


def test_a_distance_is_no_percentile():
    resampled, noise = np.array([0.04, 0.05, 0.06, np.nan] * 25), np.array([0.01, 0.02, 0.03, np.nan] * 25)
    lower, upper, note = compute_distance_interval(0.03, resampled, noise, 0.95)
    assert (np.isnan([lower, upper]).all(), note) == (True, "no interval: 25 of 100 resamples not estimable")
    lower, upper, note = compute_distance_interval(0.03, resampled[:3], noise[:3], 0.95)
    assert (lower, note) == (pytest.approx(0.03 - 0.0295), "")
    assert upper == pytest.approx(0.03 + 1.959964 * np.std([0.04, 0.05, 0.06]))
    assert compute_distance_interval(0.01, resampled[:3], noise[:3], 0.95)[0] == 0.0
    assert compute_distance_interval(0.999, resampled[:3], noise[:3], 0.95)[1] == 1.0


@pytest.mark.slow
def test_a_resample_cannot_run_away():
    """Without penalty and with uniform knots upper limits near 0.4 were seen on as many calibrated rows."""
    uppers = [compute(*make_rows(2000, seed), seed=seed, resamples=200).indices["upper"][0] for seed in range(10)]
    assert max(uppers) < 0.06


def test_many_rows_are_grouped_without_loss(monkeypatch):
    rows = make_rows(8000, 5, lambda log_odds: 0.6 * log_odds)
    grouped = compute(*rows)
    monkeypatch.setattr(calibration_curve, "MOST_GROUPS", 10**6)
    exact = compute(*rows)
    limits = ["estimate", "lower", "upper"]
    np.testing.assert_allclose(grouped.indices[limits], exact.indices[limits], rtol=0, atol=3e-4)
    np.testing.assert_allclose(grouped.curve.iloc[:, 1:], exact.curve.iloc[:, 1:], rtol=0, atol=5e-5)


@settings(deadline=None, max_examples=25)
@given(n=st.integers(40, 200), seed=st.integers(0, 10_000), digits=st.integers(1, 6))
def test_distances_are_ordered_and_the_curve_is_of_probabilities(n, seed, digits):
    outcome, probability = make_rows(n, seed)
    found = compute(outcome, probability.round(digits).clip(0.01, 0.99))
    index = read(found)
    if index.isna().all():
        return
    assert 0 <= index["e50"] <= index["e90"] <= index["emax"] <= 1
    assert 0 <= index["ici"] <= index["emax"]
    known = found.indices.dropna(subset="lower")
    assert ((known["lower"] >= 0) & (known["lower"] <= known["estimate"])).all()
    assert ((known["estimate"] <= known["upper"]) & (known["upper"] <= 1)).all()
    curve = found.curve
    assert curve[["predicted", "observed"]].stack().between(0, 1).all()
    assert curve["predicted"].is_monotonic_increasing
    if curve["lower"].isna().all():
        assert found.indices["method"].str.contains("of 50 resamples not estimable").all()
        return
    assert ((curve["lower"] >= 0) & (curve["lower"] <= curve["upper"]) & (curve["upper"] <= 1)).all()


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), quantile=st.floats(0, 1))
def test_weighted_quantiles_are_those_of_repeated_values(seed, quantile):
    rng = np.random.default_rng(seed)
    values, counts = rng.random(12).round(1), rng.integers(0, 4, size=12)
    counts[0] += 1
    got = compute_weighted_quantile(values[None, :], counts[None, :].astype(float), quantile)[0]
    assert got == pytest.approx(np.quantile(np.repeat(values, counts), quantile), abs=1e-7)


def test_a_weight_of_two_is_a_row_that_stands_twice():
    outcome, probability = make_rows(90, 2)
    twice = np.arange(90) % 2 == 0
    weighted = compute(outcome, probability, weights=1.0 + twice)
    np.testing.assert_allclose(
        read(weighted)["ici"],
        read(compute(outcome, probability, weights=10.0 * (1.0 + twice)))["ici"],
        atol=1e-12,
    )
    assert read(weighted)["ici"] != read(compute(outcome, probability))["ici"]


def test_patients_are_drawn_whole():
    outcome, probability = make_rows(100, 4)
    repeated = [np.repeat(part, 4) for part in (outcome, probability, np.arange(100))]
    together = compute(repeated[0], repeated[1], patients=repeated[2], resamples=300).indices
    apart = compute(repeated[0], repeated[1], resamples=300).indices
    assert (together["upper"] - together["lower"])[0] > 1.5 * (apart["upper"] - apart["lower"])[0]


@pytest.mark.parametrize(
    ("outcome", "probability", "reason"),
    [
        (np.ones(40), np.linspace(0.1, 0.9, 40), "one outcome class only"),
        (np.arange(40) % 2, np.full(40, 0.5), "the predictions are constant"),
        (np.arange(40) == 20, np.linspace(0.1, 0.9, 40), "fewer than 5 rows of the rarer outcome class"),
        (np.arange(40) > 20, np.linspace(0.1, 0.9, 40), "the predictions separate the outcome classes"),
    ],
)
def test_no_curve_is_no_perfect_score(outcome, probability, reason):
    found = compute(outcome, probability)
    assert found.curve.empty
    assert tuple(found.indices.columns) == METRIC_COLUMNS
    assert found.indices[["estimate", "lower", "upper"]].isna().all(axis=None)
    assert set(found.indices["method"]) == {f"not estimable: {reason}"}


def test_one_patient_has_a_curve_without_interval():
    outcome, probability = make_rows(100, 6)
    found = compute(outcome, probability, patients=["a"] * 100)
    assert found.indices["estimate"].notna().all()
    assert found.indices[["lower", "upper"]].isna().all(axis=None)


def test_few_distinct_predictions_get_fewer_knots():
    assert len(place_knots(np.zeros(50))) == 1
    assert len(place_knots(np.linspace(0, 1, 20))) == 3
    assert len(place_knots(np.linspace(0, 1, 50))) == 4
    found = compute(np.tile([0, 1, 1, 0, 1], 20), np.tile([0.2, 0.2, 0.7, 0.7, 0.7], 20))
    assert read(found)["ici"] == pytest.approx(0.4 * 0.3 + 0.6 * abs(2 / 3 - 0.7), abs=1e-6)


@pytest.mark.parametrize("more", [{"points": 1}, {"ridge": -1.0}, {"ridge": np.inf}])
def test_bad_settings_are_refused(more):
    with pytest.raises(SettingsError, match="at least 2 points and a finite ridge of 0 or more"):
        compute([0, 1], [0.4, 0.5], **more)


def test_loess_finds_steps_that_the_spline_smooths_away():
    rng = np.random.default_rng(11)
    log_odds = rng.normal(-0.2, 0.7, 4000)
    truth = expit(log_odds + np.where(np.floor((log_odds + 0.2) / 0.7) % 2 == 0, 0.5, -0.5))
    found = compute_calibration_curve(
        rng.random(4000) < truth, expit(log_odds), patients=None, rng=rng, resamples=50
    ).indices.set_index("metric")["estimate"]
    true = np.abs(truth - expit(log_odds)).mean()
    assert found["ici"] < 0.5 * true
    assert found["ici_loess"] > 0.65 * true


def test_loess_is_the_local_line_of_scikit_learns_weighted_regression():
    rng = np.random.default_rng(12)
    x, cases = np.sort(rng.random(60)), (rng.random(60) < 0.5).astype(float)
    grid, weight = np.array([0.2, 0.7]), rng.uniform(0.5, 2.0, 60)
    kernel = compute_kernel(x, weight, grid, 0.5)
    found = smooth_shares(x, weight[None], (weight * cases)[None], grid, kernel)[0]
    for point, near, share in zip(grid, kernel, found, strict=True):
        line = LinearRegression().fit(x[:, None], cases, sample_weight=near * weight)
        assert share == pytest.approx(np.clip(line.predict([[point]])[0], 0, 1), abs=1e-9)
