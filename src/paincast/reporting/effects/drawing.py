"""Draw the figures of a comparison, with the words for those who cannot see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from paincast.effects.average import ATE
from paincast.effects.balance import EQUIPOISE, LARGEST_DIFFERENCE
from paincast.reporting.effects.figures import (
    plot_balance,
    plot_benefit,
    plot_bounds,
    plot_contrasts,
    plot_policy,
    plot_preference,
)
from paincast.reporting.effects.results import ComparisonResults
from paincast.reporting.effects.tables import list_farthest, name_column
from paincast.reporting.effects.words import format_difference, format_interval, name_strategy


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure of a comparison.

    Parameters
    ----------
    name : str
        Name of the file.
    section : str
        Section of the report that shows it.
    ax : matplotlib.axes.Axes
        What was drawn.
    alt, caption : str
        What it shows, for those who cannot see it, and how to read it.
    """

    name: str
    section: str
    ax: Axes
    alt: str
    caption: str


ASIDE = " Below the line stands what is not adjusted for, shaded as far as is allowed."


def draw_results(results: ComparisonResults) -> list[Drawing]:
    """Draw every figure whose tables are there."""
    return [drawing for table, draw in DRAWINGS.items() if table in results.tables for drawing in draw(results)]


def _list_pairs(table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for (first, second), rows in table.groupby(["first", "second"], sort=False):
        yield str(first), str(second), rows


def _draw_balance(results: ComparisonResults) -> Iterator[Drawing]:
    unadjusted = {(one, other): rows for one, other, rows in _list_pairs(_name_unadjusted(results))}
    for first, second, rows in _list_pairs(results.tables["balance"]):
        named = rows.assign(column=[name_column(results, name) for name in rows["column"]])
        largest = rows[["unweighted", "weighted"]].abs().max()
        names = f"{name_strategy(second)} against {name_strategy(first)}"
        aside = unadjusted.get((first, second))
        yield Drawing(
            name=f"balance_{first}_{second}",
            section="assumptions",
            ax=plot_balance(named, results.basis, aside),
            alt=f"Standardised differences, {names}: the largest is {largest['unweighted']:.2f} as treated and "
            f"{largest['weighted']:.2f} after weighting.{'' if aside is None else _describe_aside(aside)}",
            caption=f"Balance, {names}: a dot to the right means more of it with {name_strategy(second)}. After "
            f"weighting all should lie within ±{LARGEST_DIFFERENCE:g} (shaded).{'' if aside is None else ASIDE}",
        )


def _describe_aside(unadjusted: pd.DataFrame) -> str:
    largest = unadjusted["weighted"].abs().max()
    return f" Of {len(unadjusted)} columns not adjusted for, the largest is {largest:.2f} after weighting."


def _name_unadjusted(results: ComparisonResults) -> pd.DataFrame:
    """Name what is not adjusted for and was compared: each column by the part that differs most."""
    compared = [row for row in list_farthest(results) if pd.notna(row["weighted"])]
    columns = ["first", "second", "unweighted", "weighted", "limit"]
    return pd.DataFrame(compared, columns=columns).assign(
        column=[name_column(results, row["part"]) for row in compared]
    )


def _draw_preference(results: ComparisonResults) -> Iterator[Drawing]:
    for first, second, rows in _list_pairs(results.tables["preference"]):
        middle = rows["lower"].add(rows["upper"]).div(2.0).between(*EQUIPOISE)
        shares = {
            str(name): some.loc[middle, "n"].sum() / max(some["n"].sum(), 1)
            for name, some in rows.groupby("strategy", sort=False)
        }
        told = ", ".join(f"{share:.0%} of {name_strategy(name)}" for name, share in shares.items())
        yield Drawing(
            name=f"preference_{first}_{second}",
            section="assumptions",
            ax=plot_preference(rows, results.basis),
            alt=f"Preference score between {EQUIPOISE[0]:g} and {EQUIPOISE[1]:g}: {told}.",
            caption=f"How open was the choice? At 0.5 a patient gets {name_strategy(second)} as often as the average "
            "patient does; far to either side, hardly any choice was left.",
        )


def _draw_contrasts(results: ComparisonResults) -> Iterator[Drawing]:
    contrasts = results.tables["contrasts"]
    told = "; ".join(
        f"{name_strategy(row['strategy'])} against {name_strategy(row['reference'])}, {row['population']}: "
        f"{format_difference(row['estimate'])} ({format_interval(row)})"
        for row in contrasts.to_dict("records")
    )
    yield Drawing(
        name="contrasts",
        section="results",
        ax=plot_contrasts(contrasts, results.basis),
        alt=f"Patients of every 100 with the outcome. {told}.",
        caption=f"Differences with 95 % intervals: {ATE} (blue), and weighted by how open the choice was (orange). An "
        "interval across the dashed line holds zero.",
    )


def _draw_policy(results: ComparisonResults) -> Iterator[Drawing]:
    curve = results.tables["policy_curve"]
    best = curve.iloc[int(curve["estimate"].to_numpy().argmax())]
    yield Drawing(
        name="policy_curve",
        section="patients",
        ax=plot_policy(curve, results.basis),
        alt=f"Policy curve: the value is highest, {100 * best['estimate']:.1f} of 100 with the outcome, where "
        f"{100 * best['share']:.0f} % get another strategy than the reference.",
        caption="What would it be worth to choose by the patient? The distance from the dashed line is what the order "
        "of the patients is worth. Each interval is for its share alone.",
    )


def _draw_benefit(results: ComparisonResults) -> Iterator[Drawing]:
    for strategy, rows in results.tables["benefit_calibration"].groupby("strategy", sort=False):
        told = "; ".join(
            f"predicted {format_difference(row['predicted'])}, observed {format_difference(row['estimate'])} "
            f"({format_interval(row)})"
            for row in rows.to_dict("records")
        )
        yield Drawing(
            name=f"benefit_{strategy}",
            section="patients",
            ax=plot_benefit(rows, results.basis),
            alt=f"Benefit of {name_strategy(str(strategy))} in groups of every 100: {told}.",
            caption=f"Do patients predicted to gain more from {name_strategy(str(strategy))} gain more? Observed is "
            "the mean adjusted difference in each group of similar predictions.",
        )


def _draw_bounds(results: ComparisonResults) -> Iterator[Drawing]:
    strengths = results.tables["strengths"]
    named = strengths.assign(covariate=[name_column(results, name) for name in strengths["covariate"]])
    for place, row in enumerate(results.tables["bounds"].to_dict("records")):
        strategy = name_strategy(row["strategy"])
        yield Drawing(
            name=f"bounds_{row['strategy']}",
            section="sensitivity",
            ax=plot_bounds(
                results.tables["bounds"].iloc[place], named[named["strategy"] == row["strategy"]], results.basis
            ),
            alt=f"Hidden confounding, {strategy}: of the stated strength it leaves between "
            f"{format_difference(row['lower_bound'])} and {format_difference(row['upper_bound'])} of every 100; the "
            f"difference is zero at a strength of {row['robustness_value']:.2f} on both.",
            caption=f"What is left of the difference for {strategy}, of every 100 patients, if a confounder that "
            "nobody recorded is as strong as the axes say. On the orange line nothing is left. Dots show how strong "
            "recorded covariates are.",
        )


DRAWINGS: dict[str, Callable[[ComparisonResults], Iterator[Drawing]]] = {
    "balance": _draw_balance,
    "preference": _draw_preference,
    "contrasts": _draw_contrasts,
    "bounds": _draw_bounds,
    "policy_curve": _draw_policy,
    "benefit_calibration": _draw_benefit,
}
"""What draws the figures of a table, by the name of the table."""
