"""Metrics of binary predictions as functions of the weights on the rows, for many resamples at once.

Every ``make_`` function takes rows, prepares what all resamples share and gives an estimator: a function of weights
of shape (resamples, n) that returns an estimate for each resample, NaN where the metric does not exist. Weights of one
give the estimate itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from paincast.evaluation.performance.calibration_by_groups import find_bin_starts
from paincast.evaluation.performance.weighted_logistic import fit_weighted_logistic
from paincast.evaluation.predictions import BoolArray, FloatArray, Predictions
from paincast.statistics import compute_log_loss

Estimator = Callable[[FloatArray], FloatArray]

SMALLEST_SPREAD = 1e-9
"""Predictions whose log odds differ by less are taken to be constant."""

ECE_BINS = 10
"""Groups of the expected calibration error."""


def make_auroc(rows: Predictions) -> Estimator:
    """Estimate the area under the ROC curve: P(a case ranks above a non-case), ties counted half [1]_.

    References
    ----------
    .. [1] Hanley JA, McNeil BJ. Radiology 1982;143:29-36. doi:10.1148/radiology.143.1.7063747
    """
    has_ties = len(rows.tie_starts) < rows.n

    def estimate(weights: FloatArray) -> FloatArray:
        cases = weights * rows.outcome
        others = weights - cases
        if has_ties:
            cases, others = (np.add.reduceat(part, rows.tie_starts, axis=1) for part in (cases, others))
        below = np.cumsum(others, axis=1) - 0.5 * others
        return _divide(np.einsum("bn,bn->b", cases, below), cases.sum(axis=1) * others.sum(axis=1))

    return estimate


def make_log_loss(rows: Predictions) -> Estimator:
    """Estimate the mean negative log likelihood, in nats."""
    return _make_mean(compute_log_loss(rows.log_odds, rows.outcome))


def make_brier(rows: Predictions) -> Estimator:
    """Estimate the mean squared difference of outcome and probability."""
    return _make_mean((rows.outcome - rows.probability) ** 2)


def make_auprc(rows: Predictions) -> Estimator:
    """Estimate the area under the precision-recall curve as average precision: no line is drawn between points [1]_.

    What it is without skill is the share of cases, so that it cannot be compared between groups of unequal shares.

    References
    ----------
    .. [1] Davis J, Goadrich M. The relationship between precision-recall and ROC curves. ICML 2006:233-240.
       doi:10.1145/1143844.1143874
    """

    def estimate(weights: FloatArray) -> FloatArray:
        cases = np.add.reduceat(weights * rows.outcome, rows.tie_starts, axis=1)
        above, cases_above = (
            np.cumsum(part[:, ::-1], axis=1)[:, ::-1]
            for part in (np.add.reduceat(weights, rows.tie_starts, axis=1), cases)
        )
        precision = np.divide(cases_above, above, out=np.zeros_like(above), where=above > 0)
        auprc = _divide(np.einsum("bn,bn->b", cases, precision), cases.sum(axis=1))
        auprc[~has_both_classes(rows, weights)] = np.nan
        return auprc

    return estimate


def make_scaled_brier(rows: Predictions) -> Estimator:
    """Estimate the share of the Brier score of the observed rate that the predictions save, 1 at best [1]_.

    References
    ----------
    .. [1] Steyerberg EW, et al. Epidemiology 2010;21:128-138. doi:10.1097/EDE.0b013e3181c30fb2
    """
    brier = make_brier(rows)

    def estimate(weights: FloatArray) -> FloatArray:
        rate = weights @ rows.outcome / weights.sum(axis=1)
        return 1.0 - _divide(brier(weights), rate * (1.0 - rate))

    return estimate


def make_ece(rows: Predictions) -> Estimator:
    """Estimate the expected calibration error: mean distance of predicted and observed frequency over tenths [1]_.

    The :data:`ECE_BINS` groups of about equal size are those of the rows and stay the same in every resample. The error
    is above 0 for perfect predictions too, the more so the fewer the rows.

    References
    ----------
    .. [1] Naeini MP, Cooper GF, Hauskrecht M. Obtaining well calibrated probabilities using Bayesian binning. AAAI
       2015:2901-2907. doi:10.1609/aaai.v29i1.9602
    """
    starts = find_bin_starts(rows.tie_starts, rows.n, ECE_BINS, 1)
    gap = rows.outcome - rows.probability

    def estimate(weights: FloatArray) -> FloatArray:
        return _divide(np.abs(np.add.reduceat(weights * gap, starts, axis=1)).sum(axis=1), weights.sum(axis=1))

    return estimate


def make_ece_noise(rows: Predictions, whole: FloatArray) -> Estimator:
    """Estimate how far the tenths of a resample lie from those of the rows, as the mean distance of their gaps.

    Parameters
    ----------
    rows : Predictions
        The rows.
    whole : ndarray of shape (1, n)
        Weights of the rows themselves.
    """
    starts = find_bin_starts(rows.tie_starts, rows.n, ECE_BINS, 1)
    gap = rows.outcome - rows.probability
    gaps_of_rows = np.add.reduceat(whole * gap, starts, axis=1) / whole.sum()

    def estimate(weights: FloatArray) -> FloatArray:
        gaps = np.add.reduceat(weights * gap, starts, axis=1) / weights.sum(axis=1, keepdims=True)
        return np.asarray(np.abs(gaps - gaps_of_rows).sum(axis=1), dtype=np.float64)

    return estimate


def make_o_e_ratio(rows: Predictions) -> Estimator:
    """Estimate the ratio of observed to expected events: above 1 when the probabilities are too low."""

    def estimate(weights: FloatArray) -> FloatArray:
        return _divide(weights @ rows.outcome, weights @ rows.probability)

    return estimate


def make_calibration_intercept(rows: Predictions) -> Estimator:
    """Estimate calibration in the large: the intercept of logit P(y=1) = a + logit p, its slope fixed at 1 [1]_.

    References
    ----------
    .. [1] Cox DR. Two further applications of a model for binary regression. Biometrika 1958;45:562-565.
       doi:10.1093/biomet/45.3-4.562
    """
    fit = make_recalibration(rows, free_slope=False)
    return lambda weights: fit(weights)[:, 0]


def make_calibration_slope(rows: Predictions) -> Estimator:
    """Estimate the calibration slope: b of logit P(y=1) = a + b logit p, both free (Cox 1958)."""
    fit = make_recalibration(rows, free_slope=True)
    return lambda weights: fit(weights)[:, 1]


def make_recalibration(rows: Predictions, *, free_slope: bool) -> Estimator:
    """Estimate intercept and slope of logit P(y=1) = a + b logit p, shape (resamples, 2).

    NaN where no finite solution exists: with one outcome class, or, where the slope is free, with classes that do not
    overlap in log odds.

    Parameters
    ----------
    rows : Predictions
        The rows.
    free_slope : bool
        Whether the slope is estimated; else it is held at 1.
    """
    ones = np.ones((rows.n, 1))
    if not free_slope:
        shift = _make_fit(rows, ones, rows.log_odds, has_both_classes)
        return lambda weights: np.column_stack([shift(weights)[:, 0], np.ones(len(weights))])
    mean = float(rows.log_odds.mean())
    spread = 1.0 if has_constant_predictions(rows) else float(rows.log_odds.std())
    fit = _make_fit(rows, np.column_stack([ones, (rows.log_odds - mean) / spread]), np.zeros(rows.n), has_overlap)

    def estimate(weights: FloatArray) -> FloatArray:
        level, slope = fit(weights).T
        return np.column_stack([level - slope / spread * mean, slope / spread])

    return estimate


ESTIMATORS: Mapping[str, Callable[[Predictions], Estimator]] = MappingProxyType(
    {
        "auroc": make_auroc,
        "auprc": make_auprc,
        "log_loss": make_log_loss,
        "brier": make_brier,
        "scaled_brier": make_scaled_brier,
        "o_e_ratio": make_o_e_ratio,
        "calibration_intercept": make_calibration_intercept,
        "calibration_slope": make_calibration_slope,
        "ece": make_ece,
    }
)

ECE_NOISE = "ece_noise"
"""Distance of the gaps of a resample from those of the rows, which makes the interval of ``ece``; no metric itself."""

ALLOWED: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        **dict.fromkeys(("auroc", "auprc", "brier", "ece"), (0.0, 1.0)),
        **dict.fromkeys(("log_loss", "o_e_ratio"), (0.0, np.inf)),
        "scaled_brier": (-np.inf, 1.0),
    }
)
"""Smallest and largest value of a metric, where it has one."""

USES_LOG_ODDS = frozenset({"log_loss", "calibration_intercept", "calibration_slope"})
"""Metrics that need probabilities away from 0 and 1."""


def has_constant_predictions(rows: Predictions) -> bool:
    """Return whether all predictions are the same."""
    return bool(rows.log_odds[-1] - rows.log_odds[0] < SMALLEST_SPREAD)


def has_both_classes(rows: Predictions, weights: FloatArray) -> BoolArray:
    """Return for each resample whether it holds cases and non-cases."""
    cases, total = weights @ rows.outcome, weights.sum(axis=1)
    present: BoolArray = (cases > 0) & (cases < total)
    return present


def has_overlap(rows: Predictions, weights: FloatArray) -> BoolArray:
    """Return for each resample whether cases and non-cases overlap in log odds; else no finite slope exists [1]_.

    References
    ----------
    .. [1] Albert A, Anderson JA. On the existence of maximum likelihood estimates in logistic regression models.
       Biometrika 1984;71:1-10. doi:10.1093/biomet/71.1.1
    """
    if has_constant_predictions(rows):
        return np.zeros(len(weights), dtype=np.bool_)
    first_case, last_case = _find_extremes(rows, weights, rows.outcome == 1)
    first_other, last_other = _find_extremes(rows, weights, rows.outcome == 0)
    overlap: BoolArray = (last_other > first_case) & (last_case > first_other)
    return overlap & has_both_classes(rows, weights)


def _find_extremes(rows: Predictions, weights: FloatArray, chosen: BoolArray) -> tuple[FloatArray, FloatArray]:
    log_odds = rows.log_odds[chosen]
    if not len(log_odds):
        return np.full(len(weights), np.nan), np.full(len(weights), np.nan)
    present = weights[:, chosen] > 0
    return log_odds[present.argmax(axis=1)], log_odds[len(log_odds) - 1 - present[:, ::-1].argmax(axis=1)]


def _make_fit(
    rows: Predictions, columns: FloatArray, offset: FloatArray, exists: Callable[[Predictions, FloatArray], BoolArray]
) -> Estimator:
    """Fit where a finite solution exists, each resample from the solution of the rows themselves."""
    whole = np.ones((1, rows.n))
    start = np.zeros(columns.shape[1])
    if exists(rows, whole)[0]:
        centre = fit_weighted_logistic(whole, rows.outcome, columns, offset, start)[0]
        start = centre if np.isfinite(centre).all() else start

    def estimate(weights: FloatArray) -> FloatArray:
        finite = exists(rows, weights)
        finite_weights = weights if finite.all() else weights[finite]
        coefficients = np.full((len(weights), len(start)), np.nan)
        coefficients[finite] = fit_weighted_logistic(finite_weights, rows.outcome, columns, offset, start)
        return coefficients

    return estimate


def _make_mean(values: FloatArray) -> Estimator:
    def estimate(weights: FloatArray) -> FloatArray:
        return _divide(weights @ values, weights.sum(axis=1))

    return estimate


def _divide(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
