"""Predict the duration of relief for a patient: the probability at the horizon, the median, and contributions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.deferred import special
from paincast.features import FittedEncoder
from paincast.files.serialization import PlainTable
from paincast.models.beliefs import read_effect_weight
from paincast.models.binary.uncertainty_components import (
    UncertaintyComponents,
    compute_missing_variances,
    describe_log_odds,
)
from paincast.models.domain import Domain, fit_domain
from paincast.models.survival.duration import DurationModel
from paincast.models.survival.hazard import HazardModel

FloatArray = npt.NDArray[np.float64]

_NODES = 24
"""Points of the Gauss-Legendre rule along the path from the mean patient: parts add up to about 1e-9."""


@dataclass(frozen=True, kw_only=True)
class DurationResponse:
    """A duration model evaluated at one horizon.

    Parameters
    ----------
    model : DurationModel
        The hazards.
    domain : Domain
        Summary of the training cohort.
    means : ndarray of shape (n_encoded,)
        Mean of each encoded column over the training cohort: the reference of explanations.
    horizon_months : float
        The horizon in months.
    missing_variances : dict of str to float
        By variable, the variance of its contribution among training episodes whose value is known.
    uncertainty_components : UncertaintyComponents, optional
        Uncertainty of a patient's log odds in addition to that of the refits; None in a model without a prior, whose
        interval is that of the refits.
    shows_reasons : bool
        Whether the model tells patients apart better than the overall risk does; if not, no reasons are given.
    """

    model: DurationModel
    domain: Domain
    means: FloatArray
    horizon_months: float
    missing_variances: dict[str, float] = field(default_factory=dict)
    uncertainty_components: UncertaintyComponents | None = None
    shows_reasons: bool = True

    unit: ClassVar[str] = "log_odds"
    sign: ClassVar[float] = 1.0
    kind: ClassVar[str] = "hazard"

    @property
    def encoder(self) -> FittedEncoder:
        """The fitted encoder."""
        return self.model.encoder

    @property
    def effect_weight(self) -> float:
        """Degree to which the model believes that recorded values matter; 1 without a prior."""
        return read_effect_weight(self.selection)

    @property
    def selection(self) -> PlainTable:
        """Cross-validated loss of every candidate; of a prior, the weights of the beliefs."""
        return self.model.selection

    @property
    def parameters(self) -> dict[str, Any]:
        """The chosen parameters for the loss of relief."""
        if all("belief" in row for row in self.selection):
            weights = {row["belief"]: row["weight"] for row in self.selection}
            return {**weights, "visits": len(self.model.cuts)}
        chosen = next(row for row in self.selection if row["chosen"] and row["cause"] == "relief lost")
        names = {"first_differs": bool(chosen["first_differs"]), "inverse_penalty": float(chosen["inverse_penalty"])}
        return {**names, "visits": len(self.model.cuts)}

    def answer(self, episodes: pd.DataFrame, level: float, *, interval: bool = True) -> pd.DataFrame:
        """Predict the probability that relief lasts beyond the horizon, with limits, and the median in months.

        Returns
        -------
        DataFrame of shape (n, 4) or (n, 8)
            ``probability, lower, upper, expected``; the last is missing if the median is beyond the modelled visits.
            With a prior also the shares of the uncertainty (:func:`describe_log_odds`). Without interval only
            ``probability`` and ``expected``.
        """
        median, horizon = self.model.median(episodes), [self.horizon_months]
        expected = np.where(np.isfinite(median), median, np.nan)
        probability = self.model.survival(episodes, horizon)[:, 0]
        if not interval:
            told: dict[str, Any] = {}
        elif self.uncertainty_components is not None:
            variances = self.uncertainty_components.divide(episodes, self.model.refit_variance(episodes, horizon)[:, 0])
            told = describe_log_odds(np.asarray(special.logit(probability)), variances, level)
        else:
            lower, upper = self.model.survival_interval(episodes, horizon, level)
            told = {"probability": probability, "lower": lower[:, 0], "upper": upper[:, 0]}
        return pd.DataFrame({**told, "probability": probability, "expected": expected}, index=episodes.index)

    def contributions(self, episodes: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Return base, shape (n,), and parts, shape (n, n_encoded), that add up to the log odds of the probability.

        The parts are Aumann-Shapley values: the gradient of the log odds, averaged along the straight line from the
        mean patient to this patient. With a single visit, they are the SHAP values of a linear model.

        References
        ----------
        Sundararajan M, Taly A, Yan Q. ICML 2017. doi:10.48550/arXiv.1703.01365
        """
        return self._divide(self.model.relief, self.encoder.transform(episodes) - self.means)

    def missing_scale(self, episodes: pd.DataFrame) -> FloatArray:
        """Return what the spread of an unknown contribution is proportional to, shape (n,): the same for all."""
        return np.ones(len(episodes))

    def refit_contributions(self, episodes: pd.DataFrame) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield base and parts by each refit of the loss of relief, in the shapes of :meth:`contributions`."""
        away = self.encoder.transform(episodes) - self.means
        return (self._divide(refit, away) for refit in self.model.refits)

    def _divide(self, relief: HazardModel, away: FloatArray) -> tuple[FloatArray, FloatArray]:
        n_visits = int(np.searchsorted(self.model.cuts, self.horizon_months + 1e-9, side="right"))
        return explain_hazards(relief, self.means, away, n_visits)


def explain_hazards(
    relief: HazardModel, means: FloatArray, away: FloatArray, n_visits: int
) -> tuple[FloatArray, FloatArray]:
    """Explain the log odds that relief lasts; see :meth:`DurationResponse.contributions`.

    Parameters
    ----------
    relief : HazardModel
        Hazards of losing relief.
    means : ndarray of shape (n_encoded,)
        The reference patient.
    away : ndarray of shape (n, n_encoded)
        Distance of each patient from it.
    n_visits : int
        Number of visits up to the horizon.

    Returns
    -------
    base, parts : ndarray of shape (n,) and (n, n_encoded)
    """
    start = relief.linear_predictor(means[None, :])[:, :n_visits]
    step = relief.linear_predictor(means + away)[:, :n_visits] - start
    nodes, shares = np.polynomial.legendre.leggauss(_NODES)
    slopes = np.zeros(step.shape)
    for node, share in zip((nodes + 1.0) / 2.0, shares / 2.0, strict=True):
        slopes += share * _slope(start + node * step)
    every, first = slopes.sum(axis=1)[:, None], slopes[:, :1]
    base = np.full(len(away), _log_odds_lasting(start)[0])
    return base, away * (every * relief.coefficients + first * relief.first)


def make_duration_response(
    model: DurationModel, episodes: pd.DataFrame, weights: FloatArray, horizon_months: float
) -> DurationResponse:
    """Make the response of a duration model at one horizon.

    Parameters
    ----------
    model : DurationModel
        Fitted model.
    episodes : DataFrame of shape (n, ...)
        Episodes it was fitted to.
    weights : ndarray of shape (n,)
        Their weights.
    horizon_months : float
        The horizon in months, within the modelled visits.
    """
    response = DurationResponse(
        model=model,
        domain=fit_domain(model.encoder, episodes),
        means=np.average(model.encoder.transform(episodes), axis=0, weights=weights),
        horizon_months=horizon_months,
    )
    parts = response.contributions(episodes)[1]
    return replace(response, missing_variances=compute_missing_variances(episodes, parts, model.encoder.owners))


def _log_odds_lasting(linear_predictor: FloatArray) -> FloatArray:
    log_lasting = -np.logaddexp(0.0, linear_predictor).sum(axis=1)
    return np.asarray(log_lasting - np.log(-np.expm1(log_lasting)))


def _slope(linear_predictor: FloatArray) -> FloatArray:
    """Compute the derivative of the log odds of lasting relief with respect to the log odds of loss at each visit."""
    ended = -np.expm1(-np.logaddexp(0.0, linear_predictor).sum(axis=1))
    return np.asarray(-1.0 / (1.0 + np.exp(-linear_predictor)) / ended[:, None])
