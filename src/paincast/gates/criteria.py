"""Criteria of a gate, each a pure function of the evidence and the settings of the gate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pandas as pd

from paincast.gates.verdict import FAILED, MISSING, NOT_ASKED, PASSED, GateEvidence, GateFinding, GateVerdict
from paincast.settings import GateSettings

OVERALL = "overall"
NET_BENEFIT_GAIN = "net_benefit_difference"
"""Metric of a decision curve: gain in net benefit over the strategy in ``versus``."""

DEFAULTS = ("treat_all", "treat_none")
"""Strategies without a model. At thresholds above the response rate, treating nobody is better than treating all."""

STRATEGY_NAMES: Mapping[str, str] = MappingProxyType(
    {"treat_all": "treating all", "treat_none": "treating none", "base_rate": "deciding by the expected response"}
)

TIE = 1e-12
"""Net benefits that differ by less are equal up to rounding."""


def gate(evidence: GateEvidence, criteria: GateSettings) -> GateVerdict:
    """Judge evidence by the criteria of a gate.

    Limits apply to the bounds of intervals: an imprecise estimate fails like a bad one. Subgroups are an exception, as
    they are many and small: a subgroup fails only if its whole interval is outside the limits.

    Parameters
    ----------
    evidence : GateEvidence
        Evidence on the model.
    criteria : GateSettings
        Requirements; checked by :func:`paincast.settings.check_settings`.

    Returns
    -------
    GateVerdict
        A finding for every criterion. A missing number fails, and so does a duplicate.

    Examples
    --------
    >>> verdict = gate(GateEvidence(kind="binary", basis="synthetic", n_real=0), GateSettings())
    >>> verdict.findings[0].reason
    'based on simulated patients only, which is for research use'
    """
    findings = tuple(judge(evidence, criteria) for judge in CRITERIA.values())
    return GateVerdict(gate=criteria.name, research_use=criteria.research_use, findings=findings)


def _assess_basis(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    required = " or ".join(criteria.bases)
    if evidence.basis == "synthetic" and not criteria.research_use:
        return _find("basis", FAILED, required, "based on simulated patients only, which is for research use")
    return _find("basis", evidence.basis in criteria.bases, required, f"stands on {evidence.basis} evidence")


def _assess_n_real(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    required = f"at least {criteria.minimum_real} real episodes"
    if evidence.n_real is None:
        return _find("n_real", MISSING, required, "the number of real episodes is not recorded")
    return _find("n_real", evidence.n_real >= criteria.minimum_real, required, f"{evidence.n_real} real episodes")


def _assess_sample_size(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    required = "every minimum sample size is met"
    table = evidence.sample_size
    if not criteria.sample_size or evidence.is_number:
        return _leave_out("sample_size", evidence.is_number)
    if table is None or table.empty:
        return _find("sample_size", MISSING, required, "no sample sizes are recorded")
    short = [f"{row['available']} of {row['n']} for {row['criterion']}" for row in _list_rows(table, "met", False)]
    if len(_list_rows(table, "met", True)) + len(short) < len(table):
        return _find("sample_size", MISSING, required, "a sample size has no verdict")
    return _find("sample_size", not short, required, "; ".join(short) or f"{len(table)} sizes are met")


def _assess_confidence(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    required = f"intervals of at least {criteria.confidence:.1%}"
    if not _is_number(evidence.confidence):
        return _find("confidence", MISSING, required, "the confidence of the intervals is not recorded")
    confidence = float(evidence.confidence or 0.0)
    return _find("confidence", confidence >= criteria.confidence - 1e-9, required, f"intervals of {confidence:.1%}")


def _assess_leak(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    highest = criteria.auroc[1]
    required = f"an AUROC that is possible: interval not wholly above {highest:g}, nor above that of the truth"
    if evidence.is_number:
        return _leave_out("leak", True)
    bounds = [("auroc", highest, "the AUROC")]
    if evidence.basis == "synthetic":
        bounds.append(("auroc_above_truth", 0.0, "the AUROC above that of the true probabilities"))
    reasons = []
    for metric, bound, name in bounds:
        row = _read_interval(evidence.metrics, metric)
        if isinstance(row, str):
            return _find("leak", MISSING, required, row)
        reasons.append(f"{name} {_show(row)}")
        if row["lower"] > bound:
            return _find("leak", FAILED, required, f"{reasons[-1]}: something known only later reaches the model")
    return _find("leak", PASSED, required, "; ".join(reasons))


def _assess_auroc(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    lowest = criteria.auroc[0]
    if evidence.is_number:
        return _leave_out("auroc", True)
    return _assess_interval(evidence, "auroc", f"lower bound above {lowest:g}", lambda low, _: low > lowest)


def _assess_slope(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    return _assess_within(evidence, "calibration_slope", criteria.calibration_slope)


def _assess_o_e_ratio(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    return _assess_within(evidence, "o_e_ratio", criteria.o_e_ratio)


def _assess_ici(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    largest = criteria.ici
    if largest is None or evidence.is_number:
        return _leave_out("ici", evidence.is_number)
    return _assess_interval(evidence, "ici", f"upper bound at most {largest:g}", lambda _, high: high <= largest)


def _assess_net_benefit(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    required = "at one threshold a net benefit whose lower bound is above those of treating all and of treating none"
    if not criteria.net_benefit or evidence.is_number:
        return _leave_out("net_benefit", evidence.is_number)
    gains = find_least_gains(evidence.decision_curve, DEFAULTS)
    if not any(gains.values()) or not any(_is_interval(row) or is_tie(row) for row in gains.values() if row):
        return _find("net_benefit", MISSING, required, "no decision curve with intervals")
    is_above = any(row["lower"] > 0 for row in gains.values() if row and _is_interval(row))
    return _find("net_benefit", is_above, required, describe_gains(evidence.decision_curve))


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
    rows = [] if curve is None else _list_rows(curve, "metric", NET_BENEFIT_GAIN)
    rows = [row for row in rows if row["group"] == OVERALL and row["versus"] in strategies]
    usable = {(row["threshold"], row["versus"]): row for row in rows if _is_number(row["estimate"])}
    least: dict[float, dict[str, Any] | None] = dict.fromkeys(row["threshold"] for row in rows)
    for threshold in least:
        rows_at_threshold = [usable[threshold, name] for name in strategies if (threshold, name) in usable]
        if len(rows_at_threshold) == len(strategies):
            bound = "lower" if all(_is_interval(row) for row in rows_at_threshold) else "estimate"
            least[threshold] = min(rows_at_threshold, key=lambda row: row[bound])
    return least


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
        Starts with "better than" or "not better than". Better means that the whole interval is above 0.
    """
    gains = find_least_gains(curve, strategies)
    rows = [(threshold, row) for threshold, row in gains.items() if row]
    named = " and ".join(STRATEGY_NAMES[name] for name in strategies)
    both, best = ("both ", "the better of ") if len(strategies) > 1 else ("", "")
    if not rows:
        return f"not known to be better than {best}{named}: net benefit is shown at none of {len(gains)} thresholds"
    hidden = f" ({len(gains) - len(rows)} more are hidden)" if len(rows) < len(gains) else ""
    above = [(threshold, row) for threshold, row in rows if _is_interval(row) and row["lower"] > 0]
    if above:
        at, row = max(above, key=lambda pair: pair[1]["lower"])
        summary = f"better than {both}{named} at {len(above)} of {len(rows)} thresholds{hidden}"
        return f"{summary}; most clearly at {at:g}, by {_show(row)}"
    at, row = max(rows, key=lambda pair: pair[1]["estimate"])
    summary = f"not better than {best}{named} at any of {len(rows)} thresholds{hidden}"
    if is_tie(row):
        return f"{summary}; at best the same"
    if row["estimate"] > 0:
        return f"{summary}: the largest difference, {_show(row)} at {at:g}, may be chance"
    shortfall = {"estimate": -row["estimate"], "lower": -row["upper"], "upper": -row["lower"]}
    return f"{summary}: it falls short at each, least at {at:g}, by {_show(shortfall)}"


