"""Bring the answers for one patient in line: what is told of one outcome must not contradict what is told of another.

Models of different outcomes are fitted by themselves. Where their answers contradict each other, they are projected on
what is possible:

1. relief by 30 % is at least as probable as by 50 %: log odds that are the wrong way round are averaged, which is their
   nearest pair in order (isotonic regression [1]_);
2. relief beyond a month is at most as probable as a response at that month, among patients who are alive: of the two
   the response is told;
3. relief beyond a later month is at most as probable as beyond an earlier one: the earlier is told;
4. the median change is a fall by half, or by 30 %, exactly where that response has a probability of at least a half:
   the median is moved to the limit.

Each step leaves those before it in order. What is told is the answer of one model or the mean of two on the log odds,
so contributions add up to it as exactly as before. Responses at different months are not ordered.

References
----------
.. [1] Barlow RE, Brunk HD. The isotonic regression problem and its dual. J Am Stat Assoc 1972;67:140-7.
   doi:10.1080/01621459.1972.10481216
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.outcomes import OUTCOMES
from paincast.predictor import Answers

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

HALF, THIRD, CHANGE, DURATION = "pain_response", "pain_response_30", "pain_change", "relief_duration"

LIMITS = {name: float(OUTCOMES[name].lines[0].share or 0.0) for name in (HALF, THIRD)}
"""Fall of pain, as a share of the score before, that each response asks for."""

LINKED = {HALF: (THIRD,), THIRD: (HALF,), DURATION: (HALF, THIRD), CHANGE: (HALF, THIRD)}
"""By outcome, the others whose answers can change its own."""

IN_LINE = "brought in line with the answer for"
"""Beginning of the caution of an answer that was projected."""

_BEYOND = 1e-9
"""Distance in points from a limit that is not reached."""


def list_linked(outcomes: Sequence[str]) -> list[str]:
    """List the outcomes that are not among those given and whose answers can change theirs.

    With them, an answer is the same whichever other outcomes are asked for.

    Examples
    --------
    >>> list_linked(["relief_duration", "satisfied"])
    ['pain_response', 'pain_response_30']
    """
    linked = dict.fromkeys(other for outcome in outcomes for other in LINKED.get(outcome, ()))
    return [other for other in linked if other not in outcomes]


class Told(NamedTuple):
    """Numbers that a model tells of n patients: NaN where it tells none."""

    outcome: str
    month: float
    measures: tuple[str, ...]
    probability: FloatArray
    expected: FloatArray


def find_contradictions(told: Sequence[Told], before: FloatArray) -> BoolArray:
    """Find the patients for whom :func:`bring_in_line` would change an answer for one technique.

    Parameters
    ----------
    told : sequence of Told
        Numbers of all models that answer.
    before : ndarray of shape (n,)
        Score of pain before the procedure.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    found = np.zeros(len(before), dtype=bool)
    if len(told) < 2:
        return found
    for measures in {one.measures for one in told}:
        placed = {(one.outcome, one.month): one for one in told if one.measures == measures}
        months = sorted({month for _, month in placed})
        pairs = [((HALF, month), (THIRD, month)) for month in months]
        pairs += [((DURATION, month), (HALF, month)) for month in months]
        lasting = [month for month in months if (DURATION, month) in placed]
        pairs += [((DURATION, later), (DURATION, earlier)) for earlier, later in pairwise(lasting)]
        for lower, higher in pairs:
            if lower in placed and higher in placed:
                found |= placed[lower].probability > placed[higher].probability
        for month in months:
            for outcome, share in LIMITS.items():
                if (CHANGE, month) in placed and (outcome, month) in placed:
                    median, probability = placed[CHANGE, month].expected, placed[outcome, month].probability
                    too_high, too_low = _compare_median(median, probability, -share * before)
                    found |= too_high | too_low
    return found


