"""How well predicted benefit agrees with observed benefit: calibration for benefit, and concordance for benefit."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.effects.arms import Arms
from paincast.effects.average import summarize_estimate
from paincast.effects.nuisance import Nuisance

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

N_GROUPS = 5


def compute_benefit_calibration(arms: Arms, nuisance: Nuisance, contrasts: FloatArray) -> pd.DataFrame:
    """Compare predicted with observed benefit in groups of similar predictions.

    The benefit of a patient is never observed. The mean of the doubly robust scores stands for it: in each group it
    estimates the mean contrast, also where the choice was confounded by the covariates [1]_.

    Parameters
    ----------
    arms : Arms
        The analysed episodes.
    nuisance : Nuisance
        Cross-fitted nuisance functions and scores.
    contrasts : ndarray of shape (n, k)
        Cross-fitted predictions, from :func:`paincast.effects.individual.estimate_individual_contrasts`.

    Returns
    -------
    DataFrame
        ``strategy, reference, group, predicted, estimate, standard_error, lower, upper, n``: fifths of the
        predictions from 1 (least benefit), with their mean prediction and observed benefit. Equal predictions are not
        parted, so that there can be fewer groups.

    References
    ----------
    .. [1] Xu Y, Yadlowsky S. Calibration error for heterogeneous treatment effects. AISTATS 2022;151:9280-9303.
       arXiv:2203.13364
    """
    rows = []
    for place in range(1, len(arms.strategies)):
        predicted, observed = contrasts[:, place], _observe(nuisance, place)
        cuts = np.unique(np.quantile(predicted, np.arange(1, N_GROUPS) / N_GROUPS))
        group = np.unique(np.searchsorted(cuts, predicted, side="right"), return_inverse=True)[1]
        for number in range(group.max() + 1):
            is_in = (group == number).astype(float)
            share = is_in.mean()
            estimate = float(observed @ is_in / is_in.sum())
            summary = summarize_estimate(arms, estimate, is_in / share * (observed - estimate))
            rows.append(
                {
                    **_name(arms, place),
                    "group": number + 1,
                    "predicted": float(predicted @ is_in / is_in.sum()),
                    **summary,
                    "n": int(is_in.sum()),
                }
            )
    return pd.DataFrame(rows)


def compute_benefit_slope(arms: Arms, nuisance: Nuisance, contrasts: FloatArray) -> pd.DataFrame:
    """Regress observed on predicted benefit: the slope is 1 if differences between patients are as large as predicted.

    Below 1 the predictions are too far apart; an interval that holds 0 means that they are not shown to tell patients
    apart. The other metric is the mean observed benefit less the mean predicted benefit.

    Parameters
    ----------
    arms, nuisance, contrasts
        As in :func:`compute_benefit_calibration`.

    Returns
    -------
    DataFrame
        ``strategy, reference, metric, estimate, standard_error, lower, upper, n``, with the metrics
        ``benefit_slope`` (NaN if all predictions are equal) and ``benefit_in_the_large``.
    """
    rows = []
    for place in range(1, len(arms.strategies)):
        predicted, observed = contrasts[:, place], _observe(nuisance, place)
        excess = observed - predicted
        gap = float(excess.mean())
        rows.append(
            {**_name(arms, place), "metric": "benefit_in_the_large"} | summarize_estimate(arms, gap, excess - gap)
        )
        centred = predicted - predicted.mean()
        variance, varies = float(np.mean(centred**2)), bool(np.ptp(predicted) > 0.0)
        slope = float(np.mean(centred * observed)) / variance if varies else float("nan")
        residual = observed - observed.mean() - slope * centred
        influence = centred * residual / variance if varies else np.full(len(centred), np.nan)
        rows.append({**_name(arms, place), "metric": "benefit_slope"} | summarize_estimate(arms, slope, influence))
    return pd.DataFrame(rows)


def compute_benefit_concordance(arms: Arms, contrasts: FloatArray, confidence: float = 0.95) -> pd.DataFrame:
    """Compute the C-for-benefit: how often the pair predicted to gain more did gain more [1]_.

    Patients who got the strategy are matched one to one with patients who got the reference, by the rank of their
    predicted benefit. The observed benefit of a pair is the difference of the two outcomes, its predicted benefit the
    mean of the two predictions. The statistic is the share of pairs of pairs, among those with different observed
    benefit, that are in the right order; ties count half. Only known outcomes are used. From the larger arm, patients
    at evenly spaced ranks are taken, so that the result does not depend on a random draw.

    Patients of a pair are alike in predicted benefit, but not in risk. Where the choice depends on the risk, the
    observed benefit of a pair contains that difference too: rely on the calibration for benefit then. Even perfect
    predictions score far below 1, because outcomes are largely chance, and the statistic does not tell whether
    predictions are of the right size [2]_.

    Parameters
    ----------
    arms : Arms
        The analysed episodes.
    contrasts : ndarray of shape (n, k)
        Cross-fitted predictions.
    confidence : float
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        ``strategy, reference, metric, estimate, standard_error, lower, upper, n``; ``n`` counts pairs, which the
        standard error takes as independent. NaN if no two pairs differ in observed benefit.

    References
    ----------
    .. [1] van Klaveren D, Steyerberg EW, Serruys PW, Kent DM. The proposed 'concordance-statistic for benefit' provided
       a useful metric when modeling heterogeneous treatment effects. J Clin Epidemiol 2018;94:59-68.
       doi:10.1016/j.jclinepi.2017.10.021
    .. [2] Hoogland J, Efthimiou O, Nguyen TL, Debray TPA. Evaluating individualized treatment effect predictions: a
       model-based perspective on discrimination and calibration assessment. arXiv:2209.06101, 2023.
    """
    rows, z = [], NormalDist().inv_cdf(0.5 + confidence / 2.0)
    for place in range(1, len(arms.strategies)):
        treated, control = (_order_known(arms, contrasts[:, place], received) for received in (place, 0))
        n = min(len(treated), len(control))
        treated, control = (_space_evenly(ranked, n) for ranked in (treated, control))
        benefit = arms.outcome[treated] - arms.outcome[control]
        predicted = (contrasts[treated, place] + contrasts[control, place]) / 2.0
        estimate, error = _compute_concordance(predicted, benefit)
        rows.append(
            {
                **_name(arms, place),
                "metric": "c_for_benefit",
                "estimate": estimate,
                "standard_error": error,
                "lower": max(estimate - z * error, 0.0),
                "upper": min(estimate + z * error, 1.0),
                "n": n,
            }
        )
    return pd.DataFrame(rows)


def _name(arms: Arms, place: int) -> dict[str, Any]:
    return {"strategy": arms.strategies[place], "reference": arms.strategies[0]}


def _observe(nuisance: Nuisance, place: int) -> FloatArray:
    return np.asarray(nuisance.scores[:, place] - nuisance.scores[:, 0])


def _order_known(arms: Arms, predicted: FloatArray, received: int) -> IntArray:
    rows = np.flatnonzero(arms.known & (arms.strategy == received))
    return np.asarray(rows[np.argsort(predicted[rows], kind="stable")])


def _space_evenly(ranked: IntArray, n: int) -> IntArray:
    return np.asarray(ranked[((np.arange(n) + 0.5) * len(ranked) / n).astype(np.int64)])


def _compute_concordance(score: FloatArray, value: FloatArray) -> tuple[float, float]:
    """Concordance of a score with a value of few kinds, and its standard error by first-order projection."""
    right, comparable = np.zeros((2, len(score)))
    kinds = np.unique(value)
    ordered = {kind: np.sort(score[value == kind]) for kind in kinds}
    for low, high in ((low, high) for low in kinds for high in kinds if low < high):
        for kind, others, is_above in ((high, ordered[low], True), (low, ordered[high], False)):
            own = value == kind
            below = np.searchsorted(others, score[own], side="left")
            up_to = np.searchsorted(others, score[own], side="right")
            half = (below + up_to) / 2.0
            right[own] += half if is_above else len(others) - half
            comparable[own] += len(others)
    if not comparable.sum():
        return float("nan"), float("nan")
    estimate = float(right.sum() / comparable.sum())
    influence = 2.0 * (right - estimate * comparable) / comparable.sum()
    return estimate, float(np.sqrt(influence @ influence))
