"""Score patients by a linear model in machine code: the operations of :mod:`paincast.scoring.linear_plain`, by block.

Loops run over the rows of a block, or over the draws, so that the processor takes several of them at once; they go over
views of one axis, of which it is known where they end. The order in which numbers are added up is that of the plain
operations, so that the digits are the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.compilation import compile_cached
from paincast.scoring.layout import MOST_COLUMNS, Layout
from paincast.scoring.linear_plain import FARTHEST_SCORE, Scored

FloatArray = npt.NDArray[np.float64]
CodeArray = npt.NDArray[np.int32]
FlagArray = npt.NDArray[np.uint64]

BLOCK_ROWS = 128
_LANES = 16
"""Draws are filled up with empty ones to a multiple of this number, so that no loop over them has a remainder."""


def score_compiled(numbers: FloatArray, codes: CodeArray, layout: Layout, most: int) -> Scored:
    """Score patients; parameters and result are those of :func:`paincast.scoring.linear_plain.score_plain`."""
    n = numbers.shape[1]
    log_odds, refitting, missing, squared_distance = (np.empty(n) for _ in range(4))
    far = np.empty(n, dtype=np.uint64)
    terms, sizes = np.empty((2, n, most), dtype=np.int16), np.empty((2, n, most))
    intercepts, coefficients, tables = (
        _take_draws(values) for values in (layout.intercepts[None], layout.coefficients, layout.tables)
    )
    drawn = intercepts[0], coefficients, tables
    _score_rows(numbers, codes, layout, drawn, log_odds, refitting, missing, far, squared_distance, terms, sizes)
    return (log_odds, refitting, missing, far, squared_distance, terms[0], sizes[0], terms[1], sizes[1])


def _take_draws(values: FloatArray) -> FloatArray:
    """Take the columns of the draws, without that of the served model."""
    n_draws = values.shape[1] - 1
    drawn = np.zeros((len(values), -(-n_draws // _LANES) * _LANES))
    drawn[:, :n_draws] = values[:, 1:]
    return drawn


@compile_cached
def _score_rows(
    numbers: FloatArray,
    codes: CodeArray,
    layout: Layout,
    drawn: tuple[FloatArray, FloatArray, FloatArray],
    log_odds: FloatArray,
    refitting: FloatArray,
    missing: FloatArray,
    far: FlagArray,
    squared_distance: FloatArray,
    terms: npt.NDArray[np.int16],
    sizes: FloatArray,
) -> None:
    n, n_draws, n_numbers, most = len(log_odds), len(layout.intercepts) - 1, len(layout.number_terms), terms.shape[2]
    n_terms, counts = len(layout.references), layout.effect_weight == 1.0 and most > 0
    totals, scores = np.empty((BLOCK_ROWS, len(drawn[0]))), np.zeros((n_numbers, BLOCK_ROWS))
    encoded = np.zeros((MOST_COLUMNS, BLOCK_ROWS))
    told, raw, is_known = np.zeros((n_terms, BLOCK_ROWS)), np.zeros(BLOCK_ROWS), np.zeros(BLOCK_ROWS, dtype=np.bool_)
    served, unknown, flags = np.empty(BLOCK_ROWS), np.empty(BLOCK_ROWS), np.empty(BLOCK_ROWS, dtype=np.uint64)
    inner, outer = np.empty(BLOCK_ROWS), np.empty(BLOCK_ROWS)
    top_sizes, top_terms = np.empty((2, most, BLOCK_ROWS)), np.empty((2, most, BLOCK_ROWS))
    for begin in range(0, n, BLOCK_ROWS):
        size = min(BLOCK_ROWS, n - begin)
        end = begin + size
        served[:], unknown[:], flags[:], totals[:] = layout.intercepts[0], 0.0, np.uint64(0), drawn[0]
        for place in range(n_numbers):
            term = layout.number_terms[place]
            raw[:size] = numbers[place, begin:end]
            _encode_number(raw, layout, place, scores[place], encoded, is_known, flags)
            _add_number(layout, place, encoded, is_known, told[term], served, unknown, inner)
            if n_draws:
                _draw_number(layout, drawn, place, size, encoded, is_known, totals)
            if counts:
                _keep_agreed(layout, drawn, place, size, encoded, told[term])
            elif most:
                _sum_squares(encoded, layout, place, outer, inner)
                _keep_certain(told[term], layout, n_draws, outer)
        for place in range(len(layout.coded_terms)):
            term = layout.coded_terms[place]
            _add_coded(codes[place, begin:end], layout, drawn, place, told[term], served, unknown, totals)
        log_odds[begin:end], missing[begin:end], far[begin:end] = served[:size], unknown[:size], flags[:size]
        _measure_draws(totals, served, n_draws, outer)
        refitting[begin:end] = outer[:size]
        _square_distance(scores, layout.precision, outer, inner)
        squared_distance[begin:end] = outer[:size]
        if most:
            top_sizes[:], top_terms[:] = 0.0, -1.0
            for term in range(n_terms):
                _insert_upward(told[term], float(term), top_sizes[0], top_terms[0], inner, outer)
                _insert_downward(told[term], float(term), top_sizes[1], top_terms[1], inner, outer)
            _write_strongest(top_terms, top_sizes, terms[:, begin:end], sizes[:, begin:end])


@compile_cached
def _locate(layout: Layout, place: int) -> tuple[int, int, int, int]:
    """Return the first column of a number, its number of bends and of columns, and its indicator of 0."""
    columns = layout.columns[place]
    return columns[0], columns[1], columns[2], columns[3]


@compile_cached
def _encode_number(
    raw: FloatArray,
    layout: Layout,
    place: int,
    scores: FloatArray,
    encoded: FloatArray,
    is_known: npt.NDArray[np.bool_],
    flags: FlagArray,
) -> None:
    first, n_bends, n_columns, zero = _locate(layout, place)
    centre, rate, bit, line = layout.centres[place], layout.rates[place], np.uint64(1) << np.uint64(place), encoded[0]
    for row in range(BLOCK_ROWS):
        score = (raw[row] - centre) * rate
        known = not np.isnan(score)
        score = score if known else 0.0
        is_known[row], scores[row], line[row] = known, score, score
        flags[row] |= bit if abs(score) > FARTHEST_SCORE else np.uint64(0)
    for bend in range(1, 1 + n_bends):
        _bend(line, layout.last_knots[place], layout.bends[first + bend], encoded[bend])
    for column in range(1 + n_bends, n_columns):
        encoded[column] = 0.0
    if zero >= 0:
        line = encoded[1 + n_bends]
        for row in range(BLOCK_ROWS):
            line[row] = 1.0 if raw[row] == 0.0 else 0.0


@compile_cached
def _bend(scores: FloatArray, last_knots: FloatArray, bend: FloatArray, bent: FloatArray) -> None:
    before, last = last_knots[0], last_knots[1]
    knot, takes_before, takes_last, gain, shift = bend[0], bend[1], bend[2], bend[3], bend[4]
    for row in range(BLOCK_ROWS):
        score = scores[row]
        above = score - knot if score > knot else 0.0
        above_before = score - before if score > before else 0.0
        above_last = score - last if score > last else 0.0
        value = above * above * above - above_before * above_before * above_before * takes_before
        value = value + above_last * above_last * above_last * takes_last
        bent[row] = value * gain - shift


@compile_cached
def _add_number(
    layout: Layout,
    place: int,
    encoded: FloatArray,
    is_known: npt.NDArray[np.bool_],
    told: FloatArray,
    served: FloatArray,
    unknown: FloatArray,
    inner: FloatArray,
) -> None:
    """Add what a number contributes to the served model."""
    term, missing = layout.number_terms[place], layout.tables[layout.missing_rows[place], 0]
    reference, variance = layout.references[term, 0], layout.missing_variances[term]
    first, n_bends, _, zero = _locate(layout, place)
    line, coefficient = encoded[0], layout.coefficients[first, 0]
    for row in range(BLOCK_ROWS):
        inner[row] = line[row] * coefficient
    for column in range(1, 1 + n_bends):
        line, coefficient = encoded[column], layout.coefficients[first + column, 0]
        for row in range(BLOCK_ROWS):
            inner[row] += line[row] * coefficient
    if zero >= 0:
        line, coefficient = encoded[1 + n_bends], layout.coefficients[zero, 0]
        for row in range(BLOCK_ROWS):
            inner[row] += coefficient if line[row] == 1.0 else 0.0
    for row in range(BLOCK_ROWS):
        known = is_known[row]
        told[row] = inner[row] - reference if known else 0.0
        served[row] += inner[row] if known else missing
        unknown[row] += 0.0 if known else variance


@compile_cached
def _choose_lines(layout: Layout, place: int, values: FloatArray, nothing: FloatArray) -> tuple[FloatArray, ...]:
    """Choose what stands at the score, the bends and the indicator of 0 of a number; ``nothing`` where it has none."""
    first, n_bends, _, zero = _locate(layout, place)
    bend, other = (1, 2) if n_bends else (0, 0)
    return (
        values[0],
        values[bend] if n_bends else nothing,
        values[other] if n_bends else nothing,
        values[zero - first] if zero >= 0 else nothing,
    )


@compile_cached
def _draw_number(
    layout: Layout,
    drawn: tuple[FloatArray, FloatArray, FloatArray],
    place: int,
    size: int,
    encoded: FloatArray,
    is_known: npt.NDArray[np.bool_],
    totals: FloatArray,
) -> None:
    """Add what a number contributes to each draw."""
    missing, nothing = drawn[2][layout.missing_rows[place]], np.zeros(len(drawn[0]))
    straight, second, third, fourth = _choose_lines(layout, place, drawn[1][layout.columns[place, 0] :], nothing)
    scores, bends, others, zeros = _choose_lines(layout, place, encoded, np.zeros(BLOCK_ROWS))
    for row in range(size):
        total, score, bend, other, zero = totals[row], scores[row], bends[row], others[row], zeros[row]
        if is_known[row]:
            for draw in range(len(total)):
                part = score * straight[draw] + bend * second[draw] + other * third[draw] + zero * fourth[draw]
                total[draw] += part
        else:
            for draw in range(len(total)):
                total[draw] += missing[draw]


@compile_cached
def _keep_agreed(
    layout: Layout,
    drawn: tuple[FloatArray, FloatArray, FloatArray],
    place: int,
    size: int,
    encoded: FloatArray,
    told: FloatArray,
) -> None:
    """Keep the contributions of a number on whose sign enough draws agree."""
    references = layout.references[layout.number_terms[place], 1:]
    nothing, least = np.zeros(len(drawn[0])), layout.least_certainty * len(references)
    straight, second, third, fourth = _choose_lines(layout, place, drawn[1][layout.columns[place, 0] :], nothing)
    scores, bends, others, zeros = _choose_lines(layout, place, encoded, np.zeros(BLOCK_ROWS))
    for row in range(size):
        sign, agreeing = np.sign(told[row]), 0
        score, bend, other, zero = scores[row], bends[row], others[row], zeros[row]
        for draw in range(len(references)):
            part = score * straight[draw] + bend * second[draw] + other * third[draw] + zero * fourth[draw]
            agreeing += np.sign(part - references[draw]) == sign
        told[row] = told[row] if agreeing >= least else 0.0


@compile_cached
def _sum_squares(encoded: FloatArray, layout: Layout, place: int, squares: FloatArray, inner: FloatArray) -> None:
    first, _, n_columns, _ = _locate(layout, place)
    means, spreads = layout.means[first:], layout.spreads[first:]
    squares[:] = 0.0
    for column in range(n_columns):
        line, mean, spread = encoded[column], means[column], spreads[column, column]
        for row in range(BLOCK_ROWS):
            inner[row] = spread * (line[row] - mean)
        for other in range(column + 1, n_columns):
            other_line, other_mean, spread = encoded[other], means[other], 2.0 * spreads[column, other]
            for row in range(BLOCK_ROWS):
                inner[row] += spread * (other_line[row] - other_mean)
        for row in range(BLOCK_ROWS):
            squares[row] += (line[row] - mean) * inner[row]


@compile_cached
def _keep_certain(told: FloatArray, layout: Layout, n_draws: int, squares: FloatArray) -> None:
    weight, limit = layout.effect_weight, layout.reach * layout.reach
    rest = weight * (1.0 - weight)
    for row in range(BLOCK_ROWS):
        expected = told[row] / weight
        variance = (squares[row] / n_draws - rest * expected * expected) / weight
        variance = variance if variance > 0.0 else 0.0
        told[row] = told[row] if expected * expected >= limit * variance else 0.0


@compile_cached
def _add_coded(
    codes: CodeArray,
    layout: Layout,
    drawn: tuple[FloatArray, FloatArray, FloatArray],
    place: int,
    told: FloatArray,
    served: FloatArray,
    unknown: FloatArray,
    totals: FloatArray,
) -> None:
    term, missing_code, start = layout.coded_terms[place], layout.missing_codes[place], layout.starts[place]
    reference, variance = layout.references[term, 0], layout.missing_variances[term]
    tables, certain = drawn[2], layout.certain
    for row in range(len(codes)):
        code, table = codes[row], start + codes[row]
        added, missing = layout.tables[table, 0], code == missing_code
        served[row] += added
        told[row] = added - reference if certain[table] and not missing else 0.0
        unknown[row] += variance if missing else 0.0
    if totals.shape[1]:
        for row in range(len(codes)):
            total, parts = totals[row], tables[start + codes[row]]
            for draw in range(len(total)):
                total[draw] += parts[draw]


@compile_cached
def _measure_draws(totals: FloatArray, served: FloatArray, n_draws: int, refitting: FloatArray) -> None:
    """Average the squared distances of the draws; four rows at once, as each addition waits for the one before."""
    if not n_draws:
        refitting[:] = np.nan
        return
    for row in range(0, BLOCK_ROWS, 4):
        total_1, total_2, total_3, total_4 = totals[row], totals[row + 1], totals[row + 2], totals[row + 3]
        served_1, served_2, served_3, served_4 = served[row], served[row + 1], served[row + 2], served[row + 3]
        sum_1 = sum_2 = sum_3 = sum_4 = 0.0
        for draw in range(n_draws):
            sum_1 += (total_1[draw] - served_1) * (total_1[draw] - served_1)
            sum_2 += (total_2[draw] - served_2) * (total_2[draw] - served_2)
            sum_3 += (total_3[draw] - served_3) * (total_3[draw] - served_3)
            sum_4 += (total_4[draw] - served_4) * (total_4[draw] - served_4)
        refitting[row], refitting[row + 1], refitting[row + 2], refitting[row + 3] = sum_1, sum_2, sum_3, sum_4
    for row in range(BLOCK_ROWS):
        refitting[row] = refitting[row] / n_draws


@compile_cached
def _square_distance(scores: FloatArray, precision: FloatArray, total: FloatArray, inner: FloatArray) -> None:
    total[:] = 0.0
    for column in range(len(scores)):
        inner[:] = 0.0
        for other in range(len(scores)):
            line, weight = scores[other], precision[other, column]
            for row in range(BLOCK_ROWS):
                inner[row] += weight * line[row]
        line = scores[column]
        for row in range(BLOCK_ROWS):
            total[row] += inner[row] * line[row]


@compile_cached
def _insert_upward(
    told: FloatArray, term: float, sizes: FloatArray, terms: FloatArray, moved: FloatArray, moved_terms: FloatArray
) -> None:
    """Put a contribution among the largest above 0; of equal ones the first term stays before."""
    for row in range(BLOCK_ROWS):
        moved[row], moved_terms[row] = told[row], term
    for spot in range(len(sizes)):
        size, named = sizes[spot], terms[spot]
        for row in range(BLOCK_ROWS):
            old, old_term, new, new_term = size[row], named[row], moved[row], moved_terms[row]
            takes = new > old
            size[row], named[row] = new if takes else old, new_term if takes else old_term
            moved[row], moved_terms[row] = old if takes else new, old_term if takes else new_term


@compile_cached
def _insert_downward(
    told: FloatArray, term: float, sizes: FloatArray, terms: FloatArray, moved: FloatArray, moved_terms: FloatArray
) -> None:
    """Put a contribution among the smallest below 0; of equal ones the last term stays before."""
    for row in range(BLOCK_ROWS):
        moved[row], moved_terms[row] = told[row] if told[row] < 0.0 else 1.0, term
    for spot in range(len(sizes)):
        size, named = sizes[spot], terms[spot]
        for row in range(BLOCK_ROWS):
            old, old_term, new, new_term = size[row], named[row], moved[row], moved_terms[row]
            takes = new <= old
            size[row], named[row] = new if takes else old, new_term if takes else old_term
            moved[row], moved_terms[row] = old if takes else new, old_term if takes else new_term


@compile_cached
def _write_strongest(
    found_terms: FloatArray, found_sizes: FloatArray, terms: npt.NDArray[np.int16], sizes: FloatArray
) -> None:
    """Write the strongest contributions of a block, row by row."""
    for direction in range(2):
        for row in range(terms.shape[1]):
            for spot in range(terms.shape[2]):
                terms[direction, row, spot] = np.int16(found_terms[direction, spot, row])
                sizes[direction, row, spot] = found_sizes[direction, spot, row]
