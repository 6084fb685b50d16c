"""Read tables of evidence and write findings: what all criteria share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from paincast.deferred import pandas as pd
from paincast.gates.verdict import FAILED, MISSING, NOT_ASKED, OVERALL, PASSED, GateEvidence, GateFinding


def make_finding(criterion: str, status: str | bool, required: str, reason: str) -> GateFinding:
    """Make a finding; a status of true is passed, of false failed."""
    status = status if isinstance(status, str) else PASSED if status else FAILED
    return GateFinding(criterion=criterion, status=status, required=required, reason=reason)


def leave_out(criterion: str, other_kind: bool) -> GateFinding:
    """Make the finding of a criterion that is not asked: of another kind of outcome, or left out by the gate."""
    reason = "does not apply to an outcome of this kind" if other_kind else "the gate leaves it out"
    return make_finding(criterion, NOT_ASKED, "", reason)


def assess_within(
    evidence: GateEvidence, metric: str, limits: list[float] | None, *, numbers: bool = False
) -> GateFinding:
    """Require that the whole interval of a metric is within limits; for binary or for continuous outcomes."""
    other_kind = evidence.is_number is not numbers
    if limits is None or other_kind:
        return leave_out(metric, other_kind)
    least, most = limits
    required = f"interval within {least:g} to {most:g}"
    return assess_interval(evidence, metric, required, lambda low, high: least <= low and high <= most)


def assess_interval(
    evidence: GateEvidence, metric: str, required: str, is_met: Callable[[float, float], bool], *, name: str = ""
) -> GateFinding:
    """Require something of the interval of a metric; the criterion has the name of the metric unless it is given."""
    row = read_interval(evidence.metrics, metric)
    if isinstance(row, str):
        return make_finding(name or metric, MISSING, required, row)
    return make_finding(name or metric, is_met(row["lower"], row["upper"]), required, show(row))


def read_interval(table: pd.DataFrame | None, metric: str) -> dict[str, Any] | str:
    """Return the only overall row of a metric, or the reason why there is none to judge."""
    rows = [row for row in list_rows(table, "metric", metric) if row["group"] == OVERALL]
    if len(rows) != 1:
        return f"{metric} stands {len(rows)} times in the metrics" if rows else f"no {metric} in the metrics"
    return rows[0] if is_interval(rows[0]) else f"{metric} has no interval ({rows[0]['method']})"


def list_rows(table: pd.DataFrame | None, column: str, value: object) -> list[dict[str, Any]]:
    """List the rows of a table that have a value in a column; none without a table."""
    if table is None:
        return []
    return [{str(name): cell for name, cell in row.items()} for row in table[table[column] == value].to_dict("records")]


def is_interval(row: Mapping[str, Any]) -> bool:
    """Whether a row has an estimate and both limits, in order."""
    return all(is_number(row[bound]) for bound in ("estimate", "lower", "upper")) and row["lower"] <= row["upper"]


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def show(row: Mapping[str, Any]) -> str:
    """Write an estimate with its interval."""
    interval = f"{row['lower']:.3g} to {row['upper']:.3g}" if is_interval(row) else "no interval"
    return f"{row['estimate']:.3g} ({interval})"
