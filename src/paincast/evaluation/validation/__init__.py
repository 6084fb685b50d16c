"""Is an apparent performance real: optimism, instability, paired comparison, loss to follow-up, sample size."""

from __future__ import annotations

from paincast.evaluation.validation.delta_adjusted import compute_tipping_point
from paincast.evaluation.validation.optimism import compute_optimism
from paincast.evaluation.validation.overall_risk import compute_log_loss_gain
from paincast.evaluation.validation.paired import compare_predictions
from paincast.evaluation.validation.sample_size import compute_development_sizes, compute_validation_sizes
from paincast.evaluation.validation.stability import (
    compute_instability,
    compute_instability_by_bin,
    compute_instability_by_row,
)

__all__ = [
    "compare_predictions",
    "compute_development_sizes",
    "compute_instability",
    "compute_instability_by_bin",
    "compute_instability_by_row",
    "compute_log_loss_gain",
    "compute_optimism",
    "compute_tipping_point",
    "compute_validation_sizes",
]
