"""Fit, select and store a recalibration of the log odds, based on cross-fitted linear predictors.

``none`` and ``affine`` are folded into the model, so that a single model is served and its SHAP values add up to the
served log odds. Bundles of earlier versions may have other maps (:mod:`paincast.models.calibration.curved`); these are
read and applied after the model (:class:`paincast.models.calibration.calibrated.CalibratedModel`), but no longer
fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from paincast.deferred import optimize, special
from paincast.deferred import pandas as pd
from paincast.errors import DataError, RefusalError, SettingsError, suggest_name
from paincast.files.serialization import from_plain, to_plain
from paincast.models.calibration.curved import BetaCalibration, IsotonicCalibration, VennAbersCalibration
from paincast.models.choice import compare_losses, find_simplest
from paincast.settings import FITTED_CALIBRATIONS, CalibrationSettings
from paincast.settings.checks import check_field
from paincast.settings.removed import refuse_removed
from paincast.statistics import compute_log_loss

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

Rows = tuple[FloatArray, FloatArray, FloatArray]
"""Linear predictors, outcome and weights."""


class Calibration(Protocol):
    """A nondecreasing map from log odds to calibrated log odds."""

    @property
    def method(self) -> str:
        """The name under which it is stored."""

    def transform(self, linear_predictor: FloatArray) -> FloatArray:
        """Return calibrated log odds, shape (n,)."""


@dataclass(frozen=True)
class AffineCalibration:
    """Calibrated log odds are ``intercept + slope * linear_predictor``; the slope is positive."""

    intercept: float
    slope: float

    @property
    def method(self) -> str:
        """``none`` for the identity, otherwise ``affine``."""
        return "none" if (self.intercept, self.slope) == (0.0, 1.0) else "affine"

    def transform(self, linear_predictor: FloatArray) -> FloatArray:
        """Return calibrated log odds, shape (n,)."""
        return np.asarray(self.intercept + self.slope * linear_predictor, dtype=float)

    def then(self, later: AffineCalibration) -> AffineCalibration:
        """Return the composition: this map, followed by another."""
        return AffineCalibration(later.intercept + later.slope * self.intercept, later.slope * self.slope)


IDENTITY = AffineCalibration(0.0, 1.0)

READABLE: Mapping[str, type] = MappingProxyType(
    {
        "none": AffineCalibration,
        "affine": AffineCalibration,
        "beta": BetaCalibration,
        "isotonic": IsotonicCalibration,
        "venn_abers": VennAbersCalibration,
    }
)


@dataclass(frozen=True, kw_only=True)
class CalibrationChoice:
    """A calibration, and how it was chosen.

    Parameters
    ----------
    method : str
        One of :data:`paincast.settings.FITTED_CALIBRATIONS`.
    calibration : Calibration
        Fitted on all rows.
    table : DataFrame
        One row per method compared: ``method, log_loss, excess, excess_se, chosen``; empty if there was no comparison.
    """

    method: str
    calibration: Calibration
    table: pd.DataFrame


def fit_calibration(
    method: str,
    linear_predictor: FloatArray,
    outcome: FloatArray,
    weights: FloatArray | None = None,
    *,
    patients: npt.NDArray[Any] | None = None,
    settings: CalibrationSettings | None = None,
) -> Calibration:
    """Fit a calibration of log odds.

    ====== ========================================================================================================
    method what it does
    ====== ========================================================================================================
    none   nothing; right for a model whose penalty was chosen by cross-validation, until rows show otherwise
    affine intercept and slope on the log odds; folds into the model, so that SHAP values add up to its log odds
    auto   the simplest of ``settings.candidates`` that cross-validation cannot tell from the best
    ====== ========================================================================================================

    Parameters
    ----------
    method : str
        As above.
    linear_predictor : ndarray of shape (n,)
        Log odds predicted for rows that the model was not fitted on.
    outcome : ndarray of shape (n,)
        0 or 1, both present.
    weights : ndarray of shape (n,), optional
        Weights of the rows, not negative; rows of weight 0 are left out.
    patients : ndarray of shape (n,), optional
        Patient of each row, for ``auto``.
    settings : CalibrationSettings, optional
        Prior of the slope, and the candidates and rule of ``auto``; its ``method`` is ignored.

    Returns
    -------
    Calibration

    Raises
    ------
    SettingsError
        If the method is unknown.
    DataError
        If lengths differ or a value is not allowed.
    RefusalError
        If only one class of the outcome has weight.

    Examples
    --------
    >>> linear_predictor, outcome = np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0.0, 1.0, 0.0, 1.0])
    >>> fit_calibration("none", linear_predictor, outcome).transform(linear_predictor).tolist()
    [-2.0, -1.0, 1.0, 2.0]
    >>> fit_calibration("affine", linear_predictor, outcome).transform(linear_predictor).round(3).tolist()
    [-1.894, -0.947, 0.947, 1.894]
    """
    if method == "auto":
        settings = replace(settings or CalibrationSettings(), method="auto")
        return choose_calibration(linear_predictor, outcome, weights, patients=patients, settings=settings).calibration
    rows, _ = _check_rows(linear_predictor, outcome, weights, patients)
    return _fit(method, *rows, settings or CalibrationSettings())


def choose_calibration(
    linear_predictor: FloatArray,
    outcome: FloatArray,
    weights: FloatArray | None = None,
    *,
    patients: npt.NDArray[Any] | None = None,
    settings: CalibrationSettings | None = None,
) -> CalibrationChoice:
    """Fit the calibration in the settings; ``auto`` selects by cross-validated log loss, the simplest first.

    Patients are assigned to folds in the order of their linear predictors, so that folds are similar and not random.
    If the other folds have a single class, the rows of a fold keep their linear predictors under every method.

    Parameters
    ----------
    linear predictors, outcome, weights, patients
        As for :func:`fit_calibration`.
    settings : CalibrationSettings, optional
        By default ``auto`` among ``none`` and ``affine``.

    Returns
    -------
    CalibrationChoice
        With an empty table if there was no comparison.

    Raises
    ------
    SettingsError, DataError, RefusalError
        As for :func:`fit_calibration`.
    """
    settings = settings or CalibrationSettings(method="auto")
    if settings.method != "auto":
        calibration = fit_calibration(settings.method, linear_predictor, outcome, weights, settings=settings)
        return CalibrationChoice(method=settings.method, calibration=calibration, table=pd.DataFrame())
    check_field(CalibrationSettings, "candidates", settings.candidates)
    methods = [name for name in FITTED_CALIBRATIONS if name in settings.candidates]
    rows, codes = _check_rows(linear_predictor, outcome, weights, patients)
    linear_predictor, outcome, weight = rows
    fold = _deal_folds(linear_predictor, codes, settings.folds)
    logits = np.array([_cross_fit(method, *rows, fold, settings) for method in methods])
    table = compare_losses(compute_log_loss(logits, outcome), weights=weight, groups=codes)
    position = find_simplest(table, settings.standard_errors)
    table.insert(0, "method", methods)
    table["chosen"] = table.index == position
    calibration = _fit(methods[position], *rows, settings)
    return CalibrationChoice(method=methods[position], calibration=calibration, table=table)


def write_calibration(calibration: Calibration) -> dict[str, Any]:
    """Convert a calibration to plain data with its ``method``; :func:`read_calibration` reads it."""
    return {"method": calibration.method, **to_plain(calibration)}


def read_calibration(state: dict[str, Any]) -> Calibration:
    """Build a calibration from its state.

    Raises
    ------
    DataError
        If the method is unknown.
    """
    method = str(state.get("method", "affine"))
    if method not in READABLE:
        raise DataError(
            f"unknown calibration '{method}'; {suggest_name(method, FITTED_CALIBRATIONS)}", code="PC-MODEL-04"
        )
    calibration: Calibration = from_plain(state, READABLE[method])
    return calibration


def fit_affine_calibration(
    linear_predictor: FloatArray, outcome: FloatArray, *, slope_prior_sd: float, weights: FloatArray | None = None
) -> AffineCalibration:
    """Fit an affine map of the linear predictors by penalised maximum likelihood.

    The log of the slope has a normal prior with mean 0 (slope 1): the slope stays near 1 in small cohorts, and large
    cohorts override the prior. The intercept is free.

    Parameters
    ----------
    linear_predictor : ndarray of shape (n,)
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
    weight = np.ones_like(linear_predictor) if weights is None else weights

    def penalised_loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        intercept, log_slope = parameters
        slope = np.exp(log_slope)
        logits = intercept + slope * linear_predictor
        loss = float(np.sum(weight * compute_log_loss(logits, outcome)))
        residual = weight * (special.expit(logits) - outcome)
        gradient = np.array([residual.sum(), slope * (residual @ linear_predictor) + log_slope / slope_prior_sd**2])
        return loss + 0.5 * (log_slope / slope_prior_sd) ** 2, gradient

    start = np.zeros(2)
    bounds = [(None, None), (-3.0, 3.0)]
    precise = {"ftol": 1e-14, "gtol": 1e-9}
    solution = optimize.minimize(penalised_loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=precise)
    return AffineCalibration(float(solution.x[0]), float(np.exp(solution.x[1])))