def _assess_subgroups(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    limits = criteria.subgroup_o_e_ratio
    if limits is None or evidence.is_number:
        return _leave_out("subgroups", evidence.is_number)
    required = f"no subgroup with an interval of O/E wholly outside {limits[0]:g} to {limits[1]:g}"
    table = evidence.subgroups
    rows = [] if table is None else [_prefer_shrunken(row) for row in _list_rows(table, "metric", "o_e_ratio")]
    if not rows:
        return _find("subgroups", MISSING, required, "no subgroup has an O/E")
    known = [row for row in rows if _is_interval(row)]
    wrong = [row for row in known if row["upper"] < limits[0] or row["lower"] > limits[1]]
    if wrong:
        return _find("subgroups", FAILED, required, "; ".join(f"{row['group']}: {_show(row)}" for row in wrong))
    # A suppressed count without an interval is small: complementary suppression keeps the interval.
    large = [str(row["group"]) for row in rows if not _is_interval(row) and _has_size(row, criteria.subgroup_size)]
    if large:
        return _find("subgroups", MISSING, required, f"no interval of O/E for {', '.join(large)}")
    if not known:
        return _find("subgroups", MISSING, required, f"all {len(rows)} subgroups are too small for an interval")
    small = f"; {len(rows) - len(known)} too small for one" if len(known) < len(rows) else ""
    return _find("subgroups", PASSED, required, f"{len(known)} subgroups with an interval{small}")


def _prefer_shrunken(row: dict[str, Any]) -> dict[str, Any]:
    """Use the shrunken estimate and interval if there is one: of many levels, some differ by chance."""
    bounds = ("shrunken", "shrunken_lower", "shrunken_upper")
    if not all(_is_number(row.get(name)) for name in bounds):
        return row
    return {**row, **{name: row[drawn] for name, drawn in zip(("estimate", "lower", "upper"), bounds, strict=True)}}


def _has_size(row: Mapping[str, Any], size: int) -> bool:
    return _is_number(row["n"]) and row["n"] >= size


def _assess_coverage(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    margin = criteria.coverage_margin
    if margin is None or not evidence.is_number:
        return _leave_out("coverage", not evidence.is_number)
    if not _is_number(evidence.level):
        return _find("coverage", MISSING, f"within {margin:g} of its level", "its level is not recorded")
    level = float(evidence.level or 0.0)
    return _assess_within(evidence, "coverage", [level - margin, level + margin], numbers=True)


def _assess_pinball_gain(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    if not criteria.pinball_gain or not evidence.is_number:
        return _leave_out("pinball_gain", not evidence.is_number)
    return _assess_interval(evidence, "pinball_gain", "lower bound above 0", lambda low, _: low > 0)


def _assess_card(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    if not criteria.card_items:
        return _leave_out("model_card", False)
    required = f"filled: {', '.join(criteria.card_items)}"
    if evidence.card_items is None:
        return _find("model_card", MISSING, required, "there is no model card")
    absent = [item for item in criteria.card_items if item not in evidence.card_items]
    reason = f"missing: {', '.join(absent)}" if absent else f"{len(criteria.card_items)} items are filled"
    return _find("model_card", MISSING if absent else PASSED, required, reason)


Criterion = Callable[[GateEvidence, GateSettings], GateFinding]

CRITERIA: Mapping[str, Criterion] = MappingProxyType(
    {
        "basis": _assess_basis,
        "n_real": _assess_n_real,
        "sample_size": _assess_sample_size,
        "confidence": _assess_confidence,
        "leak": _assess_leak,
        "auroc": _assess_auroc,
        "calibration_slope": _assess_slope,
        "o_e_ratio": _assess_o_e_ratio,
        "ici": _assess_ici,
        "net_benefit": _assess_net_benefit,
        "subgroups": _assess_subgroups,
        "coverage": _assess_coverage,
        "pinball_gain": _assess_pinball_gain,
        "model_card": _assess_card,
    }
)
"""Criteria by name; each returns a finding of that name."""


def _assess_within(
    evidence: GateEvidence, metric: str, limits: list[float] | None, *, numbers: bool = False
) -> GateFinding:
    """Require that the whole interval of a metric is within limits; for binary or for continuous outcomes."""
    other_kind = evidence.is_number is not numbers
    if limits is None or other_kind:
        return _leave_out(metric, other_kind)
    least, most = limits
    required = f"interval within {least:g} to {most:g}"
    return _assess_interval(evidence, metric, required, lambda low, high: least <= low and high <= most)


def _assess_interval(
    evidence: GateEvidence, metric: str, required: str, is_met: Callable[[float, float], bool]
) -> GateFinding:
    row = _read_interval(evidence.metrics, metric)
    if isinstance(row, str):
        return _find(metric, MISSING, required, row)
    return _find(metric, is_met(row["lower"], row["upper"]), required, _show(row))


def _read_interval(table: pd.DataFrame | None, metric: str) -> dict[str, Any] | str:
    """Return the only overall row of a metric, or the reason why there is none to judge."""
    rows = [] if table is None else _list_rows(table, "metric", metric)
    rows = [row for row in rows if row["group"] == OVERALL]
    if len(rows) != 1:
        return f"{metric} stands {len(rows)} times in the metrics" if rows else f"no {metric} in the metrics"
    return rows[0] if _is_interval(rows[0]) else f"{metric} has no interval ({rows[0]['method']})"


def _list_rows(table: pd.DataFrame, column: str, value: object) -> list[dict[str, Any]]:
    return [{str(name): cell for name, cell in row.items()} for row in table[table[column] == value].to_dict("records")]


def _is_interval(row: Mapping[str, Any]) -> bool:
    return all(_is_number(row[bound]) for bound in ("estimate", "lower", "upper")) and row["lower"] <= row["upper"]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _show(row: Mapping[str, Any]) -> str:
    interval = f"{row['lower']:.3g} to {row['upper']:.3g}" if _is_interval(row) else "no interval"
    return f"{row['estimate']:.3g} ({interval})"


def _find(criterion: str, status: str | bool, required: str, reason: str) -> GateFinding:
    status = status if isinstance(status, str) else PASSED if status else FAILED
    return GateFinding(criterion=criterion, status=status, required=required, reason=reason)


def _leave_out(criterion: str, other_kind: bool) -> GateFinding:
    reason = "does not apply to an outcome of this kind" if other_kind else "the gate leaves it out"
    return _find(criterion, NOT_ASKED, "", reason)
