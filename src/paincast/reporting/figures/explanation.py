"""Figures of the explanation of a model: importance with its doubt, and dependence beside evidence."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paincast.contract import BUILT_IN, Contract
from paincast.explain import DirectionVerdict, Explanation, ExplanationReview
from paincast.reporting.figures.axes import (
    BLUE,
    FONT,
    GREEN,
    GREY,
    INK,
    MOST_VARIABLES,
    ORANGE,
    Row,
    finish_axes,
    make_figure,
    mark_figure,
)
from paincast.schema import Column

FloatArray = npt.NDArray[np.float64]

VERDICT_STYLES: Mapping[str, tuple[str, str, str]] = {
    DirectionVerdict.AGREES: (GREEN, "o", "agrees with what is published"),
    DirectionVerdict.CONFLICTS: (ORANGE, "X", "conflicts with what is published"),
    DirectionVerdict.UNDECIDED: (BLUE, "D", "published, but no direction is sure"),
    DirectionVerdict.UNPUBLISHED: ("#777777", "s", "no published direction"),
}
ARROWS = {"more": (0.06, 0.28), "less": (0.28, 0.06)}
MOST_DOTS = 500
MOST_DEPENDENCE = 9
LINE_WIDTH = 40
TICKS = (0, 1, 3, 10, 30, 100, 300, 1000)
FINE_TICKS = (0, 1, 2, 3, 4, 6, 8, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)
FEWEST_TICKS = 3
_DOTS: dict[str, Any] = {"s": 5, "color": GREY, "alpha": 0.45, "linewidths": 0, "zorder": 1}


def plot_ranked_importance(
    review: ExplanationReview, ax: Axes, *, basis: str, title: str = "", unit: str = "log odds"
) -> Axes:
    """Draw the importance of each variable with its interval, the interval of its rank, and the verdict of evidence.

    Parameters
    ----------
    review : ExplanationReview
        Explanation of a model.
    ax : matplotlib.axes.Axes
        Where to draw.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    title : str
        Title of the figure.
    unit : str
        Of the contributions.

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows = review.importance.head(MOST_VARIABLES).to_dict("records")
    named: set[str] = set()
    for height, row in enumerate(rows):
        colour, marker, label = VERDICT_STYLES[row["verdict"]]
        ax.plot([row["lower"], row["upper"]], [height, height], color=colour, linewidth=1.6, zorder=3)
        style: dict[str, Any] = {"color": colour, "markersize": 7, "linestyle": "none", "zorder": 4}
        ax.plot(row["importance"], height, marker, label="" if label in named else label, **style)
        ax.text(1.02, height, _format_rank(row), transform=ax.get_yaxis_transform(), **_SIDE)
        named.add(label)
    ax.text(1.02, -1.0, "rank", transform=ax.get_yaxis_transform(), **{**_SIDE, "fontweight": "bold"})
    ax.set_yticks(range(len(rows)), [review.contract.label(str(row["variable"])) for row in rows])
    ax.set_ylim(max(len(rows), 1) - 0.4, -0.7)
    ax.set_xlim(0, max([float(row["upper"]) for row in rows], default=0.0) * 1.05 or 1.0)
    ax.set_xlabel(f"Mean size of the contribution ({unit}), with interval")
    ax.grid(axis="y", color="#EEEEEE", zorder=0)
    finish_axes(ax, basis, title, rows=True)
    if named:
        ax.figure.legend(
            loc="outside lower center", ncols=2, frameon=False, fontsize=FONT - 1.5, labelcolor=INK, handlelength=1.2
        )
    return ax


_SIDE: dict[str, Any] = {"va": "center", "fontsize": FONT - 2, "color": INK}


def _format_rank(row: Row) -> str:
    if row["rank_lower"] == row["rank_upper"]:
        return f"{row['rank']}"
    return f"{row['rank']} ({row['rank_lower']}–{row['rank_upper']})"


def describe_ranked_importance(review: ExplanationReview, *, unit: str = "log odds") -> str:
    """Describe which variables are foremost, how sure their order is, and what conflicts with evidence.

    Parameters
    ----------
    review : ExplanationReview
        Explanation of a model.
    unit : str
        Of the contributions.

    Returns
    -------
    str
    """
    used = review.importance[review.importance["importance"] > 0]
    if used.empty:
        return "Contributions: no variable moves the prediction; every patient gets the same answer."
    foremost = [
        f"{review.contract.label(str(row['variable']))} ({row['importance']:.2g}, rank {row['rank_lower']} to "
        f"{row['rank_upper']})"
        for row in used.head(3).to_dict("records")
    ]
    doubt = "" if review.n_refits else " The model has no refits: intervals and directions ignore its uncertainty."
    return f"Mean size of the contribution ({unit}): {', '.join(foremost)}.{doubt} {describe_verdicts(review)}"


