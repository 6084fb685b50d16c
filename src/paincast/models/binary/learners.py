"""The kinds of response model: penalised logistic regression, gradient-boosted trees and, elsewhere, additive steps.

All give margins (log odds) and contributions that add up to the margin, and all take an affine calibration into
themselves, so that what is served is one model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xgboost
from scipy.special import expit, logit

from paincast.files.declared_types import read_array
from paincast.models.binary.additive import AdditiveModel
from paincast.models.binary.penalised import SCORE_FACTOR, Penalised, find_level, fit_penalised
from paincast.models.calibration.affine import AffineCalibration

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LinearModel:
    """Logistic regression on an encoded matrix.

    Parameters
    ----------
    intercept : float
        Log odds where every encoded column is zero.
    coefficients : ndarray of shape (n_encoded,)
        Log odds ratio per unit of an encoded column.
    means : ndarray of shape (n_encoded,)
        Means of the encoded columns in training: the reference of the contributions.
    """

    intercept: float
    coefficients: FloatArray
    means: FloatArray

    def margin(self, matrix: FloatArray) -> FloatArray:
        """Give the log odds, shape (n,), of each row to the last digit whichever rows stand beside it."""
        # A matrix product sums in an order that depends on the number of rows.
        added = np.einsum("ij,j->i", np.ascontiguousarray(matrix), self.coefficients)
        return np.asarray(self.intercept + added, dtype=float)

    def contributions(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Give base, shape (n,), and SHAP values, shape (n, n_encoded), that add up to the margin.

        For a linear model with the training cohort as background the SHAP value of a column is its coefficient times
        the distance from its mean (Lundberg and Lee 2017, doi:10.48550/arXiv.1705.07874).
        """
        base = np.full(len(matrix), self.intercept + self.means @ self.coefficients)
        return base, (matrix - self.means) * self.coefficients

    def recalibrate(self, calibration: AffineCalibration) -> LinearModel:
        """Take an affine calibration into the coefficients."""
        return LinearModel(
            intercept=calibration.intercept + calibration.slope * self.intercept,
            coefficients=calibration.slope * self.coefficients,
            means=self.means,
        )

    def to_state(self) -> dict[str, Any]:
        """Give the model as plain data."""
        return {
            "intercept": self.intercept,
            "coefficients": self.coefficients.tolist(),
            "means": self.means.tolist(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build it from :meth:`to_state`."""
        return cls(
            intercept=state["intercept"],
            coefficients=read_array(state["coefficients"]),
            means=read_array(state["means"]),
        )


@dataclass(frozen=True, kw_only=True)
class BoostedModel:
    """Gradient-boosted trees on an encoded matrix.

    Parameters
    ----------
    booster : xgboost.Booster
        Trees whose sum, with the base score, is the log odds.
    """

    booster: xgboost.Booster

    def margin(self, matrix: FloatArray) -> FloatArray:
        """Give the log odds, shape (n,)."""
        return np.asarray(self.booster.predict(_pack(matrix), output_margin=True), dtype=float)

    def contributions(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Give base, shape (n,), and SHAP values, shape (n, n_encoded), that add up to the margin.

        Path-dependent TreeSHAP (Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9), as built into XGBoost.
        """
        if matrix.shape[1] == 0:
            return self.margin(matrix), np.zeros(matrix.shape)
        values = np.asarray(self.booster.predict(_pack(matrix), pred_contribs=True), dtype=float)
        return values[:, -1], values[:, :-1]

    def recalibrate(self, calibration: AffineCalibration) -> BoostedModel:
        """Take an affine calibration into the leaves (times the slope) and the base score (shifted)."""
        model = json.loads(self.booster.save_raw("json"))
        for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
            leaf = np.array(tree["left_children"]) == -1
            conditions = np.array(tree["split_conditions"])
            tree["split_conditions"] = np.where(leaf, conditions * calibration.slope, conditions).tolist()
            tree["base_weights"] = (np.array(tree["base_weights"]) * calibration.slope).tolist()
        parameters = model["learner"]["learner_model_param"]
        base = float(str(parameters["base_score"]).strip("[]"))
        shifted = expit(calibration.intercept + calibration.slope * logit(base))
        parameters["base_score"] = f"[{shifted:.9E}]"
        return BoostedModel(booster=read_booster(json.dumps(model).encode()))


Model = LinearModel | BoostedModel | AdditiveModel


def fit_logistic(
    matrix: FloatArray,
    outcome: FloatArray,
    *,
    penalty: float | None,
    l1_ratio: float = 0.0,
    weights: FloatArray | None = None,
    spreads: FloatArray | None = None,
    prior: FloatArray | None = None,
    directions: FloatArray | None = None,
) -> LinearModel:
    """Fit a logistic regression whose coefficients are shrunk towards a prior by an elastic net.

    Parameters
    ----------
    matrix : ndarray of shape (n, n_encoded)
        Encoded episodes without missing values.
    outcome : ndarray of shape (n,)
        0 or 1, both present.
    penalty : float or None
        Strength on the mean log loss; None keeps the prior as it is and fits the intercept alone.
    l1_ratio : float
        0 for ridge, 1 for lasso.
    weights : ndarray of shape (n,), optional
        Weights of the rows.
    spreads : ndarray of shape (n_encoded,), optional
        What counts as one unit of each column for the penalty; by default 1.
    prior : ndarray of shape (n_encoded,), optional
        Coefficients to shrink towards; by default 0.
    directions : ndarray of shape (n_encoded,), optional
        Weights of the columns in the direction score (:func:`paincast.models.binary.borrowing.weigh_directions`),
        whose own
        coefficient is penalised lightly.
    """
    weight = np.ones(len(outcome)) if weights is None else weights
    unit = np.ones(matrix.shape[1]) if spreads is None else spreads
    start = np.zeros(matrix.shape[1]) if prior is None else prior
    score = np.zeros(matrix.shape[1]) if directions is None else directions
    means = np.average(matrix, axis=0, weights=weight)
    offset = (matrix - means) @ start
    if penalty is None or matrix.shape[1] == 0:
        fitted = Penalised(intercept=find_level(outcome, weight, offset), coefficients=np.zeros(matrix.shape[1] + 1))
    else:
        design = np.column_stack([(matrix - means) / unit, (matrix - means) @ score])
        used = slice(None) if score.any() else slice(-1)
        factors = np.concatenate([np.ones(matrix.shape[1]), [SCORE_FACTOR]])
        found = fit_penalised(
            design[:, used],
            outcome,
            weight,
            penalty=penalty,
            l1_ratio=l1_ratio,
            factors=factors[used],
            offset=offset,
        )
        own = np.zeros(matrix.shape[1] + 1)
        own[used] = found.coefficients
        fitted = Penalised(intercept=found.intercept, coefficients=own)
    coefficients = start + fitted.coefficients[:-1] / unit + fitted.coefficients[-1] * score
    return LinearModel(intercept=fitted.intercept - float(means @ coefficients), coefficients=coefficients, means=means)


def average_linear(models: Sequence[LinearModel], shares: FloatArray) -> LinearModel:
    """Average the log odds of linear models on the same columns: the average is linear too."""
    return LinearModel(
        intercept=float(shares @ [model.intercept for model in models]),
        coefficients=shares @ np.array([model.coefficients for model in models]),
        means=models[0].means,
    )


def fit_boosted(
    matrix: FloatArray,
    outcome: FloatArray,
    *,
    parameters: dict[str, Any],
    rng: np.random.Generator,
    weights: FloatArray | None = None,
    monotone: tuple[int, ...] = (),
) -> BoostedModel:
    """Fit gradient-boosted trees on log loss.

    Parameters
    ----------
    matrix : ndarray of shape (n, n_encoded)
        Encoded episodes; missing values are NaN and each split learns where they go.
    outcome : ndarray of shape (n,)
        0 or 1, both present.
    parameters : dict
        ``n_estimators`` and parameters of XGBoost.
    rng : numpy.random.Generator
        Source of the seed of row and column sampling.
    weights : ndarray of shape (n,), optional
        Weights of the rows.
    monotone : tuple of {-1, 0, 1}
        Direction imposed on each column; empty for none.
    """
    rounds = int(parameters["n_estimators"])
    tree_parameters = {name: value for name, value in parameters.items() if name != "n_estimators"}
    settings = {
        "objective": "binary:logistic",
        "base_score": float(np.average(outcome, weights=weights)),
        "tree_method": "hist",
        "nthread": 1,
        "seed": int(rng.integers(2**31)),
        "verbosity": 0,
        **({"monotone_constraints": monotone} if any(monotone) else {}),
        **tree_parameters,
    }
    return BoostedModel(booster=xgboost.train(settings, _pack(matrix, outcome, weights), num_boost_round=rounds))


def read_booster(raw: bytes) -> xgboost.Booster:
    """Read a booster from its JSON or UBJ bytes, for prediction on one thread."""
    booster = xgboost.Booster()
    booster.load_model(bytearray(raw))
    booster.set_param({"nthread": 1})
    return booster


def _pack(matrix: FloatArray, outcome: FloatArray | None = None, weights: FloatArray | None = None) -> xgboost.DMatrix:
    return xgboost.DMatrix(matrix, label=outcome, weight=weights, nthread=1)
