"""Score patients by a linear model in machine code: the operations of :mod:`paincast.scoring.linear_plain`, by block.

Loops run over the rows of a block, or over the models, so that the processor takes several of them at once. The order
in which numbers are added up is that of the plain operations, so that the digits are the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.compilation import compile_cached
from paincast.scoring.layout import MOST_COLUMNS, Layout
from paincast.scoring.linear_plain import FARTHEST_SCORE, Scored

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

BLOCK_ROWS = 128


def score_compiled(numbers: FloatArray, codes: npt.NDArray[np.int32], layout: Layout, most: int) -> Scored:
    """Score patients; parameters and result are those of :func:`paincast.scoring.linear_plain.score_plain`."""
    n = numbers.shape[1]
    log_odds, refitting, missing, squared_distance = np.empty(n), np.empty(n), np.zeros(n), np.empty(n)
    far = np.zeros(n, dtype=np.uint64)
    terms, sizes = np.full((2, most, n), -1.0), np.zeros((2, most, n))
    _score_rows(numbers, codes, layout, log_odds, refitting, missing, far, squared_distance, terms, sizes)
    upward, downward = (np.ascontiguousarray(found.T).astype(np.int16) for found in terms)
    upward_sizes, downward_sizes = (np.ascontiguousarray(found.T) for found in sizes)
    return (
        log_odds,
        refitting,
        missing,
        far,
        squared_distance,
        upward,
        upward_sizes,
        downward,
        downward_sizes,
    )


@compile_cached
def _score_rows(
    numbers: FloatArray,
    codes: npt.NDArray[np.int32],
    layout: Layout,
    log_odds: FloatArray,
    refitting: FloatArray,
    missing: FloatArray,
    far: npt.NDArray[np.uint64],
    squared_distance: FloatArray,
    terms: FloatArray,
    sizes: FloatArray,
) -> None:
    n, n_models, n_numbers, most = len(log_odds), len(layout.intercepts), len(layout.number_terms), terms.shape[1]
    totals, parts = np.empty((BLOCK_ROWS, n_models)), np.empty(n_models)
    scores, encoded = np.zeros((n_numbers, BLOCK_ROWS)), np.zeros((MOST_COLUMNS, BLOCK_ROWS))
    told, agreeing = np.zeros((len(layout.references), BLOCK_ROWS)), np.zeros(BLOCK_ROWS)
    is_known = np.zeros(BLOCK_ROWS, dtype=np.bool_)
    first_scratch, second_scratch = np.empty(BLOCK_ROWS), np.empty(BLOCK_ROWS)
    for begin in range(0, n, BLOCK_ROWS):
        size = min(BLOCK_ROWS, n - begin)
        for row in range(size):
            for model in range(n_models):
                totals[row, model] = layout.intercepts[model]
        for place in range(n_numbers):
            _encode_number(numbers, layout, place, begin, size, scores, encoded, is_known, far)
            _add_number(layout, place, begin, size, encoded, is_known, parts, totals, missing, told, agreeing)
            if layout.effect_weight == 1.0:
                for row in range(size):
                    if agreeing[row] < layout.least_certainty * (n_models - 1):
                        told[layout.number_terms[place], row] = 0.0
            elif most:
                _sum_squares(encoded, layout, place, first_scratch, second_scratch)
                _keep_certain(told, layout, place, first_scratch)
        for place in range(len(layout.coded_terms)):
            _add_coded(codes, layout, place, begin, size, totals, missing, told)
        _measure_draws(totals, begin, size, log_odds, refitting)
        _square_distance(scores, layout.precision, first_scratch, second_scratch)
        for row in range(size):
            squared_distance[begin + row] = first_scratch[row]
        for term in range(len(layout.references)):
            if most:
                _insert_upward(told, term, terms, sizes, begin, size, first_scratch, second_scratch)
                _insert_downward(told, term, terms, sizes, begin, size, first_scratch, second_scratch)


@compile_cached
def _encode_number(
    numbers: FloatArray,
    layout: Layout,
    place: int,
    begin: int,
    size: int,
    scores: FloatArray,
    encoded: FloatArray,
    is_known: BoolArray,
    far: npt.NDArray[np.uint64],
) -> None:
    first, n_bends, zero = layout.columns[place, 0], layout.columns[place, 1], layout.columns[place, 3]
    centre, rate = layout.centres[place], layout.rates[place]
    for row in range(size):
        score = (numbers[place, begin + row] - centre) * rate
        is_known[row] = not np.isnan(score)
        score = 0.0 if np.isnan(score) else score
        scores[place, row] = score
        encoded[0, row] = score
    for row in range(size):
        if abs(scores[place, row]) > FARTHEST_SCORE:
            far[begin + row] |= np.uint64(1) << np.uint64(place)
    _bend(encoded, layout.last_knots[place, 0], layout.last_knots[place, 1], layout.bends, first, n_bends, size)
    for column in range(1 + n_bends, layout.columns[place, 2]):
        for row in range(size):
            encoded[column, row] = 0.0
    if zero >= 0:
        for row in range(size):
            encoded[1 + n_bends, row] = 1.0 if numbers[place, begin + row] == 0.0 else 0.0


@compile_cached
def _add_number(
    layout: Layout,
    place: int,
    begin: int,
    size: int,
    encoded: FloatArray,
    is_known: BoolArray,
    parts: FloatArray,
    totals: FloatArray,
    missing: FloatArray,
    told: FloatArray,
    agreeing: FloatArray,
) -> None:
    term, n_models = layout.number_terms[place], len(parts)
    first, n_bends, zero = layout.columns[place, 0], layout.columns[place, 1], layout.columns[place, 3]
    missing_row, reference = layout.missing_rows[place], layout.references[term, 0]
    for row in range(size):
        if not is_known[row]:
            for model in range(n_models):
                totals[row, model] += layout.tables[missing_row, model]
            missing[begin + row] += layout.missing_variances[term]
            told[term, row] = 0.0
            continue
        _add_columns(encoded, row, layout.coefficients, first, n_bends, zero, parts)
        for model in range(n_models):
            totals[row, model] += parts[model]
        told[term, row] = parts[0] - reference
        if layout.effect_weight == 1.0:
            agreeing[row] = _count_agreeing(parts, layout.references, term)


@compile_cached
def _add_coded(
    codes: npt.NDArray[np.int32],
    layout: Layout,
    place: int,
    begin: int,
    size: int,
    totals: FloatArray,
    missing: FloatArray,
    told: FloatArray,
) -> None:
    term, missing_code, start = layout.coded_terms[place], layout.missing_codes[place], layout.starts[place]
    for row in range(size):
        code = codes[place, begin + row]
        table = start + code
        for model in range(totals.shape[1]):
            totals[row, model] += layout.tables[table, model]
        told[term, row] = layout.tables[table, 0] - layout.references[term, 0] if layout.certain[table] else 0.0
        if code == missing_code:
            missing[begin + row] += layout.missing_variances[term]
            told[term, row] = 0.0


@compile_cached
def _measure_draws(totals: FloatArray, begin: int, size: int, log_odds: FloatArray, refitting: FloatArray) -> None:
    n_models = totals.shape[1]
    for row in range(size):
        served, total = totals[row, 0], 0.0
        for model in range(1, n_models):
            distance = totals[row, model] - served
            total += distance * distance
        log_odds[begin + row], refitting[begin + row] = served, total / (n_models - 1)


@compile_cached
def _bend(
    encoded: FloatArray, before: float, last: float, bends: FloatArray, first: int, n_bends: int, size: int
) -> None:
    for bend in range(1, 1 + n_bends):
        knot, takes_before, takes_last = bends[first + bend, 0], bends[first + bend, 1], bends[first + bend, 2]
        gain, shift = bends[first + bend, 3], bends[first + bend, 4]
        for row in range(size):
            score = encoded[0, row]
            above = score - knot if score > knot else 0.0
            above_before = score - before if score > before else 0.0
            above_last = score - last if score > last else 0.0
            bent = above * above * above - above_before * above_before * above_before * takes_before
            bent = bent + above_last * above_last * above_last * takes_last
            encoded[bend, row] = bent * gain - shift


@compile_cached
def _add_columns(
    encoded: FloatArray, row: int, coefficients: FloatArray, first: int, n_bends: int, zero: int, parts: FloatArray
) -> None:
    score = encoded[0, row]
    if n_bends == 2:
        bend, second = encoded[1, row], encoded[2, row]
        for model in range(len(parts)):
            added = score * coefficients[first, model] + bend * coefficients[first + 1, model]
            parts[model] = added + second * coefficients[first + 2, model]
    else:
        for model in range(len(parts)):
            parts[model] = score * coefficients[first, model]
        for column in range(1, 1 + n_bends):
            value = encoded[column, row]
            for model in range(len(parts)):
                parts[model] += value * coefficients[first + column, model]
    if zero >= 0 and encoded[1 + n_bends, row] == 1.0:
        for model in range(len(parts)):
            parts[model] += coefficients[zero, model]


@compile_cached
def _count_agreeing(parts: FloatArray, references: FloatArray, term: int) -> int:
    sign, agreeing = np.sign(parts[0] - references[term, 0]), 0
    for model in range(1, len(parts)):
        if np.sign(parts[model] - references[term, model]) == sign:
            agreeing += 1
    return agreeing


@compile_cached
def _sum_squares(encoded: FloatArray, layout: Layout, place: int, squares: FloatArray, inner: FloatArray) -> None:
    first, n_columns = layout.columns[place, 0], layout.columns[place, 2]
    means, spreads = layout.means, layout.spreads
    for row in range(BLOCK_ROWS):
        squares[row] = 0.0
    for column in range(n_columns):
        mean, spread = means[first + column], spreads[first + column, column]
        for row in range(BLOCK_ROWS):
            inner[row] = spread * (encoded[column, row] - mean)
        for other in range(column + 1, n_columns):
            other_mean, spread = means[first + other], 2.0 * spreads[first + column, other]
            for row in range(BLOCK_ROWS):
                inner[row] += spread * (encoded[other, row] - other_mean)
        for row in range(BLOCK_ROWS):
            squares[row] += (encoded[column, row] - mean) * inner[row]


@compile_cached
def _keep_certain(told: FloatArray, layout: Layout, place: int, squares: FloatArray) -> None:
    term, n_draws, weight = layout.number_terms[place], len(layout.intercepts) - 1, layout.effect_weight
    rest, limit = weight * (1.0 - weight), layout.reach * layout.reach
    for row in range(BLOCK_ROWS):
        expected = told[term, row] / weight
        variance = (squares[row] / n_draws - rest * expected * expected) / weight
        variance = variance if variance > 0.0 else 0.0
        told[term, row] = told[term, row] if expected * expected >= limit * variance else 0.0


@compile_cached
def _square_distance(scores: FloatArray, precision: FloatArray, total: FloatArray, inner: FloatArray) -> None:
    for row in range(BLOCK_ROWS):
        total[row] = 0.0
    for column in range(len(scores)):
        for row in range(BLOCK_ROWS):
            inner[row] = 0.0
        for other in range(len(scores)):
            weight = precision[other, column]
            for row in range(BLOCK_ROWS):
                inner[row] += weight * scores[other, row]
        for row in range(BLOCK_ROWS):
            total[row] += inner[row] * scores[column, row]


@compile_cached
def _insert_upward(
    told: FloatArray,
    term: int,
    terms: FloatArray,
    sizes: FloatArray,
    begin: int,
    size: int,
    moved: FloatArray,
    moved_terms: FloatArray,
) -> None:
    """Put a contribution among the largest above 0; of equal ones the first term stays before."""
    for row in range(size):
        moved[row], moved_terms[row] = told[term, row], float(term)
    for spot in range(terms.shape[1]):
        for row in range(size):
            old, old_term = sizes[0, spot, begin + row], terms[0, spot, begin + row]
            new, new_term = moved[row], moved_terms[row]
            takes = new > old
            sizes[0, spot, begin + row] = new if takes else old
            terms[0, spot, begin + row] = new_term if takes else old_term
            moved[row] = old if takes else new
            moved_terms[row] = old_term if takes else new_term


@compile_cached
def _insert_downward(
    told: FloatArray,
    term: int,
    terms: FloatArray,
    sizes: FloatArray,
    begin: int,
    size: int,
    moved: FloatArray,
    moved_terms: FloatArray,
) -> None:
    """Put a contribution among the smallest below 0; of equal ones the last term stays before."""
    for row in range(size):
        moved[row], moved_terms[row] = told[term, row] if told[term, row] < 0.0 else 1.0, float(term)
    for spot in range(terms.shape[1]):
        for row in range(size):
            old, old_term = sizes[1, spot, begin + row], terms[1, spot, begin + row]
            new, new_term = moved[row], moved_terms[row]
            takes = new <= old
            sizes[1, spot, begin + row] = new if takes else old
            terms[1, spot, begin + row] = new_term if takes else old_term
            moved[row] = old if takes else new
            moved_terms[row] = old_term if takes else new_term
