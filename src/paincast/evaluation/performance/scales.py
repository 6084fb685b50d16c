"""Metrics on the scale on which their error is about normal, with errors that keep the rows of a patient together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import expit, logit

from paincast.evaluation.performance.concordance import sum_below
from paincast.evaluation.performance.logistic import fit_logistic
from paincast.evaluation.scored import FloatArray, ScoredRows
from paincast.statistics import compute_clustered_error

Influence = Callable[[ScoredRows, FloatArray], tuple[float, FloatArray]]
Transform = Callable[[float], float]


@dataclass(frozen=True)
class Scale:
    """How a metric is brought to a scale on which its error is about normal, and back.

    Parameters
    ----------
    name : str
        Of the scale.
    forward, back : callable
        To the scale and from it.
    measure : callable
        Gives of rows and their weights the estimate *on the scale* and what each row adds to its error there.
    """

    name: str
    forward: Transform
    back: Transform
    measure: Influence


def measure_on_scale(metric: str, rows: ScoredRows, weights: FloatArray) -> tuple[float, float]:
    """Measure a metric of :data:`SCALES` and its standard error on the scale, patients being the unit [1]_.

    Parameters
    ----------
    metric : str
        Key of :data:`SCALES`.
    rows : ScoredRows
        Rows with both outcome classes.
    weights : ndarray of shape (n,)
        Weights of the rows, taken as known.

    Returns
    -------
    estimate, error : float
        NaN where the metric does not exist or has no finite error, as an AUROC of 1.

    References
    ----------
    .. [1] Liang KY, Zeger SL. Biometrika 1986;73:13-22. doi:10.1093/biomet/73.1.13
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate, influence = SCALES[metric].measure(rows, weights)
    error = compute_clustered_error(influence, rows.patient)
    if not np.isfinite([estimate, error]).all() or error <= 0:
        return np.nan, np.nan
    return float(estimate), error


def _measure_auroc(rows: ScoredRows, weights: FloatArray) -> tuple[float, FloatArray]:
    cases, others = weights * rows.outcome, weights * (1.0 - rows.outcome)
    wins, losses = sum_below(rows.probability, others) / others.sum(), sum_below(-rows.probability, cases) / cases.sum()
    area = float(cases @ wins / cases.sum())
    influence = cases * (wins - area) / cases.sum() + others * (losses - area) / others.sum()
    return float(logit(area)), influence / (area * (1.0 - area))


def _measure_brier(rows: ScoredRows, weights: FloatArray) -> tuple[float, FloatArray]:
    squares = (rows.outcome - rows.probability) ** 2
    brier = float(np.average(squares, weights=weights))
    return brier, weights * (squares - brier) / weights.sum()


def _measure_o_e_ratio(rows: ScoredRows, weights: FloatArray) -> tuple[float, FloatArray]:
    observed, expected = weights * rows.outcome, weights * rows.probability
    ratio = float(np.log(observed.sum() / expected.sum()))
    return ratio, observed / observed.sum() - expected / expected.sum()


def _measure_intercept(rows: ScoredRows, weights: FloatArray) -> tuple[float, FloatArray]:
    return _measure_coefficient(rows, weights, np.ones((rows.n, 1)), rows.log_odds)


def _measure_slope(rows: ScoredRows, weights: FloatArray) -> tuple[float, FloatArray]:
    return _measure_coefficient(rows, weights, np.column_stack([np.ones(rows.n), rows.log_odds]), np.zeros(rows.n))


def _measure_coefficient(
    rows: ScoredRows, weights: FloatArray, columns: FloatArray, offset: FloatArray
) -> tuple[float, FloatArray]:
    """Fit a logistic line and give its last coefficient with the influence of each row on it."""
    theta = fit_logistic(weights[None, :], rows.outcome, columns, offset, np.zeros(columns.shape[1]))[0]
    fitted = expit(columns @ theta + offset)
    information = columns.T @ (columns * (weights * fitted * (1.0 - fitted))[:, None])
    if not np.isfinite(theta).all() or np.linalg.cond(information) > 1e12:
        return np.nan, np.full(rows.n, np.nan)
    scores = columns * (weights * (rows.outcome - fitted))[:, None]
    return float(theta[-1]), scores @ np.linalg.inv(information)[:, -1]


SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "auroc": Scale("logit", lambda x: float(logit(x)), lambda x: float(expit(x)), _measure_auroc),
        "brier": Scale("natural", float, float, _measure_brier),
        "o_e_ratio": Scale("log", lambda x: float(np.log(x)), lambda x: float(np.exp(x)), _measure_o_e_ratio),
        "calibration_intercept": Scale("natural", float, float, _measure_intercept),
        "calibration_slope": Scale("natural", float, float, _measure_slope),
    }
)
"""What is told of groups [1]_.

References
----------
.. [1] Debray TPA, et al. A guide to systematic review and meta-analysis of prediction model performance. BMJ
   2017;356:i6460. doi:10.1136/bmj.i6460
"""
