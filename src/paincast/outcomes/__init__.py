"""Outcome definitions (``definitions.py``) and outcome labels of episodes (``labels.py``)."""

from paincast.outcomes.definitions import (
    OUTCOMES,
    Line,
    Outcome,
    default_window,
    get_outcome,
    name_in_truth,
    sort_outcomes,
)
from paincast.outcomes.labels import OutcomeLabels, compute_outcome, list_ineligibility

__all__ = [
    "OUTCOMES",
    "Line",
    "Outcome",
    "OutcomeLabels",
    "compute_outcome",
    "default_window",
    "get_outcome",
    "list_ineligibility",
    "name_in_truth",
    "sort_outcomes",
]
