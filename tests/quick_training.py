"""Settings of a small training without a record, from which the tests of whole trainings start."""

from __future__ import annotations

from pathlib import Path

from paincast.settings import (
    CohortSettings,
    EvaluationSettings,
    ModelSettings,
    TrackingSettings,
    TrainingSettings,
    UncertaintySettings,
)

PLAIN = ModelSettings(candidates=["logistic"], borrowing=[0.0], splines=False, selection_folds=2)
"""Straight logistic models of the technique's own patients."""


def make_quick_settings(folder: Path, **changes: object) -> TrainingSettings:
    """Make settings that train one technique, with what differs in keywords."""
    given: dict[str, object] = {
        "cohort": CohortSettings(episodes_per_technique=250),
        "techniques": ["facet_rfa"],
        "uncertainty": UncertaintySettings(refits=10),
        "evaluation": EvaluationSettings(folds=3, resamples=60),
        "tracking": TrackingSettings(enabled=False),
        "models_folder": str(folder / "models"),
        "jobs": 1,
        "progress": False,
    }
    return TrainingSettings(**{**given, **changes})  # type: ignore[arg-type]
