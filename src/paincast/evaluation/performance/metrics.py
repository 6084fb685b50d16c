"""Discrimination, overall accuracy and calibration of binary predictions, each with interval, n and method."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd

from paincast.errors import DataError
from paincast.evaluation.performance.estimators import (
    ALLOWED,
    ECE_NOISE,
    ESTIMATORS,
    USES_LOG_ODDS,
    Estimator,
    has_constant_predictions,
    has_overlap,
    make_ece_noise,
)
from paincast.evaluation.performance.fast_resampling import COMPILED, SMALLEST_WORK, make_groups, resample_metrics
from paincast.evaluation.predictions import PROBABILITY_FLOOR, FloatArray, Predictions, check_predictions
from paincast.evaluation.resampling import (
    check_confidence,
    check_resamples,
    describe_estimate,
    resample_patient_weights,
)

METRIC_COLUMNS = ("metric", "group", "estimate", "lower", "upper", "n", "method")
"""Columns of every table of metrics."""

OF_DISTANCE = "lower limit from the distance of resampled from observed groups, upper from the standard error"


def compute_metrics(
    outcome: Any,
    probability: Any,
    *,
    patients: Any,
    rng: np.random.Generator,
    resamples: int = 500,
    confidence: float = 0.95,
    group: str = "overall",
    weights: Any = None,
) -> pd.DataFrame:
    """Compute the metrics of predicted probabilities with percentile intervals from a bootstrap of patients.

    ``auroc`` counts ties half. ``calibration_intercept`` is calibration in the large, with the slope fixed at 1: below
    0, probabilities are too high. ``calibration_slope`` comes from a joint fit: below 1, they are too extreme. Both
    belong to the calibration hierarchy [1]_. ``ece`` uses ten groups of about equal size; it is above 0 even for
    perfect predictions, and more so in a resample, so its interval is that of a distance
    (:func:`paincast.evaluation.resampling.compute_distance_interval`). Where the percentile interval of another metric
    misses the estimate, it is widened to contain it, and ``method`` says so. The estimand is the performance of these
    predictions: intervals do not cover the uncertainty of refitting the model.

    Many rows are resampled by :mod:`paincast.evaluation.performance.fast_resampling`, with the same draws and limits
    equal to 1e-6; a metric that it does not reproduce is computed by its definition.

    Where a metric does not exist the estimate is NaN and ``method`` says why: AUROC, AUPRC, scaled Brier, intercept and
    slope with one outcome class, the slope of constant predictions or of predictions that separate the classes. A
    resample in which a metric does not exist is counted in ``method``; when more than a tenth are lost there is no
    interval. There is none either when all resamples agree, as with an AUROC of 1: no spread among resamples is no
    certainty.

    Parameters
    ----------
    outcome : array-like of shape (n,)
        0 or 1.
    probability : array-like of shape (n,)
        Predicted probability of outcome 1, out of sample; may be averaged over repeats of cross-validation.
        For log loss, intercept and slope, probabilities nearer to 0 or 1 than 1e-12 are moved to that distance, and
        ``method`` counts them.
    patients : array-like of shape (n,) or None
        Who each row belongs to; with None each row is a patient.
    rng : Generator
        Source of the resamples.
    resamples : int
        Number of bootstrap resamples, at least 50.
    confidence : float
        Coverage of the intervals, from 0.5 to 0.999.
    group : str
        Label of these rows.
    weights : array-like of shape (n,), optional
        Weight above 0 of each row, for rows that stand for others who were lost. Resamples multiply them; intervals
        take them as known.

    Returns
    -------
    DataFrame
        One row per metric with the columns :data:`METRIC_COLUMNS`; ``n`` counts rows, ``method`` patients.

    Raises
    ------
    DataError
        If rows are missing, of unequal number or not allowed.
    SettingsError
        If ``resamples`` or ``confidence`` is not allowed.

    References
    ----------
    .. [1] Van Calster B, et al. A calibration hierarchy for risk models was defined: from utopia to empirical data.
       J Clin Epidemiol 2016;74:167-176. doi:10.1016/j.jclinepi.2015.12.005

    Examples
    --------
    >>> outcome, probability = [0, 0, 1, 0, 1, 1], [0.1, 0.4, 0.3, 0.5, 0.6, 0.8]
    >>> metrics = compute_metrics(outcome, probability, patients=None, rng=np.random.default_rng(1))
    >>> metrics.set_index("metric").loc["auroc", "estimate"].round(3)
    np.float64(0.778)
    """
    check_resamples(resamples)
    check_confidence(confidence)
    rows = check_predictions(outcome, probability, patients)
    estimators = {metric: make(rows) for metric, make in ESTIMATORS.items()}
    whole = order_weights(weights, probability, rows)
    estimates = {metric: float(estimate(whole)[0]) for metric, estimate in estimators.items()}
    resampled = _resample(rows, whole, {**estimators, ECE_NOISE: make_ece_noise(rows, whole)}, resamples, rng)
    manner = f"bootstrap of {rows.n_patients} patients, {resamples} resamples, {100 * confidence:g} %"
    if weights is not None:
        manner += f"; weighted, effective n {whole.sum() ** 2 / np.square(whole).sum():.0f}"
    table = [
        {
            "metric": metric,
            "group": group,
            "n": rows.n,
            **_describe(metric, rows, estimate, resampled, confidence, manner),
        }
        for metric, estimate in estimates.items()
    ]
    return pd.DataFrame(table, columns=list(METRIC_COLUMNS))


def check_weights(weights: Any, n: int) -> FloatArray:
    """Check the weights of ``n`` rows and give them as numbers; ones where there are none.

    Raises
    ------
    DataError
        If the number differs, or one is missing, infinite or not above 0.
    """
    if weights is None:
        return np.ones(n)
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (n,) or not (np.isfinite(given) & (given > 0)).all():
        raise DataError(f"weights: {n} finite numbers above 0 are needed, one for each row", code="PC-EVALUATION-10")
    return given


def order_weights(weights: Any, probability: Any, rows: Predictions) -> FloatArray:
    """Check weights and give them in the order of the checked rows, shape (1, n)."""
    order = np.argsort(np.asarray(probability, dtype=np.float64), kind="stable")
    return check_weights(weights, rows.n)[order][None, :]


def _resample(
    rows: Predictions, whole: FloatArray, estimators: Mapping[str, Estimator], resamples: int, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Estimate each metric in the same resamples: by the compiled pass what it reproduces, the rest by definition."""
    groups = make_groups(rows, whole[0]) if rows.n * resamples >= SMALLEST_WORK else None
    if groups is None:
        return resample_estimators(estimators, rows, whole, resamples, rng)
    same_draws = deepcopy(rng)
    compiled = resample_metrics(rows, whole[0], groups, resamples, rng)
    kept = {name: value for name, value in compiled.items() if COMPILED.get(name) is ESTIMATORS.get(name)}
    others = {name: estimate for name, estimate in estimators.items() if name not in kept}
    return kept | (resample_estimators(others, rows, whole, resamples, same_draws) if others else {})


