"""Models of log odds, linear and other, with what each variable contributes to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from paincast.scoring.kinds.encoding import Encoded

FloatArray = npt.NDArray[np.float64]

FEW_ROWS = 64
"""Most rows for which all linear models are scored at once: fewer calls, but larger arrays."""


class LogOdds(Protocol):
    """A model of log odds, as the core scores it."""

    def predict(self, encoded: Encoded) -> FloatArray:
        """Return the log odds, shape (n,)."""

    def contribute(self, encoded: Encoded) -> tuple[FloatArray, FloatArray]:
        """Return base, shape (n,), and contributions of variables, shape (n_variables, n), that add up to them."""


class Linear(NamedTuple):
    """A linear model: an intercept, coefficients of the columns, and the reference of contributions."""

    intercept: float
    coefficients: FloatArray
    means: FloatArray

    def predict(self, encoded: Encoded) -> FloatArray:
        """Return the log odds, shape (n,)."""
        added, part = np.zeros(len(encoded)), np.empty(len(encoded))
        for coefficient, column in zip(self.coefficients.tolist(), encoded.columns, strict=True):
            np.multiply(column, coefficient, out=part)
            added += part
        return self.intercept + added

    def contribute(self, encoded: Encoded) -> tuple[FloatArray, FloatArray]:
        """Return base, shape (n,), and contributions of variables, shape (n_variables, n)."""
        base = self.intercept + self.means @ self.coefficients
        total = np.zeros(encoded.known.shape)
        if encoded.compiled:
            from paincast.scoring.kinds.compiled import sum_columns

            sum_columns(encoded.columns, self.means, self.coefficients, encoded.encoding.firsts, total)
            return np.full(len(encoded), base), total
        away = np.empty(len(encoded))
        for part, term in zip(total, encoded.encoding.terms, strict=True):
            for place in range(term.start, term.stop):
                np.subtract(encoded.columns[place], self.means[place], out=away)
                away *= self.coefficients[place]
                part += away
        return np.full(len(encoded), base), total


class MatrixModel(Protocol):
    """A fitted model that works on rows of columns."""

    def linear_predictor(self, matrix: FloatArray) -> FloatArray:
        """Return the log odds, shape (n,)."""

    def contributions(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return base, shape (n,), and contributions of columns, shape (n, n_columns)."""


class ByRows(NamedTuple):
    """A model that has functions of its own, such as trees."""

    model: MatrixModel

    def predict(self, encoded: Encoded) -> FloatArray:
        """Return the log odds, shape (n,)."""
        return self.model.linear_predictor(encoded.matrix)

    def contribute(self, encoded: Encoded) -> tuple[FloatArray, FloatArray]:
        """Return base, shape (n,), and contributions of variables, shape (n_variables, n)."""
        base, values = self.model.contributions(encoded.matrix)
        return base, encoded.sum_terms(np.ascontiguousarray(values.T))


def add_up(parts: FloatArray) -> FloatArray:
    """Add up contributions, shape (n_variables, n), one after the other: a sum along an axis may pair them."""
    if 0 < parts.shape[1] <= FEW_ROWS and len(parts):
        return np.asarray(np.cumsum(parts, axis=0)[-1])
    total = np.zeros(parts.shape[1])
    for part in parts:
        total += part
    return total


def predict_each(models: Sequence[LogOdds], encoded: Encoded) -> Iterator[FloatArray]:
    """Yield the log odds, shape (n,), by each model; the same digits as :meth:`LogOdds.predict`."""
    linear = [model for model in models if isinstance(model, Linear)]
    if len(encoded) > FEW_ROWS or len(linear) < len(models) or not linear:
        yield from (model.predict(encoded) for model in models)
        return
    coefficients = np.array([model.coefficients for model in linear]).T[:, :, None]
    added = np.zeros((len(linear), len(encoded)))
    for coefficient, column in zip(coefficients, encoded.columns, strict=True):
        added += column * coefficient
    yield from (model.intercept + part for model, part in zip(linear, added, strict=True))


def contribute_each(models: Sequence[LogOdds], encoded: Encoded) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield base and contributions by each model; the same digits as :meth:`LogOdds.contribute`."""
    linear = [model for model in models if isinstance(model, Linear)]
    if len(encoded) > FEW_ROWS or len(linear) < len(models) or not linear:
        yield from (model.contribute(encoded) for model in models)
        return
    means = np.array([model.means for model in linear]).T[:, :, None]
    coefficients = np.array([model.coefficients for model in linear]).T[:, :, None]
    total = np.zeros((len(encoded.encoding.terms), len(linear), len(encoded)))
    for part, term in zip(total, encoded.encoding.terms, strict=True):
        for place in range(term.start, term.stop):
            part += (encoded.columns[place] - means[place]) * coefficients[place]
    for place, model in enumerate(linear):
        base = model.intercept + model.means @ model.coefficients
        yield np.full(len(encoded), base), np.ascontiguousarray(total[:, place])
