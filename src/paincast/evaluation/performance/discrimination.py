"""AUROC with the interval of DeLong."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from paincast.evaluation.performance.concordance import compute_concordance
from paincast.evaluation.performance.metrics import METRIC_COLUMNS
from paincast.evaluation.predictions import BoolArray, FloatArray, IntArray, Predictions, check_predictions
from paincast.evaluation.resampling import check_confidence


def compute_auroc_delong(
    outcome: Any, probability: Any, *, patients: Any, confidence: float = 0.95, group: str = "overall"
) -> pd.DataFrame:
    """Compute the AUROC with the interval of DeLong [1]_, in Obuchowski's form [2]_ where patients bring many rows.

    Every row counts once; for weighted rows there is the bootstrap.

    Parameters
    ----------
    outcome : array-like of shape (n,)
        0 or 1.
    probability : array-like of shape (n,)
        Predicted probability of outcome 1.
    patients : array-like of shape (n,) or None
        Who each row belongs to; with None each row is a patient.
    confidence : float
        Coverage of the interval, from 0.5 to 0.999; its ends are kept within 0 and 1.
    group : str
        Label of the row.

    Returns
    -------
    DataFrame
        One row ``auroc_delong`` in the columns of metrics. The estimate is NaN with one outcome class; there is no
        interval with fewer than two patients of a class, or where the estimated error is 0, as with an AUROC of 1.

    Raises
    ------
    DataError
        If rows are missing, of unequal number or not allowed.
    SettingsError
        If ``confidence`` is not allowed.

    References
    ----------
    .. [1] DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845. doi:10.2307/2531595
    .. [2] Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics 1997;53:567-578.
       doi:10.2307/2533958

    Examples
    --------
    >>> outcome, probability = [0, 0, 1, 0, 1, 1], [0.1, 0.4, 0.3, 0.5, 0.6, 0.8]
    >>> row = compute_auroc_delong(outcome, probability, patients=None)
    >>> row[["estimate", "lower", "upper"]].round(2).to_numpy().tolist()
    [[0.78, 0.29, 1.0]]
    """
    check_confidence(confidence)
    rows = check_predictions(outcome, probability, patients)
    concordance = compute_concordance(rows.probability, rows.outcome)
    error, lower, upper = _compute_error(rows, concordance.influence), np.nan, np.nan
    method = f"DeLong, {rows.n_patients} patients, {100 * confidence:g} %"
    if rows.has_one_class:
        method = "not estimable: one outcome class only"
    elif not np.isfinite(error):
        method += "; no interval: fewer than two patients of a class"
    elif error <= 1e-12:
        method += "; no interval: the estimated error is 0, which is no measure of uncertainty"
    else:
        reach = NormalDist().inv_cdf(0.5 + confidence / 2.0) * error
        lower, upper = max(0.0, concordance.estimate - reach), min(1.0, concordance.estimate + reach)
    row = ("auroc_delong", group, concordance.estimate, lower, upper, rows.n, method)
    return pd.DataFrame([row], columns=list(METRIC_COLUMNS))


def _compute_error(rows: Predictions, influence: FloatArray) -> float:
    """Compute the standard error from the sums of influences by patient, cases and others apart."""
    if rows.has_one_class:
        return np.nan
    parts, counts = zip(
        *(_sum_by_patient(rows.patient, rows.outcome == label, influence) for label in (1, 0)), strict=True
    )
    if min(counts) < 2:
        return np.nan
    within = sum(count / (count - 1) * (part @ part) for part, count in zip(parts, counts, strict=True))
    between = 2.0 * rows.n_patients / (rows.n_patients - 1) * (parts[0] @ parts[1])
    return float(np.sqrt(max(within + between, 0.0)))


def _sum_by_patient(patient: IntArray, chosen: BoolArray, influence: FloatArray) -> tuple[FloatArray, int]:
    sums: FloatArray = np.bincount(patient, weights=np.where(chosen, influence, 0.0)).astype(np.float64)
    return sums, len(np.unique(patient[chosen]))
