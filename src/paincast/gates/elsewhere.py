"""Calibration in patients whom the modelling had not seen: held-out sites and years, and other cohorts.

Out of fold the mean prediction is the mean outcome by construction, so that observed / expected is 1 for any model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paincast.deferred import pandas as pd
from paincast.gates.findings import is_interval, is_number, leave_out, list_rows, make_finding, show
from paincast.gates.verdict import MISSING, NOT_ASKED, GateEvidence, GateFinding
from paincast.settings import GateSettings

VALIDATION = "internal_validation"
"""Table of ``part, status, says``: results of repeating the whole modelling, and why a part was not measured."""

HELD_OUT_SITES, HELD_OUT_YEARS = "held_out_site", "held_out_year"
"""Parts of internal validation, and the tables that hold them."""

HELD_OUT = {HELD_OUT_SITES: "sites", HELD_OUT_YEARS: "years"}


def find_pooled(tables: Mapping[str, pd.DataFrame], metric: str) -> tuple[dict[str, Any], str] | None:
    """Find the mean of a metric over held-out sites, or else over held-out years.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Tables of a run; those of :data:`HELD_OUT` are used.
    metric : str
        Name of the metric.

    Returns
    -------
    (dict, str) or None
        The row, and the number of sites or years in words; None if there is no estimate.
    """
    for name, groups in HELD_OUT.items():
        rows = [row for row in list_rows(tables.get(name), "metric", metric) if row["n_groups"] > 0]
        if rows and is_number(rows[0]["estimate"]):
            return rows[0], f"{rows[0]['n_groups']:.0f} {groups}"
    return None


def explain_unknown(tables: Mapping[str, pd.DataFrame]) -> str:
    """Explain why nothing is known of held-out sites and years.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Tables of a run; that of :data:`VALIDATION` is used.

    Returns
    -------
    str
        ``not measured`` if it was not asked for; else ``not known`` with the reason, for example one site.
    """
    parts = tables.get(VALIDATION, pd.DataFrame(columns=["part", "status", "says"]))
    held_out = parts[parts["part"].isin(list(HELD_OUT)) & (parts["status"] != "not measured")]
    if held_out.empty:
        return "not measured"
    row = held_out.iloc[0]
    why = "no pooled ratio" if row["status"] == "measured" else row["says"].removeprefix("cannot be held out: ")
    return f"not known: {why}"


def assess_o_e_elsewhere(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    """Judge observed / expected in held-out sites or years and in other cohorts."""
    name, limits = "o_e_elsewhere", criteria.o_e_ratio
    if limits is None or evidence.is_number:
        return leave_out(name, evidence.is_number)
    required = _require("observed / expected", limits, criteria)
    against = [row for row in _list_validations(evidence) if row["contradicts"]]
    if against:
        return make_finding(name, False, required, f"contradicted by {_join(against)}")
    pooled = find_pooled(evidence.held_out, "o_e_ratio")
    if pooled:
        return _judge(name, *pooled, limits, criteria)
    validations = _list_validations(evidence)
    if validations:
        is_met = any(is_within(row, limits) for row in validations) or not criteria.held_out
        return make_finding(name, is_met, required, f"in other patients: {_join(validations)}")
    return make_finding(
        name, MISSING if criteria.held_out else NOT_ASKED, required, f"elsewhere {explain_unknown(evidence.held_out)}"
    )


def assess_slope_elsewhere(evidence: GateEvidence, criteria: GateSettings) -> GateFinding:
    """Judge the calibration slope in held-out sites or years, where it is known."""
    name, limits = "slope_elsewhere", criteria.calibration_slope
    if limits is None or evidence.is_number:
        return leave_out(name, evidence.is_number)
    pooled = find_pooled(evidence.held_out, "calibration_slope")
    if pooled is None:
        reason = f"elsewhere {explain_unknown(evidence.held_out)}"
        return make_finding(name, NOT_ASKED, _require("slope", limits, criteria), reason)
    return _judge(name, *pooled, limits, criteria)


def is_within(row: Mapping[str, Any], limits: list[float]) -> bool:
    """Whether the whole interval of a row is within limits."""
    return is_interval(row) and bool(limits[0] <= row["lower"] and row["upper"] <= limits[1])


def _judge(name: str, row: Mapping[str, Any], groups: str, limits: list[float], criteria: GateSettings) -> GateFinding:
    """Judge a mean over held-out groups: shown to keep the limits, or at least not shown to break them."""
    metric = "observed / expected" if name == "o_e_elsewhere" else "slope"
    outside = is_interval(row) and (row["upper"] < limits[0] or row["lower"] > limits[1])
    is_met = is_within(row, limits) if criteria.held_out else not outside
    new = ""
    if is_number(row.get("predicted_lower")) and is_number(row.get("predicted_upper")):
        new = f"; a new one may have {row['predicted_lower']:.3g} to {row['predicted_upper']:.3g}"
    return make_finding(name, is_met, _require(metric, limits, criteria), f"{show(row)} over {groups} held out{new}")


def _require(metric: str, limits: list[float], criteria: GateSettings) -> str:
    where = f"{metric} in held-out sites or years or in other patients"
    if criteria.held_out:
        return f"{where}: interval within {limits[0]:g} to {limits[1]:g}"
    return f"{where}, where known: interval not wholly outside {limits[0]:g} to {limits[1]:g}"


def _list_validations(evidence: GateEvidence) -> list[dict[str, Any]]:
    table = evidence.validations
    return [] if table is None else [{str(key): cell for key, cell in row.items()} for row in table.to_dict("records")]


def _join(rows: list[dict[str, Any]]) -> str:
    return "; ".join(f"{row['group']}, n = {row['n']:.0f}: {show(row)}" for row in rows)
