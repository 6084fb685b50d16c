"""Metrics of a predicted change: by hand, calibrated quantiles, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_pinball_loss

from paincast.errors import DataError
from paincast.evaluation.performance.change import compute_change_metrics, compute_pinball_loss
from paincast.statistics import compute_clustered_mean


def make_predicted(n, limits=(-1.2816, 0.0, 1.2816)):
    return pd.DataFrame([limits] * n, columns=["lower", "median", "upper"])


def test_true_quantiles_are_calibrated():
    observed = np.random.default_rng(1).normal(size=20_000)
    table = compute_change_metrics(observed, make_predicted(20_000), np.arange(20_000), confidence=0.999).set_index(
        "metric"
    )
    for metric, value in (("coverage", 0.8), ("below_interval", 0.1), ("above_interval", 0.1), ("below_median", 0.5)):
        assert table.loc[metric, "lower"] < value < table.loc[metric, "upper"]
    assert list(table.columns) == ["group", "estimate", "lower", "upper", "n", "method"]


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_pinball_loss_agrees_with_scikit_learn(quantile):
    rng = np.random.default_rng(2)
    observed, predicted = rng.normal(size=(2, 100))
    ours = compute_pinball_loss(observed, predicted, quantile).mean()
    assert ours == pytest.approx(mean_pinball_loss(observed, predicted, alpha=quantile))


def test_ties_with_the_median_count_half():
    table = compute_change_metrics(np.array([0.0, 0.0, -3.0, 3.0]), make_predicted(4), list("abcd"))
    assert table.set_index("metric").loc["below_median", "estimate"] == 0.5


def test_worse_quantiles_lose_to_the_true_ones():
    observed = np.random.default_rng(3).normal(size=4000)
    wide = make_predicted(4000, (-5.0, 0.5, 5.0))
    table = compute_change_metrics(observed, make_predicted(4000), np.arange(4000), reference=wide).set_index("metric")
    assert table.loc["pinball_gain", "lower"] > 0


def test_limits_of_a_mean_keep_patients_together():
    values = np.random.default_rng(4).normal(size=500)
    _, lower, upper = compute_clustered_mean(np.repeat(values, 2), np.repeat(np.arange(500), 2))
    _, low, high = compute_clustered_mean(values, np.arange(500))
    assert (lower, upper) == pytest.approx((low, high))


def test_missing_numbers_are_refused():
    with pytest.raises(DataError, check=lambda error: error.code == "PC-EVALUATION-06"):
        compute_change_metrics(np.array([np.nan]), make_predicted(1), ["a"])
