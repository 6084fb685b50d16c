"""Simulate the course after the procedure: outcomes with their exact probabilities, then the measured values.

Outcomes and months are linked by a Gaussian copula. Its normal scores z are transformed into logistic scores w, so that
``w < log odds`` has exactly the probability of the outcome. The margin ``log odds - w`` determines the measured value,
which always lies on the side of the threshold that agrees with the outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr

from paincast.simulator.assumptions import Assumptions
from paincast.simulator.course.response import PAIN, OutcomeModels
from paincast.simulator.defaults import Knots
from paincast.simulator.population.marginals import Columns
from paincast.simulator.population.sites import Float, Truths

PROCESSES = (PAIN, "function_response", "quality_of_life_gain", "opioid_reduction", "satisfaction")
"""Outcomes with a separate process; 30 % relief uses the process of the pain response."""

_REACH = 8.0
_CELLS = 1 << 14


class Course(NamedTuple):
    """Simulated course of episodes that received an option.

    Parameters
    ----------
    margins : mapping of str to ndarray of shape (n, n_months)
        Log odds minus logistic score of each outcome; the outcome is reached where it is 0 or more.
    measures : mapping of str to ndarray of shape (n, n_months)
        Values at visits, by column. NRS scores are in tenths of a point.
    """

    margins: Mapping[str, Float]
    measures: Mapping[str, Float]

    @property
    def responded(self) -> Truths:
        """True where the pain response is reached."""
        return np.asarray(self.margins[PAIN] >= 0)


def _tabulate_logistic() -> tuple[Float, Float]:
    edges = np.linspace(-_REACH, _REACH, _CELLS + 1)
    logistic = log_ndtr(edges) - log_ndtr(-edges)
    return logistic[:-1].astype(np.float32), np.diff(logistic).astype(np.float32)


_LOGISTIC = _tabulate_logistic()


def make_logistic(normal: Float) -> Float:
    """Transform standard normal scores monotonically into standard logistic scores.

    The function is interpolated linearly in 16384 cells from -8 to 8; the error of probabilities is below 1e-7.

    Returns
    -------
    ndarray of the same shape
    """
    position = normal + np.float32(_REACH)
    position *= np.float32(_CELLS / (2 * _REACH))
    position.clip(0, np.float32(_CELLS) - np.float32(0.01), out=position)
    cell = position.astype(np.int32)
    position -= cell
    position *= _LOGISTIC[1][cell]
    position += _LOGISTIC[0][cell]
    return position


def draw_processes(
    n: int, months: Sequence[float], outcomes: Sequence[str], assumptions: Assumptions, rng: np.random.Generator
) -> Float:
    """Draw the normal scores of each outcome at each month.

    The correlation between two months is ``response_persistence`` to the power of the number of doublings between them
    (a first-order autoregression in log time). The correlation of an outcome with the pain response at the same month
    is that of its link; the correlation of two other outcomes is the product of theirs.

    Parameters
    ----------
    n : int
        Number of episodes.
    months : sequence of float
        Increasing months.
    outcomes : sequence of str
        Requested outcomes from ``PROCESSES``; the pain response first.
    assumptions : Assumptions
        Persistence and links.
    rng : Generator
        Random stream of this mechanism.

    Returns
    -------
    ndarray of shape (n_outcomes, n, n_months)
    """
    drawn = rng.standard_normal((n, len(outcomes), len(months)), dtype=np.float32)
    scores = np.ascontiguousarray(drawn.swapaxes(0, 1))
    persistence = (assumptions.response_persistence ** np.diff(np.log2(months))).astype(np.float32)
    scores[:, :, 1:] *= np.sqrt(1 - persistence * persistence)
    for month_index, correlation in enumerate(persistence):
        scores[:, :, month_index + 1] += correlation * scores[:, :, month_index]
    links = [assumptions.outcome_links[outcome].correlation for outcome in outcomes[1:]]
    linked = np.array(links, dtype=np.float32)[:, None, None]
    scores[1:] *= np.sqrt(1 - linked * linked)
    scores[1:] += linked * scores[0]
    return scores


def follow_course(
    model: OutcomeModels,
    effects: Float,
    shared: Float,
    before: Columns,
    assumptions: Assumptions,
    rng: np.random.Generator,
) -> Course:
    """Simulate episodes over the months of their response curve.

    Parameters
    ----------
    model : OutcomeModels
        Outcome models of the received option.
    effects, shared : ndarray of shape (n,)
        Parts of the log odds.
    before : dict of str to ndarray of shape (n,)
        Baseline columns.
    assumptions : Assumptions
        Persistence, links and courses.
    rng : Generator
        Random stream of this mechanism.
    """
    outcomes = [name for name in PROCESSES if name in model.by_outcome]
    margin_array = make_logistic(draw_processes(len(effects), model.months, outcomes, assumptions, rng))
    np.negative(margin_array, out=margin_array)
    for margin, outcome in zip(margin_array, outcomes, strict=True):
        outcome_model = model.by_outcome[outcome]
        margin += (np.float32(outcome_model.strength) * effects + shared)[:, None]
        margin += outcome_model.intercepts.astype(np.float32)
    margins = dict(zip(outcomes, margin_array, strict=True))
    return Course(margins=margins, measures=_measure(margins, before, assumptions))


def _measure(margins: Mapping[str, Float], before: Columns, assumptions: Assumptions) -> dict[str, Float]:
    courses = assumptions.courses
    measures = {"pain_nrs": score_pain(margins[PAIN], before["pain_nrs"], assumptions)}
    if "function_response" in margins:
        for name in ("odi", "womac"):
            if name in before:
                measures[name] = score_function(margins["function_response"], before[name], courses["odi_change"], name)
    if "quality_of_life_gain" in margins:
        measures["eq5d_index"] = score_quality(
            margins["quality_of_life_gain"], before["eq5d_index"], courses["eq5d_change"]
        )
    if "opioid_reduction" in margins:
        measures["opioid_mme"] = score_dose(
            margins["opioid_reduction"], before["opioid_mme"], courses["opioid_dose_factor"]
        )
    if "satisfaction" in margins:
        measures["pgic"] = grade_change(margins["satisfaction"], courses["pgic"])
    return measures


def interpolate(margin: Float, knots: Knots) -> Float:
    """Interpolate a course at margins: linear between knots, constant beyond them.

    Returns
    -------
    ndarray of the same shape
    """
    first, pieces = _cut_course(tuple(knots[0]), tuple(knots[1]))
    value = np.full(margin.shape, first, dtype=np.float32)
    for start, end, slope in pieces:
        part = margin.clip(start, end)
        part -= start
        part *= slope
        value += part
    return value


@cache
def _cut_course(at: tuple[float, ...], values: tuple[float, ...]) -> tuple[np.float32, list[tuple[np.float32, ...]]]:
    margins, levels = np.array(at, dtype=np.float32), np.array(values, dtype=np.float32)
    slopes = np.diff(levels) / np.diff(margins)
    return levels[0], list(zip(margins[:-1], margins[1:], slopes, strict=True))


def score_pain(margin: Float, before: Float, assumptions: Assumptions) -> Float:
    """Compute the NRS score of each visit in tenths of a point.

    It falls by at least half of the baseline score exactly for responders, and by at least 30 % exactly for those who
    reach 30 % relief.

    Parameters
    ----------
    margin : ndarray of shape (n, n_months)
        Margin of the pain response.
    before : ndarray of shape (n,)
        Baseline NRS score, an integer.
    assumptions : Assumptions
        ``courses`` and ``response_30_shift``.
    """
    tenths = interpolate(margin, assumptions.courses["pain_relief"])
    np.subtract(1, tenths, out=tenths)
    tenths *= (10 * before)[:, None]
    np.rint(tenths, out=tenths)
    return np.clip(tenths, *bound_pain(margin, before, assumptions), out=tenths)


def bound_pain(margin: Float, before: Float, assumptions: Assumptions) -> tuple[Float, Float]:
    """Compute the lowest and highest NRS score, in tenths, that is consistent with the relief reached.

    Returns
    -------
    lowest, highest : ndarray of shape (n, n_months)
    """
    half, less = (5 * before)[:, None], (7 * before)[:, None]
    half_met = margin >= 0
    less_met = margin >= np.float32(-assumptions.response_30_shift)
    lowest = np.where(half_met, np.float32(0), np.where(less_met, half + 1, less + 1))
    return lowest, np.where(half_met, half, np.where(less_met, less, np.float32(100)))


def score_function(margin: Float, before: Float, knots: Knots, name: str) -> Float:
    """Compute the ODI (or WOMAC) score of each visit.

    It falls by 10 points or by 30 % (WOMAC: by 30 %) exactly for those who reach the function response.

    Returns
    -------
    ndarray of shape (n, n_months)
    """
    step = np.float32(2.0 if name == "odi" else 1.0)
    line = np.float32(0.7) * before
    if name == "odi":
        line = np.maximum(line, before - 10)
    highest = (np.floor(line * (1 + np.float32(1e-6)) / step) * step)[:, None]
    value = line[:, None] + interpolate(margin, knots)
    value = np.rint(value / step) * step
    reached = margin >= 0
    lowest = np.where(reached, 0, highest + step)
    return np.asarray(np.clip(value, lowest, np.where(reached, highest, np.float32(100))))


def score_quality(margin: Float, before: Float, knots: Knots) -> Float:
    """Compute the EQ-5D index of each visit in thousandths: a gain of 0.08 exactly for those who reach the outcome.

    Returns
    -------
    ndarray of shape (n, n_months)
    """
    line = (np.rint(1000 * before) + 80)[:, None]
    value = np.rint(line + 1000 * interpolate(margin, knots))
    reached = margin >= 0
    return np.clip(value, np.where(reached, line, np.float32(-594)), np.where(reached, np.float32(1000), line - 1))


def score_dose(margin: Float, before: Float, knots: Knots) -> Float:
    """Compute the opioid dose of each visit: lower by 30 % exactly for users who reach it; 0 for non-users.

    Returns
    -------
    ndarray of shape (n, n_months)
    """
    dose = before[:, None]
    highest = np.floor(np.float32(0.7) * dose * (1 + np.float32(1e-6)))
    value = np.rint(dose * interpolate(margin, knots))
    reached = margin >= 0
    value = np.clip(value, np.where(reached, 0, highest + 1), np.where(reached, highest, np.float32(1600)))
    return np.asarray(value * (dose > 0))


def grade_change(margin: Float, knots: Knots) -> Float:
    """Compute the patient's global impression of change: 2 or better exactly for satisfied patients.

    Returns
    -------
    ndarray of shape (n, n_months)
    """
    edges, grades = (np.array(part, dtype=np.float32) for part in knots)
    return np.asarray(np.append(grades, np.float32(1.0))[np.searchsorted(edges, margin, side="right")])
