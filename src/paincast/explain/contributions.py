"""Compute contributions to a prediction, summed over the encoded columns of each clinical variable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.models.serialization import Response
from paincast.schema import Column

if TYPE_CHECKING:
    import shap

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Contributions that add up, with the base, to the log odds of the served probability, or to a change in points.

    Parameters
    ----------
    base : ndarray of shape (n,)
        Prediction before anything about the patient is known. If a calibration is applied after the model, its
        change of the patient's log odds belongs to no variable and is added to the base, which then differs between
        patients (:class:`paincast.models.calibration.calibrated.CalibratedModel`).
    contributions : DataFrame of shape (n, n_variables)
        Contribution of each variable, summed over its dummy and missing-indicator columns.
    values : DataFrame of shape (n, n_variables)
        The variables' values.
    unit : {"log_odds", "points"}
        Unit of base and contributions.
    sign : float
        Sign of contributions that favour the outcome; -1 if less is better, as for a change of pain.
    patients : ndarray of shape (n,), optional
        Patient of each row, so that groups are counted in patients; by default each row is a patient.
    contract : Contract
        Declares the variables: their labels and units.
    """

    base: FloatArray
    contributions: pd.DataFrame
    values: pd.DataFrame
    unit: str = "log_odds"
    sign: float = 1.0
    patients: npt.NDArray[np.object_] | None = None
    contract: Contract = BUILT_IN

    @property
    def patient_codes(self) -> npt.NDArray[np.intp]:
        """Patient numbers of the rows, from 0, shape (n,)."""
        if self.patients is None:
            return np.arange(len(self.base))
        return np.asarray(pd.factorize(self.patients)[0], dtype=np.intp)

    @property
    def served(self) -> FloatArray:
        """The prediction, shape (n,): the sum of base and contributions."""
        return np.asarray(self.base + self.contributions.to_numpy(dtype=float).sum(axis=1), dtype=float)

    def take(self, rows: npt.NDArray[np.bool_]) -> Explanation:
        """Select rows by a mask."""
        return replace(
            self,
            base=self.base[rows],
            contributions=self.contributions.iloc[rows],
            values=self.values.iloc[rows],
            patients=None if self.patients is None else self.patients[rows],
        )

    def to_shap(self) -> shap.Explanation:
        """Convert the contributions to the object that the plots of the shap package use.

        Returns
        -------
        shap.Explanation
            ``values`` and ``base_values`` in log odds, or in points; ``data`` as numbers, so that plots can use them
            as colours (yes is 1 and no is 0, categories are numbered from 0 in alphabetical order); ``display_data``
            as text.
        """
        import shap

        names = list(map(str, self.contributions.columns))
        columns = self.contract.episodes
        display = [[format_value(columns[name], value) for value in self.values[name]] for name in names]
        return shap.Explanation(
            values=self.contributions.to_numpy(dtype=float),
            base_values=np.asarray(self.base, dtype=float),
            data=np.column_stack([_to_numbers(self.values[name]) for name in names]),
            display_data=np.array(display, dtype=object).T,
            feature_names=[columns[name].display_name for name in names],
        )


def explain_model(response: Response, episodes: pd.DataFrame) -> Explanation:
    """Explain the predictions of a response model.

    Parameters
    ----------
    response : Response
        A fitted model.
    episodes : DataFrame of shape (n, ...)
        Episodes in the types of the contract.

    Returns
    -------
    Explanation

    References
    ----------
    Lundberg SM, Lee SI. NeurIPS 2017, doi:10.48550/arXiv.1705.07874.
    """
    base, encoded = response.contributions(episodes)
    variables = list(dict.fromkeys(response.encoder.owners))
    return Explanation(
        base=base,
        contributions=pd.DataFrame(sum_by_variable(response, encoded), index=episodes.index, columns=variables),
        values=episodes[variables].copy(),
        unit=response.unit,
        sign=response.sign,
        patients=episodes["patient_id"].to_numpy(object) if "patient_id" in episodes else None,
        contract=response.encoder.contract,
    )


def sum_by_variable(response: Response, encoded: FloatArray) -> FloatArray:
    """Sum contributions of encoded columns over the columns of each variable, to shape (n, n_variables)."""
    owners = np.array(response.encoder.owners, dtype=object)
    summed = [encoded[:, owners == name].sum(axis=1) for name in dict.fromkeys(response.encoder.owners)]
    return np.column_stack(summed) if summed else np.zeros((len(encoded), 0))


def _to_numbers(values: pd.Series) -> FloatArray:
    """Convert values to numbers, categories by alphabetical order; NaN where a value is missing."""
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(dtype=float, na_value=np.nan)
    codes, _ = pd.factorize(values, sort=True)
    return np.where(codes < 0, np.nan, codes.astype(float))


def compute_importance(explanation: Explanation) -> pd.DataFrame:
    """Rank variables by their mean absolute contribution.

    Parameters
    ----------
    explanation : Explanation
        Explanation of a cohort.

    Returns
    -------
    DataFrame
        ``variable``, and ``mean_absolute_`` with the unit, the largest first.
    """
    importance = explanation.contributions.abs().mean().sort_values(ascending=False, kind="stable")
    return importance.rename_axis("variable").rename(f"mean_absolute_{explanation.unit}").reset_index()


def format_value(column: Column, value: object) -> str:
    """Format a value of a column with its unit; a missing value as ``missing``."""
    is_plain = isinstance(value, float | int | str)
    if value is None or (isinstance(value, float) and np.isnan(value)) or (not is_plain and value is pd.NA):
        return "missing"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        number = f"{value + 0.0:.4g}"  # -0 becomes 0
        return f"{number} {column.unit}" if column.unit else number
    return str(value)
