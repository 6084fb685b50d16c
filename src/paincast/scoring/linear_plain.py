"""Score patients by a linear model with numpy: the operations of :mod:`paincast.scoring.linear_compiled`, by column."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.scoring.layout import Layout, add_up, is_certain

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FEW_ROWS = 16
"""Most rows for which products are made at once instead of one by one."""

FARTHEST_SCORE = 4.0
"""Largest distance of a single number from the training mean, in standard deviations."""

Scored = tuple[
    FloatArray,
    FloatArray,
    FloatArray,
    npt.NDArray[np.uint64],
    FloatArray,
    npt.NDArray[np.int16],
    FloatArray,
    npt.NDArray[np.int16],
    FloatArray,
]


def score_plain(numbers: FloatArray, codes: npt.NDArray[np.int32], layout: Layout, most: int) -> Scored:
    """Score patients.

    Parameters
    ----------
    numbers : ndarray of shape (n_numbers, n)
        On their analysis scale; NaN where missing.
    codes : ndarray of shape (n_coded, n)
        Places of levels.
    layout : Layout
        The model.
    most : int
        Most contributions told in either direction.

    Returns
    -------
    tuple of ndarray
        The fields of :class:`paincast.scoring.linear.LinearScore`.
    """
    n = numbers.shape[1]
    log_odds = np.repeat(layout.intercepts[:, None], n, axis=1)
    missing = np.zeros(n)
    told = np.zeros((len(layout.references), n))
    scores, not_known, far = score_numbers(numbers, layout)
    for place, term in enumerate(layout.number_terms):
        score, unknown = scores[place], not_known[place]
        if unknown.all():
            log_odds += layout.tables[layout.missing_rows[place]][:, None]
            missing += layout.missing_variances[term]
            continue
        encoded, parts = add_up(layout, place, score)
        zero = layout.columns[place, 3]
        if zero >= 0:
            is_zero = numbers[place] == 0.0
            encoded.append(is_zero.astype(float))
            parts = np.where(is_zero, parts + layout.coefficients[zero][:, None], parts)
        parts = np.where(unknown, layout.tables[layout.missing_rows[place]][:, None], parts)
        log_odds += parts
        missing += np.where(unknown, layout.missing_variances[term], 0.0)
        if most:
            certain = _find_certain(layout, place, encoded, parts - layout.references[term][:, None])
            told[term] = np.where(certain & ~unknown, parts[0] - layout.references[term, 0], 0.0)
    for place, term in enumerate(layout.coded_terms):
        rows = layout.starts[place] + codes[place]
        parts, unknown = layout.tables[rows].T, codes[place] == layout.missing_codes[place]
        log_odds += parts
        missing += np.where(unknown, layout.missing_variances[term], 0.0)
        told[term] = np.where(layout.certain[rows] & ~unknown, parts[0] - layout.references[term, 0], 0.0)
    return (
        log_odds[0].copy(),
        _compute_refitting(log_odds),
        missing,
        far,
        square_distance(scores, layout.precision),
        *_find_strongest(told, most),
        *_find_strongest(-told, most, negated=True),
    )


def _find_certain(layout: Layout, place: int, encoded: list[FloatArray], away: FloatArray) -> BoolArray:
    first, n_columns = layout.columns[place, 0], layout.columns[place, 2]
    n, n_draws = away.shape[1], len(away) - 1
    agreeing, squares = np.zeros(n, dtype=np.int64), np.zeros(n)
    if layout.effect_weight == 1.0:
        agreeing = (np.sign(away[1:]) == np.sign(away[0])).sum(axis=0)
    else:
        nothing = [np.zeros(n)] * (n_columns - len(encoded))
        means = layout.means[first : first + n_columns]
        distances = [values - mean for values, mean in zip([*encoded, *nothing], means, strict=True)]
        for column in range(n_columns):
            spread = layout.spreads[first + column]
            inner = spread[column] * distances[column]
            for other in range(column + 1, n_columns):
                inner = inner + 2.0 * spread[other] * distances[other]
            squares = squares + distances[column] * inner
    return is_certain(away[0], squares, agreeing, n_draws, layout)


def _compute_refitting(log_odds: FloatArray) -> FloatArray:
    if len(log_odds) == 1:
        return np.full(log_odds.shape[1], np.nan)
    total = np.zeros(log_odds.shape[1])
    for drawn in log_odds[1:]:
        distance = drawn - log_odds[0]
        total = total + distance * distance
    return np.asarray(total / (len(log_odds) - 1))


def score_numbers(numbers: FloatArray, layout: Layout) -> tuple[FloatArray, BoolArray, npt.NDArray[np.uint64]]:
    """Compute standard scores, 0 where a number is unknown; where that is; and a bit for each number that is far."""
    scores = (numbers - layout.centres[:, None]) * layout.rates[:, None]
    unknown = np.isnan(scores)
    scores = np.where(unknown, 0.0, scores)
    bits = (np.abs(scores) > FARTHEST_SCORE).astype(np.uint64) << np.arange(len(scores), dtype=np.uint64)[:, None]
    return scores, unknown, np.bitwise_or.reduce(bits, axis=0) if len(bits) else np.zeros(numbers.shape[1], np.uint64)


def square_distance(scores: FloatArray, precision: FloatArray) -> FloatArray:
    """Square the distance of all numbers together from the training cohort; every sum is made in order."""
    if len(scores) > 0 and scores.shape[1] <= FEW_ROWS:
        inner = np.add.accumulate(precision[:, :, None] * scores[:, None, :], axis=0)[-1]
        return np.asarray(np.add.accumulate(inner * scores, axis=0)[-1])
    total = np.zeros(scores.shape[1])
    for row in range(len(scores)):
        inner = np.zeros(len(total))
        for column in range(len(scores)):
            inner = inner + precision[column, row] * scores[column]
        total = total + inner * scores[row]
    return total


def _find_strongest(told: FloatArray, most: int, *, negated: bool = False) -> tuple[npt.NDArray[np.int16], FloatArray]:
    """Find the largest contributions above 0; of equal ones the first, or the last where signs are turned."""
    n_terms, n = told.shape
    terms, sizes = np.full((n, most), -1, dtype=np.int16), np.zeros((n, most))
    order = np.argsort(-told[::-1] if negated else -told, axis=0, kind="stable")[:most]
    order = n_terms - 1 - order if negated else order
    found = np.take_along_axis(told, order, axis=0)
    kept = found > 0.0
    terms[:, : len(order)] = np.where(kept, order, -1).T
    sizes[:, : len(order)] = np.where(kept, -found if negated else found, 0.0).T
    return terms, sizes
