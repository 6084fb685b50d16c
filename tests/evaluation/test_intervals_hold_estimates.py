"""No metric is published with an estimate outside its own interval, whatever the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.evaluation.groups.subgroups import compute_metrics_by_group, pool_groups
from paincast.evaluation.performance.calibration_curve import compute_calibration_curve
from paincast.evaluation.performance.change import compute_change_metrics
from paincast.evaluation.performance.decision import compute_decision_curve
from paincast.evaluation.performance.discrimination import compute_auroc_delong
from paincast.evaluation.performance.estimators import ALLOWED, ESTIMATORS
from paincast.evaluation.performance.metrics import compute_metrics
from paincast.evaluation.resampling import compute_percentile_interval, widen_interval
from paincast.evaluation.simulated.truth import check_against_truth
from paincast.evaluation.survival.duration import compute_duration_metrics
from paincast.evaluation.validation.delta_adjusted import compute_tipping_point
from paincast.evaluation.validation.optimism import compute_optimism
from paincast.evaluation.validation.paired import compare_predictions
from paincast.evaluation.validation.stability import compute_instability

RESAMPLES = 50
KINDS = ("calibrated", "too extreme", "no skill", "constant", "tied", "separated", "reversed", "certain")


def make_rows(n, seed, kind, rate, per_patient):
    """Outcome, probability and patient of rows whose predictions are of some kind."""
    rng = np.random.default_rng(seed)
    true = rng.normal(np.log(rate / (1 - rate)), 1.0, n)
    outcome = (rng.random(n) < 1 / (1 + np.exp(-true))).astype(float)
    given = {
        "calibrated": true,
        "too extreme": 4.0 * true,
        "no skill": rng.normal(size=n),
        "constant": np.full(n, -0.5),
        "tied": np.round(true),
        "separated": 3.0 * outcome + 0.1 * rng.random(n),
        "reversed": -true,
        "certain": np.where(rng.random(n) < 0.5, 50.0 * np.sign(true), true),
    }[kind]
    return outcome, 1 / (1 + np.exp(-given)), np.arange(n) // per_patient


worlds = st.builds(
    make_rows,
    n=st.one_of(st.integers(30, 60), st.integers(30, 2000)),
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(KINDS),
    rate=st.sampled_from([0.01, 0.05, 0.2, 0.5, 0.9]),
    per_patient=st.sampled_from([1, 1, 3, 10]),
)


def assert_held(table: pd.DataFrame, estimate: str = "estimate", lower: str = "lower", upper: str = "upper") -> None:
    """Hold every estimate with an interval against it; an interval is whole or absent."""
    numbers = table[[estimate, lower, upper]].astype(float)
    assert (numbers[lower].isna() == numbers[upper].isna()).all()
    known = numbers.dropna()
    assert known[(known[lower] > known[estimate] + 1e-12) | (known[upper] < known[estimate] - 1e-12)].empty


@pytest.mark.slow
@settings(max_examples=60)
@given(world=worlds, seed=st.integers(0, 1000), weighted=st.booleans())
def test_metrics_of_probabilities(world, seed, weighted):
    outcome, probability, patients = world
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 3.0, len(outcome)) if weighted else None
    more = {"patients": patients, "rng": rng, "resamples": RESAMPLES, "weights": weights}
    table = compute_metrics(outcome, probability, **more)
    assert set(table["metric"]) == set(ESTIMATORS)
    assert_held(table)
    for row in table.to_dict("records"):
        least, most = ALLOWED.get(row["metric"], (-np.inf, np.inf))
        assert not row["lower"] < least - 1e-9
        assert not row["upper"] > most + 1e-9
    assert_held(compute_calibration_curve(outcome, probability, **more).indices)
    assert_held(compute_decision_curve(outcome, probability, thresholds=[0.1, 0.5], base_rate=0.3, **more))


@pytest.mark.slow
@settings(max_examples=25)
@given(world=worlds, seed=st.integers(0, 1000))
def test_differences_levels_and_scores_taken_apart(world, seed):
    outcome, probability, patients = world
    rng = np.random.default_rng(seed)
    other = np.clip(probability + rng.normal(0, 0.1, len(outcome)), 0.001, 0.999)
    drawn = {"patients": patients, "rng": rng, "resamples": RESAMPLES}
    assert_held(compare_predictions(outcome, probability, other, **drawn), "difference")
    assert_held(compute_auroc_delong(outcome, probability, patients=patients))
    kept = np.clip(probability, 1e-6, 1 - 1e-6)
    assert_held(check_against_truth(outcome, probability, kept, patients))


@pytest.mark.slow
@settings(max_examples=25)
@given(world=worlds, seed=st.integers(0, 1000))
def test_groups_refits_and_those_lost(world, seed):
    outcome, probability, patients = world
    rng = np.random.default_rng(seed)
    sites = pd.DataFrame({"site": rng.choice(["a", "b", "c", "d"], len(outcome))})
    grouped = compute_metrics_by_group(outcome, probability, sites, patients=patients)
    assert_held(grouped)
    assert_held(grouped, "shrunken", "shrunken_lower", "shrunken_upper")
    assert_held(pool_groups(grouped))
    refits = np.clip(probability + rng.normal(0.05, 0.1, (6, len(outcome))), 0, 1)
    assert_held(compute_instability(probability, refits, patients=patients, rng=rng, resamples=RESAMPLES))
    kept = np.clip(probability, 1e-6, 1 - 1e-6)
    sweep = compute_tipping_point(np.where(rng.random(len(outcome)) < 0.2, np.nan, outcome), np.log(kept / (1 - kept)))
    assert_held(sweep, "overall_risk", "overall_lower", "overall_upper")
    assert_held(sweep, "o_e_ratio", "o_e_lower", "o_e_upper")


@settings(max_examples=25)
@given(n=st.integers(30, 600), seed=st.integers(0, 1000), competes=st.booleans(), per_patient=st.sampled_from([1, 4]))
def test_times_and_changes(n, seed, competes, per_patient):
    rng = np.random.default_rng(seed)
    months, status = rng.choice([1.0, 3.0, 6.0, 12.0], n), rng.choice([0.0, 1.0, 2.0], n, p=[0.3, 0.6, 0.1])
    survival, patients = np.sort(rng.random((n, 3)), axis=1)[:, ::-1], np.arange(n) // per_patient
    at = [1.0, 3.0, 6.0]
    assert_held(
        compute_duration_metrics(
            *(months, status, survival, at, patients), calibration_months=at, death_competes=competes
        )
    )
    predicted = pd.DataFrame(np.sort(rng.normal(-2, 2, (n, 3)), axis=1), columns=["lower", "median", "upper"])
    assert_held(compute_change_metrics(rng.normal(-2, 2, n), predicted, patients))


@pytest.mark.slow
@settings(max_examples=5)
@given(n=st.integers(30, 120), seed=st.integers(0, 1000))
def test_what_is_corrected_for_optimism(n, seed):
    outcome, probability, patients = make_rows(n, seed, "calibrated", 0.5, 1)

    def model(drawn, _):
        rate = outcome[drawn].mean()
        return np.clip(0.5 * probability + 0.5 * rate, 0.01, 0.99)

    rng = np.random.default_rng(seed)
    assert_held(compute_optimism(model, outcome, patients=patients, rng=rng, resamples=RESAMPLES))


def test_the_calibration_error_of_a_true_model_is_held_and_may_be_small():
    """Percentiles lay above the estimate in most small samples, and never below what noise alone gives."""
    missed = below = 0
    for seed in range(20):
        outcome, probability, patients = make_rows(150, seed, "calibrated", 0.4, 1)
        rng = np.random.default_rng(seed)
        table = compute_metrics(outcome, probability, patients=patients, rng=rng, resamples=200).set_index("metric")
        estimate, lower, upper = table.loc["ece", ["estimate", "lower", "upper"]].astype(float)
        missed += not lower <= estimate <= upper
        below += lower < 0.02
    assert missed == 0
    assert below >= 18


def test_a_widened_interval_holds_that_of_the_percentiles_and_says_so():
    drawn = np.random.default_rng(1).normal(2.0, 0.5, 400)
    lower, upper, _ = compute_percentile_interval(drawn, 0.95)
    wider = widen_interval(0.2, (lower, upper), drawn, 0.95, (0.0, 1.0e9))
    assert wider[0] == 0.0
    assert wider[1] == upper
    assert wider[0] <= 0.2 <= wider[1]


@pytest.mark.parametrize("seed", range(3))
def test_an_interval_that_needs_no_widening_is_that_of_percentiles(seed):
    outcome, probability, patients = make_rows(400, seed, "calibrated", 0.4, 1)
    rng = np.random.default_rng(seed)
    table = compute_metrics(outcome, probability, patients=patients, rng=rng, resamples=200).set_index("metric")
    assert not table.loc[["auroc", "brier", "o_e_ratio"], "method"].str.contains("widened").any()
