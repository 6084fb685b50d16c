"""Each mechanism does what it says, and its noise knows nothing of the covariates given its parents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri
from sklearn.linear_model import LogisticRegression

from paincast.cohort.simulate.assumptions import Assumptions
from paincast.cohort.simulate.choice import compute_propensity
from paincast.cohort.simulate.episodes import Block, simulate_block
from paincast.cohort.simulate.followup import draw_process, respond, score_pain
from paincast.cohort.simulate.observation import draw_observed
from paincast.cohort.simulate.patients import compute_scores, draw_patients
from paincast.cohort.simulate.response import compute_effects, scale_curve, transform_column
from paincast.cohort.simulate.world import World, build_world
from paincast.errors import SettingsError
from paincast.evidence import load_record

FloatArray = NDArray[np.float64]


def _received(block: Block) -> FloatArray:
    received: FloatArray = block.probability[block.chosen, np.arange(len(block.chosen))]
    return received


def _numeric_covariates(block: Block) -> dict[str, FloatArray]:
    columns = block.population.columns
    held = {name: values.astype(float) for name, values in columns.items() if values.dtype.kind in "fb"}
    held["female"] = (columns["sex"] == "female").astype(float)
    held["site"] = block.population.site.astype(float)
    held["year"] = block.population.year.astype(float)
    return {name: values for name, values in held.items() if values.std() > 0}


def _correlate(noise: FloatArray, covariates: dict[str, FloatArray]) -> dict[str, float]:
    """Correlation of noise with each covariate, in standard errors."""
    return {name: float(np.corrcoef(noise, values)[0, 1] * np.sqrt(len(noise))) for name, values in covariates.items()}


def _compute_noise(block: Block, assumptions: Assumptions) -> dict[str, FloatArray]:
    """What each mechanism adds to its parents, at the first month."""
    responded = block.responded[:, 0]
    hazard = expit(assumptions.loss_log_odds + assumptions.loss_log_odds_non_responder * ~responded)
    return {
        "response": responded - _received(block)[:, 0],
        "choice": (block.chosen == 0) - block.propensity[:, 0],
        "observation": block.observed[:, 0] - (1 - hazard) * (1 - assumptions.visit_missing_share),
        **{f"missing {name}": missing - assumptions.missing[name] for name, missing in block.missing.items()},
    }


@pytest.mark.parametrize("name", ["facet", "failed_back", "cancer"])
def test_the_marginal_response_of_the_treated_meets_the_curve(
    name: str, world: World, request: pytest.FixtureRequest
) -> None:
    block: Block = request.getfixturevalue(name)
    for place, option in enumerate(block.options):
        record = world.records[option]
        if record.indication != block.indication:
            continue
        treated = block.chosen == place
        assert treated.sum() > 10_000
        for month, share in (record.curve or {}).items():
            at = int(np.searchsorted(world.months, month))
            assert block.responded[treated, at].mean() == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize("scenario", ["pragmatic", "seed_optimistic"])
def test_a_scenario_moves_the_whole_curve(scenario: str) -> None:
    record = load_record("si_joint_rfa", "sacroiliac_joint")
    assert record.scenarios
    assert record.curve
    world = build_world(["sacroiliac_joint"], scenario, Assumptions())
    block = simulate_block(world, "sacroiliac_joint", np.random.default_rng(3), n_patients=30_000)
    shift = logit(record.scenarios[scenario]) - logit(record.curve[6.0])
    for month, share in record.curve.items():
        at = int(np.searchsorted(world.months, month))
        assert block.responded[:, at].mean() == pytest.approx(float(expit(logit(share) + shift)), abs=0.015)
    assert scale_curve(record, scenario)[6.0] == pytest.approx(record.scenarios[scenario])


def test_control_response_meets_the_record(failed_back: Block, world: World) -> None:
    place = [world.records[option].technique for option in failed_back.options].index("spinal_cord_stimulation")
    control = failed_back.control_probability[place][failed_back.chosen == place]
    assert control.mean() == pytest.approx(0.02, abs=0.001)
    assert control.std() > 0.002


def test_the_true_probability_is_calibrated_in_ten_bins(facet: Block) -> None:
    probability, responded = _received(facet)[:, 2], facet.responded[:, 2]
    for rows in np.array_split(np.argsort(probability), 10):
        expected = probability[rows].mean()
        error = np.sqrt((probability[rows] * (1 - probability[rows])).sum()) / len(rows)
        assert abs(responded[rows].mean() - expected) < 3.5 * error


def test_a_logistic_regression_recovers_each_odds_ratio(facet: Block, world: World) -> None:
    option = facet.options[0]
    record, columns = world.records[option], facet.population.columns
    design = np.column_stack(
        [transform_column(effect, columns, record, world.assumptions) for effect in record.predictors]
    )
    offset = np.eye(world.assumptions.n_sites)[facet.population.site][:, 1:]
    x = np.column_stack([design, offset])
    center, spread = x.mean(axis=0), x.std(axis=0)
    scaled = (x - center) / spread
    y = facet.responded[:, 2]
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=2000).fit(scaled, y)
    p = fit.predict_proba(scaled)[:, 1]
    bread = np.column_stack([np.ones(len(x)), scaled])
    errors = np.sqrt(np.diag(np.linalg.inv(bread.T @ (bread * (p * (1 - p))[:, None]))))[1:] / spread
    estimates = fit.coef_[0] / spread
    for place, effect in enumerate(record.predictors):
        assert abs(estimates[place] - np.log(effect.odds_ratio)) < 3.3 * errors[place], effect.meaning


def test_noise_is_independent_of_covariates_given_parents(world: World) -> None:
    """Over 5 seeds together: about 350 pairs, so 4.2 standard errors is a false alarm in 1 of 100 choices of seeds."""
    total: dict[tuple[str, str], list[float]] = {}
    for seed in range(1, 6):
        block = simulate_block(world, "failed_back_surgery", np.random.default_rng(seed), n_patients=10_000)
        covariates = _numeric_covariates(block)
        for mechanism, noise in _compute_noise(block, world.assumptions).items():
            for name, errors in _correlate(noise, covariates).items():
                total.setdefault((mechanism, name), []).append(errors)
    pooled = {pair: sum(errors) / np.sqrt(5) for pair, errors in total.items()}
    assert len(pooled) > 300
    assert max(map(abs, pooled.values())) < 4.2
    assert np.std(list(pooled.values())) < 1.2


def test_loss_depends_on_outcome_and_is_for_good(world: World) -> None:
    assumptions = replace(world.assumptions, visit_missing_share=0.0, data_end_year=2100.0)
    rng = np.random.default_rng(4)
    responded = rng.random((60_000, 3)) < 0.5
    observed = draw_observed(
        responded,
        np.ones_like(responded),
        np.array([1.0, 3.0, 6.0]),
        np.full(60_000, 2020),
        np.full(60_000, np.inf),
        assumptions,
        rng,
    )
    for group, log_odds in ((True, -3.2), (False, -2.5)):
        lost = ~observed[responded[:, 0] == group, 0]
        assert lost.mean() == pytest.approx(expit(log_odds), abs=0.005)
    assert not (observed[:, 1:] & ~observed[:, :-1]).any()


def test_response_persists_as_set() -> None:
    months = np.array([1.0, 2.0, 8.0])
    process = draw_process(60_000, months, replace(Assumptions(), response_persistence=0.7), np.random.default_rng(5))
    scores = ndtri(process)
    assert process.mean(axis=0) == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(scores.T)[0, 1] == pytest.approx(0.7, abs=0.015)
    assert np.corrcoef(scores.T)[1, 2] == pytest.approx(0.7**2, abs=0.015)
    assert np.corrcoef(scores.T)[0, 2] == pytest.approx(0.7**3, abs=0.015)


@pytest.mark.parametrize("before", range(1, 11))
def test_pain_agrees_with_response(before: int) -> None:
    rng = np.random.default_rng(before)
    process = rng.random((4000, 2))
    probability = rng.uniform(0.01, 0.99, (4000, 2))
    pain = score_pain(process, probability, np.full(4000, float(before)), Assumptions())
    assert ((pain <= before / 2) == respond(process, probability)).all()
    assert (pain == np.round(pain)).all()
    assert pain.min() >= 0
    assert pain.max() <= min(before + 1, 10)


def test_pain_is_not_a_second_look_at_the_covariates(facet: Block) -> None:
    """Given response and pain before, how far pain falls is independent of everything else."""
    columns = facet.population.columns
    rows = facet.responded[:, 0] & (columns["pain_nrs"] == 8)
    covariates = {name: values[rows] for name, values in _numeric_covariates(facet).items() if name != "pain_nrs"}
    assert max(map(abs, _correlate(facet.pain[rows, 0], covariates).values())) < 4.2


def test_correlations_of_scores_are_those_of_the_loadings() -> None:
    assumptions = Assumptions()
    latents = draw_patients(assumptions, np.zeros(60_000), np.random.default_rng(6))
    scores = compute_scores(assumptions, latents)
    correlation = np.array([[1.0, 0.4, 0.2], [0.4, 1.0, 0.2], [0.2, 0.2, 1.0]])
    for one, other in (("pain_nrs", "odi"), ("depression", "catastrophizing_pcs"), ("age_years", "diabetes")):
        expected = np.array(assumptions.loadings[one]) @ correlation @ np.array(assumptions.loadings[other])
        assert np.corrcoef(scores[one], scores[other])[0, 1] == pytest.approx(expected, abs=0.015)
        assert scores[one].std() == pytest.approx(1.0, abs=0.015)


def test_marginals_are_those_of_the_record(facet: Block, world: World) -> None:
    columns, baseline = facet.population.columns, world.baselines["lumbar_facet"]
    for name in ("depression", "smoker", "paraspinal_tenderness"):
        assert columns[name].mean() == pytest.approx(baseline[name].share, abs=0.015)
    assert (columns["sex"] == "female").mean() == pytest.approx(0.618, abs=0.015)
    assert columns["pain_nrs"].mean() == pytest.approx(7.1, abs=0.1)
    assert np.median(columns["pain_duration_months"]) == pytest.approx(60, rel=0.1)
    assert (columns["opioid_mme"] > 0).mean() == pytest.approx(0.35, abs=0.015)
    assert (columns["diagnostic_blocks_positive"] == 2).mean() == pytest.approx(0.6, abs=0.015)


def test_choice_is_confounded_and_known(failed_back: Block, world: World) -> None:
    scs = [world.records[option].technique for option in failed_back.options].index("spinal_cord_stimulation")
    chosen, pain = failed_back.chosen == scs, failed_back.population.columns["pain_nrs"]
    assert pain[chosen].mean() > pain[~chosen].mean() + 0.1
    assert failed_back.propensity.sum(axis=1) == pytest.approx(1.0)
    again = compute_propensity(
        failed_back.population, failed_back.options, world.records, world.sites, world.assumptions
    )
    assert (again == failed_back.propensity).all()


def test_confounding_bites_and_the_true_propensity_heals_it(failed_back: Block) -> None:
    """The difference between two techniques is biased as they come, and not when weighted by the true propensity."""
    month = 1
    truth, naive, healed, naive_error, healed_error = np.zeros(5)
    for place, sign in ((0, 1.0), (1, -1.0)):
        took = failed_back.chosen == place
        weight = 1.0 / failed_back.propensity[took, place]
        responded = failed_back.responded[took, month].astype(float)
        truth += sign * failed_back.probability[place][:, month].mean()
        naive += sign * responded.mean()
        healed += sign * np.average(responded, weights=weight)
        naive_error += responded.var() / took.sum()
        healed_error += responded.var() * (weight**2).sum() / weight.sum() ** 2
    assert abs(naive - truth) > 3.0 * np.sqrt(naive_error)
    assert abs(healed - truth) < 3.5 * np.sqrt(healed_error)


def test_survival_is_that_of_the_record(cancer: Block, facet: Block) -> None:
    assert np.median(cancer.death_month) == pytest.approx(5.0, rel=0.03)
    assert np.isinf(facet.death_month).all()


def test_second_episodes_keep_the_patient(facet: Block) -> None:
    population = facet.population
    again = np.flatnonzero(population.patient[1:] == population.patient[:-1]) + 1
    assert len(again) / len(np.unique(population.patient)) == pytest.approx(0.10, abs=0.01)
    columns = population.columns
    assert (columns["sex"][again] == columns["sex"][again - 1]).all()
    assert (population.site[again] == population.site[again - 1]).all()
    assert (population.year[again] == population.year[again - 1] + 1).all()
    assert columns["prior_procedure"][again].all()
    correlation = np.corrcoef(columns["pain_nrs"][again], columns["pain_nrs"][again - 1])[0, 1]
    assert 0.55 < correlation < 0.85


def test_effects_are_the_sum_of_log_odds_ratios() -> None:
    record = load_record("si_joint_rfa", "sacroiliac_joint")
    columns = {
        "age_years": np.array([70.0, 50.0]),
        "pain_nrs": np.array([6.0, 6.0]),
        "diagnostic_blocks_positive": np.array([2.0, 2.0]),
        "opioid_mme": np.array([0.0, 20.0]),
        "depression": np.array([False, True]),
        "bmi": np.array([25.0, 30.0]),
        "smoker": np.array([False, False]),
        "compensation_claim": np.array([False, False]),
        "odi": np.array([40.0, 40.0]),
    }
    effects = compute_effects(record, columns, Assumptions())
    assert effects[0] - effects[1] == pytest.approx(np.log(0.60) - np.log(0.70) - np.log(0.65) - np.log(0.75))


def test_impossible_correlations_and_loadings_are_refused() -> None:
    with pytest.raises(SettingsError, match="factor_correlations: not positive definite"):
        draw_patients(
            replace(Assumptions(), factor_correlations=(0.9, 0.9, -0.9)), np.zeros(3), np.random.default_rng(1)
        )
    heavy = replace(Assumptions(), loadings={"pain_nrs": (0.9, 0.9, 0.0)})
    with pytest.raises(SettingsError, match="loadings: those of 'pain_nrs' explain"):
        compute_scores(heavy, draw_patients(heavy, np.zeros(3), np.random.default_rng(1)))