def resample_estimators(
    estimators: Mapping[str, Estimator],
    rows: Predictions,
    whole: FloatArray,
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, FloatArray]:
    """Apply estimators to the weights of each resample of patients.

    Parameters
    ----------
    estimators : mapping of str to Estimator
        By name.
    rows : Predictions
        The rows that the estimators were made for.
    whole : ndarray of shape (1, n)
        Weights of the rows.
    resamples : int
        Number of resamples.
    rng : Generator
        Source of the draws.

    Returns
    -------
    dict of ndarray of shape (resamples,)
        NaN where a metric does not exist in a resample.
    """
    parts = [
        {name: estimate(block * whole) for name, estimate in estimators.items()}
        for block in resample_patient_weights(rows, resamples, rng)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in estimators}


def _describe(
    metric: str,
    rows: Predictions,
    estimate: float,
    resampled: Mapping[str, FloatArray],
    confidence: float,
    manner: str,
) -> dict[str, Any]:
    drawn, noise = resampled[metric], resampled[ECE_NOISE] if metric == "ece" else None
    manner = f"percentile {manner}" if noise is None else f"{manner}; {OF_DISTANCE}"
    if not np.isfinite(estimate):
        return describe_estimate(estimate, drawn, confidence, manner, reason=_explain(metric, rows))
    reason = "one outcome class only" if rows.has_one_class else ""
    allowed = ALLOWED.get(metric, (-np.inf, np.inf))
    row = describe_estimate(estimate, drawn, confidence, manner, reason=reason, noise=noise, allowed=allowed)
    if rows.n_clipped and metric in USES_LOG_ODDS:
        row["method"] = (
            f"{row['method']}; {rows.n_clipped} of {rows.n} probabilities moved to {PROBABILITY_FLOOR:g} from 0 or 1"
        )
    return row


def _explain(metric: str, rows: Predictions) -> str:
    if metric == "o_e_ratio":
        return "no event is expected, all probabilities are 0"
    if rows.has_one_class:
        return "one outcome class only"
    if metric == "calibration_slope" and has_constant_predictions(rows):
        return "the predictions are constant"
    if metric == "calibration_slope" and not has_overlap(rows, np.ones((1, rows.n)))[0]:
        return "the predictions separate the outcome classes, so that the slope diverges"
    return "the fit did not converge"