def describe_verdicts(review: ExplanationReview) -> str:
    """Describe how many directions agree with the evidence, which conflict, and which the model does not see."""
    count = review.importance["verdict"].value_counts()
    agree, undecided = (
        int(count.get(verdict.value, 0)) for verdict in (DirectionVerdict.AGREES, DirectionVerdict.UNDECIDED)
    )
    conflicts = [
        f"{review.contract.label(str(row['variable']))} (published: {row['evidence_direction']}; learned: "
        f"{row['learned_direction']}; evidence {row['evidence_strength']})"
        for row in review.conflicts.to_dict("records")
    ]
    n_published = len(conflicts) + agree + undecided
    unseen = ", ".join(review.contract.label(name) for name in review.unseen)
    absent = f" Published, but not seen by the model: {unseen}." if unseen else ""
    if not n_published:
        return f"None of the variables has a published direction for this outcome.{absent}"
    guided = (
        " They helped to make the model or its patients, so agreement confirms nothing."
        if review.guided and agree
        else ""
    )
    return (
        f"Of {n_published} variables with a published direction, {agree} agree with it, {len(conflicts)} conflict and "
        f"{undecided} are undecided in direction.{guided} Conflicts: {'; '.join(conflicts) or 'none'}.{absent}"
    )


def plot_dependence(
    groups: pd.DataFrame,
    judged: Row,
    ax: Axes,
    *,
    dots: tuple[pd.Series, pd.Series] | None = None,
    contract: Contract = BUILT_IN,
) -> Axes:
    """Draw the contribution of one variable over its values, with the published direction as an arrow.

    Of a category the levels with a published direction are marked by triangles.

    Parameters
    ----------
    groups : DataFrame
        Rows of :func:`paincast.explain.compute_dependence` of the variable.
    judged : mapping
        Its row of ``importance`` in :class:`paincast.explain.ExplanationReview`.
    ax : matplotlib.axes.Axes
        Where to draw.
    dots : tuple of Series, optional
        Values and contributions of simulated patients, drawn as dots behind numbers.
    contract : Contract
        Declares the variable.

    Returns
    -------
    matplotlib.axes.Axes
    """
    name = str(judged["variable"])
    numbers = groups[groups["group"] == "number"]
    ax.axhline(0, color=INK, linewidth=0.8, zorder=1)
    if len(numbers):
        _draw_numbers(ax, contract.episodes.get(name), groups, numbers, dots)
    elif len(groups):
        _draw_levels(ax, groups)
    else:
        ax.text(0.5, 0.5, "groups too small to show", transform=ax.transAxes, ha="center", color="#666666")
        ax.set_xticks([])
    _mark_direction(ax, judged)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=FONT - 2, colors=INK)
    label, unit = contract.label(name), contract.episodes[name].unit if name in contract.episodes else None
    ax.set_xlabel(f"{label} ({unit})" if unit else label, fontsize=FONT - 1, color=INK)
    return ax


def _draw_numbers(
    ax: Axes,
    column: Column | None,
    groups: pd.DataFrame,
    numbers: pd.DataFrame,
    dots: tuple[pd.Series, pd.Series] | None,
) -> None:
    log_scale = column is not None and column.log_scale
    if dots is not None:
        ax.scatter(dots[0].astype(float).to_numpy(float, na_value=np.nan), dots[1].to_numpy(float), **_DOTS)
    ax.fill_between(numbers["value"], numbers["lower"], numbers["upper"], color=BLUE, alpha=0.18, linewidth=0, zorder=2)
    ax.plot(numbers["value"], numbers["contribution"], "o-", color=BLUE, markersize=5, linewidth=1.6, zorder=3)
    if log_scale:
        ax.set_xscale("function", functions=(_scale_slowly, np.expm1))
        left, right = max(0.0, 0.8 * float(numbers["value"].min()) - 0.3), ax.get_xlim()[1]
        coarse, fine = ([tick for tick in ticks if left <= tick <= right] for ticks in (TICKS, FINE_TICKS))
        ax.set_xticks(coarse if len(coarse) >= FEWEST_TICKS else fine)
        ax.set_xlim(left, right)
    for row in groups[groups["group"] == "missing"].to_dict("records"):
        ax.axhline(row["contribution"], color="#777777", linewidth=1.1, linestyle=(0, (2, 2)), zorder=2)
        ax.text(
            0.99, row["contribution"], "missing", transform=ax.get_yaxis_transform(), ha="right", va="bottom",
            fontsize=FONT - 3, color="#666666",
        )  # fmt: skip


def _scale_slowly(values: FloatArray) -> FloatArray:
    return np.asarray(np.log1p(np.maximum(values, 0.0)))


