"""Pictures of what a prediction hangs on: the patients a model was fitted to, and those lost to follow-up."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from paincast.evaluation.tipping import O_E_LIMITS
from paincast.reporting.figures import BLUE, FONT, GREY, INK, ORANGE, finish_axes, write_interval

FARTHEST_SHIFT = 4.0
"""Shift of the log odds up to which a change of the verdict is drawn; the odds are then 55 times as high or low."""


def plot_instability(bins: pd.DataFrame, metrics: pd.DataFrame, ax: Axes, *, basis: str, title: str = "") -> Axes:
    """Draw the probabilities of the refits against the served one: a prediction instability plot [1]_.

    No patient is drawn: a point is a group of at least five with similar served probability.

    Parameters
    ----------
    bins : DataFrame
        From :func:`paincast.evaluation.stability.compute_instability_by_bin`, of a coverage of 95 %.
    metrics : DataFrame
        From :func:`paincast.evaluation.stability.compute_instability`.
    ax : matplotlib.axes.Axes
        Where to draw.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.axes.Axes

    References
    ----------
    .. [1] Riley RD, Collins GS. Stability of clinical prediction models developed using statistical or machine learning
       methods. Biom J 2023;65:2200302. doi:10.1002/bimj.202200302
    """
    served = bins["probability"].to_numpy(dtype=float)
    low, middle, high = (bins[name].to_numpy(dtype=float) for name in ("lower", "refitted", "upper"))
    ax.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 3)), label="as served", zorder=1)
    ax.fill_between(served, low, high, color=BLUE, alpha=0.15, linewidth=0, zorder=2)
    ax.vlines(
        served,
        low,
        high,
        color=BLUE,
        linewidth=1.4,
        label=f"95 % of {_count_refits(bins)} refits, mean of a group",
        zorder=3,
    )
    ax.plot(served, middle, "o", color=BLUE, markersize=5, label="mean of refits", zorder=4)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="Served probability", ylabel="Probability from refits to other patients")
    ax.set_aspect("equal")
    ax.legend(loc="upper left", frameon=False, fontsize=FONT - 1.5)
    summary: dict[str, Any] = {"va": "top", "fontsize": FONT - 1, "linespacing": 1.7, "color": INK}
    ax.text(1.04, 0.98, summarize_instability(metrics), transform=ax.transAxes, **summary)
    return finish_axes(ax, basis, title)


def summarize_instability(metrics: pd.DataFrame) -> str:
    """Write the numbers that stand in the instability figure: how far refits lie from the served probability.

    Parameters
    ----------
    metrics : DataFrame
        From :func:`paincast.evaluation.stability.compute_instability`.

    Returns
    -------
    str
    """
    rows: dict[Hashable, Any] = {row["metric"]: row for row in metrics.to_dict("records")}
    names = {"instability_mean": "Mean", "instability_median": "Median", "instability_q95": "95th centile"}
    lines = [f"{label} {_write_interval(rows[name])}" for name, label in names.items() if name in rows]
    return "\n".join(["Distance from served", *lines, f"n = {int(metrics['n'].max()):,}"])


def describe_instability(bins: pd.DataFrame, metrics: pd.DataFrame) -> str:
    """Say in a sentence what the instability figure shows, for readers who cannot see it.

    Parameters
    ----------
    bins, metrics : DataFrame
        As for :func:`plot_instability`.

    Returns
    -------
    str
    """
    widest = bins.iloc[int(np.argmax(bins["upper"] - bins["lower"]))]
    groups = f"{len(bins)} groups" if len(bins) > 1 else "1 group"
    mean = _write_interval(metrics[metrics["metric"] == "instability_mean"].iloc[0])
    return (
        f"Prediction instability in {groups} of patients: {_count_refits(bins)} refits lie {mean} from the served "
        f"probability on average; they differ most where {widest['probability']:.2f} is served, 95 % of them from "
        f"{widest['lower']:.2f} to {widest['upper']:.2f}."
    )


def _count_refits(bins: pd.DataFrame) -> int:
    return int(bins["n_refits"].iloc[0])


def plot_tipping_point(sweep: pd.DataFrame, ax: Axes, *, basis: str, title: str = "") -> Axes:
    """Draw observed / expected against how different those lost to follow-up are, and where the verdict changes.

    Parameters
    ----------
    sweep : DataFrame
        From :func:`paincast.evaluation.tipping.compute_tipping_point`, with its default limits.
    ax : matplotlib.axes.Axes
        Where to draw.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    shown = _list_drawn(sweep)
    ax.axhspan(*O_E_LIMITS, color=GREY, alpha=0.3, linewidth=0, zorder=0)
    ax.axvline(0, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    ax.fill_between(shown["shift"], shown["o_e_lower"], shown["o_e_upper"], color=BLUE, alpha=0.15, linewidth=0)
    swept = shown[~shown["tips"]]
    ax.plot(shown["shift"], shown["o_e_ratio"], color=BLUE, linewidth=1.6, zorder=3, label="O/E, with interval")
    ax.plot(swept["shift"], swept["o_e_ratio"], "o", color=BLUE, markersize=4, zorder=3)
    _mark_tips(ax, shown[shown["tips"]])
    low, high = min(O_E_LIMITS[0], shown["o_e_lower"].min()), max(O_E_LIMITS[1], shown["o_e_upper"].max())
    ax.set_ylim(low - 0.15 * (high - low), high + 0.15 * (high - low))
    _name_verdicts(ax)
    ax.set_xlabel("Shift of the log odds of those lost (0: as predicted)")
    ax.set_ylabel("Observed / expected")
    ax.legend(loc="upper left", facecolor="white", edgecolor="none", framealpha=1.0, fontsize=FONT - 1.5)
    return finish_axes(ax, basis, title)


def _list_drawn(sweep: pd.DataFrame) -> pd.DataFrame:
    return sweep[~sweep["tips"] | (sweep["shift"].abs() <= FARTHEST_SHIFT)]


def _mark_tips(ax: Axes, tips: pd.DataFrame) -> None:
    marked: dict[str, Any] = {"color": ORANGE, "zorder": 4}
    if len(tips):
        ax.plot(tips["shift"], tips["o_e_ratio"], "D", markersize=7, label="verdict changes", **marked)
    for shift, odds in zip(tips["shift"], tips["odds_ratio"], strict=True):
        ax.axvline(shift, linewidth=1, linestyle=":", **marked)
        beside: dict[str, Any] = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": FONT - 2}
        ax.annotate(f"odds × {odds:.2g}", (shift, 0.0), xycoords=("data", "axes fraction"), color=ORANGE, **beside)


def _name_verdicts(ax: Axes) -> None:
    low, high = O_E_LIMITS
    bottom, top = ax.get_ylim()
    for height, verdict in (
        ((high + top) / 2, "predictions\ntoo low"),
        ((low + high) / 2, "calibrated\nin the large"),
        ((bottom + low) / 2, "predictions\ntoo high"),
    ):
        place: dict[str, Any] = {
            "transform": ax.get_yaxis_transform(),
            "va": "center",
            "fontsize": FONT - 1.5,
            "color": INK,
        }
        ax.text(1.02, height, verdict, **place)


def describe_tipping_point(sweep: pd.DataFrame) -> str:
    """Say in a sentence what the figure of the tipping point shows, for readers who cannot see it.

    Parameters
    ----------
    sweep : DataFrame
        As for :func:`plot_tipping_point`.

    Returns
    -------
    str
    """
    first, last = (sweep[~sweep["tips"]].iloc[place] for place in (0, -1))
    ratios, risks = (f"{first[name]:.2f} to {last[name]:.2f}" for name in ("o_e_ratio", "overall_risk"))
    told = [
        f"at a shift of {row['shift']:+.2f} (odds {row['odds_ratio']:.2g} times the predicted ones)"
        for _, row in sweep[sweep["tips"]].iterrows()
    ]
    tipped = f"The verdict changes {' and '.join(told)}." if told else "No shift changes the verdict."
    return (
        f"{int(first['n_lost'])} of {int(first['n'])} were lost to follow-up; as the log odds of their outcome shift "
        f"from {first['shift']:+g} to {last['shift']:+g}, observed / expected goes from {ratios} and overall risk from "
        f"{risks}. {tipped}"
    )


def _write_interval(row: Mapping[Hashable, Any] | pd.Series) -> str:
    return write_interval(row, digits=3, absent="not shown")
