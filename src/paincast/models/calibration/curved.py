"""Nonlinear calibrations in bundles of earlier versions: beta, isotonic and Venn–Abers.

They are read and applied, but no longer fitted. They cannot be folded into the model: its SHAP values add up to the log
odds before calibration, not to the served log odds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from paincast.deferred import special

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BetaCalibration:
    """Calibrated log odds are ``intercept + event * log(p) - other * log(1 - p)``; equal slopes make it affine.

    Parameters
    ----------
    intercept : float
        Shift of the log odds.
    event, other : float
        Slopes towards 1 and towards 0, neither negative.

    References
    ----------
    Kull M, Silva Filho TM, Flach P. Electron J Stat 2017;11:5052-80. doi:10.1214/17-EJS1338SI
    """

    intercept: float
    event: float
    other: float

    method: ClassVar[str] = "beta"

    def transform(self, linear_predictor: FloatArray) -> FloatArray:
        """Return calibrated log odds, shape (n,)."""
        low, high = _beta_terms(linear_predictor)
        return np.asarray(self.intercept + self.event * low + self.other * high, dtype=float)


@dataclass(frozen=True, kw_only=True)
class IsotonicCalibration:
    """The probability is a piecewise linear function through knots, constant beyond the first and the last.

    Parameters
    ----------
    knots : ndarray of shape (n_knots,)
        Ascending linear predictors.
    probabilities : ndarray of shape (n_knots,)
        Probability at each knot, nondecreasing.

    References
    ----------
    Zadrozny B, Elkan C. KDD 2002. doi:10.1145/775047.775151
    """

    knots: FloatArray
    probabilities: FloatArray

    method: ClassVar[str] = "isotonic"

    def transform(self, linear_predictor: FloatArray) -> FloatArray:
        """Return calibrated log odds, shape (n,)."""
        return np.asarray(special.logit(np.interp(linear_predictor, self.knots, self.probabilities)), dtype=float)


@dataclass(frozen=True, kw_only=True)
class VennAbersCalibration:
    """A pair of probabilities per patient: isotonic fits with the patient added as a non-event and as an event.

    Parameters
    ----------
    lower_knots : ndarray of shape (n_lower,)
        Linear predictors from which the lower probability takes its next value.
    lower_values : ndarray of shape (n_lower + 1,)
        Lower probabilities, ascending; the first is below all knots.
    upper_knots : ndarray of shape (n_upper,)
        Linear predictors up to and including which the upper probability keeps its value.
    upper_values : ndarray of shape (n_upper + 1,)
        Upper probabilities, ascending; the last is above all knots.

    References
    ----------
    Vovk V, Petej I, Fedorova V. NeurIPS 2015. doi:10.48550/arXiv.1511.00213
    """

    lower_knots: FloatArray
    lower_values: FloatArray
    upper_knots: FloatArray
    upper_values: FloatArray

    method: ClassVar[str] = "venn_abers"

    def find_pair(self, linear_predictor: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the lower and the upper probability, each of shape (n,).

        Either of the two is calibrated, but it is unknown which. Their distance shows the uncertainty of the
        calibration, not that of the patient's risk.
        """
        lower = self.lower_values[np.searchsorted(self.lower_knots, linear_predictor, side="right")]
        upper = self.upper_values[np.searchsorted(self.upper_knots, linear_predictor, side="left")]
        return lower, upper

    def transform(self, linear_predictor: FloatArray) -> FloatArray:
        """Return the log odds, shape (n,), of the probability that minimizes the maximum regret in log loss."""
        lower, upper = self.find_pair(linear_predictor)
        return np.asarray(np.log(upper) - np.log1p(-lower), dtype=float)


def _beta_terms(linear_predictor: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log(p) and -log(1 - p)."""
    return -np.logaddexp(0.0, -linear_predictor), np.logaddexp(0.0, linear_predictor)
