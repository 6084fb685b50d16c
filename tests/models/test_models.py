"""Learners, calibration, selection: the served model is one piece and says how little it knows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from paincast.cohort.tables import conform
from paincast.errors import RefusalError
from paincast.features import EpisodeEncoder
from paincast.models.calibration import AffineCalibration, fit_affine_calibration
from paincast.models.learners import BoostedModel, fit_boosted, fit_logistic, read_booster
from paincast.models.response import cross_fit_margins, fit_response_model
from paincast.models.selection import list_candidates, select_candidate
from paincast.settings import EvaluationSettings, ModelSettings, TrainingSettings, UncertaintySettings
from paincast.splits import make_folds

TREES = {"n_estimators": 40, "max_depth": 3, "learning_rate": 0.1}
QUICK = TrainingSettings(
    evaluation=EvaluationSettings(folds=3), uncertainty=UncertaintySettings(refits=10), jobs=1, progress=False
)


def _fit_both(make_episodes, rng):
    episodes, outcome, _ = make_episodes(600)
    filled = EpisodeEncoder().fit(episodes).transform(episodes)
    native = EpisodeEncoder(native_missing=True).fit(episodes).transform(episodes)
    return [
        (fit_logistic(filled, outcome, inverse_penalty=0.1), filled),
        (fit_boosted(native, outcome, parameters=TREES, rng=rng), native),
    ]


def test_calibration_folds_into_both_kinds(make_episodes):
    calibration = AffineCalibration(-0.35, 0.8)
    for model, matrix in _fit_both(make_episodes, np.random.default_rng(1)):
        folded = model.recalibrate(calibration).margin(matrix)
        np.testing.assert_allclose(folded, -0.35 + 0.8 * model.margin(matrix), atol=2e-6)


def test_contributions_add_up_to_the_folded_margin(make_episodes):
    for model, matrix in _fit_both(make_episodes, np.random.default_rng(2)):
        folded = model.recalibrate(AffineCalibration(0.2, 1.3))
        base, contributions = folded.contributions(matrix)
        np.testing.assert_allclose(base + contributions.sum(axis=1), folded.margin(matrix), atol=1e-5)


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
    np.testing.assert_array_equal(again.margin(matrix), folded.margin(matrix))


def test_logistic_mean_prediction_equals_prevalence(make_episodes):
    episodes, outcome, _ = make_episodes(400)
    matrix = EpisodeEncoder().fit(episodes).transform(episodes)
    model = fit_logistic(matrix, outcome, inverse_penalty=0.05)
    assert expit(model.margin(matrix)).mean() == pytest.approx(outcome.mean(), abs=1e-4)


def test_affine_calibration_is_logistic_regression_where_data_are_many():
    rng = np.random.default_rng(5)
    truth = rng.normal(-0.5, 1, 20_000)
    outcome = (rng.random(20_000) < expit(truth)).astype(float)
    margins = (truth - 0.4) / 0.7
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(margins[:, None], outcome)
    found = fit_affine_calibration(margins, outcome, slope_prior_sd=100.0)
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
    with pytest.raises(RefusalError, match="1 patient"):
        make_folds(np.array([1.0, 0, 0, 0]), np.array(list("abcd"), dtype=object), 3, np.random.default_rng(0))


def test_simple_model_is_chosen_on_47_rows(make_episodes):
    episodes, outcome, _ = make_episodes(47, seed=3, repeats=0.0)
    chosen = {
        select_candidate(episodes, outcome, ModelSettings(), np.random.default_rng(seed)).chosen.kind
        for seed in range(5)
    }
    assert chosen == {"logistic"}


def test_strong_interaction_makes_trees_win():
    rng = np.random.default_rng(6)
    n = 1500
    sign = rng.random((n, 2)) < 0.5
    episodes = conform(
        "episodes",
        pd.DataFrame(
            {
                "episode_id": [f"e{i}" for i in range(n)],
                "patient_id": [f"p{i}" for i in range(n)],
                "technique": "facet_rfa",
                "depression": sign[:, 0],
                "smoker": sign[:, 1],
            }
        ),
    )
    outcome = (rng.random(n) < np.where(sign[:, 0] == sign[:, 1], 0.8, 0.2)).astype(float)
    selection = select_candidate(episodes, outcome, ModelSettings(), rng)
    assert selection.chosen.kind == "xgboost"
    assert selection.table["chosen"].sum() == 1


def test_candidates_come_simplest_first():
    kinds = [candidate.kind for candidate in list_candidates(ModelSettings())]
    assert kinds == sorted(kinds)


def test_too_few_of_one_class_is_refused_with_the_numbers(make_episodes):
    episodes, _, _ = make_episodes(22)
    outcome = np.ones(22)
    outcome[:3] = 0
    with pytest.raises(RefusalError, match="19 with and 3 without the outcome among 22"):
        fit_response_model(episodes, outcome, QUICK, np.random.default_rng(0))


def test_interval_is_wider_with_fewer_patients(make_episodes):
    fresh, _, _ = make_episodes(200, seed=99)
    spreads = []
    for n in (60, 1500):
        episodes, outcome, _ = make_episodes(n, seed=1)
        model = fit_response_model(episodes, outcome, QUICK, np.random.default_rng(0))
        spreads.append(np.median(model.margin_spread(fresh)))
    assert spreads[0] > 2 * spreads[1]


def test_held_out_margins_are_honest_on_noise(make_episodes):
    episodes, _, _ = make_episodes(300)
    noise = np.random.default_rng(7).integers(0, 2, 300).astype(float)
    margins = cross_fit_margins(episodes, noise, QUICK, np.random.default_rng(0))
    loss = np.mean(np.logaddexp(0, margins) - noise * margins)
    base = noise.mean()
    assert loss > -(base * np.log(base) + (1 - base) * np.log(1 - base)) - 0.02


def test_same_seed_same_model(make_episodes):
    episodes, outcome, _ = make_episodes(200)
    first, second = (fit_response_model(episodes, outcome, QUICK, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.margins(episodes), second.margins(episodes))


def test_large_cohort_comes_near_the_true_probability(make_episodes):
    episodes, outcome, _ = make_episodes(4000, seed=11)
    fresh, _, truth = make_episodes(4000, seed=12)
    model = fit_response_model(episodes, outcome, QUICK, np.random.default_rng(0))
    error = np.abs(model.margins(fresh) - logit(truth))[fresh["odi"].notna().to_numpy()]
    assert np.median(error) < 0.12
