"""Outcome definitions (``definitions.py``), outcome labels of episodes (``labels.py``) and names of models."""

from paincast.outcomes.criteria import Line, improvement_line
from paincast.outcomes.definitions import (
    OUTCOMES,
    Outcome,
    default_window,
    get_outcome,
    name_in_truth,
    sort_outcomes,
)
from paincast.outcomes.label_counts import count_instruments, count_label_months
from paincast.outcomes.labels import OutcomeLabels, compute_outcome, explain_ineligibility, list_ineligibility
from paincast.outcomes.model_names import name_model, split_name

__all__ = [
    "OUTCOMES",
    "Line",
    "Outcome",
    "OutcomeLabels",
    "compute_outcome",
    "count_instruments",
    "count_label_months",
    "default_window",
    "explain_ineligibility",
    "get_outcome",
    "improvement_line",
    "list_ineligibility",
    "name_in_truth",
    "name_model",
    "sort_outcomes",
    "split_name",
]
