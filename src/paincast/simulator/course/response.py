"""Potential outcomes: the probability of each outcome at each month, with each eligible option and without treatment.

The log odds of an outcome are the sum of an intercept, solved so that the marginal among treated patients equals the
published share, the effects of the record's predictors, and the effects of site, calendar year and, if set, a hidden
factor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from paincast.evidence.figures import PredictorEffect, Record
from paincast.evidence.scenarios import shift_curve
from paincast.schema import EPISODES
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.checks import check_curve
from paincast.simulator.defaults import INTERACTIONS
from paincast.simulator.population.marginals import Columns
from paincast.simulator.population.referral import Referred
from paincast.simulator.population.sites import Float, FloatArray, Sites, Whole, count_from_middle

PAIN = "pain_response"
PAIN_30 = "pain_response_30"


class OutcomeModel(NamedTuple):
    """Model of an outcome of a record: ``log odds = intercept + strength x effects + shared``.

    Parameters
    ----------
    strength : float
        Factor for the effects of predictors.
    intercepts : ndarray of shape (n_months,)
        Log odds, by month, if effects and shared part are 0.
    control_strength, control_intercepts : float, ndarray of shape (n_months,)
        The same without the procedure; NaN if the record has no untreated response.
    """

    strength: float
    intercepts: FloatArray
    control_strength: float
    control_intercepts: FloatArray


class OutcomeModels(NamedTuple):
    """Months of a record's response curve, and the models of its outcomes."""

    months: tuple[float, ...]
    by_outcome: Mapping[str, OutcomeModel]

    @property
    def without_procedure(self) -> OutcomeModels:
        """The models of the same patients without the procedure."""
        return OutcomeModels(
            months=self.months,
            by_outcome={
                outcome: model._replace(strength=model.control_strength, intercepts=model.control_intercepts)
                for outcome, model in self.by_outcome.items()
            },
        )


def scale_curve(record: Record, scenario: str) -> dict[float, float]:
    """Validate the published response curve and shift it to the scenario.

    Raises
    ------
    RefusalError
        If the record has no data for the scenario.
    SettingsError
        If the curve is inconsistent.
    """
    check_curve(record, scenario)
    return shift_curve(record, scenario)


def scale_control(record: Record, curve: Mapping[float, float], reading: str = "share") -> list[float]:
    """Compute the response without the procedure at each month of a curve; NaN if the record has none.

    It is never above the response of treated patients: a waning benefit becomes no benefit, not harm.

    Parameters
    ----------
    record : Record
        Its ``untreated`` is read: a matching control arm, or an assumed share with a wide interval.
    curve : mapping of float to float
        Response of treated patients by month.
    reading : {"share", "lower", "upper"}
        Which end of the interval is taken.
    """
    shares = {month: float(getattr(figures, reading)) for month, figures in record.untreated.items()}
    return [float(np.fmin(shares[month], share)) if month in shares else np.nan for month, share in curve.items()]


def compute_effects(record: Record, columns: Columns, assumptions: Assumptions) -> Float:
    """Sum the predictors' log odds ratios times their transformed values, and interactions if there are any.

    Returns
    -------
    ndarray of shape (n,)
    """
    total = np.zeros(len(columns["age_years"]), dtype=np.float32)
    for effect in record.active_predictors:
        total += np.float32(math.log(effect.odds_ratio)) * transform_column(effect, columns, record, assumptions)
    for (first, low), (second, high) in INTERACTIONS if assumptions.interactions else ():
        agree = (columns[first] > np.float32(low)) == (columns[second] > np.float32(high))
        total += np.where(agree, np.float32(1.0), np.float32(-1.0)) * np.float32(assumptions.interactions)
    return total


def transform_column(effect: PredictorEffect, columns: Columns, record: Record, assumptions: Assumptions) -> Float:
    """Transform a predictor's column to the form in which its odds ratio holds.

    Returns
    -------
    ndarray of shape (n,)
    """
    values, kind, value = columns[effect.column], effect.transform.kind, effect.transform.value
    if kind == "equals":
        if EPISODES[effect.column].type == "category":
            value = EPISODES[effect.column].categories.index(str(value))
        return np.asarray(values == value, dtype=np.float32)
    if kind == "per_sd":
        spread = record.baseline.get(effect.column, assumptions.baseline.get(effect.column))
        value = spread.sd if spread and spread.sd else 1.0
    number = float(value)
    if kind in ("per", "per_sd"):
        return np.asarray(values, dtype=np.float32) * np.float32(1.0 / number)
    compared = {"below": np.less, "at_least": np.greater_equal, "above": np.greater}[kind]
    return np.asarray(compared(values, np.float32(number)).astype(np.float32))


