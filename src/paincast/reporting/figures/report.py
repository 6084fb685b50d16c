"""The figures of one model's report, declared once: name, data, drawing, and a sentence for those who cannot see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paincast.contract import Contract
from paincast.explain import Explanation, ExplanationReview, compute_importance
from paincast.gates.elsewhere import HELD_OUT_SITES, HELD_OUT_YEARS
from paincast.reporting.figures.axes import MOST_VARIABLES, figure_of, make_axes
from paincast.reporting.figures.contributions import describe_contributions, plot_contributions
from paincast.reporting.figures.explanation import (
    describe_dependence,
    describe_ranked_importance,
    draw_dependence,
    plot_ranked_importance,
)
from paincast.reporting.figures.performance import describe_calibration, plot_calibration
from paincast.reporting.figures.review import (
    describe_decision_curve,
    describe_groups,
    make_group_axes,
    plot_decision_curve,
    plot_groups,
    select_ratios,
)
from paincast.reporting.figures.robustness import (
    describe_held_out,
    describe_instability,
    describe_tipping_point,
    make_forest_axes,
    plot_held_out,
    plot_instability,
    plot_tipping_point,
)
from paincast.reporting.figures.waterfall import compute_quintile, describe_waterfall, plot_waterfall


@dataclass(frozen=True, kw_only=True)
class Results:
    """What the figures of a model are drawn from.

    Parameters
    ----------
    explanation : Explanation or None
        Contributions over the training cohort; None where they are not drawn.
    basis : {"synthetic", "real", "blended"}
        What the model stands on.
    simulated : bool
        Whether all patients are simulated. Of real patients groups alone are drawn.
    tables : mapping of str to DataFrame
        By name, where known: ``metrics, calibration_curve, histogram, calibration_flexible, decision_curve,
        expected_response, subgroups, sites, years, pooled, held_out_site, held_out_year, instability,
        instability_bins, tipping_point``.
    review : ExplanationReview, optional
        From :func:`paincast.explain.review_explanation`.
    """

    explanation: Explanation | None
    basis: str
    simulated: bool
    tables: Mapping[str, pd.DataFrame]
    review: ExplanationReview | None = None

    @property
    def unit(self) -> str:
        """Give the unit of contributions in words."""
        return "" if self.explanation is None else self.explanation.unit.replace("_", " ")


class Picture(NamedTuple):
    """A figure and what it shows, in a sentence."""

    figure: Figure
    caption: str


class ReportFigure(NamedTuple):
    """The declaration of a figure of the report.

    Parameters
    ----------
    name : str
        Folder and file it is kept as; the folder is the section of the report.
    title : str
        Title of the figure.
    compute : callable
        From :class:`Results` to the data that are drawn, or None where there are none.
    plot : callable
        From these data, ``basis`` and ``title`` to axes or a figure.
    describe : callable
        From these data to a sentence.
    """

    name: str
    title: str
    compute: Callable[[Results], tuple[Any, ...] | None]
    plot: Callable[..., Axes | Figure]
    describe: Callable[..., str]


def draw_figures(results: Results, figures: Sequence[ReportFigure] | None = None) -> dict[str, Picture]:
    """Draw the figures of one model that there are data for, by the name they are kept under.

    Parameters
    ----------
    results : Results
        What is drawn.
    figures : sequence of ReportFigure, optional
        What may be drawn, in order; by default :data:`FIGURES`.

    Returns
    -------
    dict of str to Picture
        In that order.
    """
    pictures = {}
    for name, title, compute, plot, describe in FIGURES if figures is None else figures:
        data = compute(results)
        if data is not None:
            drawn = plot(*data, basis=results.basis, title=title)
            figure = figure_of(drawn) if isinstance(drawn, Axes) else drawn
            pictures[name] = Picture(figure, describe(*data))
    return pictures


def _select(results: Results, *names: str) -> tuple[Any, ...] | None:
    """Give tables of which the first is required."""
    first = results.tables.get(names[0])
    return None if first is None else tuple(results.tables.get(name) for name in names)


def _plot_calibration(
    curve: pd.DataFrame,
    metrics: pd.DataFrame,
    histogram: pd.DataFrame | None,
    flexible: pd.DataFrame | None,
    **style: str,
) -> Axes:
    return plot_calibration(curve, metrics, make_axes(), histogram=histogram, flexible=flexible, **style)


def _plot_decision_curve(table: pd.DataFrame, expected: pd.DataFrame | None, **style: str) -> Axes:
    return plot_decision_curve(table, make_axes(8.8, 5.2), expected=expected, **style)


def _plot_held_out(table: pd.DataFrame, **style: str) -> Axes:
    axes = make_forest_axes(table.loc[table["n_groups"].isna(), "level"].nunique())
    return plot_held_out(table, axes, **style)


def _compute_instability(results: Results) -> tuple[Any, ...] | None:
    bins = results.tables.get("instability_bins")
    return None if bins is None or bins.empty else (bins, results.tables["instability"])


def _plot_instability(bins: pd.DataFrame, metrics: pd.DataFrame, **style: str) -> Axes:
    return plot_instability(bins, metrics, make_axes(9.2, 6.0), **style)


def _compute_tipping_point(results: Results) -> tuple[Any, ...] | None:
    sweep = results.tables.get("tipping_point")
    return None if sweep is None or sweep.empty or not sweep["n_lost"].iloc[0] else (sweep,)


def _plot_tipping_point(sweep: pd.DataFrame, **style: str) -> Axes:
    return plot_tipping_point(sweep, make_axes(8.8, 5.2), **style)


def _compute_importance(results: Results) -> tuple[Any, ...] | None:
    return None if results.review is None else (results.review, results.unit)


def _plot_importance(review: ExplanationReview, unit: str, **style: str) -> Axes:
    ax = make_axes(8.8, 2.4 + 0.36 * min(len(review.importance), MOST_VARIABLES))
    return plot_ranked_importance(review, ax, unit=unit, **style)


def _compute_contributions(results: Results) -> tuple[Any, ...] | None:
    explanation = results.explanation
    if explanation is None:
        return None
    sizes = compute_importance(explanation).set_index("variable")[f"mean_absolute_{explanation.unit}"]
    return explanation, sizes, results.unit, results.simulated


def _plot_contributions(explanation: Explanation, sizes: pd.Series, unit: str, simulated: bool, **style: str) -> Axes:
    ax = make_axes(9.5, 1.8 + 0.36 * min(len(sizes), MOST_VARIABLES))
    return plot_contributions(explanation, ax, unit=unit, simulated=simulated, **style)


def _describe_contributions(explanation: Explanation, sizes: pd.Series, unit: str, _simulated: bool) -> str:
    strongest = describe_contributions(sizes, unit=unit, contract=explanation.contract)
    return f"{strongest} Direction by the value of the variable."


def _compute_dependence(results: Results) -> tuple[Any, ...] | None:
    if results.review is None or results.review.dependence.empty:
        return None
    return results.review, results.explanation if results.simulated else None, results.unit


def _plot_dependence(
    review: ExplanationReview, explanation: Explanation | None, unit: str, *, basis: str, title: str
) -> Figure:
    return draw_dependence(review, basis=basis, explanation=explanation, unit=unit, title=title)


def _describe_dependence(review: ExplanationReview, _explanation: Explanation | None, unit: str) -> str:
    return describe_dependence(review, unit=unit)


def _compute_quintile(results: Results, *, highest: bool) -> tuple[Any, ...] | None:
    if results.review is None or results.explanation is None:
        return None
    steps = compute_quintile(results.explanation, highest=highest)
    explanation = results.explanation
    return None if steps is None else (steps, explanation.unit, explanation.contract)


def _plot_quintile(steps: pd.DataFrame, unit: str, contract: Contract, **style: str) -> Axes:
    return plot_waterfall(steps, make_axes(8.8, 5.4), unit=unit, contract=contract, **style)


def _describe_quintile(steps: pd.DataFrame, unit: str, contract: Contract, *, title: str) -> str:
    return f"{title}. {describe_waterfall(steps, unit=unit, contract=contract)}"


def _compute_groups(results: Results, *, name: str) -> tuple[Any, ...] | None:
    table = results.tables.get(name)
    if table is None:
        return None
    rows = results.tables["pooled"].to_dict("records") if name != "subgroups" and "pooled" in results.tables else []
    attribute = table["attribute"].iloc[0]
    pooled = next((row for row in rows if (row["attribute"], row["metric"]) == (attribute, "o_e_ratio")), None)
    return table, pooled, name


def _plot_groups(table: pd.DataFrame, pooled: Mapping[Any, Any] | None, _name: str, **style: str) -> Axes:
    ax = make_group_axes(len(select_ratios(table)) + bool(pooled))
    return plot_groups(table, ax, pooled=pooled, **style)


def _describe_groups(table: pd.DataFrame, _pooled: Mapping[Any, Any] | None, name: str) -> str:
    return describe_groups(table, of=name)


LOWEST, HIGHEST = (f"Mean of the quintile with the {end} predictions" for end in ("lowest", "highest"))

FIGURES = (
    ReportFigure(
        "calibration/calibration",
        "Calibration, out of fold",
        lambda results: _select(results, "calibration_curve", "metrics", "histogram", "calibration_flexible"),
        _plot_calibration,
        lambda curve, metrics, *_: describe_calibration(curve, metrics),
    ),
    ReportFigure(
        f"validation/{HELD_OUT_SITES}",
        "Sites held out in turn",
        lambda results: _select(results, HELD_OUT_SITES),
        _plot_held_out,
        describe_held_out,
    ),
    ReportFigure(
        f"validation/{HELD_OUT_YEARS}",
        "Years predicted from the past",
        lambda results: _select(results, HELD_OUT_YEARS),
        _plot_held_out,
        describe_held_out,
    ),
    ReportFigure(
        "benefit/decision_curve",
        "Decision curve, out of fold",
        lambda results: _select(results, "decision_curve", "expected_response"),
        _plot_decision_curve,
        describe_decision_curve,
    ),
    ReportFigure(
        "uncertainty/instability",
        "Prediction instability",
        _compute_instability,
        _plot_instability,
        describe_instability,
    ),
    ReportFigure(
        "uncertainty/tipping_point",
        "What if those lost to follow-up had done differently",
        _compute_tipping_point,
        _plot_tipping_point,
        describe_tipping_point,
    ),
    ReportFigure(
        "explanation/shap_importance",
        "What moves the prediction",
        _compute_importance,
        _plot_importance,
        lambda review, unit: describe_ranked_importance(review, unit=unit),
    ),
    ReportFigure(
        "explanation/shap_contributions",
        "How each variable moves the prediction",
        _compute_contributions,
        _plot_contributions,
        _describe_contributions,
    ),
    ReportFigure(
        "explanation/shap_dependence",
        "How the contribution depends on the value; arrows and triangles: published direction",
        _compute_dependence,
        _plot_dependence,
        _describe_dependence,
    ),
    ReportFigure(
        "explanation/shap_low",
        LOWEST,
        partial(_compute_quintile, highest=False),
        _plot_quintile,
        partial(_describe_quintile, title=LOWEST),
    ),
    ReportFigure(
        "explanation/shap_high",
        HIGHEST,
        partial(_compute_quintile, highest=True),
        _plot_quintile,
        partial(_describe_quintile, title=HIGHEST),
    ),
    *(
        ReportFigure(
            f"subgroups/{name}",
            f"Observed / expected by {name}, out of fold",
            partial(_compute_groups, name=name),
            _plot_groups,
            _describe_groups,
        )
        for name in ("subgroups", "sites", "years")
    ),
)
"""In the order of the report: a further figure is a further line."""
