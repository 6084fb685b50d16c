"""Metrics on a link scale, where their error is about normal, with standard errors clustered by patient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import expit, logit

from paincast.evaluation.performance.concordance import sum_below
from paincast.evaluation.performance.estimators import ESTIMATORS, make_recalibration
from paincast.evaluation.predictions import FloatArray, Predictions
from paincast.statistics import compute_clustered_error

Influence = Callable[[Predictions, FloatArray, float], FloatArray]
Transform = Callable[[float], float]


@dataclass(frozen=True)
class LinkFunction:
    """A transformation of a metric under which its error is about normal, its inverse, and the influence of each row.

    Parameters
    ----------
    name : str
        ``logit``, ``log`` or ``natural`` (none).
    forward, back : callable
        To the link scale and from it.
    influence : callable
        Gives, of rows, their weights and the metric, what each row contributes to its error *on the link scale*.
    """

    name: str
    forward: Transform
    back: Transform
    influence: Influence


def estimate_on_link_scale(metric: str, rows: Predictions, weights: FloatArray) -> tuple[float, float]:
    """Estimate a metric on its link scale, with its standard error, patients being the unit.

    Parameters
    ----------
    metric : str
        Key of :data:`LINK_FUNCTIONS`; :data:`~paincast.evaluation.performance.estimators.ESTIMATORS` defines it.
    rows : Predictions
        Rows with both outcome classes.
    weights : ndarray of shape (n,)
        Weights of the rows, taken as known.

    Returns
    -------
    estimate, error : float
        NaN where the metric does not exist or has no finite error, as an AUROC of 1.
    """
    link = LINK_FUNCTIONS[metric]
    value = float(ESTIMATORS[metric](rows)(weights[None, :])[0])
    if not np.isfinite(value):
        return np.nan, np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = link.forward(value)
        error = compute_clustered_error(link.influence(rows, weights, value), rows.patient)
    if not np.isfinite([estimate, error]).all() or error <= 0:
        return np.nan, np.nan
    return estimate, error


def _influence_auroc(rows: Predictions, weights: FloatArray, auroc: float) -> FloatArray:
    cases, others = weights * rows.outcome, weights * (1.0 - rows.outcome)
    wins, losses = sum_below(rows.probability, others) / others.sum(), sum_below(-rows.probability, cases) / cases.sum()
    influence = cases * (wins - auroc) / cases.sum() + others * (losses - auroc) / others.sum()
    return np.asarray(influence / (auroc * (1.0 - auroc)))


def _influence_brier(rows: Predictions, weights: FloatArray, brier: float) -> FloatArray:
    return np.asarray(weights * ((rows.outcome - rows.probability) ** 2 - brier) / weights.sum())


def _influence_o_e_ratio(rows: Predictions, weights: FloatArray, _: float) -> FloatArray:
    observed, expected = weights * rows.outcome, weights * rows.probability
    return np.asarray(observed / observed.sum() - expected / expected.sum())


def _influence_intercept(rows: Predictions, weights: FloatArray, intercept: float) -> FloatArray:
    return _influence_coefficient(rows, weights, np.ones((rows.n, 1)), intercept + rows.log_odds)


def _influence_slope(rows: Predictions, weights: FloatArray, _: float) -> FloatArray:
    intercept, slope = make_recalibration(rows, free_slope=True)(weights[None, :])[0]
    return _influence_coefficient(
        rows, weights, np.column_stack([np.ones(rows.n), rows.log_odds]), intercept + slope * rows.log_odds
    )


def _influence_coefficient(
    rows: Predictions, weights: FloatArray, columns: FloatArray, log_odds: FloatArray
) -> FloatArray:
    """Return the influence of each row on the last coefficient of a logistic fit: score times inverse information."""
    fitted = expit(log_odds)
    information = columns.T @ (columns * (weights * fitted * (1.0 - fitted))[:, None])
    if np.linalg.cond(information) > 1e12:
        return np.full(rows.n, np.nan)
    scores = columns * (weights * (rows.outcome - fitted))[:, None]
    return np.asarray(scores @ np.linalg.inv(information)[:, -1])


LINK_FUNCTIONS: Mapping[str, LinkFunction] = MappingProxyType(
    {
        "auroc": LinkFunction("logit", lambda x: float(logit(x)), lambda x: float(expit(x)), _influence_auroc),
        "brier": LinkFunction("natural", float, float, _influence_brier),
        "o_e_ratio": LinkFunction("log", lambda x: float(np.log(x)), lambda x: float(np.exp(x)), _influence_o_e_ratio),
        "calibration_intercept": LinkFunction("natural", float, float, _influence_intercept),
        "calibration_slope": LinkFunction("natural", float, float, _influence_slope),
    }
)
"""Metrics that are reported by group [1]_.

References
----------
.. [1] Debray TPA, et al. A guide to systematic review and meta-analysis of prediction model performance. BMJ
   2017;356:i6460. doi:10.1136/bmj.i6460
"""
