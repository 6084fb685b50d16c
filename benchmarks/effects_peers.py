"""Peers that estimate individual contrasts, by their documented good practice; needs effects_requirements.txt.

All see the same encoded covariates, complete cases and folds as ours.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LassoCV, LogisticRegression, LogisticRegressionCV
from xgboost import XGBClassifier, XGBRegressor

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Effect = Callable[[FloatArray], FloatArray]
Fit = Callable[[FloatArray, IntArray, FloatArray], Effect]
"""Fits on covariates, strategy (0 or 1) and outcome; returns what predicts contrasts of others."""

TREES = {"n_estimators": 100, "max_depth": 3, "learning_rate": 0.1, "n_jobs": 1}
FOLDS = 3


def _make_logistic() -> LogisticRegressionCV:
    """Ridge, because what is predicted is a propensity or a response; econml reads its older attributes."""
    grid = {"Cs": np.logspace(-4, 1, 8), "l1_ratios": (0,), "cv": FOLDS, "scoring": "neg_log_loss"}
    return LogisticRegressionCV(**grid, max_iter=500, use_legacy_attributes=True)


def _fit_econml(make: Callable[[], Any]) -> Fit:
    def fit(matrix: FloatArray, strategy: IntArray, outcome: FloatArray) -> Effect:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            learner = make().fit(outcome, strategy, X=matrix)
        return lambda asked: np.ravel(learner.effect(asked))

    return fit


def _make_linear_dr() -> Any:
    from econml.dr import LinearDRLearner

    nuisance = {"model_propensity": _make_logistic(), "model_regression": LassoCV(cv=FOLDS)}
    return LinearDRLearner(**nuisance, cv=5, random_state=1)


def _make_lasso_dr() -> Any:
    from econml.dr import DRLearner

    nuisance = {"model_propensity": _make_logistic(), "model_regression": LassoCV(cv=FOLDS)}
    return DRLearner(**nuisance, model_final=LassoCV(cv=FOLDS), cv=5, random_state=1)


def _make_causal_forest() -> Any:
    from econml.dml import CausalForestDML

    nuisance = {"model_y": LassoCV(cv=FOLDS), "model_t": LogisticRegression(C=0.1, max_iter=500)}
    size = {"n_estimators": 100, "min_samples_leaf": 10, "inference": False, "n_jobs": 1}
    return CausalForestDML(**nuisance, **size, discrete_treatment=True, cv=FOLDS, random_state=1)


def _make_x_learner() -> Any:
    from econml.metalearners import XLearner

    return XLearner(models=XGBRegressor(**TREES), propensity_model=LogisticRegression(C=0.1, max_iter=500))


def _fit_xgboost(matrix: FloatArray, strategy: IntArray, outcome: FloatArray) -> Effect:
    models = [XGBClassifier(**TREES).fit(matrix[strategy == arm], outcome[strategy == arm]) for arm in (0, 1)]

    def effect(asked: FloatArray) -> FloatArray:
        first, second = (model.predict_proba(asked)[:, 1] for model in models)
        return np.asarray(second - first, dtype=float)

    return effect


LASSO_DR = "econml DR-learner, linear nuisances, lasso"

LINEAR: dict[str, Fit] = {
    LASSO_DR: _fit_econml(_make_lasso_dr),
    "econml LinearDRLearner": _fit_econml(_make_linear_dr),
}
TREE_BASED: dict[str, Fit] = {
    "econml causal forest": _fit_econml(_make_causal_forest),
    "econml X-learner, XGBoost": _fit_econml(_make_x_learner),
    "XGBoost T-learner": _fit_xgboost,
}
