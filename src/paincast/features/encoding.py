"""The fitted encoding of episodes: what a bundle stores, and what answers by it; scikit-learn is not needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.errors import DataError
from paincast.files.serialization import from_plain, to_plain
from paincast.schema import Column
from paincast.statistics.splines import compute_spline

FloatArray = npt.NDArray[np.float64]

MISSING = "missing"
ZERO = "0"

PARAMETERS = ("native_missing", "minimum_observed", "minimum_missing", "splines")
"""Parameters of an encoder beside its contract."""


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


class FittedEncoder:
    """Encode episodes by what was learnt from others; parameters as for :class:`paincast.features.EpisodeEncoder`.

    Attributes
    ----------
    variables_ : tuple of EncodedVariable
        Fitted state, in the order of the data contract.
    unavailable_ : tuple of str
        Variables of the contract that were left out because too few values were recorded.
    """

    variables_: tuple[EncodedVariable, ...]
    unavailable_: tuple[str, ...]

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
        require_table(X)
        absent = [variable.name for variable in self.variables_ if variable.name not in X]
        if absent:
            raise DataError(
                f"columns missing from the episodes: {', '.join(absent)}; conform them to the contract first",
                code="PC-FEATURES-01",
            )
        blocks = [self._encode(variable, X[variable.name]) for variable in self.variables_ if variable.varies]
        return np.concatenate([np.empty((len(X), 0)), *blocks], axis=1)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:  # noqa: ARG002 (ditto)
        """Return the names of the matrix columns, for example ``age_years`` or ``approach=caudal``."""
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
                variable.name: as_level(X[variable.name]).notna() & ~as_level(X[variable.name]).isin(variable.levels)
                for variable in self.variables_
                if variable.levels
            },
            index=X.index,
        )

    def to_state(self) -> dict[str, Any]:
        """Return parameters and fitted state as plain data, without the contract."""
        return {
            "parameters": {name: getattr(self, name) for name in PARAMETERS},
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


def _bending_parts(variable: EncodedVariable, scores: FloatArray) -> list[FloatArray]:
    if not variable.knots:
        return []
    parts = compute_spline(scores, variable.knots).T
    return [(part - mean) / spread for part, (mean, spread) in zip(parts, variable.bends, strict=True)]


def require_table(X: object) -> None:
    """Refuse what is no table of episodes."""
    if not isinstance(X, pd.DataFrame):
        raise DataError(
            f"episodes must be a DataFrame with the columns of the contract, not {type(X).__name__}",
            code="PC-FEATURES-02",
        )


def as_level(values: pd.Series) -> pd.Series:
    """Convert categories and booleans to text; missing values stay missing."""
    if pd.api.types.is_bool_dtype(values):
        return values.astype("boolean").map({True: "true", False: "false"}).astype("str")
    return values.astype("str")
