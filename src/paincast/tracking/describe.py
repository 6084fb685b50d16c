"""The words a reviewer reads first on the page of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paincast.outcomes import OUTCOMES

if TYPE_CHECKING:
    from paincast.tracking.runs import ModelRun

METRIC_NAMES = {
    "auroc": "AUROC",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "o_e_ratio": "Observed / expected",
    "calibration_intercept": "Calibration intercept (slope fixed at 1)",
    "calibration_slope": "Calibration slope",
}

BASIS_LIMITS = {
    "synthetic": (
        "**Synthetic evidence.** Trained and tested on simulated patients whose truth is published averages: the "
        "numbers show that the method works, not that the model is right about any real patient."
    ),
    "real": (
        "**Real patients, internal evidence.** The numbers are out of fold on the same registry; nothing here shows "
        "that they hold at another hospital or in later years."
    ),
    "blended": (
        "**Blended evidence.** Simulated and real patients were fitted together; read every number beside the count of "
        "real episodes."
    ),
}


def describe_run(model: ModelRun) -> str:
    """Write the description of a run in Markdown: what it is, its basis, its numbers with intervals, its limits.

    Parameters
    ----------
    model : ModelRun
        What is recorded.

    Returns
    -------
    str
    """
    captions = [f"- `figures/{name}.png`: {caption}" for name, caption in model.captions.items()]
    parts = [
        _say_what(model),
        _say_basis(model),
        "#### Out-of-fold performance\n\n" + format_metrics(model.metrics),
        "#### Limits\n\n" + "\n".join(f"- {limit}" for limit in _list_limits(model)),
        "#### Figures\n\n" + "\n".join(captions) if captions else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _say_what(model: ModelRun) -> str:
    outcome = OUTCOMES.get(model.outcome)
    question = outcome.question if outcome else model.outcome.replace("_", " ")
    return (
        f"### {_plain(model.technique)}: {_plain(model.outcome)} at {model.horizon_months:g} months\n\n"
        f"Probability of: {question}, *given* the technique. Model: {model.model_kind}. Not reviewed yet."
    )


def _say_basis(model: ModelRun) -> str:
    sources = "; ".join(model.dataset.sources) or "not stated"
    return (
        f"Basis: **{model.basis}**, {model.n_real} real of {model.dataset.n_episodes} episodes "
        f"(`{model.dataset.name}`, digest `{model.dataset.digest[:12]}`). Sources: {sources}."
    )


def _list_limits(model: ModelRun) -> list[str]:
    outcome = OUTCOMES.get(model.outcome)
    is_not = [f"It is not {outcome.is_not}."] if outcome else []
    return [BASIS_LIMITS[model.basis], *is_not, *model.notes, "Research software: not medical advice."]


def _plain(name: str) -> str:
    return name.replace("_", " ").capitalize()


def format_metrics(metrics: pd.DataFrame) -> str:
    """Write metrics as a Markdown table.

    Parameters
    ----------
    metrics : DataFrame
        Columns ``metric, group, estimate, lower, upper, n, method``.

    Returns
    -------
    str
        One line per metric: estimate, interval and n; "not estimable" and why where there is no estimate.
    """
    lines = ["| Metric | Estimate | Interval | n |", "|---|---|---|---|"]
    for row in metrics.to_dict("records"):
        group = "" if row["group"] == "overall" else f" ({row['group']})"
        name = METRIC_NAMES.get(row["metric"], row["metric"]) + group
        if np.isnan(row["estimate"]):
            lines.append(f"| {name} | {row['method']} | – | {row['n']} |")
            continue
        bounds = "no interval" if np.isnan(row["lower"]) else f"{row['lower']:.3f} to {row['upper']:.3f}"
        lines.append(f"| {name} | {row['estimate']:.3f} | {bounds} | {row['n']} |")
    methods = sorted(set(metrics.loc[metrics["estimate"].notna(), "method"]))
    return "\n".join(lines) + "".join(f"\n\nIntervals: {method}." for method in methods)