def _draw_levels(ax: Axes, groups: pd.DataFrame) -> None:
    places = np.arange(len(groups))
    errors = np.abs(groups[["lower", "upper"]].to_numpy(float).T - groups["contribution"].to_numpy(float))
    ax.errorbar(
        places,
        groups["contribution"],
        yerr=np.nan_to_num(errors),
        fmt="o",
        color=BLUE,
        markersize=6,
        capsize=3,
        zorder=3,
    )
    names = [str(name).replace("_", " ") for name in groups["group"]]
    tilt = {"rotation": 25, "ha": "right"} if max(map(len, names)) * len(names) > 24 else {}
    ax.set_xticks(places, names, **tilt)  # type: ignore[arg-type]
    ax.set_xlim(-0.6, len(groups) - 0.4)


def _mark_direction(ax: Axes, judged: Row) -> None:
    """Write evidence and verdict above the axes, and draw the published direction as an arrow in its corner."""
    colour = VERDICT_STYLES[judged["verdict"]][0]
    published = str(judged["evidence_direction"])
    title = "no published direction"
    if published:
        learned = "" if judged["verdict"] == DirectionVerdict.AGREES else f" (learned: {judged['learned_direction']})"
        lines = (f"published: {published}", f"{judged['verdict']}{learned}")
        title = "\n".join(fill(line.replace("_", " "), LINE_WIDTH) for line in lines)
    ax.set_title(title, fontsize=FONT - 2, color=colour, loc="left", pad=6)
    if published in ARROWS:
        begin, end = ARROWS[published]
        ax.annotate(
            "", xy=(0.24, end), xytext=(0.04, begin), xycoords="axes fraction", textcoords="axes fraction",
            arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 2.2, "mutation_scale": 15}, zorder=5,
        )  # fmt: skip
    for column, label in enumerate(ax.get_xticklabels()):
        for level, marker in _MARKERS.items():
            if f"{label.get_text()}: {level}" in published.replace("_", " ").split("; "):
                ax.plot(column, 0.06, marker, color=colour, markersize=9, transform=ax.get_xaxis_transform(), zorder=5)


_MARKERS = {"more": "^", "less": "v"}


def draw_dependence(
    review: ExplanationReview,
    *,
    basis: str,
    explanation: Explanation | None = None,
    unit: str = "log odds",
    title: str = "",
) -> Figure:
    """Draw the dependence of the foremost variables, and of those that conflict with evidence, as small multiples.

    Parameters
    ----------
    review : ExplanationReview
        Explanation of a model.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    explanation : Explanation, optional
        Of simulated patients, who are drawn as dots; of real ones groups alone are drawn and nothing may be given.
    unit : str
        Of the contributions.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = set(review.dependence["variable"])
    rows = [row for row in review.importance.to_dict("records") if row["variable"] in shown]
    # What conflicts is a finding, and is not pushed out by what is merely important.
    rows = sorted(rows, key=lambda row: row["verdict"] != DirectionVerdict.CONFLICTS.value)[:MOST_DEPENDENCE]
    columns = min(3, max(len(rows), 1))
    lines = -(-max(len(rows), 1) // columns)
    figure = make_figure(3.5 * columns + 0.4, 3.3 * lines + 0.5)
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    thinned = np.arange(len(explanation.base))[:: max(1, len(explanation.base) // MOST_DOTS)] if explanation else None
    for row, ax in zip(rows, axes, strict=False):
        name = row["variable"]
        dots = None
        if explanation is not None and thinned is not None:
            dots = (explanation.values[name].iloc[thinned], explanation.contributions[name].iloc[thinned])
        plot_dependence(
            review.dependence[review.dependence["variable"] == name], row, ax, dots=dots, contract=review.contract
        )
    for ax in axes[len(rows) :]:
        ax.set_axis_off()
    figure.supylabel(f"Contribution ({unit})", fontsize=FONT, color=INK)
    figure.suptitle(title, fontsize=FONT + 1)
    mark_figure(figure, basis)
    return figure


def describe_dependence(review: ExplanationReview, *, unit: str = "log odds") -> str:
    """Describe between which ends the mean contribution of each of the foremost variables goes, and its verdict.

    Parameters
    ----------
    review : ExplanationReview
        Explanation of a model.
    unit : str
        Of the contributions.

    Returns
    -------
    str
    """
    verdicts = review.importance.set_index("variable")["verdict"]
    spans = []
    for name, groups in review.dependence.groupby("variable", sort=False):
        ordered = groups.sort_values("contribution").to_dict("records")
        low, high = ordered[0], ordered[-1]
        span = f"{low['contribution']:+.2f} at {_name_group(low)} to {high['contribution']:+.2f} at {_name_group(high)}"
        spans.append(f"{review.contract.label(str(name))} {span} ({verdicts[name]})")
    if not spans:
        return "Dependence: no group of patients is large enough to show."
    return f"Mean contribution ({unit}) by value: {'; '.join(spans)}."


def _name_group(row: Row) -> str:
    return f"{row['value']:.3g}" if row["group"] == "number" else str(row["group"]).replace("_", " ")
