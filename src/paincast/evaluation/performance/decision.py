"""Decision curves: net benefit of selecting patients by prognosis, against treating all, none, or by one rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paincast.errors import SettingsError
from paincast.evaluation.performance.metrics import METRIC_COLUMNS, order_weights
from paincast.evaluation.predictions import BoolArray, FloatArray, Predictions, check_predictions
from paincast.evaluation.resampling import (
    check_confidence,
    check_resamples,
    describe_estimate,
    resample_patient_weights,
)
from paincast.schema import MINIMUM_CELL

DECISION_COLUMNS = (*METRIC_COLUMNS, "threshold", "strategy", "versus", "band_lower", "band_upper")
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
    is paired. They hold for each threshold on its own. ``band_lower`` and ``band_upper`` hold at all thresholds
    together, for the differences from treating all and from treating none: limits at equal numbers of standard errors,
    which the largest of the standardised deviations of a resample keeps with the given confidence [2]_. To look for the
    threshold at which a model gains most, use the band. A threshold has one only if five rows with the outcome and five
    without lie on either side of it: of three patients without the outcome every resample says the same.

    Net benefit is of *selection by prognosis*: it counts who responds given the procedure. It does not tell who gains
    from the procedure, for some respond without it.

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
        outcome class there is no interval. Rows without a band have NaN there.

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
    .. [2] Montiel Olea JL, Plagborg-Møller M. Simultaneous confidence bands: theory, implementation, and an application
       to SVARs. J Appl Econom 2019;34:1-17. doi:10.1002/jae.2656

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
    curve = pd.DataFrame(table).assign(group=group, n=rows.n, band_lower=np.nan, band_upper=np.nan)
    if not reason:
        in_band = ((curve["strategy"] == "model") & curve["versus"].isin(STRATEGIES[1:3])).to_numpy()
        is_supported = np.tile(_has_both_classes_beside(rows, cuts), 2)
        curve.loc[in_band, ["band_lower", "band_upper"]] = _compute_band(estimates, resampled, is_supported, confidence)
    return curve[list(DECISION_COLUMNS)]


def _has_both_classes_beside(rows: Predictions, cuts: FloatArray) -> BoolArray:
    """Return for each threshold whether five rows of each class lie on either side."""
    below = np.searchsorted(rows.probability, cuts, side="left")
    cases = np.concatenate([[0.0], np.cumsum(rows.outcome)])
    with_outcome, without = cases[below], below - cases[below]
    n_cases, n_others = rows.outcome.sum(), rows.n - rows.outcome.sum()
    counts = [with_outcome, without, n_cases - with_outcome, n_others - without]
    return np.asarray(np.min(counts, axis=0) >= MINIMUM_CELL, dtype=np.bool_)


def _compute_band(
    estimates: FloatArray, resampled: FloatArray, is_supported: BoolArray, confidence: float
) -> FloatArray:
    """Compute a band for the gains over treating all and over treating none, shape (2 x n_thresholds, 2)."""
    gains = (estimates[:1] - estimates[1:3]).reshape(-1)
    deviations = (resampled[:, :1] - resampled[:, 1:3]).reshape(len(resampled), -1) - gains
    error = deviations.std(axis=0)
    moved = (error > 1e-12) & is_supported
    band = np.full((len(gains), 2), np.nan)
    if moved.any():
        standardised = deviations[:, moved] / error[moved]
        # Each end has a multiplier of its own: counts of few patients are skewed.
        below, above = (
            float(np.quantile(largest, 0.5 + confidence / 2.0))
            for largest in (standardised.max(axis=1), (-standardised).max(axis=1))
        )
        band[moved, 0], band[moved, 1] = gains[moved] - below * error[moved], gains[moved] + above * error[moved]
    return band


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
