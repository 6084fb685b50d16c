"""Calibrations that bend the log odds: beta, isotonic and Venn–Abers. None can be folded into the model it corrects.

What they cost beside the affine map: SHAP values of the model add up to the log odds before calibration, not to the
served ones, and the model is served in two pieces. Isotonic and Venn–Abers maps are steps as well: patients whose
risks differ may get one probability, and the steps come from the training patients' margins.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from paincast.files.declared_types import read_array
from paincast.statistics import compute_log_loss

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
    """

    intercept: float
    event: float
    other: float

    def transform(self, margins: FloatArray) -> FloatArray:
        """Give calibrated log odds, shape (n,)."""
        low, high = _beta_terms(margins)
        return np.asarray(self.intercept + self.event * low + self.other * high, dtype=float)

    def to_state(self) -> dict[str, Any]:
        """Give the state as plain data."""
        return {"method": "beta", **asdict(self)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build it from :meth:`to_state`."""
        return cls(state["intercept"], state["event"], state["other"])


@dataclass(frozen=True, kw_only=True)
class IsotonicCalibration:
    """The probability is a rising line through knots, constant beyond the first and the last.

    Parameters
    ----------
    knots : ndarray of shape (n_knots,)
        Ascending margins.
    probabilities : ndarray of shape (n_knots,)
        Probability at each knot, not falling.
    """

    knots: FloatArray
    probabilities: FloatArray

    def transform(self, margins: FloatArray) -> FloatArray:
        """Give calibrated log odds, shape (n,)."""
        return np.asarray(logit(np.interp(margins, self.knots, self.probabilities)), dtype=float)

    def to_state(self) -> dict[str, Any]:
        """Give the state as plain data."""
        return {"method": "isotonic", "knots": self.knots.tolist(), "probabilities": self.probabilities.tolist()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build it from :meth:`to_state`."""
        return cls(knots=read_array(state["knots"]), probabilities=read_array(state["probabilities"]))


@dataclass(frozen=True, kw_only=True)
class VennAbersCalibration:
    """A pair of probabilities per patient: isotonic fits with the patient added as a non-event and as an event.

    Parameters
    ----------
    lower_knots : ndarray of shape (n_lower,)
        Margins from which the lower probability takes its next value.
    lower_values : ndarray of shape (n_lower + 1,)
        Lower probabilities, ascending; the first is below all knots.
    upper_knots : ndarray of shape (n_upper,)
        Margins up to which, included, the upper probability keeps its value.
    upper_values : ndarray of shape (n_upper + 1,)
        Upper probabilities, ascending; the last is above all knots.
    """

    lower_knots: FloatArray
    lower_values: FloatArray
    upper_knots: FloatArray
    upper_values: FloatArray

    def find_pair(self, margins: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Give the lower and the upper probability, each of shape (n,).

        One of the two is calibrated, and nobody knows which: their distance says how much the calibration is in doubt,
        not how far the patient's own risk may lie from the prediction.
        """
        lower = self.lower_values[np.searchsorted(self.lower_knots, margins, side="right")]
        upper = self.upper_values[np.searchsorted(self.upper_knots, margins, side="left")]
        return lower, upper

    def transform(self, margins: FloatArray) -> FloatArray:
        """Give the log odds, shape (n,), of the one probability of least regret in log loss under either of the two."""
        lower, upper = self.find_pair(margins)
        return np.asarray(np.log(upper) - np.log1p(-lower), dtype=float)

    def to_state(self) -> dict[str, Any]:
        """Give the state as plain data."""
        return {"method": "venn_abers", **{name: values.tolist() for name, values in asdict(self).items()}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build it from :meth:`to_state`."""
        return cls(**{name: read_array(state[name]) for name in cls.__dataclass_fields__})


def fit_beta_calibration(
    margins: FloatArray, outcome: FloatArray, weights: FloatArray, *, slope_prior_sd: float
) -> BetaCalibration:
    """Fit a beta map: a logistic regression on log(p) and -log(1-p) with slopes that are not negative.

    It can be S-shaped or inversely so, which an affine map cannot; both slopes have a normal prior around 1.

    Parameters
    ----------
    margins, outcome, weights : ndarray of shape (n,)
        Cross-fitted log odds, 0 or 1, and weights of the rows.
    slope_prior_sd : float
        Standard deviation of the prior of each slope; infinity gives the maximum likelihood of [1]_.

    Returns
    -------
    BetaCalibration

    References
    ----------
    .. [1] Kull M, Silva Filho TM, Flach P. Beyond sigmoids: how to obtain well-calibrated probabilities from binary
       classifiers with beta calibration. Electron J Stat 2017;11:5052-80. doi:10.1214/17-EJS1338SI
    """
    columns = np.column_stack([np.ones(len(margins)), *_beta_terms(margins)])

    def penalised_loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        logits = columns @ parameters
        loss = float(np.sum(weights * compute_log_loss(logits, outcome)))
        gradient = (weights * (expit(logits) - outcome)) @ columns
        distance = np.array([0.0, *(parameters[1:] - 1.0)]) / slope_prior_sd
        return loss + 0.5 * float(distance @ distance), gradient + distance / slope_prior_sd

    found = minimize(
        penalised_loss,
        np.array([0.0, 1.0, 1.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), (0.0, None), (0.0, None)],
        options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 1000},
    )
    return BetaCalibration(*(float(value) for value in found.x))


def fit_isotonic_calibration(margins: FloatArray, outcome: FloatArray, weights: FloatArray) -> IsotonicCalibration:
    """Fit the rising step function of highest likelihood; between steps it is interpolated on the margin.

    Probabilities stop short of 0 and 1, at what the rule of succession gives for all rows together: a step of events
    only is no proof that the next patient has one.

    Parameters
    ----------
    margins, outcome, weights : ndarray of shape (n,)
        Cross-fitted log odds, 0 or 1, and weights of the rows.

    Returns
    -------
    IsotonicCalibration

    References
    ----------
    Zadrozny B, Elkan C. Transforming classifier scores into accurate multiclass probability estimates. KDD 2002.
    doi:10.1145/775047.775151
    """
    floor = 1.0 / (weights.sum() + 2.0)
    fitted = IsotonicRegression(y_min=floor, y_max=1.0 - floor).fit(margins, outcome, sample_weight=weights)
    return IsotonicCalibration(
        knots=np.asarray(fitted.X_thresholds_, dtype=float),
        probabilities=np.asarray(fitted.y_thresholds_, dtype=float),
    )


def fit_venn_abers_calibration(margins: FloatArray, outcome: FloatArray, weights: FloatArray) -> VennAbersCalibration:
    """Fit an inductive Venn–Abers predictor; the patient who is predicted counts as one row of weight 1.

    Its validity is proved for a model fitted on other patients [1]_; with cross-fitted margins, which come from several
    models, it holds approximately. Only margins at which a probability changes are kept.

    Parameters
    ----------
    margins, outcome, weights : ndarray of shape (n,)
        Cross-fitted log odds, 0 or 1, and weights of the rows.

    Returns
    -------
    VennAbersCalibration

    References
    ----------
    .. [1] Vovk V, Petej I, Fedorova V. Large-scale probabilistic predictors with and without guarantees of validity.
       NeurIPS 2015. doi:10.48550/arXiv.1511.00213
    """
    knots, place = np.unique(margins, return_inverse=True)
    total, events = (np.bincount(place, part).astype(float) for part in (weights, weights * outcome))
    upper = np.append(_add_an_event(total, events), 1.0)
    # A non-event added among ascending margins is an event added among descending ones, outcomes turned round.
    lower = np.append(0.0, 1.0 - _add_an_event(total[::-1], (total - events)[::-1])[::-1])
    from_here, up_to_here = np.diff(lower) > 0, np.diff(upper) > 0
    return VennAbersCalibration(
        lower_knots=knots[from_here],
        lower_values=lower[np.append(True, from_here)],
        upper_knots=knots[up_to_here],
        upper_values=upper[np.append(up_to_here, True)],
    )


def _beta_terms(margins: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give log(p) and -log(1 - p)."""
    return -np.logaddexp(0.0, -margins), np.logaddexp(0.0, margins)


def _add_an_event(total: FloatArray, events: FloatArray) -> FloatArray:
    """Give for each group the isotonic fit at that group when one event of weight 1 is added to it.

    The fit at a group is the slope of the convex minorant of the cumulative sums: the tangent between the points before
    the group and those from it on, which the added event shifts by (1, 1). As the group moves up, so does the corner at
    which the tangent touches the points before it (Vovk et al. 2015, section 2).
    """
    weight, count = (np.concatenate([[0.0], np.cumsum(part)]) for part in (total, events))
    fitted = np.empty(len(total))
    corner, slope = 0, -np.inf
    for group in range(len(total)):
        if group == 0 or count[group] < count[corner] + slope * (weight[group] - weight[corner]):
            corner = group
            rise = count[group + 1 :] + 1.0 - count[corner]
            slope = float(np.min(rise / (weight[group + 1 :] + 1.0 - weight[corner])))
        fitted[group] = slope
    return fitted
