"""The path of lasso fits against fits of a single penalty, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from paincast.models.binary.penalised import fit_lasso_path, fit_penalised

PENALTIES = np.array([0.1, 0.03, 0.005])


@pytest.fixture
def design() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(400, 5))


def test_each_point_of_a_path_is_the_fit_of_its_penalty(design: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    outcome = (rng.random(400) < 1.0 / (1.0 + np.exp(-design[:, 0] + 0.5 * design[:, 1]))).astype(float)
    weights, factors = rng.uniform(0.5, 2.0, 400), np.array([1.0, 1.0, 1.0, 0.0, 2.0])
    intercepts, coefficients = fit_lasso_path(design, outcome, weights, penalties=PENALTIES, factors=factors)
    for place, penalty in enumerate(PENALTIES):
        single = fit_penalised(design, outcome, weights, penalty=penalty, l1_ratio=1.0, factors=factors)
        assert intercepts[place] == pytest.approx(single.intercept, abs=2e-3)
        np.testing.assert_allclose(coefficients[:, place], single.coefficients, atol=2e-3)


def test_numbers_are_fitted_as_by_scikit_learn(design: np.ndarray) -> None:
    outcome = design[:, 0] + np.random.default_rng(3).normal(size=400)
    intercepts, coefficients = fit_lasso_path(design, outcome, np.ones(400), penalties=PENALTIES, family="normal")
    for place, penalty in enumerate(PENALTIES):
        lasso = Lasso(alpha=penalty, tol=1e-10).fit(design, outcome)
        assert intercepts[place] == pytest.approx(lasso.intercept_, abs=1e-3)
        np.testing.assert_allclose(coefficients[:, place], lasso.coef_, atol=1e-3)


def test_outcomes_all_the_same_give_an_intercept_alone(design: np.ndarray) -> None:
    intercepts, coefficients = fit_lasso_path(design, np.ones(400), np.ones(400), penalties=PENALTIES)
    assert np.isfinite(intercepts).all()
    assert (intercepts > 5.0).all()
    assert not coefficients.any()
