"""Score patients by a linear model in machine code: the operations of :mod:`paincast.scoring.linear_plain`, by row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.scoring.layout import MOST_COLUMNS
from paincast.scoring.linear_plain import FARTHEST_SCORE, Scored
from paincast.statistics.compilation import compile_cached

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def score_compiled(numbers: FloatArray, codes: npt.NDArray[np.int32], layout: tuple[object, ...], most: int) -> Scored:
    """Score patients; parameters and result are those of :func:`paincast.scoring.linear_plain.score_plain`."""
    n = numbers.shape[1]
    scored = (
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.zeros(n, dtype=np.uint64),
        np.empty(n),
        np.full((n, most), -1, dtype=np.int16),
        np.zeros((n, most)),
        np.full((n, most), -1, dtype=np.int16),
        np.zeros((n, most)),
    )
    _score_rows(np.ascontiguousarray(numbers.T), np.ascontiguousarray(codes.T), tuple(layout), *scored)
    return scored


@compile_cached
def _score_rows(
    numbers: FloatArray,
    codes: npt.NDArray[np.int32],
    layout: tuple,  # type: ignore[type-arg]
    log_odds: FloatArray,
    refitting: FloatArray,
    missing: FloatArray,
    far: npt.NDArray[np.uint64],
    squared_distance: FloatArray,
    upward: npt.NDArray[np.int16],
    upward_sizes: FloatArray,
    downward: npt.NDArray[np.int16],
    downward_sizes: FloatArray,
) -> None:
    (
        number_terms,
        coded_terms,
        centres,
        rates,
        columns,
        last_knots,
        bends,
        coefficients,
        means,
        spreads,
        missing_rows,
        missing_codes,
        starts,
        tables,
        certain,
        missing_variances,
        intercepts,
        references,
        precision,
        effect_weight,
        least_certainty,
        reach,
    ) = layout
    n, n_models, n_numbers, most = len(log_odds), len(intercepts), len(number_terms), upward.shape[1]
    n_draws = n_models - 1
    totals, parts, encoded = np.empty(n_models), np.empty(n_models), np.empty((n_numbers, MOST_COLUMNS))
    scores, inner, told = np.empty(n_numbers), np.empty(n_numbers), np.empty(len(references))
    places = np.full(len(references), -1)
    for place in range(n_numbers):
        places[number_terms[place]] = place
    for row in range(n):
        for model in range(n_models):
            totals[model] = intercepts[model]
        variance_of_missing = 0.0
        for place in range(n_numbers):
            term = number_terms[place]
            score = (numbers[row, place] - centres[place]) * rates[place]
            if np.isnan(score):
                scores[place] = 0.0
                told[term] = 0.0
                missing_row = missing_rows[place]
                for model in range(n_models):
                    totals[model] += tables[missing_row, model]
                variance_of_missing += missing_variances[term]
                continue
            scores[place] = score
            if abs(score) > FARTHEST_SCORE:
                far[row] |= np.uint64(1) << np.uint64(place)
            first, n_bends, zero = columns[place, 0], columns[place, 1], columns[place, 3]
            _bend(score, last_knots[place, 0], last_knots[place, 1], bends, first, n_bends, encoded[place])
            _add_columns(encoded[place], coefficients, first, n_bends, parts)
            is_zero = zero >= 0 and numbers[row, place] == 0.0
            if is_zero:
                for model in range(n_models):
                    parts[model] += coefficients[zero, model]
            for model in range(n_models):
                totals[model] += parts[model]
            told[term] = parts[0] - references[term, 0]
            if most:
                for column in range(1 + n_bends, columns[place, 2]):
                    encoded[place, column] = 0.0
                if is_zero:
                    encoded[place, 1 + n_bends] = 1.0
                if effect_weight == 1.0 and _count_agreeing(parts, references, term) < least_certainty * n_draws:
                    told[term] = 0.0
        for place in range(len(coded_terms)):
            term, code = coded_terms[place], codes[row, place]
            start = starts[place] + code
            for model in range(n_models):
                totals[model] += tables[start, model]
            if code == missing_codes[place]:
                variance_of_missing += missing_variances[term]
                told[term] = 0.0
            else:
                told[term] = tables[start, 0] - references[term, 0] if certain[start] else 0.0
        served, total = totals[0], 0.0
        for model in range(1, n_models):
            distance = totals[model] - served
            total += distance * distance
        log_odds[row], refitting[row], missing[row] = served, total / n_draws, variance_of_missing
        for spot in range(2 * most):
            is_upward = spot < most
            term, size = _find_strongest(
                told, is_upward, places, encoded, columns, means, spreads, n_draws, effect_weight, reach
            )
            if term >= 0 and is_upward:
                upward[row, spot], upward_sizes[row, spot] = term, size
            elif term >= 0:
                downward[row, spot - most], downward_sizes[row, spot - most] = term, size
        for column in range(n_numbers):
            inner[column] = 0.0
        for column in range(n_numbers):
            score = scores[column]
            for other in range(n_numbers):
                inner[other] += precision[column, other] * score
        total = 0.0
        for column in range(n_numbers):
            total += inner[column] * scores[column]
        squared_distance[row] = total


@compile_cached
def _bend(
    score: float, before: float, last: float, bends: FloatArray, first: int, n_bends: int, encoded: FloatArray
) -> None:
    encoded[0] = score
    if n_bends:
        above = max(score - before, 0.0)
        above_before = above * above * above
        above = max(score - last, 0.0)
        above_last = above * above * above
        for bend in range(1, 1 + n_bends):
            row = first + bend
            above = max(score - bends[row, 0], 0.0)
            bent = above * above * above - above_before * bends[row, 1] + above_last * bends[row, 2]
            encoded[bend] = bent * bends[row, 3] - bends[row, 4]


@compile_cached
def _add_columns(encoded: FloatArray, coefficients: FloatArray, first: int, n_bends: int, parts: FloatArray) -> None:
    score = encoded[0]
    if n_bends == 2:
        bend, second = encoded[1], encoded[2]
        for model in range(len(parts)):
            added = score * coefficients[first, model] + bend * coefficients[first + 1, model]
            parts[model] = added + second * coefficients[first + 2, model]
        return
    for model in range(len(parts)):
        parts[model] = score * coefficients[first, model]
    for column in range(1, 1 + n_bends):
        value = encoded[column]
        for model in range(len(parts)):
            parts[model] += value * coefficients[first + column, model]


@compile_cached
def _count_agreeing(parts: FloatArray, references: FloatArray, term: int) -> int:
    sign, agreeing = np.sign(parts[0] - references[term, 0]), 0
    for model in range(1, len(parts)):
        if np.sign(parts[model] - references[term, model]) == sign:
            agreeing += 1
    return agreeing


@compile_cached
def _sum_squares(encoded: FloatArray, means: FloatArray, spreads: FloatArray, first: int, n_columns: int) -> float:
    squares = 0.0
    for column in range(n_columns):
        distance = encoded[column] - means[first + column]
        added = spreads[first + column, column] * distance
        for other in range(column + 1, n_columns):
            added += 2.0 * spreads[first + column, other] * (encoded[other] - means[first + other])
        squares += distance * added
    return squares


@compile_cached
def _is_sign_certain(told: float, squares: float, n_draws: int, weight: float, reach: float) -> bool:
    expected = told / weight
    variance = (squares / n_draws - weight * (1.0 - weight) * expected * expected) / weight
    return told != 0.0 and expected * expected >= reach * reach * max(variance, 0.0)


@compile_cached
def _find_strongest(
    told: FloatArray,
    is_upward: bool,
    places: IntArray,
    encoded: FloatArray,
    columns: IntArray,
    means: FloatArray,
    spreads: FloatArray,
    n_draws: int,
    weight: float,
    reach: float,
) -> tuple[int, float]:
    """Take the strongest contribution of a direction whose sign is certain; of equal ones the first upward, else the last.

    What is taken, or found to be uncertain, becomes 0.
    """
    while True:
        found, size = -1, 0.0
        for term in range(len(told)):
            if is_upward:
                if told[term] > size:
                    found, size = term, told[term]
            elif told[term] <= size and told[term] < 0.0:
                found, size = term, told[term]
        if found < 0:
            return -1, 0.0
        told[found] = 0.0
        place = places[found]
        if place < 0 or weight == 1.0:
            return found, size
        squares = _sum_squares(encoded[place], means, spreads, columns[place, 0], columns[place, 2])
        if _is_sign_certain(size, squares, n_draws, weight, reach):
            return found, size
