"""Decision curves: net benefit of treating by the model, against treating all, none, or by one expected rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paincast.errors import SettingsError
from paincast.evaluation.performance.metrics import METRIC_COLUMNS, order_weights
from paincast.evaluation.predictions import FloatArray, Predictions, check_predictions
from paincast.evaluation.resampling import (
    check_confidence,
    check_resamples,
    describe_estimate,
    resample_patient_weights,
)

DECISION_COLUMNS = (*METRIC_COLUMNS, "threshold", "strategy", "versus")
STRATEGIES = ("model", "treat_all", "treat_none", "base_rate")


def compute_decision_curve(
    outcome: Any,
    probability: Any,
    *,
    patients: Any,
    thresholds: Sequence[float],
    base_rate: float | None,
    rng: np.random.Generator,
    resamples: int = 500,
    confidence: float = 0.95,
    group: str = "overall",
    weights: Any = None,
) -> pd.DataFrame:
    """Compute the net benefit of each strategy at each threshold, and what the model gains over the others [1]_.

    Treating at a probability of ``threshold`` or more implies that treating a patient who does not respond costs
    ``threshold / (1 - threshold)`` times what treating one who responds gains. Net benefit is the share of the patients
    who are treated and respond, less that cost times the share who are treated and do not. ``base_rate`` treats by one
    probability for everybody: all up to it, none above.

    Intervals are percentiles of a bootstrap of patients, in the same resamples for all strategies, so that a difference
    is paired. They hold for each threshold on its own, not for the curve as a whole.

    Parameters
    ----------
    outcome, probability, patients, rng, resamples, confidence, group, weights
        As for :func:`paincast.evaluation.performance.metrics.compute_metrics`.
    thresholds : sequence of float
        Probabilities between 0 and 1 at which a decision might be made, ascending.
    base_rate : float or None
        Rate that is expected without a model, from 0 to 1; without one the strategy is left out.

    Returns
    -------
    DataFrame
        Columns :data:`DECISION_COLUMNS`. Rows ``net_benefit`` of each ``strategy`` (``versus`` empty), and
        ``net_benefit_difference`` of the model and the strategy named in ``versus``. Treating none is 0 by definition
        and has no interval, nor has a difference that is 0 in all resamples, as where the model treats all. With one
        outcome class there is no interval.

    Raises
    ------
    DataError
        If rows are missing, of unequal number or not allowed.
    SettingsError
        If a setting is not allowed.

    References
    ----------
    .. [1] Vickers AJ, Elkin EB. Decision curve analysis: a novel method for evaluating prediction models. Med Decis
       Making 2006;26:565-574. doi:10.1177/0272989X06295361

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> curve = compute_decision_curve(
    ...     [0, 0, 1, 1], [0.2, 0.6, 0.4, 0.9], patients=None, thresholds=[0.5], base_rate=0.4, rng=rng
    ... )
    >>> curve.set_index("strategy")["estimate"].iloc[:4].to_dict()
    {'model': 0.0, 'treat_all': 0.0, 'treat_none': 0.0, 'base_rate': 0.0}
    """
    check_resamples(resamples)
    check_confidence(confidence)
    cuts = check_thresholds(thresholds)
    if base_rate is not None and not 0.0 <= base_rate <= 1.0:
        raise SettingsError(f"base_rate={base_rate:g} is out of range; allowed: 0 to 1", code="PC-EVALUATION-07")
    rows = check_predictions(outcome, probability, patients)
    whole = order_weights(weights, probability, rows)
    estimates = _compute_benefits(rows, whole, cuts, base_rate)[0]
    blocks = (block * whole for block in resample_patient_weights(rows, resamples, rng))
    resampled = np.concatenate([_compute_benefits(rows, block, cuts, base_rate) for block in blocks])
    manner = f"percentile bootstrap of {rows.n_patients} patients, {resamples} resamples, {100 * confidence:g} %"
    reason = "one outcome class only" if rows.has_one_class else ""
    table = [
        {"threshold": threshold, "strategy": strategy, "versus": versus, **row}
        for strategy, versus in _list_rows(base_rate)
        for threshold, row in zip(
            cuts, _describe(strategy, versus, estimates, resampled, confidence, manner, reason), strict=True
        )
    ]
    return pd.DataFrame(table).assign(group=group, n=rows.n)[list(DECISION_COLUMNS)]


def check_thresholds(thresholds: Sequence[float]) -> FloatArray:
    """Check thresholds of a decision.

    Raises
    ------
    SettingsError
        If there are none, one is not between 0 and 1, or they do not ascend.
    """
    cuts = np.asarray(thresholds, dtype=np.float64)
    if cuts.ndim != 1 or not len(cuts) or not ((cuts > 0) & (cuts < 1)).all() or not (np.diff(cuts) > 0).all():
        raise SettingsError(
            "thresholds: at least one is needed; allowed: ascending numbers between 0 and 1", code="PC-EVALUATION-08"
        )
    return cuts


def _describe(
    strategy: str,
    versus: str,
    estimates: FloatArray,
    resampled: FloatArray,
    confidence: float,
    manner: str,
    reason: str,
) -> Iterator[dict[str, Any]]:
    """Describe the net benefit of a strategy, or its difference from another, at each threshold."""
    first, second = STRATEGIES.index(strategy), STRATEGIES.index(versus) if versus else None
    benefit = estimates[first] - (0.0 if second is None else estimates[second])
    drawn = resampled[:, first] - (0.0 if second is None else resampled[:, second])
    reason = "0 by definition" if strategy == "treat_none" else reason
    metric = "net_benefit_difference" if versus else "net_benefit"
    for estimate, values in zip(benefit, drawn.T, strict=True):
        yield {"metric": metric, **describe_estimate(float(estimate), values, confidence, manner, reason=reason)}


def _list_rows(base_rate: float | None) -> list[tuple[str, str]]:
    """List strategies, and the model versus each of the others."""
    strategies = STRATEGIES if base_rate is not None else STRATEGIES[:-1]
    return [*((strategy, "") for strategy in strategies), *(("model", versus) for versus in strategies[1:])]


def _compute_benefits(rows: Predictions, weights: FloatArray, cuts: FloatArray, base_rate: float | None) -> FloatArray:
    """Compute the net benefit in each resample, shape (resamples, 4, n_thresholds)."""
    total, all_cases = weights.sum(axis=1, keepdims=True), (weights @ rows.outcome)[:, None]
    cost = cuts / (1.0 - cuts)
    treat_all = (all_cases - cost * (total - all_cases)) / total
    first = np.searchsorted(rows.probability, cuts, side="left")
    treated, cases = (_sum_from(part, first) for part in (weights, weights * rows.outcome))
    benefits = np.zeros((len(weights), len(STRATEGIES), len(cuts)))
    benefits[:, 0] = (cases - cost * (treated - cases)) / total
    benefits[:, 1] = treat_all
    if base_rate is not None:
        benefits[:, 3] = np.where(base_rate >= cuts, treat_all, 0.0)
    return benefits


def _sum_from(values: FloatArray, first: NDArray[np.intp]) -> FloatArray:
    """Sum each row of values from each place to its end."""
    padded = np.concatenate([values, np.zeros((len(values), 1))], axis=1)
    pieces = np.add.reduceat(padded, np.append(0, first), axis=1)
    pieces[:, np.flatnonzero(np.diff(np.append(np.append(0, first), values.shape[1] + 1)) == 0)] = 0.0
    sums: FloatArray = np.cumsum(pieces[:, ::-1], axis=1)[:, ::-1][:, 1:]
    return sums
