"""The one-standard-error rule, with weights and patients."""

from __future__ import annotations

import numpy as np
import pytest

from paincast.models.choice import compare_losses, find_simplest


def make_losses(n=300, gain=0.02, seed=0):
    """A simple candidate, and one that is better by ``gain`` with noise of 1 in each row."""
    rng = np.random.default_rng(seed)
    simple = rng.exponential(size=n)
    return np.array([simple, simple - gain + rng.normal(0, 1, n)])


def test_excess_and_its_standard_error_by_hand():
    losses = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 3.0, 3.0]])
    comparison = compare_losses(losses)
    assert comparison["excess"].tolist() == [0.5, 0.0]
    assert comparison["excess_se"].iloc[0] == pytest.approx(np.std([0, 1, 0, 1], ddof=1) / 2)


def test_simplest_within_the_rule_and_best_without_it():
    comparison = compare_losses(make_losses())
    assert comparison["log_loss"].idxmin() == 1
    assert find_simplest(comparison, 1.0) == 0
    assert find_simplest(comparison, 0.0) == 1


def test_a_clear_gain_wins():
    assert find_simplest(compare_losses(make_losses(gain=0.5)), 1.0) == 1


def test_rows_of_a_patient_count_once():
    losses = make_losses()
    once = compare_losses(losses)
    thrice = compare_losses(np.repeat(losses, 3, axis=1), groups=np.repeat(np.arange(300), 3))
    np.testing.assert_allclose(thrice, once, rtol=1e-12)


def test_weights_are_repeats_and_zero_is_left_out():
    losses = make_losses()
    weights = np.tile([0.0, 1.0, 2.0], 100)
    weighted = compare_losses(losses, weights=weights, groups=np.arange(300))
    times = weights.astype(int)
    repeated = compare_losses(np.repeat(losses, times, axis=1), groups=np.repeat(np.arange(300), times))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-12)


def test_one_row_has_no_standard_error_to_hide_behind():
    comparison = compare_losses(np.array([[0.7], [0.6]]))
    assert find_simplest(comparison, 1.0) == 1
