"""Brier score and log loss taken apart: miscalibration less discrimination plus uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression
from scipy.special import xlogy

from paincast.evaluation.performance.metrics import METRIC_COLUMNS, order_weights
from paincast.evaluation.resampling import (
    check_confidence,
    check_resamples,
    describe_estimate,
    draw_patient_weights,
)
from paincast.evaluation.scored import PROBABILITY_FLOOR, FloatArray, ScoredRows, check_scored_rows

PARTS = ("miscalibration", "discrimination", "uncertainty")
SCORES = ("brier", "log_loss")


def compute_score_decomposition(
    outcome: Any,
    probability: Any,
    *,
    patients: Any,
    rng: np.random.Generator,
    resamples: int = 200,
    confidence: float = 0.95,
    group: str = "overall",
    weights: Any = None,
) -> pd.DataFrame:
    """Take Brier score and log loss apart by isotonic recalibration: ``miscalibration - discrimination + uncertainty``.

    Miscalibration is what the recalibrated predictions save, discrimination what these save over the observed rate, and
    uncertainty the score of the observed rate [1]_. Miscalibration and discrimination are above 0 in few rows even for
    predictions that are calibrated and know nothing, and more so in a resample: their limits lie high.

    Parameters
    ----------
    outcome, probability, patients, rng, resamples, confidence, group, weights
        As for :func:`paincast.evaluation.performance.metrics.compute_metrics`.

    Returns
    -------
    DataFrame
        Rows ``brier_miscalibration``, ``brier_discrimination``, ``brier_uncertainty`` and the same of ``log_loss``, in
        the columns of metrics. With one outcome class nothing is left to take apart: NaN with that reason.

    Raises
    ------
    DataError
        If rows are missing, of unequal number or not allowed.
    SettingsError
        If a setting is not allowed.

    References
    ----------
    .. [1] Dimitriadis T, Gneiting T, Jordan AI. Stable reliability diagrams for probabilistic classifiers. Proc Natl
       Acad Sci 2021;118:e2016191118. doi:10.1073/pnas.2016191118

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> found = compute_score_decomposition([0, 1] * 10, [0.2, 0.6] * 10, patients=None, rng=rng, resamples=50)
    >>> found["estimate"].head(3).round(2).tolist()
    [0.1, 0.25, 0.25]
    """
    check_resamples(resamples)
    check_confidence(confidence)
    rows = check_scored_rows(outcome, probability, patients)
    whole = order_weights(weights, probability, rows)
    estimates = _decompose(rows, whole[0])
    resampled = np.concatenate(
        [[_decompose(rows, one) for one in block * whole] for block in draw_patient_weights(rows, resamples, rng)]
    )
    manner = (
        f"isotonic recalibration; percentile bootstrap of {rows.n_patients} patients, {resamples} resamples, "
        f"{100 * confidence:g} %"
    )
    names = [f"{score}_{part}" for score in SCORES for part in PARTS]
    table = [
        {
            "metric": name,
            "group": group,
            "n": rows.n,
            **describe_estimate(
                float(estimates[place]), resampled[:, place], confidence, manner, reason=_find_obstacle(rows)
            ),
        }
        for place, name in enumerate(names)
    ]
    return pd.DataFrame(table, columns=list(METRIC_COLUMNS))


def _find_obstacle(rows: ScoredRows) -> str:
    return "one outcome class only" if rows.has_one_class else ""


def _decompose(rows: ScoredRows, weights: FloatArray) -> FloatArray:
    """Take both scores apart, shape (6,); NaN with one outcome class."""
    weight, cases = (np.add.reduceat(part, rows.tie_starts) for part in (weights, weights * rows.outcome))
    present = weight > 0
    weight, cases, predicted = weight[present], cases[present], rows.probability[rows.tie_starts[present]]
    if cases.sum() <= 0 or cases.sum() >= weight.sum():
        return np.full(len(SCORES) * len(PARTS), np.nan)
    recalibrated = isotonic_regression(cases / weight, weights=weight).x
    rate = np.full(len(weight), cases.sum() / weight.sum())
    parts = []
    for score in (_score_brier, _score_log_loss):
        given, best, none = (score(weight, cases, forecast) for forecast in (predicted, recalibrated, rate))
        parts += [given - best, none - best, none]
    return np.array(parts)


def _score_brier(weight: FloatArray, cases: FloatArray, forecast: FloatArray) -> float:
    return float((cases * (1.0 - forecast) ** 2 + (weight - cases) * forecast**2).sum() / weight.sum())


def _score_log_loss(weight: FloatArray, cases: FloatArray, forecast: FloatArray) -> float:
    kept = np.clip(forecast, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    return float(-(xlogy(cases, kept) + xlogy(weight - cases, 1.0 - kept)).sum() / weight.sum())