def _compare_median(median: FloatArray, probability: FloatArray, limit: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Flag medians above a limit that is reached, and at or below one that is not."""
    return (probability >= 0.5) & (median > limit), (probability < 0.5) & (median <= limit)


def bring_in_line(answers: Sequence[Answers], before: pd.Series) -> list[Answers]:
    """Bring the answers for one technique in line with each other; those by different instruments are left apart.

    Parameters
    ----------
    answers : sequence of Answers
        Of the same patients, for any outcomes and months; outcomes that are not about pain stay as they are.
    before : Series of float, shape (n,)
        Score of pain before the procedure.

    Returns
    -------
    list of Answers
        In the same order.
    """
    by_instrument = {
        measures: iter(_align([one for one in answers if one.measures == measures], before))
        for measures in {one.measures for one in answers}
    }
    return [next(by_instrument[one.measures]) for one in answers]


def _align(answers: Sequence[Answers], before: pd.Series) -> list[Answers]:
    placed = {(one.outcome, one.month): one for one in answers}
    months = sorted({one.month for one in answers})
    for month in months:
        _order_responses(placed, month)
        _bound_duration(placed, month)
    _order_durations(placed, [month for month in months if (DURATION, month) in placed])
    for month in months:
        _move_median(placed, month, before.to_numpy(float, na_value=np.nan))
    return [placed[one.outcome, one.month] for one in answers]


Placed = dict[tuple[str, float], Answers]
"""Answers by outcome and month."""


def _order_responses(placed: Placed, month: float) -> None:
    half, third = placed.get((HALF, month)), placed.get((THIRD, month))
    if half is None or third is None:
        return
    where = _is_above(half, third)
    placed[HALF, month] = half.mix(third, where, 0.5).caution(where, f"{IN_LINE} {THIRD}")
    placed[THIRD, month] = third.mix(half, where, 0.5).caution(where, f"{IN_LINE} {HALF}")


def _bound_duration(placed: Placed, month: float) -> None:
    duration, half = placed.get((DURATION, month)), placed.get((HALF, month))
    if duration is not None and half is not None:
        placed[DURATION, month] = _replace_duration(duration, half, f"{IN_LINE} {HALF}")


def _order_durations(placed: Placed, months: Sequence[float]) -> None:
    for earlier, later in pairwise(months):
        told = f"{IN_LINE} month {earlier:g}"
        placed[DURATION, later] = _replace_duration(placed[DURATION, later], placed[DURATION, earlier], told)


def _replace_duration(duration: Answers, other: Answers, told: str) -> Answers:
    """Tell the other answer where it is lower; a median beyond the month is then at most the month."""
    where = _is_above(duration, other)
    told_instead = duration.mix(other, where, 1.0).caution(where, told)
    numbers = told_instead.numbers.copy()
    late = where & (numbers["probability"] <= 0.5).to_numpy() & ~(numbers["expected"] <= duration.month).to_numpy()
    numbers.loc[late, "expected"] = duration.month
    return replace(told_instead, numbers=numbers)


def _is_above(one: Answers, other: Answers) -> BoolArray:
    """Flag the patients whose probability is higher by one model than by the other; False without both answers."""
    return np.asarray(one.numbers["probability"].to_numpy(float) > other.numbers["probability"].to_numpy(float))


def _move_median(placed: Placed, month: float, before: npt.NDArray[np.float64]) -> None:
    change = placed.get((CHANGE, month))
    if change is None:
        return
    for outcome, share in LIMITS.items():
        response = placed.get((outcome, month))
        if response is None:
            continue
        probability, limit = response.numbers["probability"].to_numpy(float), -share * before
        median = change.numbers["expected"].to_numpy(float)
        too_high, too_low = _compare_median(median, probability, limit)
        moved = np.select([too_high, too_low], [limit, limit + _BEYOND], median)
        change = change.move(moved, "pain_nrs").caution(too_high | too_low, f"{IN_LINE} {outcome}")
    placed[CHANGE, month] = change
