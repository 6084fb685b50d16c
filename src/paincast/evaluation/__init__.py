"""Evaluation of predictions: metrics with intervals, calibration, decision curves, subgroups and validation.

The public functions can be imported from here, as ``from paincast.evaluation import compute_metrics``. What only a
simulated cohort allows, comparison with its truth, is in :mod:`paincast.evaluation.simulated`.
"""

from __future__ import annotations

from paincast.evaluation.groups import (
    PooledEstimate,
    compute_metrics_by_group,
    make_audit_attributes,
    pool_groups,
    pool_random_effects,
    predict_internal_external,
    shrink_estimates,
)
from paincast.evaluation.names import name_metric
from paincast.evaluation.performance import (
    ESTIMATORS,
    METRIC_COLUMNS,
    CalibrationCurve,
    compute_auroc_delong,
    compute_auroc_within_folds,
    compute_calibration_by_groups,
    compute_calibration_curve,
    compute_change_metrics,
    compute_decision_curve,
    compute_metrics,
    compute_pinball_loss,
    compute_risk_histogram,
)
from paincast.evaluation.survival import (
    compute_aalen_johansen,
    compute_duration_metrics,
    compute_kaplan_meier,
    compute_survival_concordance,
)
from paincast.evaluation.validation import (
    compare_predictions,
    compute_development_sizes,
    compute_instability,
    compute_instability_by_bin,
    compute_instability_by_row,
    compute_log_loss_gain,
    compute_optimism,
    compute_tipping_point,
    compute_validation_sizes,
)

__all__ = [
    "ESTIMATORS",
    "METRIC_COLUMNS",
    "CalibrationCurve",
    "PooledEstimate",
    "compare_predictions",
    "compute_aalen_johansen",
    "compute_auroc_delong",
    "compute_auroc_within_folds",
    "compute_calibration_by_groups",
    "compute_calibration_curve",
    "compute_change_metrics",
    "compute_decision_curve",
    "compute_development_sizes",
    "compute_duration_metrics",
    "compute_instability",
    "compute_instability_by_bin",
    "compute_instability_by_row",
    "compute_kaplan_meier",
    "compute_log_loss_gain",
    "compute_metrics",
    "compute_metrics_by_group",
    "compute_optimism",
    "compute_pinball_loss",
    "compute_risk_histogram",
    "compute_survival_concordance",
    "compute_tipping_point",
    "compute_validation_sizes",
    "make_audit_attributes",
    "name_metric",
    "pool_groups",
    "pool_random_effects",
    "predict_internal_external",
    "shrink_estimates",
]
