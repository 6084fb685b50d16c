"""Observed survival curves, and the performance of predicted durations under censoring."""

from __future__ import annotations

from paincast.evaluation.survival.curves import compute_aalen_johansen, compute_kaplan_meier
from paincast.evaluation.survival.duration import (
    compute_brier_terms,
    compute_duration_metrics,
    compute_survival_concordance,
)

__all__ = [
    "compute_aalen_johansen",
    "compute_brier_terms",
    "compute_duration_metrics",
    "compute_kaplan_meier",
    "compute_survival_concordance",
]
