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

MOST_ROWS = 30
COLOURS = (ORANGE, BLUE)
WIDTH = 7.2


def plot_balance(balance: pd.DataFrame, basis: str) -> Axes:
    """Draw a love plot: the standardised difference of each covariate before and after weighting.

    Parameters
    ----------
    balance : DataFrame
        ``column, unweighted, weighted`` of two strategies, with columns named for reading.
    basis : str
        Basis of the cohort.

    Returns
    -------
    matplotlib.axes.Axes
        The covariates that differ most, by the larger of the two differences.
    """
    size = balance[["unweighted", "weighted"]].abs().max(axis=1)
    rows = balance.loc[size.sort_values(ascending=False, kind="stable").index[:MOST_ROWS]][::-1]
    heights = np.arange(len(rows))
    ax = make_axes(WIDTH, 1.6 + 0.24 * len(rows))
    ax.axvspan(-LARGEST_DIFFERENCE, LARGEST_DIFFERENCE, color=GREEN, alpha=0.10, linewidth=0, zorder=0)
    ax.axvline(0.0, color=INK, linewidth=1)
    ax.hlines(heights, rows["unweighted"], rows["weighted"], color=GREY, linewidth=1, zorder=2)
    ax.plot(rows["unweighted"], heights, "o", color=ORANGE, markerfacecolor="white", label="as treated", zorder=3)
    ax.plot(rows["weighted"], heights, "o", color=BLUE, label="weighted", zorder=4)
    ax.set_yticks(heights, rows["column"])
    reach = 1.1 * max(float(size.max()), 1.5 * LARGEST_DIFFERENCE)
    ax.set(xlim=(-reach, reach), ylim=(-0.7, len(rows) - 0.3), xlabel="Standardised difference of the means")
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False, fontsize=FONT - 1.5)
    return finish_axes(ax, basis, "", rows=True)


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
