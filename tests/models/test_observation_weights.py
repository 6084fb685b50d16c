"""Weights for loss to follow-up: what they heal, what they leave alone, and what they cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit

from paincast.cohort.tables import conform
from paincast.models.observation_weights import compute_effective_size, fit_observation_weights, summarize_weights
from paincast.settings import ObservationSettings


def make_episodes(n: int, rng: np.random.Generator) -> pd.DataFrame:
    number = np.arange(n)
    return conform(
        "episodes",
        pd.DataFrame(
            {
                "episode_id": [f"e{one}" for one in number],
                "patient_id": [f"p{one // 2}" for one in number],
                "pain_nrs": rng.integers(3, 11, n).astype(float),
                "age_years": rng.normal(60.0, 12.0, n).clip(20.0, 95.0),
                "depression": rng.random(n) < 0.3,
                "sex": rng.choice(["female", "male"], n),
            }
        ),
    )


def lose(episodes: pd.DataFrame, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw an outcome and a loss that both depend on pain and depression: loss at random given what is known before."""
    pain, low = episodes["pain_nrs"].to_numpy(float) - 6.5, episodes["depression"].to_numpy(float)
    outcome = (rng.random(len(episodes)) < expit(0.4 * pain - 1.5 * low)).astype(float)
    observed = rng.random(len(episodes)) < expit(1.0 - 0.35 * pain - 1.2 * low)
    return outcome, observed


@pytest.mark.parametrize("seed", range(3))
def test_weights_heal_loss_that_depends_on_what_is_known_before(seed):
    rng = np.random.default_rng(seed)
    episodes = make_episodes(6000, rng)
    # Pain loses and makes respond, depression loses and keeps from responding: signs are set to add up, not to cancel.
    pain, low = episodes["pain_nrs"].to_numpy(float) - 6.5, episodes["depression"].to_numpy(float)
    outcome = (rng.random(6000) < expit(0.4 * pain - 1.5 * low)).astype(float)
    observed = rng.random(6000) < expit(1.0 + 0.35 * pain - 1.2 * low)
    weights = fit_observation_weights(episodes, observed, ObservationSettings(), rng)
    naive, healed = outcome[observed].mean(), np.average(outcome, weights=weights)
    assert naive - outcome.mean() > 0.05
    assert abs(healed - outcome.mean()) < 0.02
    assert weights[~observed].sum() == 0
    assert weights[observed].mean() == pytest.approx(1.0)
    assert 0.5 * observed.sum() < compute_effective_size(weights) < 0.95 * observed.sum()


def test_loss_by_chance_alone_costs_almost_nothing():
    rng = np.random.default_rng(4)
    episodes = make_episodes(2000, rng)
    weights = fit_observation_weights(episodes, rng.random(2000) < 0.7, ObservationSettings(), rng)
    assert compute_effective_size(weights) > 0.99 * (weights > 0).sum()


def test_extreme_weights_are_cut_off():
    rng = np.random.default_rng(5)
    episodes = make_episodes(3000, rng)
    _, observed = lose(episodes, rng)
    free = fit_observation_weights(episodes, observed, ObservationSettings(truncation=1.0), np.random.default_rng(1))
    cut = fit_observation_weights(episodes, observed, ObservationSettings(truncation=0.9), np.random.default_rng(1))
    assert cut.max() < free.max()
    assert np.isclose(cut, cut.max()).sum() == pytest.approx(0.1 * observed.sum(), abs=0.02 * observed.sum())


def test_without_enough_lost_or_when_told_not_to_all_weigh_the_same():
    rng = np.random.default_rng(6)
    episodes = make_episodes(400, rng)
    observed = np.ones(400, dtype=bool)
    assert (fit_observation_weights(episodes, observed, ObservationSettings(), rng) == 1).all()
    observed[:19] = False
    assert (fit_observation_weights(episodes, observed, ObservationSettings(), rng) == observed).all()
    observed[:200] = False
    off = fit_observation_weights(episodes, observed, ObservationSettings(method="complete_case"), rng)
    assert (off == observed).all()


@example(seed=34, n=5, share=0.4375, missing=0.0)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 90), share=st.floats(0, 1), missing=st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_weights_are_finite_whatever_is_lost_or_missing(seed, n, share, missing):
    rng = np.random.default_rng(seed)
    episodes = make_episodes(n, rng)
    for name in ("pain_nrs", "age_years", "depression"):
        episodes[name] = episodes[name].mask(rng.random(n) < missing)
    observed = rng.random(n) < share
    weights = fit_observation_weights(episodes, observed, ObservationSettings(minimum_lost=2), rng)
    assert np.isfinite(weights).all()
    assert ((weights > 0) == observed).all()
    assert weights.sum() == pytest.approx(observed.sum())


def test_a_summary_counts_and_measures():
    summary = summarize_weights(np.array([0.5, 1.5, 0.0, 1.0])).set_index("measure")["value"]
    assert summary["lost"] == 1
    assert summary["effective sample size"] == pytest.approx(9 / 3.5)
    assert (summary["smallest weight"], summary["largest weight"]) == (0.5, 1.5)
