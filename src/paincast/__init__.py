"""Calibrated outcome predictions for image-guided pain procedures.

The names below are the public face. Each is imported when it is first used, so that importing the package costs
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paincast.version import __version__

if TYPE_CHECKING:
    from paincast import evaluation as evaluation
    from paincast import explain as explain
    from paincast.cohort.registry.ingestion import ingest as ingest
    from paincast.cohort.tables import Cohort as Cohort
    from paincast.cohort.tables import load_cohort as load_cohort
    from paincast.cohort.tables import save_cohort as save_cohort
    from paincast.cohort.validate import validate_patients as validate_patients
    from paincast.errors import DataError as DataError
    from paincast.errors import LeakError as LeakError
    from paincast.errors import OutputError as OutputError
    from paincast.errors import PaincastError as PaincastError
    from paincast.errors import RefusalError as RefusalError
    from paincast.errors import SettingsError as SettingsError
    from paincast.models.estimator import ResponseClassifier as ResponseClassifier
    from paincast.planning import Plan as Plan
    from paincast.planning import plan as plan
    from paincast.predictor import Predictor as Predictor
    from paincast.serving.evaluate import evaluate as evaluate
    from paincast.serving.predict import load_model as load_model
    from paincast.serving.predict import load_models as load_models
    from paincast.serving.predict import predict as predict
    from paincast.simulator import simulate_cohort as simulate_cohort
    from paincast.training import train as train

_HOMES = {
    "Cohort": "cohort.tables",
    "DataError": "errors",
    "LeakError": "errors",
    "OutputError": "errors",
    "PaincastError": "errors",
    "Plan": "planning",
    "Predictor": "predictor",
    "RefusalError": "errors",
    "ResponseClassifier": "models.estimator",
    "SettingsError": "errors",
    "evaluate": "serving.evaluate",
    "ingest": "cohort.registry.ingestion",
    "load_cohort": "cohort.tables",
    "load_model": "serving.predict",
    "load_models": "serving.predict",
    "plan": "planning",
    "predict": "serving.predict",
    "save_cohort": "cohort.tables",
    "simulate_cohort": "simulator",
    "train": "training",
    "validate_patients": "cohort.validate",
}
_ROOMS = ("evaluation", "explain")

__all__ = [
    "Cohort",
    "DataError",
    "LeakError",
    "OutputError",
    "PaincastError",
    "Plan",
    "Predictor",
    "RefusalError",
    "ResponseClassifier",
    "SettingsError",
    "__version__",
    "evaluate",
    "evaluation",
    "explain",
    "ingest",
    "load_cohort",
    "load_model",
    "load_models",
    "plan",
    "predict",
    "save_cohort",
    "simulate_cohort",
    "train",
    "validate_patients",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    from importlib import import_module

    if name in _ROOMS:
        return import_module(f"paincast.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'paincast' has no attribute '{name}'")
    return getattr(import_module(f"paincast.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
