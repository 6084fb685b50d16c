"""Predict the change of pain for a patient: median and interval in points, and contributions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.features import FittedEncoder
from paincast.files.serialization import PlainTable
from paincast.models.binary.uncertainty_components import compute_missing_variances
from paincast.models.continuous.change import MEASURE, ChangeModel, read_scale
from paincast.models.domain import Domain, fit_domain

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ChangeResponse:
    """A model of change with everything it needs to predict for a patient.

    Parameters
    ----------
    model : ChangeModel
        The quantiles.
    domain : Domain
        Summary of the training cohort.
    means : ndarray of shape (n_encoded,)
        Mean of each encoded column over the training cohort: the reference of explanations.
    mean_scale : float
        Mean score before the procedure.
    missing_variances : dict of str to float
        By variable, the variance of its contribution, as a share of the score before, among training episodes whose
        value is known.
    """

    model: ChangeModel
    domain: Domain
    means: FloatArray
    mean_scale: float
    missing_variances: dict[str, float] = field(default_factory=dict)

    unit: ClassVar[str] = "points"
    sign: ClassVar[float] = -1.0
    shows_reasons: ClassVar[bool] = True
    effect_weight: ClassVar[float] = 1.0
    kind: ClassVar[str] = "quantile"

    @property
    def encoder(self) -> FittedEncoder:
        """The fitted encoder."""
        return self.model.encoder

    @property
    def selection(self) -> PlainTable:
        """The chosen parameters, as a table."""
        return PlainTable([{**self.parameters, "chosen": True}])

    @property
    def parameters(self) -> dict[str, Any]:
        """The chosen penalty, the level of the interval, and its corrections as shares of the score before."""
        below, above = self.model.corrections
        return {
            "penalty": self.model.penalty,
            "level": self.model.level,
            "widened_below": below,
            "widened_above": above,
        }

    def answer(
        self,
        episodes: pd.DataFrame,
        level: float,  # noqa: ARG002 (the model has one level)
        *,
        interval: bool = True,
    ) -> pd.DataFrame:
        """Predict the median change of pain in points with its interval, at the level of the model.

        Returns
        -------
        DataFrame of shape (n, 3)
            ``expected, expected_lower, expected_upper``. Without interval only the first.
        """
        told = self.model.predict(episodes).rename(
            columns={"median": "expected", "lower": "expected_lower", "upper": "expected_upper"}
        )
        return told if interval else told[["expected"]]

    def contributions(self, episodes: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Return base, shape (n,), and parts, shape (n, n_encoded), that add up to the median in points.

        The part of a column is its coefficient times the distance from its mean times the score before. The remaining
        effects of the score before (scaling of the mean share, limits of the scale) are added to its own part.
        """
        return self._divide(self.model, episodes)

    def refit_contributions(self, episodes: pd.DataFrame) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield base and parts by each refit of the median, in the shapes of :meth:`contributions`."""
        lower, _, upper = self.model.coefficients
        refits = (replace(self.model, coefficients=np.array([lower, median, upper])) for median in self.model.medians)
        return (self._divide(refit, episodes) for refit in refits)

    def missing_scale(self, episodes: pd.DataFrame) -> FloatArray:
        """Return what the spread of an unknown contribution is proportional to, shape (n,): the score before."""
        return np.nan_to_num(read_scale(episodes), nan=self.mean_scale)

    def _divide(self, model: ChangeModel, episodes: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        median = model.predict(episodes)["median"].to_numpy(float)
        intercept, *slopes = model.coefficients[1]
        away = self.encoder.transform(episodes) - self.means
        parts = away * np.array(slopes) * self.missing_scale(episodes)[:, None]
        share = intercept + float(self.means @ np.array(slopes))
        base = np.full(len(away), share * self.mean_scale)
        rest = np.nan_to_num(median - base - np.cumsum(parts, axis=1)[:, -1] if parts.shape[1] else median - base)
        if MEASURE in self.encoder.owners:
            parts[:, self.encoder.owners.index(MEASURE)] += rest
            return base, parts
        return base + rest, parts


def make_change_response(model: ChangeModel, episodes: pd.DataFrame, weights: FloatArray) -> ChangeResponse:
    """Complete a model with everything it needs to predict for a patient.

    Parameters
    ----------
    model : ChangeModel
        Fitted model.
    episodes : DataFrame of shape (n, ...)
        Episodes it was fitted to.
    weights : ndarray of shape (n,)
        Their weights.
    """
    response = ChangeResponse(
        model=model,
        domain=fit_domain(model.encoder, episodes),
        means=np.average(model.encoder.transform(episodes), axis=0, weights=weights),
        mean_scale=float(np.average(read_scale(episodes), weights=weights)),
    )
    parts = response.contributions(episodes)[1] / response.missing_scale(episodes)[:, None]
    return replace(response, missing_variances=compute_missing_variances(episodes, parts, model.encoder.owners))
