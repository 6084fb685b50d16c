"""Figures of robustness: refits to other patients, patients lost to follow-up, and sites and years held out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from paincast.evaluation.names import format_estimate
from paincast.evaluation.validation.delta_adjusted import O_E_LIMITS
from paincast.reporting.figures.axes import (
    BASIS_MARKS,
    BLUE,
    DASHED,
    FONT,
    GREY,
    INK,
    ORANGE,
    Row,
    count_groups,
    draw_diagonal,
    draw_interval,
    finish_axes,
    finish_square,
    format_n,
    make_figure,
    set_ratio_axis,
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
    draw_diagonal(ax, "as served")
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
    labels = ("Served probability", "Probability from refits to other patients")
    finish_square(ax, labels, summarize_instability(metrics))
    return finish_axes(ax, basis, title)


def summarize_instability(metrics: pd.DataFrame) -> str:
    """Format the metrics in the instability figure: how far refits lie from the served probability.

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
    lines = [f"{label} {_format_distance(rows[name])}" for name, label in names.items() if name in rows]
    return "\n".join(["Distance from served", *lines, f"n = {int(metrics['n'].max()):,}"])


def describe_instability(bins: pd.DataFrame, metrics: pd.DataFrame) -> str:
    """Describe the instability figure in a sentence, for readers who cannot see it.

    Parameters
    ----------
    bins, metrics : DataFrame
        As for :func:`plot_instability`.

    Returns
    -------
    str
    """
    widest = bins.iloc[int(np.argmax(bins["upper"] - bins["lower"]))]
    mean = _format_distance(metrics[metrics["metric"] == "instability_mean"].iloc[0])
    return (
        f"Prediction instability in {count_groups(len(bins))} of patients: {_count_refits(bins)} refits lie {mean} "
        f"from the served probability on average; they differ most where {widest['probability']:.2f} is served, 95 % "
        f"of them from {widest['lower']:.2f} to {widest['upper']:.2f}."
    )


def _count_refits(bins: pd.DataFrame) -> int:
    return int(bins["n_refits"].iloc[0])


