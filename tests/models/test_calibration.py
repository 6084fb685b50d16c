"""Calibrations: what each maps to, against other implementations, and what none of them may do."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from scipy.special import expit

from paincast.errors import DataError, RefusalError, SettingsError
from paincast.features import EpisodeEncoder
from paincast.models.binary.boosting import fit_boosted
from paincast.models.binary.logistic import LinearModel
from paincast.models.calibration.affine import (
    IDENTITY,
    AffineCalibration,
    choose_calibration,
    fit_affine_calibration,
    fit_calibration,
    read_calibration,
    write_calibration,
)
from paincast.models.calibration.calibrated import CalibratedModel, apply_calibration, join_model, split_model
from paincast.models.calibration.curved import BetaCalibration
from paincast.settings import (
    CALIBRATION_METHODS,
    FITTED_CALIBRATIONS,
    CalibrationSettings,
    TrainingSettings,
    check_settings,
)

CURVED = (
    {"method": "beta", "intercept": 0.2, "event": 0.5, "other": 1.5},
    {"method": "isotonic", "knots": [-2.0, -0.5, 1.0], "probabilities": [0.1, 0.4, 0.8]},
    {
        "method": "venn_abers",
        "lower_knots": [-1.0, 0.5],
        "lower_values": [0.1, 0.3, 0.6],
        "upper_knots": [-1.0, 0.5],
        "upper_values": [0.2, 0.4, 0.7],
    },
)
"""As bundles of earlier versions hold them."""

TREES = {"n_estimators": 40, "max_depth": 3, "learning_rate": 0.1}


def make_rows(n, seed=0, *, shift=0.0, slope=1.0):
    """Linear predictors whose true log odds are ``shift + slope * linear_predictor``."""
    rng = np.random.default_rng(seed)
    linear_predictor = rng.normal(-0.3, 1.1, n)
    return linear_predictor, (rng.random(n) < expit(shift + slope * linear_predictor)).astype(float)


@st.composite
def some_rows(draw):
    n = draw(st.integers(4, 60))
    linear_predictor = draw(stn.arrays(float, n, elements=st.floats(-12, 12, width=32)))
    outcome = draw(stn.arrays(float, n, elements=st.sampled_from([0.0, 1.0])))
    weights = draw(stn.arrays(float, n, elements=st.sampled_from([0.0, 0.25, 1.0, 3.0])))
    outcome[:2], weights[:2] = [0.0, 1.0], 1.0
    return linear_predictor, outcome, weights


@pytest.mark.slow
@pytest.mark.parametrize("method", CALIBRATION_METHODS)
@given(rows=some_rows())
def test_every_calibration_rises_and_gives_probabilities_inside_0_and_1(method, rows):
    calibration = fit_calibration(method, *rows)
    ascending = np.linspace(-14, 14, 300)
    calibrated = calibration.transform(ascending)
    assert np.isfinite(calibrated).all()
    assert (np.diff(calibrated) >= -1e-9).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", FITTED_CALIBRATIONS)
@given(rows=some_rows())
def test_a_weight_of_zero_is_a_row_left_out(method, rows):
    linear_predictor, outcome, weights = rows
    kept = weights > 0
    whole = fit_calibration(method, linear_predictor, outcome, weights).transform(linear_predictor)
    fewer = fit_calibration(method, linear_predictor[kept], outcome[kept], weights[kept]).transform(linear_predictor)
    np.testing.assert_array_equal(whole, fewer)


@pytest.mark.parametrize("method", CALIBRATION_METHODS)
def test_a_weight_of_two_is_a_row_given_twice(method):
    linear_predictor, outcome = make_rows(80, slope=0.6)
    patients = np.arange(80)
    weights = np.random.default_rng(1).integers(1, 4, 80)
    weighted = fit_calibration(method, linear_predictor, outcome, weights.astype(float), patients=patients)
    copies = [np.repeat(part, weights) for part in (linear_predictor, outcome)]
    repeated = fit_calibration(method, *copies, patients=np.repeat(patients, weights))
    np.testing.assert_allclose(weighted.transform(linear_predictor), repeated.transform(linear_predictor), atol=1e-6)


@pytest.mark.parametrize("method", CALIBRATION_METHODS)
def test_state_survives_json_unchanged(method):
    linear_predictor, outcome = make_rows(300, slope=0.5)
    calibration = fit_calibration(method, linear_predictor, outcome)
    again = read_calibration(json.loads(json.dumps(write_calibration(calibration))))
    assert type(again) is type(calibration)
    np.testing.assert_array_equal(again.transform(linear_predictor), calibration.transform(linear_predictor))


@pytest.mark.parametrize("method", FITTED_CALIBRATIONS)
@pytest.mark.parametrize(
    ("linear_predictor", "outcome"),
    [
        (np.zeros(40), np.tile([0.0, 1.0, 0.0, 0.0], 10)),
        (np.r_[-np.ones(20), np.ones(20)], np.r_[np.zeros(20), np.ones(20)]),
        (np.r_[-np.ones(20), np.ones(20)], np.r_[np.ones(20), np.zeros(20)]),
    ],
    ids=["constant", "separated", "reversed"],
)
def test_degenerate_margins_still_calibrate_to_something_finite(method, linear_predictor, outcome):
    calibrated = fit_calibration(method, linear_predictor, outcome).transform(np.array([-3.0, 0.0, 3.0]))
    assert np.isfinite(calibrated).all()
    assert (np.diff(calibrated) >= 0).all()


@given(rows=some_rows())
def test_affine_calibration_keeps_the_ranks(rows):
    calibrated = fit_calibration("affine", *rows).transform(rows[0])
    order = np.argsort(rows[0], kind="stable")
    steps, linear_predictor = np.diff(calibrated[order]), np.diff(rows[0][order])
    assert ((steps > 0) | (linear_predictor < 1e-9)).all()


def test_beta_with_equal_slopes_is_affine():
    linear_predictor = np.linspace(-6, 6, 50)
    np.testing.assert_allclose(
        BetaCalibration(0.3, 0.7, 0.7).transform(linear_predictor), 0.3 + 0.7 * linear_predictor, atol=1e-12
    )


def test_the_prior_holds_few_rows_near_slope_one():
    linear_predictor, outcome = make_rows(30, slope=0.0)
    strong = CalibrationSettings(slope_prior_sd=0.01)
    assert fit_calibration("affine", linear_predictor, outcome, settings=strong).slope == pytest.approx(1.0, abs=0.01)


def test_calibration_repairs_a_model_that_is_too_extreme():
    linear_predictor, outcome = make_rows(5000, seed=3, shift=0.4, slope=0.5)
    fresh, later = make_rows(5000, seed=4, shift=0.4, slope=0.5)

    def loss(logits):
        return np.mean(np.logaddexp(0, logits) - later * logits)

    assert loss(fit_calibration("affine", linear_predictor, outcome).transform(fresh)) < loss(fresh) - 0.02


def test_auto_leaves_a_calibrated_model_alone_and_repairs_a_bad_one():
    good = [choose_calibration(*make_rows(2000, seed=seed)).method for seed in range(12)]
    bad = [choose_calibration(*make_rows(2000, seed=seed, slope=0.6)).method for seed in range(12)]
    assert good.count("none") >= 10
    assert set(bad) == {"affine"}


def test_auto_compares_what_it_is_told_to_and_says_so():
    linear_predictor, outcome = make_rows(400)
    settings = CalibrationSettings(method="auto", candidates=["affine", "none"], folds=5)
    choice = choose_calibration(linear_predictor, outcome, settings=settings)
    assert choice.table["method"].tolist() == ["none", "affine"]
    assert choice.table["chosen"].sum() == 1
    assert choice.table.loc[choice.table["chosen"], "method"].item() == choice.method == "none"
    assert choice.calibration == fit_calibration("auto", linear_predictor, outcome, settings=settings) == IDENTITY


@pytest.mark.parametrize("method", FITTED_CALIBRATIONS)
def test_a_named_method_is_taken_without_comparison(method):
    linear_predictor, outcome = make_rows(100)
    choice = choose_calibration(linear_predictor, outcome, settings=CalibrationSettings(method=method))
    expected = fit_calibration(method, linear_predictor, outcome)
    assert choice.method == method
    assert choice.table.empty
    np.testing.assert_array_equal(choice.calibration.transform(linear_predictor), expected.transform(linear_predictor))


def make_linear(matrix):
    coefficients = np.random.default_rng(8).normal(0, 0.3, matrix.shape[1])
    return LinearModel(intercept=-0.4, coefficients=coefficients, means=matrix.mean(axis=0))


@pytest.mark.parametrize("method", FITTED_CALIBRATIONS)
def test_a_served_model_is_taken_apart_and_put_together(make_episodes, method):
    episodes, outcome, _ = make_episodes(300)
    matrix = EpisodeEncoder().fit(episodes).transform(episodes)
    model = make_linear(matrix)
    served = apply_calibration(model, fit_calibration(method, model.linear_predictor(matrix), outcome))
    served = served.recalibrate(AffineCalibration(0.1, 1.1))
    bare, state = split_model(served)
    assert isinstance(bare, LinearModel)
    again = join_model(bare, json.loads(json.dumps(state)))
    np.testing.assert_array_equal(again.linear_predictor(matrix), served.linear_predictor(matrix))


def test_affine_by_either_door_is_the_same():
    linear_predictor, outcome = make_rows(200)
    assert fit_calibration("affine", linear_predictor, outcome) == fit_affine_calibration(
        linear_predictor, outcome, slope_prior_sd=0.25
    )
    assert fit_calibration("none", linear_predictor, outcome) is IDENTITY
    assert AffineCalibration(0.0, 1.0).method == "none"


@pytest.mark.parametrize(
    ("linear_predictor", "outcome", "weights", "error", "told"),
    [
        ([0.0, 1.0], [0.0], None, DataError, "linear_predictor has 2, outcome has 1"),
        ([0.0, np.nan], [0.0, 1.0], None, DataError, "linear_predictor: 1 of 2 values are not allowed"),
        ([0.0, 1.0], [0.0, 2.0], None, DataError, "outcome: 1 of 2 .* allowed: 0 or 1"),
        ([0.0, 1.0], [0.0, np.nan], None, DataError, "outcome: 1 of 2"),
        ([0.0, 1.0], [0.0, 1.0], [1.0, -1.0], DataError, "weights: 1 of 2"),
        ([0.0, 1.0], [1.0, 1.0], None, RefusalError, "2 rows with and 0 without"),
        ([0.0, 1.0], [0.0, 1.0], [1.0, 0.0], RefusalError, "0 rows with and 1 without"),
        ([], [], None, RefusalError, "0 rows with and 0 without"),
    ],
)
@pytest.mark.parametrize("method", CALIBRATION_METHODS)
def test_bad_rows_are_refused_with_the_numbers(method, linear_predictor, outcome, weights, error, told):
    given_weights = None if weights is None else np.array(weights)
    with pytest.raises(error, match=told):
        fit_calibration(method, np.array(linear_predictor), np.array(outcome), given_weights)


def test_unknown_names_are_told_with_the_nearest():
    linear_predictor, outcome = make_rows(50)
    with pytest.raises(SettingsError, match="did you mean 'affine'"):
        fit_calibration("afine", linear_predictor, outcome)
    with pytest.raises(SettingsError, match="did you mean 'affine'"):
        choose_calibration(linear_predictor, outcome, settings=CalibrationSettings(method="auto", candidates=["afine"]))
    with pytest.raises(SettingsError, check=lambda error: error.code == "PC-SETTINGS-22"):
        choose_calibration(linear_predictor, outcome, settings=CalibrationSettings(method="auto", candidates=[]))
    with pytest.raises(DataError, match="unknown calibration 'platt'"):
        read_calibration({"method": "platt"})


@pytest.mark.parametrize(
    ("settings", "code", "fact"),
    [
        (CalibrationSettings(method="afine"), "PC-SETTINGS-20", "calibration.method: unknown name 'afine'"),
        (CalibrationSettings(candidates=["auto"]), "PC-SETTINGS-20", "calibration.candidates"),
        (CalibrationSettings(candidates=[]), "PC-SETTINGS-22", "calibration.candidates"),
        (CalibrationSettings(folds=1), "PC-SETTINGS-23", "calibration.folds=1"),
        (CalibrationSettings(standard_errors=-1.0), "PC-SETTINGS-23", "calibration.standard_errors=-1"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_any_work(settings, code, fact):
    with pytest.raises(SettingsError) as refused:
        check_settings(TrainingSettings(calibration=settings))
    assert (refused.value.code, fact in str(refused.value)) == (code, True)


@pytest.mark.parametrize("method", ["beta", "isotonic", "venn_abers"])
def test_a_calibration_that_was_removed_says_so(method):
    with pytest.raises(SettingsError) as named:
        check_settings(TrainingSettings(calibration=CalibrationSettings(method=method)))
    with pytest.raises(SettingsError) as listed:
        check_settings(TrainingSettings(calibration=CalibrationSettings(method="auto", candidates=[method])))
    with pytest.raises(SettingsError) as fitted:
        fit_calibration(method, *make_rows(50))
    assert {one.value.code for one in (named, listed, fitted)} == {"PC-SETTINGS-31"}
    assert method in str(named.value)


@pytest.mark.parametrize("state", CURVED, ids=lambda state: state["method"])
def test_calibrations_of_earlier_bundles_are_read_and_written_as_they_were(state):
    calibration = read_calibration(state)
    assert write_calibration(calibration) == state
    calibrated = calibration.transform(np.linspace(-14, 14, 300))
    assert np.isfinite(calibrated).all()
    assert (np.diff(calibrated) >= 0).all()


def test_curved_calibrations_are_what_they_say():
    asked = np.array([-1.0, 0.0, 1.0])
    beta, isotonic, venn_abers = (read_calibration(state).transform(asked) for state in CURVED)
    np.testing.assert_allclose(beta, 0.2 + 0.5 * np.log(expit(asked)) - 1.5 * np.log(expit(-asked)), atol=1e-12)
    np.testing.assert_allclose(expit(isotonic), [0.3, 0.4 + 0.4 / 3, 0.8], atol=1e-12)
    # At a knot the lower probability has taken its next value, the upper one has not.
    np.testing.assert_allclose(venn_abers, np.log([0.2 / 0.7, 0.4 / 0.7, 0.7 / 0.4]), atol=1e-12)


@pytest.mark.parametrize("state", [None, *CURVED], ids=lambda state: state["method"] if state else "affine")
def test_a_served_model_equals_the_model_and_its_calibrator(make_episodes, state):
    episodes, outcome, _ = make_episodes(600)
    filled = EpisodeEncoder().fit(episodes).transform(episodes)
    native = EpisodeEncoder(native_missing=True).fit(episodes).transform(episodes)
    boosted = fit_boosted(native, outcome, parameters=TREES, rng=np.random.default_rng(0))
    for model, matrix in ((make_linear(filled), filled), (boosted, native)):
        affine = fit_calibration("affine", 1.4 * model.linear_predictor(matrix) + 0.3, outcome)
        calibration = read_calibration(state) if state else affine
        served = apply_calibration(model, calibration)
        assert isinstance(served, CalibratedModel) == (state is not None)
        expected = expit(calibration.transform(model.linear_predictor(matrix)))
        np.testing.assert_allclose(expit(served.linear_predictor(matrix)), expected, atol=1e-6)
        base, values = served.contributions(matrix)
        np.testing.assert_allclose(base + values.sum(axis=1), served.linear_predictor(matrix), atol=1e-5)


def test_a_model_with_a_calibration_beside_it_takes_updates_and_keeps_its_reasons(make_episodes):
    episodes, _, _ = make_episodes(300)
    matrix = EpisodeEncoder().fit(episodes).transform(episodes)
    model = make_linear(matrix)
    served = apply_calibration(model, read_calibration(CURVED[1]))
    updated = served.recalibrate(AffineCalibration(0.2, 0.5)).recalibrate(AffineCalibration(-0.1, 2.0))
    np.testing.assert_allclose(updated.linear_predictor(matrix), 0.3 + served.linear_predictor(matrix), atol=1e-12)
    np.testing.assert_array_equal(updated.contributions(matrix)[1], model.contributions(matrix)[1])
    np.testing.assert_allclose(
        model.linear_predictor(matrix) + updated.calibration_term(matrix), updated.linear_predictor(matrix), atol=1e-12
    )
    bare, state = split_model(updated)
    again = join_model(bare, json.loads(json.dumps(state)))
    np.testing.assert_array_equal(again.linear_predictor(matrix), updated.linear_predictor(matrix))
