"""Accelerated bootstrap of many rows: a compiled pass per resample, and fits on narrow groups of log odds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import expit

from paincast.evaluation.performance.calibration_by_groups import find_bin_starts
from paincast.evaluation.performance.estimators import (
    ECE_BINS,
    ECE_NOISE,
    Estimator,
    has_overlap,
    make_auprc,
    make_auroc,
    make_brier,
    make_calibration_intercept,
    make_calibration_slope,
    make_ece,
    make_log_loss,
    make_o_e_ratio,
    make_recalibration,
    make_scaled_brier,
)
from paincast.evaluation.predictions import FloatArray, IntArray, Predictions
from paincast.evaluation.resampling import resample_patients
from paincast.statistics import compute_log_loss

SMALLEST_WORK = 10_000_000
"""Rows times resamples from which the compiled pass is quicker, the time to load it included."""

GROUP_WIDTH = 0.05
"""Widest group in units of log odds, before and after recalibration."""

MOST_GROUPS = 4_000
SMALLEST_CLASS = 100
ITERATIONS = 30
TOLERANCE = 1e-11


COMPILED: Mapping[str, Callable[[Predictions], Estimator]] = MappingProxyType(
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
"""The definitions that the compiled pass reproduces, by metric; any other metric is computed by its own definition."""


@dataclass(frozen=True)
class Groups:
    """Rows in narrow groups of log odds, none of which lies across a bin of the expected calibration error.

    Parameters
    ----------
    starts : ndarray of shape (n_groups,)
        First row of each.
    middle : ndarray of shape (n_groups,)
        Middle of its log odds.
    bins : ndarray of shape (n_bins,)
        First group of each bin of the expected calibration error.
    intercept : ndarray of shape (2,)
        Calibration intercept of all rows, and the slope of 1 that it goes with.
    line : ndarray of shape (2,)
        Intercept and slope of all rows, both free.
    """

    starts: IntArray
    middle: FloatArray
    bins: IntArray
    intercept: FloatArray
    line: FloatArray


def make_groups(rows: Predictions, weights: FloatArray) -> Groups | None:
    """Group the rows, or give None where groups narrow enough would be too many, or no slope exists.

    Parameters
    ----------
    rows : Predictions
        The rows.
    weights : ndarray of shape (n,)
        Weights of the rows. The steeper the calibration slope, the narrower the groups.
    """
    smaller = min(rows.outcome.sum(), rows.n - rows.outcome.sum())
    if smaller < SMALLEST_CLASS or not has_overlap(rows, np.ones((1, rows.n)))[0]:
        return None
    fixed, line = (make_recalibration(rows, free_slope=free)(weights[None, :])[0] for free in (False, True))
    width = GROUP_WIDTH / max(1.0, abs(line[1]))
    if not np.isfinite([*fixed, *line]).all() or rows.log_odds[-1] - rows.log_odds[0] > MOST_GROUPS * width:
        return None
    step = np.floor((rows.log_odds - rows.log_odds[0]) / width)
    narrow = np.flatnonzero(np.append(True, np.diff(step) > 0))
    wide = find_bin_starts(rows.tie_starts, rows.n, ECE_BINS, 1)
    starts = np.union1d(narrow, wide)
    ends = np.append(starts[1:], rows.n) - 1
    middle = 0.5 * (rows.log_odds[starts] + rows.log_odds[ends])
    return Groups(
        starts=starts,
        middle=middle,
        bins=np.searchsorted(starts, wide),
        intercept=fixed,
        line=line,
    )


def resample_metrics(
    rows: Predictions, weights: FloatArray, groups: Groups, resamples: int, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Compute the metrics of :data:`COMPILED` in each resample of patients.

    The draws are those of :func:`paincast.evaluation.resampling.resample_patient_weights`. Everything is exact but
    intercept and slope: within a group the fitted probability is expanded to second order about its middle. What is
    left is at most ``0.125 * (width / 2) ** 3 / 6`` = 3.3e-7 in the fitted probability of a row, of either sign; the
    tests hold the coefficients to 1e-6 of those fitted to the rows.

    Parameters
    ----------
    rows : Predictions
        The rows.
    weights : ndarray of shape (n,)
        Weights of the rows.
    groups : Groups
        Of these rows.
    resamples : int
        Number of resamples.
    rng : Generator
        Source of the draws.

    Returns
    -------
    dict of ndarray of shape (resamples,)
        NaN where a metric does not exist; with :data:`paincast.evaluation.performance.estimators.ECE_NOISE`.
    """
    sums, by_group = _sum_all(rows, weights, groups, resamples, rng)
    total, cases, expected, squares, losses, case_log_odds, concordant, precision, overlap = sums.T
    rate = cases / total
    weight, group_cases, group_expected, first, second = by_group
    gaps = np.add.reduceat(group_cases - group_expected, groups.bins, axis=1) / total[:, None]
    gaps_of_rows = (
        np.add.reduceat(weights * (rows.outcome - rows.probability), groups.starts[groups.bins]) / weights.sum()
    )
    both = (cases > 0) & (cases < total)
    fits = _GroupedFits(groups.middle, weight, first, second, np.column_stack([cases, case_log_odds]))
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "auroc": np.where(both, concordant / (cases * (total - cases)), np.nan),
            "auprc": np.where(both, precision / cases, np.nan),
            "log_loss": losses / total,
            "brier": squares / total,
            "scaled_brier": np.where(both, 1.0 - squares / total / (rate * (1.0 - rate)), np.nan),
            "o_e_ratio": cases / expected,
            "calibration_intercept": np.where(both, fits.fit(groups.intercept, free_slope=False)[:, 0], np.nan),
            "calibration_slope": np.where(overlap > 0, fits.fit(groups.line, free_slope=True)[:, 1], np.nan),
            "ece": np.abs(gaps).sum(axis=1),
            ECE_NOISE: np.abs(gaps - gaps_of_rows).sum(axis=1),
        }


