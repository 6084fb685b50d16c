"""The ladder: what each level is, which one real rows choose, and that evidence is left only for a reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from paincast.errors import RefusalError
from paincast.evaluation.validation.levels import compare_levels
from paincast.models.binary.response import fit_response_model
from paincast.models.binary.selection import Sample
from paincast.models.updating.ladder import climb_ladder, cross_fit_ladder, fit_ladder, list_names
from paincast.models.updating.levels import blend, fit_level, make_rows
from paincast.models.updating.prior_evidence import (
    AVERAGE,
    BLENDED,
    EVIDENCE,
    INTERCEPT,
    INTERCEPT_AND_SLOPE,
    OVERALL_RISK,
    REAL,
    Evidence,
    make_model_evidence,
    make_no_evidence,
    make_rate_evidence,
)
from paincast.settings import (
    EvaluationSettings,
    LadderSettings,
    ModelSettings,
    TrainingSettings,
    UncertaintySettings,
)
from paincast.splits import count_smaller_class
from paincast.statistics import compute_log_loss

SETTINGS = TrainingSettings(
    model=ModelSettings(
        candidates=["logistic"],
        splines=False,
        ridge_prior_sds=[0.06, 0.25, 0.5],
        lasso_penalties=[],
        borrowing=[0.0],
        selection_folds=3,
    ),
    ladder=LadderSettings(folds=3, repeats=2, synthetic_weights=[1.0, 0.1, 0.01]),
    evaluation=EvaluationSettings(folds=3),
    uncertainty=UncertaintySettings(refits=10),
    jobs=1,
    progress=False,
)


@pytest.fixture
def evidence(make_episodes) -> Evidence:
    episodes, outcome, _ = make_episodes(1500, seed=1)
    response = fit_response_model(episodes, outcome, SETTINGS, np.random.default_rng(1))
    sample = Sample(episodes=episodes, outcome=outcome, weights=np.ones(len(outcome)))
    return make_model_evidence(response, sample, "1500 made-up episodes")


def draw_real(make_episodes, n: int, *, seed: int, shift: float = 0.0, stretch: float = 1.0):
    """Real patients whose log odds are those of the evidence, shifted and stretched."""
    episodes, _, probability = make_episodes(n, seed=seed)
    log_odds = shift + stretch * logit(probability)
    outcome = (np.random.default_rng(seed + 1000).random(n) < expit(log_odds)).astype(float)
    return episodes, outcome


def make_real(evidence: Evidence, make_episodes, n: int, **changes: float):
    episodes, outcome = draw_real(make_episodes, n, **changes)
    return make_rows(evidence, episodes, outcome, np.ones(n))


def test_the_evidence_is_served_as_it_is(evidence, make_episodes):
    rows = make_real(evidence, make_episodes, 80, seed=5)
    level = fit_level(EVIDENCE, evidence, rows, SETTINGS, np.random.default_rng(0))
    np.testing.assert_array_equal(
        level.linear_predictor(rows), evidence.response.linear_predictor(rows.sample.episodes)
    )


def test_the_intercept_makes_observed_and_expected_agree_and_changes_nothing_else(evidence, make_episodes):
    rows = make_real(evidence, make_episodes, 80, seed=5, shift=-1.5)
    level = fit_level(INTERCEPT, evidence, rows, SETTINGS, np.random.default_rng(0))
    linear_predictor = level.linear_predictor(rows)
    assert expit(linear_predictor).sum() == pytest.approx(rows.sample.outcome.sum(), abs=1e-8)
    assert np.ptp(linear_predictor - evidence.model.linear_predictor(rows.matrix)) < 1e-9


def test_intercept_and_slope_are_those_of_a_logistic_regression_when_the_prior_is_wide(evidence, make_episodes):
    rows = make_real(evidence, make_episodes, 600, seed=5, shift=-0.5, stretch=0.6)
    wide = replace(SETTINGS, ladder=replace(SETTINGS.ladder, slope_prior_sd=100.0))
    level = fit_level(INTERCEPT_AND_SLOPE, evidence, rows, wide, np.random.default_rng(0))
    linear_predictor = evidence.model.linear_predictor(rows.matrix)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(linear_predictor[:, None], rows.sample.outcome)
    assert level.calibration.slope == pytest.approx(oracle.coef_[0, 0], abs=1e-4)
    assert level.calibration.intercept == pytest.approx(oracle.intercept_[0], abs=1e-4)


def test_a_blend_of_heavy_simulated_rows_keeps_their_coefficients_and_the_risk_of_the_real_ones(
    evidence, make_episodes
):
    rows = make_real(evidence, make_episodes, 60, seed=5, shift=-1.5)
    heavy = blend(evidence, rows, 50.0, SETTINGS.model)
    alone = LogisticRegression(C=np.inf, tol=1e-10).fit(evidence.matrix, evidence.outcome)
    # The flags of a category add up to 1: the coefficients are not unique, what they say of two patients is.
    said = evidence.matrix @ heavy.coefficients - alone.decision_function(evidence.matrix)
    assert np.ptp(said) < 0.05
    for weight in (50.0, 1.0, 0.001):
        fitted = blend(evidence, rows, weight, SETTINGS.model)
        assert expit(fitted.linear_predictor(rows.matrix)).sum() == pytest.approx(rows.sample.outcome.sum(), rel=1e-3)


def test_a_blend_of_weightless_simulated_rows_is_a_ridge_on_the_real_ones(evidence, make_episodes):
    rows = make_real(evidence, make_episodes, 200, seed=5)
    spreads = evidence.encoder.spreads
    light = blend(evidence, rows, 1e-8, SETTINGS.model)
    ridge = LogisticRegression(C=0.5**2, tol=1e-10).fit(rows.matrix / spreads, rows.sample.outcome)
    np.testing.assert_allclose(light.coefficients, ridge.coef_[0] / spreads, atol=1e-3)


def test_the_effective_size_of_simulated_rows_is_their_number_times_their_weight(evidence):
    assert evidence.measure_size(0.03) == pytest.approx(0.03 * 1500)


@pytest.mark.slow
def test_real_rows_that_agree_keep_levels_with_evidence(evidence, make_episodes):
    rows = make_real(evidence, make_episodes, 120, seed=8)
    ladder = climb_ladder(evidence, rows, SETTINGS, np.random.default_rng(3))
    assert ladder.chosen == AVERAGE
    assert ladder.shares[0] > 0.1
    assert list(ladder.table["candidate"]) == [*evidence.levels[:-1], AVERAGE, REAL]
    assert ladder.table["chosen"].sum() == 1


@pytest.mark.slow
def test_another_level_of_risk_is_met_by_the_intercept(evidence, make_episodes):
    rows = make_real(evidence, make_episodes, 150, seed=8, shift=-2.0)
    ladder = climb_ladder(evidence, rows, SETTINGS, np.random.default_rng(3))
    assert ladder.chosen == AVERAGE
    assert ladder.names[int(np.argmax(ladder.shares))] in (INTERCEPT, INTERCEPT_AND_SLOPE, BLENDED)
    assert ladder.shares[0] == 0.0


@pytest.mark.slow
def test_many_real_rows_against_the_evidence_speak_for_themselves(evidence, make_episodes):
    rows = make_real(evidence, make_episodes, 700, seed=8, stretch=-1.0)
    ladder = climb_ladder(evidence, rows, SETTINGS, np.random.default_rng(3))
    assert ladder.chosen in (BLENDED, AVERAGE, REAL)
    assert ladder.shares[0] == 0.0
    blended = fit_level(BLENDED, evidence, rows, SETTINGS, np.random.default_rng(3))
    assert blended.weights[0] == min(SETTINGS.ladder.synthetic_weights)


@pytest.mark.slow
def test_the_choice_is_repeatable_and_the_same_in_several_processes(evidence, make_episodes):
    rows = make_real(evidence, make_episodes, 90, seed=8)
    one, two = (climb_ladder(evidence, rows, SETTINGS, np.random.default_rng(3), jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(one.linear_predictor, two.linear_predictor)
    pd.testing.assert_frame_equal(one.table, two.table)


def test_levels_that_exist_depend_on_the_evidence(evidence):
    assert evidence.levels == (EVIDENCE, INTERCEPT, INTERCEPT_AND_SLOPE, BLENDED, REAL)
    rate = make_rate_evidence(0.4, 50, np.random.default_rng(1), "a rate")
    assert rate.levels == (EVIDENCE, OVERALL_RISK, REAL)
    assert make_no_evidence("none").levels == (OVERALL_RISK, REAL)


def test_a_published_rate_is_as_uncertain_as_its_patients_are_few():
    few, many = (make_rate_evidence(0.4, n, np.random.default_rng(1), "a rate", refits=400) for n in (50, 5000))
    spreads = [np.std([refit.intercept for refit in one.refits]) for one in (few, many)]
    assert spreads[0] == pytest.approx(np.sqrt(1 / (50 * 0.4 * 0.6)), rel=0.15)
    assert spreads[1] == pytest.approx(np.sqrt(1 / (5000 * 0.4 * 0.6)), rel=0.15)
    assert few.outcome.sum() == 20


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rate", "none"])
def test_without_a_simulation_there_is_a_whole_model_all_the_same(make_episodes, kind):
    known = {
        "rate": make_rate_evidence(0.6, 80, np.random.default_rng(1), "a rate"),
        "none": make_no_evidence("none"),
    }[kind]
    episodes, outcome = draw_real(make_episodes, 90, seed=4, stretch=0.0, shift=-1.0)
    fitted = fit_ladder(known, episodes, outcome, SETTINGS, np.random.default_rng(2))
    assert fitted.ladder.chosen == OVERALL_RISK
    assert expit(fitted.response.linear_predictor(episodes)) == pytest.approx(np.full(90, outcome.mean()))
    assert (fitted.response.linear_predictor_sd(episodes) > 0.1).all()
    assert fitted.response.domain.names
    assert fitted.blended is None


@pytest.mark.slow
@pytest.mark.parametrize("level", [EVIDENCE, INTERCEPT, INTERCEPT_AND_SLOPE, BLENDED, REAL])
def test_each_level_can_be_served_with_refits(evidence, make_episodes, level, monkeypatch):
    episodes, outcome = draw_real(make_episodes, 150, seed=8, shift=-0.5)
    names = list_names(evidence)
    # What is compared last are the average and the real rows alone; a place before them is one of the others.
    place = names.index(level) - names.index(AVERAGE)
    monkeypatch.setattr("paincast.models.updating.ladder.find_simplest", lambda *_: place)
    fitted = fit_ladder(evidence, episodes, outcome, SETTINGS, np.random.default_rng(2))
    response = fitted.response
    assert fitted.ladder.chosen == level
    assert response.candidate.kind == "logistic"
    assert tuple(response.selection["candidate"]) == names
    if level != REAL:
        np.testing.assert_allclose(
            response.linear_predictor(episodes), fitted.level.linear_predictor(fitted.rows), atol=1e-9
        )
    assert len(response.refits) == 10
    assert (response.linear_predictor_sd(episodes) > 0.0).all()
    base, parts = response.model.contributions(response.encoder.transform(episodes))
    np.testing.assert_allclose(base + parts.sum(axis=1), response.linear_predictor(episodes), atol=1e-9)


@pytest.mark.slow
def test_the_average_is_that_of_the_levels_by_their_likelihoods(evidence, make_episodes):
    rows = make_real(evidence, make_episodes, 120, seed=8, shift=-0.5)
    ladder = climb_ladder(evidence, rows, SETTINGS, np.random.default_rng(3))
    assert ladder.names == (EVIDENCE, INTERCEPT, INTERCEPT_AND_SLOPE, BLENDED, AVERAGE, REAL)
    assert ladder.chosen == AVERAGE
    np.testing.assert_allclose(
        ladder.linear_predictor[4], np.tensordot(ladder.shares[:4], ladder.linear_predictor[:4], 1)
    )
    losses = compute_log_loss(ladder.linear_predictor[:4], rows.sample.outcome).mean(axis=1).sum(axis=1)
    odds = ladder.shares[1] / ladder.shares[3]
    assert odds == pytest.approx(np.exp(-0.35 * (losses[1] - losses[3])))
    assert ladder.table["share"].sum() == pytest.approx(1.0)


@pytest.mark.slow
def test_real_rows_speak_alone_only_where_the_average_is_clearly_worse(evidence, make_episodes):
    against = make_real(evidence, make_episodes, 700, seed=8, stretch=-1.0)
    heavy = replace(SETTINGS, ladder=replace(SETTINGS.ladder, synthetic_weights=[1.0]))
    assert climb_ladder(evidence, against, heavy, np.random.default_rng(3)).chosen == REAL
    agreeing = make_real(evidence, make_episodes, 700, seed=8)
    assert climb_ladder(evidence, agreeing, heavy, np.random.default_rng(3)).chosen == AVERAGE


@pytest.mark.slow
def test_a_level_with_all_of_the_share_stands_for_itself(make_episodes):
    rate = make_rate_evidence(0.95, 80, np.random.default_rng(1), "a rate")
    episodes, outcome = draw_real(make_episodes, 90, seed=4, stretch=0.0, shift=-1.0)
    fitted = fit_ladder(rate, episodes, outcome, SETTINGS, np.random.default_rng(2))
    assert fitted.ladder.names == (EVIDENCE, OVERALL_RISK, AVERAGE, REAL)
    assert fitted.ladder.chosen == fitted.level.name == OVERALL_RISK


@pytest.mark.slow
def test_an_average_is_served_as_one_linear_model_with_refits_of_its_members(evidence, make_episodes):
    episodes, outcome = draw_real(make_episodes, 150, seed=8, shift=-0.5)
    fitted = fit_ladder(evidence, episodes, outcome, SETTINGS, np.random.default_rng(2))
    response, level = fitted.response, fitted.level
    assert level.name == AVERAGE
    assert sum(level.shares) == pytest.approx(1.0)
    members = [member.linear_predictor(fitted.rows) for member in level.members]
    np.testing.assert_allclose(response.linear_predictor(episodes), level.shares @ np.array(members), atol=1e-9)
    base, parts = response.model.contributions(response.encoder.transform(episodes))
    np.testing.assert_allclose(base + parts.sum(axis=1), response.linear_predictor(episodes), atol=1e-9)
    assert len(response.refits) == 10
    assert (response.linear_predictor_sd(episodes) > 0.0).all()
    assert response.parameters == {"averaged": len(level.members), "synthetic_weight": fitted.blended.weights[0]}


@pytest.mark.slow
def test_the_average_of_held_out_patients_is_by_the_shares_of_the_others(evidence, make_episodes):
    episodes, outcome = draw_real(make_episodes, 120, seed=8, shift=-1.0)
    crossed = cross_fit_ladder(evidence, episodes, outcome, SETTINGS, np.random.default_rng(5))
    assert crossed.names[4] == AVERAGE
    assert crossed.linear_predictor.shape == (6, 1, 120)
    lowest, highest = crossed.linear_predictor[:4].min(axis=0), crossed.linear_predictor[:4].max(axis=0)
    assert ((crossed.linear_predictor[4] >= lowest - 1e-9) & (crossed.linear_predictor[4] <= highest + 1e-9)).all()


def test_a_class_of_one_patient_keeps_the_evidence(evidence, make_episodes):
    episodes, outcome = draw_real(make_episodes, 30, seed=8)
    outcome[:] = 0.0
    outcome[3] = 1.0
    rows = make_rows(evidence, episodes, outcome, np.ones(30))
    ladder = climb_ladder(evidence, rows, SETTINGS, np.random.default_rng(3))
    assert ladder.chosen == EVIDENCE
    assert ladder.table["log_loss"].isna().all()
    assert len(ladder.table) == len(ladder.linear_predictor) == len(ladder.names)


@pytest.mark.slow
def test_those_lost_are_weighted_for_and_predicted(evidence, make_episodes):
    episodes, outcome = draw_real(make_episodes, 160, seed=8)
    lost = np.random.default_rng(3).random(160) < expit(-1.5 + 2.0 * episodes["depression"].to_numpy(float))
    outcome[lost] = np.nan
    crossed = cross_fit_ladder(evidence, episodes, outcome, SETTINGS, np.random.default_rng(5))
    assert crossed.linear_predictor.shape == (6, 1, 160)
    assert np.isfinite(crossed.chosen_linear_predictor).all()
    assert len(crossed.chosen) == 3
    fitted = fit_ladder(evidence, episodes, outcome, SETTINGS, np.random.default_rng(2))
    weights = pd.Series(fitted.rows.sample.weights).groupby(fitted.rows.sample.episodes["depression"].to_numpy()).mean()
    assert len(fitted.rows.sample.outcome) == (~lost).sum()
    assert weights[True] > weights[False]


@pytest.mark.slow
def test_the_honest_predictions_are_those_of_the_level_chosen_in_the_fold(evidence, make_episodes):
    episodes, outcome = draw_real(make_episodes, 120, seed=8, shift=-1.0)
    crossed = cross_fit_ladder(evidence, episodes, outcome, SETTINGS, np.random.default_rng(5))
    among = np.isclose(crossed.linear_predictor, crossed.chosen_linear_predictor).any(axis=0)
    assert among.all()


def test_a_class_of_one_patient_leaves_the_overall_risk(evidence, make_episodes):
    episodes, outcome = draw_real(make_episodes, 30, seed=8)
    outcome[:] = 0.0
    outcome[3] = 1.0
    rows = make_rows(evidence, episodes, outcome, np.ones(30))
    assert count_smaller_class(rows.sample.outcome, rows.sample.patients) == 1
    level = fit_level(REAL, evidence, rows, SETTINGS, np.random.default_rng(0))
    np.testing.assert_allclose(expit(level.linear_predictor(rows)), 1 / 30)
    assert fit_level(BLENDED, evidence, rows, SETTINGS, np.random.default_rng(0)).weights == (1.0,)


def test_too_few_events_are_refused_with_the_numbers(evidence, make_episodes):
    episodes, outcome = draw_real(make_episodes, 40, seed=8)
    outcome[:] = 0.0
    outcome[:5] = 1.0
    with pytest.raises(RefusalError, match="5 with and 35 without the outcome among 40"):
        fit_ladder(evidence, episodes, outcome, SETTINGS, np.random.default_rng(2))


def test_the_table_of_levels_holds_gains_with_intervals_of_patients():
    rng = np.random.default_rng(1)
    linear_predictor = rng.normal(0, 1, 300)
    outcome = (rng.random(300) < expit(linear_predictor)).astype(float)
    stacked = np.array([np.zeros((2, 300)), np.tile(linear_predictor, (2, 1))])
    table = compare_levels(outcome, stacked, ["flat", "true"], patients=np.arange(300), rng=rng, flat=("flat",))
    assert table["log_loss"][1] == pytest.approx(compute_log_loss(linear_predictor, outcome).mean())
    assert table["gain"].tolist() == pytest.approx([0.0, table["log_loss"][0] - table["log_loss"][1]])
    assert table["gain_lower"][1] < table["gain"][1] < table["gain_upper"][1]
    difference = compute_log_loss(np.zeros(300), outcome) - compute_log_loss(linear_predictor, outcome)
    reach = 1.96 * difference.std() / np.sqrt(300)
    assert table["gain_upper"][1] - table["gain_lower"][1] == pytest.approx(2 * reach, rel=0.15)
    assert table.loc[0, ["calibration_slope", "auroc"]].isna().all()
    assert table["auroc"][1] > 0.6
    twice = compare_levels(
        np.tile(outcome, 2), np.tile(stacked, 2), ["flat", "true"], patients=np.tile(np.arange(300), 2), rng=rng
    )
    assert twice["gain_upper"][1] - twice["gain_lower"][1] == pytest.approx(2 * reach, rel=0.2)
