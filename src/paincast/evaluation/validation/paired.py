"""Paired comparison of two models on the same patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from paincast.evaluation.performance.calibration_curve import make_ici
from paincast.evaluation.performance.estimators import ESTIMATORS, Estimator
from paincast.evaluation.performance.metrics import resample_estimators
from paincast.evaluation.predictions import FloatArray, Predictions, check_predictions
from paincast.evaluation.resampling import (
    check_confidence,
    check_resamples,
    describe_estimate,
)

PAIRED_COLUMNS = ("metric", "champion", "candidate", "difference", "lower", "upper", "n", "method")

COMPARED: Mapping[str, Callable[[Predictions], Estimator]] = MappingProxyType(
    {name: ESTIMATORS[name] for name in ("log_loss", "brier", "auroc", "calibration_slope")} | {"ici": make_ici}
)


def compare_predictions(
    outcome: Any,
    champion: Any,
    candidate: Any,
    *,
    patients: Any,
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compare the predictions of two models for the same rows by a paired bootstrap of patients.

    Both models are measured in the same resamples, so that what makes a resample easy or hard for both cancels. The
    estimand is the difference on patients like these, candidate minus champion, both models taken as given. Log loss,
    Brier score and ICI are better below, AUROC above; of the calibration slope 1 is best.

    Parameters
    ----------
    outcome : array-like of shape (n,)
        0 or 1.
    champion, candidate : array-like of shape (n,)
        Predicted probabilities, from models that were not trained on these rows.
    patients : array-like of shape (n,) or None
        Who each row belongs to; with None each row is a patient.
    rng : Generator
        Source of the resamples.
    resamples : int
        Number of bootstrap resamples, at least 50.
    confidence : float
        Coverage of the intervals, from 0.5 to 0.999.

    Returns
    -------
    DataFrame
        Columns :data:`PAIRED_COLUMNS`, a row for each of :data:`COMPARED`. There is no interval where the difference
        is the same in all resamples, as of a model and itself.

    Raises
    ------
    DataError
        If rows are missing, of unequal number or not allowed.
    SettingsError
        If a setting is not allowed.

    Examples
    --------
    >>> outcome, champion, candidate = [0, 1, 0, 1, 1], [0.4, 0.5, 0.6, 0.5, 0.7], [0.2, 0.6, 0.5, 0.6, 0.9]
    >>> table = compare_predictions(outcome, champion, candidate, patients=None, rng=np.random.default_rng(1))
    >>> table.set_index("metric").loc["brier", ["champion", "candidate", "difference"]].astype(float).round(3).tolist()
    [0.222, 0.124, -0.098]
    """
    check_resamples(resamples)
    check_confidence(confidence)
    seed = int(rng.integers(2**63))
    both = [check_predictions(outcome, probability, patients) for probability in (champion, candidate)]
    (first, first_drawn), (second, second_drawn) = (_measure(rows, resamples, seed) for rows in both)
    n_patients = both[0].n_patients
    manner = f"paired percentile bootstrap of {n_patients} patients, {resamples} resamples, {100 * confidence:g} %"
    table = []
    for metric in COMPARED:
        difference, drawn = second[metric] - first[metric], second_drawn[metric] - first_drawn[metric]
        reason = "it does not exist for both models" if np.isnan(difference) else ""
        described = describe_estimate(difference, drawn, confidence, manner, reason=reason)
        row = {"metric": metric, "champion": first[metric], "candidate": second[metric], "n": both[0].n}
        table.append({**row, "difference": described.pop("estimate"), **described})
    return pd.DataFrame(table, columns=list(PAIRED_COLUMNS))


def _measure(rows: Predictions, resamples: int, seed: int) -> tuple[dict[str, float], dict[str, FloatArray]]:
    """Measure rows as they are and in each resample; one seed draws the same patients whatever their order."""
    estimators = {metric: make(rows) for metric, make in COMPARED.items()}
    whole = np.ones((1, rows.n))
    estimates = {metric: float(estimate(whole)[0]) for metric, estimate in estimators.items()}
    return estimates, resample_estimators(estimators, rows, whole, resamples, np.random.default_rng(seed))
