"""Internal-external cross-validation: each site predicted from the others, or each year from those before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from paincast.errors import DataError, PaincastError
from paincast.evaluation.predictions import FloatArray, IntArray, check_patients, check_probability
from paincast.evaluation.validation.optimism import FitAndPredict
from paincast.progress import SILENT, Progress


def predict_internal_external(
    fit_and_predict: FitAndPredict,
    groups: Any,
    *,
    patients: Any,
    rng: np.random.Generator,
    earlier_only: bool = False,
    jobs: int = 1,
    progress: Progress = SILENT,
) -> tuple[FloatArray, pd.DataFrame]:
    """Repeat the whole modelling without each group in turn and predict for it: internal-external validation [1]_.

    Patients of the group who have rows in others are left out of the modelling too. Feed the predictions to
    :func:`paincast.evaluation.groups.subgroups.compute_metrics_by_group` and its table to
    :func:`paincast.evaluation.groups.subgroups.pool_groups`.

    Parameters
    ----------
    fit_and_predict : callable
        As for :func:`paincast.evaluation.validation.optimism.compute_optimism`.
    groups : array-like of shape (n,)
        Site, or year with ``earlier_only``; rows without one are never held out and, with ``earlier_only``, not used.
    patients : array-like of shape (n,) or None
        Who each row belongs to; with None each row is a patient.
    rng : Generator
        Each group gets a generator of its own, so that ``jobs`` changes nothing.
    earlier_only : bool
        Whether a group is predicted from groups before it only (temporal validation); the first is not predicted.
    jobs : int
        Processes at work, -1 for one a core.
    progress : Progress
        Advanced by one after each of the groups.

    Returns
    -------
    probability : ndarray of shape (n,)
        NaN for rows that were not predicted.
    held_out : DataFrame
        One row per group: ``group, predicted, reason``; ``reason`` says why a group was not predicted.

    Raises
    ------
    DataError
        If there are fewer than two groups.

    References
    ----------
    .. [1] Steyerberg EW, Harrell FE. Prediction models need appropriate internal, internal-external, and external
       validation. J Clin Epidemiol 2016;69:245-247. doi:10.1016/j.jclinepi.2015.04.005

    Examples
    --------
    >>> outcome, site = np.array([0.0, 1.0, 1.0, 1.0]), ["a", "a", "b", "b"]
    >>> def fit(rows, rng):
    ...     return np.full(4, outcome[rows].mean())
    >>> predict_internal_external(fit, site, patients=None, rng=np.random.default_rng(1))[0].tolist()
    [1.0, 1.0, 0.5, 0.5]
    """
    codes, names = pd.factorize(pd.Series(groups), sort=True)
    if len(names) < 2:
        raise DataError(f"{len(names)} group to hold out; at least 2 are needed", code="PC-EVALUATION-01")
    patient = check_patients(patients, n=len(codes))
    tasks = [
        delayed(_predict_one)(fit_and_predict, codes.astype(np.int64), patient, number, earlier_only, stream)
        for number, stream in enumerate(rng.spawn(len(names)))
    ]
    probability = np.full(len(codes), np.nan)
    reasons = []
    progress.expect(len(names))
    for number, (predicted, reason) in enumerate(Parallel(n_jobs=jobs, return_as="generator")(tasks)):
        probability[codes == number] = predicted
        reasons.append(reason)
        progress.advance()
    held_out = pd.DataFrame({"group": list(names), "predicted": [not reason for reason in reasons], "reason": reasons})
    return probability, held_out


def _predict_one(
    fit_and_predict: FitAndPredict,
    codes: IntArray,
    patient: IntArray,
    number: int,
    earlier_only: bool,
    rng: np.random.Generator,
) -> tuple[FloatArray, str]:
    inside = codes == number
    others = (codes >= 0) & (codes < number) if earlier_only else ~inside
    rows = np.flatnonzero(others & ~np.isin(patient, patient[inside]))
    absent = np.full(int(inside.sum()), np.nan)
    if not len(rows):
        return absent, "no rows to learn from"
    try:
        predicted = np.asarray(fit_and_predict(rows, rng))[inside]
    except PaincastError as error:
        return absent, str(error)
    return check_probability(predicted, n=int(inside.sum())), ""
