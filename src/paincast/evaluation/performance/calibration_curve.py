"""Smooth calibration curve with a band, and its distance from the diagonal: ICI, E50, E90, Emax."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from paincast.errors import SettingsError
from paincast.evaluation.performance.estimators import Estimator, has_constant_predictions, has_overlap
from paincast.evaluation.performance.metrics import METRIC_COLUMNS, order_weights
from paincast.evaluation.performance.weighted_logistic import fit_weighted_logistic
from paincast.evaluation.predictions import BoolArray, FloatArray, IntArray, Predictions, check_predictions
from paincast.evaluation.resampling import (
    MAXIMUM_LOST_SHARE,
    check_confidence,
    check_resamples,
    describe_estimate,
    resample_patient_weights,
)
from paincast.statistics import compute_kernel, smooth_shares
from paincast.statistics.splines import compute_spline

RIDGE = 4.0
"""Penalty on the spline terms, scaled to a standard deviation of 1."""

SMALLEST_CLASS = 5
"""Fewest rows of either class for a curve."""

MOST_GROUPS = 2_000
"""Distinct predictions that are fitted one by one; more are put into as many equal steps of log odds."""

FITS_PER_BLOCK = 100
KNOTS = {3: (0.1, 0.5, 0.9), 4: (0.05, 0.35, 0.65, 0.95), 5: (0.05, 0.275, 0.5, 0.725, 0.95)}
CURVE_COLUMNS = ("group", "predicted", "observed", "lower", "upper")
INDICES = ("ici", "e50", "e90", "emax")
LOESS = "ici_loess"
LOESS_SPAN = 0.25
LOESS_POINTS = 100


@dataclass(frozen=True)
class CalibrationCurve:
    """A smooth calibration curve and its distance from the diagonal.

    Parameters
    ----------
    curve : DataFrame
        ``group, predicted, observed, lower, upper``, ascending; empty where there is no curve.
    indices : DataFrame
        Rows ``ici``, ``e50``, ``e90``, ``emax`` and ``ici_loess`` in the columns of metrics.
    """

    curve: pd.DataFrame
    indices: pd.DataFrame


@dataclass(frozen=True)
class _Curve:
    """What all resamples share: groups of nearly equal predictions, and how log odds become a design.

    The spline terms are residualized on intercept and log odds (coefficients ``line``) and divided by ``spread``.
    """

    starts: IntArray
    log_odds: FloatArray
    probability: FloatArray
    knots: tuple[float, ...]
    line: FloatArray
    spread: FloatArray
    ridge: FloatArray

    def make_columns(self, log_odds: FloatArray) -> FloatArray:
        """Make the design: intercept, log odds and scaled spline terms."""
        straight = np.column_stack([np.ones(len(log_odds)), log_odds])
        if not len(self.spread):
            return straight
        return np.column_stack([straight, (compute_spline(log_odds, self.knots) - straight @ self.line) / self.spread])

    def follow(self, theta: FloatArray, log_odds: FloatArray) -> FloatArray:
        """Return the probabilities of each curve at some log odds, shape (n_curves, n)."""
        return np.asarray(expit(theta @ self.make_columns(log_odds).T), dtype=float)

    def fit(self, weight: FloatArray, cases: FloatArray) -> FloatArray:
        """Fit the coefficients in each resample, shape (resamples, k); NaN where the fit did not converge."""
        share = np.divide(cases, weight, out=np.zeros_like(cases), where=weight > 0)
        start = np.zeros(len(self.ridge))
        start[1] = 1.0
        return fit_weighted_logistic(
            weight, share, self.make_columns(self.log_odds), np.zeros(len(self.log_odds)), start, self.ridge
        )


def compute_calibration_curve(
    outcome: Any,
    probability: Any,
    *,
    patients: Any,
    rng: np.random.Generator,
    resamples: int = 500,
    confidence: float = 0.95,
    group: str = "overall",
    weights: Any = None,
    points: int = 100,
    ridge: float = RIDGE,
) -> CalibrationCurve:
    """Fit a smooth calibration curve (restricted cubic spline) and measure its distance from the diagonal.

    ``ici_loess`` is the mean distance of a second smoother, loess of degree 1 over the nearest quarter of the rows: it
    follows steps that five knots smooth away, and is larger by chance. Hold the larger of both against a limit.

    The knots stand at Harrell's quantiles of the predicted log odds [1]_ (three below 30 rows, four below 100, else
    five, fewer where they coincide). The spline terms are residualized on the straight line, scaled to a standard
    deviation of 1 and penalised, so that no resample diverges; intercept and slope are free. ``ici`` is the mean
    distance between curve and prediction over the rows, ``e50``, ``e90`` and ``emax`` its median, 90 % quantile and
    largest value [2]_.

    The band consists of percentiles of a bootstrap of patients in which the curve is refitted with the same knots. The
    distances are above 0 even for perfect predictions, and more so in a resample; their interval, which contains the
    estimate, is that of :func:`paincast.evaluation.resampling.compute_distance_interval`.

    Parameters
    ----------
    outcome, probability, patients, rng, resamples, confidence, group, weights
        As for :func:`paincast.evaluation.performance.metrics.compute_metrics`.
    points : int
        Points of the curve, at least 2, from the 1st to the 99th percentile of the predictions, or further in so that
        at least five rows lie beyond either end.
    ridge : float
        Penalty of the spline terms, 0 or more.

    Returns
    -------
    CalibrationCurve
        Where there is no curve, ``curve`` is empty and the indices are NaN with a reason: fewer than five rows of a
        class, constant predictions, or predictions that separate the classes.

    Raises
    ------
    DataError
        If rows are missing, of unequal number or not allowed.
    SettingsError
        If a setting is not allowed.

    References
    ----------
    .. [1] Harrell FE. Regression Modeling Strategies, 2nd ed. Springer 2015, section 2.4.
       doi:10.1007/978-3-319-19425-7
    .. [2] Austin PC, Steyerberg EW. The Integrated Calibration Index (ICI) and related metrics for quantifying the
       calibration of logistic regression models. Stat Med 2019;38:4051-4065. doi:10.1002/sim.8281

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> probability = rng.random(2000)
    >>> outcome = rng.random(2000) < 0.5 * probability
    >>> found = compute_calibration_curve(outcome, probability, patients=None, rng=rng, resamples=50)
    >>> found.indices.set_index("metric").loc["ici", "estimate"].round(2)
    np.float64(0.24)
    """
    check_resamples(resamples)
    check_confidence(confidence)
    if points < 2 or not 0 <= ridge < np.inf:
        raise SettingsError(
            f"points={points}, ridge={ridge:g}: at least 2 points and a finite ridge of 0 or more",
            code="PC-EVALUATION-09",
        )
    rows = check_predictions(outcome, probability, patients)
    whole = order_weights(weights, probability, rows)
    whole = whole * (rows.n / whole.sum())
    reason = _find_obstacle(rows)
    if reason:
        return _make_empty(group, rows.n, reason)
    shared = _prepare(rows, whole[0], ridge)
    weight, cases = _sum_groups(rows, shared, [whole])
    theta = shared.fit(weight, cases)
    drawn_weight, drawn_cases = _sum_groups(
        rows, shared, (block * whole for block in resample_patient_weights(rows, resamples, rng))
    )
    drawn = _fit_resamples(shared, drawn_weight, drawn_cases)
    observed, redrawn = (shared.follow(coefficients, shared.log_odds) for coefficients in (theta, drawn))
    estimates = _measure(observed, shared.probability, weight)[0]
    resampled, noise = (_measure(redrawn, other, drawn_weight) for other in (shared.probability, observed))
    manner = (
        f"restricted cubic spline with {len(shared.knots)} knots, ridge {ridge:g}; bootstrap of {rows.n_patients} "
        f"patients, {resamples} resamples: lower limit from their distance from the curve, upper from their standard "
        f"error, {100 * confidence:g} %"
    )
    described = [
        describe_estimate(float(estimate), distances, confidence, manner, noise=from_curve)
        for estimate, distances, from_curve in zip(estimates, resampled.T, noise.T, strict=True)
    ]
    described.append(_measure_loess(shared, (weight, drawn_weight), (cases, drawn_cases), rows.n_patients, confidence))
    ends = max(0.01, SMALLEST_CLASS / rows.n)
    lowest, highest = (float(np.quantile(rows.log_odds, share)) for share in (ends, 1.0 - ends))
    grid = np.linspace(lowest, highest, points)
    curve = _make_curve(shared, grid, theta, drawn, confidence)
    return CalibrationCurve(
        curve=curve.assign(group=group)[list(CURVE_COLUMNS)], indices=_make_indices(group, rows.n, described)
    )


def _measure_loess(
    shared: _Curve,
    weights: tuple[FloatArray, FloatArray],
    cases: tuple[FloatArray, FloatArray],
    n_patients: int,
    confidence: float,
) -> dict[str, Any]:
    """Measure the mean distance of a local-linear curve from the predictions, of all rows and of the resamples."""
    x, whole = shared.probability, weights[0][0]
    grid = np.unique(np.quantile(x, np.linspace(0.0, 1.0, LOESS_POINTS), weights=whole, method="inverted_cdf"))
    kernel = compute_kernel(x, whole, grid, LOESS_SPAN)
    curves = [
        np.array([np.interp(x, grid, curve) for curve in smooth_shares(x, *sums, grid, kernel)])
        for sums in zip(weights, cases, strict=True)
    ]
    distance, resampled, noise = (
        (np.abs(curve - other) * weight).sum(axis=1) / weight.sum(axis=1)
        for curve, other, weight in (
            (curves[0], x, weights[0]),
            (curves[1], x, weights[1]),
            (curves[1], curves[0], weights[1]),
        )
    )
    manner = (
        f"loess of degree 1, span {LOESS_SPAN:g}; bootstrap of {n_patients} patients, {len(resampled)} resamples: "
        f"limits as for the spline, {100 * confidence:g} %"
    )
    return describe_estimate(float(distance[0]), resampled, confidence, manner, noise=noise)


def make_ici(rows: Predictions) -> Estimator:
    """Estimate the ICI as :func:`compute_calibration_curve` does, the knots held in every resample."""
    if _find_obstacle(rows):
        return lambda weights: np.full(len(weights), np.nan)
    shared = _prepare(rows, np.ones(rows.n), RIDGE)

    def estimate(weights: FloatArray) -> FloatArray:
        weight, cases = _sum_groups(rows, shared, [weights])
        theta = shared.fit(weight, cases)
        theta[~has_overlap_in_groups(weight, cases)] = np.nan
        return _measure(shared.follow(theta, shared.log_odds), shared.probability, weight)[:, 0]

    return estimate


def has_overlap_in_groups(weight: FloatArray, cases: FloatArray) -> BoolArray:
    """Return for each resample whether cases and non-cases overlap, given sums over groups in ascending order."""
    places = np.arange(weight.shape[1])
    with_case, with_other = cases > 0, cases < weight * (1.0 - 1e-12)
    first = [np.where(kind.any(axis=1), kind.argmax(axis=1), len(places)) for kind in (with_case, with_other)]
    last = [
        np.where(kind.any(axis=1), len(places) - 1 - kind[:, ::-1].argmax(axis=1), -1)
        for kind in (with_case, with_other)
    ]
    overlap: BoolArray = (last[1] > first[0]) & (last[0] > first[1])
    return overlap


def compute_weighted_quantile(values: FloatArray, weights: FloatArray, quantile: float) -> FloatArray:
    """Compute a quantile of values that stand as often as their weights say, as R's type 7 does of repeated values.

    Parameters
    ----------
    values, weights : ndarray of shape (k, n)
        One quantile for each of the k.
    quantile : float
        From 0 to 1.

    Returns
    -------
    ndarray of shape (k,)
    """
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    passed = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    rank = quantile * np.maximum(passed[:, -1] - 1.0, 0.0)
    low = np.floor(rank + 1e-9)
    last = values.shape[1] - 1
    ends = [np.minimum((passed <= at[:, None] + 1e-9).sum(axis=1), last) for at in (low, low + 1.0)]
    below, above = (np.take_along_axis(ordered, at[:, None], axis=1)[:, 0] for at in ends)
    result: FloatArray = below + (rank - low) * (above - below)
    return result


def _find_obstacle(rows: Predictions) -> str:
    smaller = int(min(rows.outcome.sum(), rows.n - rows.outcome.sum()))
    if rows.has_one_class:
        return "one outcome class only"
    if has_constant_predictions(rows):
        return "the predictions are constant"
    if smaller < SMALLEST_CLASS:
        return f"fewer than {SMALLEST_CLASS} rows of the rarer outcome class"
    if not has_overlap(rows, np.ones((1, rows.n)))[0]:
        return "the predictions separate the outcome classes"
    return ""


def _prepare(rows: Predictions, weights: FloatArray, ridge: float) -> _Curve:
    starts = rows.tie_starts
    if len(starts) > MOST_GROUPS:
        step = np.floor((rows.log_odds - rows.log_odds[0]) / (rows.log_odds[-1] - rows.log_odds[0]) * MOST_GROUPS)
        starts = np.flatnonzero(np.append(True, np.diff(step) > 0)).astype(np.int64)
    weight = np.add.reduceat(weights, starts)
    log_odds, probability = (
        np.add.reduceat(weights * part, starts) / weight for part in (rows.log_odds, rows.probability)
    )
    knots = place_knots(rows.log_odds)
    if not 3 <= len(knots) <= len(starts):
        knots = ()
    straight = np.column_stack([np.ones(len(log_odds)), log_odds])
    line, spread = np.empty((2, 0)), np.empty(0)
    if knots:
        bends = compute_spline(log_odds, knots)
        root = np.sqrt(weight)[:, None]
        line = np.linalg.lstsq(root * straight, root * bends, rcond=None)[0]
        spread = np.sqrt(np.average((bends - straight @ line) ** 2, axis=0, weights=weight))
    return _Curve(
        starts=starts,
        log_odds=log_odds,
        probability=probability,
        knots=knots,
        line=line,
        spread=spread,
        ridge=np.append(np.zeros(2), np.full(len(spread), ridge)),
    )


def place_knots(log_odds: FloatArray) -> tuple[float, ...]:
    """Place knots at Harrell's quantiles; where some coincide only the different ones are left."""
    n = len(log_odds)
    places = KNOTS[3] if n < 30 else KNOTS[4] if n < 100 else KNOTS[5]
    return tuple(float(knot) for knot in np.unique(np.quantile(log_odds, places)))


