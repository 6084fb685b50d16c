"""Encode episodes as a numeric matrix; the encoder is fitted only inside resampling.

The fitted state is a list of :class:`EncodedVariable` that a bundle stores as JSON, so predictions need no pickle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from paincast.contract import BUILT_IN, Contract
from paincast.errors import DataError
from paincast.files.serialization import from_plain, to_plain
from paincast.schema import MINIMUM_CELL, Column
from paincast.statistics.splines import compute_spline

FloatArray = npt.NDArray[np.float64]

MISSING = "missing"
ZERO = "0"
KNOT_QUANTILES = (0.05, 0.35, 0.65, 0.95)
"""Quantiles of the spline knots (Harrell, Regression Modeling Strategies, 2nd ed. 2015, section 2.4.6)."""

MINIMUM_ZEROS = 0.05
"""Minimum share of zeros for which an indicator column is added."""


@dataclass(frozen=True, kw_only=True)
class EncodedVariable:
    """Fitted encoding of a variable.

    Parameters
    ----------
    name : str
        Column of ``episodes``.
    kind : {"number", "boolean", "category"}
        How it is encoded.
    centre, scale : float
        Mean and standard deviation of a number (on the log scale if the column declares it); share of true values of a
        boolean.
    levels : tuple of str
        Levels of a category or boolean seen in training, the most frequent first.
    shares : tuple of float
        Their shares among the recorded values; a missing category is encoded as the average patient.
    marks_missing : bool
        Whether there is an indicator column for missing values.
    varies : bool
        Whether the variable had several values in training; if not, it adds no column and only its known levels are
        kept.
    knots : tuple of float
        Knots of a restricted cubic spline on the standardised scale; empty for a linear term.
    bends : tuple of tuple of float
        Mean and standard deviation in training of each nonlinear term of the spline.
    marks_zero : bool
        Whether there is an indicator column for 0, for example for the doses of non-users.
    """

    name: str
    kind: str
    centre: float = 0.0
    scale: float = 1.0
    levels: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    marks_missing: bool = False
    varies: bool = True
    knots: tuple[float, ...] = ()
    bends: tuple[tuple[float, float], ...] = ()
    marks_zero: bool = False

    @property
    def encoded_names(self) -> tuple[str, ...]:
        """Names of the matrix columns of this variable."""
        if not self.varies:
            return ()
        names = tuple(f"{self.name}={level}" for level in self.levels) if self.kind == "category" else (self.name,)
        bends = tuple(f"{self.name}~{number + 1}" for number in range(len(self.bends)))
        zero = (f"{self.name}={ZERO}",) if self.marks_zero else ()
        missing = (f"{self.name}={MISSING}",) if self.marks_missing else ()
        return (*names, *bends, *zero, *missing)

    @property
    def encoded_spreads(self) -> tuple[float, ...]:
        """Unit of each matrix column for a penalty: 1 standard deviation, or 0.5 for an indicator.

        Two standard deviations of a number are thus equivalent to yes versus no (Gelman 2008, doi:10.1002/sim.3107).
        """
        numeric = 1 + len(self.bends) if self.kind == "number" else 0
        return tuple(1.0 if position < numeric else 0.5 for position in range(len(self.encoded_names)))


class EpisodeEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
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

    def __init__(
        self,
        *,
        native_missing: bool = False,
        minimum_observed: float = 0.5,
        minimum_missing: int = 20,
        splines: bool = False,
        contract: Contract = BUILT_IN,
    ) -> None:
        self.native_missing = native_missing
        self.minimum_observed = minimum_observed
        self.minimum_missing = minimum_missing
        self.splines = splines
        self.contract = contract

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
        _require_table(X)
        candidates = [column for column in self.contract.model_columns if column.name in X]
        usable = [column for column in candidates if self._is_recorded(X[column.name])]
        self.variables_ = tuple(self._learn(column, X[column.name]) for column in usable)
        self.unavailable_ = tuple(column.name for column in candidates if column not in usable)
        return self

    def transform(self, X: pd.DataFrame) -> FloatArray:
        """Encode episodes.

        Parameters
        ----------
        X : DataFrame of shape (n_episodes, ...)
            Episodes; a category that did not occur in training is encoded as none of the levels, see
            :meth:`find_unseen`.

        Returns
        -------
        ndarray of shape (n_episodes, n_encoded)
        """
        check_is_fitted(self, "variables_")
        _require_table(X)
        absent = [variable.name for variable in self.variables_ if variable.name not in X]
        if absent:
            raise DataError(
                f"columns missing from the episodes: {', '.join(absent)}; conform them to the contract first",
                code="PC-FEATURES-01",
            )
        blocks = [self._encode(variable, X[variable.name]) for variable in self.variables_ if variable.varies]
        return np.concatenate([np.empty((len(X), 0)), *blocks], axis=1)

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

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:  # noqa: ARG002 (ditto)
        """Return the names of the matrix columns, for example ``age_years`` or ``approach=caudal``."""
        check_is_fitted(self, "variables_")
        return np.array([name for variable in self.variables_ for name in variable.encoded_names], dtype=object)

    @property
    def owners(self) -> tuple[str, ...]:
        """For each matrix column, the variable of the contract to which it belongs."""
        return tuple(variable.name for variable in self.variables_ for _ in variable.encoded_names)

    @property
    def flags(self) -> tuple[bool, ...]:
        """For each matrix column, whether it is an indicator, so that its mean is a share."""
        kinds = {variable.name: variable.kind for variable in self.variables_}
        names = self.get_feature_names_out()
        return tuple("=" in name or kinds[owner] == "boolean" for name, owner in zip(names, self.owners, strict=True))

    @property
    def spreads(self) -> FloatArray:
        """Unit of each matrix column for a penalty."""
        units = [unit for variable in self.variables_ for unit in variable.encoded_spreads]
        return np.array(units, dtype=float)

    def standard_scores(self, variable: EncodedVariable, values: pd.Series) -> FloatArray:
        """Compute the standard scores of a numeric variable relative to the training cohort; NaN if missing."""
        numbers = scale_number(self.contract.episodes[variable.name], values)
        return np.asarray((numbers - variable.centre) / variable.scale)

    def find_unseen(self, X: pd.DataFrame) -> pd.DataFrame:
        """Flag values that did not occur in training.

        Returns
        -------
        DataFrame of bool, shape (n_episodes, n_categories and constants)
            Missing values are never flagged.
        """
        return pd.DataFrame(
            {
                variable.name: _as_level(X[variable.name]).notna() & ~_as_level(X[variable.name]).isin(variable.levels)
                for variable in self.variables_
                if variable.levels
            },
            index=X.index,
        )

    def to_state(self) -> dict[str, Any]:
        """Return parameters and fitted state as plain data, without the contract."""
        return {
            "parameters": {name: value for name, value in self.get_params().items() if name != "contract"},
            "variables": to_plain(self.variables_),
            "unavailable": list(self.unavailable_),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build a fitted encoder from :meth:`to_state`, of the built-in contract until another is set."""
        encoder = cls(**state["parameters"])
        encoder.variables_ = from_plain(state["variables"], tuple[EncodedVariable, ...])
        encoder.unavailable_ = tuple(state["unavailable"])
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
            levels, shares = _order_levels(_as_level(values))
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

    def _encode(self, variable: EncodedVariable, values: pd.Series) -> FloatArray:
        if variable.kind == "category":
            levels = zip(variable.levels, variable.shares, strict=True)
            columns = [self._flag_level(values, *level) for level in levels]
        else:
            z = self._standardise(variable, values)
            columns = [z, *_bending_parts(variable, z)]
        if variable.marks_zero:
            columns.append(np.asarray((values == 0).to_numpy(float, na_value=0.0), dtype=float))
        if variable.marks_missing:
            columns.append(np.asarray(values.isna().to_numpy(float), dtype=float))
        return np.column_stack(columns)

    def _flag_level(self, values: pd.Series, level: str, share: float) -> FloatArray:
        flags = np.asarray((values == level).to_numpy(float), dtype=float)
        return np.where(values.isna().to_numpy(bool), np.nan if self.native_missing else share, flags)

    def _standardise(self, variable: EncodedVariable, values: pd.Series) -> FloatArray:
        if variable.kind == "boolean":
            numbers = np.asarray(values.astype("Float64").to_numpy(float, na_value=np.nan), dtype=float)
            return numbers if self.native_missing else np.nan_to_num(numbers, nan=variable.centre)
        z = self.standard_scores(variable, values)
        return z if self.native_missing else np.nan_to_num(z, nan=0.0)


