"""Figures of a simulated cohort beside its evidence: small axes that stay readable on a telephone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from paincast.contract import BUILT_IN
from paincast.reporting.figures.axes import BLUE, DASHED, GREEN, GREY, INK, ORANGE, make_axes

SMALL = (4.2, 3.2)
NEGATIVE_TO_POSITIVE = LinearSegmentedColormap.from_list("negative_to_positive", [ORANGE, "white", BLUE])
MONTH_TICKS = (0.5, 1, 3, 6, 12, 24, 60)
FONT = 9.5


def plot_response(response: pd.DataFrame, published: pd.DataFrame, title: str) -> Axes:
    """Draw one record's response curve: evidence, truth, what a registry sees, and the published points.

    Parameters
    ----------
    response : DataFrame
        Rows of one record, from :func:`paincast.evaluation.simulated.course.compute_response`.
    published : DataFrame
        Rows of one record, from :func:`paincast.evaluation.simulated.course.list_published`.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = make_axes(*SMALL)
    shown = published[published["month"] <= max(MONTH_TICKS)]
    at = np.maximum(shown["month"].to_numpy(dtype=float), MONTH_TICKS[0])
    ax.scatter(at, shown["share"], marker="D", s=22, facecolor="none", edgecolor="#8A8A8A", zorder=2)
    ax.vlines(at, shown["lower"], shown["upper"], color="#8A8A8A", linewidth=0.9, zorder=2)
    ax.plot(response["month"], response["evidence"], color=INK, linewidth=1.5, zorder=3)
    ax.plot(response["month"], response["control"], color=GREEN, linewidth=1.3, linestyle=(0, (4, 2)), zorder=3)
    ax.plot(response["month"], response["truth"], "o", mfc="white", mec=BLUE, ms=7, mew=1.4, zorder=4)
    errors = np.abs(response[["lower", "upper"]].to_numpy().T - response["observed"].to_numpy())
    ax.errorbar(response["month"] * 1.06, response["observed"], yerr=errors, fmt="o", color=ORANGE, ms=3.5, zorder=5)
    _set_months(ax)
    ax.set(ylim=(0, 1), ylabel="Share responding")
    return _finish(ax, title)


def draw_response_key() -> Axes:
    """Draw what the marks of the response panels mean."""
    ax = make_axes(4.2, 1.55)
    marks: list[Any] = [
        ax.plot([], [], color=INK, linewidth=1.5)[0],
        ax.plot([], [], "o", mfc="white", mec=BLUE, ms=7, mew=1.4)[0],
        ax.errorbar([np.nan], [np.nan], yerr=[1.0], fmt="o", color=ORANGE, ms=4),
        ax.plot([], [], color=GREEN, linewidth=1.3, linestyle=(0, (4, 2)))[0],
        ax.scatter([], [], marker="D", s=22, facecolor="none", edgecolor="#8A8A8A"),
    ]
    labels = [
        "evidence curve of the scenario",
        "truth: mean probability of those treated",
        "seen by the registry, 95 % interval",
        "truth without the procedure",
        "published rates, all definitions",
    ]
    ax.legend(marks, labels, loc="center left", frameon=False, fontsize=FONT + 0.5)
    ax.set_axis_off()
    return ax


