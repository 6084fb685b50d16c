"""Pictures of numbers that were computed elsewhere: calibration, importance and contributions.

Each function draws on the axes it is given and returns them; nothing touches matplotlib's global state. Colours are
those of Okabe and Ito, which readers with colour-blindness can tell apart.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

from paincast.disclosure.grouping import rank_values
from paincast.reporting.figures.swarm import compute_bubbles, compute_offsets
from paincast.schema import EPISODES, SMALLEST_CELL

FloatArray = npt.NDArray[np.float64]

BLUE, ORANGE, GREY, INK = "#0072B2", "#D55E00", "#B0B0B0", "#333333"
LOW_TO_HIGH: Colormap = LinearSegmentedColormap.from_list("low_to_high", ["#56B4E9", "#0072B2", "#7B3F61", "#D55E00"])
BASIS_MARKS = {"synthetic": "SYNTHETIC EVIDENCE", "blended": "BLENDED EVIDENCE"}
MOST_VARIABLES = 15
FONT = 11.0


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
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def plot_calibration(
    curve: pd.DataFrame,
    metrics: pd.DataFrame,
    ax: Axes,
    *,
    basis: str,
    histogram: pd.DataFrame | None = None,
    flexible: pd.DataFrame | None = None,
    title: str = "",
) -> Axes:
    """Draw observed against predicted frequency, with the numbers that summarize calibration.

    Parameters
    ----------
    curve : DataFrame
        From :func:`paincast.evaluation.performance.calibration.compute_calibration_curve`.
    metrics : DataFrame
        From :func:`paincast.evaluation.performance.metrics.compute_metrics`.
    ax : matplotlib.axes.Axes
        Where to draw.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    histogram : DataFrame, optional
        From :func:`paincast.evaluation.performance.calibration.compute_risk_histogram`, drawn at the foot.
    flexible : DataFrame, optional
        Curve of :func:`paincast.evaluation.performance.flexible.compute_flexible_calibration`, drawn with its band.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 3)), label="ideal", zorder=1)
    if flexible is not None and len(flexible):
        x, band = flexible["predicted"], (flexible["lower"], flexible["upper"])
        ax.fill_between(x, *band, color=ORANGE, alpha=0.15, linewidth=0, zorder=2)
        ax.plot(x, flexible["observed"], color=ORANGE, linewidth=1.8, label="flexible curve, with band", zorder=2)
    if len(curve):
        errors = np.abs(curve[["lower", "upper"]].to_numpy().T - curve["observed"].to_numpy())
        ax.errorbar(
            curve["predicted"],
            curve["observed"],
            yerr=errors,
            fmt="o",
            color=BLUE,
            elinewidth=1.2,
            markersize=6,
            capsize=3,
            label="observed in groups, with interval",
            zorder=3,
        )
    if histogram is not None and len(histogram):
        _draw_risk_bars(ax, histogram)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="Predicted probability", ylabel="Observed frequency")
    ax.set_aspect("equal")
    ax.legend(loc="upper left", frameon=False, fontsize=FONT - 1.5)
    summary: dict[str, Any] = {"va": "top", "fontsize": FONT - 1, "linespacing": 1.7, "color": INK}
    ax.text(1.04, 0.98, summarize_calibration(metrics), transform=ax.transAxes, **summary)
    return finish_axes(ax, basis, title)


def _draw_risk_bars(ax: Axes, histogram: pd.DataFrame) -> None:
    """Draw bars whose area is the share of the patients."""
    width = (histogram["right"] - histogram["left"]).to_numpy(dtype=float)
    density = histogram["n"].to_numpy(dtype=float) / width
    style: dict[str, Any] = {"color": GREY, "edgecolor": "white", "linewidth": 0.6, "zorder": 0}
    label = f"predictions (bars of {SMALLEST_CELL} patients or more)"
    ax.bar(histogram["left"], 0.12 * density / density.max(), width, align="edge", label=label, **style)


def summarize_calibration(metrics: pd.DataFrame) -> str:
    """Write the numbers that stand in the calibration figure: one line each, with interval, or "not estimable".

    Parameters
    ----------
    metrics : DataFrame
        From :func:`paincast.evaluation.performance.metrics.compute_metrics`; the rows of the group ``overall`` are
        used.

    Returns
    -------
    str
    """
    overall = {row["metric"]: row for row in metrics.to_dict("records") if row["group"] == "overall"}
    names = {
        "auroc": "AUROC",
        "o_e_ratio": "O/E",
        "calibration_intercept": "Intercept",
        "calibration_slope": "Slope",
        "ici": "ICI",
        "brier": "Brier",
    }
    lines = [f"{label} {write_interval(overall[name])}" for name, label in names.items() if name in overall]
    n = max((int(row["n"]) for row in overall.values()), default=0)
    return "\n".join([*lines, f"n = {n:,}"])


