"""Compute what the predictors of a record imply together: the best that any model can reach."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

from paincast.evidence.figures import LEAST_LOG_ODDS, Baseline, Transform
from paincast.evidence.synthesis.odds import measure_spread, share_true


def compute_implied(
    effects: Sequence[tuple[str, Transform, float]], baselines: Mapping[str, Baseline], share: float
) -> dict[str, float]:
    """Compute spread and best area under the curve that follow from independent predictors.

    Parameters
    ----------
    effects : sequence of (str, Transform, float)
        Column, transform and log odds ratio of each predictor.
    baselines : mapping of str to Baseline
        Distribution of each column.
    share : float
        Share that responds at the primary month.

    Returns
    -------
    dict
        ``active_predictors``, ``sd_linear_predictor``, ``bayes_optimal_auc``.
    """
    active = [effect for effect in effects if abs(effect[2]) >= LEAST_LOG_ODDS]
    spread = math.sqrt(
        sum((size * _spread_of(transform, baselines.get(name))) ** 2 for name, transform, size in active)
    )
    return {
        "active_predictors": len(active),
        "sd_linear_predictor": spread,
        "bayes_optimal_auc": _compute_auc(spread, share) if spread else 0.5,
    }


def _spread_of(transform: Transform, baseline: Baseline | None) -> float:
    if transform.kind == "per_sd":
        return 1.0
    if transform.kind == "per":
        return (measure_spread(baseline) or 1.0) / float(transform.value)
    share = share_true(transform, baseline)
    return math.sqrt(share * (1.0 - share))


def _compute_auc(spread: float, share: float) -> float:
    """Compute the area under the curve of a normal linear predictor by quadrature."""
    z = np.linspace(-8.0, 8.0, 4001)
    weight = norm.pdf(z) / norm.pdf(z).sum()
    intercept = brentq(lambda middle: float(weight @ expit(middle + spread * z)) - share, -20.0, 20.0)
    responds = weight * expit(intercept + spread * z)
    fails = weight - responds
    below = np.cumsum(fails) - fails / 2.0
    return float(responds @ below / (responds.sum() * fails.sum()))
