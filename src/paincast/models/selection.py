"""Choosing a candidate: grouped cross-validation on log loss, one standard error towards the simpler kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.features import EpisodeEncoder
from paincast.models.learners import Model, fit_boosted, fit_logistic
from paincast.settings import ModelSettings
from paincast.splits import Fold, make_folds

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A kind of model with its tuning parameters."""

    kind: str
    parameters: dict[str, Any]

    @property
    def label(self) -> str:
        """Say in a few words what the candidate is."""
        return f"{self.kind} (" + ", ".join(f"{name}={value}" for name, value in self.parameters.items()) + ")"

    @property
    def native_missing(self) -> bool:
        """Tell whether the kind takes missing values as they are."""
        return self.kind == "xgboost"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The outcome of a choice.

    Parameters
    ----------
    candidates : tuple of Candidate
        What was compared, the simplest first.
    position : int
        Place of the chosen one.
    margins : ndarray of shape (n_candidates, n)
        Cross-fitted margins.
    losses : ndarray of shape (n_candidates, n)
        Log loss of each row.
    table : DataFrame
        One row per candidate: ``candidate, kind, log_loss, excess, excess_se, chosen``.
    """

    candidates: tuple[Candidate, ...]
    position: int
    margins: FloatArray
    losses: FloatArray
    table: pd.DataFrame

    @property
    def chosen(self) -> Candidate:
        """Give the chosen candidate."""
        return self.candidates[self.position]

    def find_best(self, weights: FloatArray) -> int:
        """Find the candidate of the chosen kind with the lowest log loss when rows are reweighted."""
        own = [position for position, one in enumerate(self.candidates) if one.kind == self.chosen.kind]
        return own[int(np.argmin(self.losses[own] @ weights))]


def list_candidates(settings: ModelSettings) -> tuple[Candidate, ...]:
    """Give the candidates of the settings, the simplest kind first."""
    penalties = sorted(settings.inverse_penalties)
    logistic = [Candidate(kind="logistic", parameters={"inverse_penalty": penalty}) for penalty in penalties]
    boosted = [Candidate(kind="xgboost", parameters=dict(p)) for p in settings.boosting]
    return tuple(c for c in (*logistic, *boosted) if c.kind in settings.candidates)


def fit_candidate(
    candidate: Candidate,
    matrix: FloatArray,
    outcome: FloatArray,
    rng: np.random.Generator,
    weights: FloatArray | None = None,
) -> Model:
    """Fit one candidate to an encoded matrix."""
    if candidate.kind == "logistic":
        return fit_logistic(matrix, outcome, weights=weights, **candidate.parameters)
    return fit_boosted(matrix, outcome, parameters=candidate.parameters, rng=rng, weights=weights)


def select_candidate(
    episodes: pd.DataFrame, outcome: FloatArray, settings: ModelSettings, rng: np.random.Generator
) -> Selection:
    """Choose a candidate by grouped cross-validation.

    The simplest candidate wins whose log loss exceeds the lowest by no more than ``settings.standard_errors`` standard
    errors of the paired difference, patients being the unit. A strongly penalised logistic model is the simplest.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Episodes in the types of the contract.
    outcome : ndarray of shape (n,)
        0 or 1.
    settings : ModelSettings
        Candidates and rules.
    rng : numpy.random.Generator
        Source of folds and of the learners' sampling.

    Returns
    -------
    Selection

    References
    ----------
    Breiman L et al. Classification and Regression Trees (1984), section 3.4.3 (one-standard-error rule).
    """
    fold_rng, fit_rng = rng.spawn(2)
    patients = episodes["patient_id"].to_numpy(object)
    folds = make_folds(outcome, patients, settings.selection_folds, fold_rng)
    candidates = list_candidates(settings)
    margins = _cross_fit(candidates, episodes, outcome, folds, fit_rng)
    losses = np.logaddexp(0.0, margins) - outcome * margins
    best = int(np.argmin(losses.mean(axis=1)))
    excess = losses - losses[best]
    table = pd.DataFrame(
        {
            "candidate": [candidate.label for candidate in candidates],
            "kind": [candidate.kind for candidate in candidates],
            "log_loss": losses.mean(axis=1),
            "excess": excess.mean(axis=1),
            "excess_se": [_clustered_standard_error(row, patients) for row in excess],
        }
    )
    chosen = _simplest_within(table, settings.standard_errors)
    table["chosen"] = table.index == chosen
    return Selection(candidates=candidates, position=chosen, margins=margins, losses=losses, table=table)


def _simplest_within(table: pd.DataFrame, standard_errors: float) -> int:
    """Find the first candidate, the simplest standing first, that is as good as the best but for chance."""
    return int(np.argmax(table["excess"] <= standard_errors * table["excess_se"]))


def _cross_fit(
    candidates: Sequence[Candidate],
    episodes: pd.DataFrame,
    outcome: FloatArray,
    folds: Sequence[Fold],
    rng: np.random.Generator,
) -> FloatArray:
    margins = np.zeros((len(candidates), len(outcome)))
    for train, test in folds:
        matrices = {
            native: _encode_fold(episodes, train, test, native)
            for native in {candidate.native_missing for candidate in candidates}
        }
        for position, candidate in enumerate(candidates):
            fitted_on, held_out = matrices[candidate.native_missing]
            model = fit_candidate(candidate, fitted_on, outcome[train], rng)
            margins[position, test] = model.margin(held_out)
    return margins


def _encode_fold(
    episodes: pd.DataFrame, train: npt.NDArray[np.intp], test: npt.NDArray[np.intp], native_missing: bool
) -> tuple[FloatArray, FloatArray]:
    encoder = EpisodeEncoder(native_missing=native_missing).fit(episodes.iloc[train])
    return encoder.transform(episodes.iloc[train]), encoder.transform(episodes.iloc[test])


def _clustered_standard_error(values: FloatArray, patients: npt.NDArray[np.object_]) -> float:
    """Give the standard error of a mean over rows when rows of one patient belong together."""
    totals = pd.Series(values - values.mean()).groupby(patients).sum().to_numpy()
    n_patients = len(totals)
    return float(np.sqrt(n_patients / max(n_patients - 1, 1) * np.sum(totals**2)) / len(values))
