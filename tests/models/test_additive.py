"""The explainable boosting machine: what is kept predicts what was fitted, adds up, and needs no library to predict."""

from __future__ import annotations

import json
import logging
import sys
import time
from importlib.util import find_spec

import numpy as np
import pytest
from scipy.special import expit

from paincast.errors import SettingsError
from paincast.files.serialization import from_plain, to_plain
from paincast.models.binary import additive
from paincast.models.binary.additive import AdditiveModel, Steps, fit_additive, read_steps
from paincast.models.binary.kinds import KINDS
from paincast.models.binary.model_kind import Candidate
from paincast.models.binary.response import fit_response_model
from paincast.models.binary.selection import Sample, encode_sample, select_candidate
from paincast.models.calibration.affine import AffineCalibration
from paincast.settings import ModelSettings, TrainingSettings, UncertaintySettings, check_settings

PARAMETERS = {"max_bins": 16, "learning_rate": 0.04, "max_rounds": 40}


needs_library = pytest.mark.skipif(find_spec("interpret") is None, reason="needs the extra 'ebm'")


@pytest.fixture
def by_hand() -> AdditiveModel:
    """One column with a step up at 0 and at 1, and one that never varied."""
    return AdditiveModel(
        intercept=-1.0,
        columns=(
            Steps(edges=np.array([0.0, 1.0]), scores=np.array([-0.5, 0.25, 1.0]), missing=0.125, mean=0.2),
            Steps(edges=np.empty(0), scores=np.zeros(1), missing=0.0),
        ),
    )


