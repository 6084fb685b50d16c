"""Counts of few patients, and those from which they could be worked out, are hidden in what is recorded."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.schema import SMALLEST_CELL

LEFT_OUT = ("not asked: ", "lost: ")
"""Steps that leave people out; those of one prefix and the step after them sum to a step before."""

TOTALS = ("episodes of the technique", "asked: ")
ANSWERED_AT = "answered by a visit of month "
"""Steps that say whose visit answered; they sum to those with an answer."""
FEW = f"fewer than {SMALLEST_CELL}"


def is_small(n: float) -> bool:
    """Say whether a count tells of so few patients that it is hidden; 0 tells of nobody."""
    return 0 < n < SMALLEST_CELL


def hide_small_steps(flow: pd.DataFrame) -> pd.DataFrame:
    """Hide small counts of a flow table, with their complements.

    Beside each hidden reason the smallest other one is hidden, until they stand for five or more; where there are too
    few reasons for that, or those hidden are of one kind, the sums are hidden too. So are the months of visits that
    answered. The number with an answer is always told.

    Parameters
    ----------
    flow : DataFrame
        ``step, n`` of :class:`paincast.training_set.TrainingSet`.

    Returns
    -------
    DataFrame
        The same with ``n`` as ``Int64``, ``<NA>`` where it is hidden.

    Examples
    --------
    >>> steps = ["episodes of the technique", "not asked: no pain", "asked: all", "lost: no visit", "with an answer"]
    >>> hide_small_steps(pd.DataFrame({"step": steps, "n": [60, 10, 50, 3, 47]}))["n"].tolist()
    [60, <NA>, <NA>, <NA>, 47]
    """
    step, n = flow["step"].str, flow["n"].to_numpy(dtype=np.int64)
    reason = np.logical_or.reduce([step.startswith(prefix).to_numpy() for prefix in LEFT_OUT])
    total = np.logical_or.reduce([step.startswith(prefix).to_numpy() for prefix in TOTALS])
    small = (n > 0) & (n < SMALLEST_CELL)
    hidden = _hide_with_others(n, reason)
    if hidden.any():
        hidden |= step.startswith(TOTALS[1]).to_numpy()
        if hidden[reason].sum() < 2 or n[hidden & reason].sum() < SMALLEST_CELL:
            hidden |= total
    months = _hide_with_others(n, step.startswith(ANSWERED_AT).to_numpy())
    return flow.assign(n=flow["n"].astype("Int64").mask(hidden | months | small))


def _hide_with_others(n: npt.NDArray[np.int64], among: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Hide small counts, and beside them the smallest others until there are two that stand for five or more."""
    hidden = among & (n > 0) & (n < SMALLEST_CELL)
    others = sorted(np.flatnonzero(among & ~hidden & (n > 0)), key=lambda place: n[place])
    while hidden.any() and others and (hidden.sum() < 2 or n[hidden].sum() < SMALLEST_CELL):
        hidden[others.pop(0)] = True
    return np.asarray(hidden)


def say_answering_months(counts: Mapping[int, int]) -> str:
    """Say how many were answered by a visit of which month; small counts, and what gives them away, are hidden.

    Examples
    --------
    >>> say_answering_months({3: 40, 6: 60})
    'answered by visits of month 3: 40, month 6: 60'
    >>> say_answering_months({2: 3, 3: 40, 6: 60})
    'answered by visits of month 6: 60, other months (2, 3): 43'
    """
    months, n = list(counts), np.array(list(counts.values()), dtype=np.int64)
    hidden = _hide_with_others(n, np.ones(len(n), dtype=bool))
    shown = [f"month {month}: {count}" for month, count, gone in zip(months, n, hidden, strict=True) if not gone]
    if hidden.any():
        others = ", ".join(str(month) for month, gone in zip(months, hidden, strict=True) if gone)
        shown.append(f"other months ({others}): {n[hidden].sum()}" if n[hidden].sum() >= SMALLEST_CELL else "")
    return f"answered by visits of {', '.join(filter(None, shown))}" if any(shown) else ""


def hide_small_loss(weights: pd.DataFrame) -> pd.DataFrame:
    """Hide how many were asked and lost in a summary of weights when those lost are few."""
    lost = weights.set_index("measure")["value"]["lost"]
    hidden = weights["measure"].isin(["asked", "lost"]) & is_small(lost)
    return weights.assign(value=weights["value"].mask(hidden))
