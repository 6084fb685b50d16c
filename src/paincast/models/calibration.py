"""Affine recalibration on the log odds, fitted on cross-fitted margins and foldable into the model it corrects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AffineCalibration:
    """Calibrated log odds are ``intercept + slope * margin``; the slope is positive."""

    intercept: float
    slope: float


IDENTITY = AffineCalibration(0.0, 1.0)


def fit_affine_calibration(
    margins: FloatArray, outcome: FloatArray, *, slope_prior_sd: float, weights: FloatArray | None = None
) -> AffineCalibration:
    """Fit an affine map of the margins by penalised maximum likelihood.

    The log of the slope has a normal prior around 0 (slope 1): small cohorts leave the slope near 1, large ones
    override the prior. The intercept is free.

    Parameters
    ----------
    margins : ndarray of shape (n,)
        Log odds predicted for rows that the model was not fitted on.
    outcome : ndarray of shape (n,)
        0 or 1.
    slope_prior_sd : float
        Standard deviation of the prior of the log slope.
    weights : ndarray of shape (n,), optional
        Weights of the rows.

    Returns
    -------
    AffineCalibration

    References
    ----------
    Platt J. Probabilistic outputs for support vector machines (1999); Steyerberg EW et al. Stat Med 2004;23:2567-86,
    doi:10.1002/sim.1844 (shrinkage in updating).
    """
    weight = np.ones_like(margins) if weights is None else weights

    def penalised_loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        intercept, log_slope = parameters
        slope = np.exp(log_slope)
        logits = intercept + slope * margins
        loss = float(np.sum(weight * (np.logaddexp(0.0, logits) - outcome * logits)))
        residual = weight * (expit(logits) - outcome)
        gradient = np.array([residual.sum(), slope * (residual @ margins) + log_slope / slope_prior_sd**2])
        return loss + 0.5 * (log_slope / slope_prior_sd) ** 2, gradient

    start = np.zeros(2)
    bounds = [(None, None), (-3.0, 3.0)]
    precise = {"ftol": 1e-14, "gtol": 1e-9}
    found = minimize(penalised_loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=precise)
    return AffineCalibration(float(found.x[0]), float(np.exp(found.x[1])))
