"""Settings of a training run, their checks, and where the configuration files are."""

from paincast.settings.checks import check_settings
from paincast.settings.configs import find_configs
from paincast.settings.declarations import (
    CALIBRATION_METHODS,
    COHORT_SOURCES,
    FITTED_CALIBRATIONS,
    LADDER_METHODS,
    MODEL_KINDS,
    OBSERVATION_METHODS,
    SCENARIOS,
    CalibrationSettings,
    ChangeSettings,
    CohortSettings,
    DurationSettings,
    EvaluationSettings,
    LadderSettings,
    ModelSettings,
    ObservationSettings,
    OutcomeSettings,
    TrackingSettings,
    TrainingSettings,
    UncertaintySettings,
)

__all__ = [
    "CALIBRATION_METHODS",
    "COHORT_SOURCES",
    "FITTED_CALIBRATIONS",
    "LADDER_METHODS",
    "MODEL_KINDS",
    "OBSERVATION_METHODS",
    "SCENARIOS",
    "CalibrationSettings",
    "ChangeSettings",
    "CohortSettings",
    "DurationSettings",
    "EvaluationSettings",
    "LadderSettings",
    "ModelSettings",
    "ObservationSettings",
    "OutcomeSettings",
    "TrackingSettings",
    "TrainingSettings",
    "UncertaintySettings",
    "check_settings",
    "find_configs",
]
