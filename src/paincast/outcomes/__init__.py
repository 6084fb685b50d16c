"""Outcome definitions (``definitions.py``), outcome labels of episodes (``labels.py``) and names of models."""

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
from paincast.outcomes.model_names import name_model, split_name

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
    "name_model",
    "sort_outcomes",
    "split_name",
]
