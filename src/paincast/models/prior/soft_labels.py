"""Fit logistic models to probabilities instead of outcomes, one for each draw of the evidence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

FloatArray = npt.NDArray[np.float64]

PENALTY_SD = 1.0
"""Standard deviation of the normal prior of a coefficient, per unit of its column. Thousands of patients outweigh it;
it decides only between columns that say the same."""

_SETTLED = 1e-5
_STEPS = 100


def fit_soft_labels(
    design: FloatArray, log_odds: FloatArray, spreads: FloatArray, weights: FloatArray | None = None
) -> FloatArray:
    """Fit a penalised logistic model to the probabilities of every draw.

    The expected log likelihood is maximised, so that the fitted log odds are those of the mean probability among
    patients with the same columns.

    Parameters
    ----------
    design : ndarray of shape (n, n_levels + n_coefficients)
        Columns of the levels, which are not penalised, and centred columns.
    log_odds : ndarray of shape (n, n_draws)
        Log odds of the outcome of each row under each draw.
    spreads : ndarray of shape (n_coefficients,)
        Unit of each coefficient for the penalty.
    weights : ndarray of shape (n, n_draws), optional
        Weight of each row under each draw, for example its probability of being at risk.

    Returns
    -------
    ndarray of shape (n_draws, n_levels + n_coefficients)
        Log odds of the mean patient, and log odds ratio per unit of a column.
    """
    n_levels = design.shape[1] - len(spreads)
    penalty = np.diag(np.concatenate([np.zeros(n_levels), 1.0 / (PENALTY_SD * spreads) ** 2]))
    labels = expit(log_odds)
    fitted = np.empty((log_odds.shape[1], design.shape[1]))
    for number, (label, target) in enumerate(zip(labels.T, log_odds.T, strict=True)):
        weight = np.ones(len(label)) if weights is None else weights[:, number]
        # The weights at the labels are nearly those at the fit, so one curvature serves every step.
        weighted = (weight * label * (1.0 - label))[:, None] * design
        curvature = cho_factor(design.T @ weighted + penalty)
        values = cho_solve(curvature, weighted.T @ target)
        for _ in range(_STEPS):
            gradient = design.T @ (weight * (label - expit(design @ values))) - penalty @ values
            step = cho_solve(curvature, gradient)
            values += step
            if np.abs(step).max() < _SETTLED:
                break
        fitted[number] = values
    return fitted
