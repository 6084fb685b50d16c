"""Statistics that models, evaluation and reports share, each defined once.

Log loss of log odds, the clustered standard error and the mean with its interval, Wilson's interval of a share and
Newcombe's of a difference, shares pooled over studies, a local-linear smoother of shares, and the Bayesian bootstrap
of patients.
"""

from __future__ import annotations

from paincast.statistics.bootstrap import draw_bayesian_bootstrap_weights
from paincast.statistics.clustered import compute_clustered_error, compute_clustered_mean, compute_two_way_error
from paincast.statistics.likelihood import compute_log_loss
from paincast.statistics.local_linear import compute_kernel, smooth_shares
from paincast.statistics.pooling import PooledShare, pool_shares
from paincast.statistics.proportions import compute_newcombe_interval, compute_wilson_interval

__all__ = [
    "PooledShare",
    "compute_clustered_error",
    "compute_clustered_mean",
    "compute_kernel",
    "compute_log_loss",
    "compute_newcombe_interval",
    "compute_two_way_error",
    "compute_wilson_interval",
    "draw_bayesian_bootstrap_weights",
    "pool_shares",
    "smooth_shares",
]
