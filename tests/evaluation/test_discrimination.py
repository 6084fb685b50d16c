"""DeLong's interval: against pROC, against repeated rows, its coverage with clustered rows, and honest gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paincast.errors import SettingsError
from paincast.evaluation.performance.discrimination import compute_auroc_delong, compute_auroc_within_folds
from paincast.evaluation.performance.metrics import METRIC_COLUMNS, compute_metrics

GOLDEN = Path(__file__).parents[1] / "golden"


def compute(outcome, probability, **more):
    return compute_auroc_delong(outcome, probability, **{"patients": None, **more}).iloc[0]


@pytest.mark.parametrize("name", ["calibrated", "badly_calibrated", "tiny"])
def test_estimate_and_interval_agree_with_proc(name):
    rows = pd.read_csv(GOLDEN / f"metrics_{name}.csv")
    expected = pd.read_csv(GOLDEN / "calibration_expected.csv").query("set == @name").set_index("quantity")["value"]
    got = compute(rows["outcome"], rows["probability"])
    for part in ("lower", "estimate", "upper"):
        assert got[part] == pytest.approx(expected[f"delong_{part}"], abs=1e-10)


def test_the_bootstrap_says_nearly_the_same():
    rng = np.random.default_rng(1)
    probability = rng.random(800)
    outcome = rng.random(800) < probability
    delong = compute(outcome, probability)
    bootstrap = compute_metrics(outcome, probability, patients=None, rng=rng, resamples=2000).iloc[0]
    assert delong["estimate"] == pytest.approx(bootstrap["estimate"], abs=1e-12)
    assert delong["lower"] == pytest.approx(bootstrap["lower"], abs=0.004)
    assert delong["upper"] == pytest.approx(bootstrap["upper"], abs=0.004)


def test_rows_that_stand_many_times_are_no_information():
    rng = np.random.default_rng(2)
    probability = rng.random(120)
    outcome = rng.random(120) < probability
    once = compute(outcome, probability)
    repeated = compute(np.repeat(outcome, 4), np.repeat(probability, 4), patients=np.repeat(np.arange(120), 4))
    assert repeated[["estimate", "lower", "upper"]].tolist() == pytest.approx(
        once[["estimate", "lower", "upper"]].tolist(), abs=1e-12
    )
    assert repeated["n"] == 480


def test_intervals_of_clustered_rows_cover_the_truth():
    covered, truth = 0, 0.5
    for seed in range(300):
        rng = np.random.default_rng(seed)
        patients = np.repeat(np.arange(60), 4)
        shared = rng.normal(size=60)[patients]
        outcome = rng.random(240) < 1 / (1 + np.exp(-2 * rng.normal(size=60)[patients]))
        row = compute(outcome, 1 / (1 + np.exp(-shared)), patients=patients)
        covered += row["lower"] <= truth <= row["upper"]
    assert 0.92 <= covered / 300 <= 0.985


def test_what_cannot_be_said_is_said():
    assert tuple(compute_auroc_delong([0, 1], [0.2, 0.4], patients=None).columns) == METRIC_COLUMNS
    one = compute([1, 1, 1], [0.1, 0.2, 0.3])
    assert one[["estimate", "lower", "upper"]].isna().all()
    assert one["method"] == "not estimable: one outcome class only"
    perfect = compute([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert perfect["estimate"] == 1.0
    assert np.isnan(perfect["lower"])
    assert "the estimated error is 0" in perfect["method"]
    assert "fewer than two patients" in compute([0, 1, 0, 1], [0.1, 0.3, 0.2, 0.1], patients=list("aaaa"))["method"]
    constant = compute([0, 1, 0, 1], [0.4] * 4)
    assert constant["estimate"] == 0.5
    assert np.isnan(constant["lower"])
    with pytest.raises(SettingsError, match=r"confidence=1 is out of range"):
        compute([0, 1], [0.1, 0.2], confidence=1.0)


def count_pairs_within_folds(outcome, score, folds, weights):
    """Count concordant pairs of a case and a non-case of one fold, each weighted by the product of its weights."""
    won = total = 0.0
    for case in np.flatnonzero(outcome == 1):
        for other in np.flatnonzero((outcome == 0) & (folds == folds[case])):
            pair = weights[case] * weights[other]
            won += pair * (0.5 if score[case] == score[other] else float(score[case] > score[other]))
            total += pair
    return won / total


def test_auroc_within_folds_counts_the_pairs_of_a_fold_and_averages_repeats():
    rng = np.random.default_rng(5)
    outcome, weights = (rng.random(80) < 0.4).astype(float), rng.uniform(0.5, 2.0, 80)
    score, folds = rng.integers(0, 9, (2, 80)).astype(float), rng.integers(0, 4, (2, 80))
    row = compute_auroc_within_folds(outcome, score, folds, patients=None, weights=weights).iloc[0]
    counted = [count_pairs_within_folds(outcome, *repeat, weights) for repeat in zip(score, folds, strict=True)]
    assert row["estimate"] == pytest.approx(np.mean(counted), abs=1e-12)
    assert row["lower"] < row["estimate"] < row["upper"]


def test_in_one_fold_the_auroc_is_that_of_delong():
    rng = np.random.default_rng(6)
    outcome, score = (rng.random(300) < 0.4).astype(float), rng.random(300)
    within = compute_auroc_within_folds(outcome, score[None], np.zeros((1, 300), dtype=int), patients=None).iloc[0]
    pooled = compute_auroc_delong(outcome, score, patients=None).iloc[0]
    assert within["estimate"] == pytest.approx(pooled["estimate"])
    assert within["lower"] == pytest.approx(pooled["lower"], abs=1e-3)


def test_without_skill_pooled_folds_lie_below_a_half_and_pairs_within_folds_do_not():
    rng = np.random.default_rng(7)
    pooled, within, covered = [], [], []
    for _ in range(300):
        outcome, folds = (rng.random(60) < 0.5).astype(float), np.arange(60) % 10
        score = np.array([outcome[folds != fold].mean() for fold in folds]) + 1e-6 * rng.normal(size=60)
        pooled.append(compute_auroc_delong(outcome, score, patients=None)["estimate"].iloc[0])
        row = compute_auroc_within_folds(outcome, score[None], folds[None], patients=None).iloc[0]
        within.append(row["estimate"])
        covered.append(row["lower"] <= 0.5 <= row["upper"])
    assert np.mean(pooled) < 0.4
    assert abs(np.mean(within) - 0.5) < 0.02
    assert np.mean(covered) > 0.9


def test_folds_of_one_class_have_no_auroc_within():
    table = compute_auroc_within_folds([0, 1], np.array([[0.1, 0.2]]), np.array([[0, 1]]), patients=None)
    assert table[["estimate", "lower", "upper"]].isna().all(axis=None)
