"""Machine code for what is computed for each draw: the operations of the plain ways, in the same order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.compilation import compile_cached

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@compile_cached
def sum_columns(
    columns: FloatArray, means: FloatArray, coefficients: FloatArray, firsts: IntArray, total: FloatArray
) -> None:
    """Add to each variable's total what its columns contribute; see ``log_odds.py``."""
    for term in range(len(total)):
        for column in range(firsts[term], firsts[term + 1]):
            mean, coefficient = means[column], coefficients[column]
            for row in range(total.shape[1]):
                total[term, row] += (columns[column, row] - mean) * coefficient


@compile_cached
def count_agreeing(drawn: FloatArray, served: FloatArray, agreeing: IntArray) -> None:
    """Count where a draw has the sign of what is served; see ``score.py``."""
    for term in range(len(served)):
        for row in range(served.shape[1]):
            one, other = drawn[term, row], served[term, row]
            same = (one > 0.0) & (other > 0.0) | (one < 0.0) & (other < 0.0) | (one == 0.0) & (other == 0.0)
            agreeing[term, row] += 1 if same else 0


@compile_cached
def add_squares(drawn: FloatArray, served: FloatArray, squares: FloatArray) -> None:
    """Add the squared distance of a draw from what is served; see ``score.py``."""
    for term in range(len(served)):
        for row in range(served.shape[1]):
            distance = drawn[term, row] - served[term, row]
            squares[term, row] += distance * distance


@compile_cached
def average_slopes(
    shares: FloatArray, odds: FloatArray, others: FloatArray, factors: FloatArray, most: float, totals: FloatArray
) -> None:
    """Average the slopes of the log odds of lasting over nodes; see ``duration.py``."""
    for node in range(len(shares)):
        for row in range(odds.shape[1]):
            odd = odds[node, row] if odds[node, row] < most else most
            lost, every, first = odd, odd, odd
            for visit in range(len(factors)):
                odd = factors[visit] * others[node, row]
                odd = odd if odd < most else most
                rest = 1.0 + odd
                every = every * rest + (1.0 + lost) * odd
                first = first * rest
                lost = lost * rest + odd
            totals[0, row] += shares[node] * (every / lost)
            totals[1, row] += shares[node] * (first / lost)
