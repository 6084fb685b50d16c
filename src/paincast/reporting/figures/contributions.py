"""The figure of contributions: by the shap package for simulated patients, by groups of real ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap

from paincast.contract import BUILT_IN, Contract
from paincast.disclosure.groups import rank_values
from paincast.explain import Explanation
from paincast.reporting.figures.axes import FONT, INK, MOST_VARIABLES, finish_axes
from paincast.reporting.figures.bubbles import compute_bubbles
from paincast.schema import MINIMUM_CELL

LOW_TO_HIGH: Colormap = LinearSegmentedColormap.from_list("low_to_high", ["#56B4E9", "#0072B2", "#7B3F61", "#D55E00"])


def plot_contributions(
    explanation: Explanation, ax: Axes, *, basis: str, simulated: bool, title: str = "", unit: str = "log odds"
) -> Axes:
    """Draw in which direction, and how far, each variable moves the prediction.

    For simulated patients it is the beeswarm of the shap package, a dot for each patient. For real ones no single
    patient is drawn: a bubble is a group of at least five with similar values, at their mean contribution, its area
    growing with the group.

    Parameters
    ----------
    explanation : Explanation
        Contributions of a cohort.
    ax : matplotlib.axes.Axes
        Where to draw.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    simulated : bool
        Whether the patients are simulated; a model that stands on evidence alone may be explained on real ones.
    title : str
        Title of the figure.
    unit : str
        Of the contributions.

    Returns
    -------
    matplotlib.axes.Axes
    """
    variables = [str(name) for name in select_strongest(explanation.contributions.abs().mean()).index]
    if simulated and variables:
        _draw_beeswarm(ax, explanation, variables)
    else:
        _draw_bubbles(ax, explanation, variables[::-1])
    mark = "a dot is a patient" if simulated else f"a bubble is {MINIMUM_CELL} patients or more"
    ax.axvline(0, color=INK, linewidth=1, zorder=1)
    ax.set_xlabel(f"Contribution, {unit} ({mark})")
    ax.set_ylim(-0.7, max(len(variables), 1) - 0.3)
    ax.grid(axis="y", color="#EEEEEE", zorder=0)
    _draw_value_scale(ax)
    return finish_axes(ax, basis, title, rows=True)


def select_strongest(mean_absolute: pd.Series) -> pd.Series:
    """Select the variables with the largest contributions, the strongest first."""
    return mean_absolute.sort_values(ascending=False, kind="stable").head(MOST_VARIABLES)


def _draw_beeswarm(ax: Axes, explanation: Explanation, variables: list[str]) -> None:
    import shap

    contributions = explanation.contributions[variables]
    shown = shap.Explanation(
        values=contributions.to_numpy(dtype=float),
        base_values=explanation.base,
        data=_rank_columns(explanation.values[variables]),
        feature_names=[explanation.contract.label(name) for name in variables],
    )
    with _fixed_numpy_state():
        shap.plots.beeswarm(
            shown,
            max_display=len(variables),
            order=np.arange(len(variables)),
            color=LOW_TO_HIGH,
            color_bar=False,
            ax=ax,
            s=9,
            plot_size=None,
            group_remaining_features=False,
            show=False,
        )


def _rank_columns(values: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Rank the values of each column from 0 to 1; what has no order stays text, which shap draws in grey."""
    columns = np.empty(values.shape, dtype=object)
    for column, name in enumerate(values):
        ranks = rank_values(values[name])
        columns[:, column] = "" if np.isnan(ranks).all() else ranks
    return columns


@contextmanager
def _fixed_numpy_state() -> Iterator[None]:
    """Let shap shuffle its dots by numpy's global state without a trace: the same figure each time."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)


def _draw_bubbles(ax: Axes, explanation: Explanation, variables: list[str]) -> None:
    for row, name in enumerate(variables):
        bubbles = compute_bubbles(
            explanation.contributions[name],
            explanation.values[name],
            smallest=MINIMUM_CELL,
            patients=explanation.patients,
        )
        sizes = 30 + 370 * bubbles["n"].to_numpy(dtype=float) / max(len(explanation.base), 1)
        ranks = bubbles["rank"].to_numpy(dtype=float)
        colours = LOW_TO_HIGH(np.nan_to_num(ranks, nan=0.0))
        colours[np.isnan(ranks)] = (0.69, 0.69, 0.69, 1.0)
        style: dict[str, Any] = {"alpha": 0.85, "edgecolors": "white", "linewidths": 0.8, "zorder": 3}
        ax.scatter(bubbles["contribution"].to_numpy(dtype=float), np.full(len(bubbles), row), sizes, colours, **style)
    ax.set_yticks(range(len(variables)), [explanation.contract.label(name) for name in variables])


def _draw_value_scale(ax: Axes) -> None:
    bar = ax.figure.colorbar(ScalarMappable(cmap=LOW_TO_HIGH), ax=ax, fraction=0.03, pad=0.02, aspect=30)
    bar.set_ticks([0, 1], labels=["low,\nno", "high,\nyes"])
    bar.set_label("Value of the variable (grey: category or missing)", fontsize=FONT - 2, color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=FONT - 2, labelcolor=INK)


def describe_contributions(mean_absolute: pd.Series, *, unit: str = "log odds", contract: Contract = BUILT_IN) -> str:
    """Name the strongest variables in a sentence.

    Parameters
    ----------
    mean_absolute : Series of shape (n_variables,)
        Mean absolute contribution, indexed by variable.
    unit : str
        Of the contributions.
    contract : Contract
        Declares the variables.

    Returns
    -------
    str
    """
    strongest = select_strongest(mean_absolute[mean_absolute > 0])[:3]
    if strongest.empty:
        answer = "probability" if unit == "log odds" else "prediction"
        return f"Contributions: no variable moves the prediction; every patient gets the same {answer}."
    names = ", ".join(f"{contract.label(str(name))} ({size:.2g})" for name, size in strongest.items())
    scale = f"the {unit}" if unit == "log odds" else "the change in points"
    return f"Strongest contributions to {scale}, mean size: {names}."
