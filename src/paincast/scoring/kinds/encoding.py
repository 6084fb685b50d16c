"""Encode patients as the columns of a model, the same digits as the encoder with which the model was fitted."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from paincast.scoring.linear import COMPILED_FROM
from paincast.scoring.linear_plain import FARTHEST_SCORE
from paincast.scoring.patients import Patients

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

COMPILED = "paincast.scoring.kinds.compiled"


@dataclass(frozen=True, kw_only=True)
class Variable:
    """How one variable is encoded.

    Parameters
    ----------
    name : str
        Column of ``episodes``.
    kind : {"number", "boolean", "category"}
        How it is encoded.
    levels : tuple of str
        Levels of a category or yes/no; empty for a number.
    words : tuple of str
        How each level is written in a reason.
    shares : tuple of float
        Of the levels of a category: what stands for a missing one.
    centre, scale : float
        Of the standard score of a number; of a yes/no variable the centre stands for a missing value.
    log_scale : bool
        Whether a number enters as log(1 + number).
    knots : tuple of float
        Of a restricted cubic spline; empty for a straight line.
    bends : tuple of tuple of float
        Mean and standard deviation of each nonlinear term.
    marks_zero, marks_missing : bool
        Whether 0, and a missing value, have an indicator.
    """

    name: str
    kind: str
    levels: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    centre: float = 0.0
    scale: float = 1.0
    log_scale: bool = False
    knots: tuple[float, ...] = ()
    bends: tuple[tuple[float, float], ...] = ()
    marks_zero: bool = False
    marks_missing: bool = False

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        values = len(self.levels) if self.kind == "category" else 1 + len(self.bends)
        return values + self.marks_zero + self.marks_missing


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoding:
    """How patients are encoded, and what the training cohort was like.

    Parameters
    ----------
    variables : tuple of Variable
        In the order of the columns.
    native_missing : bool
        Whether missing values stay missing (for trees).
    domain_names : tuple of str
        Numbers that are compared with the training cohort.
    precision : ndarray of shape (n_names, n_names)
        Of their standard scores.
    missing_variances : mapping of str to float
        Variance that is added where a variable is missing.
    """

    variables: tuple[Variable, ...]
    native_missing: bool
    domain_names: tuple[str, ...]
    precision: FloatArray
    missing_variances: Mapping[str, float]

    @cached_property
    def firsts(self) -> npt.NDArray[np.int64]:
        """First column of each variable, and the number of columns."""
        return np.cumsum([0, *(variable.n_columns for variable in self.variables)], dtype=np.int64)

    @cached_property
    def terms(self) -> tuple[slice, ...]:
        """Columns of each variable."""
        return tuple(slice(first, last) for first, last in pairwise(self.firsts.tolist()))


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """Encoded patients, n of them.

    Parameters
    ----------
    encoding : Encoding
        How.
    columns : ndarray of shape (n_columns, n)
    known : ndarray of bool, shape (n_variables, n)
        Whether each variable has a value.
    missing : ndarray of shape (n,)
        Variance of missing values.
    far : ndarray of bool, shape (n_names, n)
        Whether each number is far from the training mean.
    squared_distance : ndarray of shape (n,)
        Of all numbers together.
    compiled : bool
        Whether draws are scored in machine code.
    """

    encoding: Encoding
    columns: FloatArray
    known: BoolArray
    missing: FloatArray
    far: BoolArray
    squared_distance: FloatArray
    compiled: bool

    def __len__(self) -> int:
        return len(self.missing)

    @cached_property
    def matrix(self) -> FloatArray:
        """The columns as a matrix of shape (n, n_columns), row by row in memory."""
        return np.ascontiguousarray(self.columns.T)

    def take(self, rows: slice) -> Encoded:
        """Select rows."""
        return replace(
            self,
            columns=np.ascontiguousarray(self.columns[:, rows]),
            known=self.known[:, rows],
            missing=self.missing[rows],
            far=self.far[:, rows],
            squared_distance=self.squared_distance[rows],
        )

    def sum_terms(self, values: FloatArray) -> FloatArray:
        """Sum values of the columns, shape (n_columns, n), over those of each variable, to shape (n_variables, n)."""
        total = np.zeros((len(self.encoding.terms), len(self)))
        for place, term in enumerate(self.encoding.terms):
            for column in values[term]:
                total[place] += column
        return total


def encode(encoding: Encoding, patients: Patients, *, compiled: bool | None = None) -> Encoded:
    """Encode patients.

    Parameters
    ----------
    encoding : Encoding
        How.
    patients : Patients
        Patients, n of them.
    compiled : bool, optional
        Whether draws are scored in machine code; by default for many rows, or where it is loaded.
    """
    n = len(patients)
    if compiled is None:
        compiled = n >= COMPILED_FROM or (n > 1 and COMPILED in sys.modules)
    columns, scores = [np.empty((0, n))], {}
    for variable in encoding.variables:
        values = _read_values(variable, patients, native_missing=encoding.native_missing)
        if variable.kind == "number":
            scores[variable.name] = values[0]
        if variable.marks_zero:
            values.append((patients.numbers(variable.name) == 0).astype(np.float64))
        if variable.marks_missing:
            values.append(patients.missing(variable.name).astype(np.float64))
        columns.append(np.array(values))
    compared = [np.nan_to_num(scores[name], nan=0.0) for name in encoding.domain_names]
    unknown = [patients.missing(variable.name) for variable in encoding.variables]
    missing = np.zeros(n)
    for name, variance in encoding.missing_variances.items():
        missing += variance * patients.missing(name).astype(np.float64)
    return Encoded(
        encoding=encoding,
        columns=np.concatenate(columns),
        known=~np.array(unknown, dtype=bool).reshape(len(unknown), n),
        missing=missing,
        far=np.array([np.abs(score) > FARTHEST_SCORE for score in compared], dtype=bool).reshape(len(compared), n),
        squared_distance=_square_distance(compared, encoding.precision, n),
        compiled=compiled,
    )


def _read_values(variable: Variable, patients: Patients, *, native_missing: bool) -> list[FloatArray]:
    """Read the columns of a variable, without indicators."""
    if variable.kind == "category":
        codes = patients.codes(variable.name, variable.levels)
        is_missing = codes == len(variable.levels)
        return [
            np.where(is_missing, np.nan if native_missing else share, (codes == place).astype(np.float64))
            for place, share in enumerate(variable.shares)
        ]
    numbers = patients.numbers(variable.name)
    if variable.kind == "boolean":
        return [numbers if native_missing else np.nan_to_num(numbers, nan=variable.centre)]
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = np.log1p(numbers) if variable.log_scale else numbers
    score = (scaled - variable.centre) / variable.scale
    score = score if native_missing else np.nan_to_num(score, nan=0.0)
    return [score, *_bend(variable, score)]


def _bend(variable: Variable, score: FloatArray) -> list[FloatArray]:
    """Compute the nonlinear terms of a restricted cubic spline, by the operations of the encoder."""
    if not variable.knots:
        return []
    last, before = variable.knots[-1], variable.knots[-2]
    cubes = {knot: np.maximum(score - knot, 0.0) ** 3 for knot in variable.knots}
    bent = []
    for knot, (mean, spread) in zip(variable.knots[:-2], variable.bends, strict=True):
        part = cubes[knot] - cubes[before] * (last - knot) / (last - before)
        part = (part + cubes[last] * (before - knot) / (last - before)) / (last - variable.knots[0]) ** 2
        bent.append((part - mean) / spread)
    return bent


def _square_distance(scores: list[FloatArray], precision: FloatArray, n: int) -> FloatArray:
    total = np.zeros(n)
    for row, score in enumerate(scores):
        inner = np.zeros(n)
        for column, other in enumerate(scores):
            inner += precision[column, row] * other
        total += inner * score
    return total
