"""Metrics: against R and scikit-learn, their invariances, the coverage of their intervals, and honest gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from paincast.compilation import compile_cached
from paincast.errors import DataError, SettingsError
from paincast.evaluation.performance.estimators import ECE_NOISE, ESTIMATORS, make_ece_noise
from paincast.evaluation.performance.fast_resampling import make_groups, resample_metrics
from paincast.evaluation.performance.metrics import METRIC_COLUMNS, compute_metrics
from paincast.evaluation.predictions import check_predictions
from paincast.evaluation.resampling import compute_percentile_interval, resample_patient_weights

GOLDEN = Path(__file__).parents[1] / "golden"
METRICS = [
    "auroc",
    "auprc",
    "log_loss",
    "brier",
    "scaled_brier",
    "o_e_ratio",
    "calibration_intercept",
    "calibration_slope",
    "ece",
]


def make_probability(log_odds):
    return 1.0 / (1.0 + np.exp(-log_odds))


def make_rows(n, seed, *, intercept=0.0, slope=1.0, spread=1.2):
    """Outcomes whose log odds are ``intercept + slope * logit(probability)``."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-0.3, spread, size=n)
    outcome = (rng.random(n) < make_probability(intercept + slope * log_odds)).astype(float)
    return outcome, make_probability(log_odds)


def estimate(metric, outcome, probability):
    rows = check_predictions(outcome, probability)
    return float(ESTIMATORS[metric](rows)(np.ones((1, rows.n)))[0])


def compute(outcome, probability, *, patients=None, seed=0, **more):
    frame = compute_metrics(outcome, probability, patients=patients, rng=np.random.default_rng(seed), **more)
    return frame.set_index("metric")


