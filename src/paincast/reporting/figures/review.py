"""Figures of benefit and of groups: decision curves, and how far predictions hold by subgroup, site and year."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from paincast.contract import BUILT_IN
from paincast.gates.net_benefit import describe_gains
from paincast.reporting.figures.axes import (
    BLUE,
    DASHED,
    FONT,
    GREEN,
    GREY,
    INK,
    ORANGE,
    Row,
    draw_interval,
    finish_axes,
    format_n,
    make_axes,
    set_ratio_axis,
)

RATIO_LIMITS = (0.8, 1.25)
"""Band of observed / expected that is shaded: a fifth too few, a quarter too many."""

WIDEST_RATIO = (0.4, 2.5)
STRATEGY_LINES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "treat_all": ("treat everybody", {"color": ORANGE, "linestyle": (0, (5, 2))}),
    "treat_none": ("treat nobody", {"color": INK, "linestyle": "-", "linewidth": 1.0}),
    "base_rate": ("decide by the expected response", {"color": GREEN, "linestyle": (0, (1, 1.5))}),
}


def plot_decision_curve(
    table: pd.DataFrame, ax: Axes, *, basis: str, title: str = "", expected: pd.DataFrame | None = None
) -> Axes:
    """Draw the net benefit of selecting by the model's prognosis and of deciding without it, over thresholds.

    Parameters
    ----------
    table : DataFrame
        From :func:`paincast.evaluation.performance.decision.compute_decision_curve`.
    ax : matplotlib.axes.Axes
        Where to draw.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    title : str
        Title of the figure.
    expected : DataFrame, optional
        From :func:`paincast.evaluation.expected.find_expected_response`: names the line of the expected response.

    Returns
    -------
    matplotlib.axes.Axes
    """
    benefit = table[table["metric"] == "net_benefit"]
    model = benefit[benefit["strategy"] == "model"]
    ax.fill_between(model["threshold"], model["lower"], model["upper"], color=BLUE, alpha=0.15, linewidth=0, zorder=2)
    # A threshold alone among those that are not shown is a dot.
    style: dict[str, Any] = {"color": BLUE, "linewidth": 2.2, "marker": ".", "zorder": 5}
    ax.plot(model["threshold"], model["estimate"], label="select by the model's prognosis", **style)
    low, high = min(-0.03, float(model["lower"].min())), float(benefit[["estimate", "upper"]].max().max())
    for strategy, (label, look) in STRATEGY_LINES.items():
        line = benefit[benefit["strategy"] == strategy]
        if len(line):
            label += _name_rate(expected) if strategy == "base_rate" else ""
            label += " (below the figure)" if line["estimate"].max() < low - 0.02 else ""
            ax.plot(line["threshold"], line["estimate"], label=label, zorder=4, **{"linewidth": 1.6, **look})
    ax.set_ylim(low - 0.02, high + 0.05)
    ax.set_xlabel("Probability of the outcome from which one would treat")
    ax.set_ylabel("Net benefit, of one patient")
    ax.legend(loc="upper right", frameon=False, fontsize=FONT - 1.5)
    return finish_axes(ax, basis, title)


def _name_rate(expected: pd.DataFrame | None) -> str:
    if expected is None or expected.empty:
        return ""
    row = expected.iloc[-1]
    return f",\n{row['expected']:.0%} (scenario '{row['scenario']}', month {row['month']:g})"


def describe_decision_curve(table: pd.DataFrame, expected: pd.DataFrame | None = None) -> str:
    """Describe where, and how much, selecting by prognosis gains over each way of deciding without it.

    Parameters
    ----------
    table, expected : DataFrame
        As for :func:`plot_decision_curve`.

    Returns
    -------
    str
    """
    cuts = table["threshold"].unique()
    thresholds = f"Net benefit at thresholds from {cuts.min():.2g} to {cuts.max():.2g}"
    sentences = [f"{thresholds}: selecting by prognosis is {describe_gains(table)}."]
    if "base_rate" in set(table["strategy"]):
        sentences.append(f"It is {describe_gains(table, ['base_rate'])}.")
    if expected is not None and len(expected):
        rate = str(expected["says"].iloc[-1])
        sentences.append(f"{rate[0].upper()}{rate[1:]}.")
    return " ".join(sentences)


def make_group_axes(n_groups: int) -> Axes:
    """Make axes high enough for a number of groups."""
    return make_axes(8.8, 1.7 + 0.34 * max(n_groups, 2))


def plot_groups(table: pd.DataFrame, ax: Axes, *, basis: str, title: str = "", pooled: Row | None = None) -> Axes:
    """Draw observed / expected of each group with its interval; groups without one are named and left empty.

    Parameters
    ----------
    table : DataFrame
        From :func:`paincast.evaluation.groups.subgroups.compute_metrics_by_group`.
    ax : matplotlib.axes.Axes
        Where to draw; see :func:`make_group_axes`.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    title : str
        Title of the figure.
    pooled : mapping, optional
        Row of :func:`paincast.evaluation.groups.subgroups.pool_groups`, drawn at the foot: the mean of all groups,
        and in grey
        where a new one is expected.

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows = select_ratios(table)
    labels = [label_group(row) for row in rows]
    ax.axvspan(*RATIO_LIMITS, color="#F1F3F5", zorder=0)
    ax.axvline(1.0, color=INK, linewidth=1, linestyle=DASHED, zorder=1)
    for height, row in enumerate(rows):
        if np.isfinite(row["estimate"]):
            draw_interval(ax, height, row, WIDEST_RATIO)
        else:
            ax.text(0.99, height, "too few to tell", transform=ax.get_yaxis_transform(), **_NOTE)
    if pooled is not None and np.isfinite(pooled["estimate"]):
        foot = len(rows) + 0.4
        labels.append("all (grey: a new one)")
        expected = np.clip([pooled["predicted_lower"], pooled["predicted_upper"]], *WIDEST_RATIO)
        ax.plot(expected, [foot, foot], color=GREY, linewidth=7)
        draw_interval(ax, foot, pooled, WIDEST_RATIO, colour=ORANGE)
    heights = [*range(len(rows)), *([len(rows) + 0.4] if len(labels) > len(rows) else [])]
    ax.set_yticks(heights, labels)
    ax.set_ylim(max(heights, default=0) + 0.7, -0.7)
    set_ratio_axis(ax, WIDEST_RATIO)
    ax.set_xlabel("Observed / expected: below 1, predictions are too high")
    return finish_axes(ax, basis, title, rows=True)


