"""Recalibrate a fitted response model on patients of another cohort: model updating by a closed testing procedure.

The three methods are linear in the log odds and fold into the model, so that SHAP values still add up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import chi2

from paincast.disclosure.rounding import FEW
from paincast.errors import RefusalError
from paincast.models.binary.penalised import find_level
from paincast.models.binary.response import ResponseModel
from paincast.models.calibration.affine import IDENTITY, AffineCalibration, fit_affine_calibration
from paincast.models.observation_weights import compute_effective_size
from paincast.splits import count_smaller_class, make_folds
from paincast.statistics import compute_log_loss, draw_bayesian_bootstrap_weights

FloatArray = npt.NDArray[np.float64]

ORIGINAL, INTERCEPT, INTERCEPT_AND_SLOPE = "original", "intercept", "intercept_and_slope"

SIGNIFICANCE = 0.05
SLOPE_PRIOR_SD = 1.0
"""Standard deviation of the normal prior of the log of the slope."""

FEWEST_EVENTS = 10
"""Patients of the smaller class from which the intercept can be updated; ten for each parameter."""

FOLDS, REPEATS = 5, 10


@dataclass(frozen=True, kw_only=True)
class Recalibration:
    """A recalibration and how it was chosen.

    Parameters
    ----------
    method : {"original", "intercept", "intercept_and_slope"}
        Recalibration in the large changes the intercept; logistic recalibration also the slope.
    calibration : AffineCalibration
        The map of the log odds.
    table : DataFrame
        The tests: ``method, against, statistic, degrees_of_freedom, p_value``.
    """

    method: str
    calibration: AffineCalibration
    table: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class UpdateRows:
    """Patients of another cohort with a known outcome, and what the model predicts for them; each of shape (n,)."""

    linear_predictor: FloatArray
    outcome: FloatArray
    weights: FloatArray
    patients: npt.NDArray[Any]

    def take(self, rows: npt.NDArray[np.intp]) -> UpdateRows:
        """Keep some rows."""
        return UpdateRows(
            linear_predictor=self.linear_predictor[rows],
            outcome=self.outcome[rows],
            weights=self.weights[rows],
            patients=self.patients[rows],
        )

    @property
    def n_events(self) -> int:
        """Patients of the smaller class."""
        return count_smaller_class(self.outcome, self.patients)


def allows_slope(rows: UpdateRows) -> bool:
    """Check whether there are enough patients of both classes to update the slope.

    Raises
    ------
    RefusalError
        If there are too few to update the intercept.
    """
    if rows.n_events < FEWEST_EVENTS:
        counted = FEW if rows.n_events < 5 else str(rows.n_events)
        raise RefusalError(
            f"{counted} patients in the smaller class; at least {FEWEST_EVENTS} are needed to recalibrate a model",
            code="PC-MODEL-31",
        )
    return rows.n_events >= 2 * FEWEST_EVENTS


def choose_recalibration(rows: UpdateRows, *, with_slope: bool) -> Recalibration:
    """Choose how far to recalibrate by a closed testing procedure [1]_, and fit the choice.

    The original is tested against the most extensive method; if they cannot be told apart, it is kept. Otherwise the
    intercept alone is tested against that method, and is taken if they cannot be told apart. Likelihood ratios of
    weighted or repeated rows are scaled to the effective number of patients. The log of the slope has a normal prior
    with mean 0; ratios are those of the fits with it, and so conservative.

    Parameters
    ----------
    rows : UpdateRows
        Patients, both classes among them.
    with_slope : bool
        Whether the slope may be updated (:func:`allows_slope`).

    References
    ----------
    .. [1] Vergouwe Y, Nieboer D, Oostenbrink R, et al. A closed testing procedure to select an appropriate method for
       updating prediction models. Stat Med 2017;36:4529-4539. doi:10.1002/sim.7179

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> score = rng.normal(size=800)
    >>> outcome = (rng.random(800) < 1 / (1 + np.exp(1.5 - score))).astype(float)
    >>> rows = UpdateRows(linear_predictor=score, outcome=outcome, weights=np.ones(800), patients=np.arange(800))
    >>> choose_recalibration(rows, with_slope=True).method
    'intercept'
    """
    maps = {ORIGINAL: IDENTITY, INTERCEPT: _fit_intercept(rows)}
    if with_slope:
        maps[INTERCEPT_AND_SLOPE] = _fit_intercept_and_slope(rows)
    by_patient = np.asarray(np.bincount(pd.factorize(rows.patients)[0], rows.weights), dtype=np.float64)
    scale = compute_effective_size(by_patient) / by_patient.sum()
    loss = {
        name: scale * float(rows.weights @ compute_log_loss(fitted.transform(rows.linear_predictor), rows.outcome))
        for name, fitted in maps.items()
    }
    names = list(maps)
    largest = names[-1]
    tests = [_test(name, largest, loss, len(names) - 1 - place) for place, name in enumerate(names[:-1])]
    method = next((test["method"] for test in tests if test["p_value"] >= SIGNIFICANCE), largest)
    return Recalibration(method=method, calibration=maps[method], table=pd.DataFrame(tests))


def _test(method: str, against: str, loss: dict[str, float], degrees_of_freedom: int) -> dict[str, Any]:
    statistic = max(2.0 * (loss[method] - loss[against]), 0.0)
    return {
        "method": method,
        "against": against,
        "statistic": statistic,
        "degrees_of_freedom": degrees_of_freedom,
        "p_value": float(chi2.sf(statistic, degrees_of_freedom)),
    }


def cross_fit_recalibration(rows: UpdateRows, rng: np.random.Generator, *, with_slope: bool) -> FloatArray:
    """Predict each patient after a recalibration that was chosen and fitted without this patient.

    Parameters
    ----------
    rows, with_slope
        As for :func:`choose_recalibration`.
    rng : numpy.random.Generator
        Source of the folds.

    Returns
    -------
    ndarray of shape (n,)
        Log odds, averaged over repeats of the cross-validation.
    """
    updated = np.zeros(len(rows.outcome))
    for child in rng.spawn(REPEATS):
        for train, test in make_folds(rows.outcome, np.asarray(rows.patients, dtype=object), FOLDS, child):
            chosen = choose_recalibration(rows.take(train), with_slope=with_slope)
            updated[test] += chosen.calibration.transform(rows.linear_predictor[test])
    return updated / REPEATS


def recalibrate_response(
    response: ResponseModel,
    episodes: pd.DataFrame,
    rows: UpdateRows,
    chosen: Recalibration,
    rng: np.random.Generator,
) -> ResponseModel:
    """Fold a recalibration into a response model.

    Every refit is recalibrated by the chosen method on the same patients, with Bayesian-bootstrap weights: the interval
    holds what is not known of the model and of its update. Variances due to missing values grow with the square of the
    slope.

    Parameters
    ----------
    response : ResponseModel
        The model.
    episodes : DataFrame of shape (n, ...)
        The patients, in the types of the contract.
    rows, chosen
        The same patients, and their recalibration.
    rng : numpy.random.Generator
        Source of the weights.
    """
    fit = {INTERCEPT: _fit_intercept, INTERCEPT_AND_SLOPE: _fit_intercept_and_slope}[chosen.method]
    refits = []
    predicted = response.refit_linear_predictors(episodes)
    for refit, linear_predictor, child in zip(response.refits, predicted, rng.spawn(len(predicted)), strict=True):
        weights = rows.weights * draw_bayesian_bootstrap_weights(rows.patients, child)
        refits.append(refit.recalibrate(fit(replace(rows, linear_predictor=linear_predictor, weights=weights))))
    before, components, slope = response.calibration, response.uncertainty_components, chosen.calibration.slope
    return replace(
        response,
        model=response.model.recalibrate(chosen.calibration),
        refits=tuple(refits),
        calibration=before.then(chosen.calibration) if isinstance(before, AffineCalibration) else before,
        uncertainty_components=replace(
            components, missing={name: slope**2 * variance for name, variance in components.missing.items()}
        ),
    )


def _fit_intercept(rows: UpdateRows) -> AffineCalibration:
    return AffineCalibration(find_level(rows.outcome, rows.weights, rows.linear_predictor), 1.0)


def _fit_intercept_and_slope(rows: UpdateRows) -> AffineCalibration:
    return fit_affine_calibration(
        rows.linear_predictor, rows.outcome, slope_prior_sd=SLOPE_PRIOR_SD, weights=rows.weights
    )
