"""Tables of a comparison for reading: named rows, formatted numbers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from paincast.effects.average import ATE
from paincast.effects.balance import find_owner
from paincast.reporting.effects.results import ComparisonResults
from paincast.reporting.effects.words import format_count, format_difference, format_interval, name_strategy

Row = Mapping[Hashable, Any]


def name_column(results: ComparisonResults, column: str) -> str:
    """Name an encoded covariate: its column, and its category, its fifth or that it is missing."""
    name = find_owner(column)
    category = column.removeprefix(name).lstrip("=, ")
    label = "site" if name == "site_id" else results.contract.label(name)
    return f"{label}: {category.replace('_', ' ')}" if category else label


def tabulate_protocol(results: ComparisonResults) -> pd.DataFrame:
    """Tabulate the target trial beside its emulation, component by component."""
    protocol = results.tables["protocol"]
    return protocol.assign(component=protocol["component"].str.capitalize()).set_axis(
        ["Component", "Target trial", "Emulation in these data"], axis="columns"
    )


def tabulate_flow(results: ComparisonResults) -> pd.DataFrame:
    """Tabulate who is left after each step, by strategy."""
    flow = results.tables["flow"]
    counts = {
        name_strategy(one.name): [format_count(n, results.basis) for n in flow[one.name]]
        for one in results.trial.strategies
    }
    return pd.DataFrame({"Step": flow["step"].str.capitalize(), **counts})


def tabulate_diagnostics(results: ComparisonResults) -> pd.DataFrame:
    """Tabulate the diagnostics: value, what is needed, and whether they passed; those that failed first."""
    diagnostics = results.tables["diagnostics"].sort_values("passed", kind="stable")
    rows = diagnostics.to_dict("records")
    return pd.DataFrame(
        {
            "Diagnostic": [name_strategy(row["diagnostic"]) for row in rows],
            "Value": [f"{row['value']:.2f}" for row in rows],
            "Needed": [f"{'at most' if row['is_upper'] else 'at least'} {row['limit']:.2f}" for row in rows],
            "Result": ["passed" if row["passed"] else "failed" for row in rows],
        }
    )


def list_farthest(results: ComparisonResults) -> list[Row]:
    """List the columns that are not adjusted for, pair by pair, each by the part that differs most after weighting.

    Those that are judged come first, and among these the farthest apart.
    """
    if "unadjusted" not in results.tables:
        return []
    table = results.tables["unadjusted"]
    table = table.assign(size=table["weighted"].abs().fillna(-1.0), is_excused=table["reason"] != "")
    ordered = table.sort_values(["is_excused", "size"], ascending=[True, False], kind="stable")
    return [*ordered.drop_duplicates(["first", "second", "column"]).to_dict("records")]


def tabulate_unadjusted(results: ComparisonResults) -> pd.DataFrame:
    """Tabulate the columns that are not adjusted for: how far apart they are, and what is needed, or the reason."""
    rows = list_farthest(results)
    pairs = [f"{name_strategy(row['second'])} against {name_strategy(row['first'])}" for row in rows]
    return pd.DataFrame(
        {
            "Not adjusted for": [name_column(results, row["part"]) for row in rows],
            **({"Strategies": pairs} if len(set(pairs)) > 1 else {}),
            "As treated": [_format_standardised(row["unweighted"]) for row in rows],
            "Weighted": [_format_standardised(row["weighted"]) for row in rows],
            "Needed": [f"at most {row['limit']:.2f}" if pd.notna(row["limit"]) else "not judged" for row in rows],
            "Reason": [row["reason"] or "none is stated" for row in rows],
        }
    )


def _format_standardised(difference: float) -> str:
    return f"{difference:+.2f}" if pd.notna(difference) else "not compared"


def tabulate_baseline(results: ComparisonResults) -> pd.DataFrame:
    """Tabulate the covariates by strategy, as recorded: mean and standard deviation, or share; and what is missing."""
    rows = []
    for (column, category), group in results.tables["baseline"].groupby(["column", "category"], sort=False):
        cells = {name_strategy(row["strategy"]): _format_baseline(row) for row in group.to_dict("records")}
        missing = {
            f"{name_strategy(row['strategy'])}, missing": f"{100 * (1 - row['known']):.0f} %"
            for row in group.to_dict("records")
        }
        unit = results.contract.episodes[str(column)].unit
        name = name_column(results, f"{column}={category}".rstrip("="))
        rows.append({"Covariate": f"{name} ({unit})" if unit else name, **cells, **missing})
    return pd.DataFrame(rows)


def _format_baseline(row: Row) -> str:
    if pd.notna(row["mean"]):
        digits = 1 if abs(row["mean"]) >= 1 else 2
        return f"{row['mean']:.{digits}f} (SD {row['sd']:.{digits}f})"
    return f"{100 * row['share']:.0f} %" if pd.notna(row["share"]) else "not shown"


def tabulate_observed(results: ComparisonResults) -> pd.DataFrame:
    """Tabulate who was followed up and the share with the outcome among them, before adjustment."""
    rows = results.tables["observed"].to_dict("records")
    return pd.DataFrame(
        {
            "Strategy": [name_strategy(row["strategy"]) for row in rows],
            "Analysed": [format_count(row["n"], results.basis) for row in rows],
            "Outcome known": [format_count(row["n_known"], results.basis) for row in rows],
            "With the outcome, of these": [f"{100 * row['share']:.0f} %" for row in rows],
        }
    )


def tabulate_risks(results: ComparisonResults) -> pd.DataFrame:
    """Tabulate the risk of the outcome under each strategy, of every 100 patients."""
    rows = results.tables["risks"].to_dict("records")
    return pd.DataFrame(
        {
            "If all had": [name_strategy(row["strategy"]) for row in rows],
            "Patients of 100 with the outcome": [f"{100 * row['estimate']:.1f}" for row in rows],
            "95 % interval": [f"{100 * row['lower']:.1f} to {100 * row['upper']:.1f}" for row in rows],
        }
    )


def tabulate_contrasts(results: ComparisonResults) -> pd.DataFrame:
    """Tabulate the contrasts, of every 100 patients, those over all analysed patients first."""
    contrasts = results.tables["contrasts"]
    ordered = contrasts.loc[(contrasts["population"] != ATE).sort_values(kind="stable").index]
    rows = ordered.to_dict("records")
    return pd.DataFrame(
        {
            "Strategy": [name_strategy(row["strategy"]) for row in rows],
            "Against": [name_strategy(row["reference"]) for row in rows],
            "Among": [row["population"] for row in rows],
            "Of every 100 patients": [format_difference(row["estimate"]) for row in rows],
            "95 % interval": [format_interval(row) for row in rows],
        }
    )


def tabulate_controls(results: ComparisonResults) -> pd.DataFrame:
    """Tabulate the contrasts of negative controls, which should be 0."""
    rows = results.tables["negative_controls"].to_dict("records")
    return pd.DataFrame(
        {
            "Negative control": [results.contract.label(row["control"]) for row in rows],
            "Strategy": [name_strategy(row["strategy"]) for row in rows],
            "Against": [name_strategy(row["reference"]) for row in rows],
            "Of every 100 patients": [format_difference(row["estimate"]) for row in rows],
            "95 % interval": [format_interval(row) for row in rows],
        }
    )


def tabulate_policy(results: ComparisonResults) -> pd.DataFrame:
    """Tabulate what policies are worth, of every 100 patients, and the advantage of the individual one."""
    rows = results.tables["policy"].to_dict("records")
    return pd.DataFrame(
        {
            "Policy": [row["policy"] + (f", against {row['against']}" if row["against"] else "") for row in rows],
            "Patients of 100 with the outcome": [
                format_difference(row["estimate"]) if row["against"] else f"{100 * row['estimate']:.1f}" for row in rows
            ],
            "95 % interval": [
                format_interval(row) if row["against"] else f"{100 * row['lower']:.1f} to {100 * row['upper']:.1f}"
                for row in rows
            ],
        }
    )


METRICS = {
    "benefit_in_the_large": "observed less predicted benefit, mean",
    "benefit_slope": "slope of observed on predicted benefit (1 is best)",
    "c_for_benefit": "C-for-benefit (0.5 is chance)",
}


def tabulate_benefit(results: ComparisonResults) -> pd.DataFrame:
    """Tabulate how well predicted benefit agrees with observed benefit."""
    rows = results.tables["benefit_metrics"].to_dict("records")
    return pd.DataFrame(
        {
            "Strategy": [name_strategy(row["strategy"]) for row in rows],
            "Against": [name_strategy(row["reference"]) for row in rows],
            "Measure": [METRICS[row["metric"]] for row in rows],
            "Estimate": [f"{row['estimate']:.2f}" for row in rows],
            "95 % interval": [f"{row['lower']:.2f} to {row['upper']:.2f}" for row in rows],
        }
    )


def tabulate_bounds(results: ComparisonResults) -> pd.DataFrame:
    """Tabulate how far a hidden confounder of the stated strength could move each contrast."""
    rows = results.tables["bounds"].to_dict("records")
    values = {row["strategy"]: row for row in results.tables["e_values"].to_dict("records")}
    return pd.DataFrame(
        {
            "Strategy": [name_strategy(row["strategy"]) for row in rows],
            "Against": [name_strategy(row["reference"]) for row in rows],
            "Difference between": [_format_ends(row, "lower_bound", "upper_bound") for row in rows],
            "With chance, 95 %": [_format_ends(row, "lower", "upper") for row in rows],
            "Robustness value": [_format_pair(row, "robustness_value") for row in rows],
            "E-value": [_format_pair(values[row["strategy"]], "e_value") for row in rows],
        }
    )


def _format_ends(row: Row, lower: str, upper: str) -> str:
    return f"{format_difference(row[lower])} and {format_difference(row[upper])}"


def _format_pair(row: Row, name: str) -> str:
    return f"{row[name]:.2f} (interval {row[f'{name}_of_interval']:.2f})"


def tabulate_strengths(results: ComparisonResults) -> pd.DataFrame:
    """Tabulate how strong the covariates are that differ most, as a confounder that is left out would be."""
    rows = results.tables["strengths"].to_dict("records")
    return pd.DataFrame(
        {
            "Covariate": [name_column(results, row["covariate"]) for row in rows],
            "Strategy": [name_strategy(row["strategy"]) for row in rows],
            "Share of the outcome": [f"{row['outcome_r2']:.3f}" for row in rows],
            "Share of the choice": [f"{row['strategy_r2']:.3f}" for row in rows],
            "Without it, of every 100": [format_difference(row["change"]) for row in rows],
        }
    )
