"""The course after the procedure: whether each outcome is reached, from its exact probability, then what is measured.

One persistent process lies behind all: a Gaussian copula over outcomes and months. Its normal scores z are turned into
logistic scores w, so that ``w < log odds`` has exactly the probability of the outcome; the margin ``log odds - w`` then
sets the value that is measured, which always lies on the side of the threshold that the outcome says.
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
"""Outcomes with a process of their own; 30 % relief is asked of that of the pain response."""

_REACH = 8.0
_CELLS = 1 << 14


class Course(NamedTuple):
    """What happens to episodes that received one option.

    Parameters
    ----------
    margins : mapping of str to ndarray of shape (n, n_months)
        Log odds minus logistic score of each outcome; the outcome is reached where it is 0 or more.
    measures : mapping of str to ndarray of shape (n, n_months)
        Values at the visits, by column. NRS scores are in tenths of a point.
    """

    margins: Mapping[str, Float]
    measures: Mapping[str, Float]

    @property
    def responded(self) -> Truths:
        """Tell where the pain response is reached."""
        return np.asarray(self.margins[PAIN] >= 0)


def _tabulate_logistic() -> tuple[Float, Float]:
    edges = np.linspace(-_REACH, _REACH, _CELLS + 1)
    logistic = log_ndtr(edges) - log_ndtr(-edges)
    return logistic[:-1].astype(np.float32), np.diff(logistic).astype(np.float32)


_LOGISTIC = _tabulate_logistic()


def make_logistic(normal: Float) -> Float:
    """Turn standard normal scores into standard logistic ones, order kept.

    The function is tabulated in 16384 cells from -8 to 8 and linear in each; probabilities move by less than 1e-7.

    Returns
    -------
    ndarray of the same shape
    """
    place = normal + np.float32(_REACH)
    place *= np.float32(_CELLS / (2 * _REACH))
    place.clip(0, np.float32(_CELLS) - np.float32(0.01), out=place)
    cell = place.astype(np.int32)
    place -= cell
    place *= _LOGISTIC[1][cell]
    place += _LOGISTIC[0][cell]
    return place


def draw_processes(
    n: int, months: Sequence[float], outcomes: Sequence[str], assumptions: Assumptions, rng: np.random.Generator
) -> Float:
    """Draw the normal scores of each outcome at each month.

    Between two months they correlate by ``response_persistence`` to the power of the number of doublings between them
    (a first-order autoregression in log time); the process of an outcome correlates with that of the pain response at
    the same month as its link says, and with another one by the product.

    Parameters
    ----------
    n : int
        Number of episodes.
    months : sequence of float
        Increasing months.
    outcomes : sequence of str
        Outcomes wanted, of those in ``PROCESSES``; the pain response first.
    assumptions : Assumptions
        Persistence and links.
    rng : Generator
        Stream of this mechanism.

    Returns
    -------
    ndarray of shape (n_outcomes, n, n_months)
    """
    drawn = rng.standard_normal((n, len(outcomes), len(months)), dtype=np.float32)
    scores = np.ascontiguousarray(drawn.swapaxes(0, 1))
    kept = (assumptions.response_persistence ** np.diff(np.log2(months))).astype(np.float32)
    scores[:, :, 1:] *= np.sqrt(1 - kept * kept)
    for place, correlation in enumerate(kept):
        scores[:, :, place + 1] += correlation * scores[:, :, place]
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
    """Follow episodes over the months of their curve.

    Parameters
    ----------
    model : OutcomeModels
        Of the option received.
    effects, shared : ndarray of shape (n,)
        Parts of the log odds.
    before : dict of str to ndarray of shape (n,)
        Columns before the procedure.
    assumptions : Assumptions
        Persistence, links and courses.
    rng : Generator
        Stream of this mechanism.
    """
    outcomes = [name for name in PROCESSES if name in model.by_outcome]
    held = make_logistic(draw_processes(len(effects), model.months, outcomes, assumptions, rng))
    np.negative(held, out=held)
    for margin, outcome in zip(held, outcomes, strict=True):
        outcome_model = model.by_outcome[outcome]
        margin += (np.float32(outcome_model.strength) * effects + shared)[:, None]
        margin += outcome_model.intercepts.astype(np.float32)
    margins = dict(zip(outcomes, held, strict=True))
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
    """Read a course at margins: linear between its knots, level beyond them.

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
    """Give the NRS score of each visit in tenths of a point.

    It falls by at least half of the score before exactly for those who respond, and by at least 30 % exactly for those
    who reach that.

    Parameters
    ----------
    margin : ndarray of shape (n, n_months)
        Margin of the pain response.
    before : ndarray of shape (n,)
        Whole NRS score before the procedure.
    assumptions : Assumptions
        ``courses`` and ``response_30_shift``.
    """
    tenths = interpolate(margin, assumptions.courses["pain_relief"])
    np.subtract(1, tenths, out=tenths)
    tenths *= (10 * before)[:, None]
    np.rint(tenths, out=tenths)
    return np.clip(tenths, *bound_pain(margin, before, assumptions), out=tenths)


def bound_pain(margin: Float, before: Float, assumptions: Assumptions) -> tuple[Float, Float]:
    """Give the lowest and highest NRS score, in tenths, that agrees with the relief reached.

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
    """Give the ODI (or WOMAC) score of each visit.

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
    """Give the EQ-5D index of each visit in thousandths: a gain of 0.08 exactly for those who reach it.

    Returns
    -------
    ndarray of shape (n, n_months)
    """
    line = (np.rint(1000 * before) + 80)[:, None]
    value = np.rint(line + 1000 * interpolate(margin, knots))
    reached = margin >= 0
    return np.clip(value, np.where(reached, line, np.float32(-594)), np.where(reached, np.float32(1000), line - 1))


def score_dose(margin: Float, before: Float, knots: Knots) -> Float:
    """Give the opioid dose of each visit: lower by 30 % exactly for the users who reach it; others stay without.

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
    """Give the patient's global impression of change: 2 or better exactly for those who are satisfied.

    Returns
    -------
    ndarray of shape (n, n_months)
    """
    edges, grades = (np.array(part, dtype=np.float32) for part in knots)
    return np.asarray(np.append(grades, np.float32(1.0))[np.searchsorted(edges, margin, side="right")])
