"""Explain predictions: contributions, their ranking with intervals, and agreement with published directions.

What an answer does not need is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paincast.explain.contributions import Explanation, compute_importance, explain_model, format_value
from paincast.explain.reasons import (
    LEAST_CERTAINTY,
    LEAST_REACH,
    MOST_MISSING,
    Reason,
    find_certain,
    list_missing,
    list_reasons,
)

if TYPE_CHECKING:
    from paincast.explain.dependence import compute_dependence, list_dependence
    from paincast.explain.directions import DirectionVerdict, assess_directions, list_unseen_directions
    from paincast.explain.resampling import Resamples, rank_importance, resample_explanations
    from paincast.explain.review import ExplanationReview, review_explanation
    from paincast.explain.waterfall import compute_waterfall, summarize_group

_HOMES = {
    "DirectionVerdict": "directions",
    "ExplanationReview": "review",
    "Resamples": "resampling",
    "assess_directions": "directions",
    "compute_dependence": "dependence",
    "compute_waterfall": "waterfall",
    "list_dependence": "dependence",
    "list_unseen_directions": "directions",
    "rank_importance": "resampling",
    "resample_explanations": "resampling",
    "review_explanation": "review",
    "summarize_group": "waterfall",
}

__all__ = [
    "LEAST_CERTAINTY",
    "LEAST_REACH",
    "MOST_MISSING",
    "DirectionVerdict",
    "Explanation",
    "ExplanationReview",
    "Reason",
    "Resamples",
    "assess_directions",
    "compute_dependence",
    "compute_importance",
    "compute_waterfall",
    "explain_model",
    "find_certain",
    "format_value",
    "list_dependence",
    "list_missing",
    "list_reasons",
    "list_unseen_directions",
    "rank_importance",
    "resample_explanations",
    "review_explanation",
    "summarize_group",
]


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'paincast.explain' has no attribute '{name}'")
    return getattr(import_module(f"paincast.explain.{_HOMES[name]}"), name)
