"""AUROC with the interval of DeLong, and AUROC within the folds of a cross-validation."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from paincast.evaluation.performance.concordance import compute_concordance, sum_below
from paincast.evaluation.performance.metrics import METRIC_COLUMNS, check_weights
from paincast.evaluation.predictions import (
    BoolArray,
    FloatArray,
    IntArray,
    Predictions,
    check_outcome,
    check_patients,
    check_predictions,
)
from paincast.evaluation.resampling import check_confidence
from paincast.statistics import compute_clustered_error

SMALLEST_ERROR = 1e-12
"""A standard error up to this is no measure of uncertainty."""


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
    error = _compute_error(rows, concordance.influence)
    method = f"DeLong, {rows.n_patients} patients, {100 * confidence:g} %"
    if rows.has_one_class:
        method = "not estimable: one outcome class only"
    elif not np.isfinite(error):
        method += "; no interval: fewer than two patients of a class"
    elif error <= SMALLEST_ERROR:
        method += "; no interval: the estimated error is 0, which is no measure of uncertainty"
    return _make_row("auroc_delong", group, concordance.estimate, error, rows.n, method, confidence)


def compute_auroc_within_folds(
    outcome: Any,
    score: FloatArray,
    folds: IntArray,
    *,
    patients: Any,
    confidence: float = 0.95,
    weights: Any = None,
    group: str = "overall",
) -> pd.DataFrame:
    """Compute the AUROC of cross-validated predictions over pairs of the same fold.

    Pooled over folds, the AUROC of a model without skill lies below 0.5: a fold whose patients did badly is predicted
    by a model of the others, who did better, so that prediction and outcome of folds are negatively correlated [1]_.
    Within a fold one model predicts all, and an AUROC of 0.5 is no skill. Folds are weighted by their pairs of a case
    and a non-case; repeats are averaged. Errors are those of the influence of each row, summed by patient.

    Parameters
    ----------
    outcome : array-like of shape (n,)
        0 or 1.
    score : ndarray of shape (n_repeats, n)
        Log odds or probability of each row in each repeat.
    folds : ndarray of shape (n_repeats, n)
        Fold of each row in each repeat.
    patients : array-like of shape (n,) or None
        Who each row belongs to; with None each row is a patient.
    confidence : float
        Coverage of the interval, from 0.5 to 0.999; its ends are kept within 0 and 1.
    weights : array-like of shape (n,), optional
        Weight above 0 of each row, taken as known.
    group : str
        Label of the row.

    Returns
    -------
    DataFrame
        One row ``auroc_within_folds`` in the columns of metrics; NaN if no fold holds both classes.

    Raises
    ------
    DataError
        If rows are missing, of unequal number or not allowed.
    SettingsError
        If ``confidence`` is not allowed.

    References
    ----------
    .. [1] Parker BJ, Gunter S, Bedo J. Stratification bias in low signal microarray studies. BMC Bioinformatics
       2007;8:326. doi:10.1186/1471-2105-8-326

    Examples
    --------
    >>> outcome, score, folds = [0, 1, 0, 1], np.array([[0.1, 0.2, 0.8, 0.9]]), np.array([[0, 0, 1, 1]])
    >>> compute_auroc_within_folds(outcome, score, folds, patients=None)["estimate"].tolist()
    [1.0]
    """
    check_confidence(confidence)
    observed = check_outcome(outcome)
    patient, weight = check_patients(patients, n=len(observed)), check_weights(weights, len(observed))
    repeats = [_average_folds(observed, *repeat, weight) for repeat in zip(score, folds, strict=True)]
    estimate = float(np.mean([found for found, _ in repeats]))
    error = compute_clustered_error(np.mean([influence for _, influence in repeats], axis=0), patient)
    method = f"pairs within folds, errors summed over {int(patient.max()) + 1} patients, {100 * confidence:g} %"
    if not np.isfinite(estimate):
        method = "not estimable: no fold holds both outcome classes"
    return _make_row("auroc_within_folds", group, estimate, error, len(observed), method, confidence)


def _make_row(
    metric: str, group: str, estimate: float, error: float, n: int, method: str, confidence: float
) -> pd.DataFrame:
    """Make the row of an AUROC with normal limits, kept within 0 and 1; no limits without an error above 0."""
    lower, upper = np.nan, np.nan
    if error > SMALLEST_ERROR:
        reach = NormalDist().inv_cdf(0.5 + confidence / 2.0) * error
        lower, upper = max(0.0, estimate - reach), min(1.0, estimate + reach)
    return pd.DataFrame([(metric, group, estimate, lower, upper, n, method)], columns=list(METRIC_COLUMNS))


def _average_folds(
    outcome: FloatArray, score: FloatArray, folds: IntArray, weight: FloatArray
) -> tuple[float, FloatArray]:
    """Average the AUROC over folds, and give the influence of each row on the average."""
    concordant, pairs = np.zeros(len(outcome)), np.zeros(len(outcome))
    for fold in np.unique(folds):
        rows = folds == fold
        cases, others = weight[rows] * outcome[rows], weight[rows] * (1.0 - outcome[rows])
        concordant[rows] = cases * sum_below(score[rows], others) + others * sum_below(-score[rows], cases)
        pairs[rows] = cases * others.sum() + others * cases.sum()
    # Every pair stands twice in the sums: once with its case and once with its non-case.
    total = float(pairs.sum()) / 2.0
    if total <= 0:
        return np.nan, np.full(len(outcome), np.nan)
    estimate = float(concordant.sum()) / 2.0 / total
    return estimate, (concordant - estimate * pairs) / total


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
