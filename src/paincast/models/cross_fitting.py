"""Cross-fit a binary outcome: predict every patient by a model that has not seen the patient."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.models.class_sizes import require_both_classes
from paincast.progress import SILENT, Progress
from paincast.settings import TrainingSettings
from paincast.splits import CrossFitted, spread_folds

FloatArray = npt.NDArray[np.float64]


class FitAndPredict(Protocol):
    """Fit on some episodes and predict the log odds of others, shape (m,)."""

    def __call__(  # noqa: D102
        self, train: pd.DataFrame, outcome: FloatArray, test: pd.DataFrame, rng: np.random.Generator, /
    ) -> FloatArray: ...


def cross_fit(
    fit_and_predict: FitAndPredict,
    episodes: pd.DataFrame,
    outcome: FloatArray,
    settings: TrainingSettings,
    rng: np.random.Generator,
    *,
    progress: Progress = SILENT,
) -> CrossFitted:
    """Predict every episode by a model that was not fitted on its patient.

    Parameters
    ----------
    fit_and_predict : callable
        The whole modelling.
    episodes : DataFrame of shape (n, ...)
        All eligible episodes.
    outcome : ndarray of shape (n,)
        0 or 1; NaN where follow-up is missing.
    settings : TrainingSettings
        Folds and repeats of the outer loop, processes, and the smallest class.
    rng : numpy.random.Generator
        Source of folds; each fold gets a stream of its own.
    progress : Progress
        Advanced by each fold.

    Returns
    -------
    CrossFitted
        Including episodes lost to follow-up.

    Raises
    ------
    RefusalError
        If one class of the outcome is too small.
    """
    require_both_classes(outcome, settings.model.minimum_events)
    patients = episodes["patient_id"].to_numpy(object)
    evaluation = settings.evaluation
    tasks = [
        (train, test, child, (repeat, fold))
        for repeat, repeat_rng in enumerate(rng.spawn(evaluation.repeats))
        for fold, ((train, test), child) in enumerate(spread_folds(outcome, patients, evaluation.folds, repeat_rng))
    ]
    from joblib import Parallel, delayed

    held_out = Parallel(n_jobs=settings.jobs, return_as="generator")(
        delayed(fit_and_predict)(episodes.iloc[train], outcome[train], episodes.iloc[test], child)
        for train, test, child, _ in tasks
    )
    shape = evaluation.repeats, len(outcome)
    crossed = CrossFitted(np.zeros(shape), np.zeros(shape, dtype=np.int64))
    progress.expect(len(tasks))
    for (_, test, _, (repeat, fold)), predicted in zip(tasks, held_out, strict=True):
        crossed.by_repeat[repeat, test], crossed.folds[repeat, test] = predicted, fold
        progress.advance()
    return crossed
