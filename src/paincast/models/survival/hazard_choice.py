"""Select the penalty of a discrete-time hazard by grouped cross-validation, and refit the hazard for an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paincast import features
from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.features import FittedEncoder
from paincast.models.survival.hazard import (
    HazardModel,
    Periods,
    compute_hazard_loss,
    draw_shrinkage,
    expand_periods,
    fit_hazard,
)
from paincast.outcomes.labels import LOST_RELIEF
from paincast.splits import Fold
from paincast.statistics import draw_bayesian_bootstrap_weights

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class HazardChoice:
    """Candidates for the hazard of a cause, with the out-of-fold loss of each episode.

    Parameters
    ----------
    cause : float
        ``LOST_RELIEF`` or ``DIED``.
    encoder : FittedEncoder
        Fitted to all rows.
    cuts : tuple of float
        Months that end the intervals.
    matrix : ndarray of shape (n, n_encoded)
        All rows encoded.
    periods : Periods
        Their intervals.
    candidates : tuple of (bool, float)
        Whether effects differ in the first interval, and the inverse penalty.
    losses : ndarray of shape (n_candidates, n)
        Negative log likelihood of each held-out episode.
    """

    cause: float
    encoder: FittedEncoder
    cuts: tuple[float, ...]
    matrix: FloatArray
    periods: Periods
    candidates: tuple[tuple[bool, float], ...]
    losses: FloatArray

    def find_best(self, weights: FloatArray) -> tuple[bool, float]:
        """Find the candidate with the lowest loss when episodes are reweighted."""
        return self.candidates[int(np.argmin(self.losses @ weights))]

    def find_weakest(self, weights: FloatArray) -> tuple[bool, float]:
        """Find the weakest penalty whose loss is within one standard error of the lowest.

        With the penalty that predicts best, an interval would ignore the bias by shrinkage and be too narrow; the
        refits are therefore shrunk less.
        """
        best = int(np.argmin(self.losses @ weights))
        excess = (self.losses - self.losses[best]) * weights
        error = excess.std(axis=1) * np.sqrt(excess.shape[1])
        close = excess.sum(axis=1) <= error
        differs = self.candidates[best][0]
        return differs, max(c for (own, c), near in zip(self.candidates, close, strict=True) if near and own == differs)

    def draw_refits(
        self, served: HazardModel, weights: FloatArray, patients: pd.Series, rngs: Sequence[np.random.Generator]
    ) -> tuple[HazardModel, ...]:
        """Refit to reweighted patients, and add a draw of the bias due to the penalty."""
        streams = [rng.spawn(2) for rng in rngs]
        differs, penalty = self.find_weakest(weights)
        moved = draw_shrinkage(
            served,
            self.matrix,
            self.periods,
            inverse_penalty=penalty,
            first_differs=differs,
            weights=weights,
            rngs=[shrinkage_rng for shrinkage_rng, _ in streams],
        )
        drawn = [weights * draw_bayesian_bootstrap_weights(patients, weight_rng) for _, weight_rng in streams]
        refits = [self.fit(self.find_weakest(weight), weight) for weight in drawn]
        return tuple(refit + move for refit, move in zip(refits, moved, strict=True))

    def fit(self, candidate: tuple[bool, float], weights: FloatArray) -> HazardModel:
        """Fit one candidate to all rows."""
        differs, penalty = candidate
        return fit_hazard(
            self.matrix,
            self.periods,
            len(self.cuts),
            inverse_penalty=penalty,
            first_differs=differs,
            weights=weights,
        )

    def table(self, weights: FloatArray) -> pd.DataFrame:
        """Tabulate the candidates: ``first_differs, inverse_penalty, cause, loss, chosen``."""
        loss = self.losses @ weights / weights.sum()
        frame = pd.DataFrame(self.candidates, columns=["first_differs", "inverse_penalty"])
        cause = "relief lost" if self.cause == LOST_RELIEF else "death"
        return frame.assign(cause=cause, loss=loss, chosen=np.arange(len(loss)) == np.argmin(loss))


def choose_hazard(
    episodes: pd.DataFrame,
    months: FloatArray,
    status: FloatArray,
    cause: float,
    folds: Sequence[Fold],
    cuts: tuple[float, ...],
    candidates: tuple[tuple[bool, float], ...],
    weights: FloatArray,
    *,
    contract: Contract = BUILT_IN,
) -> HazardChoice:
    """Cross-validate the candidates and keep the out-of-fold loss of each episode.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Episodes in the types of the contract.
    months, status, weights : ndarray of shape (n,)
        Time, what ended it, and the weight of the episode.
    cause : float
        ``LOST_RELIEF`` or ``DIED``.
    folds : sequence of (train, test)
        Patients kept together.
    cuts : tuple of float
        Months that end the intervals.
    candidates : tuple of (bool, float)
        Whether effects differ in the first interval, and the inverse penalty.
    contract : Contract
        Declares the columns.
    """
    periods = expand_periods(months, status, cuts, cause)
    losses = np.zeros((len(candidates), len(episodes)))
    for train, test in folds:
        encoder = features.EpisodeEncoder(contract=contract).fit(episodes.iloc[train])
        fitted_on, held_out = encoder.transform(episodes.iloc[train]), encoder.transform(episodes.iloc[test])
        train_periods, test_periods = (periods.take(rows, len(episodes)) for rows in (train, test))
        for index, (differs, penalty) in enumerate(candidates):
            model = fit_hazard(
                fitted_on,
                train_periods,
                len(cuts),
                inverse_penalty=penalty,
                first_differs=differs,
                weights=weights[train],
            )
            losses[index, test] = compute_hazard_loss(model, held_out, test_periods)
    encoder = features.EpisodeEncoder(contract=contract).fit(episodes)
    return HazardChoice(
        cause=cause,
        encoder=encoder,
        cuts=cuts,
        matrix=encoder.transform(episodes),
        periods=periods,
        candidates=candidates,
        losses=losses,
    )
