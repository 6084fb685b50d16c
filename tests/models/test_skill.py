"""No skill, no difference: the overall risk is served where a model is not better than it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from paincast.evidence.expected_signs import load_expected_signs
from paincast.models.binary.borrowing import Pool
from paincast.models.binary.model_kind import OVERALL_RISK, Candidate
from paincast.models.binary.response import fit_response_model
from paincast.models.binary.selection import Sample, select_candidate
from paincast.models.binary.surroundings import NOTHING
from paincast.models.calibration.affine import IDENTITY
from paincast.models.choice import is_better
from paincast.models.serialization import read_response, to_response_state
from paincast.models.skill import find_skilled, require_skill, share_candidates
from paincast.settings import ModelSettings, TrainingSettings, UncertaintySettings
from paincast.splits import make_folds

FEW = ModelSettings(candidates=["logistic"], ridge_prior_sds=[0.06, 0.25], lasso_penalties=[0.8], selection_folds=3)
OVERALL = Candidate(kind="logistic", parameters=dict(OVERALL_RISK))
RIDGE = Candidate(kind="logistic", parameters={"borrowed": 0.0, "strength": 4.0, "l1_ratio": 0.0})
AVERAGE = Candidate(kind="logistic", parameters={"borrowed": 0.0, "averaged": 2})


def make_sample(make_episodes, n: int, n_events: int, seed: int = 0, **known) -> Sample:
    """Make episodes whose outcome has nothing to do with them."""
    episodes, _, _ = make_episodes(n, seed=seed, repeats=0.0)
    outcome = np.random.default_rng(seed).permutation((np.arange(n) < n_events).astype(float))
    return Sample(episodes=episodes, outcome=outcome, weights=np.ones(n), technique="facet_rfa", **known)


def lend(sample: Sample) -> Sample:
    """Let another technique lend its effects; only that there is one is looked at."""
    return replace(sample, pool=replace(Pool(), parts=(object(),)))


def test_few_who_stand_alone_have_to_show_skill_and_others_no_harm(make_episodes):
    few, many = (make_sample(make_episodes, 100, n) for n in (19, 20))
    settings = replace(FEW, standard_errors=1.5)
    assert [require_skill(one, settings) for one in (few, many, lend(few))] == [1.5, -1.5, -1.5]
    assert require_skill(many, replace(settings, minimum_trusted=50)) == 1.5


@pytest.mark.parametrize(("n_events", "slope", "served"), [(10, 0.0, 0), (10, 3.0, 1), (40, 0.0, 1), (40, -3.0, 0)])
def test_the_overall_risk_is_served_without_skill(make_episodes, n_events, slope, served):
    sample = make_sample(make_episodes, 120, n_events)
    overall = np.full(120, logit(n_events / 120))
    predicted = overall + slope * (sample.outcome - n_events / 120)
    predicted += 0.05 * np.random.default_rng(1).normal(size=120)
    folds = make_folds(sample.outcome, sample.patients, 3, np.random.default_rng(2))
    found = find_skilled(1, (OVERALL, RIDGE), np.array([overall, predicted]), folds, sample, FEW)
    assert found == served


def test_without_the_overall_risk_among_the_candidates_the_chosen_one_is_served(make_episodes):
    sample = make_sample(make_episodes, 60, 10)
    worse = np.array([3.0 - 6.0 * sample.outcome])
    assert find_skilled(0, (RIDGE,), worse, [], sample, FEW) == 0


def test_an_average_is_compared_with_shares_from_the_other_folds(make_episodes):
    """One of many candidates fits each fold by chance: shares of the same rows find it, those of others do not."""
    sample = make_sample(make_episodes, 60, 15)
    settings = replace(FEW, averaging=1.0, simplest_prior_odds=1.0)
    overall = np.full(60, logit(0.25))
    folds = make_folds(sample.outcome, sample.patients, 3, np.random.default_rng(2))
    lucky = []
    for _, test in folds:
        right = 4.0 * (sample.outcome - 0.5)
        lucky.append(np.where(np.isin(np.arange(60), test), right, overall - 0.4 * right))
    candidates = (OVERALL, *(replace(RIDGE, parameters={**RIDGE.parameters, "strength": s}) for s in (1.0, 2.0, 4.0)))
    fitted = np.array([overall, *lucky])
    shares = share_candidates(candidates, fitted, sample, settings)
    everything = np.vstack([fitted, shares @ fitted])
    assert find_skilled(4, (*candidates, AVERAGE), everything, folds, sample, settings) == 0


def test_the_overall_risk_is_simplest_only_where_no_technique_lends(make_episodes):
    sample = make_sample(make_episodes, 60, 20)
    same = np.zeros((2, 60))
    odds = FEW.simplest_prior_odds
    alone, lent = (share_candidates((OVERALL, RIDGE), same, one, FEW) for one in (sample, lend(sample)))
    assert alone == pytest.approx([odds / (odds + 1), 1 / (odds + 1)])
    assert lent == pytest.approx([0.5, 0.5])


def test_a_loss_is_better_by_standard_errors_of_the_paired_difference():
    baseline = np.random.default_rng(0).normal(size=400)
    gain = np.random.default_rng(1).normal(0.1, 1.0, 400)
    reached = gain.mean() / (gain.std(ddof=1) / 20.0)
    assert is_better(baseline - gain, baseline, reached - 0.1)
    assert not is_better(baseline - gain, baseline, reached + 0.1)
    assert is_better(baseline, baseline - gain, -reached - 0.1)
    assert not is_better(baseline, baseline, 0.0)


@pytest.fixture(scope="module")
def settings() -> TrainingSettings:
    return TrainingSettings(model=FEW, uncertainty=UncertaintySettings(refits=10), jobs=1, progress=False)


def test_a_model_without_skill_is_one_risk_for_all_and_gives_no_reasons(make_episodes, settings):
    sample = make_sample(make_episodes, 111, 10)
    around = replace(NOTHING, technique="facet_rfa", directions=load_expected_signs("facet_rfa"))
    response = fit_response_model(
        sample.episodes, sample.outcome, settings, np.random.default_rng(3), surroundings=around
    )
    assert response.candidate.is_overall_risk
    assert [row["candidate"] for row in response.selection if row["chosen"]] == ["overall risk"]
    assert response.calibration == IDENTITY
    assert not response.shows_reasons
    answer = response.answer(sample.episodes, 0.9)
    np.testing.assert_allclose(answer["probability"], 10 / 111, atol=1e-9)
    assert (answer["lower"] < answer["probability"]).all()
    assert (answer["upper"] > answer["probability"]).all()
    base, contributions = response.contributions(sample.episodes)
    assert not contributions.any()
    np.testing.assert_allclose(expit(base), 10 / 111, atol=1e-9)
    again = read_response(to_response_state(response), {})
    assert not again.shows_reasons
    pd.testing.assert_frame_equal(again.answer(sample.episodes, 0.9), answer)


def test_the_interval_is_that_of_models_that_are_plausible_too(make_episodes):
    """It tells of the individual: the level alone would cover half of those whom it should."""
    sample = make_sample(make_episodes, 111, 10, directions=load_expected_signs("facet_rfa"))
    selection = select_candidate(sample, FEW, np.random.default_rng(3))
    assert selection.chosen.is_overall_risk
    assert selection.shares.tolist() == np.eye(len(selection.candidates))[selection.position].tolist()
    plausible = selection.list_plausible()
    assert [place for place in plausible if not selection.candidates[place].is_overall_risk]
