"""Performance by subgroup and by site, pooled and shrunken, and internal-external cross-validation."""

from __future__ import annotations

from paincast.evaluation.groups.internal_external import predict_internal_external
from paincast.evaluation.groups.meta_analysis import PooledEstimate, pool_random_effects, shrink_estimates
from paincast.evaluation.groups.subgroups import compute_metrics_by_group, make_audit_attributes, pool_groups

__all__ = [
    "PooledEstimate",
    "compute_metrics_by_group",
    "make_audit_attributes",
    "pool_groups",
    "pool_random_effects",
    "predict_internal_external",
    "shrink_estimates",
]
