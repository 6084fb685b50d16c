"""The change of pain that follows from a model of half relief: agreement, margins, contributions, interval, state."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from paincast.models.continuous.cumulative import CumulativeChangeResponse, make_cumulative_change
from paincast.models.prior.gaussian import make_evidence_prior
from paincast.models.prior.response import fit_with_prior, make_prior_response
from paincast.models.serialization import read_response, to_response_state
from paincast.settings import TrainingSettings
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.evidence_draws import draw_evidence

COURSE = Assumptions().courses["pain_relief"]
SETTINGS = TrainingSettings(jobs=1)


@pytest.fixture(scope="module")
def response():
    drawn = draw_evidence(
        "facet_rfa", "pain_response", 6.0, scenario="literature", rng=np.random.default_rng(1), draws=160
    )
    prior = make_evidence_prior(drawn.episodes, drawn.log_odds, splines=False)
    nobody = drawn.episodes.iloc[:0]
    fit = fit_with_prior(prior, nobody, np.empty(0), SETTINGS, np.random.default_rng(2))
    return make_prior_response(fit, nobody, SETTINGS, np.random.default_rng(3), individual=True), drawn.episodes


def make(response, episodes, change) -> CumulativeChangeResponse:
    described = response[1] if not len(episodes) else episodes
    return make_cumulative_change(response[0], episodes, change, course=COURSE, level=0.8, described=described)


@pytest.fixture(scope="module")
def assumed(response):
    return make(response, response[1].iloc[:0], np.empty(0))


def shift(response, by: float):
    """Move the linear predictor, so that patients lie on both sides of a half."""
    model = response[0].model
    return replace(response[0], model=replace(model, intercept=model.intercept + by))


@pytest.mark.parametrize("by", [0.3, 0.5, 0.6])
def test_the_median_is_half_or_more_exactly_where_the_probability_is(response, assumed, by):
    moved = replace(assumed, response=shift(response, by))
    episodes = response[1]
    probability = moved.response.answer(episodes, 0.9)["probability"]
    before, median = episodes["pain_nrs"].astype(float), moved.answer(episodes, 0.8)["expected"]
    known = before.notna()
    assert 0 < (probability >= 0.5).sum() < len(probability)
    assert ((median <= -0.5 * before) == (probability >= 0.5))[known].all()
    assert median[~known].isna().all()


def test_contributions_add_up_to_the_median_in_points(response, assumed):
    episodes = response[1].loc[response[1]["pain_nrs"].notna()]
    base, parts = assumed.contributions(episodes)
    np.testing.assert_allclose(base + parts.sum(axis=1), assumed.answer(episodes, 0.8)["expected"], atol=1e-9)
    for refit_base, refit_parts in assumed.refit_contributions(episodes):
        assert np.isfinite(refit_base + refit_parts.sum(axis=1)).all()


def draw_change(response, margins: np.ndarray, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    episodes = response[1].loc[response[1]["pain_nrs"].notna()]
    score = response[0].linear_predictor(episodes) - np.random.default_rng(seed).logistic(size=len(episodes))
    relief = np.interp(score, margins, COURSE[1])
    return episodes, -relief * np.maximum(episodes["pain_nrs"].to_numpy(float), 1.0)


def test_margins_follow_patients_and_stay_nested(response):
    margins = np.array([-4.0, -1.2, -0.4, 0.0, 2.2, 4.0])
    episodes, change = draw_change(response, margins, 4)
    made = make(response, episodes, change)
    np.testing.assert_allclose(made.margins[1:5], margins[1:5], atol=0.15)
    assert (np.diff(made.margins) > 0).all()
    few = make(response, episodes.iloc[:12], change[:12])
    assert np.abs(few.margins - np.array(COURSE[0])).max() < np.abs(made.margins - np.array(COURSE[0])).max()
    nothing_helps = make(response, episodes, np.zeros(len(episodes)))
    assert (np.diff(nothing_helps.margins) > 0).all()
    assert nothing_helps.margins[3] == 0.0


def test_the_interval_holds_changes_of_patients_whose_probability_is_uncertain(response, assumed):
    episodes = response[1].loc[response[1]["pain_nrs"].notna()]
    rng = np.random.default_rng(5)
    total = np.sum(list(response[0].compute_variances(episodes).values()), axis=0)
    held = []
    answer = assumed.answer(episodes, 0.8)
    before = episodes["pain_nrs"].to_numpy(float)
    for _ in range(20):
        served = response[0].linear_predictor(episodes) + np.sqrt(total) * rng.standard_normal(len(episodes))
        change = -np.interp(served - rng.logistic(size=len(episodes)), *COURSE) * before
        held.append(((answer["expected_lower"] <= change) & (change <= answer["expected_upper"])).mean())
    assert np.mean(held) == pytest.approx(0.8, abs=0.03)


def test_without_interval_the_median_is_the_same_alone(response, assumed):
    alone = assumed.answer(response[1], 0.8, interval=False)
    pd.testing.assert_frame_equal(alone, assumed.answer(response[1], 0.8)[["expected"]])


def test_state_is_plain_json_and_gives_the_same_answers(response, assumed):
    again = read_response(json.loads(json.dumps(to_response_state(assumed))), {})
    pd.testing.assert_frame_equal(again.answer(response[1], 0.8), assumed.answer(response[1], 0.8))
    assert again.parameters == assumed.parameters
    assert again.missing_variances == assumed.missing_variances


def test_probability_and_margin_are_on_one_scale(response, assumed):
    episodes = response[1].loc[response[1]["pain_nrs"].notna()]
    probability = response[0].answer(episodes, 0.9)["probability"].to_numpy()
    relief = -assumed.answer(episodes, 0.8)["expected"].to_numpy() / episodes["pain_nrs"].to_numpy(float)
    np.testing.assert_allclose(expit(np.interp(relief, COURSE[1], COURSE[0])), expit(logit(probability)), atol=1e-9)
