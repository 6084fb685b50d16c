"""Encode episodes as a numeric matrix; the encoder is fitted only inside resampling."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from paincast.features.encoding import EncodedVariable, FittedEncoder, FloatArray, as_level, require_table, scale_number
from paincast.schema import MINIMUM_CELL, Column
from paincast.statistics.splines import compute_spline

KNOT_QUANTILES = (0.05, 0.35, 0.65, 0.95)
"""Quantiles of the spline knots (Harrell, Regression Modeling Strategies, 2nd ed. 2015, section 2.4.6)."""

MINIMUM_ZEROS = 0.05
"""Minimum share of zeros for which an indicator column is added."""


class EpisodeEncoder(TransformerMixin, BaseEstimator, FittedEncoder):  # type: ignore[misc]
    """Encode episodes for a response model.

    Numbers are standardised (skewed numbers on the log scale), booleans become 0 or 1, categories a column per level.
    There is no reference level: it would differ between techniques, and a penalty would depend on it. Variables are
    left out if too few values were recorded.

    Parameters
    ----------
    native_missing : bool
        Leave missing numbers and booleans as NaN (for trees) instead of filling in the mean.
    minimum_observed : float
        Smallest share of recorded values for a variable to be used.
    minimum_missing : int
        Minimum number of missing values for which an indicator column is added.
    splines : bool
        Encode numbers as restricted cubic splines with four knots at quantiles of the training values, and add an
        indicator for frequent zeros.
    contract : Contract
        Declares the columns; a bundle keeps it beside the encoder.

    Attributes
    ----------
    variables_ : tuple of EncodedVariable
        Fitted state, in the order of the data contract.
    unavailable_ : tuple of str
        Variables of the contract that were left out because too few values were recorded.
    """

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:  # noqa: ARG002 (scikit-learn passes the outcome)
        """Learn levels, means and scales.

        Parameters
        ----------
        X : DataFrame of shape (n_episodes, ...)
            Episodes in the types of the contract; columns that are not model inputs are ignored.
        y : ignored

        Returns
        -------
        EpisodeEncoder
        """
        require_table(X)
        candidates = [column for column in self.contract.model_columns if column.name in X]
        usable = [column for column in candidates if self._is_recorded(X[column.name])]
        self.variables_ = tuple(self._learn(column, X[column.name]) for column in usable)
        self.unavailable_ = tuple(column.name for column in candidates if column not in usable)
        return self

    def transform(self, X: pd.DataFrame) -> FloatArray:
        """Encode episodes; see :meth:`FittedEncoder.transform`."""
        check_is_fitted(self, "variables_")
        return super().transform(X)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """Return the names of the matrix columns, for example ``age_years`` or ``approach=caudal``."""
        check_is_fitted(self, "variables_")
        return super().get_feature_names_out(input_features)

    def leave_missing(self) -> Self:
        """Return the encoder fitted to the same episodes without imputation and splines."""
        check_is_fitted(self, "variables_")
        encoder = type(self)(**{**self.get_params(), "native_missing": True, "splines": False})
        encoder.variables_ = tuple(
            replace(variable, marks_missing=False, marks_zero=False, knots=(), bends=()) for variable in self.variables_
        )
        encoder.unavailable_ = self.unavailable_
        return encoder

    def add_levels(self, X: pd.DataFrame) -> Self:
        """Return an encoder that also knows the categories of other episodes, if enough of these have them.

        Means, scales and shares stay as they are, so nothing of the other episodes but the names of categories of
        :data:`paincast.schema.MINIMUM_CELL` and more is kept.
        """
        encoder = type(self)(**self.get_params())
        encoder.unavailable_ = self.unavailable_
        encoder.variables_ = tuple(
            _add_levels(variable, X[variable.name]) if variable.kind == "category" and variable.varies else variable
            for variable in self.variables_
        )
        return encoder

    def add_recorded(self, X: pd.DataFrame) -> Self:
        """Return an encoder that also knows the variables that only other episodes have recorded.

        Means, scales and shares of these, and of these only, are those of the other episodes.
        """
        encoder = type(self)(**self.get_params()).fit(X[[name for name in self.unavailable_ if name in X]])
        added = {variable.name: variable for variable in encoder.variables_}
        encoder.variables_ = (*self.variables_, *added.values())
        encoder.unavailable_ = tuple(name for name in self.unavailable_ if name not in added)
        return encoder

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = True
        return tags

    def _is_recorded(self, values: pd.Series) -> bool:
        return bool(len(values)) and float(values.notna().mean()) >= self.minimum_observed

    def _learn(self, column: Column, values: pd.Series) -> EncodedVariable:
        many_missing = int(values.isna().sum()) >= self.minimum_missing
        if column.type in ("category", "boolean"):
            levels, shares = _order_levels(as_level(values))
            varies = len(levels) > 1
            boolean = column.type == "boolean"
            return EncodedVariable(
                name=column.name,
                kind=column.type,
                centre=float(values.astype(float).mean()) if boolean else 0.0,
                levels=levels,
                shares=shares,
                marks_missing=varies and many_missing and not self.native_missing,
                varies=varies,
            )
        numbers = scale_number(column, values)
        spread = float(np.nanstd(numbers))
        varies = spread > 1e-9
        straight = EncodedVariable(
            name=column.name,
            kind="number",
            centre=float(np.nanmean(numbers)),
            scale=spread if varies else 1.0,
            marks_missing=varies and many_missing and not self.native_missing,
            varies=varies,
        )
        return _add_splines(straight, values, numbers) if varies and self.splines else straight


def _add_splines(variable: EncodedVariable, values: pd.Series, numbers: FloatArray) -> EncodedVariable:
    """Add spline terms and a zero indicator to a number if the training values are sufficiently distinct."""
    is_recorded = values.notna().to_numpy(bool)
    zero = (values[is_recorded] == 0).to_numpy(bool)
    marks_zero = bool(MINIMUM_ZEROS <= zero.mean() <= 1.0 - MINIMUM_ZEROS)
    scores = (numbers[is_recorded] - variable.centre) / variable.scale
    knots = np.unique(np.quantile(scores[~zero] if marks_zero else scores, KNOT_QUANTILES).round(9))
    curved = replace(variable, marks_zero=marks_zero)
    if len(knots) < len(KNOT_QUANTILES):
        return curved
    parts = compute_spline(scores, tuple(knots))
    bends = tuple((float(part.mean()), float(part.std())) for part in parts.T)
    return replace(curved, knots=tuple(map(float, knots)), bends=bends) if min(b for _, b in bends) > 1e-9 else curved


def _add_levels(variable: EncodedVariable, values: pd.Series) -> EncodedVariable:
    counts = as_level(values).value_counts()
    new = sorted(str(level) for level in counts.index[counts >= MINIMUM_CELL] if level not in variable.levels)
    return replace(variable, levels=(*variable.levels, *new), shares=(*variable.shares, *(0.0 for _ in new)))


def _order_levels(levels: pd.Series) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the levels in decreasing frequency, ties in alphabetical order, and their shares."""
    shares = levels.value_counts(normalize=True)
    ordered = sorted((str(level) for level in shares.index), key=lambda level: (-float(shares[level]), level))
    return tuple(ordered), tuple(float(shares[level]) for level in ordered)