def write_interval(row: Mapping[Hashable, Any] | pd.Series, *, digits: int = 2, absent: str = "not estimable") -> str:
    """Write an estimate with its interval, as it stands in a figure."""
    estimate, lower, upper = (f"{row[name]:z.{digits}f}" for name in ("estimate", "lower", "upper"))
    if np.isnan(row["estimate"]):
        return absent
    if np.isnan(row["lower"]) or np.isnan(row["upper"]):
        return f"{estimate} (no interval)"
    return f"{estimate} ({lower} to {upper})"


def describe_calibration(curve: pd.DataFrame, metrics: pd.DataFrame) -> str:
    """Say in a sentence what the calibration figure shows, for readers who cannot see it.

    Parameters
    ----------
    curve, metrics : DataFrame
        As for :func:`plot_calibration`.

    Returns
    -------
    str
    """
    numbers = summarize_calibration(metrics).replace("\n", "; ")
    if not len(curve):
        return f"Calibration: too few patients to group. {numbers}."
    first, last = curve.iloc[0], curve.iloc[-1]
    groups = f"{len(curve)} groups" if len(curve) > 1 else "1 group"
    return (
        f"Calibration in {groups} of predictions: observed frequency {first['observed']:.2f} where "
        f"{first['predicted']:.2f} was predicted, {last['observed']:.2f} where {last['predicted']:.2f} was. {numbers}."
    )