def scale_number(column: Column, values: pd.Series) -> FloatArray:
    """Return the numbers of a column on its analysis scale: log(1 + value) for skewed columns."""
    numbers = np.asarray(values.to_numpy(float, na_value=np.nan), dtype=float)
    return np.log1p(numbers) if column.log_scale else numbers


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


def _bending_parts(variable: EncodedVariable, scores: FloatArray) -> list[FloatArray]:
    if not variable.knots:
        return []
    parts = compute_spline(scores, variable.knots).T
    return [(part - mean) / spread for part, (mean, spread) in zip(parts, variable.bends, strict=True)]


def _require_table(X: object) -> None:
    if not isinstance(X, pd.DataFrame):
        raise DataError(
            f"episodes must be a DataFrame with the columns of the contract, not {type(X).__name__}",
            code="PC-FEATURES-02",
        )


def _as_level(values: pd.Series) -> pd.Series:
    """Convert categories and booleans to text; missing values stay missing."""
    if pd.api.types.is_bool_dtype(values):
        return values.astype("boolean").map({True: "true", False: "false"}).astype("str")
    return values.astype("str")


def _add_levels(variable: EncodedVariable, values: pd.Series) -> EncodedVariable:
    counts = _as_level(values).value_counts()
    new = sorted(str(level) for level in counts.index[counts >= MINIMUM_CELL] if level not in variable.levels)
    return replace(variable, levels=(*variable.levels, *new), shares=(*variable.shares, *(0.0 for _ in new)))


def _order_levels(levels: pd.Series) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the levels in decreasing frequency, ties in alphabetical order, and their shares."""
    shares = levels.value_counts(normalize=True)
    ordered = sorted((str(level) for level in shares.index), key=lambda level: (-float(shares[level]), level))
    return tuple(ordered), tuple(float(shares[level]) for level in ordered)
