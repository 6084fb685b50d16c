"""Durations with a prior: hazards that follow the evidence, their update by patients, and what is told of it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from paincast.files.serialization import from_plain, to_plain
from paincast.models.prior.durations import (
    DurationFit,
    DurationPrior,
    fit_durations_with_prior,
    make_duration_prior,
    make_prior_duration_response,
)
from paincast.models.survival.response import DurationResponse
from paincast.settings import UncertaintySettings
from paincast.simulator.evidence_draws import simulate_reference_patients
from paincast.simulator.relief_draws import ReliefDraws, draw_relief

MONTHS = (1.0, 3.0, 6.0, 12.0)
SETTINGS = UncertaintySettings()


def draw(number: int, draws: int) -> ReliefDraws:
    return draw_relief("facet_rfa", MONTHS, scenario="literature", rng=np.random.default_rng(number), draws=draws)


@pytest.fixture(scope="module")
def drawn() -> ReliefDraws:
    return draw(1, 150)


@pytest.fixture(scope="module")
def prior(drawn) -> DurationPrior:
    return make_duration_prior(drawn.episodes, MONTHS, drawn.survival, splines=False)


def fit(prior: DurationPrior, episodes: pd.DataFrame, months: np.ndarray, status: np.ndarray) -> DurationFit:
    weights = np.ones(len(months))
    return fit_durations_with_prior(prior, episodes, months, status, weights, SETTINGS, np.random.default_rng(2))


@pytest.fixture(scope="module")
def untaught(prior) -> DurationFit:
    return fit(prior, prior.prior.episodes.iloc[:0], np.empty(0), np.empty(0))


def live(survival: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Lose relief at the visits as survival says, shape (n, n_months); nobody is lost to follow-up."""
    drawn = np.random.default_rng(seed).random(len(survival))[:, None]
    lost = drawn >= survival
    months = np.where(lost.any(axis=1), np.array(MONTHS)[lost.argmax(axis=1)], MONTHS[-1])
    return months, lost.any(axis=1).astype(float)


def test_draws_are_centred_on_the_truth_of_the_simulator(drawn):
    truth = simulate_reference_patients("facet_rfa", "literature").truth
    shares = truth.expand(technique="facet_rfa", outcome="relief_duration").groupby("month")["probability"].mean()
    assert (np.diff(drawn.survival, axis=1) <= 0).all()
    for place, month in enumerate(MONTHS):
        centre = expit(logit(drawn.survival[:, place].mean(axis=0)).mean())
        assert centre == pytest.approx(shares[month], abs=0.06)


def test_without_patients_the_curve_is_that_of_the_evidence(untaught, drawn):
    served = untaught.model.survival(drawn.episodes, MONTHS)
    np.testing.assert_allclose(served.mean(axis=0), drawn.survival.mean(axis=(0, 2)), atol=0.05)
    assert (np.diff(served, axis=1) <= 0).all()
    assert untaught.posterior.evidence_share == 1.0
    assert untaught.model.death is None


def test_the_interval_holds_new_draws(untaught, prior, drawn):
    nobody = drawn.episodes.iloc[:0]
    fresh = draw(3, 60)
    for place, month in enumerate(MONTHS):
        response = make_prior_duration_response(untaught, prior.unexplained, nobody, month, SETTINGS)
        answer = response.answer(drawn.episodes, 0.9)
        truth = fresh.survival[:, place]
        held = (answer["lower"].to_numpy()[:, None] <= truth) & (truth <= answer["upper"].to_numpy()[:, None])
        assert 0.85 < held.mean() < 0.99
        shares = answer.filter(like="uncertainty_")
        np.testing.assert_allclose(shares.sum(axis=1), 1.0)
        base, parts = response.contributions(drawn.episodes)
        np.testing.assert_allclose(base + parts.sum(axis=1), logit(answer["probability"]), atol=1e-6)


@pytest.mark.parametrize("number", [0, 1])
def test_patients_move_the_curve_towards_theirs_and_narrow_it(untaught, prior, drawn, number):
    truth = draw(7, 2).survival[:, :, number]
    months, status = live(truth, 4)
    taught = fit(prior, drawn.episodes, months, status)
    before, after = (np.abs(one.model.survival(drawn.episodes, MONTHS) - truth).mean() for one in (untaught, taught))
    assert after < 0.6 * before
    assert after < 0.06
    widths = [
        np.ptp(make_prior_duration_response(one, prior.unexplained, seen, 6.0, SETTINGS).answer(drawn.episodes, 0.9)[
            ["lower", "upper"]
        ], axis=1).mean()
        for one, seen in ((untaught, drawn.episodes.iloc[:0]), (taught, drawn.episodes))
    ]  # fmt: skip
    assert widths[1] < 0.5 * widths[0]


def test_the_dead_are_a_competing_event(prior, drawn):
    months, status = live(drawn.survival[:, :, 0], 5)
    died = np.arange(len(months)) % 4 == 0
    months[died], status[died] = 2.0, 2.0
    model = fit(prior, drawn.episodes, months, status).model
    lost, dead = model.incidence(drawn.episodes, MONTHS)
    assert dead[:, -1].mean() > 0.1
    assert (lost + dead <= 1.0).all()


def test_state_is_plain_json_and_gives_the_same_answers(untaught, prior, drawn):
    response = make_prior_duration_response(untaught, prior.unexplained, drawn.episodes.iloc[:0], 6.0, SETTINGS)
    again = from_plain(json.loads(json.dumps(to_plain(response))), DurationResponse)
    pd.testing.assert_frame_equal(again.answer(drawn.episodes, 0.9), response.answer(drawn.episodes, 0.9))
    alone = response.answer(drawn.episodes, 0.9, interval=False)
    pd.testing.assert_frame_equal(alone, response.answer(drawn.episodes, 0.9)[["probability", "expected"]])
    assert again.parameters == response.parameters
    assert again.shows_reasons
