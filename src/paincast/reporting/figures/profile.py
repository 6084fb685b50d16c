"""Figures of the profile of a cohort: shares with intervals, and grids of shares, readable on a telephone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.patches import Patch

from paincast.reporting.figures.axes import BLUE, GREEN, GREY, INK, ORANGE, make_axes

WIDTH = 5.2
FONT = 9.5
FEW_TO_MANY = LinearSegmentedColormap.from_list("few_to_many", ["#F4F8FB", "#9CC9E6", BLUE, "#003A5C"])
LOWER_TO_HIGHER = LinearSegmentedColormap.from_list("lower_to_higher", [ORANGE, "white", BLUE])
NOT_SHOWN = "#E9E9E9"
DARK = 0.55
"""Share of the colour scale from which text is white."""


def plot_flow(flow: pd.DataFrame) -> Axes:
    """Draw how many of the episodes have what a model needs.

    Parameters
    ----------
    flow : DataFrame
        ``step, n, count, share, note`` of a profile.

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows = flow[::-1].reset_index(drop=True)
    ax = make_axes(WIDTH, 1.0 + 0.36 * len(rows))
    ax.barh(rows.index, np.ones(len(rows)), color="#F1F3F5", height=0.7)
    ax.barh(rows.index, rows["share"].fillna(0.0), color=BLUE, height=0.7)
    for place, row in rows.iterrows():
        text = row["note"] or f"{row['count']:,}"
        inside = pd.notna(row["share"]) and row["share"] > DARK
        at, colour = (0.02, "white") if inside else (float(np.nan_to_num(row["share"])) + 0.02, INK)
        ax.text(at, float(str(place)), text, va="center", color=colour, fontsize=FONT)
    ax.set_yticks(rows.index, [_break(step) for step in rows["step"]])
    ax.set(xlim=(0, 1), xlabel="Share of episodes")
    _set_percent(ax, "x")
    return _finish(ax, "")


def plot_missing(missing: pd.DataFrame) -> Axes:
    """Draw the share of values missing in each column that is recorded.

    Parameters
    ----------
    missing : DataFrame
        ``column, share, n`` of a profile, in the order to be drawn.

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows = missing[::-1].reset_index(drop=True)
    ax = make_axes(WIDTH, 1.0 + 0.21 * max(len(rows), 1))
    ax.barh(rows.index, rows["share"], color=BLUE, height=0.7)
    for place, share in rows["share"].items():
        ax.text(float(share) + 0.01, float(str(place)), f"{share:.0%}", va="center", fontsize=FONT - 1.5, color=INK)
    ax.set_yticks(rows.index, rows["column"])
    ax.set(xlim=(0, 1.12), xlabel="Missing, of episodes whose technique records it")
    ax.margins(y=0.01)
    _set_percent(ax, "x")
    return _finish(ax, "")


def plot_grid(grid: pd.DataFrame, label: str, *, is_difference: bool = False) -> Axes:
    """Draw a grid of shares, or of differences, with the number in each cell; grey where it is not shown.

    Parameters
    ----------
    grid : DataFrame of shape (n_rows, n_columns)
        Shares from 0 to 1, or differences in standard deviations; missing where nothing may be shown.
    label : str
        What the numbers are.
    is_difference : bool
        Whether they lie around 0.

    Returns
    -------
    matplotlib.axes.Axes
    """
    values = grid.to_numpy(dtype=float)
    ax = make_axes(max(WIDTH, 2.3 + 0.55 * values.shape[1]), 1.5 + 0.25 * values.shape[0])
    ax.set_facecolor(NOT_SHOWN)
    colours: Colormap = LOWER_TO_HIGHER if is_difference else FEW_TO_MANY
    low, high = (-1.0, 1.0) if is_difference else (0.0, 1.0)
    ax.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = (
                f"{value:+.1f}".replace("-0.0", "0.0").replace("+0.0", "0.0") if is_difference else f"{100 * value:.0f}"
            )
            is_dark = abs(value) > DARK if is_difference else value > DARK
            ax.text(column, row, text, ha="center", va="center", fontsize=FONT - 2, color="white" if is_dark else INK)
    ax.set_yticks(range(len(grid.index)), [str(name) for name in grid.index])
    ax.set_xticks(range(len(grid.columns)), [str(name) for name in grid.columns], rotation=40, ha="right")
    ax.set_xlabel(label)
    if not np.isfinite(values).all():
        ax.legend(handles=[Patch(color=NOT_SHOWN, label="not shown")], **_ABOVE)
    return _finish(ax, "")


def plot_follow_up(follow_up: pd.DataFrame) -> Axes:
    """Draw the share of episodes seen in the window of each month, by any visit and by one with pain.

    Parameters
    ----------
    follow_up : DataFrame
        ``month, held, share, n`` of a profile.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = make_axes(WIDTH, 3.2)
    months = sorted(follow_up["month"].unique())
    for (held, rows), colour, marker in zip(follow_up.groupby("held"), (BLUE, ORANGE), "os", strict=False):
        places = [months.index(month) for month in rows["month"]]
        label = "any visit" if held == "any visit" else "visit with a pain score"
        ax.plot(places, rows["share"], f"{marker}-", color=colour, ms=6, linewidth=1.4, label=label)
    ax.set_xticks(range(len(months)), [f"{month:g}" for month in months])
    ax.set(ylim=(0, 1.02), xlabel="Month", ylabel="Share seen")
    _set_percent(ax, "y")
    ax.legend(**_ABOVE, ncols=2)
    return _finish(ax, "")


