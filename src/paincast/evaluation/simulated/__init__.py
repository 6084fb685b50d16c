"""A simulated cohort compared with its truth and with its evidence."""

from __future__ import annotations

from paincast.evaluation.simulated.baseline import (
    compute_correlations,
    compute_marginals,
    compute_missingness,
    compute_overlap,
)
from paincast.evaluation.simulated.course import compute_follow_up, compute_response
from paincast.evaluation.simulated.polychoric import compute_polychoric_correlations
from paincast.evaluation.simulated.truth import (
    check_against_truth,
    compute_bayes_bound,
    load_truth,
    match_truth,
    refuse_leak,
)

__all__ = [
    "check_against_truth",
    "compute_bayes_bound",
    "compute_correlations",
    "compute_follow_up",
    "compute_marginals",
    "compute_missingness",
    "compute_overlap",
    "compute_polychoric_correlations",
    "compute_response",
    "load_truth",
    "match_truth",
    "refuse_leak",
]
