"""Figures of a comparison: balance of the covariates, preference score, and contrasts with their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from paincast.effects.average import ATE
from paincast.effects.balance import EQUIPOISE, LARGEST_DIFFERENCE
from paincast.reporting.effects.words import name_strategy
from paincast.reporting.figures.axes import BLUE, DASHED, FONT, GREEN, GREY, INK, ORANGE, finish_axes, make_axes

MOST_ROWS, MOST_ASIDE = 30, 20
NOT_ADJUSTED = "NOT ADJUSTED FOR"
COLOURS = (ORANGE, BLUE)
WIDTH = 7.2


def plot_balance(balance: pd.DataFrame, basis: str, unadjusted: pd.DataFrame | None = None) -> Axes:
    """Draw a love plot: the standardised difference of each covariate before and after weighting.

    Parameters
    ----------
    balance : DataFrame
        ``column, unweighted, weighted`` of two strategies, with columns named for reading.
    basis : str
        Basis of the cohort.
    unadjusted : DataFrame, optional
        ``column, unweighted, weighted, limit`` of what is not adjusted for; drawn apart, below.

    Returns
    -------
    matplotlib.axes.Axes
        The columns of either kind that differ most, by the larger of the two differences.
    """
    above, below = _take_farthest(balance, MOST_ROWS), None
    if unadjusted is not None and len(unadjusted):
        below = _take_farthest(unadjusted, MOST_ASIDE)
    floor = 0 if below is None else len(below) + 1
    top = floor + len(above) - 0.3
    ax = make_axes(WIDTH, 1.6 + 0.24 * (floor + len(above)))
    ax.axvline(0.0, color=INK, linewidth=1)
    _draw_differences(ax, above, floor, "o", ("as treated", "weighted"))
    _shade(ax, LARGEST_DIFFERENCE, floor - 0.7, top)
    names = list(above["column"])
    if below is not None:
        _draw_differences(ax, below, 0, "D", ("not adjusted for, as treated", "not adjusted for, weighted"))
        if below["limit"].notna().any():
            _shade(ax, float(below["limit"].max()), -0.7, floor - 1.3)
        ax.axhline(floor - 1, color=INK, linewidth=1)
        names = [*below["column"], NOT_ADJUSTED, *names]
    ax.set_yticks(np.arange(len(names)), names)
    drawn = above if below is None else pd.concat([above, below])
    largest = float(drawn[["unweighted", "weighted"]].abs().to_numpy(float).max())
    reach = 1.1 * max(largest, 1.5 * LARGEST_DIFFERENCE)
    ax.set(xlim=(-reach, reach), ylim=(-0.7, top), xlabel="Standardised difference of the means")
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False, fontsize=FONT - 1.5)
    return finish_axes(ax, basis, "", rows=True)


def _take_farthest(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Take the rows that differ most, the farthest last: it stands highest."""
    size = table[["unweighted", "weighted"]].abs().max(axis=1)
    return table.loc[size.sort_values(ascending=False, kind="stable").index[:most]][::-1]


def _draw_differences(ax: Axes, rows: pd.DataFrame, floor: int, marker: str, labels: tuple[str, str]) -> None:
    heights = floor + np.arange(len(rows))
    ax.hlines(heights, rows["unweighted"], rows["weighted"], color=GREY, linewidth=1, zorder=2)
    ax.plot(rows["unweighted"], heights, marker, color=ORANGE, markerfacecolor="white", label=labels[0], zorder=3)
    ax.plot(rows["weighted"], heights, marker, color=BLUE, label=labels[1], zorder=4)


def _shade(ax: Axes, limit: float, low: float, high: float) -> None:
    ax.fill_betweenx([low, high], -limit, limit, color=GREEN, alpha=0.10, linewidth=0, zorder=0)