def plot_shares(shares: pd.DataFrame, label: str) -> Axes:
    """Draw shares with their 95 % intervals, one row each.

    Parameters
    ----------
    shares : DataFrame
        ``name, n, share, lower, upper``.
    label : str
        What the shares are shares of.

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows = shares[::-1].reset_index(drop=True)
    ax = make_axes(WIDTH, 1.1 + 0.42 * max(len(rows), 1))
    _draw_intervals(ax, rows, BLUE)
    ax.set_yticks(rows.index, [f"{row['name']}, n = {row['n']:,}" for row in rows.to_dict("records")])
    ax.set(xlim=(0, 1), ylim=(-0.7, len(rows) - 0.3), xlabel=label)
    ax.grid(axis="x", color="#EEEEEE", zorder=0)
    _set_percent(ax, "x")
    return _finish(ax, "")


def plot_expected(expected: pd.DataFrame) -> Axes:
    """Draw the observed response beside that of the evidence, with the interval of a new study.

    Parameters
    ----------
    expected : DataFrame
        ``name, n, share, lower, upper, expected, expected_lower, expected_upper``.

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows = expected[::-1].reset_index(drop=True)
    ax = make_axes(WIDTH, 1.5 + 0.5 * max(len(rows), 1))
    ax.hlines(rows.index, rows["expected_lower"], rows["expected_upper"], color=GREY, linewidth=8, zorder=1)
    ax.plot(rows["expected"], rows.index, "|", color=INK, ms=13, mew=2, zorder=2)
    _draw_intervals(ax, rows, BLUE)
    ax.set_yticks(rows.index, [f"{row['name']}, n = {row['n']:,}" for row in rows.to_dict("records")])
    ax.set(xlim=(0, 1), ylim=(-0.7, len(rows) - 0.3), xlabel="Share with half relief of pain")
    marks: list[Any] = [
        ax.errorbar([np.nan], [np.nan], xerr=[1.0], fmt="o", color=BLUE, ms=5),
        ax.plot([], [], "|", color=INK, ms=11, mew=2)[0],
        Patch(color=GREY),
    ]
    ax.legend(marks, ["observed, 95 %", "evidence", "a new study, 95 %"], **_ABOVE, ncols=3, columnspacing=0.9)
    _set_percent(ax, "x")
    return _finish(ax, "")


