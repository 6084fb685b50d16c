"""The bundle of a model of real patients, as it is written and recorded, is attacked, and answers as it did."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from bundles import attack_moments, attack_trees, attack_variables, find_bundle_leaks
from scipy.special import logit

from paincast.cohort.tables import conform
from paincast.features import EpisodeEncoder
from paincast.models.binary.response import fit_response_model
from paincast.models.continuous.change import fit_change_model
from paincast.models.continuous.cumulative import make_cumulative_change
from paincast.models.continuous.response import make_change_response
from paincast.models.prior.durations import (
    fit_durations_with_prior,
    make_duration_prior,
    make_prior_duration_response,
)
from paincast.models.prior.gaussian import make_evidence_prior
from paincast.models.prior.response import fit_with_prior, make_prior_response
from paincast.models.release import release_response
from paincast.models.serialization import list_files, read_response, to_response_state
from paincast.models.survival.duration import fit_duration_model
from paincast.models.survival.response import make_duration_response
from paincast.settings import (
    ChangeSettings,
    DurationSettings,
    ModelSettings,
    TrainingSettings,
    UncertaintySettings,
)
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.evidence_draws import draw_evidence
from paincast.simulator.relief_draws import draw_relief
from paincast.training.provenance import _describe_number

N = 112


@pytest.fixture(scope="module")
def episodes():
    """Patients of whom few are of a kind: an indication, a work status, yes and no, and missing values."""
    rng = np.random.default_rng(1)
    rare = np.zeros(N, dtype=bool)
    rare[:3] = True
    table = {
        "episode_id": [f"e{i}" for i in range(N)],
        "patient_id": [f"p{i}" for i in range(N)],
        "technique": "facet_rfa",
        "indication": "lumbar_facet",
        "pain_nrs": rng.integers(4, 11, N),
        "age_years": rng.normal(55, 12, N).clip(18, 95),
        "diagnostic_blocks_positive": [0.0] * 40 + [1.0] * 69 + [2.0] * 3,
        "odi": rng.normal(45, 12, N).clip(0, 100),
        "sex": np.where(np.arange(N) < 109, "female", "male"),
        "work_status": np.select(
            [np.arange(N) < 2, np.arange(N) < 5, np.arange(N) < 60], ["sick_leave", "unemployed", "working"], "retired"
        ),
        "depression": rare,
        "diabetes": ~rare[::-1],
        "smoker": np.where(np.arange(N) < 2, None, rng.random(N) < 0.3),
    }
    return conform("episodes", pd.DataFrame(table))


@pytest.fixture(scope="module")
def outcome(episodes):
    rng = np.random.default_rng(2)
    return (rng.random(N) < 0.3 + 0.3 * (episodes["odi"].to_numpy(float) < 45)).astype(float)


def fit(episodes, outcome, few_settings, kind, calibration="affine"):
    settings = few_settings(kind, calibration, minimum_flexible=5)
    return fit_response_model(episodes, outcome, settings, np.random.default_rng(3))


def write(response):
    return json.loads(json.dumps({**to_response_state(response), "n_training": N, "n_real": N}))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["logistic", "xgboost", "ebm"])
def test_no_share_of_few_is_left_in_a_bundle(episodes, outcome, few_settings, kind):
    if kind == "ebm":
        pytest.importorskip("interpret")
    fitted = fit(episodes, outcome, few_settings, kind)
    assert find_bundle_leaks(write(fitted))
    released = release_response(fitted, episodes)
    assert find_bundle_leaks(write(released)) == []
    again = read_response(write(released), list_files(released))
    before, after = (one.answer(episodes, 0.9) for one in (fitted, again))
    complete = episodes["smoker"].notna()
    if kind == "logistic":
        np.testing.assert_allclose(before[complete]["probability"], after[complete]["probability"], rtol=1e-9)
    assert (before - after).abs().to_numpy().max() < 0.02
    base, parts = again.contributions(episodes)
    np.testing.assert_allclose(base + parts.sum(axis=1), again.linear_predictor(episodes), atol=1e-4)


def test_trees_tell_no_cover_of_few(episodes, outcome, few_settings):
    fitted = fit(episodes, outcome, few_settings, "xgboost", "none")
    trees = [json.loads(one.model.booster.save_raw("json")) for one in (fitted, release_response(fitted, episodes))]
    base = float(trees[0]["learner"]["learner_model_param"]["base_score"].strip("[]"))
    assert list(attack_trees(trees[0], base))
    assert list(attack_trees(trees[1], base)) == []


def test_durations_and_changes_tell_no_share_of_few(episodes):
    rng = np.random.default_rng(4)
    months, status = rng.choice([1.0, 3.0, 6.0, 12.0], N), (rng.random(N) < 0.7).astype(float)
    settings = DurationSettings(prior_sds=[0.3], refits=10)
    hazards = fit_duration_model(episodes, months, status, settings, np.random.default_rng(5))
    duration = make_duration_response(hazards, episodes, np.ones(N), 6.0)
    falls = fit_change_model(episodes, rng.integers(-4, 1, N).astype(float), ChangeSettings(), np.random.default_rng(6))
    change = make_change_response(falls, episodes, np.ones(N))
    for fitted in (duration, change):
        assert find_bundle_leaks(write(fitted))
        released = release_response(fitted, episodes)
        assert find_bundle_leaks(write(released)) == []
        pd.testing.assert_frame_equal(fitted.answer(episodes, 0.8)[5:], released.answer(episodes, 0.8)[5:])


def test_durations_and_changes_with_a_prior_tell_no_share_of_few(episodes, outcome):
    rng = np.random.default_rng(4)
    months, status = rng.choice([1.0, 3.0, 6.0], N), (rng.random(N) < 0.7).astype(float)
    scenario, uncertainty = "literature", UncertaintySettings(refits=10)
    relief = draw_relief("facet_rfa", (1.0, 3.0, 6.0), scenario=scenario, rng=rng, draws=60)
    prior = make_duration_prior(relief.episodes, relief.months, relief.survival, splines=False, real=episodes)
    hazards = fit_durations_with_prior(prior, episodes, months, status, np.ones(N), uncertainty, rng)
    duration = make_prior_duration_response(hazards, np.zeros(3), episodes, 6.0, uncertainty)
    drawn = draw_evidence("facet_rfa", "pain_response", 6.0, scenario=scenario, rng=rng, draws=60)
    half = make_evidence_prior(drawn.episodes, drawn.log_odds, splines=False, real=episodes)
    settings = TrainingSettings(jobs=1, uncertainty=uncertainty, model=ModelSettings(candidates=["logistic"]))
    fitted_half = fit_with_prior(half, episodes, outcome, settings, rng)
    response = make_prior_response(fitted_half, episodes, settings, rng, individual=False)
    fall = -rng.integers(0, 5, N).astype(float)
    course = Assumptions().courses["pain_relief"]
    change = make_cumulative_change(response, episodes, fall, course=course, level=0.8, described=episodes)
    for fitted in (duration, change):
        assert find_bundle_leaks(write(fitted))
        released = release_response(fitted, episodes, blended=True)
        assert find_bundle_leaks(write(released)) == []
        told, kept = (one.answer(episodes, 0.8) for one in (fitted, released))
        np.testing.assert_allclose(told, kept, atol=0.02)
        base, parts = released.contributions(episodes)
        served = kept["expected"] if fitted is change else logit(kept["probability"])
        np.testing.assert_allclose(base + parts.sum(axis=1), served, atol=1e-6)


def test_moments_of_few_values_are_solved_where_they_are_told(episodes):
    state = EpisodeEncoder().fit(episodes).to_state()
    assert list(attack_moments(state["variables"], N))
    name = "diagnostic_blocks_positive"
    (row,) = _describe_number(episodes[name], real=True)
    told = [{"name": name, "varies": True, "centre": row["mean"], "scale": row["sd"]}]
    assert list(attack_moments(told, N)) == []
    (row,) = _describe_number(episodes[name], real=False)
    assert row["mean"] == episodes[name].mean()


def test_the_attack_finds_the_shares_of_an_encoder(episodes):
    state = EpisodeEncoder().fit(episodes).to_state()
    found = " ".join(attack_variables(state["variables"], {N}))
    assert all(name in found for name in ("sex", "work_status", "depression", "diabetes"))
