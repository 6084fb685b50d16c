"""Metrics of durations: goldens from scikit-survival, tied times by simulation, calibration, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from paincast.errors import DataError
from paincast.evaluation.survival.curves import compute_aalen_johansen, compute_kaplan_meier
from paincast.evaluation.survival.duration import (
    compute_brier_terms,
    compute_duration_metrics,
    compute_follow_up_weights,
    compute_survival_concordance,
    integrate_over_months,
)

GOLDEN = Path(__file__).parents[1] / "golden"
MONTHS = [1.0, 3.0, 6.0, 12.0, 24.0]
VISITS = np.array([1.0, 3.0, 6.0, 12.0])


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.read_csv(GOLDEN / "duration.csv")


@pytest.fixture(scope="module")
def expected() -> pd.DataFrame:
    return pd.read_csv(GOLDEN / "duration_expected.csv")


def expect(expected: pd.DataFrame, quantity: str) -> np.ndarray:
    return expected.loc[expected["quantity"] == quantity, "value"].to_numpy()


def read(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    survival = rows[[f"survival_{month:g}" for month in MONTHS]].to_numpy()
    return rows["months"].to_numpy(), rows["status"].to_numpy(float), survival


def test_kaplan_meier_agrees_with_scikit_survival(rows: pd.DataFrame, expected: pd.DataFrame) -> None:
    months, status, _ = read(rows)
    table = compute_kaplan_meier(months, status, MONTHS)
    for column, quantity in (("survival", ""), ("lower", "_lower"), ("upper", "_upper")):
        np.testing.assert_allclose(table[column], expect(expected, f"kaplan_meier{quantity}"), atol=1e-12)


@pytest.mark.parametrize("cause", [1, 2])
def test_aalen_johansen_agrees_with_scikit_survival(rows: pd.DataFrame, expected: pd.DataFrame, cause: int) -> None:
    months, status, _ = read(rows)
    table = compute_aalen_johansen(months, status, MONTHS, cause)
    for column, quantity in (("incidence", ""), ("lower", "_lower"), ("upper", "_upper")):
        np.testing.assert_allclose(table[column], expect(expected, f"incidence_{cause}{quantity}"), atol=1e-12)


def test_brier_scores_agree_with_scikit_survival(rows: pd.DataFrame, expected: pd.DataFrame) -> None:
    terms = compute_brier_terms(*read(rows), MONTHS)
    np.testing.assert_allclose(terms.mean(axis=0), expect(expected, "brier"), atol=1e-12)
    whole = integrate_over_months(terms, MONTHS).mean()
    assert whole == pytest.approx(expect(expected, "integrated_brier")[0], abs=1e-12)


def test_concordance_agrees_with_scikit_survival(rows: pd.DataFrame, expected: pd.DataFrame) -> None:
    months, status, survival = read(rows)
    score = survival.mean(axis=1)
    uno = compute_survival_concordance(months, status, score, last_month=24.0)
    assert uno == pytest.approx(expect(expected, "concordance_uno")[0], abs=1e-9)
    harrell = compute_survival_concordance(months, status, score, last_month=np.inf, weighted=False)
    assert harrell == pytest.approx(expect(expected, "concordance_harrell")[0], abs=1e-9)


def draw_visits(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """When relief is lost and when follow-up ends, both at visits, and a predictor of the first."""
    rng = np.random.default_rng(seed)
    hazard = np.where(rng.random(n) < 0.5, 0.15, 0.45)
    lost = np.array([*VISITS, 99.0])[np.minimum(rng.geometric(hazard) - 1, 4)]
    last = np.array([*VISITS])[np.minimum(rng.geometric(0.25, n) - 1, 3)]
    return lost, last, np.minimum(lost, last), (lost <= last).astype(float)


def test_weights_recover_the_whole_at_tied_times() -> None:
    lost, _, months, status = draw_visits(200_000, 1)
    weights, seen_lost = compute_follow_up_weights(months, status, VISITS)
    truth = (lost[:, None] <= VISITS).mean(axis=0)
    np.testing.assert_allclose((weights * seen_lost).mean(axis=0), truth, atol=0.005)
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.01)


def test_brier_score_is_that_of_full_follow_up() -> None:
    lost, _, months, status = draw_visits(200_000, 2)
    predicted = np.broadcast_to([0.8, 0.6, 0.4, 0.3], (len(lost), 4))
    whole = ((predicted - (lost[:, None] > VISITS)) ** 2).mean(axis=0)
    seen = compute_brier_terms(months, status, predicted, VISITS).mean(axis=0)
    np.testing.assert_allclose(seen, whole, atol=0.005)


def test_without_censoring_every_weight_is_one() -> None:
    rng = np.random.default_rng(3)
    months, status = rng.choice(VISITS, 50), np.where(rng.random(50) < 0.7, 1.0, 2.0)
    weights, _ = compute_follow_up_weights(months, status, [1.0, 3.0], death_competes=True)
    np.testing.assert_allclose(weights, 1.0)


def test_who_died_never_loses_relief_when_death_competes() -> None:
    months, status = np.array([1.0, 3.0, 6.0, 6.0]), np.array([2.0, 1.0, 0.0, 0.0])
    weights, lost = compute_follow_up_weights(months, status, [6.0], death_competes=True)
    assert weights[:, 0].tolist() == [1.0, 1.0, 1.0, 1.0]
    assert lost[:, 0].tolist() == [False, True, False, False]
    weights, _ = compute_follow_up_weights(months, status, [6.0])
    np.testing.assert_allclose(weights[:, 0], [0.0, 4 / 3, 4 / 3, 4 / 3])


def test_incidences_and_relief_add_up_to_one(rows: pd.DataFrame) -> None:
    months, status, _ = read(rows)
    both = sum(compute_aalen_johansen(months, status, MONTHS, cause)["incidence"] for cause in (1, 2))
    whole = compute_kaplan_meier(months, (status > 0).astype(float), MONTHS)["survival"]
    np.testing.assert_allclose(both + whole, 1.0, atol=1e-12)


@pytest.mark.slow
def test_metrics_are_tidy_and_right_predictions_are_calibrated() -> None:
    rng = np.random.default_rng(4)
    high = rng.random(20_000) < 0.5
    hazard = np.where(high, 0.15, 0.45)
    lost = np.array([*VISITS, 99.0])[np.minimum(rng.geometric(hazard) - 1, 4)]
    last = VISITS[np.minimum(rng.geometric(0.25, len(high)) - 1, 3)]
    months, status = np.minimum(lost, last), (lost <= last).astype(float)
    survival = np.cumprod(np.repeat(1 - hazard[:, None], 4, axis=1), axis=1)
    curve = np.broadcast_to(compute_kaplan_meier(months, status, VISITS)["survival"], survival.shape)
    table = compute_duration_metrics(
        months, status, survival, list(VISITS), np.arange(len(high)), reference=np.array(curve)
    ).set_index("metric")
    assert list(table.columns) == ["group", "estimate", "lower", "upper", "n", "method"]
    for month in (6, 12):
        row = table.loc[f"o_e_ratio_{month}"]
        assert row["lower"] < 1.0 < row["upper"]
    assert table.loc["integrated_brier_gain", "lower"] > 0
    assert 0.6 < table.loc["concordance_uno", "estimate"] < 0.75
    assert {f"brier_{month:g}" for month in VISITS} <= set(table.index)


def test_calibration_with_competing_death_is_held_against_aalen_johansen(rows: pd.DataFrame) -> None:
    months, status, survival = read(rows)
    kept = 1.0 - compute_aalen_johansen(months, status, MONTHS)["incidence"].to_numpy()
    predicted = np.broadcast_to(kept, survival.shape)
    table = compute_duration_metrics(months, status, predicted, MONTHS, rows.index, death_competes=True)
    told = table.set_index("metric").loc["o_e_ratio_12"]
    assert told["estimate"] == pytest.approx(1.0)
    assert told["lower"] < 1.0 < told["upper"]
    assert told["method"] == "observed by Aalen-Johansen"


def test_a_month_that_nobody_reached_has_no_score() -> None:
    months, status = np.array([1.0, 3.0]), np.array([1.0, 0.0])
    terms = compute_brier_terms(months, status, np.full((2, 2), 0.5), [1.0, 6.0])
    assert np.isfinite(terms[:, 0]).all()
    assert np.isnan(terms[:, 1]).all()


@pytest.mark.slow
@given(
    months=arrays(float, 12, elements=st.sampled_from([0.0, 1.0, 3.0, 7.3, 12.0])),
    status=arrays(float, 12, elements=st.sampled_from([0.0, 1.0, 2.0])),
)
@settings(max_examples=150, deadline=None)
def test_curves_are_probabilities_and_monotone(months: np.ndarray, status: np.ndarray) -> None:
    at = [0.5, 1.0, 3.0, 12.0, 60.0]
    curve = compute_kaplan_meier(months, status, at)
    incidence = compute_aalen_johansen(months, status, at)
    for table, name in ((curve, "survival"), (incidence, "incidence")):
        assert table[[name, "lower", "upper"]].to_numpy().min() >= -1e-12
        assert table[[name, "lower", "upper"]].to_numpy().max() <= 1 + 1e-12
        assert (table["lower"] <= table[name] + 1e-12).all()
        assert (table["upper"] >= table[name] - 1e-12).all()
    assert (np.diff(curve["survival"]) <= 1e-12).all()
    assert (np.diff(incidence["incidence"]) >= -1e-12).all()


@pytest.mark.parametrize(
    ("months", "status", "words"),
    [
        ([1.0, np.nan], [1.0, 0.0], "1 missing or below 0"),
        ([1.0, -1.0], [1.0, 0.0], "1 missing or below 0"),
        ([1.0, 2.0], [1.0, 3.0], r"1 values are not 0 \(held\)"),
        ([], [], "one of each per episode"),
        ([1.0], [1.0, 0.0], "one of each per episode"),
    ],
)
def test_bad_durations_are_named(months: list[float], status: list[float], words: str) -> None:
    with pytest.raises(DataError, match=words):
        compute_kaplan_meier(np.array(months), np.array(status), [1.0])


def test_predictions_of_the_wrong_shape_are_named() -> None:
    with pytest.raises(DataError, check=lambda error: error.code == "PC-EVALUATION-28"):
        compute_brier_terms(np.ones(2), np.ones(2), np.ones((2, 3)), [1.0])
    with pytest.raises(DataError, match="two increasing"):
        integrate_over_months(np.ones((2, 1)), [1.0])


def test_concordance_without_pairs_is_missing() -> None:
    assert np.isnan(compute_survival_concordance(np.ones(3), np.zeros(3), np.arange(3.0), last_month=12.0))