def _fit(
    method: str, linear_predictor: FloatArray, outcome: FloatArray, weight: FloatArray, settings: CalibrationSettings
) -> Calibration:
    _check_method(method)
    if method == "none":
        return IDENTITY
    return fit_affine_calibration(linear_predictor, outcome, slope_prior_sd=settings.slope_prior_sd, weights=weight)


def _cross_fit(
    method: str,
    linear_predictor: FloatArray,
    outcome: FloatArray,
    weight: FloatArray,
    fold: IntArray,
    settings: CalibrationSettings,
) -> FloatArray:
    calibrated = linear_predictor.copy()
    for held_out in np.unique(fold):
        test = fold == held_out
        if len(np.unique(outcome[~test])) == 2:
            calibration = _fit(method, linear_predictor[~test], outcome[~test], weight[~test], settings)
            calibrated[test] = calibration.transform(linear_predictor[test])
    return calibrated


def _deal_folds(linear_predictor: FloatArray, codes: IntArray, n_folds: int) -> IntArray:
    """Assign each row to a fold: patients in turn, in the order of their mean linear predictor.

    Outcomes are not used: folds balanced by outcome at each linear predictor would favour maps that overfit.
    """
    order = np.argsort(np.bincount(codes, linear_predictor) / np.bincount(codes), kind="stable")
    dealt = np.empty(len(order), dtype=np.intp)
    dealt[order] = np.arange(len(order)) % n_folds
    return dealt[codes]


