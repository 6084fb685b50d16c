"""Criteria on the patients behind a model: whether they are real, enough and followed up, and on their subgroups."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

from paincast.gates.findings import is_interval, is_number, leave_out, list_rows, make_finding, read_interval, show
from paincast.gates.verdict import FAILED, MISSING, NOT_ASKED, PASSED, GateEvidence, GateFinding
from paincast.settings import GateSettings

SLOPE_RANGE = (0.85, 1.15)
"""Calibration slopes of a model that is stable enough (Pavlou 2024, doi:10.1186/s12874-024-02268-5)."""

DETECTED_RATIO = 1.5
"""Observed over expected of a subgroup of which the power is told."""

POWER = 0.8

CIRCULAR = "patients simulated from the evidence that the model stands on cannot tell"
"""Why the calibration slope of a model of simulated patients is not judged: it tells how far the model believes the
evidence, not whether the evidence is right."""


def assess_basis(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    """Judge what the model is based on."""
    required = " or ".join(criteria.bases)
    if evidence.basis == "synthetic" and not criteria.research_use:
        return make_finding("basis", FAILED, required, "based on simulated patients only, which is for research use")
    return make_finding("basis", evidence.basis in criteria.bases, required, f"stands on {evidence.basis} evidence")


def assess_n_real(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    """Judge the number of real episodes."""
    required = f"at least {criteria.minimum_real} real episodes"
    if evidence.n_real is None:
        return make_finding("n_real", MISSING, required, "the number of real episodes is not recorded")
    return make_finding(
        "n_real", evidence.n_real >= criteria.minimum_real, required, f"{evidence.n_real} real episodes"
    )


def assess_sample_size(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    """Judge the number of patients by what the served model needs; simulated patients can be made in any number."""
    required = "every minimum sample size is met"
    table = evidence.sample_size
    if not criteria.sample_size or evidence.is_number:
        return leave_out("sample_size", evidence.is_number)
    if evidence.basis == "synthetic":
        return make_finding("sample_size", NOT_ASKED, required, "simulated patients can be made in any number")
    if table is None or table.empty:
        return make_finding("sample_size", MISSING, required, "no sample sizes are recorded")
    short = [f"{row['available']} of {row['n']} for {row['criterion']}" for row in list_rows(table, "met", False)]
    if len(list_rows(table, "met", True)) + len(short) < len(table):
        return make_finding("sample_size", MISSING, required, "a sample size has no verdict")
    return make_finding("sample_size", not short, required, "; ".join(short) or f"{len(table)} sizes are met")


def assess_stability(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    """Judge how probable it is that the calibration slope is right; tell how wide and unsteady the answers are."""
    lowest = criteria.slope_probability
    if lowest is None or evidence.is_number:
        return leave_out("stability", evidence.is_number)
    required = f"slope within {SLOPE_RANGE[0]:g} to {SLOPE_RANGE[1]:g} with a probability of {lowest:.0%} or more"
    if evidence.basis == "synthetic":
        return make_finding("stability", NOT_ASKED, required, CIRCULAR)
    row = read_interval(evidence.metrics, "calibration_slope")
    if isinstance(row, str) or not is_number(evidence.confidence):
        return make_finding("stability", MISSING, required, row if isinstance(row, str) else "no confidence recorded")
    probability = compute_slope_probability(row, float(evidence.confidence or 0.0))
    beside = [
        f"{words} {rows[0]['estimate']:.2g}"
        for metric, words in (
            ("interval_width", "intervals of individuals are on average this wide:"),
            ("instability_mean", "fitted to other patients like these, a prediction moves by"),
        )
        if (rows := list_rows(evidence.instability, "metric", metric)) and is_number(rows[0]["estimate"])
    ]
    reason = "; ".join([f"with a probability of {probability:.0%}", *beside])
    return make_finding("stability", probability >= lowest, required, reason)


def compute_slope_probability(row: Mapping[str, Any], confidence: float) -> float:
    """Compute the probability that a slope is within :data:`SLOPE_RANGE`, its error taken as normal.

    Examples
    --------
    >>> slope = {"estimate": 1.0, "lower": 0.9, "upper": 1.1}
    >>> round(compute_slope_probability(slope, 0.95), 3)
    0.997
    """
    error = (row["upper"] - row["lower"]) / (2.0 * NormalDist().inv_cdf(0.5 + confidence / 2.0))
    if error <= 0:
        return float(SLOPE_RANGE[0] <= row["estimate"] <= SLOPE_RANGE[1])
    found = NormalDist(row["estimate"], error)
    return found.cdf(SLOPE_RANGE[1]) - found.cdf(SLOPE_RANGE[0])


def assess_follow_up(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    """Judge the share lost to follow-up."""
    largest = criteria.lost_share
    if largest is None:
        return leave_out("follow_up", False)
    required = f"at most {largest:.0%} lost to follow-up"
    if evidence.loss is None:
        return make_finding("follow_up", MISSING, required, "the number lost to follow-up is not recorded")
    counts = dict(zip(evidence.loss["measure"], evidence.loss["value"], strict=True))
    asked, lost = counts.get("asked"), counts.get("lost")
    if not is_number(lost) or not is_number(asked) or not asked:
        is_few = "lost" in counts
        reason = "fewer than 5 were lost" if is_few else "the number lost to follow-up is not recorded"
        return make_finding("follow_up", PASSED if is_few else MISSING, required, reason)
    share = float(lost or 0) / float(asked)
    return make_finding("follow_up", share <= largest, required, f"{share:.0%} were lost ({lost:.0f} of {asked:.0f})")


def assess_tipping_point(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    """Judge how different those lost must be for the verdict on observed / expected to change."""
    name, odds = "tipping_point", criteria.tipping_odds
    if odds is None or evidence.is_number:
        return leave_out(name, evidence.is_number)
    required = f"observed / expected holds if those lost have {1 / odds:.2g} to {odds:.2g} times their predicted odds"
    table = evidence.tipping_point
    if table is None or table.empty:
        follow_up = assess_follow_up(evidence, criteria)
        if follow_up.status == PASSED and follow_up.reason.startswith("fewer"):
            return make_finding(name, PASSED, required, follow_up.reason)
        return make_finding(name, MISSING, required, "no tipping point is recorded")
    reach = math.log(odds) - 1e-9
    inside = table[table["shift"].abs() <= reach]
    tips = [f"{row['odds_ratio']:.2g}" for row in list_rows(table, "tips", True)]
    at = f"it changes at {' and '.join(tips)} times the odds" if tips else "it changes at no odds that were tried"
    is_met = bool((inside["verdict"] == HOLDS).all()) and not bool(inside["tips"].any())
    return make_finding(name, is_met, required, at)


HOLDS = "calibrated in the large"
"""Verdict of a row of the tipping point analysis: observed / expected is within its limits."""


def assess_subgroups(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    """Judge observed / expected of subgroups, and tell how many are large enough to be judged."""
    limits = criteria.subgroup_o_e_ratio
    if limits is None or evidence.is_number:
        return leave_out("subgroups", evidence.is_number)
    required = f"no subgroup with an interval of O/E wholly outside {limits[0]:g} to {limits[1]:g}"
    drawn = list_rows(evidence.subgroups, "metric", "o_e_ratio")
    rows = [_prefer_shrunken(row) for row in drawn]
    if not rows:
        return make_finding("subgroups", MISSING, required, "no subgroup has an O/E")
    known = [row for row in rows if is_interval(row)]
    power = _describe_power(drawn, limits, evidence.confidence)
    wrong = [row for row in known if row["upper"] < limits[0] or row["lower"] > limits[1]]
    if wrong:
        named = "; ".join(f"{row['group']}: {show(row)}" for row in wrong)
        return make_finding("subgroups", FAILED, required, f"{named}{power}")
    # A suppressed count without an interval is small: complementary suppression keeps the interval.
    large = [str(row["group"]) for row in rows if not is_interval(row) and _has_size(row, criteria.subgroup_size)]
    if large:
        return make_finding("subgroups", MISSING, required, f"no interval of O/E for {', '.join(large)}")
    if not known:
        return make_finding("subgroups", MISSING, required, f"all {len(rows)} subgroups are too small for an interval")
    small = f"; {len(rows) - len(known)} too small for one" if len(known) < len(rows) else ""
    return make_finding("subgroups", PASSED, required, f"{len(known)} subgroups with an interval{small}{power}")


def _describe_power(rows: list[dict[str, Any]], limits: list[float], confidence: float | None) -> str:
    """Tell in how many subgroups an O/E of 1.5 would be found wholly outside the limits in 80 % of cohorts."""
    known = [row for row in rows if is_interval(row) and row["lower"] > 0]
    if not known or not is_number(confidence):
        return ""
    z = NormalDist().inv_cdf(0.5 + float(confidence or 0.0) / 2.0)
    room = math.log(DETECTED_RATIO / limits[1])
    errors = [math.log(row["upper"] / row["lower"]) / (2.0 * z) for row in known]
    able = sum(error <= 0 or NormalDist().cdf(room / error - z) >= POWER for error in errors)
    others = ", the others could hide it" if able < len(known) else ""
    return f"; {able} of {len(known)} could show an O/E of {DETECTED_RATIO:g} with a power of {POWER:.0%}{others}"


def _prefer_shrunken(row: dict[str, Any]) -> dict[str, Any]:
    """Use the shrunken estimate and interval if there is one: of many levels, some differ by chance."""
    bounds = ("shrunken", "shrunken_lower", "shrunken_upper")
    if not all(is_number(row.get(name)) for name in bounds):
        return row
    return {**row, **{name: row[drawn] for name, drawn in zip(("estimate", "lower", "upper"), bounds, strict=True)}}


def _has_size(row: Mapping[str, Any], size: int) -> bool:
    return is_number(row["n"]) and row["n"] >= size
