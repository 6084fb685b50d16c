"""The binomial model behind every curve: what it equals where that is known, and what no data may do to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from paincast.errors import DataError
from paincast.statistics.multilevel import Block, MultilevelFit, fit_multilevel, predict_multilevel

FloatArray = NDArray[np.float64]

FLAT = 100.0
"""Prior standard deviation that says nothing."""


def level(rows: int, scale: float = FLAT) -> Block:
    return Block(np.ones((rows, 1)), scale, estimated=False)


def studies(rows: int, scale: float, *, estimated: bool = True) -> Block:
    """Give every row a study of its own, beside one that no row is of."""
    return Block(np.eye(rows, rows + 1), scale, estimated)


def predict_level(fit: MultilevelFit) -> tuple[float, float]:
    mean, covariance = predict_multilevel(fit, {"level": np.ones((1, 1))})
    return float(mean[0]), float(covariance[0, 0])


def predict_new(fit: MultilevelFit, rows: int) -> tuple[float, float]:
    """Predict the study that no row is of."""
    mean, covariance = predict_multilevel(fit, {"level": np.ones((1, 1)), "study": np.eye(1, rows + 1, rows)})
    return float(mean[0]), float(covariance[0, 0])


def fit_studies(events: FloatArray, n: FloatArray, *, scale: float = 0.5, estimated: bool = True) -> MultilevelFit:
    rows = len(n)
    return fit_multilevel(events, n, {"level": level(rows, 1.5), "study": studies(rows, scale, estimated=estimated)})


def test_without_spread_it_is_one_binomial_share() -> None:
    events, n = np.array([12.0, 30.0, 9.0]), np.array([20.0, 60.0, 30.0])
    fit = fit_multilevel(events, n, {"level": level(3), "study": studies(3, 0.0, estimated=False)})
    share = events.sum() / n.sum()
    mean, variance = predict_level(fit)
    assert mean == pytest.approx(logit(share), abs=1e-4)
    assert variance == pytest.approx(1.0 / (n.sum() * share * (1.0 - share)), rel=1e-4)
    assert predict_new(fit, 3) == pytest.approx((mean, variance))


def test_without_spread_a_trend_is_that_of_a_logistic_regression() -> None:
    months = np.array([[0.0], [1.0], [2.0], [3.0]])
    events, n = np.array([40.0, 30.0, 26.0, 10.0]), np.array([60.0, 55.0, 61.0, 40.0])
    fit = fit_multilevel(events, n, {"level": level(4), "trend": Block(months, FLAT, estimated=False)})
    [expected, later], covariance = predict_multilevel(
        fit, {"level": np.ones((2, 1)), "trend": np.array([[0.0], [5.0]])}
    )
    plain = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    plain.fit(np.vstack([months, months]), np.repeat([1, 0], 4), sample_weight=np.concatenate([events, n - events]))
    assert expected == pytest.approx(plain.intercept_[0], abs=1e-3)
    assert later == pytest.approx(plain.intercept_[0] + 5.0 * plain.coef_[0, 0], abs=1e-3)
    share = plain.predict_proba(months)[:, 1]
    design = np.column_stack([np.ones(4), months])
    information = design.T @ (design * (n * share * (1.0 - share))[:, None])
    wanted = np.array([[1.0, 0.0], [1.0, 5.0]])
    assert covariance == pytest.approx(wanted @ np.linalg.inv(information) @ wanted.T, abs=1e-3)


def test_a_single_study_is_drawn_towards_the_prior_and_leaves_the_spread_of_its_prior() -> None:
    fit = fit_studies(np.array([45.0]), np.array([50.0]))
    mean, variance = predict_level(fit)
    assert 0.0 < mean < logit(0.9)
    one = 1.0 / (50.0 * 0.9 * 0.1)
    assert one < variance < 1.5**2
    assert 0.05 < fit.sds["study"] < 1.5
    assert predict_new(fit, 1)[1] == pytest.approx(variance + fit.sds["study"] ** 2)


def test_a_block_that_is_left_out_adds_nothing() -> None:
    fit = fit_studies(np.array([45.0, 20.0]), np.array([50.0, 40.0]))
    own, _ = predict_multilevel(fit, {"level": np.ones((2, 1)), "study": np.eye(2, 3)})
    mean, _ = predict_level(fit)
    assert own[0] > mean > own[1]
    apart, covariance = predict_multilevel(fit, {"study": np.eye(2, 3)})
    assert apart + mean == pytest.approx(own)
    assert (np.diag(covariance) < fit.sds["study"] ** 2).all()


def test_what_is_known_before_is_taken_off() -> None:
    events, n = np.array([30.0, 22.0]), np.array([50.0, 50.0])
    plain = fit_multilevel(events, n, {"level": level(2)})
    moved = fit_multilevel(events, n, {"level": level(2)}, offset=-0.3)
    assert predict_level(moved)[0] == pytest.approx(predict_level(plain)[0] + 0.3, abs=1e-3)
    assert predict_level(moved)[1] == pytest.approx(predict_level(plain)[1], rel=1e-3)


def test_the_spread_between_studies_is_found() -> None:
    rng = np.random.default_rng(3)
    n = np.full(60, 80.0)
    for spread in (0.1, 0.8):
        events = rng.binomial(80, expit(0.3 + spread * rng.standard_normal(60))).astype(float)
        fit = fit_studies(events, n, scale=1.0)
        assert fit.sds["study"] == pytest.approx(spread, abs=0.17)
        assert predict_level(fit)[0] == pytest.approx(0.3, abs=4.0 * np.sqrt(predict_level(fit)[1]))


def test_counts_need_not_be_whole_numbers() -> None:
    whole = fit_studies(np.array([30.0, 20.0]), np.array([50.0, 40.0]))
    parts = fit_studies(np.array([30.001, 19.999]), np.array([50.0, 40.0]))
    assert predict_level(parts) == pytest.approx(predict_level(whole), abs=1e-3)


counts = st.lists(
    st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=8
)


@given(rows=counts, random=st.randoms(use_true_random=False))
@settings(max_examples=12)
def test_the_order_of_rows_does_not_matter(rows: list[tuple[int, int]], random) -> None:
    mixed = random.sample(rows, len(rows))
    one, other = (fit_studies(*np.array(order, dtype=float).T) for order in (rows, mixed))
    assert predict_level(other) == pytest.approx(predict_level(one), abs=2e-3)
    assert other.sds["study"] == pytest.approx(one.sds["study"], abs=2e-3)


@given(rows=counts)
@settings(max_examples=25)
def test_the_interval_of_a_new_study_contains_that_of_the_mean(rows: list[tuple[int, int]]) -> None:
    events, n = np.array(rows, dtype=float).T
    fit = fit_studies(events, n)
    mean, variance = predict_level(fit)
    new, spread = predict_new(fit, len(n))
    assert np.isfinite([mean, variance]).all()
    assert 0.0 < variance < spread
    assert new == pytest.approx(mean, abs=1e-9)


@given(rows=counts, times=st.integers(2, 20), scale=st.floats(0.0, 1.5))
@settings(max_examples=80)
def test_more_patients_never_widen(rows: list[tuple[int, int]], times: int, scale: float) -> None:
    """Of the same share, with a spread between studies that is known: else they may tell that studies differ."""
    events, n = np.array(rows, dtype=float).T
    few = predict_level(fit_studies(events, n, scale=scale, estimated=False))[1]
    many = predict_level(fit_studies(times * events, times * n, scale=scale, estimated=False))[1]
    assert many <= few * (1.0 + 1e-6)


@pytest.mark.parametrize(
    ("events", "n"),
    [([], []), ([3], [0]), ([-1], [4]), ([5], [4]), ([1, 5], [4, 4]), ([np.nan], [4]), ([1, 2], [4]), ([1], [4, 4])],
)
def test_counts_that_cannot_be_are_refused(events: list[float], n: list[float]) -> None:
    with pytest.raises(DataError, check=lambda error: error.code == "PC-STATISTICS-02"):
        fit_multilevel(events, n, {"level": level(len(events))})