def plot_differences(marginals: pd.DataFrame, title: str) -> Axes:
    """Draw how far each column of a technique lies from its evidence, in standard deviations; a dot is a record.

    Parameters
    ----------
    marginals : DataFrame
        Rows of one technique, from :func:`paincast.evaluation.simulated.baseline.compute_marginals`.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    columns = list(dict.fromkeys(marginals["column"]))[::-1]
    ax = make_axes(4.2, 1.2 + 0.19 * len(columns))
    ax.axvspan(-0.1, 0.1, color="#EEF3F7", zorder=0)
    ax.axvline(0, color=INK, linewidth=0.8, zorder=1)
    heights = marginals["column"].map({name: row for row, name in enumerate(columns)})
    ax.scatter(marginals["difference"], heights, s=20, color=BLUE, alpha=0.75, linewidths=0, zorder=3)
    ax.set_yticks(range(len(columns)), [BUILT_IN.label(name) for name in columns])
    ax.set_ylim(-0.7, len(columns) - 0.3)
    widest = max(0.6, float(marginals["difference"].abs().max()) * 1.1)
    ax.set(xlim=(-widest, widest), xlabel="Difference from evidence (SD)")
    ax.grid(axis="y", color="#EEEEEE", zorder=0)
    return _finish(ax, title)


def plot_correlations(matrix: pd.DataFrame, documented: pd.DataFrame) -> Axes:
    """Draw correlations as a heat map: those of the cohort above the diagonal, the documented ones below.

    Parameters
    ----------
    matrix : DataFrame of shape (k, k)
        From :func:`paincast.evaluation.simulated.baseline.compute_correlations`.
    documented : DataFrame
        What was set, with at least the same columns; missing where nothing was.

    Returns
    -------
    matplotlib.axes.Axes
    """
    names = list(matrix.index)
    both = np.where(np.triu(np.ones(matrix.shape), 1) > 0, matrix, documented.reindex(index=names, columns=names))
    np.fill_diagonal(both, np.nan)
    size = 2.6 + 0.27 * len(names)
    ax = make_axes(size + 0.6, size)
    ax.set_facecolor("#F2F2F2")
    image = ax.imshow(both, cmap=NEGATIVE_TO_POSITIVE, vmin=-0.8, vmax=0.8)
    labels = [BUILT_IN.label(name) for name in names]
    ax.set_xticks(range(len(names)), labels, rotation=90)
    ax.set_yticks(range(len(names)), labels)
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.03, pad=0.02, shrink=0.7)
    bar.set_label("Above: cohort; below: as set", fontsize=FONT)
    bar.outline.set_visible(False)
    return _finish(ax, "")


def plot_overlap(overlap: pd.DataFrame, title: str) -> Axes:
    """Draw the propensity of one option: those who received it upwards, the others downwards.

    Parameters
    ----------
    overlap : DataFrame
        Rows of one indication and option, from :func:`paincast.evaluation.simulated.baseline.compute_overlap`.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = make_axes(4.2, 2.5)
    for received, colour, sign, name in ((True, BLUE, 1, "received it"), (False, ORANGE, -1, "received another")):
        rows = overlap[overlap["received"] == received]
        label = f"{name} (n = {int(rows['n'].iloc[0]):,})"
        width = (rows["upper"] - rows["lower"]).to_numpy()
        ax.bar(rows["lower"], sign * rows["share"], width, align="edge", color=colour, alpha=0.85, label=label)
    ax.axhline(0, color=INK, linewidth=0.8)
    top = float(overlap["share"].max()) * 1.15
    ax.set(xlim=(0, 1), ylim=(-top, 1.7 * top), xlabel="Probability of receiving it", ylabel="Share of group")
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0%}")
    ax.legend(frameon=False, fontsize=FONT - 1, loc="upper right")
    return _finish(ax, title)


def plot_missingness(missingness: pd.DataFrame) -> Axes:
    """Draw the share of values missing in each column, with the range over techniques and indications.

    Parameters
    ----------
    missingness : DataFrame
        From :func:`paincast.evaluation.simulated.baseline.compute_missingness`.

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows = missingness[::-1]
    ax = make_axes(4.2, 1.0 + 0.19 * max(len(rows), 1))
    ax.barh([BUILT_IN.label(name) for name in rows["column"]], rows["missing"], color=BLUE, height=0.65, alpha=0.85)
    ax.hlines(range(len(rows)), rows["least"], rows["most"], color=INK, linewidth=1.1)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.set_xlabel("Missing (line: range over groups)")
    ax.margins(y=0.01)
    return _finish(ax, "")


def plot_follow_up(follow_up: pd.DataFrame, title: str) -> Axes:
    """Draw how many episodes of a technique still have a pain score at each month; a line is a record.

    Parameters
    ----------
    follow_up : DataFrame
        Rows of one technique, from :func:`paincast.evaluation.simulated.course.compute_follow_up`.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = make_axes(4.2, 2.6)
    for _, rows in follow_up.groupby("record", sort=False):
        ax.plot(rows["month"], rows["held"], "o-", color=BLUE, ms=4, linewidth=1.2, alpha=0.8)
        if rows["alive"].min() < 1:
            ax.plot(rows["month"], rows["alive"], color=INK, linewidth=1, linestyle=(0, (4, 2)))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    _set_months(ax)
    ax.set(ylim=(0, 1.02), ylabel="Share with a pain score")
    return _finish(ax, title)


