"""Penalised logistic regression on an encoded matrix, shrunk towards coefficients that techniques share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from paincast.disclosure.rounding import round_means
from paincast.models.binary.model_kind import OVERALL_RISK, ModelKind
from paincast.models.binary.penalised import SCORE_FACTOR, Penalised, find_level, fit_penalised
from paincast.models.calibration.affine import AffineCalibration
from paincast.settings import ModelSettings

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LinearModel:
    """Logistic regression on an encoded matrix.

    Parameters
    ----------
    intercept : float
        Log odds when every encoded column is zero.
    coefficients : ndarray of shape (n_encoded,)
        Log odds ratio per unit of an encoded column.
    means : ndarray of shape (n_encoded,)
        Means of the encoded columns in training: the reference of the contributions.
    """

    intercept: float
    coefficients: FloatArray
    means: FloatArray

    def linear_predictor(self, matrix: FloatArray) -> FloatArray:
        """Return the log odds, shape (n,); bit-identical for a row whatever the other rows are."""
        # A matrix product sums in an order that depends on the number of rows.
        added = np.einsum("ij,j->i", np.ascontiguousarray(matrix), self.coefficients)
        return np.asarray(self.intercept + added, dtype=float)

    def contributions(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return base, shape (n,), and SHAP values, shape (n, n_encoded), that add up to the linear predictor.

        For a linear model with the training cohort as background the SHAP value of a column is its coefficient times
        the distance from its mean (Lundberg and Lee 2017, doi:10.48550/arXiv.1705.07874).
        """
        base = np.full(len(matrix), self.intercept + self.means @ self.coefficients)
        return base, (matrix - self.means) * self.coefficients

    def recalibrate(self, calibration: AffineCalibration) -> LinearModel:
        """Fold an affine calibration into the coefficients."""
        return LinearModel(
            intercept=calibration.intercept + calibration.slope * self.intercept,
            coefficients=calibration.slope * self.coefficients,
            means=self.means,
        )


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
        Strength relative to the mean log loss; None keeps the prior and fits the intercept only.
    l1_ratio : float
        0 for ridge, 1 for lasso.
    weights : ndarray of shape (n,), optional
        Weights of the rows.
    spreads : ndarray of shape (n_encoded,), optional
        Unit of each column for the penalty; by default 1.
    prior : ndarray of shape (n_encoded,), optional
        Coefficients to shrink towards; by default 0.
    directions : ndarray of shape (n_encoded,), optional
        Weights of the columns in the sign-based prognostic score
        (:func:`paincast.models.binary.borrowing.weigh_directions`), whose coefficient is penalised lightly.
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
        penalised = fit_penalised(
            design[:, used],
            outcome,
            weight,
            penalty=penalty,
            l1_ratio=l1_ratio,
            factors=factors[used],
            offset=offset,
        )
        estimates = np.zeros(matrix.shape[1] + 1)
        estimates[used] = penalised.coefficients
        fitted = Penalised(intercept=penalised.intercept, coefficients=estimates)
    coefficients = start + fitted.coefficients[:-1] / unit + fitted.coefficients[-1] * score
    return LinearModel(intercept=fitted.intercept - float(means @ coefficients), coefficients=coefficients, means=means)


def average_linear(models: Sequence[LinearModel], shares: FloatArray) -> LinearModel:
    """Average the log odds of linear models on the same columns; the average is linear too."""
    return LinearModel(
        intercept=float(shares @ [model.intercept for model in models]),
        coefficients=shares @ np.array([model.coefficients for model in models]),
        means=models[0].means,
    )


def list_logistic(settings: ModelSettings, *, borrows: bool) -> list[dict[str, Any]]:
    """List the penalties to compare, the simplest first.

    The overall risk, the shared coefficients alone, then weaker and weaker penalties.
    """
    shares = sorted(settings.borrowing, reverse=True) if borrows else [0.0]
    ridges = [(0.0, 1.0 / spread**2) for spread in sorted(settings.ridge_prior_sds)]
    lassos = [(settings.l1_ratio, strength) for strength in sorted(settings.lasso_penalties, reverse=True)]
    longest = max(len(ridges), len(lassos))
    steps = [step for position in range(longest) for grid in (ridges, lassos) for step in grid[position : position + 1]]
    simplest = [{**OVERALL_RISK, "borrowed": share} for share in dict.fromkeys((0.0, shares[0]))]
    others = [
        {"borrowed": share, "strength": strength, "l1_ratio": l1_ratio}
        for l1_ratio, strength in steps
        for share in shares
    ]
    return [*simplest, *others]


def fit_logistic_candidate(
    matrix: FloatArray,
    outcome: FloatArray,
    *,
    parameters: dict[str, Any],
    rng: np.random.Generator,  # noqa: ARG001 (what every kind is given)
    weights: FloatArray | None = None,
    spreads: FloatArray | None = None,
    prior: FloatArray | None = None,
    directions: FloatArray | None = None,
) -> LinearModel:
    """Fit with ``borrowed``, ``strength`` and ``l1_ratio`` of a candidate.

    The strength of a ridge is the inverse variance of a normal prior of the coefficients; that of a lasso is divided by
    the square root of the number of rows, so that the same grid suits small and large cohorts.
    """
    strength, l1_ratio = parameters["strength"], parameters["l1_ratio"]
    n = len(outcome) if weights is None else int(np.count_nonzero(weights))
    return fit_logistic(
        matrix,
        outcome,
        penalty=strength and strength / (np.sqrt(n) if l1_ratio else n),
        l1_ratio=l1_ratio or 0.0,
        weights=weights,
        spreads=spreads,
        prior=None if prior is None else parameters["borrowed"] * prior,
        directions=directions,
    )


def round_logistic(model: LinearModel, flags: Sequence[bool], n: int) -> LinearModel:
    """Round the means of the columns; predictions do not depend on them."""
    return replace(model, means=round_means(model.means, flags, n))


LOGISTIC = ModelKind(
    name="logistic",
    model_type=LinearModel,
    fit=fit_logistic_candidate,
    list_parameters=list_logistic,
    round_model=round_logistic,
    borrows=True,
    average=average_linear,
)