def compute_shared(
    sites: Sites, referred: Referred, assumptions: Assumptions, rows: Whole | slice = slice(None)
) -> Float:
    """Compute the effect of site, year and hidden factor on the log odds of every outcome, with or without procedure.

    Returns
    -------
    ndarray of shape (n,), or of the number of ``rows``
    """
    shared = sites.response.astype(np.float32)[referred.site[rows]]
    shared += np.float32(assumptions.response_drift_per_year) * count_from_middle(assumptions, referred.year[rows])
    if assumptions.hidden_response:
        shared += np.float32(assumptions.hidden_response) * referred.hidden[rows]
    return shared


def list_strengths(assumptions: Assumptions, columns: Sequence[str]) -> dict[str, tuple[float, float]]:
    """List the available outcomes with the shift of their log odds and the relative strength of effects on them.

    An outcome needs its baseline measure: function needs ODI or WOMAC, quality of life EQ-5D, opioid reduction the
    dose.
    """
    needs = {
        "function_response": ("odi", "womac"),
        "quality_of_life_gain": ("eq5d_index",),
        "opioid_reduction": ("opioid_mme",),
        "satisfaction": ("pain_nrs",),
    }
    strengths = {PAIN: (0.0, 1.0), PAIN_30: (assumptions.response_30_shift, 1.0)}
    for outcome, link in assumptions.outcome_links.items():
        if any(column in columns for column in needs[outcome]):
            strengths[outcome] = (link.shift, link.strength)
    return strengths


def solve_response(
    record: Record,
    scenario: str,
    effects: Float,
    shared: Float,
    weight: Float,
    users: Float,
    outcomes: Mapping[str, tuple[float, float]],
    assumptions: Assumptions,
) -> OutcomeModels:
    """Solve the intercepts of a record on a reference population.

    Parameters
    ----------
    record, scenario
        Determine the marginal response.
    effects, shared : ndarray of shape (n,)
        Effects of predictors, and of site, year and hidden factor, in the reference population.
    weight : ndarray of shape (n,)
        Probability of being treated with the record's technique and approach under the non-randomised choice: the
        published curve is that of treated patients.
    users : ndarray of shape (n,)
        1 for opioid users, the denominator of opioid reduction.
    outcomes : mapping of str to (float, float)
        From :func:`list_strengths`.
    assumptions : Assumptions
        ``control_strength``.
    """
    curve = scale_curve(record, scenario)
    control = scale_control(record, curve, assumptions.untreated)
    models: dict[str, OutcomeModel] = {}
    for outcome, (shift, strength) in outcomes.items():
        among = weight * users if outcome == "opioid_reduction" else weight
        # The shift for 30 % relief applies to the intercepts, not to the marginals, so that both outcomes share the
        # same process.
        if outcome == PAIN_30:
            base = models[PAIN]
            models[outcome] = OutcomeModel(
                strength=strength,
                intercepts=base.intercepts + shift,
                control_strength=base.control_strength,
                control_intercepts=base.control_intercepts + shift,
            )
            continue
        shares = [float(expit(logit(share) + shift)) for share in curve.values()]
        without = [float(expit(logit(share) + shift)) for share in control]
        control_strength = strength * assumptions.control_strength
        models[outcome] = OutcomeModel(
            strength=strength,
            intercepts=solve_intercepts(shares, strength * effects + shared, among),
            control_strength=control_strength,
            control_intercepts=solve_intercepts(without, control_strength * effects + shared, among),
        )
    return OutcomeModels(months=tuple(curve), by_outcome=models)


def solve_intercepts(shares: Sequence[float], offset: Float, weight: Float) -> FloatArray:
    """Solve the intercepts for which the weighted mean probability equals each share.

    Offsets are rounded to a grid of 0.002 on the log-odds scale: the error of the marginal is below 1e-6.

    Parameters
    ----------
    shares : sequence of float
        Target marginals; NaN stays NaN.
    offset, weight : ndarray of shape (n,)
        The rest of the log odds, and the weight of each row.

    Returns
    -------
    ndarray of shape (len(shares),)
    """
    cell = np.rint(np.asarray(offset, dtype=float) / 0.002).astype(np.int64)
    low = int(cell.min())
    mass = np.bincount(cell - low, weights=weight)
    grid = (low + np.flatnonzero(mass)) * 0.002
    mass = mass[mass > 0] / mass.sum()

    def excess(intercept: float, share: float) -> float:
        return float(expit(intercept + grid) @ mass) - share

    def solve(share: float) -> float:
        ends = logit(share) - grid[-1] - 1.0, logit(share) - grid[0] + 1.0
        return float(brentq(excess, *ends, args=(share,), xtol=1e-9))

    return np.array([solve(share) if np.isfinite(share) else np.nan for share in shares])
