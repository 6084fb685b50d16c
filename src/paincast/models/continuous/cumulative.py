"""Predict the change of pain by a cumulative probability model, whose linear predictor is that of half relief.

The log odds of at least a share of relief are those of half relief minus the margin of that share [1]_. Patients differ
in the linear predictor, shares in their margins. The median relief is therefore half or more exactly where the
probability of half relief is.

References
----------
.. [1] Liu Q et al. Modeling continuous response variables using ordinal regression. Stat Med 2017;36:4316-35.
   doi:10.1002/sim.7433
"""

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
from paincast.models.binary.response import ResponseModel
from paincast.models.binary.uncertainty_components import compute_missing_variances, describe_log_odds
from paincast.models.continuous.change import HIGHEST_SCORE, MEASURE, list_quantiles, read_scale
from paincast.models.domain import Domain
from paincast.outcomes.criteria import SLACK

FloatArray = npt.NDArray[np.float64]

HALF = 0.5
"""The share of relief whose margin is 0."""

MARGIN_SD = 0.4
"""Standard deviation of a margin, as a share of its distance from that of half relief: that of 30 % relief is assumed
to lie 0.3 from where it is, out of 0.7."""

_NEAREST = 0.05
_SETTLED = 1e-9
_GAP = 1e-6


@dataclass(frozen=True, kw_only=True)
class CumulativeChangeResponse:
    """The change of pain that follows from a model of half relief.

    Parameters
    ----------
    response : ResponseModel
        Of at least 50 % relief.
    shares : ndarray of shape (n_shares,)
        Shares of relief, ascending; 0.5 is one of them.
    margins : ndarray of shape (n_shares,)
        Log odds of half relief at which each share is the median; 0 for 0.5.
    level : float
        Level of the interval.
    mean_scale : float
        Mean score before the procedure.
    missing_variances : dict of str to float
        By variable, the variance of its contribution, as a share of the score before, among training episodes whose
        value is known.
    """

    response: ResponseModel
    shares: FloatArray
    margins: FloatArray
    level: float
    mean_scale: float
    missing_variances: dict[str, float] = field(default_factory=dict)

    unit: ClassVar[str] = "points"
    sign: ClassVar[float] = -1.0
    kind: ClassVar[str] = "cumulative"

    @property
    def encoder(self) -> FittedEncoder:
        """The fitted encoder."""
        return self.response.encoder

    @property
    def domain(self) -> Domain:
        """Summary of the training cohort."""
        return self.response.domain

    @property
    def shows_reasons(self) -> bool:
        """Whether the model of half relief tells patients apart better than the overall risk does."""
        return self.response.shows_reasons

    @property
    def effect_weight(self) -> float:
        """Degree to which the model believes that recorded values matter."""
        return self.response.effect_weight

    @property
    def selection(self) -> PlainTable:
        """Of a prior, the weights of the beliefs."""
        return self.response.selection

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of the model of half relief, and the margin of each share of relief."""
        margins = {f"margin_{share:g}": float(margin) for share, margin in zip(self.shares, self.margins, strict=True)}
        return {**self.response.parameters, "level": self.level, **margins}

    def answer(
        self,
        episodes: pd.DataFrame,
        level: float,  # noqa: ARG002 (the model has one level)
        *,
        interval: bool = True,
    ) -> pd.DataFrame:
        """Predict the median change of pain in points with its interval, at the level of the model.

        The interval is that of the patient's change: chance, and what is not known of the probability of half relief,
        whose logistic and normal distribution are added up by MacKay's approximation.

        Returns
        -------
        DataFrame of shape (n, 7)
            ``expected, expected_lower, expected_upper``, and the shares of the uncertainty of the log odds; missing if
            the score before is missing. Without interval only the first.

        References
        ----------
        MacKay DJC. Neural Comput 1992;4:720-736. doi:10.1162/neco.1992.4.5.720
        """
        served = self.response.linear_predictor(episodes)
        if not interval:
            return pd.DataFrame({"expected": self._change(served, episodes)}, index=episodes.index)
        variances = self.response.compute_variances(episodes)
        told = describe_log_odds(served, variances, self.level)
        total = np.sum(list(variances.values()), axis=0)
        widened = np.sqrt(1.0 + np.pi * total / 8.0)
        below, _, above = (special.logit(quantile) * widened for quantile in list_quantiles(self.level))
        points = {
            "expected": self._change(served, episodes),
            "expected_lower": self._change(served + above, episodes),
            "expected_upper": self._change(served + below, episodes),
        }
        uncertainty = {name: share for name, share in told.items() if name.startswith("uncertainty_")}
        return pd.DataFrame({**points, **uncertainty}, index=episodes.index)

    def contributions(self, episodes: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Return base, shape (n,), and parts, shape (n, n_encoded), that add up to the median in points.

        The parts are those of the log odds of half relief, in the proportion in which these change the median: the
        Aumann-Shapley values of a function of their sum. What the score before does beside is added to its own part.
        """
        return self._divide(*self.response.contributions(episodes), episodes)

    def refit_contributions(self, episodes: pd.DataFrame) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield base and parts by each refit, in the shapes of :meth:`contributions`."""
        return (self._divide(base, parts, episodes) for base, parts in self.response.refit_contributions(episodes))

    def missing_scale(self, episodes: pd.DataFrame) -> FloatArray:
        """Return what the spread of an unknown contribution is proportional to, shape (n,): the score before."""
        return np.nan_to_num(read_scale(episodes), nan=self.mean_scale)

    def _relieve(self, log_odds: FloatArray) -> FloatArray:
        return np.asarray(np.interp(log_odds, self.margins, self.shares))

    def _change(self, log_odds: FloatArray, episodes: pd.DataFrame) -> FloatArray:
        before = np.asarray(episodes[MEASURE].to_numpy(float, na_value=np.nan), dtype=float)
        return np.asarray(np.clip(-self._relieve(log_odds) * before, -before, HIGHEST_SCORE - before))

    def _divide(self, base: FloatArray, parts: FloatArray, episodes: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        served = base + np.cumsum(parts, axis=1)[:, -1]
        start, gained = self._relieve(base), self._relieve(served) - self._relieve(base)
        rate = np.divide(gained, served - base, out=np.zeros(len(base)), where=np.abs(served - base) > _SETTLED)
        in_points = -parts * (rate * self.missing_scale(episodes))[:, None]
        begin = -start * self.mean_scale
        rest = np.nan_to_num(self._change(served, episodes) - begin - np.cumsum(in_points, axis=1)[:, -1])
        if MEASURE in self.encoder.owners:
            in_points[:, self.encoder.owners.index(MEASURE)] += rest
            return begin, in_points
        return begin + rest, in_points


def make_cumulative_change(
    response: ResponseModel,
    episodes: pd.DataFrame,
    change: FloatArray,
    *,
    course: tuple[tuple[float, ...], tuple[float, ...]],
    level: float,
    described: pd.DataFrame,
) -> CumulativeChangeResponse:
    """Make the response of a change from a model of half relief.

    Each margin is updated by the patients who reached its share and by those who did not; its prior is normal around
    the course that is assumed.

    Parameters
    ----------
    response : ResponseModel
        Of at least 50 % relief.
    episodes : DataFrame of shape (n, ...)
        Patients with a known change; none leave the course as it is assumed.
    change : ndarray of shape (n,)
        Their change in points.
    course : tuple of (margins, shares)
        Assumed margins and shares of relief, ascending.
    level : float
        Level of the interval.
    described : DataFrame of shape (m, ...)
        Episodes whose spread of contributions and mean score are kept: the patients or, without any, those of the
        evidence.
    """
    assumed, shares = (np.array(part, dtype=float) for part in course)
    margins = assumed
    if len(episodes):
        relief = -change / read_scale(episodes)
        served = response.linear_predictor(episodes)
        # Nobody is placed below the lowest share: its margin is that of doing better.
        reached = [relief > shares[0] + SLACK, *(relief >= share - SLACK for share in shares[1:])]
        margins = np.array([_fit_margin(one, served, margin) for one, margin in zip(reached, assumed, strict=True)])
        margins = _nest(margins, int(np.flatnonzero(shares == HALF)[0]))
    made = CumulativeChangeResponse(
        response=response,
        shares=shares,
        margins=margins,
        level=level,
        mean_scale=float(np.nanmean(read_scale(described))),
    )
    in_shares = made.contributions(described)[1] / made.missing_scale(described)[:, None]
    return replace(made, missing_variances=compute_missing_variances(described, in_shares, made.encoder.owners))


def _nest(margins: FloatArray, half: int) -> FloatArray:
    """Make margins ascend, with 0 at that of half relief: who reaches a share reaches lesser ones too."""
    steps = _GAP * np.arange(len(margins))
    above = np.maximum.accumulate(np.append(0.0, margins[half + 1 :]) - steps[: len(margins) - half])
    below = np.maximum.accumulate(np.append(0.0, -margins[:half][::-1]) - steps[: half + 1])
    return np.concatenate([-(below + steps[: half + 1])[:0:-1], above + steps[: len(margins) - half]])


def _fit_margin(reached: npt.NDArray[np.bool_], served: FloatArray, assumed: float) -> float:
    """Find the margin with the highest posterior density, by Newton's method on a strictly concave function."""
    precision = 1.0 / (MARGIN_SD * max(abs(assumed), _NEAREST)) ** 2
    margin = assumed
    for _ in range(100):
        probability = special.expit(served - margin)
        gradient = float((probability - reached).sum()) - precision * (margin - assumed)
        step = gradient / (float((probability * (1.0 - probability)).sum()) + precision)
        margin += float(np.clip(step, -1.0, 1.0))
        if abs(step) < _SETTLED:
            break
    return margin
