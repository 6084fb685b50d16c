"""Compiled sums over sorted rows, one pass per resample, from which the metrics of many resamples follow."""

from __future__ import annotations

import numpy as np

from paincast.compilation import compile_cached
from paincast.evaluation.predictions import BoolArray, FloatArray, IntArray

SUMS = ("weight", "cases", "expected", "squares", "losses", "case_log_odds", "concordant", "precision", "overlap")
"""What is summed over all rows, in the order of the columns."""

GROUP_SUMS = ("weight", "cases", "expected", "first", "second")
"""What is summed over each group of rows; the last two are moments of the log odds about the middle of the group."""


@compile_cached
def sum_resamples(
    drawn: IntArray,
    patient: IntArray,
    outcome: FloatArray,
    columns: FloatArray,
    tie_ends: BoolArray,
    group_starts: IntArray,
    sums: FloatArray,
    group_sums: FloatArray,
) -> None:
    """Fill in the sums of each resample.

    Parameters
    ----------
    drawn : ndarray of shape (resamples, n_draws)
        Patients drawn with replacement.
    patient : ndarray of shape (n,)
        Patient of each row; rows are sorted by probability.
    outcome : ndarray of shape (n,)
        0.0 or 1.0.
    columns : ndarray of shape (n, 6)
        Weight of the row, probability, squared error, log loss, log odds, distance from the middle of its group.
    tie_ends : ndarray of shape (n,)
        Whether the row is the last with its probability.
    group_starts : ndarray of shape (n_groups + 1,)
        First row of each group, and ``n``.
    sums : ndarray of shape (resamples, 9)
        Filled with :data:`SUMS`.
    group_sums : ndarray of shape (5, resamples, n_groups)
        Filled with :data:`GROUP_SUMS`.
    """
    n, n_groups = len(outcome), len(group_starts) - 1
    counts = np.zeros(patient.max() + 1, dtype=np.int32)
    weights = np.empty(n)
    for resample in range(len(drawn)):
        counts[:] = 0
        for person in drawn[resample]:
            counts[person] += 1
        squares = losses = case_log_odds = 0.0
        for group in range(n_groups):
            weight = cases = expected = first = second = 0.0
            for row in range(group_starts[group], group_starts[group + 1]):
                mass = counts[patient[row]] * columns[row, 0]
                weights[row] = mass
                case = mass * outcome[row]
                weight += mass
                cases += case
                expected += mass * columns[row, 1]
                squares += mass * columns[row, 2]
                losses += mass * columns[row, 3]
                case_log_odds += case * columns[row, 4]
                moment = mass * columns[row, 5]
                first += moment
                second += moment * columns[row, 5]
            group_sums[0, resample, group] = weight
            group_sums[1, resample, group] = cases
            group_sums[2, resample, group] = expected
            group_sums[3, resample, group] = first
            group_sums[4, resample, group] = second
        total, all_cases = group_sums[0, resample].sum(), group_sums[1, resample].sum()
        sums[resample, 0] = total
        sums[resample, 1] = all_cases
        sums[resample, 2] = group_sums[2, resample].sum()
        sums[resample, 3] = squares
        sums[resample, 4] = losses
        sums[resample, 5] = case_log_odds
        sums[resample, 6], sums[resample, 7] = _sum_ranks(weights, outcome, tie_ends, total, all_cases)
        sums[resample, 8] = _overlap(weights, outcome, columns[:, 4])


@compile_cached
def _sum_ranks(
    weights: FloatArray, outcome: FloatArray, tie_ends: BoolArray, total: float, all_cases: float
) -> tuple[float, float]:
    """Sum the pairs in which the case ranks above, ties half, and the precision at the place of each case."""
    concordant = precision = below = cases_below = cases = others = 0.0
    for row in range(len(weights)):
        case = weights[row] * outcome[row]
        cases += case
        others += weights[row] - case
        if tie_ends[row]:
            if cases > 0.0:
                concordant += cases * (below + 0.5 * others)
                precision += cases * (all_cases - cases_below) / (total - cases_below - below)
                cases_below += cases
            below += others
            cases = others = 0.0
    return concordant, precision


@compile_cached
def _overlap(weights: FloatArray, outcome: FloatArray, log_odds: FloatArray) -> bool:
    """Return whether cases and others overlap in log odds."""
    firsts, lasts = np.full(2, np.nan), np.full(2, np.nan)
    for label in range(2):
        for row in range(len(weights)):
            if weights[row] > 0.0 and outcome[row] == label:
                firsts[label] = log_odds[row]
                break
        for row in range(len(weights) - 1, -1, -1):
            if weights[row] > 0.0 and outcome[row] == label:
                lasts[label] = log_odds[row]
                break
    return bool(lasts[0] > firsts[1] and lasts[1] > firsts[0])
