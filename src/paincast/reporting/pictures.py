"""The pictures of one model, each with a sentence for those who cannot see it."""

from __future__ import annotations

from typing import NamedTuple

import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paincast.explain import Explanation, compute_importance
from paincast.reporting.figures import (
    MOST_VARIABLES,
    describe_calibration,
    describe_importance,
    make_axes,
    plot_calibration,
    plot_contributions,
    plot_importance,
)


class Picture(NamedTuple):
    """A figure and what it shows, in a sentence."""

    figure: Figure
    caption: str


def draw_pictures(
    curve: pd.DataFrame | None,
    metrics: pd.DataFrame,
    explanation: Explanation,
    probability: npt.ArrayLike,
    basis: str,
) -> dict[str, Picture]:
    """Draw calibration and SHAP figures of one model.

    Parameters
    ----------
    curve, metrics : DataFrame
        Out-of-fold calibration curve and metrics; without a curve, as of a number, calibration is not drawn.
    explanation : Explanation
        Contributions over the training cohort.
    probability : array-like of shape (n,)
        Out-of-fold predictions.
    basis : {"synthetic", "real", "blended"}
        What the model stands on.

    Returns
    -------
    dict of str to Picture
        ``calibration`` where there is a curve, ``shap_importance`` and ``shap_contributions``.
    """
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
    )
    drawn = {
        "shap_importance": Picture(_figure_of(sizes), said),
        "shap_contributions": Picture(_figure_of(directions), f"{said} Direction by the value of the variable."),
    }
    if curve is None:
        return drawn
    calibration = plot_calibration(
        curve, metrics, make_axes(), basis=basis, probability=probability, title="Calibration, out of fold"
    )
    return {"calibration": Picture(_figure_of(calibration), describe_calibration(curve, metrics)), **drawn}


def _figure_of(ax: Axes) -> Figure:
    figure = ax.figure
    assert isinstance(figure, Figure)
    return figure
