"""Cross-fitted ridge regressions: scikit-learn as the oracle, and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from paincast.effects.ridge import PRIOR_SDS, cross_fit, fit_path


def draw(n_classes: int, n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(n, 5))
    label = (matrix[:, :1] * np.arange(n_classes) + rng.gumbel(size=(n, n_classes))).argmax(axis=1)
    return matrix, label


@pytest.mark.parametrize(("n_classes", "share"), [(2, 1.0), (3, 0.5)])
def test_scikit_learn_fits_the_same(n_classes: int, share: float) -> None:
    matrix, label = draw(n_classes)
    found = fit_path(matrix, label, n_classes, matrix, PRIOR_SDS)
    for prior_sd, probability in zip(PRIOR_SDS, found, strict=True):
        # With all classes symmetric, each log odds ratio has twice the variance of a coefficient.
        oracle = LogisticRegression(C=share * prior_sd**2, tol=1e-10, max_iter=2000).fit(matrix, label)
        np.testing.assert_allclose(probability, oracle.predict_proba(matrix), atol=1e-6)


def test_the_order_of_the_classes_does_not_matter() -> None:
    matrix, label = draw(3)
    [forward], [backward] = (fit_path(matrix, codes, 3, matrix, [0.3]) for codes in (label, 2 - label))
    np.testing.assert_allclose(forward, backward[:, ::-1], atol=1e-8)


def test_a_class_that_does_not_occur_has_no_probability() -> None:
    matrix, label = draw(2)
    [found] = fit_path(matrix, 2 * label, 3, matrix, [1.0])
    assert (found[:, 1] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_separated_classes_are_fitted_by_every_strength() -> None:
    matrix = np.linspace(-3, 3, 50)[:, None]
    found = fit_path(matrix, (matrix[:, 0] > 0).astype(int), 2, matrix, PRIOR_SDS)
    assert np.isfinite(found).all()
    assert (np.diff(found[-1][:, 1]) > 0).all()


def test_a_row_is_predicted_by_models_that_have_not_seen_it() -> None:
    matrix, label = draw(2)
    fold = np.arange(len(label)) % 3
    changed = np.where(fold == 0, 1 - label, label)
    is_first = fold == 0
    one, other = (cross_fit(matrix, codes, fold, 2, used=~is_first) for codes in (label, changed))
    np.testing.assert_array_equal(one.probability[is_first], other.probability[is_first])


def test_noise_gets_the_strongest_penalty() -> None:
    rng = np.random.default_rng(5)
    matrix, label = rng.normal(size=(400, 30)), rng.integers(0, 2, 400)
    assert cross_fit(matrix, label, np.arange(400) % 5, 2).prior_sd == PRIOR_SDS[0]