_NOTE: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": FONT - 2, "color": "#666666", "style": "italic"}


def select_ratios(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Select the rows of observed / expected."""
    return table[table["metric"] == "o_e_ratio"].to_dict("records")


def label_group(row: Row) -> str:
    """Name a group with its size where that may be shown."""
    return f"{BUILT_IN.label(str(row['attribute']))}: {str(row['level']).replace('_', ' ')} ({format_n(row)})"


def describe_groups(table: pd.DataFrame, *, of: str) -> str:
    """Describe how many groups there are, where observed / expected lies, and which are wholly outside the shaded band.

    Parameters
    ----------
    table : DataFrame
        As for :func:`plot_groups`.
    of : str
        What the groups are, for example ``sites``.

    Returns
    -------
    str
    """
    rows = select_ratios(table)
    known = [row for row in rows if np.isfinite(row["estimate"])]
    few = f"; {len(rows) - len(known)} too small to tell" if len(known) < len(rows) else ""
    if not known:
        return f"Observed / expected of {len(rows)} {of}: all are too small to tell."
    ends = [min(row["estimate"] for row in known), max(row["estimate"] for row in known)]
    outside = [label_group(row) for row in known if row["upper"] < RATIO_LIMITS[0] or row["lower"] > RATIO_LIMITS[1]]
    return (
        f"Observed / expected of {len(known)} {of} goes from {ends[0]:.2f} to {ends[1]:.2f}{few}; with an interval "
        f"wholly outside {RATIO_LIMITS[0]} to {RATIO_LIMITS[1]}: {', '.join(outside) or 'none'}."
    )
