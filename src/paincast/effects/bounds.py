"""How far hidden confounding of stated strength could move a contrast: bounds, robustness values and E-values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.effects.arms import Arms
from paincast.effects.average import summarize_estimate
from paincast.effects.balance import find_owner
from paincast.effects.nuisance import SMALLEST, Nuisance, fit_nuisance
from paincast.effects.propensity import fit_propensity
from paincast.errors import SettingsError

FloatArray = npt.NDArray[np.float64]

_STEPS = 40


class _Sensitivity(NamedTuple):
    """What the largest bias is made of, for one strategy against the reference.

    Parameters
    ----------
    estimate : float
        The contrast.
    influence : ndarray of shape (n,)
        Its influence function.
    scale : float
        Largest bias of a confounder for which the square root of ``outcome_r2 x strategy_r2 / (1 - strategy_r2)`` is 1.
    scale_influence : ndarray of shape (n,)
        Influence function of ``scale``.
    variance, weight : float
        Mean square of the residuals of the outcome, and of the weights (the Riesz representer).
    """

    estimate: float
    influence: FloatArray
    scale: float
    scale_influence: FloatArray
    variance: float
    weight: float


def compute_bounds(
    arms: Arms, nuisance: Nuisance, outcome_r2: float, strategy_r2: float, confidence: float = 0.95
) -> pd.DataFrame:
    """Bound each contrast with the reference under a hidden confounder of stated strength [1]_.

    Suppose the confounder explains the share ``outcome_r2`` of the variance of the outcome that covariates and strategy
    leave, and the share ``strategy_r2`` of the variance of the weights that would be used if it were known. It then
    moves the contrast by at most S x sqrt(outcome_r2 x strategy_r2 / (1 - strategy_r2)), where S is the root of the
    product of the residual variance and the mean squared weight, both estimated from the data. The confounder is
    assumed to act on both in the worst direction (rho = 1), and not on loss to follow-up.

    The robustness value is the strength, equal for both shares, at which the bound reaches 0; that of the interval is
    the strength at which the limit of the bound does.

    Parameters
    ----------
    arms : Arms
        The analysed episodes.
    nuisance : Nuisance
        Cross-fitted nuisance functions and scores.
    outcome_r2, strategy_r2 : float
        Strength of the confounder, from 0 to below 1.
    confidence : float
        Coverage of the interval of the bounds.

    Returns
    -------
    DataFrame
        ``strategy, reference, outcome_r2, strategy_r2, estimate, lower_bound, upper_bound, lower, upper,
        robustness_value, robustness_value_of_interval, n``; ``lower`` and ``upper`` hold the bounds and chance.

    Raises
    ------
    SettingsError
        If a strength is not allowed.

    References
    ----------
    .. [1] Chernozhukov V, Cinelli C, Newey W, Sharma A, Syrgkanis V. Long story short: omitted variable bias in causal
       machine learning. NBER working paper 30302, 2022. doi:10.3386/w30302

    Examples
    --------
    >>> from paincast.effects.nuisance import assign_folds
    >>> rng = np.random.default_rng(1)
    >>> matrix, strategy = rng.normal(size=(1000, 1)), np.arange(1000) % 2
    >>> outcome, codes = (rng.random(1000) < 0.3 + 0.2 * strategy).astype(float), np.arange(1000)
    >>> arms = Arms(
    ...     strategies=("a", "b"), episodes=None, strategy=strategy, outcome=outcome, patient=codes, site=0 * codes,
    ...     matrix=matrix, columns=("x",), common=np.array([True])
    ... )
    >>> nuisance = fit_nuisance(arms, fit_propensity(arms, assign_folds(arms, rng)))
    >>> [bounds] = compute_bounds(arms, nuisance, outcome_r2=0.03, strategy_r2=0.03).to_dict("records")
    >>> bounds["lower"] < bounds["lower_bound"] < bounds["estimate"] < bounds["upper_bound"] < bounds["upper"]
    True
    """
    if not (0.0 <= outcome_r2 <= 1.0 and 0.0 <= strategy_r2 < 1.0):
        raise SettingsError(
            f"strength of a hidden confounder: outcome_r2={outcome_r2:g} must be from 0 to 1, and "
            f"strategy_r2={strategy_r2:g} from 0 to below 1",
            code="PC-EFFECTS-20",
        )
    rows = []
    for place in range(1, len(arms.strategies)):
        found = _measure_sensitivity(arms, nuisance, place)
        lower, upper = (_shift(arms, found, sign, outcome_r2, strategy_r2, confidence) for sign in (-1.0, 1.0))
        rows.append(
            {
                "strategy": arms.strategies[place],
                "reference": arms.strategies[0],
                "outcome_r2": outcome_r2,
                "strategy_r2": strategy_r2,
                "estimate": found.estimate,
                "lower_bound": lower["estimate"],
                "upper_bound": upper["estimate"],
                "lower": lower["lower"],
                "upper": upper["upper"],
                "robustness_value": compute_robustness_value(found.estimate, found.scale),
                "robustness_value_of_interval": _search_robustness(arms, found, confidence),
                "n": len(arms.strategy),
            }
        )
    return pd.DataFrame(rows)


def compute_robustness_value(estimate: float, scale: float) -> float:
    """Compute the strength of a hidden confounder, equal on outcome and strategy, that moves an estimate to 0.

    Parameters
    ----------
    estimate : float
        The contrast.
    scale : float
        Largest bias of a confounder of strength ``outcome_r2 x strategy_r2 / (1 - strategy_r2)`` = 1.

    Returns
    -------
    float
        From 0 to 1.

    References
    ----------
    .. [1] Cinelli C, Hazlett C. Making sense of sensitivity: extending omitted variable bias. J R Stat Soc B
       2020;82:39-67. doi:10.1111/rssb.12348

    Examples
    --------
    >>> value = compute_robustness_value(0.1, 1.0)
    >>> round(value, 4), round(float(np.sqrt(value * value / (1 - value))), 4)
    (0.0951, 0.1)
    """
    ratio = (estimate / scale) ** 2
    return float((np.sqrt(ratio**2 + 4.0 * ratio) - ratio) / 2.0)


def compute_e_values(arms: Arms, nuisance: Nuisance, confidence: float = 0.95) -> pd.DataFrame:
    """Compute E-values: the risk ratio with strategy and outcome that a hidden confounder needs to explain a contrast.

    Parameters
    ----------
    arms, nuisance
        As in :func:`compute_bounds`.
    confidence : float
        Coverage of the interval of the risk ratio (delta method on its logarithm).

    Returns
    -------
    DataFrame
        ``strategy, reference, risk_ratio, lower, upper, e_value, e_value_of_interval, n``; the last E-value is that of
        the limit nearer to 1, and 1 if the interval holds 1.

    References
    ----------
    .. [1] VanderWeele TJ, Ding P. Sensitivity analysis in observational research: introducing the E-value. Ann Intern
       Med 2017;167:268-274. doi:10.7326/M16-2607
    """
    risks = np.clip(nuisance.scores.mean(axis=0), SMALLEST, 1.0)
    influence = (nuisance.scores - nuisance.scores.mean(axis=0)) / risks
    rows = []
    for place in range(1, len(arms.strategies)):
        log_ratio = float(np.log(risks[place] / risks[0]))
        summary = summarize_estimate(arms, log_ratio, influence[:, place] - influence[:, 0], confidence)
        ratio, lower, upper = (float(np.exp(summary[name])) for name in ("estimate", "lower", "upper"))
        nearer = 1.0 if lower <= 1.0 <= upper else lower if lower > 1.0 else upper
        rows.append(
            {
                "strategy": arms.strategies[place],
                "reference": arms.strategies[0],
                "risk_ratio": ratio,
                "lower": lower,
                "upper": upper,
                "e_value": compute_e_value(ratio),
                "e_value_of_interval": compute_e_value(nearer),
                "n": len(arms.strategy),
            }
        )
    return pd.DataFrame(rows)


def compute_e_value(risk_ratio: float) -> float:
    """Compute the E-value of a risk ratio.

    Examples
    --------
    >>> round(compute_e_value(3.9), 2), round(compute_e_value(1 / 3.9), 2), compute_e_value(1.0)
    (7.26, 7.26, 1.0)
    """
    ratio = max(risk_ratio, 1.0 / risk_ratio)
    return float(ratio + np.sqrt(ratio * (ratio - 1.0)))


def benchmark_strengths(arms: Arms, nuisance: Nuisance, covariates: Sequence[str] | None = None) -> pd.DataFrame:
    """Compute how strong a hidden confounder would be if it were as strong as each covariate is beside the others.

    All nuisance functions are fitted again without the covariate. Its strengths are the relative increase of the
    residual variance without it, and the relative increase of the mean squared weight with it.

    Parameters
    ----------
    arms, nuisance
        As in :func:`compute_bounds`.
    covariates : sequence of str, optional
        Names of those to leave out in turn; by default all.

    Returns
    -------
    DataFrame
        ``strategy, reference, covariate, outcome_r2, strategy_r2, change``: strengths for :func:`compute_bounds`, and
        the contrast without the covariate less that with it. The strongest first.
    """
    owners = [find_owner(name) for name in arms.columns]
    places = range(1, len(arms.strategies))
    long = {place: _measure_sensitivity(arms, nuisance, place) for place in places}
    rows = []
    for covariate in dict.fromkeys(owners if covariates is None else covariates):
        kept = np.array([owner != covariate for owner in owners])
        if not kept.any():
            continue
        columns = tuple(name for name, is_kept in zip(arms.columns, kept, strict=True) if is_kept)
        fewer = replace(arms, matrix=arms.matrix[:, kept], columns=columns, common=arms.common[kept])
        refitted = fit_nuisance(fewer, fit_propensity(fewer, nuisance.fold))
        for place in places:
            short = _measure_sensitivity(fewer, refitted, place)
            rows.append(
                {
                    "strategy": arms.strategies[place],
                    "reference": arms.strategies[0],
                    "covariate": covariate,
                    "outcome_r2": float(np.clip(short.variance / long[place].variance - 1.0, 0.0, 1.0)),
                    "strategy_r2": float(np.clip(long[place].weight / short.weight - 1.0, 0.0, 1.0)),
                    "change": short.estimate - long[place].estimate,
                }
            )
    table = pd.DataFrame(rows)
    strength = table["outcome_r2"] * table["strategy_r2"]
    return table.loc[strength.sort_values(ascending=False, kind="stable").index].reset_index(drop=True)


def _measure_sensitivity(arms: Arms, nuisance: Nuisance, place: int) -> _Sensitivity:
    """Estimate the parts of the largest bias (theorem 2 and section 4 of the paper).

    Only those with a known outcome under one of the two strategies have a weight: all others add neither to the
    variance of the residuals nor to that of the weights. Twice the moment of the weights less their square estimates
    their mean square without bias of the first order.
    """
    pair = np.array([0, place])
    chance = np.maximum(nuisance.propensity[:, pair] * nuisance.observation[:, pair], SMALLEST)
    inverse = (1.0 / chance).sum(axis=1)
    variances, squares = np.zeros((2, len(arms.strategy)))
    for column, index in enumerate(pair):
        rows = np.flatnonzero(arms.known & (arms.strategy == index))
        variances[rows] = (arms.outcome[rows] - nuisance.response[rows, index]) ** 2
        squares[rows] = 1.0 / chance[rows, column] ** 2
    weights = 2.0 * inverse - squares
    variance, weight = float(variances.mean()), float(weights.mean())
    scale = float(np.sqrt(max(variance * weight, np.finfo(float).tiny)))
    difference = nuisance.scores[:, place] - nuisance.scores[:, 0]
    estimate = float(difference.mean())
    return _Sensitivity(
        estimate=estimate,
        influence=difference - estimate,
        scale=scale,
        scale_influence=(variance * (weights - weight) + weight * (variances - variance)) / (2.0 * scale),
        variance=variance,
        weight=weight,
    )


def _shift(
    arms: Arms, found: _Sensitivity, sign: float, outcome_r2: float, strategy_r2: float, confidence: float
) -> dict[str, float]:
    strength = sign * float(np.sqrt(outcome_r2 * strategy_r2 / (1.0 - strategy_r2)))
    influence = found.influence + strength * found.scale_influence
    return summarize_estimate(arms, found.estimate + strength * found.scale, influence, confidence)


def _search_robustness(arms: Arms, found: _Sensitivity, confidence: float) -> float:
    """Search by bisection the strength at which the limit of the bound nearer to 0 reaches 0."""
    sign = -1.0 if found.estimate > 0.0 else 1.0
    limit = "lower" if sign < 0.0 else "upper"

    def is_beyond(strength: float) -> bool:
        return sign * _shift(arms, found, sign, strength, strength, confidence)[limit] >= 0.0

    low, high = 0.0, 1.0 - 1e-9
    if is_beyond(low):
        return 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if is_beyond(middle) else (middle, high)
    return float(high)
