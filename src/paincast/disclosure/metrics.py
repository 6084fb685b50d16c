"""Hide small counts in evaluation results on real patients: exclusion steps, shares and decision curves."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.disclosure.rounding import FEW
from paincast.disclosure.suppression import is_small, withhold
from paincast.schema import MINIMUM_CELL

SHARES = ("below_interval", "coverage", "above_interval")
"""Metrics that are shares of patients and sum to 1; multiplied by the number of patients, each is a count."""

HALVED = "below_median"
"""A share in which patients at the median count half."""

SHARE_WITHHELD = "not shown: a share of few patients, or one that would disclose it"
THRESHOLD_WITHHELD = (
    "not shown: few patients with or without the outcome lie between this threshold and others that are shown"
)
GROUP_WITHHELD = "not shown: with the range of predictions it would disclose few patients"
HIDDEN = f"counts that disclose {FEW} patients are hidden"


def describe_too_few(outcome: npt.ArrayLike, *, is_number: bool = False) -> str:
    """Explain why performance cannot be measured on too few patients; empty if there are enough.

    Parameters
    ----------
    outcome : array-like of shape (n,)
        0 or 1, or a number.
    is_number : bool
        Whether the outcome is continuous and has no classes.

    Examples
    --------
    >>> describe_too_few([1] * 4 + [0] * 40)
    'not measured: fewer than 5 have the outcome, or fewer than 5 have not'
    >>> describe_too_few([1] * 5 + [0] * 5), describe_too_few([-3.0] * 5, is_number=True)
    ('', '')
    """
    values = np.asarray(outcome, dtype=float)
    if is_number:
        return f"not measured: {FEW} episodes" if len(values) < MINIMUM_CELL else ""
    few = min((values == 1).sum(), (values != 1).sum()) < MINIMUM_CELL
    return f"not measured: {FEW} have the outcome, or {FEW} have not" if few else ""


def choose_suppressed_steps(
    n_all: int, n_followed: int, n_judged: int, abstained: list[npt.NDArray[np.bool_]]
) -> set[str]:
    """Choose which steps from all episodes to the evaluated episodes are hidden; the last step is always shown.

    Parameters
    ----------
    n_all, n_followed, n_judged : int
        Number of episodes, of episodes with follow-up, and of episodes for which every model gives a prediction.
    abstained : list of ndarray of bool, each of shape (n_followed,)
        For each model, the episodes with follow-up for which it abstains.

    Returns
    -------
    set of str
        Hidden steps: ``episodes``, ``followed_up`` and ``abstained``. Shown steps differ by 0 or by at least five.

    Examples
    --------
    >>> sorted(choose_suppressed_steps(60, 57, 40, [np.repeat([True, False], [17, 40])]))
    ['abstained', 'followed_up']
    >>> sorted(choose_suppressed_steps(60, 50, 48, [np.repeat([True, False], [2, 48])]))
    ['abstained', 'followed_up']
    >>> sorted(choose_suppressed_steps(60, 60, 58, [np.repeat([True, False], [2, 58])]))
    ['abstained', 'episodes', 'followed_up']
    """
    parts = pd.DataFrame(dict(enumerate(abstained))).value_counts()
    hides_all = is_small(n_all) or is_small(n_all - n_judged)
    if not hides_all and not any(is_small(n) for n in [n_all - n_followed, n_followed - n_judged, *parts]):
        return set()
    return {"followed_up", "abstained", *(["episodes"] if hides_all else [])}


def suppress_small_shares(metrics: pd.DataFrame) -> pd.DataFrame:
    """Hide shares of a pain change that represent few patients, and their complements.

    Parameters
    ----------
    metrics : DataFrame
        From :func:`paincast.evaluation.performance.change.compute_change_metrics`; other metrics are not hidden.

    Examples
    --------
    >>> shares = {"coverage": 0.9, "below_interval": 0.04, "above_interval": 0.06, "mean_width": 3.0}
    >>> table = pd.DataFrame({"metric": list(shares), "estimate": list(shares.values()), "n": 100, "method": ""})
    >>> suppress_small_shares(table.assign(lower=0.0, upper=1.0))["estimate"].tolist()
    [0.9, nan, nan, 3.0]
    """
    counts = (metrics["estimate"] * metrics["n"]).where(metrics["metric"].isin([*SHARES, HALVED]))
    nearest = counts.round()
    small = is_small(nearest) | is_small(metrics["n"] - nearest)
    parts = metrics["metric"].isin(SHARES)
    hidden = small & (~parts | (nearest < MINIMUM_CELL))
    if (hidden & parts).any():
        order = counts[parts & ~hidden & (nearest > 0)].sort_values().index
        for row in order:
            if (hidden & parts).sum() > 1 and counts[hidden & parts].sum() >= MINIMUM_CELL:
                break
            hidden[row] = True
    return withhold(metrics, hidden, SHARE_WITHHELD)


def suppress_thresholds(curve: pd.DataFrame, shown: Collection[float]) -> pd.DataFrame:
    """Hide the model's net benefit at thresholds that separate few patients from the others.

    The net benefit ``TP / n - FP / n * t / (1 - t)`` has a unique solution in whole numbers, so its digits disclose the
    numbers of true and false positives, and two thresholds disclose the numbers between them.

    Parameters
    ----------
    curve : DataFrame
        From :func:`paincast.evaluation.performance.decision.compute_decision_curve`.
    shown : collection of float
        Thresholds that may be released, from :func:`paincast.disclosure.cuts.choose_cuts`.

    Returns
    -------
    DataFrame
        The same table. "Treat all" and "treat none" depend only on the size and outcomes of the cohort and are shown.

    Examples
    --------
    >>> curve = pd.DataFrame({"threshold": [0.2, 0.3], "estimate": 0.1, "lower": 0.0, "upper": 0.2})
    >>> suppress_thresholds(curve.assign(strategy="model", method=""), [0.3])["estimate"].tolist()
    [nan, 0.1]
    """
    hidden = (curve["strategy"] == "model") & ~curve["threshold"].isin(list(shown))
    return withhold(curve, hidden, THRESHOLD_WITHHELD)


def withhold_groups(by_group: pd.DataFrame) -> pd.DataFrame:
    """Withhold all measures of groups with a hidden count.

    A saved model's predictions on a cohort can lie close together. The expected number of a group is then nearly known
    from its size, and its ratio of observed to expected tells its number of events.

    Parameters
    ----------
    by_group : DataFrame
        From :func:`paincast.evaluation.groups.subgroups.compute_metrics_by_group`, with hidden counts missing.

    Examples
    --------
    >>> measured = ["estimate", "lower", "upper", "error", "shrunken", "shrunken_lower", "shrunken_upper"]
    >>> rows = pd.DataFrame({"n": [60.0, 60.0], "n_events": [9.0, None], "method": "", **dict.fromkeys(measured, 0.4)})
    >>> withhold_groups(rows)["estimate"].tolist()
    [0.4, nan]
    """
    hidden = by_group["n"].isna() | by_group["n_events"].isna()
    further = {name: by_group[name].mask(hidden) for name in ("error", "shrunken", "shrunken_lower", "shrunken_upper")}
    return withhold(by_group, hidden & by_group["estimate"].notna(), GROUP_WITHHELD).assign(**further)
