"""What may be told where models are judged on real patients: who is left out, and what is measured."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.disclosure.flow import is_small
from paincast.disclosure.rounding import FEW
from paincast.schema import SMALLEST_CELL

SHARES = ("below_interval", "coverage", "above_interval")
"""Metrics that are shares of the patients and sum to one; times their number each is a count."""

HALVED = "below_median"
"""A share in which who lies on the median counts half."""

WITHHELD = "not shown: a share of few patients, or one that would give it away"
HIDDEN = f"counts that tell of {FEW} patients are hidden"


def say_too_few(outcome: npt.ArrayLike, *, is_number: bool = False) -> str:
    """Say why nothing may be measured on so few patients; empty where there are enough.

    Parameters
    ----------
    outcome : array-like of shape (n,)
        0 or 1, or a number.
    is_number : bool
        Whether the outcome is a number, so that there are no classes of it.

    Examples
    --------
    >>> say_too_few([1] * 4 + [0] * 40)
    'not measured: fewer than 5 have the outcome, or fewer than 5 have not'
    >>> say_too_few([1] * 5 + [0] * 5), say_too_few([-3.0] * 5, is_number=True)
    ('', '')
    """
    values = np.asarray(outcome, dtype=float)
    if is_number:
        return f"not measured: {FEW} episodes" if len(values) < SMALLEST_CELL else ""
    few = min((values == 1).sum(), (values != 1).sum()) < SMALLEST_CELL
    return f"not measured: {FEW} have the outcome, or {FEW} have not" if few else ""


def choose_hidden_steps(n_all: int, n_followed: int, n_judged: int, abstained: list[npt.NDArray[np.bool_]]) -> set[str]:
    """Choose which of the steps from all episodes to those judged are hidden; the last is always told.

    Parameters
    ----------
    n_all, n_followed, n_judged : int
        Episodes, those with follow-up, and those for whom every model answers.
    abstained : list of ndarray of bool, each of shape (n_followed,)
        For each model, those with follow-up for whom it does not answer.

    Returns
    -------
    set of str
        Of ``episodes``, ``followed_up`` and ``abstained``. What lies between two steps that are told is none, or five
        or more.

    Examples
    --------
    >>> sorted(choose_hidden_steps(60, 57, 40, [np.repeat([True, False], [17, 40])]))
    ['abstained', 'followed_up']
    >>> sorted(choose_hidden_steps(60, 50, 48, [np.repeat([True, False], [2, 48])]))
    ['abstained', 'followed_up']
    >>> sorted(choose_hidden_steps(60, 60, 58, [np.repeat([True, False], [2, 58])]))
    ['abstained', 'episodes', 'followed_up']
    """
    parts = pd.DataFrame(dict(enumerate(abstained))).value_counts()
    hides_all = is_small(n_all) or is_small(n_all - n_judged)
    if not hides_all and not any(is_small(n) for n in [n_all - n_followed, n_followed - n_judged, *parts]):
        return set()
    return {"followed_up", "abstained", *(["episodes"] if hides_all else [])}


def hide_small_shares(metrics: pd.DataFrame) -> pd.DataFrame:
    """Hide shares of a change of pain that count few patients, and what gives them away.

    Parameters
    ----------
    metrics : DataFrame
        From :func:`paincast.evaluation.performance.change.compute_change_metrics`; of others nothing is hidden.

    Examples
    --------
    >>> shares = {"coverage": 0.9, "below_interval": 0.04, "above_interval": 0.06, "mean_width": 3.0}
    >>> table = pd.DataFrame({"metric": list(shares), "estimate": list(shares.values()), "n": 100, "method": ""})
    >>> hide_small_shares(table.assign(lower=0.0, upper=1.0))["estimate"].tolist()
    [0.9, nan, nan, 3.0]
    """
    counts = (metrics["estimate"] * metrics["n"]).where(metrics["metric"].isin([*SHARES, HALVED]))
    nearest = counts.round()
    small = (nearest > 0) & (nearest < SMALLEST_CELL) | (metrics["n"] - nearest).between(1, SMALLEST_CELL - 1)
    parts = metrics["metric"].isin(SHARES)
    hidden = small & (~parts | (nearest < SMALLEST_CELL))
    if (hidden & parts).any():
        order = counts[parts & ~hidden & (nearest > 0)].sort_values().index
        for place in order:
            if (hidden & parts).sum() > 1 and counts[hidden & parts].sum() >= SMALLEST_CELL:
                break
            hidden[place] = True
    measured = {name: metrics[name].mask(hidden) for name in ("estimate", "lower", "upper")}
    return metrics.assign(**measured, method=metrics["method"].mask(hidden, WITHHELD))
