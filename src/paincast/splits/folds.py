"""Cross-validation splits by patient: all episodes of a patient are in the same fold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.errors import RefusalError

Fold = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MOST_DRAWS = 50
"""Maximum number of draws until every training set contains both classes."""


class CrossFitted(NamedTuple):
    """Log odds of every episode from models that were not fitted on its patient.

    Parameters
    ----------
    by_repeat : ndarray of shape (n_repeats, n)
        Log odds in each repeat of the cross-validation.
    folds : ndarray of shape (n_repeats, n)
        Fold of each episode in each repeat: one model predicted the episodes of a fold.
    """

    by_repeat: FloatArray
    folds: IntArray

    @property
    def linear_predictor(self) -> FloatArray:
        """Log odds averaged over the repeats, shape (n,)."""
        return np.asarray(self.by_repeat.mean(axis=0))


def count_smaller_class(outcome: FloatArray, patients: npt.NDArray[np.generic] | None = None) -> int:
    """Count the episodes in the smaller outcome class, or the patients if ``patients`` is given.

    Examples
    --------
    >>> count_smaller_class(np.array([0.0, 0.0, 1.0, 1.0, 0.0]), np.array(["a", "b", "c", "c", "d"]))
    1
    """
    units = np.arange(len(outcome)) if patients is None else patients
    return min(len(set(units[outcome == label])) for label in (0.0, 1.0))


def make_folds(
    outcome: FloatArray, patients: npt.NDArray[np.object_], n_folds: int, rng: np.random.Generator
) -> list[Fold]:
    """Split episodes into folds, stratified by outcome and grouped by patient.

    Parameters
    ----------
    outcome : ndarray of shape (n_episodes,)
        0 or 1.
    patients : ndarray of shape (n_episodes,)
        Patient of each episode.
    n_folds : int
        Requested number of folds; reduced if a class has fewer patients.
    rng : numpy.random.Generator
        Random generator for shuffling.

    Returns
    -------
    list of (train, test)
        Row positions of the training and test sets. Training sets contain both classes if possible.

    Raises
    ------
    RefusalError
        If a class has fewer than two patients.
    """
    from sklearn.model_selection import GroupKFold

    from paincast.splits.grouped import QuickGroupKFold

    smallest = count_smaller_class(outcome, patients)
    if smallest < 2:
        raise RefusalError("cannot split: fewer than 2 patients in the smaller outcome class", code="PC-SPLITS-01")
    options = {
        "n_splits": min(n_folds, smallest),
        "shuffle": True,
        "random_state": np.random.RandomState(rng.bit_generator),
    }
    stratified, free = QuickGroupKFold(**options), GroupKFold(**options)
    folds = drawn = list(stratified.split(outcome, outcome, patients))
    # With few patients, some in both classes, stratification can leave only a single class in a training set.
    for _ in range(MOST_DRAWS):
        if all(count_smaller_class(outcome[train]) for train, _ in drawn):
            return drawn
        drawn = list(free.split(outcome, outcome, patients))
    return folds


def spread_folds(
    outcome: FloatArray, patients: npt.NDArray[np.object_], n_folds: int, rng: np.random.Generator
) -> list[tuple[Fold, np.random.Generator]]:
    """Split episodes into folds if some are lost to follow-up, with a separate random stream for each fold.

    Observed episodes are stratified by outcome; lost episodes are a stratum if there is at least one for each fold.

    Parameters
    ----------
    outcome : ndarray of shape (n_episodes,)
        0 or 1, NaN if lost to follow-up; both classes present.
    patients : ndarray of shape (n_episodes,)
        Patient of each episode.
    n_folds : int
        As for :func:`make_folds`.
    rng : numpy.random.Generator
        Random generator for shuffling and for the streams.

    Returns
    -------
    list of ((train, test), Generator)
        Row positions of the training and test sets, and a random stream.

    Raises
    ------
    RefusalError
        If a class has fewer than two patients.
    """
    fold_rng, stream_rng = rng.spawn(2)
    lost = np.isnan(outcome)
    # Few lost episodes are assigned to the larger class; in the smaller class they could leave a fold without events.
    larger = float(np.nanmean(outcome) >= 0.5)
    strata = np.where(lost, 2.0 if lost.sum() >= n_folds else larger, outcome)
    folds = make_folds(strata, patients, n_folds, fold_rng)
    return list(zip(folds, stream_rng.spawn(len(folds)), strict=True))
