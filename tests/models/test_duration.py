"""Duration of relief: hazards at visits against their truth, a competing death, state, refusals."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from paincast.errors import DataError, RefusalError
from paincast.evaluation.survival.curves import compute_aalen_johansen, compute_kaplan_meier
from paincast.evaluation.survival.duration import compute_brier_terms, integrate_over_months
from paincast.files.serialization import from_plain, to_plain
from paincast.models.survival.duration import DurationModel, cross_fit_durations, fit_curve, fit_duration_model
from paincast.models.survival.hazard import choose_cuts, expand_periods, fit_hazard
from paincast.outcomes import OUTCOMES, compute_outcome
from paincast.outcomes.labels import DIED, LOST_RELIEF
from paincast.settings import DurationSettings
from paincast.simulator import simulate_cohort

VISITS = np.array([1.0, 3.0, 6.0, 12.0])
QUICK = DurationSettings(prior_sds=[0.1, np.sqrt(0.1), 1.0], refits=10)


def draw_times(probability, seed, *, deaths=0.0, losses=0.15):
    """Lose relief at visits with a hazard that falls with the probability of response; die between them."""
    rng = np.random.default_rng(seed)
    n = len(probability)
    hazard = expit(-logit(probability)[:, None] + np.array([0.0, -0.7, -0.9, -1.0]))
    lost = np.where((draws := rng.random((n, 4)) < hazard).any(axis=1), VISITS[draws.argmax(axis=1)], 99.0)
    last = np.where((gone := rng.random((n, 4)) < losses).any(axis=1), VISITS[gone.argmax(axis=1)], VISITS[-1])
    died = rng.exponential(1.0 / deaths, n) if deaths else np.full(n, np.inf)
    months = np.minimum(np.minimum(lost, last), died)
    status = np.select([died <= np.minimum(lost, last), lost <= last], [2.0, 1.0], 0.0)
    return months, status, np.cumprod(1.0 - hazard, axis=1)


@pytest.fixture
def fitted(make_episodes):
    episodes, _, probability = make_episodes(1500, seed=1)
    months, status, _ = draw_times(probability, 2)
    return episodes, fit_duration_model(episodes, months, status, QUICK, np.random.default_rng(3))


def test_periods_ask_relief_of_the_living_and_death_of_those_followed():
    months, status = np.array([1.0, 6.0, 2.0, 3.0]), np.array([1.0, 0.0, 2.0, 0.0])
    cuts = (1.0, 3.0, 6.0)
    lost = expand_periods(months, status, cuts, LOST_RELIEF)
    told = list(zip(lost.row.tolist(), lost.interval.tolist(), lost.event.tolist(), strict=True))
    assert told == [(0, 0, 1), (1, 0, 0), (1, 1, 0), (1, 2, 0), (2, 0, 0), (3, 0, 0), (3, 1, 0)]
    died = expand_periods(months, status, cuts, DIED)
    assert list(zip(died.row.tolist(), died.interval.tolist(), died.event.tolist(), strict=True)) == [
        (0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 2, 0), (2, 0, 0), (2, 1, 1), (3, 0, 0), (3, 1, 0)
    ]  # fmt: skip


def test_a_visit_a_little_early_answers_and_one_in_between_does_not():
    periods = expand_periods(np.array([5.5, 4.0]), np.zeros(2), (1.0, 6.0), LOST_RELIEF)
    assert list(zip(periods.row.tolist(), periods.interval.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0)]


def test_intervals_with_few_losses_are_joined():
    months = np.array([0.5] * 2 + [1.0] * 9 + [3.0] * 2 + [6.0] * 7 + [60.0])
    assert choose_cuts(months, np.ones(len(months)), 5) == (1.0, 6.0)
    assert choose_cuts(months, np.zeros(len(months)), 5) == ()


def test_an_unpenalised_hazard_without_predictors_is_kaplan_meier():
    months, status, _ = draw_times(np.full(3000, 0.6), 4)
    periods = expand_periods(months, status, tuple(VISITS), LOST_RELIEF)
    model = fit_hazard(np.empty((3000, 0)), periods, 4, inverse_penalty=1.0)
    curve = compute_kaplan_meier(months, status, VISITS)["survival"].to_numpy()
    np.testing.assert_allclose(model.survival(np.empty((1, 0)))[0], curve, atol=2e-3)


def test_survival_recovers_the_truth_on_fresh_patients(fitted, make_episodes):
    _, model = fitted
    fresh, _, probability = make_episodes(4000, seed=5)
    months, status, truth = draw_times(probability, 6)
    served = model.survival(fresh, VISITS)
    assert np.abs(served - truth).mean() < 0.05
    np.testing.assert_allclose(served.mean(axis=0) / truth.mean(axis=0), 1.0, atol=0.12)
    curve = np.broadcast_to(compute_kaplan_meier(months, status, VISITS)["survival"], served.shape)
    scores = [
        integrate_over_months(compute_brier_terms(months, status, one, VISITS), VISITS).mean()
        for one in (truth, served, np.array(curve))
    ]
    assert scores == sorted(scores)
    lower, upper = model.survival_interval(fresh, [6.0], 0.90)
    assert ((lower < served[:, 2:3]) & (served[:, 2:3] < upper)).all()
    assert 0.7 < ((lower <= truth[:, 2:3]) & (truth[:, 2:3] <= upper)).mean() <= 1.0


def test_survival_falls_at_visits_and_is_unknown_outside_them(fitted):
    episodes, model = fitted
    survival = model.survival(episodes.head(20), [0.5, 1.0, 2.9, 3.0, 12.0, 13.0])
    assert np.isnan(survival[:, [0, 5]]).all()
    np.testing.assert_array_equal(survival[:, 1], survival[:, 2])
    assert (np.diff(survival[:, 1:5], axis=1) <= 0).all()


def test_median_is_the_first_visit_at_or_below_a_half(fitted):
    episodes, model = fitted
    survival, median = model.survival(episodes, VISITS), model.median(episodes)
    for place, month in enumerate(VISITS):
        own = median == month
        assert (survival[own, place] <= 0.5).all()
        assert (survival[own, :place] > 0.5).all()
    assert (survival[np.isinf(median)] > 0.5).all()


def test_state_is_plain_json_and_gives_the_same_answers(fitted):
    episodes, model = fitted
    again = from_plain(json.loads(json.dumps(to_plain(model))), DurationModel)
    np.testing.assert_array_equal(again.survival(episodes, VISITS), model.survival(episodes, VISITS))
    for one, other in zip(again.survival_interval(episodes, [6]), model.survival_interval(episodes, [6]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.selection == model.selection
    with pytest.raises(DataError) as error:
        from_plain({**to_plain(model), "version": 99}, DurationModel)
    assert error.value.code == "PC-FILES-40"


@pytest.mark.slow
def test_death_competes(make_episodes):
    episodes, _, probability = make_episodes(3000, seed=7)
    months, status, truth = draw_times(probability, 8, deaths=0.08)
    model = fit_duration_model(episodes, months, status, QUICK, np.random.default_rng(9))
    lost, died = model.incidence(episodes, VISITS)
    assert (lost + died <= 1.0 + 1e-12).all()
    for one, cause in ((lost, 1.0), (died, 2.0)):
        observed = compute_aalen_johansen(months, status, VISITS, cause)["incidence"]
        np.testing.assert_allclose(one.mean(axis=0), observed, atol=0.03)
    # Of the living the answer is that without death.
    np.testing.assert_allclose(model.survival(episodes, VISITS).mean(axis=0), truth.mean(axis=0), atol=0.03)
    without = replace(model, death=None)
    np.testing.assert_allclose(without.incidence(episodes, VISITS)[0], 1.0 - model.survival(episodes, VISITS))


@pytest.mark.slow
def test_rows_that_were_never_seen_or_weigh_nothing_change_nothing(make_episodes):
    episodes, _, probability = make_episodes(600, seed=10, repeats=0.0)
    months, status, _ = draw_times(probability, 11)
    weights = np.ones(600)
    absent = np.arange(600) % 4 == 0
    kept = fit_duration_model(
        episodes[~absent].reset_index(drop=True), months[~absent], status[~absent], QUICK, np.random.default_rng(1)
    )
    unseen = fit_duration_model(episodes, np.where(absent, np.nan, months), status, QUICK, np.random.default_rng(1))
    weightless = fit_duration_model(
        episodes, months, status, QUICK, np.random.default_rng(1), np.where(absent, 0.0, weights)
    )
    assert to_plain(kept) == to_plain(unseen) == to_plain(weightless)


def test_weights_act_as_copies_of_patients_do(make_episodes):
    """A hazard fitted to weights of two equals one fitted to every row twice."""
    _, _, probability = make_episodes(300, seed=12)
    months, status, _ = draw_times(probability, 13)
    matrix = np.column_stack([probability, 1 - probability**2])
    periods = expand_periods(months, status, tuple(VISITS), LOST_RELIEF)
    twice = expand_periods(np.tile(months, 2), np.tile(status, 2), tuple(VISITS), LOST_RELIEF)
    one = fit_hazard(matrix, periods, 4, inverse_penalty=0.1, weights=np.full(300, 2.0))
    two = fit_hazard(np.tile(matrix, (2, 1)), twice, 4, inverse_penalty=0.1)
    np.testing.assert_allclose(one.linear_predictor(matrix), two.linear_predictor(matrix), atol=1e-5)


def test_too_little_is_refused_with_the_numbers(make_episodes):
    episodes, _, _ = make_episodes(60)
    months, status = np.full(60, 6.0), np.zeros(60)
    with pytest.raises(RefusalError, match="0 with and 60 without a loss of relief among 60"):
        fit_duration_model(episodes, months, status, QUICK, np.random.default_rng(0))
    with pytest.raises(RefusalError, match="60 with and 0 without"):
        fit_duration_model(episodes, months, np.ones(60), QUICK, np.random.default_rng(0))
    with pytest.raises(RefusalError, check=lambda error: error.code == "PC-MODEL-15"):
        fit_duration_model(episodes, np.full(60, np.nan), status, QUICK, np.random.default_rng(0))


def test_few_patients_and_constant_columns_end_in_a_sensible_model(make_episodes):
    episodes, _, _ = make_episodes(40, seed=14)
    months, status, _ = draw_times(np.full(40, 0.8), 15, losses=0.3)
    model = fit_duration_model(
        episodes.assign(age_years=50.0, odi=np.nan), months, status, QUICK, np.random.default_rng(0)
    )
    survival = model.survival(episodes, [model.cuts[-1]])
    assert ((survival > 0) & (survival < 1)).all()


@pytest.mark.slow
def test_cross_fitting_predicts_everybody_and_beats_no_model(make_episodes):
    episodes, _, probability = make_episodes(800, seed=16)
    months, status, truth = draw_times(probability, 17)
    months[:5], status[:5] = np.nan, np.nan
    cuts = choose_cuts(months[5:], status[5:], QUICK.minimum_interval_events)

    def fit(train, months, status, weights, rng):
        return fit_duration_model(train, months, status, replace(QUICK, refits=0), rng, weights, cuts=cuts)

    found = cross_fit_durations(episodes, months, status, fit, np.random.default_rng(1), cuts=cuts, folds=3)
    assert found.months == tuple(VISITS)
    assert np.isfinite(found.survival).all()
    assert np.abs(found.survival - truth).mean() < np.abs(found.survival_of_all - truth).mean()
    np.testing.assert_allclose(found.lost, 1.0 - found.survival)
    np.testing.assert_allclose(found.lost_of_all.mean(axis=0), 1.0 - truth.mean(axis=0), atol=0.05)


def test_the_curve_of_all_is_that_of_aalen_and_johansen(make_episodes):
    episodes, _, probability = make_episodes(3000, seed=18)
    months, status, _ = draw_times(probability, 19, deaths=0.05, losses=0.0)
    model = fit_duration_model(episodes, months, status, replace(QUICK, refits=0), np.random.default_rng(1))
    curve = fit_curve(model, months, status)
    for one, cause in zip(curve.incidence(episodes.head(1), VISITS), (1.0, 2.0), strict=True):
        observed = compute_aalen_johansen(months, status, VISITS, cause)["incidence"]
        np.testing.assert_allclose(one[0], observed, atol=2e-3)


@pytest.mark.slow
def test_simulated_relief_is_predicted_better_than_by_its_curve():
    technique = "spinal_cord_stimulation"
    cohort, _ = simulate_cohort(techniques=[technique], episodes_per_technique=800, seed=1)
    fresh, truth = simulate_cohort(techniques=[technique], episodes_per_technique=2500, seed=900)
    (episodes, months, status), (others, fresh_months, fresh_status) = (_ask(one) for one in (cohort, fresh))
    model = fit_duration_model(episodes, months, status, QUICK, np.random.default_rng(1))
    at = list(model.cuts)
    served = model.survival(others, at)
    seen = np.isfinite(months)
    curve = np.tile(compute_kaplan_meier(months[seen], status[seen], at)["survival"], (len(others), 1))
    known = np.isfinite(fresh_months)
    ours, plain = (
        integrate_over_months(compute_brier_terms(fresh_months[known], fresh_status[known], one[known], at), at).mean()
        for one in (served, curve)
    )
    assert ours < 0.98 * plain
    table = truth.expand(technique=technique, outcome="relief_duration", month=12.0).set_index("episode_id")
    true = others["episode_id"].map(table["probability"]).to_numpy(float)
    assert served[:, at.index(12.0)].mean() / np.nanmean(true) == pytest.approx(1.0, abs=0.12)


def _ask(cohort):
    asked = compute_outcome(cohort.episodes, cohort.visits, cohort.events, OUTCOMES["relief_duration"], 12.0)
    return cohort.episodes, asked.months.to_numpy(float), asked.status.to_numpy(float)