def plot_preference(preference: pd.DataFrame, basis: str) -> Axes:
    """Draw the histograms of the preference score of two strategies, with the range of an open choice.

    Parameters
    ----------
    preference : DataFrame
        ``second, strategy, lower, upper, n`` of two strategies.
    basis : str
        Basis of the cohort.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = make_axes(WIDTH, 3.8)
    ax.axvspan(*EQUIPOISE, color=GREEN, alpha=0.10, linewidth=0, zorder=0, label="open choice")
    for (strategy, rows), colour in zip(preference.groupby("strategy", sort=False), COLOURS, strict=True):
        edges = [*rows["lower"], rows["upper"].iloc[-1]]
        shares = rows["n"] / max(rows["n"].sum(), 1)
        ax.stairs(shares, edges, fill=True, alpha=0.25, color=colour, linewidth=0, zorder=2)
        ax.stairs(shares, edges, color=colour, linewidth=1.8, label=name_strategy(str(strategy)), zorder=3)
    ax.set(xlim=(0, 1), xlabel=f"Preference score for {name_strategy(str(preference['second'].iloc[0]))}")
    ax.set_ylabel("Share of the patients")
    ax.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False, fontsize=FONT - 1.5)
    return finish_axes(ax, basis, "")


def plot_contrasts(contrasts: pd.DataFrame, basis: str) -> Axes:
    """Draw contrasts with their intervals as a forest, in patients of every 100.

    Parameters
    ----------
    contrasts : DataFrame
        ``strategy, reference, population, estimate, lower, upper``.
    basis : str
        Basis of the cohort.

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows = contrasts[::-1].reset_index(drop=True)
    ax = make_axes(WIDTH, 1.5 + 0.55 * len(rows))
    ax.axvline(0.0, color=INK, linewidth=1, linestyle=DASHED)
    for height, row in enumerate(rows.to_dict("records")):
        is_average = row["population"] == ATE
        colour = BLUE if is_average else ORANGE
        limits = [100 * row["lower"], 100 * row["upper"]]
        ax.plot(limits, [height, height], color=colour, linewidth=1.8, zorder=3)
        ax.plot([100 * row["estimate"]], [height], "o" if is_average else "D", color=colour, markersize=7, zorder=4)
        text = f"{100 * row['estimate']:+.1f} ({limits[0]:+.1f} to {limits[1]:+.1f})"
        style: dict[str, Any] = {"va": "center", "annotation_clip": False, "fontsize": FONT - 1, "color": INK}
        ax.annotate(text, (1.02, height), xycoords=ax.get_yaxis_transform(), **style)
    names = [
        f"{name_strategy(row['strategy'])} v {name_strategy(row['reference'])}\n{row['population']}"
        for row in rows.to_dict("records")
    ]
    ax.set_yticks(range(len(rows)), names)
    reach = 115.0 * float(np.abs(rows[["lower", "upper"]].to_numpy()).max())
    ax.set(xlim=(-reach, reach), ylim=(-0.6, len(rows) - 0.4), xlabel="More patients of every 100 with the outcome")
    return finish_axes(ax, basis, "", rows=True)


