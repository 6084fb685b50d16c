"""Each mechanism does what it says, and its noise knows nothing of the covariates given its parents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import kstest

from paincast.evidence import load_record
from paincast.simulator import Assumptions, documented_correlations
from paincast.simulator.block import follow_option, screen_block
from paincast.simulator.course.events import Risk, compute_any_complication, list_risks
from paincast.simulator.course.response import PAIN, compute_effects, compute_shared, scale_curve
from paincast.simulator.course.visit_process import compute_loss, compute_missingness_factor, draw_observed
from paincast.simulator.defaults import FACTORS
from paincast.simulator.population.choice import compute_propensity, name_choice_columns
from paincast.simulator.population.patients import compute_scores
from paincast.simulator.population.referral import make_columns
from paincast.simulator.population.selection import compute_pass, find_share, make_stage, normalise_selected
from paincast.simulator.scenario import Scenario, build_scenario
from paincast.simulator.truth import list_options

from .conftest import Drawn, draw_block

FloatArray = NDArray[np.float64]


def _list_covariates(drawn: Drawn, name: str) -> dict[str, FloatArray]:
    treated, referred = drawn.treated[name], drawn.screened.referred
    held = {column: values.astype(float) for column, values in treated.columns.items()}
    held |= {
        factor: referred.latents.factors[place][treated.rows].astype(float) for place, factor in enumerate(FACTORS)
    }
    held |= {"site": referred.site[treated.rows].astype(float), "year": referred.year[treated.rows].astype(float)}
    return {column: values for column, values in held.items() if values.std() > 0}


def _correlate(noise: FloatArray, covariates: dict[str, FloatArray]) -> dict[str, float]:
    """Correlation of noise with each covariate, in standard errors."""
    return {name: float(np.corrcoef(noise, values)[0, 1] * np.sqrt(len(noise))) for name, values in covariates.items()}


def _compute_noise(drawn: Drawn, name: str) -> dict[str, FloatArray]:
    """What each mechanism adds to its parents, at the first month, among those who received an option."""
    scenario, treated, option = drawn.scenario, drawn.treated[name], drawn.option(name)
    noise = {}
    for outcome, margin in treated.course.margins.items():
        outcome_model = option.model.by_outcome[outcome]
        predictor = outcome_model.strength * treated.effects[option.effect] + treated.shared
        noise[outcome] = (margin[:, 0] >= 0) - expit(outcome_model.intercepts[0] + predictor)
    responded = treated.course.responded[:, 0]
    failing, responding = compute_loss(scenario.assumptions)
    kept = (1 - np.where(responded, responding, failing)) * (1 - scenario.assumptions.visit_missing_share)
    year = drawn.screened.referred.year[treated.rows]
    in_time = year + 0.5 + option.model.months[0] / 12 <= scenario.assumptions.data_end_year
    noise["observation"] = np.where(in_time, treated.seen[:, 0] - kept, 0.0)
    site = drawn.screened.referred.site[treated.rows]
    tilt = compute_missingness_factor(
        treated.columns["age_years"], scenario.sites, site, drawn.stratum.mean_age, scenario.assumptions
    )
    for column, missing in treated.missing.items():
        share = scenario.assumptions.missing.get(column, scenario.assumptions.missing_other)
        noise[f"missing {column}"] = missing - share * tilt
    for place, risk in enumerate(option.risks):
        occurred = np.zeros(len(responded))
        occurred[treated.events.rows[treated.events.risk == place]] = 1.0
        able = 1.0 if risk.place is None else ~treated.course.responded[:, risk.place]
        noise[f"{risk.event_kind} {risk.detail}"] = occurred - risk.conditional * able
    return noise


def test_noise_is_independent_of_covariates_given_parents(scenario: Scenario) -> None:
    """Over 5 seeds together: some 2000 pairs, so 4.8 standard errors is a false alarm in 1 of 300 choices of seeds."""
    total: dict[tuple[str, str], list[float]] = {}
    for seed in range(1, 6):
        drawn = draw_block(scenario, "failed_back_surgery", seed, n_patients=20_000)
        covariates = _list_covariates(drawn, "spinal_cord_stimulation")
        for mechanism, noise in _compute_noise(drawn, "spinal_cord_stimulation").items():
            if noise.std() > 0:
                for name, errors in _correlate(noise, covariates).items():
                    total.setdefault((mechanism, name), []).append(errors)
    pooled = {pair: sum(errors) / np.sqrt(len(errors)) for pair, errors in total.items()}
    assert len(pooled) > 1000
    assert max(map(abs, pooled.values())) < 4.8, max(pooled, key=lambda pair: abs(pooled[pair]))
    assert np.std(list(pooled.values())) < 1.1


def test_choice_and_selection_are_drawn_with_their_probabilities(failed_back: Drawn) -> None:
    screened = failed_back.screened
    covariates = make_columns(failed_back.stratum.population, screened.referred, failed_back.scenario.assumptions)
    chosen = (screened.chosen == 0) - screened.propensity[0].astype(float)
    selection_probability = screened.selection_probability[screened.chosen, np.arange(len(screened.chosen))]
    held = {name: values.astype(float) for name, values in covariates.items() if values.std() > 0}
    for noise in (chosen, screened.goes_on - selection_probability.astype(float)):
        assert max(map(abs, _correlate(noise, held).values())) < 4.0


def test_correlations_are_the_documented_ones(radicular: Drawn) -> None:
    population, referred = radicular.stratum.population, radicular.screened.referred
    first = np.flatnonzero(~referred.is_repeat)
    names = [name for name in documented_correlations().index if name in population.structure.names]
    scores = np.array(list(compute_scores(population.structure, referred.latents, names, first).values()))
    expected = documented_correlations().loc[names, names].to_numpy()
    assert np.corrcoef(scores) == pytest.approx(expected, abs=0.03)
    factors = np.corrcoef(referred.latents.factors[:, first])
    assert factors == pytest.approx(documented_correlations().loc[list(FACTORS), list(FACTORS)].to_numpy(), abs=0.02)


def test_distress_pain_disability_and_opioids_form_a_positive_manifold() -> None:
    held = ["depression", "catastrophizing_pcs", "pain_nrs", "odi", "opioid_use", "opioid_dose"]
    matrix = documented_correlations().loc[held, held].to_numpy()
    assert (matrix[~np.eye(len(held), dtype=bool)] > 0.15).all()
    assert np.linalg.eigvalsh(documented_correlations().to_numpy()).min() > 0


def test_independent_quantities_do_not_correlate() -> None:
    assumptions = Assumptions(correlation="independent")
    scenario = build_scenario(["sacroiliac_joint"], "literature", assumptions)
    drawn = draw_block(scenario, "sacroiliac_joint", 3)
    columns = pd.DataFrame(make_columns(drawn.stratum.population, drawn.screened.referred, assumptions)).astype(float)
    first = columns[~drawn.screened.referred.is_repeat].drop(columns=["active_infection", "pregnant"])
    matrix = first.drop(columns=["work_status"]).corr().to_numpy()
    assert abs(matrix[~np.eye(len(matrix), dtype=bool)]).max() < 0.02
    assert (
        documented_correlations(assumptions).drop(index=list(FACTORS), columns=list(FACTORS)).to_numpy()
        == np.eye(len(assumptions.loadings))
    ).all()


def test_marginals_are_those_of_the_record(facet: Drawn) -> None:
    """Among all who are referred; what a trial or block told, among those who go on."""
    referred, baseline = facet.screened.referred, facet.stratum.population.baselines
    everybody = make_columns(facet.stratum.population, referred, facet.scenario.assumptions)
    columns = facet.treated["facet_rfa"].columns
    stages = facet.stratum.population.stages
    assert set(stages) == {"diagnostic_blocks_positive", "test_block_success"}
    for name, held in baseline.items():
        values = everybody[name][~referred.is_repeat]
        if name in stages or name == "block_relief_percent":  # ends at 100, so that its recorded mean is lower
            continue
        if values.dtype == bool and name != "prior_procedure":
            assert values.mean() == pytest.approx(held.share, abs=0.02), name
        elif held.mean is not None:
            assert values.mean() == pytest.approx(held.mean, abs=0.06 * (held.sd or 0)), name
        elif held.median is not None and name != "opioid_mme":
            assert np.median(values) == pytest.approx(held.median, rel=0.1), name
    assert (everybody["opioid_mme"] > 0).mean() == pytest.approx(baseline["opioid_mme"].share, abs=0.02)
    injected = facet.treated["facet_joint_injection"].columns["test_block_success"]
    assert injected.mean() == pytest.approx(baseline["test_block_success"].share, abs=0.02)
    shares = baseline["diagnostic_blocks_positive"].shares
    assert shares
    for value, share in shares.items():
        assert (columns["diagnostic_blocks_positive"] == value).mean() == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(("share", "slope"), [(0.45, 1.0), (0.8, 2.0), (0.9, 0.0), (1.0, 1.0)])
def test_a_stage_lets_its_share_pass_and_its_result_stays_normal(share: float, slope: float) -> None:
    stage = make_stage("block_relief_percent", share, slope)
    rng = np.random.default_rng(1)
    score = rng.standard_normal(100_000, dtype=np.float32)
    goes_on = rng.random(len(score)) < compute_pass(stage, score)
    assert goes_on.mean() == pytest.approx(share, abs=0.006)
    assert kstest(normalise_selected(stage, score[goes_on]), "norm").statistic < 0.006
    if slope and share < 1:
        assert score[goes_on].mean() > score[~goes_on].mean() + 0.5


def test_who_passes_is_what_studies_count_and_else_what_is_assumed() -> None:
    records = [load_record("facet_rfa"), load_record("si_joint_rfa")]
    told = [record.response.trial_success for record in records if record.response and record.response.trial_success]
    assert len(told) == 2
    assumptions = Assumptions(pass_shares={"diagnostic_blocks_positive": 0.123})
    assert find_share("diagnostic_blocks_positive", records, assumptions) == pytest.approx(np.mean(told))
    untold = [
        replace(record, response=replace(record.response, trial_success=None)) for record in records if record.response
    ]
    assert find_share("diagnostic_blocks_positive", untold, assumptions) == 0.123
    assert find_share("test_block_success", untold, assumptions) == 1.0


def test_choice_is_confounded_and_known(failed_back: Drawn) -> None:
    scenario, screened = failed_back.scenario, failed_back.screened
    records = [option.record for option in failed_back.stratum.options]
    names = name_choice_columns(records, scenario.assumptions)
    columns = make_columns(failed_back.stratum.population, screened.referred, scenario.assumptions, names=names)
    scs = failed_back.treated["spinal_cord_stimulation"].place
    chosen, pain = screened.chosen == scs, columns["pain_nrs"]
    assert pain[chosen].mean() > pain[~chosen].mean() + 0.1
    assert screened.propensity.sum(axis=0) == pytest.approx(1.0, abs=1e-6)
    referred = screened.referred
    again = compute_propensity(columns, referred, records, scenario.sites, scenario.assumptions)
    assert (again == screened.propensity).all()
    stronger = replace(scenario.assumptions, confounding_strength=2.0)
    assert compute_propensity(columns, referred, records, scenario.sites, stronger)[0].std() > 1.3 * again[0].std()
    randomised = replace(scenario.assumptions, assignment="randomised")
    assert compute_propensity(columns, referred, records, scenario.sites, randomised).std(axis=1).max() < 1e-6


def test_confounding_bites_and_the_true_propensity_heals_it(radicular: Drawn) -> None:
    """The difference between two techniques is biased as they come, and not when weighted by the true propensity.

    The target are those referred, for whom each option's response were they treated by it is known.
    """
    screened = radicular.screened
    truth, naive, healed, naive_error, healed_error = np.zeros(5)
    for sign, name in ((1.0, "interlaminar"), (-1.0, "nerve_root_block")):
        treated, option = radicular.treated[name], radicular.option(name)
        chance = (screened.propensity * screened.selection_probability)[treated.place]
        month = option.model.months.index(3.0)
        weight = 1.0 / chance[treated.rows]
        responded = treated.course.responded[:, month].astype(float)
        truth += sign * _average_over_referred(radicular, name, month)
        naive += sign * responded.mean()
        healed += sign * np.average(responded, weights=weight)
        naive_error += responded.var() / len(responded)
        healed_error += responded.var() * (weight**2).sum() / weight.sum() ** 2
    assert abs(naive - truth) > 3.0 * np.sqrt(naive_error)
    assert abs(healed - truth) < 3.5 * np.sqrt(healed_error)


def _average_over_referred(drawn: Drawn, name: str, month: int) -> float:
    option, referred, scenario = drawn.option(name), drawn.screened.referred, drawn.scenario
    columns = make_columns(drawn.stratum.population, referred, scenario.assumptions)
    predictor = compute_effects(option.record, columns, scenario.assumptions)
    predictor = predictor + compute_shared(scenario.sites, referred, scenario.assumptions)
    return float(expit(option.model.by_outcome[PAIN].intercepts[month] + predictor).mean())


def test_a_randomised_choice_leaves_the_potential_outcomes_as_they_are(scenario: Scenario) -> None:
    other = replace(scenario.assumptions, assignment="randomised")
    randomised = build_scenario(scenario.strata, scenario.name, other)
    pd.testing.assert_frame_equal(list_options(randomised), list_options(scenario))
    stratum, of_random = scenario.strata["failed_back_surgery"], randomised.strata["failed_back_surgery"]
    assert not np.allclose(of_random.uptake, stratum.uptake, rtol=0.005)
    one, two = (
        screen_block(held, held.strata["failed_back_surgery"], np.random.default_rng(4), 500)
        for held in (scenario, randomised)
    )
    np.testing.assert_array_equal(one.referred.latents.particular, two.referred.latents.particular)
    np.testing.assert_array_equal(one.selection_probability, two.selection_probability)
    assert two.propensity.std(axis=1).max() < 1e-6 < one.propensity.std(axis=1).min()


def test_complications_have_the_rates_of_the_record(radicular: Drawn, cancer: Drawn) -> None:
    for drawn, name in ((radicular, "transforaminal"), (radicular, "caudal"), (cancer, "celiac_plexus_neurolysis")):
        treated, option = drawn.treated[name], drawn.option(name)
        n = len(treated.rows)
        counted = {item.kind.replace("_", " "): item.patient_rate for item in option.record.counted_complications}
        shares = np.bincount(treated.events.risk, minlength=len(option.risks)) / n
        seen = {risk.detail: share for risk, share in zip(option.risks, shares, strict=True)}
        assert counted
        for kind, rate in counted.items():
            assert rate is not None
            assert abs(seen[kind] - rate) < 4 * np.sqrt(rate * (1 - rate) / n) + 0.001, kind


def test_what_follows_from_failure_has_its_rate_and_only_those_who_fail(failed_back: Drawn) -> None:
    treated, option = failed_back.treated["spinal_cord_stimulation"], failed_back.option("spinal_cord_stimulation")
    n = len(treated.rows)
    kinds = set()
    for place, risk in enumerate(option.risks):
        if risk.place is not None:
            kinds.add(risk.event_kind)
            own = treated.events.risk == place
            assert not treated.course.responded[treated.events.rows[own], risk.place].any()
            assert own.sum() / n == pytest.approx(risk.probability, abs=0.01)
            assert treated.events.month[own].min(initial=np.inf) >= option.model.months[risk.place]
    assert "explant" in kinds


def test_events_come_evenly_within_their_window(radicular: Drawn, failed_back: Drawn) -> None:
    for drawn, name in ((radicular, "transforaminal"), (failed_back, "spinal_cord_stimulation")):
        treated, option = drawn.treated[name], drawn.option(name)
        for place, risk in enumerate(option.risks):
            month = treated.events.month[treated.events.risk == place]
            start = 0.0 if risk.place is None else option.model.months[risk.place]
            if len(month) > 100:
                assert kstest((month - start) / (risk.by_month - start), "uniform").pvalue > 1e-4, risk.detail


def test_what_happens_to_the_first_does_not_depend_on_how_many_follow(scenario: Scenario) -> None:
    whole, part = (
        follow_option(drawn.scenario, drawn.stratum, drawn.screened, 0, n)
        for drawn, n in ((draw_block(scenario, "failed_back_surgery", 3, 2_000, treat=False), n) for n in (None, 100))
    )
    for name in ("rows", "shared", "death_month", "guidance", "seen", "pain"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:100])
    np.testing.assert_array_equal(part.effects, whole.effects[:, :100])
    for held, others in (
        (part.course.margins, whole.course.margins),
        (part.course.measures, whole.course.measures),
        (part.missing, whole.missing),
        (part.missing_at_visits, whole.missing_at_visits),
        (part.columns, whole.columns),
    ):
        for name in others:
            np.testing.assert_array_equal(held[name], others[name][:100])
    first = whole.events.rows < 100
    for name in ("rows", "risk", "month"):
        np.testing.assert_array_equal(getattr(part.events, name), getattr(whole.events, name)[first])


def test_more_events_than_failures_do_not_depend_on_response() -> None:
    record = load_record("spinal_cord_stimulation", "crps")
    curve = dict.fromkeys(scale_curve(record, "literature"), 0.95)
    revision = max(list_risks(record, curve, Assumptions()), key=lambda risk: risk.probability)
    assert revision.probability > 0.05
    assert revision.place is None
    assert revision.conditional == revision.probability


def test_any_complication_is_that_of_independent_kinds() -> None:
    risks = [
        Risk(event_kind=kind, detail="", probability=share, by_month=1, place=None, conditional=share)
        for kind, share in (("complication", 0.1), ("complication", 0.2), ("surgery", 0.5))
    ]
    assert compute_any_complication(risks) == pytest.approx(1 - 0.9 * 0.8)


def test_survival_is_that_of_the_record(cancer: Drawn, facet: Drawn) -> None:
    treated = cancer.treated["celiac_plexus_neurolysis"]
    assert np.median(treated.death_month) == pytest.approx(5.0, rel=0.03)
    assert np.isinf(facet.treated["facet_rfa"].death_month).all()
    months = np.array(cancer.option("celiac_plexus_neurolysis").model.months)
    assert not treated.seen[months >= treated.death_month[:, None]].any()


def test_loss_depends_on_outcome_and_is_for_good(scenario: Scenario) -> None:
    assumptions = replace(scenario.assumptions, visit_missing_share=0.0, data_end_year=2100.0)
    responded = np.random.default_rng(4).random((60_000, 3)) < 0.5
    seen = draw_observed(
        responded,
        [1.0, 3.0, 6.0],
        np.full(60_000, 2020),
        np.full(60_000, np.inf, dtype=np.float32),
        assumptions,
        np.random.default_rng(5),
    )
    failing, responding = compute_loss(assumptions)
    assert failing > 1.5 * responding
    for group, share in ((True, responding), (False, failing)):
        assert (~seen[responded[:, 0] == group, 0]).mean() == pytest.approx(share, abs=0.005)
    assert not (seen[:, 1:] & ~seen[:, :-1]).any()
    at_random = replace(assumptions, loss_mnar=0.0)
    assert compute_loss(at_random) == pytest.approx((0.04, 0.04))
    assert compute_loss(replace(assumptions, loss_share=0.0)) == (0.0, 0.0)


def test_missing_values_have_their_share_and_depend_on_site_and_age(facet: Drawn) -> None:
    treated = facet.treated["facet_rfa"]
    shares = facet.scenario.assumptions.missing
    for name, missing in treated.missing.items():
        share = shares.get(name, facet.scenario.assumptions.missing_other)
        error = np.sqrt(share * (1 - share) / len(missing))
        assert abs(missing.mean() - share) < 0.1 * share + 3.7 * error, name
    odi, site = treated.missing["odi"], facet.screened.referred.site[treated.rows]
    by_site = [odi[site == place].mean() / facet.scenario.sites.missing[place] for place in range(4)]
    assert np.std(by_site) / np.mean(by_site) < 0.15
    assert np.ptp(facet.scenario.sites.missing) > 0.5
    old = treated.columns["age_years"] > facet.stratum.mean_age
    assert odi[old].mean() > odi[~old].mean() + 0.01


def test_scores_are_heaped_without_changing_the_answer(facet: Drawn) -> None:
    treated = facet.treated["facet_rfa"]
    before = treated.columns["pain_nrs"][:, None]
    assert ((1 - treated.pain / 10 / before >= 0.5 - 1e-6) == treated.course.responded).all()
    whole = (treated.pain % 10 == 0).mean()
    assert 0.75 < whole < 0.95
    assert (treated.course.measures["pain_nrs"] % 10 == 0).mean() < 0.35


def test_second_episodes_keep_the_patient(facet: Drawn) -> None:
    referred, scenario = facet.screened.referred, facet.scenario
    columns = make_columns(facet.stratum.population, referred, scenario.assumptions)
    again = np.flatnonzero(referred.is_repeat)
    first = again - 1
    assert (referred.patient[again] == referred.patient[first]).all()
    assert referred.is_repeat.sum() / (~referred.is_repeat).sum() == pytest.approx(0.10, abs=0.01)
    for name in ("sex", "depression", "smoker"):
        assert (columns[name][again] == columns[name][first]).all()
    assert (referred.site[again] == referred.site[first]).all()
    assert (referred.year[again] == referred.year[first] + 1).all()
    assert columns["prior_procedure"][again].all()
    assert 0.55 < np.corrcoef(columns["pain_nrs"][again], columns["pain_nrs"][first])[0, 1] < 0.85


def test_sites_and_years_differ(facet: Drawn) -> None:
    referred, treated = facet.screened.referred, facet.treated["facet_rfa"]
    site, year = referred.site[treated.rows], referred.year[treated.rows]
    shift = [
        treated.shared[(site == place) & (year == 2019)].mean() for place in range(facet.scenario.assumptions.n_sites)
    ]
    assert shift == pytest.approx(facet.scenario.sites.response, abs=1e-5)
    early, late = (treated.shared[(site == 0) & (year == y)].mean() for y in (2014, 2024))
    assert late - early == pytest.approx(10 * facet.scenario.assumptions.response_drift_per_year, abs=1e-4)
    users = treated.columns["opioid_mme"] > 0
    assert users[year == 2014].mean() > users[year == 2024].mean() + 0.03


def test_retirement_follows_age(facet: Drawn) -> None:
    columns = facet.treated["facet_rfa"].columns
    retired = columns["work_status"] == 1
    assert (retired == (columns["age_years"] >= facet.scenario.assumptions.retirement_age_years)).all()
