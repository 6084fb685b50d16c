"""Gain of predictions over the overall risk: what is lost by telling every patient the same share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit

from paincast.evaluation.performance.metrics import METRIC_COLUMNS, order_weights
from paincast.evaluation.predictions import check_predictions
from paincast.evaluation.resampling import check_confidence
from paincast.statistics import compute_clustered_mean, compute_log_loss


def compute_log_loss_gain(
    outcome: Any,
    probability: Any,
    *,
    patients: Any,
    confidence: float = 0.95,
    group: str = "overall",
    weights: Any = None,
) -> pd.DataFrame:
    """Compute how much lower the log loss of predictions is than that of the overall risk, paired by patient.

    The overall risk is the observed share of these very patients, which no model knows in advance: the gain is
    understated by about half a nat divided by the number of patients. As the share minimises its loss, its own error
    does not enter the interval to first order.

    Parameters
    ----------
    outcome, probability, patients, group, weights
        As for :func:`paincast.evaluation.performance.metrics.compute_metrics`.
    confidence : float
        Coverage of the interval, from 0.5 to 0.999.

    Returns
    -------
    DataFrame
        One row ``log_loss_gain`` in nats per patient, in the columns of metrics; above 0, the predictions are better.
        NaN with one outcome class; without an interval where the error is 0.

    Raises
    ------
    DataError
        If rows are missing, of unequal number or not allowed.
    SettingsError
        If ``confidence`` is not allowed.

    References
    ----------
    Gneiting T, Raftery AE. Strictly proper scoring rules, prediction, and estimation. J Am Stat Assoc
    2007;102:359-378. doi:10.1198/016214506000001437

    Examples
    --------
    >>> row = compute_log_loss_gain([0, 0, 1, 1], [0.2, 0.6, 0.4, 0.9], patients=None)
    >>> row["estimate"].round(3).tolist()
    [0.153]
    """
    check_confidence(confidence)
    rows = check_predictions(outcome, probability, patients)
    weight = order_weights(weights, probability, rows)[0]
    method = f"error of sums by patient, {rows.n_patients} patients, {100 * confidence:g} %"
    estimate = lower = upper = np.nan
    if rows.has_one_class:
        method = "not estimable: one outcome class only"
    else:
        share = float(np.average(rows.outcome, weights=weight))
        of_share = compute_log_loss(np.full(rows.n, float(logit(share))), rows.outcome)
        gain = of_share - compute_log_loss(rows.log_odds, rows.outcome)
        estimate, lower, upper = compute_clustered_mean(gain, rows.patient, confidence, weight)
        if not lower < upper:
            lower, upper, method = np.nan, np.nan, f"{method}; no interval: the estimated error is 0"
    row = ("log_loss_gain", group, estimate, lower, upper, rows.n, method)
    return pd.DataFrame([row], columns=list(METRIC_COLUMNS))
