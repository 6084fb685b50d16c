"""Names of metrics and texts of their estimates, for readers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

METRIC_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "auroc": "AUROC",
        "auroc_within_folds": "AUROC within folds",
        "log_loss_gain": "Log loss of the overall risk minus that of the model",
        "auroc_delong": "AUROC, interval of DeLong",
        "auprc": "Area under the precision-recall curve",
        "scaled_brier": "Scaled Brier score",
        "ici": "ICI: mean distance of the flexible curve",
        "ici_loess": "ICI by loess, which follows steps",
        "e50": "E50: median distance of the flexible curve",
        "e90": "E90: distance of the flexible curve, 90th percentile",
        "emax": "Emax: largest distance of the flexible curve",
        "ece": "ECE: mean distance in ten groups",
        "regret": "Log loss above that of the true probabilities",
        "log_loss": "Log loss",
        "brier": "Brier score",
        "o_e_ratio": "Observed / expected",
        "calibration_intercept": "Calibration intercept (slope fixed at 1)",
        "calibration_slope": "Calibration slope",
        "bayes_optimal_auroc": "AUROC of the true probabilities",
        "auroc_above_truth": "AUROC above that of the true probabilities",
        "mean_absolute_error_of_probability": "Mean distance from the true probability",
        "integrated_brier": "Integrated Brier score",
        "integrated_brier_gain": "Integrated Brier score of the curve of all minus that of the model",
        "concordance_uno": "Concordance (Uno)",
        "concordance_harrell": "Concordance (Harrell)",
        "coverage": "Share of changes inside the interval",
        "below_interval": "Share of changes below the interval",
        "above_interval": "Share of changes above the interval",
        "mean_width": "Mean width of the interval, points",
        "pinball_loss": "Pinball loss, points",
        "pinball_gain": "Pinball loss of the quantiles of all minus that of the model, points",
        "mean_absolute_error": "Mean absolute error of the median, points",
        "below_median": "Share of changes below the median",
        "o_e_elsewhere": "Observed / expected elsewhere",
        "slope_elsewhere": "Calibration slope elsewhere",
        "gain": "Gain over the overall risk",
        "net_benefit": "Net benefit of selecting by prognosis",
        "follow_up": "Lost to follow-up",
        "instability_mean": "Distance of refits from the served probability, mean",
        "instability_median": "Distance of refits from the served probability, median patient",
        **{f"instability_q{part}": f"Distance of refits, {part}th percentile" for part in ("25", "75", "95")},
        "interval_width": "Mean width of an individual's interval",
        "effective_df": "Effective degrees of freedom",
        "instability_q05": "Distance of refits, 5th percentile",
    }
)


def name_metric(metric: str) -> str:
    """Return the name of a metric for a reader; that of one month with the month.

    Examples
    --------
    >>> name_metric("brier"), name_metric("brier_6"), name_metric("some_new_one")
    ('Brier score', 'Brier score, month 6', 'Some new one')
    """
    whole, _, month = metric.rpartition("_")
    if whole in METRIC_NAMES and month.replace(".", "").isdecimal():
        return f"{METRIC_NAMES[whole]}, month {month}"
    return METRIC_NAMES.get(metric, metric.replace("_", " ").capitalize())


def format_estimate(
    row: Mapping[Any, Any] | pd.Series,
    *,
    digits: int = 2,
    absent: str = "not estimable",
    no_interval: str = " (no interval)",
) -> str:
    """Format an estimate with its interval, from the columns ``estimate, lower, upper``.

    Examples
    --------
    >>> format_estimate({"estimate": 0.712, "lower": 0.66, "upper": 0.764})
    '0.71 (0.66 to 0.76)'
    """
    estimate, lower, upper = (f"{row[name]:z.{digits}f}" for name in ("estimate", "lower", "upper"))
    if np.isnan(row["estimate"]):
        return absent
    if np.isnan(row["lower"]) or np.isnan(row["upper"]):
        return estimate + no_interval
    return f"{estimate} ({lower} to {upper})"
