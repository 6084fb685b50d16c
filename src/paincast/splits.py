"""Splits that respect people: all episodes of a patient stay on one side."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from paincast.errors import RefusalError

Fold = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
FloatArray = npt.NDArray[np.float64]

MOST_DRAWS = 50
"""How often patients are drawn into folds until both classes are left to train on in each."""


class QuickGroupKFold(StratifiedGroupKFold):  # type: ignore[misc]
    """The folds of scikit-learn's StratifiedGroupKFold, six times as fast: all folds are tried on a group at once."""

    def _find_best_fold(self, y_counts_per_fold: FloatArray, y_cnt: FloatArray, group_y_counts: FloatArray) -> int:
        """Give the fold that leaves the classes spread most evenly; of equals, the one with fewest episodes."""
        each = np.arange(self.n_splits)
        proposed = np.repeat(y_counts_per_fold[None], self.n_splits, axis=0)
        proposed[each, each] += group_y_counts
        deviations = proposed / y_cnt
        deviations -= deviations.sum(axis=1, keepdims=True) / self.n_splits
        unevenness = np.sqrt((deviations**2).sum(axis=1) / self.n_splits).mean(axis=1).tolist()
        sizes = y_counts_per_fold.sum(axis=1).tolist()
        best = 0
        for fold in range(1, self.n_splits):
            least = unevenness[best]
            equal = abs(unevenness[fold] - least) <= 1e-8 + 1e-5 * least
            if unevenness[fold] < least or (equal and sizes[fold] < sizes[best]):
                best = fold
        return best


def count_smaller_class(outcome: FloatArray, patients: npt.NDArray[np.generic] | None = None) -> int:
    """Count the episodes of the class of the outcome that has fewer or, where they are told, the patients.

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
    """Split episodes into folds, stratified by outcome, patients kept together.

    Parameters
    ----------
    outcome : ndarray of shape (n_episodes,)
        0 or 1.
    patients : ndarray of shape (n_episodes,)
        Patient of each episode.
    n_folds : int
        Number of folds wanted; fewer are made when one class has fewer patients.
    rng : numpy.random.Generator
        Source of the shuffle.

    Returns
    -------
    list of (train, test)
        Positions of the rows on each side. Both classes are left to train on, where the patients allow it.

    Raises
    ------
    RefusalError
        If one class holds fewer than two patients.
    """
    smallest = count_smaller_class(outcome, patients)
    if smallest < 2:
        raise RefusalError("cannot split: fewer than 2 patients in the smaller outcome class", code="PC-SPLITS-01")
    asked = {
        "n_splits": min(n_folds, smallest),
        "shuffle": True,
        "random_state": np.random.RandomState(rng.bit_generator),
    }
    stratified, free = QuickGroupKFold(**asked), GroupKFold(**asked)
    folds = drawn = list(stratified.split(outcome, outcome, patients))
    # Few patients, some with both classes: stratifying can then leave one class alone to train on.
    for _ in range(MOST_DRAWS):
        if all(count_smaller_class(outcome[train]) for train, _ in drawn):
            return drawn
        drawn = list(free.split(outcome, outcome, patients))
    return folds


def spread_folds(
    outcome: FloatArray, patients: npt.NDArray[np.object_], n_folds: int, rng: np.random.Generator
) -> list[tuple[Fold, np.random.Generator]]:
    """Split episodes into folds when some are lost to follow-up, and give each fold a stream of its own.

    Those seen are stratified by outcome, those lost likewise if there is one for each fold.

    Parameters
    ----------
    outcome : ndarray of shape (n_episodes,)
        0 or 1, NaN for those lost; both classes present.
    patients : ndarray of shape (n_episodes,)
        Patient of each episode.
    n_folds : int
        As for :func:`make_folds`.
    rng : numpy.random.Generator
        Source of the shuffle and of the streams.

    Returns
    -------
    list of ((train, test), Generator)
        Positions of the rows on each side, and a stream.

    Raises
    ------
    RefusalError
        If one class holds fewer than two patients.
    """
    fold_rng, stream_rng = rng.spawn(2)
    lost = np.isnan(outcome)
    # A few lost join the larger class: among the smaller they would stand in for events that a fold then lacks.
    larger = float(np.nanmean(outcome) >= 0.5)
    strata = np.where(lost, 2.0 if lost.sum() >= n_folds else larger, outcome)
    folds = make_folds(strata, patients, n_folds, fold_rng)
    return list(zip(folds, stream_rng.spawn(len(folds)), strict=True))
