"""Why a prediction is what it is: SHAP values summed to the clinician's variables, on the log odds that are served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.models.response import ResponseModel
from paincast.schema import EPISODES

if TYPE_CHECKING:
    import shap

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Contributions that add up, with the base, to the log odds of the served probability.

    Parameters
    ----------
    base : ndarray of shape (n,)
        Log odds before anything about the patient is known. Where a calibration is served beside the model, what it
        adds to the patient's log odds belongs to no variable: it is in the base, which then differs between patients
        (:class:`paincast.models.calibrated.CalibratedModel`).
    contributions : DataFrame of shape (n, n_variables)
        Log-odds contribution of each variable: dummy columns and missing marks are summed to their variable.
    values : DataFrame of shape (n, n_variables)
        The variables' values.
    """

    base: FloatArray
    contributions: pd.DataFrame
    values: pd.DataFrame

    def to_shap(self) -> shap.Explanation:
        """Give the contributions as the object that the figures of the shap package draw, for example its waterfall."""
        import shap

        return shap.Explanation(
            values=self.contributions.to_numpy(),
            base_values=self.base,
            data=self.values.to_numpy(dtype=object),
            feature_names=[EPISODES[name].display_name for name in self.contributions.columns],
        )

    def mask_rows(self, rows: pd.Series) -> Explanation:
        """Blank the contributions of some patients: where no probability is served there is nothing to explain."""
        kept = self.contributions.mul((~rows.to_numpy(bool)).astype(float), axis=0)
        return Explanation(base=self.base, contributions=kept, values=self.values)


def explain_model(response: ResponseModel, episodes: pd.DataFrame) -> Explanation:
    """Explain the predictions of a response model.

    Parameters
    ----------
    response : ResponseModel
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
    base, encoded = response.model.contributions(response.encoder.transform(episodes))
    owners = np.array(response.encoder.owners, dtype=object)
    variables = list(dict.fromkeys(response.encoder.owners))
    summed = {name: encoded[:, owners == name].sum(axis=1) for name in variables}
    return Explanation(
        base=base, contributions=pd.DataFrame(summed, index=episodes.index), values=episodes[variables].copy()
    )


def compute_importance(explanation: Explanation) -> pd.DataFrame:
    """Rank variables by their mean absolute log-odds contribution.

    Parameters
    ----------
    explanation : Explanation
        Explanation of a cohort.

    Returns
    -------
    DataFrame
        ``variable, mean_absolute_log_odds``, the largest first.
    """
    importance = explanation.contributions.abs().mean().sort_values(ascending=False, kind="stable")
    return importance.rename_axis("variable").rename("mean_absolute_log_odds").reset_index()


def list_reasons(explanation: Explanation, *, most: int = 3) -> tuple[list[list[Reason]], list[list[Reason]]]:
    """Give each patient's strongest reasons for and against the outcome.

    Parameters
    ----------
    explanation : Explanation
        Explanation of the patients.
    most : int
        How many reasons each way at most.

    Returns
    -------
    reasons_for, reasons_against : list of length n
        Each a list of ``{"variable", "value", "log_odds"}``, the strongest first.
    """
    names = list(explanation.contributions.columns)
    values = [
        [format_value(name, value) for name, value in zip(names, row, strict=True)]
        for row in explanation.values.itertuples(index=False, name=None)
    ]
    contributions = explanation.contributions.to_numpy()
    order = np.argsort(-contributions, axis=1, kind="stable")
    upward = [_pick(names, values[i], contributions[i], order[i][:most], 1.0) for i in range(len(values))]
    downward = [_pick(names, values[i], contributions[i], order[i][::-1][:most], -1.0) for i in range(len(values))]
    return upward, downward


Reason = dict[str, str | float]


def _pick(
    names: list[str], values: list[str], contributions: FloatArray, order: npt.NDArray[np.intp], sign: float
) -> list[Reason]:
    return [
        {"variable": names[j], "value": values[j], "log_odds": round(float(contributions[j]), 6)}
        for j in order
        if sign * contributions[j] > 0
    ]


def format_value(name: str, value: object) -> str:
    """Write a value for a reader, with its unit; a missing one as ``missing``."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "missing"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        unit = EPISODES[name].unit
        return f"{value:.4g} {unit}" if unit else f"{value:.4g}"
    return str(value)
