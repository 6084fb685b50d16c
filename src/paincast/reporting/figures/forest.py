"""Published response rates with their intervals, drawn record by record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation

from paincast.evidence.wording import months, name_indication, name_technique
from paincast.reporting.figures.axes import BLUE, FONT, INK, ORANGE

WIDTH, LEFT, RIGHT = 14.0, 0.335, 0.635
LEFT_EDGE, RIGHT_EDGE = -LEFT / (RIGHT - LEFT) + 0.04, (1 - LEFT) / (RIGHT - LEFT) - 0.04
"""Edges of the figure, in widths of the axes."""
GREY_TEXT = "#5A6270"
BAND = "#F2F4F7"
ROW_INCHES, ABOVE, BELOW = 0.225, 1.25, 0.6
HEADINGS = 1.6
LONGEST_LABEL, LONGEST_DEFINITION = 46, 62
_BRACKETED = re.compile(r" \([^)]*\)")
STYLES: Mapping[str, dict[str, Any]] = {
    "published": {"color": BLUE, "marker": "s", "markersize": 5.0, "zorder": 3},
    "expected": {"color": INK, "marker": "D", "markersize": 6.5, "zorder": 4},
    "control": {"color": ORANGE, "marker": "v", "markersize": 6.5, "zorder": 4},
}


def make_forest_axes(rates: pd.DataFrame) -> Axes:
    """Make axes tall enough for every rate of a frame."""
    rows = len(rates) + HEADINGS * rates["record"].nunique()
    height = ABOVE + BELOW + ROW_INCHES * rows
    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasAgg(figure)
    return figure.add_axes((LEFT, BELOW / height, RIGHT - LEFT, 1 - (ABOVE + BELOW) / height))


def save_forest(rates: pd.DataFrame, path: Path) -> None:
    """Draw rates into an image whose format is that of the suffix (png, svg or pdf)."""
    figure = plot_forest(rates, make_forest_axes(rates)).figure
    assert isinstance(figure, Figure)
    # No date, so that the same evidence gives the same file.
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower(), {})
    with rc_context({"svg.hashsalt": "paincast", "svg.fonttype": "none"}):
        figure.savefig(path, dpi=150, metadata=metadata)


def plot_forest(rates: pd.DataFrame, ax: Axes) -> Axes:
    """Draw published response rates with intervals, grouped by record.

    Parameters
    ----------
    rates : DataFrame
        From :func:`paincast.reporting.evidence.forest.collect_rates`.
    ax : matplotlib.axes.Axes
        Where to draw; see :func:`make_forest_axes`.

    Returns
    -------
    matplotlib.axes.Axes
        The same axes.
    """
    top = 0.0
    for number, (_, group) in enumerate(rates.groupby("record", sort=False)):
        bottom = top + HEADINGS + len(group)
        if number % 2 == 0:
            width = RIGHT_EDGE - LEFT_EDGE
            ax.add_patch(
                Rectangle(
                    (LEFT_EDGE, top + 0.1),
                    width,
                    bottom - top,
                    transform=ax.get_yaxis_transform(),
                    color=BAND,
                    zorder=0,
                    linewidth=0,
                    clip_on=False,
                )
            )
        _write_heading(group.iloc[0], top + 0.8, ax)
        for row, height in zip(group.itertuples(index=False), _heights(top, len(group)), strict=True):
            _draw_row(row, height, ax)
        top = bottom
    _finish(ax, top)
    return ax


def _heights(top: float, rows: int) -> Iterator[float]:
    return (top + HEADINGS + 0.2 + row for row in range(rows))


def _write_heading(first: pd.Series, height: float, ax: Axes) -> None:
    approach = f", {first['approach']}" if first["approach"] else ""
    ax.text(
        LEFT_EDGE,
        height,
        f"{name_technique(first['technique'])}{approach} · {name_indication(first['indication'])}",
        transform=ax.get_yaxis_transform(),
        fontsize=FONT,
        fontweight="bold",
        color=INK,
        va="center",
        ha="left",
        zorder=5,
    )


def _draw_row(row: Any, height: float, ax: Axes) -> None:
    style = STYLES[row.kind]
    if pd.notna(row.lower):
        computed = row.interval != "published"
        ax.plot(
            [row.lower, row.upper],
            [height, height],
            color=style["color"],
            linewidth=1.3,
            linestyle=(0, (2.5, 1.5)) if computed else "-",
            solid_capstyle="butt",
            zorder=2,
        )
    face = style["color"] if row.interval in ("published", "judged") or row.kind != "published" else "white"
    ax.plot([row.share], [height], linestyle="none", markerfacecolor=face, markeredgecolor=style["color"], **style)
    counted = f", n {row.n:,.0f}" if pd.notna(row.n) else ""
    when = "at once" if row.month == 0 else months(row.month)
    ax.annotate(
        f"{_cut(row.label, LONGEST_LABEL)} · {when}{counted}",
        (0.0, height),
        xycoords=ax.get_yaxis_transform(),
        xytext=(-8, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=FONT - 2.5,
        color=INK if row.kind != "published" else GREY_TEXT,
        fontweight="bold" if row.kind == "expected" else "normal",
    )
    spread = f" ({100 * row.lower:.0f} to {100 * row.upper:.0f})" if pd.notna(row.lower) else ""
    ax.annotate(
        f"{100 * row.share:.0f}{spread}  {_cut(_BRACKETED.sub('', row.definition), LONGEST_DEFINITION)}",
        (1.0, height),
        xycoords=ax.get_yaxis_transform(),
        xytext=(8, 0),
        textcoords="offset points",
        ha="left",
        va="center",
        fontsize=FONT - 2.5,
        color=INK if row.kind != "published" else GREY_TEXT,
    )


def _cut(text: str, longest: int) -> str:
    return shorten(text, longest, placeholder=" …")


def _finish(ax: Axes, bottom: float) -> None:
    ax.set_xlim(0, 1)
    ax.set_ylim(bottom + 0.4, 0)
    ax.set_yticks([])
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25", "50", "75", "100 %"])
    ax.tick_params(axis="x", top=True, labeltop=True, labelsize=FONT - 1, colors=INK)
    ax.grid(axis="x", color="#D5DAE1", linewidth=0.8, zorder=1)
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    ax.set_xlabel("share of patients who respond, each as its source defines it", fontsize=FONT, color=INK)
    ax.set_title(
        "Published response rates", fontsize=FONT + 3, fontweight="bold", color=INK, loc="left", x=LEFT_EDGE, pad=58
    )
    ax.legend(
        handles=_make_key(),
        loc="lower left",
        bbox_to_anchor=(LEFT_EDGE, 1.0),
        bbox_transform=ax.transAxes + ScaledTranslation(0, 0.32, ax.figure.dpi_scale_trans),
        ncol=5,
        frameon=False,
        fontsize=FONT - 2,
        borderaxespad=0.0,
    )


def _make_key() -> list[Line2D]:
    def mark(label: str, kind: str, **more: Any) -> Line2D:
        style = {key: value for key, value in STYLES[kind].items() if key != "zorder"}
        return Line2D([], [], label=label, **{"linestyle": "none", **style, **more})

    return [
        mark("interval published", "published", linestyle="-"),
        mark("interval computed (Wilson)", "published", linestyle=(0, (2.5, 1.5)), markerfacecolor="white"),
        mark("no interval known", "published", markerfacecolor="white"),
        mark("expected, as in a new study", "expected"),
        mark("without the procedure", "control"),
    ]