def _sum_groups(rows: Predictions, shared: _Curve, blocks: Iterable[FloatArray]) -> tuple[FloatArray, FloatArray]:
    parts = [
        (np.add.reduceat(block, shared.starts, axis=1), np.add.reduceat(block * rows.outcome, shared.starts, axis=1))
        for block in blocks
    ]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _measure(curves: FloatArray, other: FloatArray, weight: FloatArray) -> FloatArray:
    """Measure the distance of each curve from predictions, or from another curve, shape (n_curves, 4)."""
    distance = np.abs(curves - other)
    mean = (distance * weight).sum(axis=1) / weight.sum(axis=1)
    quantiles = [compute_weighted_quantile(distance, weight, quantile) for quantile in (0.5, 0.9)]
    return np.column_stack([mean, *quantiles, np.where(weight > 0, distance, 0.0).max(axis=1)])


def _make_curve(
    shared: _Curve, grid: FloatArray, theta: FloatArray, drawn: FloatArray, confidence: float
) -> pd.DataFrame:
    curves = shared.follow(drawn, grid)
    kept = curves[np.isfinite(curves).all(axis=1)]
    limits = np.full((2, len(grid)), np.nan)
    if len(curves) - len(kept) <= MAXIMUM_LOST_SHARE * len(curves):
        limits = np.quantile(kept, [0.5 - confidence / 2, 0.5 + confidence / 2], axis=0)
    return pd.DataFrame(
        {"predicted": expit(grid), "observed": shared.follow(theta, grid)[0], "lower": limits[0], "upper": limits[1]}
    )


def _make_empty(group: str, n: int, reason: str) -> CalibrationCurve:
    absent = describe_estimate(np.nan, np.empty(0), 0.95, "", reason=reason)
    numbers = {name: pd.Series(dtype=float) for name in CURVE_COLUMNS[1:]}
    curve = pd.DataFrame({"group": pd.Series(dtype=str), **numbers})
    return CalibrationCurve(curve=curve, indices=_make_indices(group, n, [absent] * (len(INDICES) + 1)))


def _fit_resamples(shared: _Curve, weight: FloatArray, cases: FloatArray) -> FloatArray:
    """Fit the curve in each resample, in blocks; NaN where classes do not overlap."""
    starts = range(0, len(weight), FITS_PER_BLOCK)
    theta = np.concatenate(
        [shared.fit(*(part[start : start + FITS_PER_BLOCK] for part in (weight, cases))) for start in starts]
    )
    theta[~has_overlap_in_groups(weight, cases)] = np.nan
    return theta


def _make_indices(group: str, n: int, described: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    table = [
        {"metric": index, "group": group, "n": n, **row}
        for index, row in zip((*INDICES, LOESS), described, strict=True)
    ]
    return pd.DataFrame(table, columns=list(METRIC_COLUMNS))
