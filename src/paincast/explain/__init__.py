"""Explain predictions: contributions, their ranking with intervals, and agreement with published directions."""

from paincast.explain.contributions import Explanation, compute_importance, explain_model, format_value
from paincast.explain.dependence import compute_dependence, list_dependence
from paincast.explain.directions import DirectionVerdict, assess_directions, list_unseen_directions
from paincast.explain.reasons import MOST_MISSING, Reason, find_certain, list_missing, list_reasons
from paincast.explain.resampling import Resamples, rank_importance, resample_explanations
from paincast.explain.review import ExplanationReview, review_explanation
from paincast.explain.waterfall import compute_waterfall, summarize_group

__all__ = [
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
