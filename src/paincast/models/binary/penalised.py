"""Logistic regression with a separate elastic-net penalty for each column, and an offset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paincast.deferred import optimize, special

FloatArray = npt.NDArray[np.float64]

SCORE_FACTOR = 0.05
"""Penalty of the sign-based prognostic score relative to that of a single column: the score combines many columns."""

FARTHEST_LEVEL = 40.0
"""Largest absolute intercept, in log odds, that is searched."""


@dataclass(frozen=True, kw_only=True)
class Penalised:
    """Intercept and coefficients of a fit."""

    intercept: float
    coefficients: FloatArray


def fit_penalised(
    design: FloatArray,
    outcome: FloatArray,
    weights: FloatArray,
    *,
    penalty: float,
    l1_ratio: float,
    factors: FloatArray,
    offset: FloatArray | None = None,
) -> Penalised:
    """Fit a logistic regression by penalised maximum likelihood.

    The mean weighted log loss is minimised, plus ``penalty`` times the sum over columns of ``factor x (l1_ratio x
    abs(coefficient) + (1 - l1_ratio) x coefficient**2 / 2)`` (elastic net) [1]_. The intercept is free.

    Parameters
    ----------
    design : ndarray of shape (n, n_columns)
        Columns in comparable units.
    outcome : ndarray of shape (n,)
        0 or 1, both present among rows of positive weight.
    weights : ndarray of shape (n,)
        Weights of the rows.
    penalty, l1_ratio : float
        Strength and mixture.
    factors : ndarray of shape (n_columns,)
        Multiplier of the penalty of each column.
    offset : ndarray of shape (n,), optional
        Known part of the log odds.

    Returns
    -------
    Penalised

    References
    ----------
    .. [1] Zou H, Hastie T. J R Stat Soc B 2005;67:301-20. doi:10.1111/j.1467-9868.2005.00503.x
    """
    known = np.zeros(len(outcome)) if offset is None else offset
    if design.shape[1] == 0:
        return Penalised(intercept=find_level(outcome, weights, known), coefficients=np.empty(0))
    from glum import GeneralizedLinearRegressor

    learner = GeneralizedLinearRegressor(
        family="binomial", alpha=penalty, l1_ratio=l1_ratio, P1=factors, P2=factors, max_iter=300
    )
    learner.fit(np.asfortranarray(design), outcome, sample_weight=weights, offset=known)
    return Penalised(intercept=float(learner.intercept_), coefficients=np.asarray(learner.coef_, dtype=float))


def fit_lasso_path(
    design: FloatArray,
    outcome: FloatArray,
    weights: FloatArray,
    *,
    penalties: FloatArray,
    family: str = "binomial",
    factors: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Fit regressions with L1 penalties of several strengths (the lasso [1]_), each started from the one before.

    The mean weighted log loss, or half the squared error, is minimised, plus ``penalty`` times the sum over columns of
    ``factor x abs(coefficient)``. Intercepts are free.

    Parameters
    ----------
    design : ndarray of shape (n, n_columns)
        Columns in comparable units.
    outcome : ndarray of shape (n,)
        0 or 1 for ``binomial``. If all are the same, half an outcome of the other kind is added to the intercept, and
        all coefficients are 0.
    weights : ndarray of shape (n,)
        Weights of the rows.
    penalties : ndarray of shape (n_penalties,)
        Strengths, the strongest first.
    family : {"binomial", "normal"}
        Distribution of the outcome.
    factors : ndarray of shape (n_columns,), optional
        Multiplier of the penalty of each column; by default 1.

    Returns
    -------
    intercepts : ndarray of shape (n_penalties,)
    coefficients : ndarray of shape (n_columns, n_penalties)

    References
    ----------
    .. [1] Tibshirani R. Regression shrinkage and selection via the lasso. J R Stat Soc B 1996;58:267-288.
       doi:10.1111/j.2517-6161.1996.tb02080.x

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> design = rng.normal(size=(500, 2))
    >>> outcome = (rng.random(500) < special.expit(design[:, 0])).astype(float)
    >>> _, coefficients = fit_lasso_path(design, outcome, np.ones(500), penalties=np.array([1.0, 0.05]))
    >>> (coefficients[:, 0] == 0).all().item(), (coefficients[0, 1] > 0.3).item()
    (True, True)
    """
    if family == "binomial" and np.ptp(outcome) == 0.0:
        share = (outcome.sum() + 0.5) / (len(outcome) + 1.0)
        return np.full(len(penalties), special.logit(share)), np.zeros((design.shape[1], len(penalties)))
    from glum import GeneralizedLinearRegressor

    learner = GeneralizedLinearRegressor(
        family=family,
        alpha=list(penalties),
        alpha_search=True,
        l1_ratio=1.0,
        P1=np.ones(design.shape[1]) if factors is None else factors,
        max_iter=300,
    )
    learner.fit(np.asfortranarray(design), outcome, sample_weight=weights)
    return np.asarray(learner.intercept_path_, dtype=float), np.asarray(learner.coef_path_, dtype=float).T


def find_level(outcome: FloatArray, weights: FloatArray, offset: FloatArray) -> float:
    """Find the intercept at which the expected number of events equals the observed number, given an offset."""
    observed = float(weights @ outcome)

    def excess(level: float) -> float:
        return float(weights @ special.expit(level + offset)) - observed

    return float(optimize.brentq(excess, -FARTHEST_LEVEL, FARTHEST_LEVEL, xtol=1e-12))
