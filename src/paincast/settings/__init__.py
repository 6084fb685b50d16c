"""Settings of a training run: declared with range and meaning, checked once, composed from keywords or files.

``make_settings`` makes them from keywords, ``check_settings`` checks them against their declarations, and
``list_settings(TrainingSettings)`` lists every setting with its type, default, range and meaning.
"""

from paincast.settings.checks import check_field, check_settings
from paincast.settings.choices import (
    BASES,
    CALIBRATION_METHODS,
    CARD_ITEMS,
    COHORT_SOURCES,
    FITTED_CALIBRATIONS,
    HELD_OUT,
    MAX_CONFIDENCE,
    MIN_CONFIDENCE,
    MIN_RESAMPLES,
    MODEL_KINDS,
    OBSERVATION_METHODS,
    PATIENTS_PER_INDICATION,
    SCENARIOS,
)
from paincast.settings.configs import find_configs
from paincast.settings.declarations import (
    CohortSettings,
    EvaluationSettings,
    GateSettings,
    OutcomeSettings,
    TrackingSettings,
    TrainingSettings,
)
from paincast.settings.declare import Setting, list_settings
from paincast.settings.keywords import make_settings
from paincast.settings.modelling import (
    CalibrationSettings,
    ChangeSettings,
    DurationSettings,
    ModelSettings,
    ObservationSettings,
    UncertaintySettings,
)

__all__ = [
    "BASES",
    "CALIBRATION_METHODS",
    "CARD_ITEMS",
    "COHORT_SOURCES",
    "FITTED_CALIBRATIONS",
    "HELD_OUT",
    "MAX_CONFIDENCE",
    "MIN_CONFIDENCE",
    "MIN_RESAMPLES",
    "MODEL_KINDS",
    "OBSERVATION_METHODS",
    "PATIENTS_PER_INDICATION",
    "SCENARIOS",
    "CalibrationSettings",
    "ChangeSettings",
    "CohortSettings",
    "DurationSettings",
    "EvaluationSettings",
    "GateSettings",
    "ModelSettings",
    "ObservationSettings",
    "OutcomeSettings",
    "Setting",
    "TrackingSettings",
    "TrainingSettings",
    "UncertaintySettings",
    "check_field",
    "check_settings",
    "find_configs",
    "list_settings",
    "make_settings",
]