def plot_relief(relief: pd.DataFrame, title: str) -> Axes:
    """Draw how long half relief of pain holds after a technique.

    Parameters
    ----------
    relief : DataFrame
        Rows of one technique: ``month, holds, holds_lower, holds_upper, lost``.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = make_axes(4.2, 2.6)
    start = pd.DataFrame({"month": [0.0], "holds": 1.0, "holds_lower": 1.0, "holds_upper": 1.0, "lost": 0.0})
    rows = pd.concat([start, relief[list(start)].astype(float)], ignore_index=True)
    places = np.sqrt(rows["month"])
    ax.fill_between(places, rows["holds_lower"], rows["holds_upper"], step="post", color=BLUE, alpha=0.15, linewidth=0)
    ax.step(places, rows["holds"], where="post", color=BLUE, linewidth=1.6, label="relief holds (Kaplan-Meier)")
    ax.step(places, rows["lost"], where="post", color=ORANGE, linewidth=1.2, label="relief lost (Aalen-Johansen)")
    ax.plot(places, rows["holds"], "o", color=BLUE, ms=3.5)
    ax.set_xticks(places, [f"{month:g}" for month in rows["month"]])
    ax.set(ylim=(0, 1.02), xlabel="Months after the procedure", ylabel="Share")
    _set_percent(ax, "y")
    ax.legend(**{**_ABOVE, "fontsize": FONT - 2}, ncols=2, columnspacing=0.8)
    return _finish(ax, title)


def plot_drift(drift: pd.DataFrame) -> Axes:
    """Draw response and follow-up by year of the procedure, with 95 % intervals.

    Parameters
    ----------
    drift : DataFrame
        ``question, year, share, lower, upper`` of a profile.

    Returns
    -------
    matplotlib.axes.Axes
    """
    years = list(dict.fromkeys(drift["year"]))
    ax = make_axes(max(WIDTH, 1.6 + 0.42 * len(years)), 3.4)
    for (question, rows), colour, shift in zip(drift.groupby("question"), (GREEN, BLUE), (-0.08, 0.08), strict=False):
        places = np.array([years.index(year) for year in rows["year"]], dtype=float) + shift
        limits = np.abs(rows[["lower", "upper"]].to_numpy(dtype=float).T - rows["share"].to_numpy(dtype=float))
        ax.errorbar(places, rows["share"], yerr=limits, fmt="o-", color=colour, ms=5, linewidth=1.2, label=question)
    ax.set_xticks(range(len(years)), years, rotation=40, ha="right")
    ax.set(ylim=(0, 1.02), xlabel="Year of the procedure", ylabel="Share")
    _set_percent(ax, "y")
    ax.legend(**_ABOVE, ncols=2)
    return _finish(ax, "")


_ABOVE: dict[str, Any] = {
    "loc": "lower right",
    "bbox_to_anchor": (1.0, 1.0),
    "frameon": False,
    "fontsize": FONT - 1,
    "borderaxespad": 0.2,
}


def _draw_intervals(ax: Axes, rows: pd.DataFrame, colour: str) -> None:
    limits = np.abs(rows[["lower", "upper"]].to_numpy(dtype=float).T - rows["share"].to_numpy(dtype=float))
    ax.errorbar(rows["share"], rows.index, xerr=limits, fmt="o", color=colour, ms=5.5, elinewidth=1.6, zorder=3)


def _set_percent(ax: Axes, axis: str) -> None:
    chosen = ax.xaxis if axis == "x" else ax.yaxis
    chosen.set_ticks([0, 0.25, 0.5, 0.75, 1.0])
    chosen.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")


def _break(text: str, width: int = 26) -> str:
    """Break a long name into two lines at the space nearest to its middle."""
    if len(text) <= width or " " not in text:
        return text
    places = [place for place, letter in enumerate(text) if letter == " "]
    middle = min(places, key=lambda place: abs(place - len(text) / 2))
    return f"{text[:middle]}\n{text[middle + 1 :]}"


def _finish(ax: Axes, title: str) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=FONT - 0.5, colors=INK)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(size=FONT, color=INK)
    if title:
        ax.figure.suptitle(title, x=0.01, ha="left", fontsize=FONT + 0.5, color=INK)
    return ax
