"""A linear model with its draws, laid out for scoring: a plan in words of variables, and the same as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Term:
    """What one variable adds to the log odds of the served model and its draws.

    Parameters
    ----------
    name : str
        Column of ``episodes``.
    levels : tuple of str
        Levels of a category or yes/no; empty for a number.
    words : tuple of str
        How each level is written in a reason.
    table : ndarray of shape (n_levels + 2, n_models)
        What each level adds, then what a missing value and an unknown level add; empty for a number.
    log_scale : bool
        Whether a number enters as log(1 + number).
    centre, scale : float
        Of the standard score of a number.
    knots : tuple of float
        Of a restricted cubic spline; empty for a straight line.
    bends : tuple of tuple of float
        Mean and standard deviation of each nonlinear term.
    marks_zero, marks_missing : bool
        Whether 0, and a missing number, have an indicator.
    coefficients : ndarray of shape (n_columns, n_models)
        Of a number's columns: score, bends, indicators.
    means : ndarray of shape (n_columns,)
        Reference of a number's contribution.
    missing_variance : float
        Variance that is added where the value is missing.
    """

    name: str
    levels: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    table: FloatArray
    log_scale: bool = False
    centre: float = 0.0
    scale: float = 1.0
    knots: tuple[float, ...] = ()
    bends: tuple[tuple[float, float], ...] = ()
    marks_zero: bool = False
    marks_missing: bool = False
    coefficients: FloatArray
    means: FloatArray
    missing_variance: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearPlan:
    """A linear model and its draws, laid out for scoring.

    Parameters
    ----------
    terms : tuple of Term
        In the order of the encoder.
    intercepts : ndarray of shape (n_models,)
        Of the served model, and of each draw.
    references : ndarray of shape (n_terms, n_models)
        What each variable adds for the reference patient.
    effect_weight : float
        Degree to which recorded values are believed to matter; 1 without a prior.
    least_certainty : float
        Least probability of the sign of a contribution that is told.
    reach : float
        Standard deviations that correspond to it.
    precision : ndarray of shape (n_numbers, n_numbers)
        Of the standard scores of the training cohort.
    shows_reasons : bool
        Whether any contribution is told.
    """

    terms: tuple[Term, ...]
    intercepts: FloatArray
    references: FloatArray
    effect_weight: float
    least_certainty: float
    reach: float
    precision: FloatArray
    shows_reasons: bool

    @cached_property
    def layout(self) -> Layout:
        """The plan as arrays."""
        return lay_out(self)

    @cached_property
    def stacked(self) -> Stacked:
        """The numbers of the plan with as many columns each."""
        return stack(self.layout)

    @cached_property
    def served_stacked(self) -> Stacked:
        """The numbers of the served model alone."""
        return stack(self.served_layout)

    @cached_property
    def served_layout(self) -> Layout:
        """The served model alone as arrays, without its draws."""
        layout = self.layout
        return layout._replace(
            coefficients=np.ascontiguousarray(layout.coefficients[:, :1]),
            tables=np.ascontiguousarray(layout.tables[:, :1]),
            intercepts=layout.intercepts[:1],
            references=np.ascontiguousarray(layout.references[:, :1]),
        )


class Layout(NamedTuple):
    """A plan as arrays.

    The columns of a number (score, bends, indicators of 0 and of a missing value) follow each other, and so do the
    levels of a coded variable.

    Parameters
    ----------
    number_terms, coded_terms : ndarray of int
        Terms of the numbers, and of the coded variables.
    centres, rates : ndarray of shape (n_numbers,)
        A standard score is (number - centre) * rate.
    columns : ndarray of int, shape (n_numbers, 4)
        First column of each number, its number of bends and of columns, and its indicator of 0 (-1 for none).
    last_knots : ndarray of shape (n_numbers, 2)
        The last knot but one, and the last.
    bends : ndarray of shape (n_columns, 5)
        Of a bend: knot, what it takes of the cubes above the last two knots, gain and shift.
    coefficients : ndarray of shape (n_columns, n_models)
    means : ndarray of shape (n_columns,)
        Reference of each column.
    spreads : ndarray of shape (n_columns, MOST_COLUMNS)
        Products of the distances of draws from the served coefficients of a number, summed over draws.
    missing_rows : ndarray of int, shape (n_numbers,)
        Row of ``tables`` of a missing number.
    missing_codes, starts : ndarray of int, shape (n_coded,)
        Code of a missing value, and first row of ``tables``.
    tables : ndarray of shape (n_rows, n_models)
        What values add.
    certain : ndarray of bool, shape (n_rows,)
        Whether the sign of what a level contributes is certain.
    missing_variances : ndarray of shape (n_terms,)
    intercepts : ndarray of shape (n_models,)
    references : ndarray of shape (n_terms, n_models)
    precision : ndarray of shape (n_numbers, n_numbers)
    effect_weight, least_certainty, reach : float
        As in the plan.
    """

    number_terms: IntArray
    coded_terms: IntArray
    centres: FloatArray
    rates: FloatArray
    columns: IntArray
    last_knots: FloatArray
    bends: FloatArray
    coefficients: FloatArray
    means: FloatArray
    spreads: FloatArray
    missing_rows: IntArray
    missing_codes: IntArray
    starts: IntArray
    tables: FloatArray
    certain: BoolArray
    missing_variances: FloatArray
    intercepts: FloatArray
    references: FloatArray
    precision: FloatArray
    effect_weight: float
    least_certainty: float
    reach: float


class Stacked(NamedTuple):
    """The numbers of a layout with as many columns each; what a number lacks is 0.

    Parameters
    ----------
    layout : Layout
        Of which they are.
    coefficients : ndarray of shape (n_numbers, MOST_COLUMNS, n_models)
    means : ndarray of shape (n_numbers, MOST_COLUMNS)
    spreads : ndarray of shape (n_numbers, MOST_COLUMNS, MOST_COLUMNS)
    is_bent : ndarray of bool, shape (n_numbers, 1)
        Numbers that are no straight line.
    bends : tuple of ndarray of shape (5, n_numbers, 1)
        As in the layout, for each bend.
    zeros, zero_columns : ndarray of int
        Numbers with an indicator of 0, and its column.
    """

    layout: Layout
    coefficients: FloatArray
    means: FloatArray
    spreads: FloatArray
    is_bent: BoolArray
    bends: tuple[FloatArray, ...]
    zeros: IntArray
    zero_columns: IntArray


N_BENDS = 2
"""Bends of a number that is not a straight line: its spline has four knots."""
MOST_COLUMNS = N_BENDS + 3
"""Most columns of a number: score, bends, indicators of 0 and of a missing value."""


def lay_out(plan: LinearPlan) -> Layout:
    """Lay a plan out as arrays."""
    n_models = len(plan.intercepts)
    numbers = [(place, term) for place, term in enumerate(plan.terms) if not term.levels]
    coded = [(place, term) for place, term in enumerate(plan.terms) if term.levels]
    firsts = np.cumsum([0, *(len(term.means) for _, term in numbers)], dtype=np.int64)
    tables = [term.table for _, term in coded]
    starts = np.cumsum([0, *map(len, tables)], dtype=np.int64)
    certain = [_find_certain_levels(plan, place) for place, _ in coded]
    n_columns = int(firsts[-1])
    layout = Layout(
        number_terms=np.array([place for place, _ in numbers], dtype=np.int64),
        coded_terms=np.array([place for place, _ in coded], dtype=np.int64),
        centres=np.array([term.centre for _, term in numbers], dtype=float),
        rates=np.array([1.0 / term.scale for _, term in numbers], dtype=float),
        columns=np.array(
            [_place_columns(int(first), term) for first, (_, term) in zip(firsts, numbers, strict=False)],
            dtype=np.int64,
        ).reshape(-1, 4),
        last_knots=np.array([term.knots[-2:] or (0.0, 0.0) for _, term in numbers], dtype=float).reshape(-1, 2),
        bends=np.concatenate([np.zeros((0, 5)), *(_shape_bends(term) for _, term in numbers)]),
        coefficients=np.concatenate([np.zeros((0, n_models)), *(term.coefficients for _, term in numbers)]),
        means=np.concatenate([np.zeros(0), *(term.means for _, term in numbers)]),
        spreads=np.concatenate([np.zeros((0, MOST_COLUMNS)), *(_spread_draws(term) for _, term in numbers)]),
        missing_rows=starts[-1] + np.arange(len(numbers)),
        missing_codes=np.array([len(term.levels) for _, term in coded], dtype=np.int64),
        starts=starts[:-1],
        tables=np.concatenate([np.zeros((0, n_models)), *tables, np.zeros((len(numbers), n_models))]),
        certain=np.concatenate([*certain, np.zeros(len(numbers), dtype=np.bool_)]).astype(np.bool_),
        missing_variances=np.array([term.missing_variance for term in plan.terms], dtype=float),
        intercepts=plan.intercepts,
        references=plan.references,
        precision=np.ascontiguousarray(plan.precision, dtype=float).reshape(len(numbers), len(numbers)),
        effect_weight=plan.effect_weight,
        least_certainty=plan.least_certainty,
        reach=plan.reach,
    )
    assert len(layout.coefficients) == n_columns
    nothing, stacked = np.zeros((len(numbers), 1)), stack(layout)
    usual_parts = add_up(stacked, encode_numbers(stacked, nothing - 1.0, nothing))[:, 0]
    for place, (_, term) in enumerate(numbers):
        usual = usual_parts[place]
        layout.tables[layout.missing_rows[place]] = usual + term.coefficients[-1] if term.marks_missing else usual
    return layout


def _place_columns(first: int, term: Term) -> tuple[int, int, int, int]:
    zero = first + 1 + len(term.bends) if term.marks_zero else -1
    return first, len(term.bends), len(term.means), zero


def _shape_bends(term: Term) -> FloatArray:
    """Give each bend its knot, what it takes of the cubes above the last two knots, gain and shift."""
    shaped = np.zeros((len(term.means), 5))
    for column, (mean, spread) in enumerate(term.bends, start=1):
        knot, before, last = term.knots[column - 1], term.knots[-2], term.knots[-1]
        width = (last - term.knots[0]) * (last - term.knots[0])
        takes = (last - knot) / (last - before), (before - knot) / (last - before)
        shaped[column] = knot, *takes, 1.0 / (width * spread), mean / spread
    return shaped


def _spread_draws(term: Term) -> FloatArray:
    away = term.coefficients[:, 1:] - term.coefficients[:, :1]
    spread = np.zeros((len(away), MOST_COLUMNS))
    spread[:, : len(away)] = np.einsum("ik,jk->ij", away, away)
    return spread


def _find_certain_levels(plan: LinearPlan, place: int) -> BoolArray:
    """Flag the levels of a term whose contribution has a certain sign."""
    away = plan.terms[place].table - plan.references[place]
    served, drawn = away[:, 0], away[:, 1:]
    agreeing = (np.sign(drawn) == np.sign(served)[:, None]).sum(axis=1)
    squares = ((drawn - served[:, None]) ** 2).sum(axis=1)
    return is_certain(served, squares, agreeing, drawn.shape[1], plan)


def is_certain(
    served: FloatArray, squares: FloatArray, agreeing: npt.NDArray[np.integer], n_draws: int, plan: LinearPlan | Layout
) -> BoolArray:
    """Flag contributions whose sign is certain enough; see :func:`paincast.explain.find_certain`.

    Parameters
    ----------
    served : ndarray of shape (n,)
        Contributions by the served model.
    squares : ndarray of shape (n,)
        Squared distances of those by the draws, summed.
    agreeing : ndarray of int, shape (n,)
        Number of draws with the same sign.
    n_draws : int
        Number of draws.
    plan : LinearPlan or Layout
        Beliefs of the model.
    """
    weight = plan.effect_weight
    if weight == 1.0:
        return np.asarray(agreeing >= plan.least_certainty * n_draws)
    expected = served / weight
    variance = (squares / n_draws - weight * (1.0 - weight) * expected * expected) / weight
    least = plan.reach * plan.reach * np.maximum(variance, 0.0)
    return np.asarray((served != 0.0) & (expected * expected >= least))


def stack(layout: Layout) -> Stacked:
    """Give all numbers of a layout as many columns."""
    firsts, counts = layout.columns[:, 0], layout.columns[:, 2]
    within = np.arange(MOST_COLUMNS)
    is_there = within < counts[:, None]
    rows = np.where(is_there, firsts[:, None] + within, 0)
    zeros = np.flatnonzero(layout.columns[:, 3] >= 0)
    taken = [np.where(is_there, rows, 0)[:, bend] for bend in range(1, N_BENDS + 1)]
    is_bent = layout.columns[:, 1] > 0
    return Stacked(
        layout=layout,
        coefficients=_fill(layout.coefficients, rows, is_there[:, :, None]),
        means=_fill(layout.means, rows, is_there),
        spreads=_fill(layout.spreads, rows, is_there[:, :, None]),
        is_bent=is_bent[:, None],
        bends=tuple(_fill(layout.bends, row, is_bent[:, None]).T[:, :, None] for row in taken),
        zeros=zeros,
        zero_columns=layout.columns[zeros, 3] - firsts[zeros],
    )


def _fill(values: FloatArray, rows: IntArray, is_there: BoolArray) -> FloatArray:
    """Take rows, with 0 where there is none."""
    if not len(values):
        return np.zeros((*rows.shape, *values.shape[1:]))
    return np.ascontiguousarray(np.where(is_there, values[rows], 0.0))


def encode_numbers(stacked: Stacked, numbers: FloatArray, scores: FloatArray) -> FloatArray:
    """Make the columns of numbers, shape (n_numbers, MOST_COLUMNS, n), from standard scores without missing values."""
    encoded = np.zeros((len(scores), MOST_COLUMNS, scores.shape[1]))
    encoded[:, 0] = scores
    if stacked.is_bent.any():
        above_before, above_last = (_cube(scores, knots[:, None]) for knots in stacked.layout.last_knots.T)
        for column, (knot, takes_before, takes_last, gain, shift) in enumerate(stacked.bends, start=1):
            bent = _cube(scores, knot) - above_before * takes_before + above_last * takes_last
            encoded[:, column] = np.where(stacked.is_bent, bent * gain - shift, 0.0)
    if len(stacked.zeros):
        encoded[stacked.zeros, stacked.zero_columns] = numbers[stacked.zeros] == 0.0
    return encoded


def add_up(stacked: Stacked, encoded: FloatArray) -> FloatArray:
    """Add the columns of each number up, shape (n_numbers, n, n_models), without indicators of missing values."""
    parts = encoded[:, 0, :, None] * stacked.coefficients[:, 0, None]
    for column in range(1, MOST_COLUMNS - 1):
        parts = parts + encoded[:, column, :, None] * stacked.coefficients[:, column, None]
    return np.asarray(parts)


def _cube(scores: FloatArray, knots: FloatArray) -> FloatArray:
    above = np.maximum(scores - knots, 0.0)
    return above * above * above
