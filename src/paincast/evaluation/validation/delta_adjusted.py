"""Delta-adjusted (tipping point) sensitivity analysis of loss to follow-up."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from paincast.errors import DataError
from paincast.evaluation.predictions import BoolArray, FloatArray, IntArray, check_patients
from paincast.evaluation.resampling import check_confidence
from paincast.statistics import compute_clustered_error

SHIFTS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)

O_E_LIMITS = (0.9, 1.1)
"""Ratios of observed to expected events within which a model is called calibrated in the large."""

SEARCHED = 20.0

COLUMNS = (
    "shift",
    "odds_ratio",
    "lost_risk",
    "overall_risk",
    "overall_lower",
    "overall_upper",
    "o_e_ratio",
    "o_e_lower",
    "o_e_upper",
    "verdict",
    "tips",
    "n",
    "n_lost",
    "method",
)


def compute_tipping_point(
    outcome: FloatArray,
    linear_predictor: FloatArray,
    patients: Sequence[object] | None = None,
    *,
    shifts: Sequence[float] = SHIFTS,
    limits: tuple[float, float] = O_E_LIMITS,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Find how different those lost to follow-up must be for the verdict on calibration to change.

    The log odds of the outcome among those lost are shifted, and overall risk and O/E are computed at each shift.

    The risk of a lost episode is expit(linear predictor + shift): 0 takes it to be as predicted, which is what holds
    when loss depends on nothing but the predictors; a shift of -1 gives those lost 0.37 times the odds that the model
    gives them [1]_. Overall risk is the mean of the outcomes observed and the risks of those lost; O/E divides their
    sum by the sum of the predictions. Both rise with the shift, so that the verdict tips at one shift on each side:
    those rows are added to the sweep and have ``tips``.

    Intervals are first-order with clustered standard errors, patients being the unit, and missing where there is one
    patient only. They take the shift and the predictions as given and leave out
    the chance in what those lost would have shown.

    Parameters
    ----------
    outcome : ndarray of shape (n,)
        0 or 1, NaN for those lost.
    linear_predictor : ndarray of shape (n,)
        Log odds predicted out of fold, also for those lost.
    patients : sequence of shape (n,), optional
        Who each row belongs to; by default each row is a patient.
    shifts : sequence of float
        What is added to the log odds of those lost.
    limits : tuple of float
        O/E below the first or above the second is a verdict of too high or too low predictions.
    confidence : float
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        One row per shift, ascending: ``shift``, ``odds_ratio`` (its exponential), ``lost_risk`` (mean among those
        lost), ``overall_risk`` and ``o_e_ratio`` with limits, ``verdict``, ``tips``, ``n``, ``n_lost`` and ``method``.
        Ready to be drawn: shift against overall risk or O/E.

    Raises
    ------
    DataError
        If the lengths differ, there are no rows, or a linear predictor is missing.

    References
    ----------
    .. [1] Cro S, Morris TP, Kenward MG, Carpenter JR. Sensitivity analysis for clinical trials with missing continuous
       outcome data using controlled multiple imputation: a practical guide. Stat Med 2020;39:2815-2842.
       doi:10.1002/sim.8569
    .. [2] Liublinska V, Rubin DB. Sensitivity analysis for a partially missing binary outcome in a two-arm randomized
       clinical trial. Stat Med 2014;33:4170-4185. doi:10.1002/sim.6197

    Examples
    --------
    >>> outcome, linear_predictor = np.array([1.0, 0.0, np.nan]), np.zeros(3)
    >>> found = compute_tipping_point(outcome, linear_predictor, shifts=[-1.0, 0.0], limits=(0.5, 2.0))
    >>> found[["shift", "overall_risk", "o_e_ratio"]].round(3).to_numpy().tolist()
    [[-1.0, 0.423, 0.846], [0.0, 0.5, 1.0]]
    """
    check_confidence(confidence)
    seen, patient = _check(outcome, linear_predictor, patients)
    crossings = [_find_shift(outcome, linear_predictor, seen, limit) for limit in limits if not seen.all()]
    tipping = {shift for shift in crossings if shift is not None}
    swept = sorted({*shifts, *tipping})
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    rows = [
        {**_estimate(outcome, linear_predictor, seen, patient, shift, z), "tips": shift in tipping, "shift": shift}
        for shift in swept
    ]
    table = pd.DataFrame(rows).assign(
        odds_ratio=lambda frame: np.exp(frame["shift"]),
        verdict=lambda frame: [_assess(ratio, limits) for ratio in frame["o_e_ratio"]],
        n=len(seen),
        n_lost=int((~seen).sum()),
        method=f"first order, {int(patient.max()) + 1} patients, {100 * confidence:g} %",
    )
    return table[list(COLUMNS)]


def _check(
    outcome: FloatArray, linear_predictor: FloatArray, patients: Sequence[object] | None
) -> tuple[BoolArray, IntArray]:
    if not len(outcome) or len(outcome) != len(linear_predictor):
        raise DataError(
            f"outcome has {len(outcome)} rows and linear_predictor {len(linear_predictor)}; give one of each for every "
            "episode",
            code="PC-EVALUATION-39",
        )
    absent = int((~np.isfinite(linear_predictor)).sum())
    if absent:
        raise DataError(
            f"linear_predictor: {absent} of {len(linear_predictor)} are missing or infinite; those lost need a "
            "prediction too",
            code="PC-EVALUATION-40",
        )
    return np.asarray(np.isfinite(outcome), dtype=np.bool_), check_patients(patients, n=len(outcome))


def _fill(outcome: FloatArray, linear_predictor: FloatArray, seen: BoolArray, shift: float) -> FloatArray:
    return np.where(seen, np.nan_to_num(outcome), expit(linear_predictor + shift))


def _estimate(
    outcome: FloatArray, linear_predictor: FloatArray, seen: BoolArray, patient: IntArray, shift: float, z: float
) -> dict[str, float]:
    filled, expected = _fill(outcome, linear_predictor, seen, shift), expit(linear_predictor)
    risk, ratio = float(filled.mean()), float(filled.sum() / expected.sum())
    reach = z * compute_clustered_error((filled - risk) / len(filled), patient)
    ratio_reach = z * compute_clustered_error((filled - ratio * expected) / expected.sum(), patient)
    return {
        "lost_risk": float(filled[~seen].mean()) if not seen.all() else np.nan,
        "overall_risk": risk,
        "overall_lower": max(risk - reach, 0.0),
        "overall_upper": min(risk + reach, 1.0),
        "o_e_ratio": ratio,
        "o_e_lower": max(ratio - ratio_reach, 0.0),
        "o_e_upper": ratio + ratio_reach,
    }


def _find_shift(outcome: FloatArray, linear_predictor: FloatArray, seen: BoolArray, limit: float) -> float | None:
    """Find the shift at which O/E meets a limit; None where no shift within reach does."""
    expected = float(expit(linear_predictor).sum())

    def distance(shift: float) -> float:
        return float(_fill(outcome, linear_predictor, seen, shift).sum()) / expected - limit

    if distance(-SEARCHED) * distance(SEARCHED) >= 0:
        return None
    return float(brentq(distance, -SEARCHED, SEARCHED, xtol=1e-6))


def _assess(ratio: float, limits: tuple[float, float]) -> str:
    low, high = limits
    # The shift at which the verdict tips is found to six digits: at it the ratio is on the line.
    if ratio < low - 1e-5:
        return "predictions too high"
    return "predictions too low" if ratio > high + 1e-5 else "calibrated in the large"
