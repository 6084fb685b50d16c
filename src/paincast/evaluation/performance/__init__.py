"""Performance of predictions: metrics with intervals, calibration, decision curves.

Each metric of binary outcomes is defined once, in :data:`ESTIMATORS`; the compiled pass makes many resamples fast.
"""

from __future__ import annotations

from paincast.evaluation.performance.calibration_by_groups import compute_calibration_by_groups, compute_risk_histogram
from paincast.evaluation.performance.calibration_curve import CalibrationCurve, compute_calibration_curve
from paincast.evaluation.performance.change import compute_change_metrics, compute_pinball_loss
from paincast.evaluation.performance.decision import compute_decision_curve
from paincast.evaluation.performance.discrimination import compute_auroc_delong, compute_auroc_within_folds
from paincast.evaluation.performance.estimators import ESTIMATORS
from paincast.evaluation.performance.metrics import METRIC_COLUMNS, compute_metrics

__all__ = [
    "ESTIMATORS",
    "METRIC_COLUMNS",
    "CalibrationCurve",
    "compute_auroc_delong",
    "compute_auroc_within_folds",
    "compute_calibration_by_groups",
    "compute_calibration_curve",
    "compute_change_metrics",
    "compute_decision_curve",
    "compute_metrics",
    "compute_pinball_loss",
    "compute_risk_histogram",
]
