"""Outcomes follow their exact probabilities, and what is measured agrees with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, log_ndtr, logit
from scipy.stats import kstest
from sklearn.linear_model import LogisticRegression

from paincast.evaluation.simulated.truth import compute_bayes_bound
from paincast.evidence import load_record
from paincast.evidence.figures import Untreated
from paincast.outcomes import OUTCOMES, compute_outcome
from paincast.simulator import Assumptions, simulate_cohort
from paincast.simulator.course.relief import compute_relief_survival
from paincast.simulator.course.response import PAIN, compute_effects, scale_control, scale_curve, transform_column
from paincast.simulator.course.visits import (
    draw_processes,
    grade_change,
    make_logistic,
    score_dose,
    score_function,
    score_pain,
    score_quality,
)
from paincast.simulator.scenario import Scenario, build_scenario

from .conftest import Drawn, draw_block

FloatArray = NDArray[np.float64]


def _probability(drawn: Drawn, name: str, outcome: str = PAIN) -> FloatArray:
    treated, outcome_model = drawn.treated[name], drawn.option(name).model.by_outcome[outcome]
    predictor = outcome_model.strength * treated.effects[drawn.option(name).effect].astype(float) + treated.shared
    probability: FloatArray = expit(outcome_model.intercepts + predictor[:, None])
    return probability


@pytest.mark.parametrize("name", ["facet", "failed_back", "cancer", "radicular"])
def test_the_marginal_response_of_the_treated_meets_the_curve(name: str, request: pytest.FixtureRequest) -> None:
    drawn: Drawn = request.getfixturevalue(name)
    checked = 0
    for option, treated in drawn.treated.items():
        record = drawn.option(option).record
        if record.indication == drawn.stratum.population.indication:
            curve = np.array(list(scale_curve(record, "literature").values()))
            error = np.sqrt(curve * (1 - curve) / len(treated.rows))
            assert (abs(treated.course.responded.mean(axis=0) - curve) < 3.5 * error + 0.003).all()
            checked += 1
    assert checked


@pytest.mark.parametrize("scenario", ["pragmatic", "seed_optimistic"])
@pytest.mark.parametrize("strength", [1.0, 0.0])
def test_a_scenario_moves_the_whole_curve(scenario: str, strength: float) -> None:
    record = load_record("si_joint_rfa", "sacroiliac_joint")
    assert record.scenarios
    assert record.curve
    built = build_scenario(["sacroiliac_joint"], scenario, Assumptions(confounding_strength=strength))
    drawn = draw_block(built, "sacroiliac_joint", 3)
    shift = logit(record.scenarios[scenario]) - logit(record.curve[6.0])
    expected = [float(expit(logit(share) + shift)) for share in record.curve.values()]
    assert drawn.treated["si_joint_rfa"].course.responded.mean(axis=0) == pytest.approx(expected, abs=0.012)
    assert scale_curve(record, scenario)[6.0] == pytest.approx(record.scenarios[scenario])


@pytest.mark.parametrize("outcome", ["function_response", "quality_of_life_gain", "opioid_reduction", "satisfaction"])
def test_other_outcomes_meet_their_shifted_curve(outcome: str, facet: Drawn, scenario: Scenario) -> None:
    treated, record = facet.treated["facet_rfa"], facet.option("facet_rfa").record
    reached = treated.course.margins[outcome] >= 0
    if outcome == "opioid_reduction":
        reached = reached[treated.columns["opioid_mme"] > 0]
    shift = scenario.assumptions.outcome_links[outcome].shift
    curve = expit(logit(np.array(list(scale_curve(record, "literature").values()))) + shift)
    assert reached.mean(axis=0) == pytest.approx(curve, abs=0.02)


@pytest.mark.parametrize("outcome", [PAIN, "function_response", "satisfaction"])
def test_the_true_probability_is_calibrated_in_twenty_bins(outcome: str, facet: Drawn) -> None:
    probability = _probability(facet, "facet_rfa", outcome)[:, 2]
    reached = facet.treated["facet_rfa"].course.margins[outcome][:, 2] >= 0
    for rows in np.array_split(np.argsort(probability), 20):
        error = np.sqrt((probability[rows] * (1 - probability[rows])).sum()) / len(rows)
        assert abs(reached[rows].mean() - probability[rows].mean()) < 3.7 * error


def test_control_response_meets_the_record(failed_back: Drawn) -> None:
    option = failed_back.option("spinal_cord_stimulation")
    outcome_model = option.model.by_outcome[PAIN]
    treated = failed_back.treated["spinal_cord_stimulation"]
    effects = treated.effects[option.effect].astype(float)
    assert {figures.support for figures in option.record.untreated.values()} == {"matched", "assumed"}
    for place, month in enumerate(option.model.months):
        control = expit(
            outcome_model.control_intercepts[place] + outcome_model.control_strength * effects + treated.shared
        )
        error = 4.0 * control.std() / np.sqrt(len(control))
        assert control.mean() == pytest.approx(option.record.untreated[month].share, abs=0.001 + error)
        assert control.std() > 0.002


def test_a_benefit_that_wanes_leaves_no_harm() -> None:
    record = load_record("facet_rfa", "lumbar_facet")
    curve = scale_curve(record, "literature")
    between = (curve[24.0] + curve[60.0]) / 2.0
    lasting = {month: Untreated(between, between / 2.0, 0.99, "assumed") for month in curve}
    waning = replace(record, untreated=lasting)
    control = scale_control(waning, curve)
    assert control[:-1] == [between] * (len(curve) - 1)
    assert control[-1] == curve[60.0] < between
    assert scale_control(waning, curve, "lower") == [between / 2.0] * len(curve)
    assert scale_control(waning, curve, "upper") == list(curve.values())
    assert np.isnan(scale_control(replace(record, untreated={}), curve)).all()


@pytest.mark.parametrize("reading", ["share", "lower", "upper"])
def test_an_assumption_says_which_end_of_the_untreated_is_taken(reading: str) -> None:
    built = build_scenario(
        ["trigeminal_neuralgia"], "literature", Assumptions(untreated=reading, reference_size=20_000)
    )
    [option] = built.strata["trigeminal_neuralgia"].options
    curve = scale_curve(option.record, "literature")
    wanted = scale_control(option.record, curve, reading)
    drawn = draw_block(built, "trigeminal_neuralgia", 6)
    outcome_model, treated = option.model.by_outcome[PAIN], drawn.treated["trigeminal_rhizotomy"]
    predictor = outcome_model.control_strength * treated.effects[option.effect].astype(float) + treated.shared
    reached = expit(outcome_model.control_intercepts + predictor[:, None]).mean(axis=0)
    assert reached == pytest.approx(wanted, abs=0.006)
    assert wanted == pytest.approx(
        [min(getattr(option.record.untreated[month], reading), share) for month, share in curve.items()]
    )


@pytest.mark.parametrize("name", ["facet_rfa", "transforaminal"])
def test_a_logistic_regression_recovers_each_odds_ratio(name: str, facet: Drawn, radicular: Drawn) -> None:
    drawn = facet if name == "facet_rfa" else radicular
    treated, record = drawn.treated[name], drawn.option(name).record
    rows, site = drawn.screened.referred, drawn.screened.referred.site[treated.rows]
    effects = record.active_predictors
    design = [transform_column(effect, treated.columns, record, drawn.scenario.assumptions) for effect in effects]
    year = rows.year[treated.rows].astype(float)
    x = np.column_stack([*design, np.eye(drawn.scenario.assumptions.n_sites)[site][:, 1:], year])
    center, spread = x.mean(axis=0), x.std(axis=0)
    scaled = (x - center) / spread
    y = treated.course.responded[:, 1]
    p = LogisticRegression(C=np.inf, tol=1e-10, max_iter=2000).fit(scaled, y)
    fitted = p.predict_proba(scaled)[:, 1]
    bread = np.column_stack([np.ones(len(x)), scaled])
    errors = np.sqrt(np.diag(np.linalg.inv(bread.T @ (bread * (fitted * (1 - fitted))[:, None]))))[1:] / spread
    estimates = p.coef_[0] / spread
    assert len(effects) >= 10
    distance = (estimates[: len(effects)] - [effect.log_odds for effect in effects]) / errors[: len(effects)]
    for effect, in_errors in zip(effects, distance, strict=True):
        assert abs(in_errors) < 3.8, effect.meaning
    assert np.sqrt(np.mean(distance**2)) < 1.5
    assert np.corrcoef(estimates[: len(effects)], [effect.log_odds for effect in effects])[0, 1] > 0.9


def test_what_model_can_reach_is_what_the_evidence_implies() -> None:
    """Without correlations between predictors, sites or drift, as the figure of the record is computed."""
    assumptions = Assumptions(correlation="independent", site_response_sd=0.0, response_drift_per_year=0.0)
    scenario = build_scenario(["lumbar_facet", "hip_osteoarthritis"], "literature", assumptions)
    for indication, name in (("lumbar_facet", "facet_rfa"), ("hip_osteoarthritis", "joint_injection")):
        drawn = draw_block(scenario, indication, 4)
        implied = drawn.option(name).record.implied
        assert implied
        place = drawn.option(name).model.months.index(
            min(drawn.option(name).model.months, key=lambda month: abs(month - 6.0))
        )
        bound, _ = compute_bayes_bound(_probability(drawn, name)[:, place])
        assert bound == pytest.approx(implied.bayes_optimal_auc, abs=0.02)


def test_effects_are_the_sum_of_log_odds_ratios() -> None:
    record = load_record("si_joint_rfa", "sacroiliac_joint")
    scenario = build_scenario(["sacroiliac_joint"], "literature", Assumptions())
    drawn = draw_block(scenario, "sacroiliac_joint", 5, n_patients=3000)
    columns = {name: values[:2].copy() for name, values in drawn.treated["si_joint_rfa"].columns.items()}
    for values in columns.values():
        values[1] = values[0]
    columns["depression"][:] = [False, True]
    columns["opioid_mme"][:] = [0.0, 20.0]
    ratio = {effect.column: effect.odds_ratio for effect in record.active_predictors}
    effects = compute_effects(record, columns, Assumptions())
    expected = np.log(ratio["depression"]) + np.log(ratio["opioid_mme"])
    assert effects[1] - effects[0] == pytest.approx(expected, abs=1e-5)


def test_logistic_scores_are_logistic() -> None:
    normal = np.random.default_rng(1).standard_normal(200_000, dtype=np.float32)
    logistic = make_logistic(normal)
    assert kstest(logistic, "logistic").pvalue > 0.001
    probe = np.linspace(-6, 6, 100_001).astype(np.float32)
    exact = probe.astype(float)
    assert make_logistic(probe) == pytest.approx(log_ndtr(exact) - log_ndtr(-exact), abs=2e-5)


def test_processes_persist_and_correlate_as_set() -> None:
    assumptions = replace(Assumptions(), response_persistence=0.7)
    outcomes = [PAIN, "satisfaction"]
    pain, satisfied = draw_processes(60_000, [1.0, 2.0, 8.0], outcomes, assumptions, np.random.default_rng(5))
    assert pain.std(axis=0) == pytest.approx(1.0, abs=0.015)
    assert satisfied.std(axis=0) == pytest.approx(1.0, abs=0.015)
    for one, other, expected in ((0, 1, 0.7), (1, 2, 0.7**2), (0, 2, 0.7**3)):
        assert np.corrcoef(pain.T)[one, other] == pytest.approx(expected, abs=0.015)
        assert np.corrcoef(satisfied.T)[one, other] == pytest.approx(expected, abs=0.015)
    link = assumptions.outcome_links["satisfaction"].correlation
    assert np.corrcoef(pain[:, 1], satisfied[:, 1])[0, 1] == pytest.approx(link, abs=0.015)


def test_relief_lasts_as_long_as_the_truth_says(facet: Drawn) -> None:
    option, treated = facet.option("facet_rfa"), facet.treated["facet_rfa"]
    predictor = treated.effects[option.effect].astype(float) + treated.shared
    held = np.logical_and.accumulate(treated.course.responded, axis=1)
    survival = compute_relief_survival(
        option.model.months,
        option.model.by_outcome[PAIN].intercepts,
        predictor,
        facet.scenario.assumptions.response_persistence,
    )
    assert survival.mean(axis=1) == pytest.approx(held.mean(axis=0), abs=0.01)
    order = np.argsort(predictor)
    for rows in (order[: len(order) // 10], order[-len(order) // 10 :]):
        expected = survival[:, rows].mean(axis=1)
        error = np.sqrt(expected * (1 - expected) / len(rows))
        assert (abs(held[rows].mean(axis=0) - expected) < 0.01 + 3.5 * error).all()
    assert survival[0] == pytest.approx(_probability(facet, "facet_rfa")[:, 0], abs=1e-4)
    assert (np.diff(survival, axis=0) <= 1e-9).all()


margins = st.lists(st.floats(-12, 12, width=32), min_size=1, max_size=30)


@given(margin=margins, before=st.integers(2, 10))
@settings(max_examples=60, deadline=None)
def test_pain_agrees_with_response(margin: list[float], before: int) -> None:
    asked = np.array([margin], dtype=np.float32)
    pain = score_pain(asked, np.array([before], dtype=np.float32), Assumptions()) / 10.0
    assert ((1 - pain / before >= 0.5 - 1e-9) == (asked >= 0)).all()
    assert ((1 - pain / before >= 0.3 - 1e-6) == (asked >= np.float32(-Assumptions().response_30_shift))).all()
    assert pain.min() >= 0
    assert pain.max() <= 10


@given(margin=margins, before=st.integers(2, 48), quality=st.integers(-500, 920), dose=st.integers(1, 800))
@settings(max_examples=60, deadline=None)
def test_other_measures_agree_with_their_outcomes(margin: list[float], before: int, quality: int, dose: int) -> None:
    asked = np.array([margin], dtype=np.float32)
    reached, courses = asked >= 0, Assumptions().courses
    odi = score_function(asked, np.array([2.0 * before], dtype=np.float32), courses["odi_change"], "odi")
    fall = 2.0 * before - odi.astype(float)
    assert (((fall >= 10) | (fall >= 0.3 * 2.0 * before - 1e-9)) == reached).all()
    assert (odi % 2 == 0).all()
    womac = score_function(asked, np.array([before + 3.0], dtype=np.float32), courses["odi_change"], "womac")
    assert ((1 - womac.astype(float) / (before + 3) >= 0.3 - 1e-9) == reached).all()
    index = score_quality(asked, np.array([quality / 1000], dtype=np.float32), courses["eq5d_change"])
    assert ((index - quality >= 80) == reached).all()
    assert index.max() <= 1000
    mme = score_dose(asked, np.array([dose], dtype=np.float32), courses["opioid_dose_factor"])
    assert ((1 - mme.astype(float) / dose >= 0.3 - 1e-9) == reached).all()
    assert ((grade_change(asked, courses["pgic"]) <= 2) == reached).all()


def test_non_users_of_opioids_stay_without() -> None:
    dose = score_dose(
        np.zeros((3, 2), np.float32), np.zeros(3, np.float32), Assumptions().courses["opioid_dose_factor"]
    )
    assert (dose == 0).all()


def test_without_loss_the_recorded_outcome_follows_the_truth(fully_observed: Assumptions) -> None:
    cohort, truth = simulate_cohort(
        techniques=["facet_rfa"], episodes_per_technique=6000, seed=8, assumptions=fully_observed
    )
    ids = cohort.episodes["episode_id"]
    for name in (*OUTCOMES.keys() - {"pain_change", "complication", "mood_response", "sleep_response"}, "complication"):
        month = 1.0 if name == "complication" else 6.0
        window = (month, month) if OUTCOMES[name].assessed_by == "visit" else None
        answers = compute_outcome(cohort.episodes, cohort.visits, cohort.events, OUTCOMES[name], month, window)
        known = truth.expand(technique="facet_rfa", outcome=name, month=month).set_index("episode_id")["probability"]
        probability = known.reindex(ids).to_numpy()[answers.eligible]
        reached = answers.value[answers.eligible]
        assert reached.notna().all(), name
        error = np.sqrt((probability * (1 - probability)).sum())
        assert abs(reached.sum() - probability.sum()) < 3.5 * error, name


def test_thresholds_of_the_process_are_where_the_truth_is(facet: Drawn) -> None:
    """An outcome is reached exactly where the uniform behind it is below its probability."""
    treated = facet.treated["facet_rfa"]
    predictor = treated.effects[facet.option("facet_rfa").effect] + treated.shared
    logistic = predictor[:, None] + facet.option("facet_rfa").model.by_outcome[PAIN].intercepts
    uniform = expit(logistic - treated.course.margins[PAIN].astype(float))
    clear = abs(uniform - _probability(facet, "facet_rfa")) > 1e-5
    assert ((uniform < _probability(facet, "facet_rfa")) == treated.course.responded)[clear].all()
    assert kstest(uniform[:, 3], "uniform").pvalue > 0.001


def test_interactions_move_those_on_the_same_side_and_leave_the_published_rate():
    built = {
        size: simulate_cohort(
            techniques=["facet_rfa"], episodes_per_technique=4000, seed=3, assumptions=Assumptions(interactions=size)
        )
        for size in (0.0, 1.0)
    }
    assert built[0.0][0].details["changed_assumptions"] == []
    assert built[1.0][0].details["changed_assumptions"] == ["interactions"]
    known = [truth.expand(technique="facet_rfa", outcome="pain_response", month=6.0) for _, truth in built.values()]
    plain, crossed = (one["probability"].to_numpy() for one in known)
    assert crossed.mean() == pytest.approx(plain.mean(), abs=0.015)
    moved = np.log(crossed / (1 - crossed)) - np.log(plain / (1 - plain))
    sizes = np.unique(np.round(moved - moved.mean(), 1))
    assert len(sizes) <= 4
    assert np.ptp(moved) == pytest.approx(4.0, abs=0.05)