def _check_method(method: str) -> None:
    refuse_removed("calibration.method", method)
    if method not in FITTED_CALIBRATIONS:
        raise SettingsError(
            f"calibration: unknown method '{method}'; {suggest_name(method, (*FITTED_CALIBRATIONS, 'auto'))}",
            code="PC-MODEL-05",
        )


def _check_rows(
    linear_predictor: FloatArray, outcome: FloatArray, weights: FloatArray | None, patients: npt.NDArray[Any] | None
) -> tuple[Rows, IntArray]:
    """Return linear predictors, outcomes and weights of rows with positive weight, and their patient numbers."""
    linear_predictor, outcome = np.asarray(linear_predictor, dtype=float), np.asarray(outcome, dtype=float)
    weight = np.ones(len(linear_predictor)) if weights is None else np.asarray(weights, dtype=float)
    owner = np.arange(len(linear_predictor)) if patients is None else np.asarray(patients)
    lengths = {
        "linear_predictor": len(linear_predictor),
        "outcome": len(outcome),
        "weights": len(weight),
        "patients": len(owner),
    }
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise DataError(f"calibration needs one value of each for every row; {shown}", code="PC-MODEL-06")
    wrong = {
        "linear_predictor": (~np.isfinite(linear_predictor), "a finite number"),
        "outcome": ((outcome != 0) & (outcome != 1), "0 or 1"),
        "weights": (~(np.isfinite(weight) & (weight >= 0)), "a finite number, 0 or above"),
    }
    for name, (rows, allowed) in wrong.items():
        if rows.any():
            raise DataError(
                f"{name}: {int(rows.sum())} of {len(rows)} values are not allowed; allowed: {allowed}",
                code="PC-MODEL-07",
            )
    kept = weight > 0
    events, others = int((outcome[kept] == 1).sum()), int((outcome[kept] == 0).sum())
    if not events or not others:
        raise RefusalError(
            f"{events} rows with and {others} without the outcome have weight; a calibration needs both classes",
            code="PC-MODEL-08",
        )
    return (linear_predictor[kept], outcome[kept], weight[kept]), pd.factorize(owner[kept])[0]
