"""Score patients by a linear model with numpy: the operations of :mod:`paincast.scoring.linear_compiled`, by term."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.scoring.layout import MOST_COLUMNS, Layout, Stacked, add_up, encode_numbers, is_certain

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

BLOCK_ROWS = 512
"""Rows that are scored together, which bounds the memory of what is computed for each draw."""

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


def score_plain(numbers: FloatArray, codes: npt.NDArray[np.int32], stacked: Stacked, most: int) -> Scored:
    """Score patients.

    Parameters
    ----------
    numbers : ndarray of shape (n_numbers, n)
        On their analysis scale; NaN where missing.
    codes : ndarray of shape (n_coded, n)
        Places of levels.
    stacked : Stacked
        The model.
    most : int
        Most contributions told in either direction.

    Returns
    -------
    tuple of ndarray
        The fields of :class:`paincast.scoring.linear.LinearScore`.
    """
    n = numbers.shape[1]
    blocks = [slice(first, first + BLOCK_ROWS) for first in range(0, max(n, 1), BLOCK_ROWS)]
    parts = [_score_block(numbers[:, rows], codes[:, rows], stacked, most) for rows in blocks]
    return parts[0] if len(parts) == 1 else tuple(map(np.concatenate, zip(*parts, strict=True)))  # type: ignore[return-value]


def _score_block(numbers: FloatArray, codes: npt.NDArray[np.int32], stacked: Stacked, most: int) -> Scored:
    """Score some patients, all terms at once: what each adds is added up in their order."""
    layout, n = stacked.layout, numbers.shape[1]
    scores, unknown, far = score_numbers(numbers, layout)
    encoded = encode_numbers(stacked, numbers, scores)
    parts = np.where(unknown[:, :, None], layout.tables[layout.missing_rows][:, None], add_up(stacked, encoded))
    rows = layout.starts[:, None] + codes
    coded, not_coded = layout.tables[rows], codes == layout.missing_codes[:, None]
    log_odds = _sum_in_order(np.tile(layout.intercepts, (n, 1)), parts, coded)
    order, is_unknown = np.concatenate([layout.number_terms, layout.coded_terms]), np.concatenate([unknown, not_coded])
    variances = np.where(is_unknown, layout.missing_variances[order][:, None], 0.0)
    told = np.zeros((len(order), n))
    if most:
        away = parts - layout.references[layout.number_terms][:, None]
        certain = np.concatenate([_find_certain(stacked, encoded, away), layout.certain[rows]])
        served = np.concatenate([parts[:, :, 0], coded[:, :, 0]]) - layout.references[order, 0][:, None]
        told[order] = np.where(certain & ~is_unknown, served, 0.0)
    return (
        log_odds[:, 0].copy(),
        _compute_refitting(log_odds),
        _sum_in_order(np.zeros(n), variances),
        far,
        square_distance(scores, layout.precision),
        *_find_strongest(told, most),
        *_find_strongest(-told, most, negated=True),
    )


def _sum_in_order(start: FloatArray, *summands: FloatArray) -> FloatArray:
    """Add to a start what stands along the first axis, one after the other."""
    if len(start) <= FEW_ROWS:
        return np.asarray(np.add.accumulate(np.concatenate([start[None], *summands]), axis=0)[-1])
    for added in summands:
        for one in added:
            start += one
    return start


def _find_certain(stacked: Stacked, encoded: FloatArray, away: FloatArray) -> BoolArray:
    """Flag the numbers whose contribution has a certain sign, shape (n_numbers, n)."""
    layout, served = stacked.layout, away[:, :, 0]
    agreeing, squares = np.zeros(served.shape, dtype=np.int64), np.zeros(served.shape)
    if layout.effect_weight == 1.0:
        agreeing = (np.sign(away[:, :, 1:]) == np.sign(served)[:, :, None]).sum(axis=2)
    else:
        distances = encoded - stacked.means[:, :, None]
        for column in range(MOST_COLUMNS):
            inner = stacked.spreads[:, column, column, None] * distances[:, column]
            for other in range(column + 1, MOST_COLUMNS):
                inner = inner + 2.0 * stacked.spreads[:, column, other, None] * distances[:, other]
            squares = squares + distances[:, column] * inner
    return is_certain(served, squares, agreeing, away.shape[2] - 1, layout)


def _compute_refitting(log_odds: FloatArray) -> FloatArray:
    if log_odds.shape[1] == 1:
        return np.full(len(log_odds), np.nan)
    distances = (log_odds[:, 1:] - log_odds[:, :1]).T
    return _sum_in_order(np.zeros(len(log_odds)), distances * distances) / len(distances)


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
