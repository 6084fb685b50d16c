"""What each level of a ladder is worth on the same held-out rows, beside the first: one table with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from paincast.evaluation.performance.metrics import compute_metrics
from paincast.evaluation.resampling import widen_interval
from paincast.statistics import compute_log_loss

FloatArray = npt.NDArray[np.float64]

CALIBRATION = ("o_e_ratio", "calibration_slope", "auroc")


def compare_levels(
    outcome: FloatArray,
    linear_predictor: FloatArray,
    names: Sequence[str],
    *,
    patients: npt.NDArray[np.generic],
    rng: np.random.Generator,
    weights: FloatArray | None = None,
    resamples: int = 500,
    confidence: float = 0.95,
    flat: Sequence[str] = (),
) -> pd.DataFrame:
    """Compare levels by log loss, its gain over the first level, O/E, calibration slope and AUROC.

    The loss of a row is its mean over the repeats of cross-validation; the other metrics are those of the mean log
    odds. Intervals are percentiles of a bootstrap of patients, the same resamples for every level: they hold for these
    predictions and do not cover the uncertainty of fitting again.

    Parameters
    ----------
    outcome : ndarray of shape (n,)
        0 or 1.
    linear_predictor : ndarray of shape (n_levels, n_repeats, n)
        Cross-fitted log odds.
    names : sequence of str
        Levels; gains are over the first.
    patients : ndarray of shape (n,)
        Patient of each row.
    rng : numpy.random.Generator
        Source of the resamples.
    weights : ndarray of shape (n,), optional
        Weights of the rows.
    resamples, confidence : int, float
        Of the bootstrap.
    flat : sequence of str
        Levels that give all patients of a fold the same log odds: these differ between folds against the outcome held
        out, so that slope and AUROC would measure the folds; they are left empty.

    Returns
    -------
    DataFrame
        ``level, log_loss, gain, o_e_ratio, calibration_slope, auroc``, each followed by its ``_lower`` and ``_upper``
        (NaN where a metric does not exist, as the slope of constant predictions), and ``n``. An interval is widened,
        where needed, to hold its estimate.
    """
    weight = np.ones(len(outcome)) if weights is None else weights
    loss_rng, metric_rng = rng.spawn(2)
    losses = compute_log_loss(linear_predictor, outcome).mean(axis=1)
    drawn = _resample_means(np.concatenate([losses, losses[0] - losses]), weight, patients, resamples, loss_rng)
    means = np.concatenate([losses, losses[0] - losses]) @ weight / weight.sum()
    limits = [_limit(mean, part, confidence) for mean, part in zip(means, drawn.T, strict=True)]
    seed = int(metric_rng.integers(2**63))
    rows = []
    for position, name in enumerate(names):
        row: dict[str, object] = {"level": name}
        for measure, column in (("log_loss", position), ("gain", len(names) + position)):
            row |= {
                measure: means[column],
                f"{measure}_lower": limits[column][0],
                f"{measure}_upper": limits[column][1],
            }
        metrics = compute_metrics(
            outcome,
            expit(linear_predictor[position].mean(axis=0)),
            patients=patients,
            rng=np.random.default_rng(seed),
            resamples=resamples,
            confidence=confidence,
            weights=weights,
        ).set_index("metric")
        if name in flat:
            metrics.loc[["calibration_slope", "auroc"], ["estimate", "lower", "upper"]] = np.nan
        for measure in CALIBRATION:
            estimates = metrics.loc[measure]
            row |= {
                measure: estimates["estimate"],
                f"{measure}_lower": estimates["lower"],
                f"{measure}_upper": estimates["upper"],
            }
        rows.append({**row, "n": len(outcome)})
    return pd.DataFrame(rows)


def _limit(mean: float, drawn: FloatArray, confidence: float) -> tuple[float, float]:
    lower, upper = np.quantile(drawn, [0.5 - confidence / 2, 0.5 + confidence / 2])
    limits = float(lower), float(upper)
    return limits if lower <= mean <= upper else widen_interval(mean, limits, drawn, confidence)


def _resample_means(
    values: FloatArray,
    weight: FloatArray,
    patients: npt.NDArray[np.generic],
    resamples: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Return the weighted means of rows of values in each resample of patients, shape (resamples, n_values)."""
    codes, names = pd.factorize(patients)
    totals = np.array([np.bincount(codes, weight * row, len(names)) for row in values])
    mass = np.bincount(codes, weight, len(names))
    means = np.empty((resamples, len(values)))
    for position in range(resamples):
        counts = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        means[position] = totals @ counts / (mass @ counts)
    return means
