"""Learners, calibration, selection: the served model is one piece and says how little it knows."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from paincast.errors import RefusalError
from paincast.features import EpisodeEncoder
from paincast.files.serialization import from_plain, to_plain
from paincast.models.binary.boosting import BoostedModel, fit_boosted, read_booster
from paincast.models.binary.kinds import KINDS, fit_candidate
from paincast.models.binary.logistic import LinearModel, fit_logistic
from paincast.models.binary.model_kind import Candidate
from paincast.models.binary.response import cross_fit_linear_predictor, fit_response_model
from paincast.models.calibration.affine import AffineCalibration, fit_affine_calibration
from paincast.settings import (
    EvaluationSettings,
    ModelSettings,
    ObservationSettings,
    TrainingSettings,
    UncertaintySettings,
)
from paincast.splits import make_folds

TREES = {"n_estimators": 40, "max_depth": 3, "learning_rate": 0.1}
CANDIDATES = [
    Candidate(kind="logistic", parameters={"borrowed": 0.0, "strength": 20.0, "l1_ratio": None}),
    Candidate(kind="logistic", parameters={"borrowed": 0.0, "strength": 0.4, "l1_ratio": 0.9}),
    Candidate(kind="xgboost", parameters=TREES),
    pytest.param(
        Candidate(kind="ebm", parameters={"max_rounds": 30}),
        marks=pytest.mark.skipif(not find_spec("interpret"), reason="needs the extra"),
    ),
]
QUICK = TrainingSettings(
    evaluation=EvaluationSettings(folds=3), uncertainty=UncertaintySettings(refits=10), jobs=1, progress=False
)
LINEAR = TrainingSettings(
    model=ModelSettings(candidates=["logistic"], ridge_prior_sds=[0.12], lasso_penalties=[], selection_folds=3),
    evaluation=EvaluationSettings(folds=3),
    uncertainty=UncertaintySettings(refits=10),
    jobs=1,
    progress=False,
)


def _fit_both(make_episodes, rng):
    episodes, outcome, _ = make_episodes(600)
    filled = EpisodeEncoder().fit(episodes).transform(episodes)
    native = EpisodeEncoder(native_missing=True).fit(episodes).transform(episodes)
    return [
        (fit_logistic(filled, outcome, penalty=0.02), filled),
        (fit_boosted(native, outcome, parameters=TREES, rng=rng), native),
    ]


def _fit(candidate, make_episodes, weights=None):
    episodes, outcome, _ = make_episodes(600)
    encoder = EpisodeEncoder(native_missing=KINDS[candidate.kind].native_missing).fit(episodes)
    matrix = encoder.transform(episodes)
    return fit_candidate(candidate, matrix, outcome, np.random.default_rng(1), weights), matrix, outcome


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_calibration_folds_into_every_kind(make_episodes, candidate):
    model, matrix, _ = _fit(candidate, make_episodes)
    folded = model.recalibrate(AffineCalibration(-0.35, 0.8)).linear_predictor(matrix)
    np.testing.assert_allclose(folded, -0.35 + 0.8 * model.linear_predictor(matrix), atol=2e-6)


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_contributions_add_up_to_the_folded_margin(make_episodes, candidate):
    model, matrix, _ = _fit(candidate, make_episodes)
    folded = model.recalibrate(AffineCalibration(0.2, 1.3))
    base, contributions = folded.contributions(matrix)
    np.testing.assert_allclose(base + contributions.sum(axis=1), folded.linear_predictor(matrix), atol=1e-5)
    assert np.ptp(base) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_a_margin_does_not_depend_on_who_stands_beside(make_episodes, candidate):
    model, matrix, _ = _fit(candidate, make_episodes)
    together = model.linear_predictor(matrix)
    for rows in (slice(5, 6), slice(17, 20), slice(3, 300)):
        np.testing.assert_array_equal(model.linear_predictor(np.asfortranarray(matrix[rows])), together[rows])


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_weights_move_every_kind_and_their_scale_does_not(make_episodes, candidate):
    _, _, outcome = _fit(candidate, make_episodes)
    heavy = np.where(outcome == 1, 2.0, 1.0) / np.where(outcome == 1, 2.0, 1.0).mean()
    plain, matrix, _ = _fit(candidate, make_episodes)
    weighted, _, _ = _fit(candidate, make_episodes, heavy)
    shift = weighted.linear_predictor(matrix).mean() - plain.linear_predictor(matrix).mean()
    assert shift == pytest.approx(np.log(2), abs=0.12)
    if candidate.kind == "logistic":
        scaled, _, _ = _fit(candidate, make_episodes, 3.0 * heavy)
        np.testing.assert_allclose(scaled.linear_predictor(matrix), weighted.linear_predictor(matrix), atol=1e-4)


def test_contributions_agree_with_the_shap_package(make_episodes):
    import shap

    (linear, filled), (boosted, native) = _fit_both(make_episodes, np.random.default_rng(3))
    estimator = LogisticRegression()
    estimator.classes_, estimator.coef_ = np.array([0, 1]), linear.coefficients[None, :]
    estimator.intercept_, estimator.n_features_in_ = np.array([linear.intercept]), filled.shape[1]
    explainer = shap.LinearExplainer(estimator, shap.maskers.Independent(filled, max_samples=len(filled)))
    np.testing.assert_allclose(linear.contributions(filled)[1], explainer.shap_values(filled), atol=1e-8)
    trees = shap.TreeExplainer(boosted.booster).shap_values(native)
    np.testing.assert_allclose(boosted.contributions(native)[1], trees, atol=1e-5)


def test_booster_survives_its_bytes(make_episodes):
    _, (boosted, matrix) = _fit_both(make_episodes, np.random.default_rng(4))
    folded = boosted.recalibrate(AffineCalibration(0.1, 0.9))
    again = BoostedModel(booster=read_booster(bytes(folded.booster.save_raw("ubj"))))
    np.testing.assert_array_equal(again.linear_predictor(matrix), folded.linear_predictor(matrix))


def test_logistic_mean_prediction_equals_weighted_prevalence(make_episodes):
    episodes, outcome, _ = make_episodes(400)
    weights = np.random.default_rng(0).exponential(size=400)
    matrix = EpisodeEncoder().fit(episodes).transform(episodes)
    for penalty in (None, 0.05):
        model = fit_logistic(matrix, outcome, penalty=penalty, weights=weights)
        served = np.average(expit(model.linear_predictor(matrix)), weights=weights)
        assert served == pytest.approx(np.average(outcome, weights=weights), abs=1e-4)


def _fit_few_columns(make_episodes):
    episodes, outcome, _ = make_episodes(500)
    return EpisodeEncoder().fit(episodes).transform(episodes), outcome


@pytest.mark.parametrize("weighted", [False, True])
def test_ridge_is_that_of_scikit_learn(make_episodes, weighted):
    matrix, outcome = _fit_few_columns(make_episodes)
    weights = np.random.default_rng(1).integers(1, 4, 500).astype(float) if weighted else np.ones(500)
    ours = fit_logistic(matrix, outcome, penalty=0.03, weights=weights)
    theirs = LogisticRegression(C=1 / (0.03 * weights.sum()), tol=1e-10, max_iter=1000)
    theirs.fit(matrix, outcome, sample_weight=weights)
    np.testing.assert_allclose(ours.coefficients, theirs.coef_[0], atol=2e-4)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=2e-4)


def test_elastic_net_is_that_of_scikit_learn(make_episodes):
    matrix, outcome = _fit_few_columns(make_episodes)
    ours = fit_logistic(matrix, outcome, penalty=0.02, l1_ratio=0.9)
    theirs = LogisticRegression(C=1 / (0.02 * 500), l1_ratio=0.9, solver="saga", tol=1e-8, max_iter=20_000)
    np.testing.assert_allclose(ours.coefficients, theirs.fit(matrix, outcome).coef_[0], atol=2e-3)
    assert (ours.coefficients == 0).sum() > 3


def test_a_weight_of_two_is_the_row_twice(make_episodes):
    matrix, outcome = _fit_few_columns(make_episodes)
    weights = np.where(np.arange(500) < 120, 2.0, 1.0)
    once = fit_logistic(matrix, outcome, penalty=0.02, weights=weights)
    rows = np.repeat(np.arange(500), weights.astype(int))
    twice = fit_logistic(matrix[rows], outcome[rows], penalty=0.02)
    np.testing.assert_allclose(once.linear_predictor(matrix), twice.linear_predictor(matrix), atol=2e-4)


def test_spreads_are_units_of_the_penalty(make_episodes):
    matrix, outcome = _fit_few_columns(make_episodes)
    spreads = np.random.default_rng(2).uniform(0.3, 3, matrix.shape[1])
    ours = fit_logistic(matrix, outcome, penalty=0.05, spreads=spreads)
    scaled = fit_logistic(matrix / spreads, outcome, penalty=0.05)
    np.testing.assert_allclose(ours.coefficients * spreads, scaled.coefficients, atol=1e-6)


def test_coefficients_shrink_to_the_prior_and_not_to_zero(make_episodes):
    matrix, outcome = _fit_few_columns(make_episodes)
    prior = np.random.default_rng(3).normal(0, 0.5, matrix.shape[1])
    kept, strong, weak, free = (
        fit_logistic(matrix, outcome, penalty=penalty, prior=start)
        for penalty, start in ((None, prior), (100.0, prior), (1e-4, prior), (1e-4, None))
    )
    np.testing.assert_array_equal(kept.coefficients, prior)
    np.testing.assert_allclose(strong.coefficients, prior, atol=5e-3)
    # Not coefficients: the flags of a category add up to 1, so that a weak penalty leaves theirs almost free.
    far, near = (np.abs(free.linear_predictor(matrix) - model.linear_predictor(matrix)).max() for model in (kept, weak))
    assert near < 0.2 * far


def test_the_direction_score_moves_columns_together_where_each_is_held_back():
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(300, 8))
    outcome = (rng.random(300) < expit(0.3 * matrix[:, :6].sum(axis=1))).astype(float)
    directions = np.array([1.0] * 6 + [0.0] * 2)
    without, along = (
        fit_logistic(matrix, outcome, penalty=1.0, directions=score).coefficients for score in (None, directions)
    )
    assert along[:6].min() > 0.15 > without[:6].max()
    assert np.ptp(along[:6]) < 0.15
    assert np.abs(along[6:]).max() < 0.1
    against = fit_logistic(matrix, outcome, penalty=1.0, directions=-directions).coefficients
    np.testing.assert_allclose(against, along, atol=1e-3)


def test_linear_state_survives_json(make_episodes):
    matrix, outcome = _fit_few_columns(make_episodes)
    model = fit_logistic(matrix, outcome, penalty=0.02)
    again = from_plain(json.loads(json.dumps(to_plain(model))), LinearModel)
    np.testing.assert_array_equal(again.linear_predictor(matrix), model.linear_predictor(matrix))
    np.testing.assert_array_equal(again.contributions(matrix)[1], model.contributions(matrix)[1])


def test_affine_calibration_is_logistic_regression_where_data_are_many():
    rng = np.random.default_rng(5)
    truth = rng.normal(-0.5, 1, 20_000)
    outcome = (rng.random(20_000) < expit(truth)).astype(float)
    linear_predictor = (truth - 0.4) / 0.7
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(linear_predictor[:, None], outcome)
    found = fit_affine_calibration(linear_predictor, outcome, slope_prior_sd=100.0)
    assert found.slope == pytest.approx(oracle.coef_[0, 0], abs=1e-5)
    assert found.intercept == pytest.approx(oracle.intercept_[0], abs=1e-5)


def test_affine_calibration_of_few_rows_stays_near_slope_one_and_never_turns_round():
    outcome = np.array([1.0, 0, 1, 0, 1, 0])
    found = fit_affine_calibration(np.array([-2.0, 2, -2, 2, -2, 2]), outcome, slope_prior_sd=0.25)
    assert 0 < found.slope <= 1


def test_folds_keep_patients_together_and_cover_every_row(make_episodes):
    episodes, outcome, _ = make_episodes(300, repeats=0.5)
    patients = episodes["patient_id"].to_numpy(object)
    folds = make_folds(outcome, patients, 5, np.random.default_rng(0))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(300))
    assert all(not set(patients[train]) & set(patients[test]) for train, test in folds)


def test_folds_refuse_a_single_patient_in_a_class():
    with pytest.raises(RefusalError, match="fewer than 2 patients in the smaller"):
        make_folds(np.array([1.0, 0, 0, 0]), np.array(list("abcd"), dtype=object), 3, np.random.default_rng(0))


def test_too_few_of_one_class_is_refused_with_the_numbers(make_episodes):
    episodes, _, _ = make_episodes(22)
    outcome = np.ones(22)
    outcome[:3] = 0
    with pytest.raises(RefusalError, match="about 20 with and fewer than 5 without the outcome among about 20"):
        fit_response_model(episodes, outcome, QUICK, np.random.default_rng(0))


@pytest.mark.slow
def test_interval_is_wider_with_fewer_patients(make_episodes):
    fresh, _, _ = make_episodes(200, seed=99)
    spreads = []
    for n in (60, 1500):
        episodes, outcome, _ = make_episodes(n, seed=1)
        model = fit_response_model(episodes, outcome, QUICK, np.random.default_rng(0))
        spreads.append(np.std(model.refit_linear_predictors(fresh) - model.linear_predictor(fresh)))
    assert spreads[0] > 1.5 * spreads[1]


def test_held_out_margins_are_honest_on_noise(make_episodes):
    episodes, _, _ = make_episodes(300)
    noise = np.random.default_rng(7).integers(0, 2, 300).astype(float)
    linear_predictor = cross_fit_linear_predictor(episodes, noise, QUICK, np.random.default_rng(0)).linear_predictor
    loss = np.mean(np.logaddexp(0, linear_predictor) - noise * linear_predictor)
    base = noise.mean()
    assert loss > -(base * np.log(base) + (1 - base) * np.log(1 - base)) - 0.02


def test_same_seed_same_model(make_episodes):
    episodes, outcome, _ = make_episodes(200)
    first, second = (fit_response_model(episodes, outcome, QUICK, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.linear_predictor(episodes), second.linear_predictor(episodes))


@pytest.mark.slow
def test_large_cohort_comes_near_the_true_probability(make_episodes):
    episodes, outcome, _ = make_episodes(4000, seed=11)
    fresh, _, truth = make_episodes(4000, seed=12)
    model = fit_response_model(episodes, outcome, QUICK, np.random.default_rng(0))
    error = np.abs(model.linear_predictor(fresh) - logit(truth))[fresh["odi"].notna().to_numpy()]
    assert np.median(error) < 0.12


def test_rows_without_follow_up_are_as_if_absent_when_cases_are_complete_and_still_predicted(make_episodes):
    episodes, outcome, _ = make_episodes(300)
    lost = np.random.default_rng(8).random(300) < 0.3
    seen = np.where(lost, np.nan, outcome)
    settings = replace(LINEAR, observation=ObservationSettings(method="complete_case"))
    whole = fit_response_model(episodes, seen, settings, np.random.default_rng(9))
    known = fit_response_model(episodes[~lost], outcome[~lost], settings, np.random.default_rng(9))
    np.testing.assert_array_equal(whole.linear_predictor(episodes), known.linear_predictor(episodes))
    crossed = cross_fit_linear_predictor(episodes, seen, settings, np.random.default_rng(9))
    linear_predictor = crossed.linear_predictor
    assert len(np.unique(crossed.folds)) == settings.evaluation.folds
    assert linear_predictor.shape == (300,)
    assert np.isfinite(linear_predictor).all()
    assert np.ptp(linear_predictor[lost]) > 0.1


def test_loss_to_follow_up_that_a_predictor_foretells_is_weighted_away(make_episodes):
    episodes, outcome, probability = make_episodes(4000)
    odi = episodes["odi"].fillna(40).to_numpy(float)
    rng = np.random.default_rng(10)
    seen = np.where(rng.random(4000) < expit(0.12 * (odi - 45)), np.nan, outcome)
    overall = ModelSettings(candidates=["logistic"], ridge_prior_sds=[1e-3], lasso_penalties=[], selection_folds=2)
    served = {
        method: expit(
            fit_response_model(
                episodes,
                seen,
                replace(LINEAR, model=overall, observation=ObservationSettings(method=method)),
                np.random.default_rng(11),
            ).linear_predictor(episodes)
        ).mean()
        for method in ("complete_case", "weighted")
    }
    assert served["complete_case"] - probability.mean() > 0.02
    assert abs(served["weighted"] - probability.mean()) < 0.4 * (served["complete_case"] - probability.mean())


def test_refusal_counts_those_with_follow_up_only(make_episodes):
    episodes, outcome, _ = make_episodes(60)
    outcome[:] = np.nan
    outcome[:12] = 1
    outcome[12:14] = 0
    with pytest.raises(
        RefusalError, match="about 10 with and fewer than 5 without the outcome among about 15 episodes with follow-up"
    ):
        cross_fit_linear_predictor(episodes, outcome, LINEAR, np.random.default_rng(0))
