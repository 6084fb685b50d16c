"""Scores taken apart: against model-diagnostics, and what the parts must add up to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_diagnostics.scoring import LogLoss, SquaredError, decompose

from paincast.evaluation.performance.metrics import METRIC_COLUMNS
from paincast.evaluation.validation.decomposition import compute_score_decomposition

GOLDEN = Path(__file__).parents[1] / "golden"
PARTS = ("miscalibration", "discrimination", "uncertainty")


def compute(outcome, probability, **more):
    settings = {"patients": None, "resamples": 50, **more}
    return compute_score_decomposition(outcome, probability, rng=np.random.default_rng(0), **settings)


def check_against_oracle(outcome, probability, weights=None):
    got = compute(outcome, probability, weights=weights).set_index("metric")["estimate"]
    for score, function in (("brier", SquaredError()), ("log_loss", LogLoss())):
        expected = decompose(outcome, probability, weights, scoring_function=function, functional="mean")
        for part in PARTS:
            assert got[f"{score}_{part}"] == pytest.approx(expected[part][0], abs=1e-9), (score, part)


@pytest.mark.parametrize("name", ["calibrated", "badly_calibrated", "tiny"])
@pytest.mark.parametrize("weighted", [False, True])
def test_parts_agree_with_model_diagnostics(name, weighted):
    rows = pd.read_csv(GOLDEN / f"metrics_{name}.csv")
    weights = 1.0 + np.random.default_rng(1).random(len(rows)) if weighted else None
    check_against_oracle(rows["outcome"].to_numpy(float), rows["probability"].to_numpy(), weights)


@settings(deadline=None, max_examples=25)
@given(n=st.integers(6, 80), seed=st.integers(0, 10_000), digits=st.integers(1, 5))
def test_parts_agree_on_any_rows_and_are_not_negative(n, seed, digits):
    rng = np.random.default_rng(seed)
    probability = rng.beta(2, 3, n).round(digits).clip(0.01, 0.99)
    outcome = (rng.random(n) < probability).astype(float)
    outcome[:2] = [0.0, 1.0]
    check_against_oracle(outcome, probability)
    got = compute(outcome, probability).set_index("metric")["estimate"]
    assert (got > -1e-12).all()
    brier = ((outcome - probability) ** 2).mean()
    assert got["brier_miscalibration"] - got["brier_discrimination"] + got["brier_uncertainty"] == pytest.approx(brier)


def test_the_form_is_that_of_metrics():
    rng = np.random.default_rng(3)
    probability = rng.random(400)
    found = compute(rng.random(400) < probability, probability, group="site-1")
    assert tuple(found.columns) == METRIC_COLUMNS
    assert set(found["group"]) == {"site-1"}
    assert (found["lower"] < found["upper"]).all()


def test_one_outcome_class_is_not_taken_apart():
    found = compute(np.ones(30), np.linspace(0.1, 0.9, 30))
    assert found[["estimate", "lower", "upper"]].isna().all(axis=None)
    assert set(found["method"]) == {"not estimable: one outcome class only"}


def test_certain_probabilities_do_not_make_an_infinite_score():
    found = compute([0, 1, 1, 0, 1, 0], [0.0, 1.0, 0.4, 0.6, 0.7, 1.0])
    assert np.isfinite(found["estimate"]).all()
