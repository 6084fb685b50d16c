"""The figures of one model, each with a sentence for those who cannot see it."""

from __future__ import annotations

import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paincast.explain import Explanation
from paincast.reporting.figures import (
    MOST_VARIABLES,
    describe_calibration,
    describe_importance,
    make_axes,
    plot_calibration,
    plot_contributions,
    plot_importance,
)


def draw_figures(
    curve: pd.DataFrame,
    metrics: pd.DataFrame,
    explanation: Explanation,
    basis: str,
    *,
    probability: npt.ArrayLike | None = None,
) -> dict[str, tuple[Figure, str]]:
    """Draw the figures a reviewer needs first.

    Parameters
    ----------
    curve : DataFrame
        From :func:`paincast.evaluation.calibration.compute_calibration_curve`.
    metrics : DataFrame
        From :func:`paincast.evaluation.metrics.compute_metrics`.
    explanation : Explanation
        Contributions over the training cohort.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; only for ``synthetic`` does a dot stand for a patient.
    probability : array-like of shape (n,), optional
        Out-of-fold predictions, for the histogram in the calibration figure.

    Returns
    -------
    dict of (Figure, str)
        Figure and sentence by name: ``calibration``, ``importance``, ``contributions``.
    """
    mean_absolute = explanation.contributions.abs().mean()
    height = 1.6 + 0.36 * min(len(mean_absolute), MOST_VARIABLES)
    calibration = plot_calibration(
        curve, metrics, make_axes(), basis=basis, probability=probability, title="Calibration, out of fold"
    )
    importance = plot_importance(mean_absolute, make_axes(8, height), basis=basis, title="What moves the prediction")
    contributions = plot_contributions(
        explanation.contributions,
        explanation.values,
        make_axes(9.5, height),
        basis=basis,
        title="How each variable moves the prediction",
    )
    strongest = describe_importance(mean_absolute)
    return {
        "calibration": (_figure_of(calibration), describe_calibration(curve, metrics)),
        "importance": (_figure_of(importance), strongest),
        "contributions": (_figure_of(contributions), f"Contributions by value of the variable. {strongest}"),
    }


def _figure_of(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure
