"""Calibrated outcome predictions for image-guided pain procedures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paincast.version import __version__

if TYPE_CHECKING:
    from paincast.cohort.tables import Cohort, load_cohort
    from paincast.serving.predict import load_model, predict
    from paincast.simulator import simulate_cohort
    from paincast.training import train

__all__ = ["Cohort", "__version__", "load_cohort", "load_model", "predict", "simulate_cohort", "train"]

_HOMES = {
    "Cohort": "paincast.cohort.tables",
    "load_cohort": "paincast.cohort.tables",
    "load_model": "paincast.serving.predict",
    "predict": "paincast.serving.predict",
    "simulate_cohort": "paincast.simulator",
    "train": "paincast.training",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that importing the package costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'paincast' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
