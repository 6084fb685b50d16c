"""The calibration figure: observed against predicted frequency."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from paincast.evaluation.names import format_estimate
from paincast.reporting.figures.axes import (
    BLUE,
    GREY,
    ORANGE,
    count_groups,
    draw_diagonal,
    finish_axes,
    finish_square,
)
from paincast.schema import MINIMUM_CELL

SUMMARY = {
    "auroc": "AUROC",
    "o_e_ratio": "O/E",
    "calibration_intercept": "Intercept",
    "calibration_slope": "Slope",
    "ici": "ICI",
    "brier": "Brier",
}


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
        From :func:`paincast.evaluation.performance.calibration_by_groups.compute_calibration_by_groups`.
    metrics : DataFrame
        From :func:`paincast.evaluation.performance.metrics.compute_metrics`.
    ax : matplotlib.axes.Axes
        Where to draw.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    histogram : DataFrame, optional
        From :func:`paincast.evaluation.performance.calibration_by_groups.compute_risk_histogram`, drawn at the foot.
    flexible : DataFrame, optional
        Of :func:`~paincast.evaluation.performance.calibration_curve.compute_calibration_curve`, drawn with its band.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    draw_diagonal(ax, "ideal")
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
    finish_square(ax, ("Predicted probability", "Observed frequency"), summarize_calibration(metrics))
    return finish_axes(ax, basis, title)


def _draw_risk_bars(ax: Axes, histogram: pd.DataFrame) -> None:
    """Draw bars whose area is the share of the patients."""
    width = (histogram["right"] - histogram["left"]).to_numpy(dtype=float)
    density = histogram["n"].to_numpy(dtype=float) / width
    style: dict[str, Any] = {"color": GREY, "edgecolor": "white", "linewidth": 0.6, "zorder": 0}
    label = f"predictions (bars of {MINIMUM_CELL} patients or more)"
    ax.bar(histogram["left"], 0.12 * density / density.max(), width, align="edge", label=label, **style)


def summarize_calibration(metrics: pd.DataFrame) -> str:
    """Format the metrics in the calibration figure: one line each, with interval, or "not estimable".

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
    lines = [f"{label} {format_estimate(overall[name])}" for name, label in SUMMARY.items() if name in overall]
    n = max((int(row["n"]) for row in overall.values()), default=0)
    return "\n".join([*lines, f"n = {n:,}"])


def describe_calibration(curve: pd.DataFrame, metrics: pd.DataFrame) -> str:
    """Describe the calibration figure in a sentence, for readers who cannot see it.

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
    return (
        f"Calibration in {count_groups(len(curve))} of predictions: observed frequency {first['observed']:.2f} where "
        f"{first['predicted']:.2f} was predicted, {last['observed']:.2f} where {last['predicted']:.2f} was. {numbers}."
    )
