"""Concordance of a score with outcomes, or with the probabilities behind them, and its standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paincast.evaluation.predictions import FloatArray, find_tie_starts


@dataclass(frozen=True)
class Concordance:
    """Share of concordant pairs among all pairs of different rows, one a case and one not.

    Parameters
    ----------
    estimate : float
        Ties in the score count half; NaN when there is no such pair.
    derivative : ndarray of shape (n,)
        How the estimate moves with the chance of each row to be a case, all rows held.
    influence : ndarray of shape (n,)
        What each row contributes to the error of the estimate; sums to 0.
    """

    estimate: float
    derivative: FloatArray
    influence: FloatArray


def compute_concordance(score: FloatArray, chance: FloatArray) -> Concordance:
    """Compute the concordance of a score in O(n log n).

    With outcomes as ``chance`` the estimate is the AUROC and ``influence`` the components of DeLong [1]_. With
    probabilities it is the ratio of the expected number of concordant pairs to the expected number of pairs of a case
    and a non-case, over the pairs of *different* rows: a row is never paired with itself.

    Parameters
    ----------
    score : ndarray of shape (n,)
        What the rows are ranked by.
    chance : ndarray of shape (n,)
        Chance of each row to be a case, from 0 to 1.

    Returns
    -------
    Concordance

    References
    ----------
    .. [1] DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845. doi:10.2307/2531595
    """
    wins = sum_below(score, 1.0 - chance)
    losses = sum_below(-score, chance)
    other_cases, other_non_cases = chance.sum() - chance, (1.0 - chance).sum() - (1.0 - chance)
    pairs = float(chance @ other_non_cases)
    if pairs <= 0:
        gap = np.full(len(score), np.nan)
        return Concordance(estimate=np.nan, derivative=gap, influence=gap)
    estimate = float(chance @ wins) / pairs
    as_case, as_other = wins - estimate * other_non_cases, losses - estimate * other_cases
    return Concordance(
        estimate=estimate,
        derivative=(as_case - as_other) / pairs,
        influence=(chance * as_case + (1.0 - chance) * as_other) / pairs,
    )


def sum_below(score: FloatArray, mass: FloatArray) -> FloatArray:
    """Sum the mass of the other rows with a lower score, and half the mass of the other rows with the same one."""
    order = np.argsort(score, kind="stable")
    starts = find_tie_starts(score[order])
    group_mass = np.add.reduceat(mass[order], starts)
    below = np.cumsum(group_mass) - group_mass
    group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(score))))
    result = np.empty_like(mass)
    result[order] = below[group] + 0.5 * (group_mass[group] - mass[order])
    return result
