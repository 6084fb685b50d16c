"""The gain over the overall risk: its value, its sign, and how often its interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss

from paincast.evaluation.validation.overall_risk import compute_log_loss_gain


def test_the_gain_is_the_difference_of_two_log_losses():
    rng = np.random.default_rng(1)
    outcome, probability = (rng.random(200) < 0.3).astype(float), rng.uniform(0.1, 0.6, 200)
    weights = rng.uniform(0.5, 2.0, 200)
    share = np.full(200, np.average(outcome, weights=weights))
    row = compute_log_loss_gain(outcome, probability, patients=None, weights=weights).iloc[0]
    expected = log_loss(outcome, share, sample_weight=weights) - log_loss(outcome, probability, sample_weight=weights)
    assert row["estimate"] == pytest.approx(expected, abs=1e-12)


def test_the_interval_holds_the_gain_of_the_population():
    rng = np.random.default_rng(2)
    population = rng.normal(-0.3, 0.7, 200_000)
    outcome = rng.random(200_000) < expit(population)
    true = compute_log_loss_gain(outcome, expit(population), patients=None)["estimate"].iloc[0]
    held = []
    for _ in range(200):
        log_odds = rng.normal(-0.3, 0.7, 600)
        row = compute_log_loss_gain(rng.random(600) < expit(log_odds), expit(log_odds), patients=None).iloc[0]
        held.append(row["lower"] <= true <= row["upper"])
    assert 0.9 < np.mean(held) < 0.99


def test_predictions_without_skill_gain_nothing_and_one_class_has_no_gain():
    rng = np.random.default_rng(3)
    noise = compute_log_loss_gain(rng.random(900) < 0.4, expit(rng.normal(-0.4, 0.5, 900)), patients=None).iloc[0]
    assert noise["upper"] < 0
    assert np.isnan(compute_log_loss_gain([1, 1], [0.4, 0.5], patients=None)["estimate"].iloc[0])
    same = compute_log_loss_gain([0, 1], [0.5, 0.5], patients=None).iloc[0]
    assert same["estimate"] == 0
    assert np.isnan(same["lower"])