def plot_importance(mean_absolute: pd.Series, ax: Axes, *, basis: str, title: str = "", unit: str = "log odds") -> Axes:
    """Draw how much each of the clinician's variables moves the prediction on average.

    Parameters
    ----------
    mean_absolute : Series of shape (n_variables,)
        Mean absolute contribution, indexed by variable.
    ax : matplotlib.axes.Axes
        Where to draw.
    basis : {"synthetic", "real", "blended"}
        What the model stands on.
    title : str
        Title of the figure.
    unit : str
        Of the contributions.

    Returns
    -------
    matplotlib.axes.Axes
    """
    shown = _strongest(mean_absolute)[::-1]
    bars = ax.barh([display_name(str(name)) for name in shown.index], shown.to_numpy(), color=BLUE, height=0.7)
    ax.bar_label(bars, fmt="{:.2g}", padding=3, fontsize=FONT - 2, color=INK)
    ax.set_xlabel(f"Mean size of the contribution ({unit})")
    ax.set_xlim(0, max(float(shown.max()) * 1.12, 0.01) if len(shown) else 1)
    ax.spines[["left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return finish_axes(ax, basis, title)


def describe_importance(mean_absolute: pd.Series, *, unit: str = "log odds") -> str:
    """Say in a sentence what the importance figure shows.

    Parameters
    ----------
    mean_absolute : Series of shape (n_variables,)
        As for :func:`plot_importance`.

    Returns
    -------
    str
    """
    strongest = _strongest(mean_absolute[mean_absolute > 0])[:3]
    if strongest.empty:
        same = "probability" if unit == "log odds" else "prediction"
        return f"Contributions: no variable moves the prediction; every patient gets the same {same}."
    named = ", ".join(f"{display_name(str(name))} ({size:.2g})" for name, size in strongest.items())
    served = f"the {unit}" if unit == "log odds" else "the change in points"
    return f"Strongest contributions to {served}, mean size: {named}."


def plot_contributions(
    contributions: pd.DataFrame,
    values: pd.DataFrame,
    ax: Axes,
    *,
    basis: str,
    title: str = "",
    unit: str = "log odds",
    simulated: bool | None = None,
    patients: npt.NDArray[np.generic] | None = None,
) -> Axes:
    """Draw in which direction, and how far, each variable moves the prediction.

    For simulated patients each dot is a patient. For real ones no single patient is drawn: a bubble is a group of at
    least five with similar values, at their mean contribution, its area growing with the group.

    Parameters
    ----------
    contributions : DataFrame of shape (n, n_variables)
        Contributions, from :class:`paincast.explain.Explanation`.
    values : DataFrame of shape (n, n_variables)
        Values of the same variables.
    ax : matplotlib.axes.Axes
        Where to draw.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    title : str
        Title of the figure.
    unit : str
        Of the contributions.
    simulated : bool, optional
        Whether the rows are simulated patients; by default those of a synthetic model are. A model that stands on
        evidence alone may be explained on real ones.
    patients : ndarray of shape (n,), optional
        Patient of each row, so that no bubble is one patient with many episodes.

    Returns
    -------
    matplotlib.axes.Axes
    """
    shown = list(_strongest(contributions.abs().mean()).index)[::-1]
    dots = basis == "synthetic" if simulated is None else simulated
    for row, name in enumerate(shown):
        if dots:
            _draw_swarm(ax, row, contributions[name], values[name])
        else:
            _draw_bubbles(ax, row, contributions[name], values[name], patients)
    ax.axvline(0, color=INK, linewidth=1, zorder=1)
    ax.set_yticks(range(len(shown)), [display_name(str(name)) for name in shown])
    ax.set_ylim(-0.7, max(len(shown), 1) - 0.3)
    mark = "a dot is a patient" if dots else f"a bubble is {SMALLEST_CELL} patients or more"
    ax.set_xlabel(f"Contribution, {unit} ({mark})")
    ax.grid(axis="y", color="#EEEEEE", zorder=0)
    ax.tick_params(axis="y", length=0)
    ax.spines[["left"]].set_visible(False)
    _draw_value_scale(ax)
    return finish_axes(ax, basis, title)


def _draw_swarm(ax: Axes, row: int, contribution: pd.Series, value: pd.Series) -> None:
    offsets = compute_offsets(contribution.to_numpy(dtype=float))
    _scatter(
        ax, contribution.to_numpy(dtype=float), row + 0.38 * offsets, rank_values(value), {"s": 9, "linewidths": 0}
    )


def _draw_bubbles(
    ax: Axes, row: int, contribution: pd.Series, value: pd.Series, patients: npt.NDArray[np.generic] | None
) -> None:
    bubbles = compute_bubbles(contribution, value, smallest=SMALLEST_CELL, patients=patients)
    sizes = 30 + 370 * bubbles["n"].to_numpy(dtype=float) / max(len(contribution), 1)
    height = np.full(len(bubbles), float(row))
    style = {"s": sizes, "alpha": 0.85, "edgecolors": "white", "linewidths": 0.8}
    _scatter(ax, bubbles["contribution"].to_numpy(dtype=float), height, bubbles["rank"].to_numpy(dtype=float), style)


def _scatter(ax: Axes, x: FloatArray, y: FloatArray, rank: FloatArray, style: Mapping[str, Any]) -> None:
    """Draw points coloured by rank, those without one in grey beneath."""
    colours = LOW_TO_HIGH(np.nan_to_num(rank, nan=0.0))
    colours[np.isnan(rank)] = (0.69, 0.69, 0.69, 1.0)
    ax.scatter(x, y, c=colours, zorder=3, **style)


def _draw_value_scale(ax: Axes) -> None:
    figure = ax.figure
    bar = figure.colorbar(ScalarMappable(cmap=LOW_TO_HIGH), ax=ax, fraction=0.03, pad=0.02, aspect=30)
    bar.set_ticks([0, 1], labels=["low,\nno", "high,\nyes"])
    bar.set_label("Value of the variable (grey: category or missing)", fontsize=FONT - 2, color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=FONT - 2, labelcolor=INK)


def _strongest(mean_absolute: pd.Series) -> pd.Series:
    return mean_absolute.sort_values(ascending=False, kind="stable").head(MOST_VARIABLES)


def display_name(variable: str) -> str:
    """Give the name of a variable for figures, from the column declarations."""
    return EPISODES[variable].display_name if variable in EPISODES else variable.replace("_", " ")


def finish_axes(ax: Axes, basis: str, title: str) -> Axes:
    """Give axes the look of all figures of a model: title, no frame, and what it stands on as a mark.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        What was drawn.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=FONT - 1, colors=INK)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(size=FONT, color=INK)
    if title:
        ax.set_title(title, fontsize=FONT + 1, color=INK, loc="left", pad=12)
    mark = BASIS_MARKS.get(basis)
    if mark:
        ax.text(
            0.5,
            0.5,
            mark,
            transform=ax.transAxes,
            ha="center",
            va="center",
            rotation=30,
            fontsize=26,
            color=INK,
            alpha=0.07,
            fontweight="bold",
            zorder=0.5,
        )
    return ax