def make_rows(n: int = 600, seed: int = 0):
    """Make numbers, flags, a constant column and missing values, with an outcome that rises with the first column."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, 6))
    matrix[:, 3:5] = matrix[:, 3:5] > 0.4
    matrix[:, 5] = 1.0
    log_odds = -0.5 + 0.8 * matrix[:, 0] - 0.7 * (matrix[:, 1] > 0.3) + 0.6 * matrix[:, 3]
    matrix[:, :4][rng.random((n, 4)) < 0.08] = np.nan
    return matrix, (rng.random(n) < expit(log_odds)).astype(float)


def test_steps_are_looked_up_by_hand(by_hand):
    values = np.array([[-9.0, 0], [0.0, 0], [0.5, 0], [1.0, 0], [9.0, 0], [np.nan, np.nan]])
    assert by_hand.linear_predictor(values).tolist() == [-1.5, -0.75, -0.75, 0.0, 0.0, -0.875]


def test_contributions_are_distances_from_the_training_mean(by_hand):
    base, values = by_hand.contributions(np.array([[0.5, 3.0], [np.nan, 3.0]]))
    np.testing.assert_allclose(base, [-0.8, -0.8])
    np.testing.assert_allclose(values, [[0.05, 0.0], [-0.075, 0.0]])


def test_state_survives_json_and_a_calibration_folds_in(by_hand):
    again = from_plain(json.loads(json.dumps(to_plain(by_hand))), AdditiveModel)
    matrix = np.array([[-1.0, 0], [0.3, 0], [2.0, 0], [np.nan, 0]])
    np.testing.assert_array_equal(again.linear_predictor(matrix), by_hand.linear_predictor(matrix))
    folded = again.recalibrate(AffineCalibration(0.3, 0.7))
    np.testing.assert_allclose(
        folded.linear_predictor(matrix), 0.3 + 0.7 * by_hand.linear_predictor(matrix), atol=1e-12
    )
    base, values = folded.contributions(matrix)
    np.testing.assert_allclose(base + values.sum(axis=1), folded.linear_predictor(matrix), atol=1e-12)


@needs_library
def test_what_is_kept_equals_the_decision_function_of_the_library(monkeypatch):
    machines = []
    monkeypatch.setattr(
        additive, "read_steps", lambda machine, n_columns: machines.append(machine) or read_steps(machine, n_columns)
    )
    matrix, outcome = make_rows()
    model = fit_additive(matrix, outcome, parameters=PARAMETERS, rng=np.random.default_rng(1))
    edges = np.array([np.resize(np.append(column.edges, 0.5), 40) for column in model.columns]).T
    asked = np.vstack(
        [
            matrix,
            edges,
            np.nextafter(edges, -np.inf),
            np.where(np.eye(6) > 0, np.nan, 0.1),
            *(np.full((1, 6), value) for value in (np.nan, 1e12, -1e12)),
        ]
    )
    np.testing.assert_allclose(model.linear_predictor(asked), machines[0].decision_function(asked), rtol=0, atol=1e-9)
    assert np.ptp(model.linear_predictor(matrix)) > 1.0


@needs_library
def test_base_of_a_fit_is_its_mean_weighted_margin():
    matrix, outcome = make_rows()
    weights = np.random.default_rng(2).exponential(size=len(outcome))
    model = fit_additive(matrix, outcome, parameters=PARAMETERS, rng=np.random.default_rng(1), weights=weights)
    base, values = model.contributions(matrix)
    assert base[0] == pytest.approx(np.average(model.linear_predictor(matrix), weights=weights))
    np.testing.assert_allclose(base + values.sum(axis=1), model.linear_predictor(matrix), atol=1e-12)


@needs_library
def test_rows_of_weight_zero_are_as_if_left_out_and_weights_have_a_say():
    matrix, outcome = make_rows(400)
    weights = np.where(np.arange(400) < 300, 1.0, 0.0)
    fits = [
        fit_additive(*rows, parameters=PARAMETERS, rng=np.random.default_rng(3), weights=weight).linear_predictor(
            matrix
        )
        for *rows, weight in ((matrix, outcome, weights), (matrix[:300], outcome[:300], None))
    ]
    np.testing.assert_array_equal(*fits)
    heavy = np.where(outcome == 1, 3.0, 1.0)
    raised = fit_additive(matrix, outcome, parameters=PARAMETERS, rng=np.random.default_rng(3), weights=heavy)
    assert raised.linear_predictor(matrix).mean() > fits[0].mean() + 0.7


@needs_library
@pytest.mark.parametrize("sign", [1, -1])
def test_a_direction_is_never_crossed_even_against_the_data(sign):
    matrix, outcome = make_rows()
    monotone = (sign, 0, 0, sign, 0, 0)
    model = fit_additive(matrix, outcome, parameters=PARAMETERS, rng=np.random.default_rng(4), monotone=monotone)
    for place in (0, 3):
        assert (sign * np.diff(model.columns[place].scores) >= -1e-12).all()
    assert (np.ptp(model.columns[0].scores) > 0.5) == (sign == 1)


@needs_library
def test_bags_can_be_asked_for_and_a_seed_fixes_them():
    matrix, outcome = make_rows(300)
    bagged = {**PARAMETERS, "outer_bags": 2, "validation_size": 0.15}
    first, second, other = (
        fit_additive(matrix, outcome, parameters=bagged, rng=np.random.default_rng(seed)).linear_predictor(matrix)
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_without_columns_there_is_the_overall_risk():
    outcome, weights = np.array([1.0, 0, 0, 1]), np.array([1.0, 1, 1, 0])
    model = fit_additive(np.empty((4, 0)), outcome, parameters={}, rng=np.random.default_rng(0), weights=weights)
    np.testing.assert_allclose(expit(model.linear_predictor(np.empty((2, 0)))), [1 / 3, 1 / 3])
    assert model.contributions(np.empty((2, 0)))[1].shape == (2, 0)


@needs_library
def test_a_column_without_any_value_adds_nothing():
    rng = np.random.default_rng(3)
    first = rng.normal(size=200)
    outcome = (rng.random(200) < expit(first)).astype(float)
    fitted = fit_additive(
        np.column_stack([first, np.full(200, np.nan)]), outcome, parameters={"max_rounds": 20}, rng=rng
    )
    answers = fitted.linear_predictor(np.array([[1.0, np.nan], [1.0, 5.0], [-1.0, 5.0]]))
    assert answers[0] == answers[1] > answers[2]
    np.testing.assert_array_equal(fitted.contributions(np.array([[1.0, 5.0]]))[1][:, 1], 0.0)


@needs_library
def test_all_fits_of_2000_rows_take_seconds():
    rng = np.random.default_rng(7)
    matrix = rng.normal(size=(2000, 40))
    outcome = (rng.random(2000) < expit(matrix[:, 0])).astype(float)
    start = time.process_time()
    for parameters in ModelSettings().additive:
        fit_additive(matrix, outcome, parameters=parameters, rng=rng)
    assert time.process_time() - start < 5.0


@needs_library
def test_the_library_keeps_quiet_where_the_application_logs(caplog):
    matrix, outcome = make_rows(60)
    with caplog.at_level(logging.INFO):
        fit_additive(matrix, outcome, parameters=PARAMETERS, rng=np.random.default_rng(0))
    assert caplog.records == []


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "interpret.glassbox", None)
    matrix, outcome = make_rows(60)
    with pytest.raises(SettingsError, check=lambda error: error.code == "PC-MODEL-01"):
        fit_additive(matrix, outcome, parameters=PARAMETERS, rng=np.random.default_rng(0))


@needs_library
def test_prediction_does_not_need_the_library(monkeypatch):
    matrix, outcome = make_rows(200)
    model = fit_additive(matrix, outcome, parameters=PARAMETERS, rng=np.random.default_rng(8))
    state = json.dumps(to_plain(model))
    monkeypatch.setitem(sys.modules, "interpret", None)
    monkeypatch.setitem(sys.modules, "interpret.glassbox", None)
    np.testing.assert_array_equal(
        from_plain(json.loads(state), AdditiveModel).linear_predictor(matrix), model.linear_predictor(matrix)
    )


@pytest.mark.slow
@needs_library
def test_candidates_of_all_kinds_are_compared_the_simplest_first(make_episodes):
    episodes, outcome, _ = make_episodes(300)
    settings = ModelSettings(
        candidates=["logistic", "xgboost", "ebm"], additive=[PARAMETERS], trials=2, selection_folds=3
    )
    sample = Sample(episodes=episodes, outcome=outcome, weights=np.ones(300))
    selection = select_candidate(sample, settings, np.random.default_rng(0))
    kinds = list(dict.fromkeys(selection.table["kind"]))
    assert kinds[:2] == ["logistic", "ebm"]
    assert set(kinds) <= {"logistic", "ebm", "boosted_logistic"}
    assert (selection.table["kind"] == "ebm").sum() == 1
    assert np.isfinite(selection.linear_predictor).all()


@needs_library
def test_it_sees_missing_values_and_published_directions(make_episodes):
    episodes, outcome, _ = make_episodes(400)
    sample = Sample(
        episodes=episodes, outcome=outcome, weights=np.ones(400), strong_directions={"diagnostic_blocks_positive": -1}
    )
    settings = ModelSettings(candidates=["ebm"], additive=[PARAMETERS])
    encoded = encode_sample(sample, settings)
    candidate = Candidate(kind="ebm", parameters=PARAMETERS)
    assert KINDS[candidate.kind].native_missing
    assert np.isnan(encoded.matrices[True]).any()
    model = encoded.fit(candidate, np.random.default_rng(1))
    place = list(encoded.encoders[True].get_feature_names_out()).index("diagnostic_blocks_positive")
    assert (np.diff(model.columns[place].scores) <= 1e-12).all()


@pytest.mark.slow
@needs_library
def test_alone_it_comes_near_the_true_probability(make_episodes):
    episodes, outcome, _ = make_episodes(1500, seed=1)
    fresh, _, truth = make_episodes(2000, seed=2)
    settings = TrainingSettings(
        model=ModelSettings(candidates=["ebm"]),
        uncertainty=UncertaintySettings(refits=10),
        jobs=1,
    )
    response = fit_response_model(episodes, outcome, settings, np.random.default_rng(3))
    assert response.candidate.kind == "ebm"
    assert isinstance(response.model, AdditiveModel)
    served = expit(response.linear_predictor(fresh))
    known = fresh["odi"].notna().to_numpy()
    assert np.mean(np.abs(served - truth)[known]) < 0.05
    assert np.median(np.sqrt(sum(response.compute_variances(fresh).values()))) > 0.05


def test_settings_name_the_kind_and_ask_for_parameters():
    check_settings(TrainingSettings(model=ModelSettings(candidates=["ebm"])))
    with pytest.raises(SettingsError, match=r"model\.additive is empty"):
        check_settings(TrainingSettings(model=ModelSettings(candidates=["ebm"], additive=[])))
