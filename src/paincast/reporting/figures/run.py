"""The pictures of one model, each with a sentence for those who cannot see it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paincast.explain import Explanation, ExplanationReview, compute_importance
from paincast.reporting.figures.explanation import draw_explanation
from paincast.reporting.figures.performance import (
    MOST_VARIABLES,
    describe_calibration,
    describe_importance,
    make_axes,
    plot_calibration,
    plot_contributions,
    plot_importance,
)
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
from paincast.reporting.model.run_facts import HELD_OUT_SITES, HELD_OUT_YEARS

CALIBRATION = "calibration/calibration"


class Picture(NamedTuple):
    """A figure and what it shows, in a sentence."""

    figure: Figure
    caption: str


class MeasuredInstability(Protocol):
    """Instability as it is drawn: its metrics, and means over groups of patients."""

    @property
    def metrics(self) -> pd.DataFrame: ...  # noqa: D102

    @property
    def bins(self) -> pd.DataFrame: ...  # noqa: D102


def draw_pictures(
    curve: pd.DataFrame | None,
    metrics: pd.DataFrame,
    explanation: Explanation,
    histogram: pd.DataFrame | None,
    basis: str,
    *,
    simulated: bool | None = None,
    review: ExplanationReview | None = None,
    instability: MeasuredInstability | None = None,
    tipping_point: pd.DataFrame | None = None,
    tables: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> dict[str, Picture]:
    """Draw the figures of one model, named by the folder they are kept in.

    Parameters
    ----------
    curve, metrics : DataFrame
        Out-of-fold calibration curve and metrics; without a curve, as of a number, calibration is not drawn.
    explanation : Explanation
        Contributions over the training cohort.
    histogram : DataFrame or None
        Out-of-fold predictions, counted in bars that hold nobody or at least five patients.
    basis : {"synthetic", "real", "blended"}
        What the model stands on.
    simulated : bool, optional
        Whether the patients are simulated; by default those of a synthetic model are.
    review : ExplanationReview, optional
        From :func:`paincast.explain.review_explanation`.
    instability : MeasuredInstability, optional
        From :func:`paincast.training.instability.measure_instability`.
    tipping_point : DataFrame, optional
        From :func:`paincast.evaluation.validation.tipping.compute_tipping_point`.
    tables : mapping of str to DataFrame
        ``calibration_flexible``, ``decision_curve``, ``expected_response``, ``subgroups``, ``sites``, ``years``,
        ``pooled``, ``held_out_site`` and ``held_out_year``, where known.

    Returns
    -------
    dict of str to Picture
        ``calibration/calibration`` where there is a curve, ``benefit/decision_curve``, ``subgroups/`` of subgroups,
        sites and years, ``explanation/shap_importance`` and ``shap_contributions``, and of a review
        ``explanation/shap_dependence``, ``shap_low`` and ``shap_high``, ``uncertainty/instability`` where
        it was measured on five patients or more, ``uncertainty/tipping_point`` where some were lost to follow-up, and
        ``validation/`` of sites and years held out.
    """
    calibration = {} if curve is None else {CALIBRATION: _draw_calibration(curve, metrics, histogram, basis, tables)}
    return (
        calibration
        | _draw_held_out(tables, basis)
        | _draw_benefit(tables, basis)
        | _draw_robustness(instability, tipping_point, basis)
        | _draw_reasons(explanation, basis, simulated)
        | _draw_review(explanation, review, basis, simulated)
        | _draw_groups(tables, basis)
    )


def _draw_calibration(
    curve: pd.DataFrame,
    metrics: pd.DataFrame,
    histogram: pd.DataFrame | None,
    basis: str,
    tables: Mapping[str, pd.DataFrame],
) -> Picture:
    ax = plot_calibration(
        curve,
        metrics,
        make_axes(),
        basis=basis,
        histogram=histogram,
        flexible=tables.get("calibration_flexible"),
        title="Calibration, out of fold",
    )
    return Picture(_figure_of(ax), describe_calibration(curve, metrics))


def _draw_benefit(tables: Mapping[str, pd.DataFrame], basis: str) -> dict[str, Picture]:
    table = tables.get("decision_curve")
    if table is None:
        return {}
    expected, title = tables.get("expected_response"), "Decision curve, out of fold"
    ax = plot_decision_curve(table, make_axes(8.8, 5.2), basis=basis, title=title, expected=expected)
    return {"benefit/decision_curve": Picture(_figure_of(ax), describe_decision_curve(table, expected))}


def _draw_groups(tables: Mapping[str, pd.DataFrame], basis: str) -> dict[str, Picture]:
    drawn = {}
    for name in ("subgroups", "sites", "years"):
        table = tables.get(name)
        if table is None:
            continue
        rows = tables["pooled"].to_dict("records") if name != "subgroups" and "pooled" in tables else []
        attribute = table["attribute"].iloc[0]
        pooled = next((row for row in rows if (row["attribute"], row["metric"]) == (attribute, "o_e_ratio")), None)
        ax = make_group_axes(len(select_ratios(table)) + bool(pooled))
        ax = plot_groups(table, ax, basis=basis, title=f"Observed / expected by {name}, out of fold", pooled=pooled)
        drawn[f"subgroups/{name}"] = Picture(_figure_of(ax), describe_groups(table, of=name))
    return drawn


def _draw_held_out(tables: Mapping[str, pd.DataFrame], basis: str) -> dict[str, Picture]:
    drawn = {}
    for name, title in ((HELD_OUT_SITES, "Sites held out in turn"), (HELD_OUT_YEARS, "Years predicted from the past")):
        table = tables.get(name)
        if table is not None:
            panels = make_forest_axes(table.loc[table["n_groups"].isna(), "level"].nunique())
            ax = plot_held_out(table, panels, basis=basis, title=title)
            drawn[f"validation/{name}"] = Picture(_figure_of(ax), describe_held_out(table))
    return drawn


def _draw_robustness(
    instability: MeasuredInstability | None, tipping_point: pd.DataFrame | None, basis: str
) -> dict[str, Picture]:
    drawn: dict[str, Picture] = {}
    if instability is not None and len(instability.bins):
        bins, found = instability.bins, instability.metrics
        ax = plot_instability(bins, found, make_axes(9.2, 6.0), basis=basis, title="Prediction instability")
        drawn["uncertainty/instability"] = Picture(_figure_of(ax), describe_instability(bins, found))
    if tipping_point is not None and len(tipping_point) and tipping_point["n_lost"].iloc[0]:
        title = "What if those lost to follow-up fared differently"
        ax = plot_tipping_point(tipping_point, make_axes(8.8, 5.2), basis=basis, title=title)
        drawn["uncertainty/tipping_point"] = Picture(_figure_of(ax), describe_tipping_point(tipping_point))
    return drawn


def _draw_reasons(explanation: Explanation, basis: str, simulated: bool | None) -> dict[str, Picture]:
    importance = compute_importance(explanation).set_index("variable")[f"mean_absolute_{explanation.unit}"]
    unit = explanation.unit.replace("_", " ")
    said = describe_importance(importance, unit=unit)
    height = 1.8 + 0.36 * min(len(importance), MOST_VARIABLES)
    sizes = plot_importance(
        importance, make_axes(8.0, height), basis=basis, title="What moves the prediction", unit=unit
    )
    directions = plot_contributions(
        explanation.contributions,
        explanation.values,
        make_axes(9.5, height),
        basis=basis,
        title="How each variable moves the prediction",
        unit=unit,
        simulated=simulated,
        patients=explanation.patients,
    )
    return {
        "explanation/shap_importance": Picture(_figure_of(sizes), said),
        "explanation/shap_contributions": Picture(
            _figure_of(directions), f"{said} Direction by the value of the variable."
        ),
    }


def _draw_review(
    explanation: Explanation, review: ExplanationReview | None, basis: str, simulated: bool | None
) -> dict[str, Picture]:
    """Draw importance with its doubt in place of importance alone, and what else a review tells."""
    if review is None:
        return {}
    dots = basis == "synthetic" if simulated is None else simulated
    drawn = draw_explanation(explanation, review, basis=basis, simulated=dots)
    return {name: Picture(*pair) for name, pair in drawn.items()}


def _figure_of(ax: Axes) -> Figure:
    figure = ax.figure
    assert isinstance(figure, Figure)
    return figure