def plot_ceilings(ceilings: pd.DataFrame) -> Axes:
    """Draw the highest AUROC that can be expected for each technique.

    Parameters
    ----------
    ceilings : DataFrame
        From :func:`paincast.evaluation.simulated.course.compute_ceilings`, with techniques named for reading.

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows = ceilings[::-1]
    ax = make_axes(4.2, 1.1 + 0.4 * max(len(rows), 1))
    ax.axvline(0.5, color=INK, linewidth=0.8, linestyle=DASHED)
    errors = 1.96 * rows["standard_error"]
    ax.hlines(range(len(rows)), rows["least"] - 0.002, rows["most"] + 0.002, color=GREY, linewidth=6, zorder=1)
    names = [f"{name}\nat month {month:g}" for name, month in zip(rows["technique"], rows["month"], strict=True)]
    ax.errorbar(rows["ceiling"], names, xerr=errors, fmt="o", color=BLUE, ms=6, capsize=3, elinewidth=1.2)
    for row, value in enumerate(rows["ceiling"]):
        ax.annotate(
            f"{value:.2f}", (value, row), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=FONT - 1
        )
    ax.set(xlim=(0.48, 0.86), xlabel="AUROC (grey: by records)")
    ax.margins(y=0.08)
    return _finish(ax, "")


def plot_rates(rates: pd.DataFrame, title: str, label: str) -> Axes:
    """Draw shares with their intervals against what was set.

    Parameters
    ----------
    rates : DataFrame
        ``name``, ``observed`` with ``lower`` and ``upper`` limit, and the setting from ``least`` to ``most``.
    title, label : str
        Title of the figure, and what the shares are shares of.

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows = rates[::-1].reset_index(drop=True)
    lines = 1 + rows["name"].str.contains("\n").max() if len(rows) else 1
    ax = make_axes(4.2, 1.1 + (0.12 + 0.16 * lines) * max(len(rows), 1))
    ax.hlines(rows.index, rows["least"], rows["most"], color=GREY, linewidth=5, zorder=1)
    ax.plot((rows["least"] + rows["most"]) / 2, rows.index, "|", color=INK, ms=9, zorder=2)
    errors = np.abs(rows[["lower", "upper"]].to_numpy().T - rows["observed"].to_numpy())
    ax.errorbar(rows["observed"], rows.index, xerr=errors, fmt="o", color=BLUE, ms=4.5, elinewidth=1.2, zorder=3)
    ax.set_yticks(rows.index, rows["name"])
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    ax.set_xlim(left=0)
    ax.set_xlabel(label)
    ax.margins(y=0.08)
    return _finish(ax, title)


def plot_funnel(funnel: pd.DataFrame, title: str) -> Axes:
    """Draw the response of those treated, and that of all who were referred: who does not go on does not respond.

    Parameters
    ----------
    funnel : DataFrame
        ``name``, ``response_per_treated`` and ``response_intention_to_treat``.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows = funnel[::-1].reset_index(drop=True)
    ax = make_axes(4.2, 1.6 + 0.44 * max(len(rows), 1))
    ax.hlines(rows.index, rows["response_intention_to_treat"], rows["response_per_treated"], color=GREY, linewidth=2)
    ax.plot(rows["response_per_treated"], rows.index, "o", color=BLUE, ms=6, label="per treated")
    ax.plot(rows["response_intention_to_treat"], rows.index, "s", color=ORANGE, ms=5, label="of all referred")
    ax.set_yticks(rows.index, rows["name"])
    ax.set(xlim=(0, 1), xlabel="Share responding", ylim=(-0.7, len(rows) + 0.6))
    ax.legend(frameon=False, fontsize=FONT - 1, loc="upper left", borderaxespad=0)
    return _finish(ax, title)


def _set_months(ax: Axes) -> None:
    ax.set_xscale("log")
    ax.set_xticks(MONTH_TICKS, [f"{month:g}" for month in MONTH_TICKS])
    ax.minorticks_off()
    ax.set(xlim=(0.42, 75), xlabel="Months after the procedure")


def _finish(ax: Axes, title: str) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=FONT - 0.5, colors=INK)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(size=FONT, color=INK)
    if title:
        # Above the whole panel, because beside long labels the axes alone are too narrow for it.
        ax.figure.suptitle(title, x=0.01, ha="left", fontsize=FONT + 0.5, color=INK)
    return ax