def plot_policy(curve: pd.DataFrame, basis: str) -> Axes:
    """Draw the policy curve: what it is worth to give another strategy to those who gain most, by their share.

    Parameters
    ----------
    curve : DataFrame
        ``share, estimate, lower, upper, at_random``.
    basis : str
        Basis of the cohort.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = make_axes(WIDTH, 4.2)
    shares = 100 * curve["share"]
    ax.fill_between(shares, 100 * curve["lower"], 100 * curve["upper"], color=BLUE, alpha=0.15, linewidth=0)
    ax.plot(shares, 100 * curve["estimate"], color=BLUE, linewidth=2, label="those who gain most first, 95 % interval")
    ax.plot(shares, 100 * curve["at_random"], color=INK, linewidth=1, linestyle=DASHED, label="drawn at random")
    ax.set(xlim=(0, 100), xlabel="Patients of 100 who get another strategy than the reference")
    ax.set_ylabel("Patients of 100 with the outcome")
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False, fontsize=FONT - 1.5)
    return finish_axes(ax, basis, "")


def plot_benefit(calibration: pd.DataFrame, basis: str) -> Axes:
    """Draw observed against predicted benefit of one strategy, in groups of similar predictions.

    Parameters
    ----------
    calibration : DataFrame
        ``predicted, estimate, lower, upper`` of each group.
    basis : str
        Basis of the cohort.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = make_axes(WIDTH, 4.6)
    points = 100 * calibration[["predicted", "estimate", "lower", "upper"]]
    low, high = float(points.to_numpy(float).min()) - 2.0, float(points.to_numpy(float).max()) + 2.0
    ax.plot([low, high], [low, high], color=INK, linewidth=1, linestyle=DASHED, label="predicted = observed")
    ax.axhline(0.0, color=GREY, linewidth=0.8, zorder=1)
    reach = [points["estimate"] - points["lower"], points["upper"] - points["estimate"]]
    style: dict[str, Any] = {
        "fmt": "o",
        "color": BLUE,
        "markersize": 6,
        "label": "a fifth of the patients, 95 % interval",
    }
    ax.errorbar(points["predicted"], points["estimate"], yerr=reach, **style)
    ax.set(xlim=(low, high), ylim=(low, high), xlabel="Predicted: more patients of every 100 with the outcome")
    ax.set_ylabel("Observed, of every 100")
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False, fontsize=FONT - 1.5)
    return finish_axes(ax, basis, "")


def plot_bounds(bounds: pd.Series, strengths: pd.DataFrame, basis: str) -> Axes:
    """Draw how far a hidden confounder could move a contrast towards zero, by its strength on outcome and choice.

    The bias is that of :func:`paincast.effects.bounds.compute_bounds`, a multiple of
    sqrt(outcome_r2 x strategy_r2 / (1 - strategy_r2)).

    Parameters
    ----------
    bounds : Series
        ``outcome_r2, strategy_r2, estimate, upper_bound`` of a contrast.
    strengths : DataFrame
        ``covariate, outcome_r2, strategy_r2`` of covariates named for reading, as a measure.
    basis : str
        Basis of the cohort.

    Returns
    -------
    matplotlib.axes.Axes
    """

    def weigh(outcome_r2: Any, strategy_r2: Any) -> Any:
        return np.sqrt(outcome_r2 * strategy_r2 / (1.0 - strategy_r2))

    ax = make_axes(WIDTH, 4.8)
    scale = (bounds["upper_bound"] - bounds["estimate"]) / weigh(bounds["outcome_r2"], bounds["strategy_r2"])
    reach = 1.3 * max(bounds["outcome_r2"], bounds["strategy_r2"], *strengths[["outcome_r2", "strategy_r2"]].max())
    choice, outcome = np.meshgrid(*2 * [np.linspace(0.0, reach, 80)])
    towards = -1.0 if bounds["estimate"] > 0.0 else 1.0
    moved = 100 * (bounds["estimate"] + towards * scale * weigh(outcome, choice))
    lines = ax.contour(choice, outcome, moved, levels=8, colors=BLUE, linewidths=0.9)
    ax.clabel(lines, fmt="%.1f", fontsize=FONT - 2)
    if moved.min() < 0.0 < moved.max():
        ax.contour(choice, outcome, moved, levels=[0.0], colors=ORANGE, linewidths=2.2)
    ax.plot(bounds["strategy_r2"], bounds["outcome_r2"], "D", color=ORANGE, markersize=8, label="stated in the trial")
    ax.plot(
        strengths["strategy_r2"], strengths["outcome_r2"], "o", color=INK, markersize=5, label="a covariate left out"
    )
    for row in strengths.nlargest(2, ["outcome_r2", "strategy_r2"]).to_dict("records"):
        place = (row["strategy_r2"], row["outcome_r2"])
        ax.annotate(row["covariate"], place, xytext=(6, 4), textcoords="offset points", fontsize=FONT - 2, color=INK)
    ax.set(xlabel="Share of the choice that the confounder explains", ylabel="Share of the outcome that it explains")
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False, fontsize=FONT - 1.5)
    return finish_axes(ax, basis, "")
