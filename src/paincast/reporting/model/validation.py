"""Validation in the report and the card: on other cohorts; internally by optimism, and sites and years held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from paincast.evaluation.names import format_estimate, name_metric
from paincast.gates.elsewhere import HELD_OUT_SITES, HELD_OUT_YEARS, VALIDATION, explain_unknown, find_pooled
from paincast.predictor.validation import Validation
from paincast.reporting.model.run_contents import (
    OPTIMISM,
    RunContents,
    show_count,
    show_interval,
    show_number,
)

PART_NAMES: Mapping[str, str] = {OPTIMISM: "Optimism", HELD_OUT_SITES: "Sites held out", HELD_OUT_YEARS: "Later years"}
GROUP_METRICS = ("o_e_ratio", "calibration_slope", "auroc")


NOT_VALIDATED = "Not yet: no patients of another cohort have judged this model ('paincast evaluate')."


def list_external(validations: Sequence[Validation]) -> list[str]:
    """List all validations on other cohorts, the worst first, or that there is none."""
    return [f"{item.describe()}: {item.verdict}" for item in validations] or [NOT_VALIDATED]


def tabulate_external(validations: Sequence[Validation]) -> pd.DataFrame:
    """Tabulate all validations on other cohorts, the worst first."""
    rows = [
        {
            "Validated on": item.cohort,
            "n": f"about {item.n}",
            "O/E": format_estimate({"estimate": item.o_e, "lower": item.lower, "upper": item.upper}),
            "Verdict": item.verdict,
        }
        for item in validations
    ]
    return pd.DataFrame(rows, columns=["Validated on", "n", "O/E", "Verdict"])


def list_validation(run: RunContents) -> list[str]:
    """List the results of repeating the whole modelling, a sentence for each part, or why it was not measured."""
    table = run.tables.get(VALIDATION)
    if table is None:
        return ["The run does not record whether the whole modelling was repeated."]
    return [_format_part(row) for row in table.to_dict("records")]


def find_elsewhere(tables: Mapping[str, pd.DataFrame]) -> str:
    """Find observed / expected in sites or years that were held out, the only ones of a training that can be wrong.

    Out of fold the mean prediction is the mean outcome by construction, so that the ratio is 1 for any model.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Tables of the run.

    Returns
    -------
    str
        The mean ratio with its interval and the number of sites or years; ``not known`` with the reason if it cannot
        be measured, for example with one site; ``not measured`` if it was not asked for.
    """
    pooled = find_pooled(tables, "o_e_ratio")
    return f"{format_estimate(pooled[0])}, {pooled[1]}" if pooled else explain_unknown(tables)


def _format_part(row: Mapping[Any, Any]) -> str:
    name, status = PART_NAMES[row["part"]], row["status"]
    return f"{name}: {row['says']}" if status == "measured" else f"{name}: {status}; {row['says']}."


def tabulate_optimism(table: pd.DataFrame, out_of_fold: pd.DataFrame) -> pd.DataFrame:
    """Tabulate each metric: apparent, its optimism, corrected, and out of fold with its interval.

    Parameters
    ----------
    table : DataFrame
        From :func:`paincast.evaluation.validation.optimism.compute_optimism`.
    out_of_fold : DataFrame
        Metrics of the run.
    """
    overall = out_of_fold[out_of_fold["group"] == "overall"].to_dict("records")
    beside = {row["metric"]: row for row in overall}
    rows = [
        {
            "Metric": name_metric(row["metric"]),
            "Apparent": show_number(row["apparent"]),
            "Optimism": show_number(row["optimism"]),
            "Corrected": show_number(row["estimate"]),
            "Out of fold": show_number(beside[row["metric"]]["estimate"]) if row["metric"] in beside else "",
            "Its interval": show_interval(beside[row["metric"]]) if row["metric"] in beside else "",
        }
        for row in table.to_dict("records")
    ]
    return pd.DataFrame(rows)


def tabulate_held_out(table: pd.DataFrame) -> pd.DataFrame:
    """Tabulate each group held out, then the mean of all with its interval, and the prediction interval of a new one.

    Parameters
    ----------
    table : DataFrame
        ``held_out_site`` or ``held_out_year`` of a run.
    """
    pooled = table["n_groups"].notna()
    name = str(table["attribute"].iloc[0]).removeprefix("procedure_")
    rows = [
        {
            "Group": f"{name} {group['level'].iloc[0]}",
            "Episodes": show_count(group["n"].iloc[0]),
            "With the outcome": show_count(group["n_events"].iloc[0]),
            **{name_metric(metric): _format_estimate(_get_metric(group, metric)) for metric in GROUP_METRICS},
            "Note": _format_obstacle(group),
        }
        for _, group in table[~pooled].groupby("level", sort=False)
    ]
    rows += [
        {
            "Group": title,
            "Episodes": show_count(table.loc[pooled, "n"].iloc[0]) if limits[0] == "lower" else "",
            "With the outcome": "",
            **{
                name_metric(metric): _format_estimate(_get_metric(table[pooled], metric), limits)
                for metric in GROUP_METRICS
            },
            "Note": note,
        }
        for title, limits, note in (
            (f"mean of {name}s", ("lower", "upper"), "confidence interval"),
            (f"a new {name}", ("predicted_lower", "predicted_upper"), "prediction interval"),
        )
    ]
    return pd.DataFrame(rows)


def _get_metric(group: pd.DataFrame, metric: str) -> Mapping[Any, Any]:
    return group[group["metric"] == metric].to_dict("records")[0]


def _format_obstacle(group: pd.DataFrame) -> str:
    ratio = _get_metric(group, "o_e_ratio")
    return "" if np.isfinite(ratio["estimate"]) else str(ratio["method"]).removeprefix("not estimable: ")


def _format_estimate(row: Mapping[Any, Any], limits: tuple[str, str] = ("lower", "upper")) -> str:
    if pd.isna(row["estimate"]):
        return "none"
    low, high = (row[name] for name in limits)
    interval = "no interval" if pd.isna(low) else f"{show_number(low, 2)} to {show_number(high, 2)}"
    return interval if limits[0] == "predicted_lower" else f"{show_number(row['estimate'], 2)} ({interval})"
