"""Net benefit at thresholds: with the number of patients it gives away how many are treated rightly and in vain."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

MEASURED = ("estimate", "lower", "upper")
WITHHELD = "not shown: few patients with or without the outcome lie between this threshold and what else is told"


def hide_thresholds(curve: pd.DataFrame, shown: Collection[float]) -> pd.DataFrame:
    """Hide what the model gains at thresholds that part few patients from others.

    The net benefit ``TP / n - FP / n * t / (1 - t)`` has one solution in whole numbers, so that its digits count those
    treated rightly and in vain, and two thresholds count those between them.

    Parameters
    ----------
    curve : DataFrame
        From :func:`paincast.evaluation.performance.decision.compute_decision_curve`.
    shown : collection of float
        Thresholds that may be told, from :func:`paincast.disclosure.cuts.choose_cuts`.

    Returns
    -------
    DataFrame
        The same; treating everybody and treating nobody are told by the size and the outcomes of the cohort alone.

    Examples
    --------
    >>> curve = pd.DataFrame({"threshold": [0.2, 0.3], "estimate": 0.1, "lower": 0.0, "upper": 0.2})
    >>> hide_thresholds(curve.assign(strategy="model", method=""), [0.3])["estimate"].tolist()
    [nan, 0.1]
    """
    hidden = (curve["strategy"] == "model") & ~curve["threshold"].isin(list(shown))
    measured = {name: curve[name].mask(hidden) for name in MEASURED}
    return curve.assign(**measured, method=curve["method"].mask(hidden, WITHHELD))