@st.composite
def scored_rows(draw):
    """Rows with both classes and overlapping predictions, ties included."""
    n = draw(st.integers(8, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    outcome = (rng.random(n) < draw(st.floats(0.2, 0.8))).astype(float)
    log_odds = rng.normal(0.3 * outcome, draw(st.floats(0.2, 2.0))).round(draw(st.integers(1, 6)))
    ends = np.array([0.0, 1.0, 0.0, 1.0]), np.array([-3.0, -3.0, 3.0, 3.0])
    return np.concatenate([outcome, ends[0]]), np.concatenate([log_odds, ends[1]])


@pytest.mark.parametrize("name", ["calibrated", "badly_calibrated", "tiny"])
def test_estimates_agree_with_r(name):
    rows = pd.read_csv(GOLDEN / f"metrics_{name}.csv")
    expected = pd.read_csv(GOLDEN / "metrics_expected.csv").query("set == @name").set_index("metric")["estimate"]
    got = compute(rows["outcome"], rows["probability"])["estimate"]
    pd.testing.assert_series_equal(got[expected.index], expected, rtol=0, atol=1e-8)


@settings(deadline=None, max_examples=30)
@given(rows=scored_rows())
def test_estimates_agree_with_scikit_learn(rows):
    outcome, log_odds = rows
    probability = make_probability(log_odds)
    assert estimate("auroc", outcome, probability) == pytest.approx(roc_auc_score(outcome, probability), abs=1e-12)
    assert estimate("brier", outcome, probability) == pytest.approx(brier_score_loss(outcome, probability), abs=1e-12)
    precision = average_precision_score(outcome, probability)
    assert estimate("auprc", outcome, probability) == pytest.approx(precision, abs=1e-12)
    assert estimate("log_loss", outcome, probability) == pytest.approx(log_loss(outcome, probability), abs=1e-12)
    fit = LogisticRegression(C=np.inf, tol=1e-7, max_iter=1000).fit(log_odds[:, None], outcome)
    assert estimate("calibration_slope", outcome, probability) == pytest.approx(fit.coef_[0, 0], abs=1e-4)


def test_weighted_estimates_are_those_of_repeated_rows():
    outcome, probability = make_rows(60, 3)
    rows = check_predictions(outcome, probability.round(1))
    weights = np.random.default_rng(5).integers(0, 4, size=(20, rows.n)).astype(float)
    for metric, make in ESTIMATORS.items():
        if metric == "ece":  # its groups are those of the rows, not of the resample
            continue
        repeated = [
            estimate(metric, np.repeat(rows.outcome, counts), np.repeat(rows.probability, counts))
            for counts in weights.astype(int)
        ]
        np.testing.assert_allclose(make(rows)(weights), repeated, atol=1e-8, err_msg=metric)


@settings(deadline=None)
@given(rows=scored_rows(), scale=st.floats(0.1, 5.0), shift=st.floats(-3.0, 3.0))
def test_auroc_does_not_change_under_monotone_maps(rows, scale, shift):
    outcome, log_odds = rows
    before = estimate("auroc", outcome, make_probability(log_odds))
    after = estimate("auroc", outcome, make_probability(scale * log_odds + shift))
    assert after == pytest.approx(before, abs=1e-12)


@settings(deadline=None)
@given(rows=scored_rows(), shift=st.floats(-3.0, 3.0))
def test_raising_the_log_odds_lowers_the_intercept_by_as_much(rows, shift):
    outcome, log_odds = rows
    before = estimate("calibration_intercept", outcome, make_probability(log_odds))
    after = estimate("calibration_intercept", outcome, make_probability(log_odds + shift))
    assert after == pytest.approx(before - shift, abs=1e-7)


@settings(deadline=None)
@given(rows=scored_rows(), factor=st.floats(0.2, 4.0))
def test_stretching_the_log_odds_divides_the_slope(rows, factor):
    outcome, log_odds = rows
    before = estimate("calibration_slope", outcome, make_probability(log_odds))
    after = estimate("calibration_slope", outcome, make_probability(factor * log_odds))
    assert after * factor == pytest.approx(before, abs=1e-6)


@settings(deadline=None)
@given(rows=scored_rows())
def test_intercept_and_slope_solve_their_score_equations(rows):
    outcome, log_odds = rows
    intercept = estimate("calibration_intercept", outcome, make_probability(log_odds))
    assert make_probability(intercept + log_odds).sum() == pytest.approx(outcome.sum(), abs=1e-6)
    slope = estimate("calibration_slope", outcome, make_probability(log_odds))
    free = estimate("calibration_intercept", outcome, make_probability(slope * log_odds))
    fitted = make_probability(free + slope * log_odds)
    assert (outcome - fitted) @ log_odds == pytest.approx(0.0, abs=1e-5)


@settings(deadline=None, max_examples=20)
@given(rows=scored_rows(), seed=st.integers(0, 1000))
def test_the_order_of_rows_changes_neither_estimates_nor_intervals(rows, seed):
    outcome, log_odds = rows
    patients = np.array([f"p{i % 17:02d}" for i in range(len(outcome))])
    order = np.random.default_rng(seed).permutation(len(outcome))
    probability = make_probability(log_odds)
    before = compute(outcome, probability, patients=patients, resamples=50)
    after = compute(outcome[order], probability[order], patients=patients[order], resamples=50)
    pd.testing.assert_frame_equal(before, after, rtol=1e-6, atol=1e-8)


@settings(deadline=None)
@given(rows=scored_rows())
def test_observed_over_expected_is_one_at_the_observed_rate(rows):
    outcome, _ = rows
    assert estimate("o_e_ratio", outcome, np.full(len(outcome), outcome.mean())) == pytest.approx(1.0)


def test_a_calibrated_model_has_intercept_zero_and_slope_one():
    metrics = compute(*make_rows(50_000, 11), resamples=50)["estimate"]
    assert metrics["calibration_intercept"] == pytest.approx(0.0, abs=0.03)
    assert metrics["calibration_slope"] == pytest.approx(1.0, abs=0.03)
    assert metrics["o_e_ratio"] == pytest.approx(1.0, abs=0.02)


def test_the_intercept_is_not_that_of_the_joint_fit():
    outcome, probability = make_rows(20_000, 4, intercept=0.5, slope=0.5)
    with_fixed_slope = estimate("calibration_intercept", outcome, probability)
    assert abs(with_fixed_slope - 0.5) > 0.05


def test_frame_has_the_declared_form():
    frame = compute_metrics(*make_rows(80, 1), patients=None, rng=np.random.default_rng(0), group="site-1")
    assert tuple(frame.columns) == METRIC_COLUMNS
    assert frame["metric"].tolist() == METRICS
    assert set(frame["group"]) == {"site-1"}
    assert set(frame["n"]) == {80}
    methods = frame.set_index("metric")["method"]
    assert set(methods.drop("ece")) == {"percentile bootstrap of 80 patients, 500 resamples, 95 %"}
    assert methods["ece"].startswith("bootstrap of 80 patients, 500 resamples, 95 %; lower limit from the distance")
    assert (frame["lower"] < frame["estimate"]).all()
    assert (frame["estimate"] < frame["upper"]).all()


def test_same_generator_gives_the_same_intervals():
    rows = make_rows(90, 2)
    pd.testing.assert_frame_equal(compute(*rows, seed=3), compute(*rows, seed=3))
    assert (compute(*rows, seed=3)["upper"] != compute(*rows, seed=4)["upper"]).all()


@pytest.mark.slow
@pytest.mark.parametrize(("intercept", "slope"), [(0.4, 1.0), (0.0, 0.6)])
def test_intervals_cover_the_truth(intercept, slope):
    reference = make_rows(400_000, 99, intercept=intercept, slope=slope)
    truth = {metric: estimate(metric, *reference) for metric in METRICS} | {"calibration_slope": slope}
    if slope == 1.0:
        truth["calibration_intercept"] = intercept
    covered, replicates = dict.fromkeys(METRICS, 0), 200
    for seed in range(replicates):
        metrics = compute(*make_rows(300, 1000 + seed, intercept=intercept, slope=slope), seed=seed, resamples=200)
        for metric in covered:
            covered[metric] += metrics.loc[metric, "lower"] <= truth[metric] <= metrics.loc[metric, "upper"]
    # The calibration error is above 0 for perfect predictions too: its interval is careful.
    assert covered.pop("ece") / replicates >= 0.88
    assert all(0.88 <= count / replicates <= 0.99 for count in covered.values()), covered


def test_intervals_do_not_take_repeated_rows_for_information():
    outcome, probability = make_rows(150, 8)
    patients = np.arange(150)
    once = compute(outcome, probability, patients=patients)
    fivefold = [np.repeat(part, 5) for part in (outcome, probability, patients)]
    together = compute(fivefold[0], fivefold[1], patients=fivefold[2])
    apart = compute(fivefold[0], fivefold[1], patients=None)
    np.testing.assert_allclose(together[["lower", "upper"]], once[["lower", "upper"]], atol=1e-8)
    width = {name: frame["upper"] - frame["lower"] for name, frame in (("together", together), ("apart", apart))}
    assert (width["together"] > 1.8 * width["apart"]).drop("ece").all()
    assert together.loc["ece", "upper"] > apart.loc["ece", "upper"]
    assert set(together["n"]) == {750}
    assert together["method"].str.contains("of 150 patients").all()


@pytest.mark.parametrize("only", [0.0, 1.0])
def test_one_outcome_class_is_no_perfect_score(only):
    metrics = compute(np.full(30, only), np.linspace(0.1, 0.9, 30))
    gone = ["auroc", "auprc", "scaled_brier", "calibration_intercept", "calibration_slope"]
    assert metrics.loc[gone, ["estimate", "lower", "upper"]].isna().all(axis=None)
    assert set(metrics.loc[gone, "method"]) == {"not estimable: one outcome class only"}
    kept = ["log_loss", "brier", "o_e_ratio", "ece"]
    assert metrics.loc[kept, "estimate"].notna().all()
    assert metrics.loc[kept, ["lower", "upper"]].isna().all(axis=None)
    assert metrics.loc[kept, "method"].str.contains("no interval: one outcome class only").all()


def test_constant_predictions_have_no_slope():
    outcome, _ = make_rows(60, 5)
    metrics = compute(outcome, np.full(60, 0.3))
    assert np.isnan(metrics.loc["calibration_slope", "estimate"])
    assert metrics.loc["calibration_slope", "method"] == "not estimable: the predictions are constant"
    assert metrics.loc["auroc", "estimate"] == 0.5
    assert np.isfinite(metrics.loc["calibration_intercept", ["estimate", "lower", "upper"]].astype(float)).all()


@pytest.mark.parametrize("probability", [np.linspace(0.1, 0.9, 20), np.repeat([0.2, 0.5, 0.7], [9, 2, 9])])
@pytest.mark.parametrize("reverse", [False, True])
def test_separated_predictions_have_no_slope(probability, reverse):
    outcome = np.repeat([0.0, 1.0], 10)
    metrics = compute(outcome[::-1] if reverse else outcome, probability)
    assert np.isnan(metrics.loc["calibration_slope", "estimate"])
    assert "separate the outcome classes" in metrics.loc["calibration_slope", "method"]


def test_an_auroc_of_one_has_no_interval():
    metrics = compute(np.repeat([0.0, 1.0], 10), np.linspace(0.1, 0.9, 20))
    assert metrics.loc["auroc", "estimate"] == 1.0
    assert np.isnan(metrics.loc["auroc", "lower"])
    assert "no interval: all resamples agree" in metrics.loc["auroc", "method"]


def test_one_patient_has_no_interval():
    metrics = compute([0, 1, 0, 1], [0.2, 0.3, 0.6, 0.7], patients=["a"] * 4)
    assert metrics["estimate"].notna().all()
    assert metrics[["lower", "upper"]].isna().all(axis=None)


def test_lost_resamples_are_counted():
    outcome = np.zeros(40)
    outcome[[7, 21, 35, 36]] = 1.0
    method = compute(outcome, np.linspace(0.1, 0.9, 40)).loc["auroc", "method"]
    assert method.endswith("resamples not estimable and left out")


def test_an_interval_is_withheld_when_more_than_a_tenth_are_lost():
    outcome = np.zeros(40)
    outcome[21] = 1.0
    auroc = compute(outcome, np.linspace(0.1, 0.9, 40)).loc["auroc"]
    assert np.isfinite(auroc["estimate"])
    assert np.isnan(auroc["lower"])
    assert "of 500 resamples not estimable" in auroc["method"]


def test_a_tenth_lost_is_the_limit():
    estimates = np.linspace(0.0, 1.0, 100)
    estimates[:10] = np.nan
    assert np.isfinite(compute_percentile_interval(estimates, 0.95)[0])
    estimates[10] = np.nan
    assert np.isnan(compute_percentile_interval(estimates, 0.95)[0])


def test_certain_probabilities_are_moved_and_counted():
    metrics = compute([0, 1, 1, 0, 1, 0], [0.0, 1.0, 0.4, 0.6, 0.7, 1.0])
    for metric in ("log_loss", "calibration_intercept"):
        assert "3 of 6 probabilities moved to 1e-12 from 0 or 1" in metrics.loc[metric, "method"]
    assert "moved" not in metrics.loc["brier", "method"]
    assert metrics.loc["log_loss", "estimate"] > 12 * np.log(10) / 6


def test_predictions_far_out_are_still_fitted():
    rng = np.random.default_rng(2)
    outcome = (rng.random(200) < 0.5).astype(float)
    probability = np.where(rng.random(200) < 0.5, 1e-15, 1.0 - 1e-9)
    metrics = compute(outcome, probability)
    assert np.isfinite(metrics["estimate"].astype(float)).all()
    assert not metrics["method"].str.contains("converge").any()


def test_a_fit_finds_its_way_back_from_saturation():
    log_odds = np.array([-24.9, -24.1, -23.6, 9.4, 15.0])
    outcome = np.array([1.0, 1.0, 0.0, 1.0, 1.0])
    intercept = estimate("calibration_intercept", outcome, make_probability(log_odds))
    assert make_probability(intercept + log_odds).sum() == pytest.approx(4.0, abs=1e-6)


def test_one_prediction_far_from_all_others_is_no_obstacle():
    rng = np.random.default_rng(6)
    log_odds = np.append(0.001 * rng.normal(size=60), 25.0)
    outcome = np.append((rng.random(60) < make_probability(800 * log_odds[:60])).astype(float), 1.0)
    metrics = compute(outcome, make_probability(log_odds))
    assert metrics.loc["calibration_slope", "estimate"] > 100
    assert "resamples not estimable" not in metrics.loc["calibration_slope", "method"]


def test_no_event_expected_is_said():
    metrics = compute([0, 1, 0, 1], [0.0, 0.0, 0.0, 0.0])
    assert metrics.loc["o_e_ratio", "method"] == "not estimable: no event is expected, all probabilities are 0"


@pytest.mark.parametrize(
    ("outcome", "probability", "patients", "message"),
    [
        ([], [], None, "0 rows to evaluate"),
        ([0, 1, np.nan], [0.1, 0.2, 0.3], None, "outcome: 1 of 3 values are missing"),
        ([0, 2], [0.1, 0.2], None, "outcome: 1 of 2 values are not allowed; allowed: 0 or 1"),
        (["yes", "no"], [0.1, 0.2], None, "outcome does not hold numbers"),
        ([0, 1], [0.1, np.nan], None, "probability: 1 of 2 values are missing"),
        ([0, 1], [0.1, 45.0], None, "allowed: 0 to 1; divide percent by 100"),
        ([0, 1], [0.1, -0.1], None, "probability: 1 of 2"),
        ([0, 1], [0.1, 0.2, 0.3], None, "probability has 3 rows, the outcome has 2"),
        ([0, 1], [0.1, 0.2], ["a"], "patients has 1 rows, the outcome has 2"),
        ([0, 1], [0.1, 0.2], ["a", None], "patients: 1 of 2 are missing"),
    ],
)
def test_bad_rows_are_refused(outcome, probability, patients, message):
    with pytest.raises(DataError, match=message):
        compute(outcome, probability, patients=patients)


def test_an_error_never_shows_a_value():
    with pytest.raises(DataError) as caught:
        compute(["Jane Roe", "0"], [0.1, 0.2])
    assert "Jane" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("more", "message"), [({"resamples": 10}, "50 to"), ({"confidence": 95}, "0.5 to 0.999")])
def test_bad_settings_are_refused(more, message):
    with pytest.raises(SettingsError, match=message):
        compute([0, 1], [0.1, 0.2], **more)


def test_nullable_and_boolean_outcomes_are_read():
    expected = compute([0, 1, 1, 0], [0.1, 0.7, 0.4, 0.5])
    for held in (pd.Series([False, True, True, False]), pd.array([0, 1, 1, 0], dtype="Int64")):
        pd.testing.assert_frame_equal(compute(held, [0.1, 0.7, 0.4, 0.5]), expected)


@pytest.mark.parametrize("n", [40, 30_000])
def test_resamples_draw_whole_patients(n):
    rows = check_predictions(*make_rows(n, 1), np.arange(n) % 30)
    blocks = list(resample_patient_weights(rows, 50, np.random.default_rng(0)))
    weights = np.concatenate(blocks)
    assert weights.shape == (50, n)
    drawn = np.stack([weights[:, np.argmax(rows.patient == patient)] for patient in range(30)], axis=1)
    np.testing.assert_array_equal(weights, drawn[:, rows.patient])
    assert (drawn.sum(axis=1) == 30).all()
    assert drawn.var() == pytest.approx(1.0, abs=0.15)


def test_a_weight_of_two_is_a_row_that_stands_twice():
    rng = np.random.default_rng(8)
    probability = rng.random(60).round(2)
    outcome = (rng.random(60) < probability).astype(float)
    twice = np.arange(60) % 3 == 0
    weighted = compute_metrics(
        outcome, probability, patients=None, rng=np.random.default_rng(1), resamples=50, weights=1.0 + twice
    )
    repeated = compute_metrics(
        np.concatenate([outcome, outcome[twice]]),
        np.concatenate([probability, probability[twice]]),
        patients=None,
        rng=np.random.default_rng(1),
        resamples=50,
    )
    same = weighted["metric"] != "ece"  # whose groups are of rows, however heavy
    assert weighted["estimate"][same].tolist() == pytest.approx(repeated["estimate"][same].tolist(), abs=1e-9)
    assert weighted["method"].str.contains("weighted, effective n 53").all()
    with pytest.raises(DataError, match="weights: 60 finite numbers above 0 are needed"):
        compute_metrics(outcome, probability, patients=None, rng=rng, resamples=50, weights=np.zeros(60))


def test_the_scaled_brier_score_is_none_at_the_observed_rate_and_one_at_best():
    outcome, _ = make_rows(200, 9)
    assert estimate("scaled_brier", outcome, np.full(200, outcome.mean())) == pytest.approx(0.0, abs=1e-12)
    assert estimate("scaled_brier", outcome, outcome) == 1.0


def test_the_calibration_error_is_that_of_tenths():
    outcome, probability = make_rows(1000, 4, slope=0.5)
    order = np.argsort(probability)
    gaps = (outcome - probability)[order].reshape(10, 100).mean(axis=1)
    assert estimate("ece", outcome, probability) == pytest.approx(np.abs(gaps).mean(), abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["smooth", "steep", "flat", "tied", "weighted", "a far row", "certain"])
def test_many_rows_are_resampled_as_few_are(kind):
    slope = {"steep": 4.0, "flat": 0.2}.get(kind, 0.8)
    outcome, probability = make_rows(6000, 21, slope=slope, spread=0.5 if kind == "steep" else 1.2)
    if kind == "tied":
        probability = probability.round(1).clip(0.05, 0.95)
    if kind == "a far row":
        probability[0] = 1e-11
    if kind == "certain":
        probability[:9] = [0, 0, 1, 1, 1, 0, 0, 1, 1]
    rows = check_predictions(outcome, probability, np.random.default_rng(2).integers(4000, size=6000))
    weights = np.ones(6000) if kind != "weighted" else 1.0 + np.random.default_rng(3).random(6000)
    groups = make_groups(rows, weights)
    fast = resample_metrics(rows, weights, groups, 60, np.random.default_rng(7))
    blocks = np.concatenate(list(resample_patient_weights(rows, 60, np.random.default_rng(7)))) * weights
    noise = {ECE_NOISE: lambda rows: make_ece_noise(rows, weights[None, :])}
    for metric, make in {**ESTIMATORS, **noise}.items():
        limit = 1e-6 if metric in ("calibration_intercept", "calibration_slope") else 1e-11
        np.testing.assert_allclose(fast[metric], make(rows)(blocks), rtol=0, atol=limit, err_msg=metric)


def test_rows_that_cannot_be_grouped_are_resampled_exactly():
    outcome, probability = make_rows(500, 1)
    ones = np.ones(500)
    assert make_groups(check_predictions(outcome, np.full(500, 0.4)), ones) is None
    assert make_groups(check_predictions(np.zeros(500), probability), ones) is None
    assert make_groups(check_predictions(outcome, np.where(outcome == 1, 0.9, 0.1)), ones) is None


@pytest.mark.slow
def test_many_rows_take_the_compiled_pass_and_say_the_same(monkeypatch):
    rows = make_rows(3000, 12)
    slow = compute(*rows, resamples=100)
    monkeypatch.setattr("paincast.evaluation.performance.metrics.SMALLEST_WORK", 0)
    fast = compute(*rows, resamples=100)
    pd.testing.assert_frame_equal(slow, fast, rtol=0, atol=1e-6)
    assert (slow["lower"] != fast["lower"]).any()


def test_without_a_folder_to_keep_it_machine_code_is_made_anew(monkeypatch):
    made = []

    def njit(function, *, cache=False, **more):
        del more
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        made.append(function)
        return function

    monkeypatch.setattr("paincast.compilation.numba.njit", njit)
    assert compile_cached(len) is len
    assert made == [len]


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True])
def test_a_metric_needs_one_definition_however_many_the_rows(monkeypatch, compiled):
    n, resamples = (200_000, 50) if compiled else (300, 200)
    passes = []

    def resample(*arguments):
        passes.append(len(arguments[0].outcome))
        return resample_metrics(*arguments)

    def make_mean_gap(rows):
        return lambda weights: weights @ (rows.probability - rows.outcome) / weights.sum(axis=1)

    # Brier scores are doubled: what the compiled pass would reproduce is no longer their definition.
    changed = {"brier": lambda rows: lambda weights: 2.0 * ESTIMATORS["brier"](rows)(weights), "gap": make_mean_gap}
    outcome, probability = make_rows(n, 31)
    before = compute(outcome, probability, resamples=resamples)
    monkeypatch.setattr("paincast.evaluation.performance.metrics.ESTIMATORS", {**ESTIMATORS, **changed})
    monkeypatch.setattr("paincast.evaluation.performance.metrics.resample_metrics", resample)
    after = compute(outcome, probability, resamples=resamples)
    assert passes == [n] * compiled
    gap = after.loc["gap", ["estimate", "lower", "upper"]].astype(float)
    assert gap["estimate"] == pytest.approx((probability - outcome).mean())
    assert gap["upper"] - gap["lower"] == pytest.approx(3.92 * (probability - outcome).std() / np.sqrt(n), rel=0.3)
    limits = ["estimate", "lower", "upper"]
    assert after.loc["brier", limits].tolist() == pytest.approx(
        (2.0 * before.loc["brier", limits].astype(float)).tolist()
    )
    others = [name for name in METRICS if name != "brier"]
    pd.testing.assert_frame_equal(after.loc[others], before.loc[others])
