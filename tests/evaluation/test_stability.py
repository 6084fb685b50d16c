"""Prediction instability: by hand, by its definition, and what its intervals must take in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from scipy.special import expit

from paincast.errors import DataError, SettingsError
from paincast.evaluation.performance.metrics import METRIC_COLUMNS
from paincast.evaluation.validation.stability import (
    compute_effective_df,
    compute_instability,
    compute_instability_by_bin,
    compute_instability_by_row,
)


def make_predictions(n=200, n_refits=20, spread=0.3, seed=0):
    rng = np.random.default_rng(seed)
    linear_predictor = rng.normal(0, 1, n)
    return expit(linear_predictor), expit(linear_predictor + rng.normal(0, spread, (n_refits, n)))


def compute(served, refits, **options):
    rows = compute_instability(served, refits, rng=np.random.default_rng(7), **options)
    return rows.set_index("metric")


def test_mean_absolute_prediction_error_by_hand():
    served, refits = [0.2, 0.5, 0.4, 0.6, 0.7], [[0.3, 0.5, 0.4, 0.5, 0.7], [0.1, 0.6, 0.4, 0.4, 0.7]]
    by_row = compute_instability_by_row(served, refits)
    np.testing.assert_allclose(by_row["instability"], [0.1, 0.05, 0, 0.15, 0])
    rows = compute(served, refits, thresholds=[0.5, 0.55])
    assert rows.loc["instability_mean", "estimate"] == pytest.approx(0.06)
    assert rows.loc["instability_median", "estimate"] == pytest.approx(0.05)
    assert rows.loc["instability_q95", "estimate"] == pytest.approx(0.15)
    assert rows.loc["classification_instability_at_0.5", "estimate"] == pytest.approx(0.1)
    assert rows.loc["classification_instability_at_0.55", "estimate"] == pytest.approx(0.3)


def test_table_is_tidy_and_says_how_it_was_made():
    served, refits = make_predictions()
    table = compute_instability(served, refits, thresholds=[0.3], rng=np.random.default_rng(0), group="facet_rfa")
    assert tuple(table.columns) == METRIC_COLUMNS
    assert table["metric"].is_unique
    assert (table["group"] == "facet_rfa").all()
    assert (table["n"] == 200).all()
    assert (table["lower"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["upper"]).all()
    assert table["method"].str.contains("200 patients(?: and|, given) 20 refits, 200 resamples, 95 %").all()


@pytest.mark.slow
@given(
    served=stn.arrays(float, 12, elements=st.floats(0, 1)),
    refits=stn.arrays(float, (3, 12), elements=st.floats(0, 1)),
)
def test_summaries_are_ordered_and_inside_0_and_1(served, refits):
    estimates = compute(served, refits, thresholds=[0.4], resamples=50)["estimate"]
    assert ((estimates >= 0) & (estimates <= 1)).all()
    quantiles = estimates[
        ["instability_q05", "instability_q25", "instability_median", "instability_q75", "instability_q95"]
    ]
    assert quantiles.is_monotonic_increasing
    by_row = compute_instability_by_row(served, refits)
    assert estimates["instability_mean"] == pytest.approx(by_row["instability"].mean())
    assert (by_row["lower"] <= by_row["upper"]).all()


def test_refits_equal_to_the_served_model_are_stable():
    served, _ = make_predictions()
    rows = compute(served, np.tile(served, (5, 1)), thresholds=[0.5])
    assert (rows["estimate"] == 0).all()
    assert rows["lower"].isna().all()
    assert rows["method"].str.contains("no interval: all resamples agree").all()


def test_more_spread_is_more_instability():
    found = [compute(*make_predictions(spread=spread), thresholds=[0.5])["estimate"] for spread in (0.05, 0.2, 0.8)]
    for metric in ("instability_mean", "instability_q95", "classification_instability_at_0.5"):
        values = [rows[metric] for rows in found]
        assert values == sorted(values)
        assert values[2] > 3 * values[0]


def test_few_refits_widen_the_interval():
    rng = np.random.default_rng(3)
    served = expit(rng.normal(0, 1, 2000))
    # Each refit moves all patients together, so that 2,000 patients say little about other refits.
    widths = []
    for n_refits in (5, 80):
        shifts = rng.normal(0, 0.5, (n_refits, 1))
        row = compute(served, expit(np.log(served / (1 - served)) + shifts)).loc["instability_mean"]
        widths.append(row["upper"] - row["lower"])
    assert widths[0] > 2 * widths[1]


@pytest.mark.slow
def test_interval_covers_what_many_patients_and_refits_give():
    truth = compute(*make_predictions(n=20_000, n_refits=100, seed=1), resamples=50).loc["instability_mean", "estimate"]
    covered = []
    for seed in range(30):
        row = compute(*make_predictions(n=60, n_refits=10, seed=100 + seed)).loc["instability_mean"]
        covered.append(row["lower"] <= truth <= row["upper"])
    assert sum(covered) >= 25


def test_rows_of_one_patient_are_drawn_together():
    served, refits = make_predictions(n=60)
    fourfold = [np.repeat(served, 4), np.repeat(refits, 4, axis=1)]
    alone = compute(served, refits).loc["instability_mean"]
    apart = compute(*fourfold).loc["instability_mean"]
    together = compute(*fourfold, patients=np.repeat(np.arange(60), 4)).loc["instability_mean"]
    assert together["estimate"] == pytest.approx(alone["estimate"])
    assert together["upper"] - together["lower"] == pytest.approx(alone["upper"] - alone["lower"], rel=1e-9)
    assert apart["upper"] - apart["lower"] < together["upper"] - together["lower"]


def test_quantiles_of_four_patients_are_not_shown():
    served, refits = make_predictions(n=4)
    rows = compute(served, refits)
    assert rows.loc["instability_median":, "estimate"].isna().all()
    assert rows.loc["instability_median", "method"] == "not shown: fewer than 5 patients"
    assert rows.loc["instability_mean", "estimate"] > 0


def test_pandas_input_in_any_order_of_labels():
    served, refits = make_predictions(n=30)
    shuffled = pd.Series(served, index=range(30, 0, -1))
    pd.testing.assert_frame_equal(
        compute_instability_by_row(shuffled, pd.DataFrame(refits)), compute_instability_by_row(served, refits)
    )


def test_bins_average_rows_and_hold_five_patients_each():
    served, refits = make_predictions(n=203)
    rows, found = compute_instability_by_row(served, refits), compute_instability_by_bin(served, refits)
    assert found["n"].sum() == 203
    assert found["n_patients"].min() >= 5
    assert 15 <= len(found) <= 20
    assert found["probability"].is_monotonic_increasing
    lowest = rows.nsmallest(found["n"][0], "probability")
    for name in ("probability", "lower", "upper", "instability"):
        assert found[name][0] == pytest.approx(lowest[name].mean())
        assert found[name] @ found["n"] / 203 == pytest.approx(rows[name].mean())
    assert found["refitted"] @ found["n"] / 203 == pytest.approx(refits.mean())


def test_many_rows_of_few_patients_make_no_bin_of_their_own():
    served, refits = make_predictions(n=120)
    rank = served.argsort().argsort()
    found = compute_instability_by_bin(served, refits, patients=rank // 15)  # eight patients, in order of probability
    assert found[["n", "n_patients"]].to_numpy().tolist() == [[120, 8]]
    assert compute_instability_by_bin(served, refits, patients=rank // 40).empty


def test_equal_probabilities_are_one_bin():
    found = compute_instability_by_bin(np.full(50, 0.3), np.full((4, 50), 0.4))
    assert len(found) == 1
    assert found.loc[0, ["probability", "refitted", "instability"]].tolist() == pytest.approx([0.3, 0.4, 0.1])
    with pytest.raises(SettingsError, match="bins=0 is out of range"):
        compute_instability_by_bin([0.1], [[0.1], [0.1]], bins=0)


@pytest.mark.parametrize(
    ("served", "refits", "told"),
    [
        ([0.1, 0.2], [[0.1], [0.2]], r"shape \(2,\), the refits \(2, 1\)"),
        ([], [[], []], "at least one row"),
        ([0.1, 0.2], [[0.1, 0.2]], "1 refit"),
        ([0.1, np.nan], [[0.1, 0.2], [0.1, 0.2]], "probability: 1 of 2"),
        ([0.1, 0.2], [[0.1, 1.2], [0.1, 0.2]], "refits: 1 of 4"),
        ([0.1, 0.2], [["low", 0.1], [0.1, 0.2]], "must be numbers"),
        ([0.1, 0.2], [[0.1, 0.2], [0.1]], "must be numbers"),
    ],
)
def test_bad_predictions_are_refused(served, refits, told):
    with pytest.raises(DataError, match=told):
        compute_instability(served, refits, rng=np.random.default_rng(0))


def test_bad_settings_are_refused():
    served, refits = make_predictions(n=10)
    with pytest.raises(SettingsError, match="threshold=1 is out of range"):
        compute(served, refits, thresholds=[1.0])
    with pytest.raises(SettingsError, match="resamples=10"):
        compute(served, refits, resamples=10)
    with pytest.raises(DataError, match="patients has 3 rows"):
        compute(served, refits, patients=["a", "b", "c"])


@pytest.mark.parametrize("penalty", [0.0, 100.0])
def test_effective_degrees_of_freedom_are_the_trace_of_the_hat_matrix(penalty):
    rng = np.random.default_rng(8)
    columns = rng.normal(size=(800, 6))
    log_odds = columns @ np.full(6, 0.3)
    weight = expit(log_odds) * expit(-log_odds)
    information = columns.T @ (weight[:, None] * columns)
    covariance = np.linalg.inv(information + penalty * np.eye(6))
    draws = log_odds + rng.multivariate_normal(np.zeros(6), covariance, size=4000) @ columns.T
    assert compute_effective_df(log_odds, draws) == pytest.approx(np.trace(information @ covariance), rel=0.05)
