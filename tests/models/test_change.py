"""Change of pain: quantiles against their truth and scikit-learn, coverage on fresh patients, state, refusals."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import QuantileRegressor

from paincast.errors import DataError, RefusalError
from paincast.evaluation.performance.change import compute_change_metrics
from paincast.files.serialization import from_plain, to_plain
from paincast.models.continuous.change import ChangeModel, cross_fit_change, fit_change_model
from paincast.models.continuous.quantiles import conformalize, fit_quantile
from paincast.outcomes import OUTCOMES, compute_outcome
from paincast.settings import ChangeSettings
from paincast.simulator import simulate_cohort

SETTINGS = ChangeSettings(penalties=[0.03, 0.3])


def draw_change(episodes, probability, seed):
    """Pain falls by a share that rises with the probability of response, and varies more where pain is worse."""
    rng = np.random.default_rng(seed)
    before = episodes["pain_nrs"].to_numpy(float)
    share = np.clip(0.8 * probability + rng.normal(0, 0.25, len(before)), -0.4, 1.0)
    return np.clip(-before * share, -before, 10 - before)


@pytest.fixture
def fitted(make_episodes):
    episodes, _, probability = make_episodes(1200, seed=1)
    change = draw_change(episodes, probability, 2)
    return episodes, change, fit_change_model(episodes, change, SETTINGS, np.random.default_rng(3))


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_quantiles_agree_with_those_of_scikit_learn(quantile):
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(2000, 3))
    outcome = matrix @ [0.5, -0.3, 0.0] + rng.logistic(size=2000)
    weights = rng.exponential(size=2000)
    ours = fit_quantile(matrix, outcome, quantile, penalty=0.0, bandwidth=0.005, weights=weights)
    other = QuantileRegressor(quantile=quantile, alpha=0.0, solver="highs").fit(matrix, outcome, sample_weight=weights)
    np.testing.assert_allclose(ours, [other.intercept_, *other.coef_], atol=0.02)


def test_a_strong_penalty_leaves_the_quantile_of_all():
    rng = np.random.default_rng(5)
    matrix, outcome = rng.normal(size=(1000, 4)), rng.normal(size=1000)
    found = fit_quantile(matrix, outcome, 0.9, penalty=1e4, bandwidth=0.01, weights=np.ones(1000))
    assert found[0] == pytest.approx(np.quantile(outcome, 0.9), abs=0.02)
    np.testing.assert_allclose(found[1:], 0.0, atol=1e-3)


def test_corrections_are_the_quantiles_of_the_scores():
    rng = np.random.default_rng(6)
    outcome = rng.normal(size=99)
    held_out = np.tile([-1.0, 0.0, 1.0], (99, 1))
    lower, upper = conformalize(held_out, outcome, 0.80)
    # The 90 % quantile of 99 scores, corrected for small samples, is the 90th of them.
    assert lower == pytest.approx(np.sort(-1.0 - outcome)[89], abs=1e-9)
    assert upper == pytest.approx(np.sort(outcome - 1.0)[89], abs=1e-9)


class _Column(RegressorMixin, BaseEstimator):
    """Hands a quantile that was predicted elsewhere to MAPIE."""

    def __init__(self, place=0):
        self.place = place
        self.is_fitted = True  # what MAPIE looks for

    def fit(self, X, y):  # noqa: ARG002 (the interface of scikit-learn)
        return self

    def predict(self, X):
        return np.asarray(X)[:, self.place]


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("n", [41, 80, 211])
def test_corrections_agree_with_mapie(level, n):
    from mapie.regression import ConformalizedQuantileRegressor

    rng = np.random.default_rng(n)
    held_out = np.sort(rng.normal(size=(n, 3)), axis=1)
    outcome = rng.normal(size=n)
    oracle = ConformalizedQuantileRegressor(
        estimator=[_Column(0), _Column(2), _Column(1)], confidence_level=level, prefit=True
    )
    oracle.conformalize(held_out, outcome)
    # Limits so far apart that no correction makes them cross, on which MAPIE would remark.
    _, interval = oracle.predict_interval(np.array([[-1024.0, 0.0, 1024.0]]))
    expected = -1024.0 - interval[0, 0, 0], interval[0, 1, 0] - 1024.0
    assert conformalize(held_out, outcome, level) == pytest.approx(expected, abs=1e-12)


def test_too_few_rows_for_a_level_are_refused():
    held_out, outcome = np.tile([-1.0, 0.0, 1.0], (19, 1)), np.zeros(19)
    assert conformalize(held_out, outcome, 0.9) == (-1.0, -1.0)
    with pytest.raises(RefusalError) as error:
        conformalize(held_out[:18], outcome[:18], 0.9)
    assert error.value.code == "PC-MODEL-21"
    assert "19" in str(error.value)


def test_quantiles_are_in_order_and_within_the_scale(fitted):
    episodes, _, model = fitted
    answers = model.predict(episodes)
    before = episodes["pain_nrs"].to_numpy(float)
    assert (answers["lower"] <= answers["median"]).all()
    assert (answers["median"] <= answers["upper"]).all()
    assert (answers["lower"] >= -before).all()
    assert (answers["upper"] <= 10 - before).all()


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 300, 1200])
def test_interval_holds_its_level_on_fresh_patients(make_episodes, n):
    fresh, _, probability = make_episodes(4000, seed=7)
    seen = draw_change(fresh, probability, 8)
    held = []
    for seed in range(4):
        episodes, _, own = make_episodes(n, seed=20 + seed)
        model = fit_change_model(episodes, draw_change(episodes, own, seed), SETTINGS, np.random.default_rng(seed))
        answers = model.predict(fresh)
        held.append(float(((seen >= answers["lower"]) & (seen <= answers["upper"])).mean()))
    # The share held by one conformalized interval is a beta variable with mean at least the level.
    spread = np.sqrt(0.8 * 0.2 / n + 0.8 * 0.2 / 4000)
    assert np.mean(held) > 0.80 - 3 * spread / np.sqrt(4) - 0.01
    assert np.mean(held) < 0.80 + 3 * spread / np.sqrt(4) + 0.03 + 2 / n


def test_predictions_beat_the_quantiles_of_all(fitted, make_episodes):
    _, change, model = fitted
    fresh, _, probability = make_episodes(3000, seed=9)
    plain = pd.DataFrame([np.quantile(change, [0.1, 0.5, 0.9])] * 3000, columns=["lower", "median", "upper"])
    table = compute_change_metrics(
        draw_change(fresh, probability, 10), model.predict(fresh), fresh["patient_id"], reference=plain
    ).set_index("metric")
    assert table.loc["pinball_gain", "lower"] > 0
    assert table.loc["below_median", "estimate"] == pytest.approx(0.5, abs=0.05)


def test_state_is_plain_json_and_gives_the_same_answers(fitted):
    episodes, _, model = fitted
    again = from_plain(json.loads(json.dumps(to_plain(model))), ChangeModel)
    pd.testing.assert_frame_equal(again.predict(episodes), model.predict(episodes))
    with pytest.raises(DataError) as error:
        from_plain({**to_plain(model), "version": 99}, ChangeModel)
    assert error.value.code == "PC-FILES-40"


def test_a_missing_score_before_gives_a_missing_answer(fitted):
    episodes, _, model = fitted
    answers = model.predict(episodes.assign(pain_nrs=np.nan).head(3))
    assert answers.isna().all(axis=None)


def test_rows_without_an_outcome_or_weight_change_nothing(make_episodes):
    episodes, _, probability = make_episodes(400, seed=11, repeats=0.0)
    change, absent = draw_change(episodes, probability, 12), np.arange(400) % 3 == 0
    kept = fit_change_model(
        episodes[~absent].reset_index(drop=True), change[~absent], SETTINGS, np.random.default_rng(1)
    )
    unknown = fit_change_model(episodes, np.where(absent, np.nan, change), SETTINGS, np.random.default_rng(1))
    weights = np.where(absent, 0.0, 1.0)
    weightless = fit_change_model(episodes, change, SETTINGS, np.random.default_rng(1), weights)
    assert to_plain(kept) == to_plain(unknown) == to_plain(weightless)


def test_too_few_are_refused_with_the_number_and_a_constant_change_is_told(make_episodes):
    episodes, _, _ = make_episodes(60)
    with pytest.raises(RefusalError, match="0 episodes with a known change of pain; at least 20"):
        fit_change_model(episodes, np.full(60, np.nan), SETTINGS, np.random.default_rng(0))
    model = fit_change_model(episodes, np.full(60, -2.0), SETTINGS, np.random.default_rng(0))
    assert model.predict(episodes)["median"].mean() == pytest.approx(-2.0, abs=0.3)


def test_cross_fitting_holds_the_level(make_episodes):
    episodes, _, probability = make_episodes(600, seed=13)
    change = draw_change(episodes, probability, 14)
    answers = cross_fit_change(episodes, change, SETTINGS, np.random.default_rng(1), folds=3)
    assert answers.index.equals(episodes.index)
    held = ((change >= answers["lower"]) & (change <= answers["upper"])).mean()
    assert held == pytest.approx(0.80, abs=0.06)


def test_interval_holds_its_level_on_a_fresh_simulated_cohort():
    technique = "facet_rfa"
    cohort, _ = simulate_cohort(techniques=[technique], episodes_per_technique=1000, seed=1)
    fresh, _ = simulate_cohort(techniques=[technique], episodes_per_technique=5000, seed=900)
    (episodes, change), (others, seen) = (_ask(one) for one in (cohort, fresh))
    model = fit_change_model(episodes, change, ChangeSettings(), np.random.default_rng(1))
    table = compute_change_metrics(seen, model.predict(others), others["patient_id"]).set_index("metric")
    spread = np.sqrt(0.16 / len(episodes) + 0.16 / len(others))
    assert table.loc["coverage", "estimate"] == pytest.approx(0.80, abs=3 * spread)
    assert table.loc["below_median", "estimate"] == pytest.approx(0.50, abs=0.05)


def _ask(cohort):
    asked = compute_outcome(cohort.episodes, cohort.visits, cohort.events, OUTCOMES["pain_change"], 6.0)
    known = asked.value.notna().to_numpy()
    return cohort.episodes.loc[known].reset_index(drop=True), asked.value.to_numpy(float)[known]
