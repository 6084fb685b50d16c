"""Pictures of what a prediction hangs on: the patients a model was fitted to, those lost, and the site or year."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from paincast.evaluation.validation.tipping import O_E_LIMITS
from paincast.reporting.figures.performance import (
    BASIS_MARKS,
    BLUE,
    FONT,
    GREY,
    INK,
    ORANGE,
    finish_axes,
    make_axes,
    write_interval,
)

FARTHEST_SHIFT = 4.0
"""Shift of the log odds up to which a change of the verdict is drawn; the odds are then 55 times as high or low."""


def plot_instability(bins: pd.DataFrame, metrics: pd.DataFrame, ax: Axes, *, basis: str, title: str = "") -> Axes:
    """Draw the probabilities of the refits against the served one: a prediction instability plot [1]_.

    No patient is drawn: a point is a group of at least five with similar served probability.

    Parameters
    ----------
    bins : DataFrame
        From :func:`paincast.evaluation.validation.stability.compute_instability_by_bin`, of a coverage of 95 %.
    metrics : DataFrame
        From :func:`paincast.evaluation.validation.stability.compute_instability`.
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
        From :func:`paincast.evaluation.validation.stability.compute_instability`.

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
    """Draw observed / expected against how different those lost to follow-up are, and where it crosses a limit.

    Parameters
    ----------
    sweep : DataFrame
        From :func:`paincast.evaluation.validation.tipping.compute_tipping_point`, with its default limits.
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
        ax.plot(tips["shift"], tips["o_e_ratio"], "D", markersize=7, label="crosses a limit", **marked)
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
    limits = f"{O_E_LIMITS[0]:g} or {O_E_LIMITS[1]:g}"
    tipped = f"It crosses {limits} {' and '.join(told)}." if told else f"No shift takes it across {limits}."
    return (
        f"{int(first['n_lost'])} of {int(first['n'])} were lost to follow-up; as the log odds of their outcome shift "
        f"from {first['shift']:+g} to {last['shift']:+g}, overall risk goes from {risks} and observed / expected from "
        f"{ratios}. {tipped}"
    )


def _write_interval(row: Mapping[Hashable, Any] | pd.Series) -> str:
    return write_interval(row, digits=3, absent="not shown")


FOREST: Mapping[str, tuple[str, float, tuple[float, float]]] = {
    "o_e_ratio": ("Observed / expected", 1.0, (0.4, 2.5)),
    "calibration_slope": ("Calibration slope", 1.0, (-1.0, 3.0)),
    "auroc": ("AUROC", 0.5, (0.3, 1.0)),
}
"""Panels of the forest: title, where nothing is to be seen, and the ends of the axis, where arrows stand for more."""


def make_forest_axes(n_groups: int) -> list[Axes]:
    """Make the panels of a forest of a number of groups, side by side."""
    first = make_axes(11.0, 2.0 + 0.32 * (max(n_groups, 2) + 2))
    figure = first.figure
    first.remove()
    return [figure.add_subplot(1, len(FOREST), place + 1) for place in range(len(FOREST))]


def plot_held_out(table: pd.DataFrame, panels: Sequence[Axes], *, basis: str, title: str = "") -> Axes:
    """Draw how the model of all other groups did in each: a forest of observed / expected, slope and AUROC [1]_.

    At the foot stand the mean of all with its confidence interval, and in grey where a new group is expected.

    Parameters
    ----------
    table : DataFrame
        From :func:`paincast.evaluation.groups.subgroups.compute_metrics_by_group` of held-out predictions, with the
        rows of
        :func:`paincast.evaluation.groups.subgroups.pool_groups` below.
    panels : sequence of matplotlib.axes.Axes
        Where to draw; see :func:`make_forest_axes`.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.axes.Axes
        The first panel.

    References
    ----------
    .. [1] Riley RD, et al. External validation of clinical prediction models using big datasets from e-health records
       or IPD meta-analysis. BMJ 2016;353:i3140. doi:10.1136/bmj.i3140
    """
    pooled = table["n_groups"].notna()
    for ax, (metric, (name, neutral, ends)) in zip(panels, FOREST.items(), strict=True):
        rows = table[(table["metric"] == metric) & ~pooled].to_dict("records")
        ax.axvline(neutral, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        for place, row in enumerate(rows):
            _draw_row(ax, place, row, ends)
        _draw_pooled(ax, len(rows) + 0.5, table[(table["metric"] == metric) & pooled].to_dict("records")[0], ends)
        labels = [_label_level(row) for row in rows] if ax is panels[0] else [""] * len(rows)
        foot = ["mean (grey: a new one)"] if ax is panels[0] else [""]
        ax.set_yticks([*range(len(rows)), len(rows) + 0.5], [*labels, *foot])
        ax.set_ylim(len(rows) + 1.2, -0.7)
        if metric == "o_e_ratio":
            ax.set_xscale("log")
            ax.set_xticks([0.5, 0.8, 1.0, 1.25, 2.0], labels=["0.5", "0.8", "1", "1.25", "2"])
            ax.minorticks_off()
        ax.set_xlim(*ends)
        ax.set_xlabel(name)
        ax.tick_params(axis="y", length=0)
        finish_axes(ax, basis, title if ax is panels[0] else "")
        ax.spines[["left"]].set_visible(False)
        _make_room(ax, marked=ax is panels[len(panels) // 2])
    return panels[0]


def _make_room(ax: Axes, *, marked: bool) -> None:
    """Keep the mark of what the model stands on in one panel; it is wider, and may lie over its neighbours."""
    ax.patch.set_visible(False)
    for text in list(ax.texts):
        if text.get_text() in BASIS_MARKS.values():
            text.set_in_layout(False)
            text.set_visible(marked)


def _label_level(row: Mapping[Hashable, Any]) -> str:
    size = f"n = {row['n']:,.0f}" if pd.notna(row["n"]) else "n not shown"
    return f"{str(row['attribute']).removeprefix('procedure_')} {row['level']} ({size})"


def _draw_row(ax: Axes, place: float, row: Mapping[Hashable, Any], ends: tuple[float, float]) -> None:
    if not np.isfinite(row["estimate"]):
        told: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": FONT - 2, "color": "#666666"}
        ax.text(0.5, place, "not shown", transform=ax.get_yaxis_transform(), style="italic", **told)
        return
    drawn: dict[str, Any] = {"color": BLUE, "zorder": 3}
    ax.plot(np.clip([row["lower"], row["upper"]], *ends), [place, place], linewidth=1.6, **drawn)
    shape = "<" if row["estimate"] < ends[0] else ">" if row["estimate"] > ends[1] else "o"
    ax.plot(np.clip([row["estimate"]], *ends), [place], shape, markersize=6, clip_on=False, **drawn)


def _draw_pooled(ax: Axes, place: float, row: Mapping[Hashable, Any], ends: tuple[float, float]) -> None:
    if not np.isfinite(row["estimate"]):
        return
    if np.isfinite(row["predicted_lower"]):
        expected = np.clip([row["predicted_lower"], row["predicted_upper"]], *ends)
        ax.plot(expected, [place, place], color=GREY, linewidth=8, solid_capstyle="butt", zorder=2)
    ax.plot(np.clip([row["lower"], row["upper"]], *ends), [place, place], color=ORANGE, linewidth=2, zorder=3)
    ax.plot(np.clip([row["estimate"]], *ends), [place], "D", color=ORANGE, markersize=7, zorder=4)


def describe_held_out(table: pd.DataFrame) -> str:
    """Say in a sentence what the forest shows, for readers who cannot see it.

    Parameters
    ----------
    table : DataFrame
        As for :func:`plot_held_out`.

    Returns
    -------
    str
    """
    name = str(table["attribute"].iloc[0]).removeprefix("procedure_")
    told = []
    for metric, (title, _, _) in FOREST.items():
        rows = table[table["metric"] == metric]
        pooled = rows[rows["n_groups"].notna()].iloc[0]
        new = "" if np.isnan(pooled["predicted_lower"]) else "; of a new one {:.2f} to {:.2f} is expected"
        new = new.format(pooled["predicted_lower"], pooled["predicted_upper"])
        told.append(f"{title} {write_interval(pooled, digits=2)} on average{new}")
    own = table[(table["metric"] == "o_e_ratio") & table["n_groups"].isna()]
    shown = int(own["estimate"].notna().sum())
    left = f"{len(own) - shown} not shown" if shown < len(own) else "all shown"
    learnt = "from the years before it" if name == "year" else f"by a model that had not seen the {name}"
    return f"{len(own)} {name}s, {left}, each predicted {learnt}. {'. '.join(told)}."
