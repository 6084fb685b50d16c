"""Evidence as a prior: soft labels, the update by patients, and draws that keep what they stand for."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from paincast.models.beliefs import EVIDENCE, NO_EFFECT, OVERALL_RISK, UNKNOWN_EFFECTS
from paincast.models.cross_fitting import cross_fit
from paincast.models.prior.gaussian import EvidencePrior, make_design, make_evidence_prior, make_level_prior, recentre
from paincast.models.prior.posterior import (
    Posterior,
    Rows,
    code_sites,
    draw_coefficients,
    fit_component,
    list_components,
    update_prior,
)
from paincast.models.prior.response import fit_with_prior, make_prior_response, predict_with_prior
from paincast.models.prior.soft_labels import PENALTY_SD, fit_soft_labels
from paincast.settings import ModelSettings, ObservationSettings, TrainingSettings, UncertaintySettings
from paincast.simulator.evidence_draws import draw_evidence
from paincast.statistics import compute_log_loss


@pytest.fixture(scope="module")
def drawn():
    return draw_evidence(
        "facet_rfa", "pain_response", 6.0, scenario="literature", rng=np.random.default_rng(1), draws=160
    )


@pytest.fixture(scope="module")
def prior(drawn) -> EvidencePrior:
    return make_evidence_prior(drawn.episodes, drawn.log_odds, splines=False)


def make_settings() -> TrainingSettings:
    return TrainingSettings(
        observation=ObservationSettings(method="complete_case"), model=ModelSettings(candidates=["logistic"]), jobs=1
    )


def draw_outcome(drawn, number: int, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(len(drawn.episodes)) < expit(drawn.log_odds[:, number])).astype(float)


def make_rows(prior: EvidencePrior, drawn, outcome: np.ndarray, rows: np.ndarray) -> tuple[EvidencePrior, Rows]:
    matrix = prior.encoder.transform(drawn.episodes.iloc[rows])
    given_rows = Rows(
        matrix=matrix,
        outcome=outcome[rows],
        weights=np.ones(len(rows)),
        sites=np.full(len(rows), -1),
        site_sd=0.1,
    )
    return recentre(prior, matrix, given_rows.weights), given_rows


def test_soft_labels_are_fitted_as_an_optimiser_would():
    rng = np.random.default_rng(4)
    matrix, spreads = rng.standard_normal((400, 3)), np.array([1.0, 0.5, 1.0])
    matrix -= matrix.mean(axis=0)
    log_odds = np.column_stack([0.5 + matrix @ [0.4, -1.0, 0.2], -2.0 + 0.3 * matrix[:, 0] ** 2])
    fitted = fit_soft_labels(make_design(matrix), log_odds, spreads)

    def loss(values: np.ndarray, label: np.ndarray) -> float:
        penalty = ((values[1:] / (PENALTY_SD * spreads)) ** 2).sum() / 2
        return float(compute_log_loss(values[0] + matrix @ values[1:], label).sum() + penalty)

    for number in range(2):
        found = minimize(loss, np.zeros(4), args=(expit(log_odds[:, number]),), tol=1e-10).x
        np.testing.assert_allclose(fitted[number], found, atol=1e-4)


def test_a_prior_holds_what_the_draws_disagree_about(prior, drawn):
    assert prior.covariance[0, 0] ** 0.5 == pytest.approx(0.85, abs=0.12)
    assert np.linalg.eigvalsh(prior.covariance).min() > 0
    served = prior.mean[0] + (prior.encoder.transform(drawn.episodes) - prior.means) @ prior.mean[1:]
    assert np.corrcoef(served, drawn.log_odds.mean(axis=1))[0, 1] > 0.9
    assert 0.0 < prior.unexplained < 0.3


def test_recentring_changes_no_prediction(prior, drawn):
    matrix = prior.encoder.transform(drawn.episodes.iloc[:50])
    moved = recentre(prior, matrix, np.ones(50))
    designs = [np.column_stack([np.ones(50), matrix - one.means]) for one in (prior, moved)]
    first, second = (design @ one.mean for design, one in zip(designs, (prior, moved), strict=True))
    np.testing.assert_allclose(first, second)
    spreads = [
        np.einsum("ij,jk,ik->i", design, one.covariance, design)
        for design, one in zip(designs, (prior, moved), strict=True)
    ]
    np.testing.assert_allclose(*spreads)
    seen = designs[1].T @ designs[1] / 50
    shared = ((prior.metric * prior.covariance).sum() + (seen * moved.covariance).sum()) / 2
    assert (moved.metric * moved.covariance).sum() == pytest.approx(shared)


def test_the_weights_of_the_components_add_up(prior):
    level = make_level_prior(0.0, 1.0, prior.episodes, splines=False)
    for one in (prior, level):
        components = list_components(one)
        assert sum(component.weight for component in components) == pytest.approx(1.0)
        for component in components:
            assert np.linalg.eigvalsh(component.covariance).min() > 0
    assert EVIDENCE not in {component.name for component in list_components(level)}


def test_without_patients_the_posterior_is_the_prior_mixture(prior):
    posterior = update_prior(prior, None)
    assert posterior.weights[EVIDENCE] == pytest.approx(0.6)
    assert posterior.mean[0] == pytest.approx(prior.mean[0])
    np.testing.assert_allclose(posterior.mean[1:], 0.6 * prior.mean[1:])
    assert posterior.evidence_share == 1.0


@pytest.mark.parametrize("number", [0, 1, 2])
def test_patients_of_a_world_bring_the_posterior_to_it(prior, drawn, number):
    rng = np.random.default_rng(10 + number)
    outcome, order = draw_outcome(drawn, number, rng), rng.permutation(len(drawn.episodes))
    test = order[2000:]
    matrix = prior.encoder.transform(drawn.episodes.iloc[test])
    errors = []
    for n in (0, 100, 2000):
        if n:
            centred, rows = make_rows(prior, drawn, outcome, order[:n])
            posterior = update_prior(centred, rows)
        else:
            centred, posterior = prior, update_prior(prior, None)
        served = posterior.mean[0] + (matrix - centred.means) @ posterior.mean[1:]
        errors.append(((served - drawn.log_odds[test, number]) ** 2).mean())
    assert errors[2] < errors[1] < 1.2 * errors[0]
    assert posterior.weights[EVIDENCE] > 0.9
    assert 0.0 < posterior.evidence_share < 0.6


def test_patients_whom_nothing_tells_apart_bring_the_overall_risk(prior, drawn):
    rng = np.random.default_rng(5)
    outcome = (rng.random(len(drawn.episodes)) < 0.1).astype(float)
    centred, rows = make_rows(prior, drawn, outcome, rng.permutation(len(drawn.episodes))[:1500])
    posterior = update_prior(centred, rows)
    assert posterior.weights[NO_EFFECT] + posterior.weights[OVERALL_RISK] > 0.5
    assert not posterior.tells_patients_apart
    assert expit(posterior.mean[0]) == pytest.approx(rows.outcome.mean(), abs=0.02)


def test_effects_that_the_evidence_does_not_know_are_learnt(prior, drawn):
    rng = np.random.default_rng(6)
    matrix = prior.encoder.transform(drawn.episodes)
    unheard = np.where(np.abs(prior.mean[1:]) < 0.05, 0.5, 0.0) * rng.choice([-1.0, 1.0], matrix.shape[1])
    outcome = (rng.random(len(matrix)) < expit((matrix - prior.means) @ unheard)).astype(float)
    centred, rows = make_rows(prior, drawn, outcome, rng.permutation(len(matrix))[:2000])
    posterior = update_prior(centred, rows)
    assert posterior.weights[UNKNOWN_EFFECTS] > 0.9
    assert np.corrcoef(matrix @ posterior.mean[1:], matrix @ unheard)[0, 1] > 0.8


def test_one_component_agrees_with_an_optimiser(prior, drawn):
    rng = np.random.default_rng(7)
    outcome = draw_outcome(drawn, 0, rng)
    centred, rows = make_rows(prior, drawn, outcome, np.arange(200))
    rows = replace(rows, sites=np.arange(200) % 4)
    component = next(one for one in list_components(centred) if one.name == OVERALL_RISK)

    def loss(values: np.ndarray) -> float:
        log_odds = values[0] + values[1:][rows.sites]
        away = (values[0] - component.mean[0]) ** 2 / component.covariance[0, 0] + (values[1:] ** 2).sum() / 0.01
        return float(compute_log_loss(log_odds, rows.outcome).sum() + away / 2)

    found = minimize(loss, np.zeros(5), tol=1e-12)
    fit = fit_component(component, centred, rows)
    assert fit.mode[0] == pytest.approx(found.x[0], abs=1e-4)
    assert 0.0 < fit.chance[0, 0] < fit.covariance[0, 0]


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(2, 12), draws=st.integers(2, 32))
def test_draws_have_the_mean_and_the_variance_of_the_posterior(seed, size, draws):
    rng = np.random.default_rng(seed)
    root, columns = rng.standard_normal((size, size)), rng.standard_normal((200, size))
    metric = columns.T @ columns / 200
    posterior = Posterior(mean=rng.standard_normal(size), covariance=root @ root.T, weights={}, evidence_share=0.0)
    found = draw_coefficients(posterior, metric, draws, rng)
    np.testing.assert_allclose(found.mean(axis=0), posterior.mean, atol=1e-6)
    around = found - posterior.mean
    covariance = around.T @ around / draws
    assert (metric * covariance).sum() == pytest.approx((metric * posterior.covariance).sum(), rel=1e-4)
    if draws > size:
        np.testing.assert_allclose(covariance, posterior.covariance, rtol=1e-3, atol=1e-3)


def test_small_sites_share_the_level_of_all():
    assert (
        code_sites(pd.Series(["a"] * 6 + ["b"] * 4 + [None, "c"] + ["d"] * 5)).tolist() == [0] * 6 + [-1] * 6 + [1] * 5
    )


def test_the_response_adds_up_and_tells_where_its_uncertainty_comes_from(prior, drawn):
    settings = replace(make_settings(), uncertainty=UncertaintySettings(refits=32))
    rng = np.random.default_rng(8)
    outcome = draw_outcome(drawn, 3, rng)
    outcome[300:] = np.nan
    fit = fit_with_prior(prior, drawn.episodes, outcome, settings, rng)
    episodes = drawn.episodes.iloc[300:400]
    responses = [
        make_prior_response(fit, drawn.episodes.iloc[:300], settings, rng, individual=individual)
        for individual in (True, False)
    ]
    answers = [response.answer(episodes, 0.9) for response in responses]
    for response, answer in zip(responses, answers, strict=True):
        base, contributions = response.contributions(episodes)
        served = response.linear_predictor(episodes)
        np.testing.assert_allclose(base + contributions.sum(axis=1), served, atol=1e-9)
        shares = answer.filter(like="uncertainty_")
        np.testing.assert_allclose(shares.sum(axis=1), 1.0)
        assert (shares.to_numpy() >= 0).all()
        assert (shares["uncertainty_missing"] > 0).equals(episodes[list(response.missing_variances)].isna().any(axis=1))
    widths = [(answer["upper"] - answer["lower"]).mean() for answer in answers]
    assert widths[0] > widths[1]


def test_sites_that_differ_widen_the_interval(prior, drawn):
    rng = np.random.default_rng(9)
    shift = np.where(drawn.episodes["site_id"].rank(method="dense").astype(int) % 2, 1.5, -1.5)
    same, apart = (
        fit_with_prior(
            prior,
            drawn.episodes,
            (rng.random(len(shift)) < expit(by * shift)).astype(float),
            make_settings(),
            rng,
        )
        for by in (0.0, 1.0)
    )
    assert same.rows is not None
    assert apart.rows is not None
    assert same.rows.site_sd < 0.3 < 1.0 < apart.rows.site_sd


def test_out_of_fold_predictions_do_not_see_their_patient(prior, drawn):
    rng = np.random.default_rng(11)
    outcome = draw_outcome(drawn, 0, rng)[:200]
    episodes = drawn.episodes.iloc[:200].reset_index(drop=True)
    settings = make_settings()
    predict = partial(predict_with_prior, prior=prior, settings=settings)
    first = cross_fit(predict, episodes, outcome, settings, np.random.default_rng(1)).linear_predictor
    assert np.isfinite(first).all()
    outcome[0] = 1.0 - outcome[0]
    second = cross_fit(predict, episodes, outcome, settings, np.random.default_rng(1)).linear_predictor
    assert (first != second).mean() > 0.5
