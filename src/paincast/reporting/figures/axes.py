"""What all figures share: colours, axes without a screen, the mark of the basis, intervals, and names for reading.

Each function draws on the axes it is given and returns them; nothing touches matplotlib's global state. Colours are
those of Okabe and Ito, which readers with colour-blindness can tell apart.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Row = Mapping[Hashable, Any]

BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#B0B0B0", "#333333"
DASHED = (0, (4, 3))
BASIS_MARKS = {"synthetic": "SYNTHETIC EVIDENCE", "blended": "BLENDED EVIDENCE"}
MOST_VARIABLES = 15
FONT = 11.0


def make_figure(width: float, height: float) -> Figure:
    """Make a figure that draws without a screen, of a size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def make_axes(width: float = 8.8, height: float = 6.0) -> Axes:
    """Make the axes of a new figure that draws without a screen.

    Parameters
    ----------
    width, height : float
        Size in inches.

    Returns
    -------
    matplotlib.axes.Axes
        Its figure is ``axes.figure``.
    """
    return make_figure(width, height).add_subplot()


def figure_of(ax: Axes) -> Figure:
    """Give the figure that axes stand in."""
    figure = ax.figure
    assert isinstance(figure, Figure)
    return figure


def finish_axes(ax: Axes, basis: str, title: str, *, rows: bool = False) -> Axes:
    """Give axes the look of all figures of a model: title, no frame, and the basis as a mark.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        What was drawn.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    title : str
        Title of the figure.
    rows : bool
        Whether the vertical axis names rows: it then has no line and no ticks.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax.spines[["top", "right", *(["left"] if rows else [])]].set_visible(False)
    ax.tick_params(labelsize=FONT - 1, colors=INK)
    if rows:
        ax.tick_params(axis="y", length=0)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(size=FONT, color=INK)
    if title:
        ax.set_title(title, fontsize=FONT + 1, color=INK, loc="left", pad=12)
    if mark := BASIS_MARKS.get(basis):
        ax.text(0.5, 0.5, mark, transform=ax.transAxes, fontsize=26, color=INK, zorder=0.5, **_MARK)
    return ax


_MARK: dict[str, Any] = {"ha": "center", "va": "center", "rotation": 30, "alpha": 0.07, "fontweight": "bold"}


def mark_figure(figure: Figure, basis: str) -> None:
    """Mark the basis of a model across a figure of several axes."""
    if mark := BASIS_MARKS.get(basis):
        figure.text(0.5, 0.5, mark, fontsize=30, **_MARK)


def draw_diagonal(ax: Axes, label: str) -> None:
    """Draw the line on which two probabilities agree."""
    ax.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=DASHED, label=label, zorder=1)


def finish_square(ax: Axes, labels: tuple[str, str], summary: str) -> None:
    """Give axes of two probabilities equal scales, a legend, and the numbers that summarize them at the side."""
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel=labels[0], ylabel=labels[1])
    ax.set_aspect("equal")
    ax.legend(loc="upper left", frameon=False, fontsize=FONT - 1.5)
    style: dict[str, Any] = {"va": "top", "fontsize": FONT - 1, "linespacing": 1.7, "color": INK}
    ax.text(1.04, 0.98, summary, transform=ax.transAxes, **style)


def set_ratio_axis(ax: Axes, ends: tuple[float, float]) -> None:
    """Give observed / expected a logarithmic axis."""
    ax.set_xscale("log")
    ax.set_xlim(*ends)
    ax.set_xticks([0.5, 0.8, 1.0, 1.25, 2.0], labels=["0.5", "0.8", "1", "1.25", "2"])
    ax.minorticks_off()


def draw_interval(
    ax: Axes,
    height: float,
    row: Row,
    ends: tuple[float, float],
    *,
    colour: str = BLUE,
    marker: str = "o",
    width: float = 1.6,
) -> None:
    """Draw an estimate with its interval as a row of a forest plot; beyond the ends of the axis an arrow stands."""
    ax.plot(np.clip([row["lower"], row["upper"]], *ends), [height, height], color=colour, linewidth=width, zorder=3)
    shape = "<" if row["estimate"] < ends[0] else ">" if row["estimate"] > ends[1] else marker
    style: dict[str, Any] = {"color": colour, "markersize": 7 if marker == "D" else 6, "zorder": 4}
    ax.plot(np.clip([row["estimate"]], *ends), [height], shape, clip_on=False, **style)


def format_n(row: Row) -> str:
    """Format the size of a group where it may be shown."""
    return f"n = {row['n']:,.0f}" if pd.notna(row["n"]) else "n not shown"


def count_groups(n: int) -> str:
    """Format a number of groups.

    Examples
    --------
    >>> count_groups(1), count_groups(3)
    ('1 group', '3 groups')
    """
    return "1 group" if n == 1 else f"{n} groups"
