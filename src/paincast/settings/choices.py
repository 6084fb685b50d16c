"""Names and bounds that settings allow and other packages use."""

from __future__ import annotations

MODEL_KINDS = ("logistic", "xgboost", "ebm")
FITTED_CALIBRATIONS = ("none", "affine")
"""Methods of calibration, the simplest first."""

OBSERVATION_METHODS = ("weighted", "complete_case")
CALIBRATION_METHODS = (*FITTED_CALIBRATIONS, "auto")
COHORT_SOURCES = ("simulated", "folder", "blended")
BASES = ("synthetic", "real", "blended")
HELD_OUT = ("none", "site", "year", "both")
SCENARIOS = ("literature", "pragmatic", "seed_optimistic")
CARD_ITEMS = (
    *("tripod_5a", "tripod_6b", "tripod_8a", "tripod_9a", "tripod_10", "tripod_11", "tripod_20a", "tripod_20b"),
    *("tripod_21", "tripod_23a", "tripod_26", "probast_d2_4", "probast_e4_6", "probast_e4_7"),
)
"""Checklist items that a gate requires by default; ``configs/gate/default.yaml`` gives the reasons."""

ALL_OUTCOMES = "all"
"""Name of an outcome setting that stands for every outcome."""

MOST_EPISODES = 10_000_000
LARGEST_SEED = 2**63 - 1
PATIENTS_PER_INDICATION = 5000
"""Default number of referred patients that are simulated of each indication."""

MIN_RESAMPLES = 50
"""Minimum number of bootstrap resamples for an interval."""

MIN_CONFIDENCE, MAX_CONFIDENCE = 0.5, 0.999

PARAMETER_RANGES = {
    "n_estimators": (1, 100_000),
    "max_depth": (0, 100),
    "learning_rate": (1e-6, 1.0),
    "min_child_weight": (0.0, 1e6),
    "reg_lambda": (0.0, 1e6),
    "reg_alpha": (0.0, 1e6),
    "subsample": (0.01, 1.0),
    "colsample_bytree": (0.01, 1.0),
    "max_rounds": (1, 1_000_000),
    "max_bins": (2, 65_535),
}
"""Ranges of the parameters that ``model.boosting`` and ``model.additive`` pass on to their libraries."""