def plot_tipping_point(sweep: pd.DataFrame, ax: Axes, *, basis: str, title: str = "") -> Axes:
    """Draw observed / expected against how different those lost to follow-up are, and where it crosses a limit.

    Parameters
    ----------
    sweep : DataFrame
        From :func:`paincast.evaluation.validation.delta_adjusted.compute_tipping_point`, with its default limits.
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
    ax.axvline(0, color=INK, linewidth=1, linestyle=DASHED, zorder=1)
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
    """Describe the figure of the tipping point in a sentence, for readers who cannot see it.

    Parameters
    ----------
    sweep : DataFrame
        As for :func:`plot_tipping_point`.

    Returns
    -------
    str
    """
    first, last = (sweep[~sweep["tips"]].iloc[number] for number in (0, -1))
    ratios, risks = (f"{first[name]:.2f} to {last[name]:.2f}" for name in ("o_e_ratio", "overall_risk"))
    crossings = [
        f"at a shift of {row['shift']:+.2f} (odds {row['odds_ratio']:.2g} times the predicted ones)"
        for _, row in sweep[sweep["tips"]].iterrows()
    ]
    limits = f"{O_E_LIMITS[0]:g} or {O_E_LIMITS[1]:g}"
    verdict = f"It crosses {limits} {' and '.join(crossings)}." if crossings else f"No shift takes it across {limits}."
    return (
        f"{int(first['n_lost'])} of {int(first['n'])} were lost to follow-up; as the log odds of their outcome shift "
        f"from {first['shift']:+g} to {last['shift']:+g}, overall risk goes from {risks} and observed / expected from "
        f"{ratios}. {verdict}"
    )


def _format_distance(row: Row | pd.Series) -> str:
    return format_estimate(row, digits=3, absent="not shown")


FOREST: Mapping[str, tuple[str, float, tuple[float, float]]] = {
    "o_e_ratio": ("Observed / expected", 1.0, (0.4, 2.5)),
    "calibration_slope": ("Calibration slope", 1.0, (-1.0, 3.0)),
    "auroc": ("AUROC", 0.5, (0.3, 1.0)),
}
"""Axes of the forest plot: title, the value of no difference, and the ends, beyond which arrows stand."""


def make_forest_axes(n_groups: int) -> list[Axes]:
    """Make the axes of a forest plot of a number of groups, side by side."""
    figure = make_figure(11.0, 2.0 + 0.32 * (max(n_groups, 2) + 2))
    return [figure.add_subplot(1, len(FOREST), column + 1) for column in range(len(FOREST))]


def plot_held_out(table: pd.DataFrame, axes: Sequence[Axes], *, basis: str, title: str = "") -> Axes:
    """Draw how the model of all other groups did in each: a forest of observed / expected, slope and AUROC [1]_.

    At the foot stand the mean of all with its confidence interval, and in grey where a new group is expected.

    Parameters
    ----------
    table : DataFrame
        From :func:`paincast.evaluation.groups.subgroups.compute_metrics_by_group` of held-out predictions, with the
        rows of
        :func:`paincast.evaluation.groups.subgroups.pool_groups` below.
    axes : sequence of matplotlib.axes.Axes
        Where to draw; see :func:`make_forest_axes`.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.axes.Axes
        The first of them.

    References
    ----------
    .. [1] Riley RD, et al. External validation of clinical prediction models using big datasets from e-health records
       or IPD meta-analysis. BMJ 2016;353:i3140. doi:10.1136/bmj.i3140
    """
    pooled = table["n_groups"].notna()
    for ax, (metric, (name, neutral, ends)) in zip(axes, FOREST.items(), strict=True):
        rows = table[(table["metric"] == metric) & ~pooled].to_dict("records")
        ax.axvline(neutral, color=INK, linewidth=1, linestyle=DASHED, zorder=1)
        for height, row in enumerate(rows):
            _draw_row(ax, height, row, ends)
        _draw_pooled(ax, len(rows) + 0.5, table[(table["metric"] == metric) & pooled].to_dict("records")[0], ends)
        labels = [_label_group(row) for row in rows] if ax is axes[0] else [""] * len(rows)
        foot = ["mean (grey: a new one)"] if ax is axes[0] else [""]
        ax.set_yticks([*range(len(rows)), len(rows) + 0.5], [*labels, *foot])
        ax.set_ylim(len(rows) + 1.2, -0.7)
        ax.set_xlim(*ends)
        if metric == "o_e_ratio":
            set_ratio_axis(ax, ends)
        ax.set_xlabel(name)
        finish_axes(ax, basis, title if ax is axes[0] else "", rows=True)
        _make_room(ax, marked=ax is axes[len(axes) // 2])
    return axes[0]


def _make_room(ax: Axes, *, marked: bool) -> None:
    """Keep the mark of what the model stands on in one of the axes; it is wider, and may lie over its neighbours."""
    ax.patch.set_visible(False)
    for text in list(ax.texts):
        if text.get_text() in BASIS_MARKS.values():
            text.set_in_layout(False)
            text.set_visible(marked)


def _label_group(row: Row) -> str:
    return f"{str(row['attribute']).removeprefix('procedure_')} {row['level']} ({format_n(row)})"


def _draw_row(ax: Axes, height: float, row: Row, ends: tuple[float, float]) -> None:
    if np.isfinite(row["estimate"]):
        draw_interval(ax, height, row, ends)
        return
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": FONT - 2, "color": "#666666"}
    ax.text(0.5, height, "not shown", transform=ax.get_yaxis_transform(), style="italic", **style)


def _draw_pooled(ax: Axes, height: float, row: Row, ends: tuple[float, float]) -> None:
    if not np.isfinite(row["estimate"]):
        return
    if np.isfinite(row["predicted_lower"]):
        expected = np.clip([row["predicted_lower"], row["predicted_upper"]], *ends)
        ax.plot(expected, [height, height], color=GREY, linewidth=8, solid_capstyle="butt", zorder=2)
    draw_interval(ax, height, row, ends, colour=ORANGE, marker="D", width=2.0)


def describe_held_out(table: pd.DataFrame) -> str:
    """Describe the forest in a sentence, for readers who cannot see it.

    Parameters
    ----------
    table : DataFrame
        As for :func:`plot_held_out`.

    Returns
    -------
    str
    """
    name = str(table["attribute"].iloc[0]).removeprefix("procedure_")
    averages = []
    for metric, (title, _, _) in FOREST.items():
        rows = table[table["metric"] == metric]
        pooled = rows[rows["n_groups"].notna()].iloc[0]
        new = "" if np.isnan(pooled["predicted_lower"]) else "; of a new one {:.2f} to {:.2f} is expected"
        new = new.format(pooled["predicted_lower"], pooled["predicted_upper"])
        averages.append(f"{title} {format_estimate(pooled, digits=2)} on average{new}")
    groups = table[(table["metric"] == "o_e_ratio") & table["n_groups"].isna()]
    n_shown = int(groups["estimate"].notna().sum())
    hidden = f"{len(groups) - n_shown} not shown" if n_shown < len(groups) else "all shown"
    learnt = "from the years before it" if name == "year" else f"by a model that had not seen the {name}"
    return f"{len(groups)} {name}s, {hidden}, each predicted {learnt}. {'. '.join(averages)}."
