"""Outcomes: questions asked of the visits and events of an episode, as data, and the answers to them."""

from paincast.outcomes.answers import Answers, compute_outcome, find_held, list_denials
from paincast.outcomes.questions import (
    OUTCOMES,
    Line,
    Outcome,
    default_window,
    get_outcome,
    name_in_truth,
    sort_outcomes,
)

__all__ = [
    "OUTCOMES",
    "Answers",
    "Line",
    "Outcome",
    "compute_outcome",
    "default_window",
    "find_held",
    "get_outcome",
    "list_denials",
    "name_in_truth",
    "sort_outcomes",
]
