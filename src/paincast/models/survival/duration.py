"""Model how long relief lasts: cause-specific hazards at the visits, for loss of relief and for death.

The estimand is the probability of at least 50 % pain relief at every visit up to a month, among all patients who had
the procedure and are alive at that month. A patient who never has relief loses it at the first visit. A repeat
procedure, an operation or an explant ends relief.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.deferred import special, stats
from paincast.disclosure.flow import format_counts_together
from paincast.errors import RefusalError
from paincast.features import FittedEncoder
from paincast.files.serialization import PlainTable
from paincast.models.survival.hazard import HazardModel, choose_cuts, expand_periods, fit_hazard
from paincast.models.survival.hazard_choice import HazardChoice, choose_hazard
from paincast.outcomes.labels import DIED, LOST_RELIEF
from paincast.progress import SILENT, Progress
from paincast.settings import DurationSettings
from paincast.splits import make_folds

FloatArray = npt.NDArray[np.float64]
FitDurations = Callable[["pd.DataFrame", FloatArray, FloatArray, FloatArray, "np.random.Generator"], "DurationModel"]
"""Fits a model to episodes, months, status and weights, with a random generator."""

SMALLEST = 1e-9
"""Minimum distance of a probability from 0 and 1 before its log odds are taken."""


def list_candidates(settings: DurationSettings, cause: float) -> tuple[tuple[bool, float], ...]:
    """List the candidates for a cause: whether effects differ at the first visit (never for death), and C."""
    grid = sorted(settings.first_differs) if cause == LOST_RELIEF else [False]
    return tuple((differs, c) for differs in grid for c in (sd**2 for sd in sorted(settings.prior_sds)))


@dataclass(frozen=True, kw_only=True)
class DurationModel:
    """Probability that relief lasts, for patients like those it was fitted on.

    Parameters
    ----------
    encoder : FittedEncoder
        Fitted encoder.
    cuts : tuple of float
        Months of the visits at which relief is assessed.
    relief : HazardModel
        Loss of relief at each visit, among those alive with relief until then.
    death : HazardModel or None
        Death with relief in the interval before each visit; None if nobody died.
    refits : tuple of HazardModel
        Loss of relief, refitted to reweighted patients, plus a random draw for the bias by the penalty.
    selection : PlainTable
        Cross-validated loss of every candidate; of a prior, the weights of the beliefs.
    """

    encoder: FittedEncoder
    cuts: tuple[float, ...]
    relief: HazardModel
    death: HazardModel | None
    refits: tuple[HazardModel, ...]
    selection: PlainTable

    state_version: ClassVar[int] = 1

    def survival(self, episodes: pd.DataFrame, months: Sequence[float]) -> FloatArray:
        """Predict the probability that relief lasts beyond each month, among those alive at that month.

        It is a step function that decreases at the visits.

        Parameters
        ----------
        episodes : DataFrame of shape (n, ...)
            Episodes in the types of the contract.
        months : sequence of float
            Months; the result is missing before the first visit and after the last.

        Returns
        -------
        ndarray of shape (n, n_months)
        """
        return self._read(self.relief.survival(self.encoder.transform(episodes)), months)

    def survival_interval(
        self, episodes: pd.DataFrame, months: Sequence[float], level: float = 0.90
    ) -> tuple[FloatArray, FloatArray]:
        """Compute the limits of :meth:`survival` from the root mean square distance of the refits in log odds.

        Returns
        -------
        lower, upper : ndarray of shape (n, n_months)
        """
        served = compute_log_odds(self.survival(episodes, months))
        reach = stats.norm.ppf((1 + level) / 2) * np.sqrt(self.refit_variance(episodes, months))
        return special.expit(served - reach), special.expit(served + reach)

    def refit_variance(self, episodes: pd.DataFrame, months: Sequence[float]) -> FloatArray:
        """Compute the mean square distance of the refits from the log odds of :meth:`survival`, (n, n_months)."""
        matrix = self.encoder.transform(episodes)
        served = compute_log_odds(self.relief.survival(matrix))
        distances = np.array([compute_log_odds(refit.survival(matrix)) for refit in self.refits]) - served
        return self._read(np.cumsum(distances**2, axis=0)[-1] / len(distances), months)

    def incidence(self, episodes: pd.DataFrame, months: Sequence[float]) -> tuple[FloatArray, FloatArray]:
        """Predict the cumulative incidence of loss of relief, and of death with relief, by each month.

        Returns
        -------
        lost, died : ndarray of shape (n, n_months)
        """
        matrix = self.encoder.transform(episodes)
        loss = self.relief.hazards(matrix)
        death = np.zeros_like(loss) if self.death is None else self.death.hazards(matrix)
        going = np.cumprod((1.0 - loss) * (1.0 - death), axis=1)
        before = np.column_stack([np.ones(len(loss)), going[:, :-1]])
        died, lost = before * death, before * (1.0 - death) * loss
        return self._read(np.cumsum(lost, axis=1), months), self._read(np.cumsum(died, axis=1), months)

    def median(self, episodes: pd.DataFrame) -> FloatArray:
        """Return the month of the first visit at which the probability of relief is at most 0.5; infinite if none.

        Returns
        -------
        ndarray of shape (n,)
        """
        survival = self.relief.survival(self.encoder.transform(episodes))
        over = survival <= 0.5
        return np.where(over.any(axis=1), np.array(self.cuts)[over.argmax(axis=1)], np.inf)

    def _read(self, values: FloatArray, months: Sequence[float]) -> FloatArray:
        requested = np.asarray(months, dtype=float)
        position = np.searchsorted(self.cuts, requested + 1e-9, side="right") - 1
        known = (position >= 0) & (requested <= self.cuts[-1] + 1e-9)
        return np.where(known, values[:, np.maximum(position, 0)], np.nan)


def fit_duration_model(
    episodes: pd.DataFrame,
    months: FloatArray,
    status: FloatArray,
    settings: DurationSettings,
    rng: np.random.Generator,
    weights: FloatArray | None = None,
    *,
    cuts: tuple[float, ...] | None = None,
    contract: Contract = BUILT_IN,
) -> DurationModel:
    """Select and fit the hazards of loss of relief and of death, with refits for the interval.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Episodes of a technique, in the types of the contract.
    months : ndarray of shape (n,)
        Month of loss of relief, death or last visit; missing for patients never seen, who are left out.
    status : ndarray of shape (n,)
        0 relief at the last visit, 1 relief lost, 2 died with relief.
    settings : DurationSettings
        Candidates, folds and refits.
    rng : numpy.random.Generator
        Source of folds and patient weights.
    weights : ndarray of shape (n,), optional
        Weights of the episodes, for example the inverse probability of being seen.
    cuts : tuple of float, optional
        Months of the visits at which relief is assessed; by default scheduled visits with enough losses of relief.
    contract : Contract
        Declares the columns.

    Returns
    -------
    DurationModel

    Raises
    ------
    RefusalError
        If too few lost relief, or too few did not.
    """
    episodes, months, status, weight = _keep_seen(episodes, months, status, weights)
    require_durations(months, status, settings)
    fold_rng, refit_rng = rng.spawn(2)
    with threadpool_limits(limits=1, user_api="blas"):
        lost = (status == LOST_RELIEF).astype(float)
        folds = make_folds(lost, episodes["patient_id"].to_numpy(object), settings.folds, fold_rng)
        cuts = cuts or choose_cuts(months, status, settings.minimum_interval_events)

        def choose(cause: float) -> HazardChoice:
            candidates = list_candidates(settings, cause)
            return choose_hazard(episodes, months, status, cause, folds, cuts, candidates, weight, contract=contract)

        relief = choose(LOST_RELIEF)
        death = choose(DIED) if (status == DIED).any() else None
        served = relief.fit(relief.find_best(weight), weight)
        refits = relief.draw_refits(served, weight, episodes["patient_id"], refit_rng.spawn(settings.refits))
    return DurationModel(
        encoder=relief.encoder,
        cuts=relief.cuts,
        relief=served,
        death=None if death is None else death.fit(death.find_best(weight), weight),
        refits=refits,
        selection=PlainTable.from_frame(
            pd.concat([choice.table(weight) for choice in (relief, death) if choice is not None], ignore_index=True)
        ),
    )


def require_durations(months: FloatArray, status: FloatArray, settings: DurationSettings) -> None:
    """Raise an error if there are too few episodes with loss of relief, or too few without.

    Raises
    ------
    RefusalError
        With the counts and the minimum.
    """
    n_lost = int((status == LOST_RELIEF).sum())
    if min(n_lost, len(status) - n_lost) < settings.minimum_events or not choose_cuts(
        months, status, settings.minimum_interval_events
    ):
        lost, others, total = format_counts_together(n_lost, len(status) - n_lost, len(status))
        raise RefusalError(
            f"{lost} with and {others} without a loss of relief among {total} episodes with "
            f"follow-up; at least {settings.minimum_events} of each are needed to fit a model of its duration, and "
            f"{settings.minimum_interval_events} losses by a visit of the schedule",
            code="PC-MODEL-14",
        )


def fit_curve(
    model: DurationModel,
    months: FloatArray,
    status: FloatArray,
    weights: FloatArray | None = None,
) -> DurationModel:
    """Fit the same hazards without predictors: the overall curve, as a reference.

    It is the Kaplan-Meier estimate at the visits or, if death is a competing event, the Aalen-Johansen estimate.

    Parameters
    ----------
    model : DurationModel
        Model fitted to the same rows.
    months, status, weights
        As for :func:`fit_duration_model`.
    """
    fit = partial(fit_overall_hazard, months, status, model.cuts, len(model.relief.coefficients), weights)
    death = None if model.death is None else fit(DIED)
    return replace(model, relief=fit(LOST_RELIEF), death=death, refits=())


def fit_overall_hazard(
    months: FloatArray,
    status: FloatArray,
    cuts: tuple[float, ...],
    n_encoded: int,
    weights: FloatArray | None,
    cause: float,
) -> HazardModel:
    """Fit the hazards of a cause at the visits ``cuts`` without predictors: the coefficients of all columns are 0."""
    weight = np.ones(len(months)) if weights is None else np.asarray(weights, dtype=float)
    seen = np.isfinite(months) & (weight > 0)
    periods = expand_periods(months[seen], status[seen], cuts, cause)
    empty, none = np.empty((int(seen.sum()), 0)), np.zeros(n_encoded)
    overall = fit_hazard(empty, periods, len(cuts), inverse_penalty=1.0, weights=weight[seen])
    return replace(overall, coefficients=none, first=none)


@dataclass(frozen=True, kw_only=True)
class CrossFittedDurations:
    """Predictions for every episode by models that were not fitted on its patient.

    Parameters
    ----------
    months : tuple of float
        Months of the visits at which relief is assessed.
    survival, survival_of_all : ndarray of shape (n, n_months)
        Probability that relief lasts beyond each month, among those alive; and the same without predictors.
    lost, lost_of_all : ndarray of shape (n, n_months)
        Cumulative incidence of loss of relief with death as a competing event; and the same without predictors.
    """

    months: tuple[float, ...]
    survival: FloatArray
    survival_of_all: FloatArray
    lost: FloatArray
    lost_of_all: FloatArray


def cross_fit_durations(
    episodes: pd.DataFrame,
    months: FloatArray,
    status: FloatArray,
    fit: FitDurations,
    rng: np.random.Generator,
    *,
    cuts: tuple[float, ...],
    folds: int = 5,
    weights: FloatArray | None = None,
    progress: Progress = SILENT,
) -> CrossFittedDurations:
    """Predict every episode with a model not fitted on its patient; selection is repeated in each fold.

    Only the months of the visits are the same in all folds.

    Parameters
    ----------
    episodes, months, status, rng, weights
        As for :func:`fit_duration_model`; episodes never seen are predicted too.
    fit : callable
        Fits a model to episodes, months, status and weights, with a random generator.
    cuts : tuple of float
        Months of the visits at which relief is assessed.
    folds : int
        Outer folds.
    progress : Progress
        Advanced by each fold.

    Raises
    ------
    RefusalError
        If too few lost relief, or too few did not.
    """
    fold_rng, *streams = rng.spawn(1 + folds)
    splits = make_folds((status == LOST_RELIEF).astype(float), episodes["patient_id"].to_numpy(object), folds, fold_rng)
    parts = np.full((4, len(episodes), len(cuts)), np.nan)
    progress.expect(folds)
    for (train, test), child in zip(splits, streams, strict=False):
        weight = np.ones(len(train)) if weights is None else weights[train]
        outcome = months[train], status[train]
        model = fit(episodes.iloc[train], *outcome, weight, child)
        parts[:, test] = predict_beside_curve(model, fit_curve(model, *outcome, weight), episodes.iloc[test])
        progress.advance()
    return CrossFittedDurations(
        months=cuts, survival=parts[0], survival_of_all=parts[1], lost=parts[2], lost_of_all=parts[3]
    )


def predict_beside_curve(model: DurationModel, curve: DurationModel, episodes: pd.DataFrame) -> FloatArray:
    """Predict survival and incidence by a model and by a curve without predictors, shape (4, n, n_months).

    The order is that of the fields of :class:`CrossFittedDurations`.
    """
    both = (model, curve)
    return np.array(
        [
            *(fitted.survival(episodes, model.cuts) for fitted in both),
            *(fitted.incidence(episodes, model.cuts)[0] for fitted in both),
        ]
    )


def _keep_seen(
    episodes: pd.DataFrame, months: FloatArray, status: FloatArray, weights: FloatArray | None
) -> tuple[pd.DataFrame, FloatArray, FloatArray, FloatArray]:
    weight = np.ones(len(episodes)) if weights is None else np.asarray(weights, dtype=float)
    seen = np.isfinite(months) & (weight > 0)
    if not seen.any():
        raise RefusalError(
            "no episode was seen after the procedure; the duration of relief cannot be modelled", code="PC-MODEL-15"
        )
    kept = weight[seen] / weight[seen].mean()
    return episodes.loc[seen].reset_index(drop=True), months[seen], status[seen], kept


def compute_log_odds(probability: FloatArray) -> FloatArray:
    """Compute the log odds of probabilities that may be 0 or 1."""
    return np.asarray(special.logit(np.clip(probability, SMALLEST, 1 - SMALLEST)))