def _sum_all(
    rows: Predictions, weights: FloatArray, groups: Groups, resamples: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    from paincast.evaluation.performance.compiled import GROUP_SUMS, SUMS, sum_resamples

    bounds = np.append(groups.starts, rows.n)
    distance = rows.log_odds - np.repeat(groups.middle, np.diff(bounds))
    squared = (rows.outcome - rows.probability) ** 2
    loss = compute_log_loss(rows.log_odds, rows.outcome)
    columns = np.column_stack([weights, rows.probability, squared, loss, rows.log_odds, distance])
    tie_ends = np.append(np.diff(rows.probability) > 0, True)
    sums = np.empty((resamples, len(SUMS)))
    by_group = np.empty((len(GROUP_SUMS), resamples, len(groups.starts)))
    done = 0
    for drawn in resample_patients(rows, resamples, rng):
        block = slice(done, done + len(drawn))
        sum_resamples(drawn, rows.patient, rows.outcome, columns, tie_ends, bounds, sums[block], by_group[:, block])
        done += len(drawn)
    return sums, by_group


@dataclass(frozen=True)
class _GroupedFits:
    """Weights of the groups in each resample, moments about their middles, and the totals that a fit has to meet."""

    middle: FloatArray
    weight: FloatArray
    first: FloatArray
    second: FloatArray
    totals: FloatArray

    def fit(self, start: FloatArray, *, free_slope: bool) -> FloatArray:
        """Fit intercept and slope in each resample by Newton's method, the slope held where it is unless free."""
        theta = np.tile(start, (len(self.weight), 1))
        live = np.arange(len(theta))
        for _ in range(ITERATIONS):
            step = self._find_step(theta, free_slope=free_slope)
            theta += step
            live = np.flatnonzero(~(np.abs(step).max(axis=1) < TOLERANCE))
            if not len(live):
                break
        theta[live] = np.nan
        return theta

    def _find_step(self, theta: FloatArray, *, free_slope: bool) -> FloatArray:
        slope = theta[:, 1:]
        fitted = expit(theta[:, :1] + slope * self.middle)
        steepness = fitted * (1.0 - fitted)
        expected = fitted * self.weight + slope * steepness * self.first
        expected += 0.5 * slope**2 * steepness * (1.0 - 2.0 * fitted) * self.second
        moved = fitted * self.first + slope * steepness * self.second
        expected_log_odds = expected @ self.middle + moved.sum(axis=1)
        gradient = self.totals - np.column_stack([expected.sum(axis=1), expected_log_odds])
        mass = steepness * self.weight
        total = mass.sum(axis=1)
        if not free_slope:
            return np.column_stack([gradient[:, 0] / total, np.zeros(len(theta))])
        linear, square = mass @ self.middle, mass @ self.middle**2
        determinant = total * square - linear**2
        intercept_step = (square * gradient[:, 0] - linear * gradient[:, 1]) / determinant
        slope_step = (total * gradient[:, 1] - linear * gradient[:, 0]) / determinant
        return np.column_stack([intercept_step, slope_step])
