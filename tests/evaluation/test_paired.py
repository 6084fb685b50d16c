"""Differences between two models on the same rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from paincast.errors import DataError, SettingsError
from paincast.evaluation.performance.calibration_curve import compute_calibration_curve
from paincast.evaluation.performance.metrics import compute_metrics
from paincast.evaluation.validation.paired import COMPARED, PAIRED_COLUMNS, compare_predictions


def make_rows(n: int = 1500, seed: int = 0) -> pd.DataFrame:
    """Make rows of patients, a good prediction, and one that is noisier and too extreme."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0.0, 1.0, n)
    return pd.DataFrame(
        {
            "outcome": rng.random(n) < expit(log_odds),
            "good": expit(log_odds),
            "poor": expit(1.8 * (log_odds + rng.normal(0.0, 0.6, n))),
            "patient": rng.integers(0, n // 2, n),
        }
    )


def compare(rows: pd.DataFrame, champion: str, candidate: str, seed: int = 1, **settings: int) -> pd.DataFrame:
    return compare_predictions(
        rows["outcome"],
        rows[champion],
        rows[candidate],
        patients=rows["patient"],
        rng=np.random.default_rng(seed),
        **{"resamples": 200, **settings},
    ).set_index("metric")


def test_the_better_model_is_told_with_an_interval():
    table = compare(make_rows(), "poor", "good")
    assert [table.index.name, *table.columns] == list(PAIRED_COLUMNS)
    assert list(table.index) == list(COMPARED)
    assert (table.loc[["log_loss", "brier", "ici"], "upper"] < 0).all()
    assert (table.loc[["auroc", "calibration_slope"], "lower"] > 0).all()
    np.testing.assert_allclose(table["difference"], table["candidate"] - table["champion"])
    assert table.loc["brier", "method"].startswith("paired percentile bootstrap of ")


def test_estimates_are_those_of_each_model_alone():
    rows = make_rows()
    table = compare(rows, "poor", "good")
    alone = compute_metrics(
        rows["outcome"], rows["poor"], patients=rows["patient"], rng=np.random.default_rng(1), resamples=50
    ).set_index("metric")["estimate"]
    curve = compute_calibration_curve(
        rows["outcome"], rows["poor"], patients=rows["patient"], rng=np.random.default_rng(1), resamples=50
    )
    for metric in ("log_loss", "brier", "auroc", "calibration_slope"):
        assert table.loc[metric, "champion"] == pytest.approx(alone[metric], abs=1e-9)
    assert table.loc["ici", "champion"] == pytest.approx(curve.indices.set_index("metric").loc["ici", "estimate"])


def test_swapping_the_models_turns_the_sign():
    one, other = (compare(make_rows(), *pair) for pair in (("poor", "good"), ("good", "poor")))
    np.testing.assert_allclose(one["difference"], -other["difference"])
    np.testing.assert_allclose(one["lower"], -other["upper"], atol=1e-12)


@pytest.mark.slow
def test_patients_are_drawn_together_and_the_order_of_rows_does_not_matter():
    rows = make_rows()
    twice = pd.concat([rows, rows], ignore_index=True)
    shuffled = twice.sample(frac=1.0, random_state=3)
    for other in (twice, shuffled):
        table = compare(other, "poor", "good")
        np.testing.assert_allclose(table["n"], 2 * len(rows))
        narrower = (table["upper"] - table["lower"]) / (lambda one: one["upper"] - one["lower"])(
            compare(rows, "poor", "good")
        )
        assert narrower[["log_loss", "brier", "auroc"]].between(0.8, 1.25).all()


def test_pairing_is_what_makes_the_interval_narrow():
    rows = make_rows().assign(nearly=lambda frame: expit(1.02 * np.log(frame["good"] / (1 - frame["good"]))))
    paired = compare(rows, "good", "nearly").loc["log_loss"]
    alone = compute_metrics(
        rows["outcome"], rows["good"], patients=rows["patient"], rng=np.random.default_rng(1), resamples=200
    ).set_index("metric")
    assert paired["upper"] - paired["lower"] < 0.1 * (alone.loc["log_loss", "upper"] - alone.loc["log_loss", "lower"])


def test_a_model_and_itself_differ_by_nothing_and_have_no_interval():
    table = compare(make_rows(), "good", "good")
    assert (table["difference"] == 0).all()
    assert table["lower"].isna().all()
    assert table["method"].str.contains("all resamples agree").all()


def test_what_one_model_does_not_have_has_no_difference():
    table = compare(make_rows().assign(constant=0.4), "constant", "good")
    assert table.loc["calibration_slope", ["difference", "lower", "upper"]].isna().all()
    assert table.loc["ici", "method"] == "not estimable: it does not exist for both models"
    assert table.loc["brier", "upper"] < 0


def test_rows_and_settings_are_checked():
    rows = make_rows(50)
    with pytest.raises(DataError, match="probability: 1 of 50 values are missing"):
        compare(rows.assign(holes=[np.nan, *rows["good"][1:]]), "good", "holes")
    with pytest.raises(SettingsError, match=r"resamples=10 .*50 to"):
        compare(rows, "good", "poor", resamples=10)
