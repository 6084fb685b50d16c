"""Decision curves: against counting by hand, their identities, coverage of the intervals, and honest gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.errors import DataError, SettingsError
from paincast.evaluation.performance.decision import DECISION_COLUMNS, compute_decision_curve

THRESHOLDS = [0.1, 0.25, 0.5, 0.75]


def make_rows(n, seed, digits=9):
    rng = np.random.default_rng(seed)
    probability = rng.beta(2, 3, size=n).round(digits)
    return (rng.random(n) < probability).astype(float), probability


def compute(outcome, probability, *, seed=0, **more):
    settings = {"patients": None, "thresholds": THRESHOLDS, "base_rate": 0.4, "resamples": 50, **more}
    return compute_decision_curve(outcome, probability, rng=np.random.default_rng(seed), **settings)


def pick(curve, strategy, versus=""):
    return curve[(curve["strategy"] == strategy) & (curve["versus"] == versus)].set_index("threshold")


@pytest.mark.slow
@settings(deadline=None)
@given(n=st.integers(2, 60), seed=st.integers(0, 10_000), digits=st.integers(1, 3))
def test_net_benefit_is_what_counting_says(n, seed, digits):
    outcome, probability = make_rows(n, seed, digits)
    curve = compute(outcome, probability)
    for threshold in THRESHOLDS:
        odds = threshold / (1 - threshold)
        treated = probability >= threshold
        by_model = (treated * outcome).mean() - odds * (treated * (1 - outcome)).mean()
        for_all = outcome.mean() - odds * (1 - outcome).mean()
        expected = {"model": by_model, "treat_all": for_all, "treat_none": 0.0}
        expected["base_rate"] = for_all if threshold <= 0.4 else 0.0
        for strategy, value in expected.items():
            assert pick(curve, strategy)["estimate"][threshold] == pytest.approx(value, abs=1e-12)
            if strategy != "model":
                difference = pick(curve, "model", strategy)["estimate"][threshold]
                assert difference == pytest.approx(by_model - value, abs=1e-12)


def test_the_form_is_that_of_metrics():
    curve = compute(*make_rows(300, 1), group="site-1")
    assert tuple(curve.columns) == DECISION_COLUMNS
    assert set(curve["group"]) == {"site-1"}
    assert len(curve) == 7 * len(THRESHOLDS)
    assert len(compute(*make_rows(300, 1), base_rate=None)) == 5 * len(THRESHOLDS)
    kept = curve.dropna(subset="lower")
    assert (kept["lower"] <= kept["estimate"]).all()
    assert (kept["estimate"] <= kept["upper"]).all()


def test_a_weight_of_two_is_a_row_that_stands_twice():
    outcome, probability = make_rows(80, 2)
    twice = np.arange(80) % 3 == 0
    weighted = compute(outcome, probability, weights=1.0 + twice)
    again = np.concatenate([outcome, outcome[twice]]), np.concatenate([probability, probability[twice]])
    np.testing.assert_allclose(weighted["estimate"], compute(*again)["estimate"], atol=1e-12)


def test_a_paired_difference_is_surer_than_two_intervals():
    curve = compute(*make_rows(2000, 3), resamples=400)
    difference = pick(curve, "model", "treat_all").loc[0.25]
    alone = [pick(curve, strategy).loc[0.25] for strategy in ("model", "treat_all")]
    widths = [row["upper"] - row["lower"] for row in alone]
    assert difference["upper"] - difference["lower"] < 0.7 * np.hypot(*widths)
    assert difference["lower"] > 0


@pytest.mark.slow
def test_intervals_cover_the_truth():
    outcome, probability = make_rows(400_000, 77)
    truth = pick(compute(outcome, probability), "model", "treat_all")["estimate"]
    covered = 0
    for seed in range(200):
        row = pick(compute(*make_rows(300, seed), seed=seed, resamples=200), "model", "treat_all").loc[0.5]
        covered += row["lower"] <= truth[0.5] <= row["upper"]
    assert 0.90 <= covered / 200 <= 0.98


def test_patients_are_drawn_whole():
    outcome, probability = make_rows(100, 4)
    repeated = [np.repeat(part, 5) for part in (outcome, probability, np.arange(100))]
    together = compute(repeated[0], repeated[1], patients=repeated[2], resamples=300)
    once = compute(outcome, probability, patients=np.arange(100), resamples=300)
    pd.testing.assert_frame_equal(
        together[["estimate", "lower", "upper"]], once[["estimate", "lower", "upper"]], atol=1e-12
    )


def test_what_has_no_interval_says_why():
    curve = compute(*make_rows(200, 5), thresholds=[0.001, 0.5])
    assert pick(curve, "treat_none")["lower"].isna().all()
    assert set(pick(curve, "treat_none")["method"].str.split("; ").str[1]) == {"no interval: 0 by definition"}
    all_treated = pick(curve, "model", "treat_all").iloc[0]
    assert all_treated["estimate"] == 0
    assert "no interval: all resamples agree" in all_treated["method"]
    one_class = pick(compute(np.ones(50), np.full(50, 0.6)), "model")
    assert one_class["lower"].isna().all()
    assert one_class["method"].str.contains("one outcome class only").all()


@pytest.mark.parametrize("thresholds", [[], [0.0, 0.5], [0.5, 1.0], [0.5, 0.2], [0.2, 0.2], [np.nan]])
def test_bad_thresholds_are_refused(thresholds):
    with pytest.raises(SettingsError, match="allowed: ascending numbers between 0 and 1"):
        compute(*make_rows(20, 1), thresholds=thresholds)


def test_other_bad_input_is_refused():
    with pytest.raises(SettingsError, match=r"base_rate=1\.2 is out of range; allowed: 0 to 1"):
        compute(*make_rows(20, 1), base_rate=1.2)
    with pytest.raises(DataError, check=lambda error: error.code == "PC-EVALUATION-13"):
        compute([], [])


def test_the_band_holds_every_threshold_at_once_and_is_wider_than_the_intervals():
    curve = compute(*make_rows(2000, 4), resamples=400)
    gains = curve[curve["versus"].isin(["treat_all", "treat_none"])].dropna(subset="band_lower")
    assert (gains["band_lower"] < gains["lower"]).all()
    assert (gains["band_upper"] > gains["upper"]).all()
    assert curve.loc[~curve.index.isin(gains.index), "band_lower"].isna().all()


def test_a_threshold_beside_which_few_lie_has_no_band():
    outcome, probability = np.tile([0.0, 1.0], 50), np.r_[np.full(8, 0.05), np.full(92, 0.6)]
    curve = compute(outcome, probability, thresholds=[0.1, 0.5])
    assert curve["band_lower"].isna().all()
    assert np.isfinite(pick(curve, "model", "treat_all")["lower"][0.1])
    outcome, probability = np.tile([0.0, 1.0], 50), np.r_[np.full(10, 0.05), np.full(90, 0.6)]
    assert np.isfinite(pick(compute(outcome, probability), "model", "treat_all")["band_lower"][0.1])


def test_without_skill_the_band_hardly_ever_shows_a_gain():
    rng, shown, alone = np.random.default_rng(5), [], []
    for _ in range(150):
        outcome, probability = (rng.random(300) < 0.45).astype(float), 1 / (1 + np.exp(-rng.normal(-0.2, 0.3, 300)))
        curve = compute(outcome, probability, thresholds=np.linspace(0.3, 0.62, 17), seed=rng.integers(1000))
        gains = curve[curve["versus"].isin(["treat_all", "treat_none"])].groupby("threshold")
        shown.append((gains["band_lower"].min() > 0).any())
        alone.append((gains["lower"].min() > 0).any())
    assert np.mean(shown) <= 0.025
    assert np.mean(alone) > 0.1
