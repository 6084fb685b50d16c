"""A prediction step by step, for the mean of a group of patients.

Drawn here and not by the shap package, whose waterfall goes through matplotlib's global state and shows log odds alone:
readers ask for the probability at which the group starts and ends.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.special import expit

from paincast.contract import BUILT_IN, Contract
from paincast.explain import Explanation, compute_waterfall, summarize_group
from paincast.reporting.figures.axes import BLUE, FONT, GREY, INK, ORANGE, Row, finish_axes
from paincast.schema import MINIMUM_CELL


def plot_waterfall(
    steps: pd.DataFrame,
    ax: Axes,
    *,
    basis: str,
    title: str = "",
    unit: str = "log_odds",
    contract: Contract = BUILT_IN,
) -> Axes:
    """Draw a prediction as steps from the base to what is served.

    Parameters
    ----------
    steps : DataFrame
        From :func:`paincast.explain.compute_waterfall`. Of a real patient it is drawn for those who treat that patient
        only, and never kept with a model.
    ax : matplotlib.axes.Axes
        Where to draw.
    basis : {"synthetic", "real", "blended"}
        What the model stands on; marked unless it is real.
    title : str
        Title of the figure.
    unit : {"log_odds", "points"}
        Of the contributions.
    contract : Contract
        Declares the variables.

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows = steps.to_dict("records")
    moves = [row for row in rows if row["step"] in ("variable", "rest")]
    start, served = rows[0], rows[-1]
    reach = [float(row[end]) for row in moves for end in ("begin", "end")] + [start["end"], served["end"]]
    room = 0.02 * (max(reach) - min(reach) or 1.0)
    for height, row in enumerate(moves, start=1):
        up = row["contribution"] >= 0
        colour = ORANGE if up else BLUE
        ax.barh(height, row["contribution"], left=row["begin"], height=0.62, color=colour, zorder=3)
        ax.plot([row["end"]] * 2, [height - 0.31, height + 1.0], color=GREY, linewidth=0.8, zorder=2)
        at, side = max(row["begin"], row["end"]) + room, "left"
        ax.text(at, height, f"{row['contribution']:+.2f}", ha=side, va="center", fontsize=FONT - 2, color=INK)
    ax.plot([start["end"]] * 2, [0, 1.31], color=GREY, linewidth=0.8, zorder=2)
    last = len(moves) + 1
    ax.plot([start["end"], served["end"]], [0, last], "D", color=INK, markersize=7, zorder=4)
    for height, row in ((0, start), (last, served)):
        ax.text(
            row["end"] + 1.5 * room, height, _format_prediction(float(row["end"]), unit),
            va="center", fontsize=FONT - 1, color=INK, fontweight="bold",
        )  # fmt: skip
    labels = ["start: average prediction", *(_label_step(row, contract) for row in moves), "served"]
    ax.set_yticks(range(last + 1), labels)
    ax.set_ylim(last + 0.6, -0.6)
    span = max(reach) - min(reach) or 1.0
    ax.set_xlim(min(reach) - 0.06 * span, max(reach) + 0.36 * span)
    ax.set_xlabel("Log odds" if unit == "log_odds" else "Change of pain, points")
    return finish_axes(ax, basis, title, rows=True)


def _label_step(row: Row, contract: Contract) -> str:
    if row["step"] == "rest":
        return str(row["value"])
    name = contract.label(str(row["variable"]))
    return f"{name}: {str(row['value']).replace('_', ' ')}" if row["value"] else name


def _format_prediction(value: float, unit: str) -> str:
    return f"{value:+.2f}, that is {100 * expit(value):.0f} %" if unit == "log_odds" else f"{value:+.2f} points"


def describe_waterfall(steps: pd.DataFrame, *, unit: str = "log_odds", contract: Contract = BUILT_IN) -> str:
    """Describe where a prediction starts, its strongest steps, and where it ends.

    Parameters
    ----------
    steps : DataFrame
        From :func:`paincast.explain.compute_waterfall`.
    unit : {"log_odds", "points"}
        Of the contributions.
    contract : Contract
        Declares the variables.

    Returns
    -------
    str
    """
    rows = steps.to_dict("records")
    steps_shown = [row for row in rows if row["step"] == "variable"][:3]
    moves = [f"{_label_step(row, contract)} {row['contribution']:+.2f}" for row in steps_shown]
    ends = [_format_prediction(float(row["end"]), unit) for row in (rows[0], rows[-1])]
    scale = "log odds" if unit == "log_odds" else "change of pain"
    return f"From {ends[0]} ({scale}) to {ends[1]}; strongest steps: {', '.join(moves) or 'none'}."


def compute_quintile(explanation: Explanation, *, highest: bool) -> pd.DataFrame | None:
    """Compute the steps of the mean of the quintile of a cohort with the lowest, or highest, predictions.

    Parameters
    ----------
    explanation : Explanation
        Contributions over the cohort.
    highest : bool
        Which quintile.

    Returns
    -------
    DataFrame or None
        From :func:`paincast.explain.compute_waterfall`; None where a quintile is fewer than five patients, or all
        predictions are the same.
    """
    served, codes = explanation.served, explanation.patient_codes
    low, high = np.quantile(served, [0.2, 0.8]) if len(served) else (0.0, 0.0)
    member = served >= high if highest else served <= low
    if len(np.unique(codes[member])) < MINIMUM_CELL or not high > low:
        return None
    return compute_waterfall(summarize_group(explanation, member))
