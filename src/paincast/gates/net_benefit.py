"""Net benefit of selecting patients by prognosis, against treating all and treating none.

A prognosis tells who is likely to do poorly given the procedure, not who gains from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from paincast.deferred import pandas as pd
from paincast.gates.findings import is_interval, is_number, leave_out, list_rows, make_finding, show
from paincast.gates.verdict import MISSING, OVERALL, GateEvidence, GateFinding
from paincast.settings import GateSettings

NET_BENEFIT_GAIN = "net_benefit_difference"
"""Metric of a decision curve: gain in net benefit over the strategy in ``versus``."""

DEFAULTS = ("treat_all", "treat_none")
"""Strategies without a model. At thresholds above the response rate, treating nobody is better than treating all."""

STRATEGY_NAMES: Mapping[str, str] = MappingProxyType(
    {"treat_all": "treating all", "treat_none": "treating none", "base_rate": "deciding by the expected response"}
)

TIE = 1e-12
"""Net benefits that differ by less are equal up to rounding."""


def assess_net_benefit(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    """Judge the gain in net benefit by its band, which holds at all thresholds together."""
    required = (
        "selecting patients by prognosis: at one threshold a net benefit above those of treating all and of treating "
        "none, by a band that holds at all thresholds together"
    )
    if not criteria.net_benefit or evidence.is_number:
        return leave_out("net_benefit", evidence.is_number)
    gains = find_least_gains(evidence.decision_curve, DEFAULTS)
    if not any(gains.values()) or not any(is_interval(row) or is_tie(row) for row in gains.values() if row):
        return make_finding("net_benefit", MISSING, required, "no decision curve with a band")
    is_above = any(row["lower"] > 0 for row in gains.values() if row and is_interval(row))
    return make_finding("net_benefit", is_above, required, describe_gains(evidence.decision_curve))


def find_least_gains(
    curve: pd.DataFrame | None, strategies: Sequence[str] = DEFAULTS
) -> dict[float, dict[str, Any] | None]:
    """Find, at each threshold, the gain of the model over the best of the other strategies.

    Parameters
    ----------
    curve : DataFrame or None
        From :func:`paincast.evaluation.performance.decision.compute_decision_curve`; rows may be suppressed or absent.
    strategies : sequence of str
        Strategies to compare the model with.

    Returns
    -------
    dict of float to dict or None
        Row with the smallest gain (by its lower bound if all have an interval); None if a gain is not available.
    """
    rows = [row for row in list_rows(curve, "metric", NET_BENEFIT_GAIN) if row["group"] == OVERALL]
    rows = [_take_band(row) for row in rows if row["versus"] in strategies]
    usable = {(row["threshold"], row["versus"]): row for row in rows if is_number(row["estimate"])}
    least: dict[float, dict[str, Any] | None] = dict.fromkeys(row["threshold"] for row in rows)
    for threshold in least:
        rows_at_threshold = [usable[threshold, name] for name in strategies if (threshold, name) in usable]
        if len(rows_at_threshold) == len(strategies):
            bound = "lower" if all(is_interval(row) for row in rows_at_threshold) else "estimate"
            least[threshold] = min(rows_at_threshold, key=lambda row: row[bound])
    return least


def _take_band(row: dict[str, Any]) -> dict[str, Any]:
    """Replace the interval of a gain over treating all or none by its band; curves of earlier runs have none."""
    if row["versus"] not in DEFAULTS or "band_lower" not in row:
        return row
    return {**row, "lower": row["band_lower"], "upper": row["band_upper"]}


def is_tie(row: Mapping[str, Any]) -> bool:
    """Whether the model is neither better nor worse."""
    return bool(abs(row["estimate"]) < TIE)


def describe_gains(curve: pd.DataFrame | None, strategies: Sequence[str] = DEFAULTS) -> str:
    """Describe at how many thresholds the model is better than the best of the other strategies, and by how much.

    Parameters
    ----------
    curve, strategies
        As for :func:`find_least_gains`.

    Returns
    -------
    str
        Starts with "better than" or "not better than". Better means that the whole band (against the
        expected response, the interval) is above 0.
    """
    gains = find_least_gains(curve, strategies)
    rows = [(threshold, row) for threshold, row in gains.items() if row]
    named = " and ".join(STRATEGY_NAMES[name] for name in strategies)
    both, best = ("both ", "the better of ") if len(strategies) > 1 else ("", "")
    if not rows:
        return f"not known to be better than {best}{named}: net benefit is shown at none of {len(gains)} thresholds"
    hidden = f" ({len(gains) - len(rows)} more are hidden)" if len(rows) < len(gains) else ""
    above = [(threshold, row) for threshold, row in rows if is_interval(row) and row["lower"] > 0]
    if above:
        at, row = max(above, key=lambda pair: pair[1]["lower"])
        summary = f"better than {both}{named} at {len(above)} of {len(rows)} thresholds{hidden}"
        return f"{summary}; most clearly at {at:g}, by {show(row)}"
    at, row = max(rows, key=lambda pair: pair[1]["estimate"])
    summary = f"not better than {best}{named} at any of {len(rows)} thresholds{hidden}"
    if is_tie(row):
        return f"{summary}; at best the same"
    if row["estimate"] > 0:
        return f"{summary}: the largest difference, {show(row)} at {at:g}, may be chance"
    shortfall = {"estimate": -row["estimate"], "lower": -row["upper"], "upper": -row["lower"]}
    return f"{summary}: it falls short at each, least at {at:g}, by {show(shortfall)}"
