"""Potential responses: the probability of response at each month, under each eligible technique and under none.

The log odds of response are an intercept, solved so that the marginal among those treated meets the evidence, plus the
effects of the record's predictors and of the site.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from paincast.cohort.simulate.assumptions import Assumptions
from paincast.cohort.simulate.pain import Columns
from paincast.cohort.simulate.sites import FloatArray
from paincast.errors import RefusalError
from paincast.evidence.figures import PredictorEffect, Record


@dataclass(frozen=True, kw_only=True)
class ResponseModel:
    """Intercepts of one record.

    Parameters
    ----------
    months : ndarray of shape (n_months,)
        Months of the curve.
    intercepts : ndarray of shape (n_months,)
        Log odds of response where all effects are 0.
    control_intercept : float
        The same without the procedure; NaN where the evidence gives no control response.
    """

    months: FloatArray
    intercepts: FloatArray
    control_intercept: float


def scale_curve(record: Record, scenario: str) -> dict[float, float]:
    """Shift the log odds of a record's curve so that it meets the scenario at the primary month.

    Raises
    ------
    RefusalError
        If the record gives no figure for the scenario.
    """
    if record.response is None or record.primary_month is None:
        raise RefusalError(f"evidence record {record.id} holds no response curve; it cannot be simulated")
    scenarios = record.response.scenarios
    if scenario not in scenarios:
        raise RefusalError(f"evidence record {record.id} has no scenario {scenario}; it has {', '.join(scenarios)}")
    shift = logit(scenarios[scenario]) - logit(record.response.months[record.primary_month])
    return {month: float(expit(logit(share) + shift)) for month, share in record.response.months.items()}


def compute_effects(record: Record, columns: Columns, assumptions: Assumptions) -> FloatArray:
    """Sum the predictors' log odds ratios times their transformed values.

    Returns
    -------
    ndarray of shape (n,)
    """
    total = np.zeros(len(columns["age_years"]))
    for effect in record.predictors:
        total += np.log(effect.odds_ratio) * transform_column(effect, columns, record, assumptions)
    return total


def transform_column(effect: PredictorEffect, columns: Columns, record: Record, assumptions: Assumptions) -> FloatArray:
    """Transform a predictor's column to the form in which its odds ratio holds.

    Returns
    -------
    ndarray of shape (n,)
    """
    values, kind, value = columns[effect.column], effect.transform.kind, effect.transform.value
    if kind == "equals":
        return np.asarray(values == value, dtype=float)
    if kind == "per_sd":
        spread = record.baseline.get(effect.column, assumptions.baseline.get(effect.column))
        value = spread.sd if spread and spread.sd else 1.0
    number = float(value)
    if kind in ("per", "per_sd"):
        return np.asarray(values / number, dtype=float)
    compared = {"below": np.less, "at_least": np.greater_equal, "above": np.greater}[kind]
    return np.asarray(compared(values, number), dtype=float)


def solve_response(
    record: Record,
    scenario: str,
    effects: FloatArray,
    site_response: FloatArray,
    weight: FloatArray,
    assumptions: Assumptions,
) -> ResponseModel:
    """Solve the intercepts of a record on a reference population.

    Parameters
    ----------
    record, scenario
        What the marginal response shall be.
    effects, site_response : ndarray of shape (n,)
        Summed log odds ratios of predictors, and the site's shift, in the reference population.
    weight : ndarray of shape (n,)
        Probability of being treated by the record's technique and approach: the curve is that of the treated.
    assumptions : Assumptions
        ``control_strength``.
    """
    curve = scale_curve(record, scenario)
    halved = assumptions.control_strength * effects + site_response
    control = () if record.control_share is None else (record.control_share,)
    return ResponseModel(
        months=np.array(list(curve)),
        intercepts=np.array(_solve_intercepts(curve.values(), effects + site_response, weight)),
        control_intercept=next(iter(_solve_intercepts(control, halved, weight)), np.nan),
    )


def _solve_intercepts(shares: Iterable[float], offset: FloatArray, weight: FloatArray) -> list[float]:
    # Offsets are condensed to a grid of 0.001 on the log-odds scale: the marginal moves by less than 1e-6.
    grid, place = np.unique(np.round(offset, 3), return_inverse=True)
    normed = np.bincount(place, weights=weight) / weight.sum()
    low, high = -grid[-1] - 1.0, -grid[0] + 1.0

    def excess(intercept: float, share: float) -> float:
        return float(expit(intercept + grid) @ normed) - share

    return [
        float(brentq(excess, logit(share) + low, logit(share) + high, args=(share,), xtol=1e-8)) for share in shares
    ]


def compute_probability(model: ResponseModel, effects: FloatArray, site_response: FloatArray) -> FloatArray:
    """Compute the probability of response with the procedure.

    Returns
    -------
    ndarray of shape (n, n_months)
    """
    probability: FloatArray = expit(model.intercepts + (effects + site_response)[:, None])
    return probability


def compute_control_probability(
    model: ResponseModel, effects: FloatArray, site_response: FloatArray, assumptions: Assumptions
) -> FloatArray:
    """Compute the probability of response without the procedure, the same at each month; NaN where unknown.

    Returns
    -------
    ndarray of shape (n,)
    """
    halved = assumptions.control_strength * effects + site_response
    probability: FloatArray = expit(model.control_intercept + halved)
    return probability
