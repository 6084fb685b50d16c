"""One page across models: verdicts side by side, and calibration as small multiples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from paincast.evaluation.names import format_estimate
from paincast.gates.verdict import OVERALL
from paincast.reporting.figures.axes import BLUE, ORANGE, draw_diagonal, finish_axes, make_axes
from paincast.reporting.figures.performance import describe_calibration
from paincast.reporting.model.limits import ALWAYS, BASIS_LIMITS
from paincast.reporting.model.run_contents import RunContents
from paincast.reporting.model.validation import find_elsewhere, list_external
from paincast.reporting.page import Figure, Section, write_page
from paincast.schema import RESEARCH_MARK

CARE = "care, as champion"
NUMBERS = {
    "auroc": "AUROC",
    "auroc_within_folds": "AUROC within folds",
    "log_loss_gain": "Gain over overall risk",
    "calibration_slope": "Slope",
    "ici": "ICI",
}


def write_overview(runs: Sequence[RunContents]) -> str:
    """Write a page across models as HTML that needs nothing but itself.

    Techniques are not compared: each treats other patients.

    Parameters
    ----------
    runs : sequence of RunContents
        What each run holds.
    """
    n_passed = sum(run.tags.get("verdict") == "passes" for run in runs)
    bases = list(dict.fromkeys(run.tags["basis"] for run in runs))
    sections = [
        Section(
            name="verdicts",
            title="Verdicts",
            text=(
                f"{n_passed} of {len(runs)} models pass the gate. Techniques treat different patients: do not compare "
                "them."
            ),
            tables={
                "Every model": pd.DataFrame([_judge(run) for run in runs]),
                "Every model, out of fold": pd.DataFrame([_measure(run) for run in runs]),
            },
        )
    ]
    with_curve = [run for run in runs if len(run.tables.get("calibration_curve", ()))]
    if with_curve:
        sections.append(
            Section(
                name="calibration",
                title="Calibration",
                text=(
                    "Do predicted probabilities agree with observed frequencies, for patients the model had not seen? "
                    "They do on the dashed line. Dots are groups of ten or more with their interval; the line is the "
                    "flexible curve with its band."
                ),
                figures=[_draw(run) for run in with_curve],
            )
        )
    limits = [sentence for basis in bases for sentence in BASIS_LIMITS[basis]]
    sections.append(
        Section(name="limits", title="Limits", text="These hold for every model.", items=[*limits, *ALWAYS])
    )
    note = " ".join(f"{basis.upper()} EVIDENCE. {BASIS_LIMITS[basis][0]}" for basis in bases)
    return write_page("Models side by side", note, {"Models": str(len(runs)), "Passed": str(n_passed)}, sections)


def _judge(run: RunContents) -> dict[str, str]:
    use = run.tags.get("use", RESEARCH_MARK) or CARE
    return {
        "Model": run.title,
        "Month": run.tags["horizon_months"],
        "Verdict": "passes" if run.tags.get("verdict") == "passes" else "refused",
        "Basis and use": f"{run.tags['basis']}, {run.tags['n_real']} real; {use}",
        "Validated on": "; ".join(list_external(run.validations)) if run.validations else "not yet",
        "Unmet criteria": "" if run.tags.get("verdict") == "passes" else _list_unmet(run),
    }


def _measure(run: RunContents) -> dict[str, str]:
    rows = _read_overall(run)
    return {
        "Model": run.title,
        "Month": run.tags["horizon_months"],
        "n": f"{max(row['n'] for row in rows.values()):,.0f}",
        **{label: _format(rows[name], name) if name in rows else "" for name, label in NUMBERS.items()},
        "O/E elsewhere": find_elsewhere(run.tables) if "auroc" in rows else "",
    }


def _format(row: dict[Any, Any], name: str) -> str:
    return format_estimate(row, digits=3 if name == "log_loss_gain" else 2, no_interval=" (none)")


def _read_overall(run: RunContents) -> dict[str, dict[Any, Any]]:
    rows = run.tables["metrics"].to_dict("records")
    return {row["metric"]: row for row in rows if row["group"] == OVERALL}


def _list_unmet(run: RunContents) -> str:
    criteria = run.verdict
    return ", ".join(criteria.loc[criteria["status"] != "passed", "criterion"].str.replace("_", " "))


def _draw(run: RunContents) -> Figure:
    curve, flexible = run.tables["calibration_curve"], run.tables.get("calibration_flexible")
    ax = _plot_small(curve, flexible, run)
    title = f"{run.title}, month {run.tags['horizon_months']}"
    return Figure(image=ax, alt=f"{title}. {describe_calibration(curve, run.tables['metrics'])}")


def _plot_small(curve: pd.DataFrame, flexible: pd.DataFrame | None, run: RunContents) -> Axes:
    ax = make_axes(4.4, 4.4)
    draw_diagonal(ax, "")
    if flexible is not None:
        x = flexible["predicted"]
        ax.fill_between(x, flexible["lower"], flexible["upper"], color=ORANGE, alpha=0.15, linewidth=0, zorder=2)
        ax.plot(x, flexible["observed"], color=ORANGE, linewidth=1.6, zorder=2)
    ax.vlines(curve["predicted"], curve["lower"], curve["upper"], color=BLUE, linewidth=1.1, zorder=3)
    ax.plot(curve["predicted"], curve["observed"], "o", color=BLUE, markersize=4, zorder=4)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="Predicted probability", ylabel="Observed frequency")
    ax.set_aspect("equal")
    technique = run.tags["technique"].replace("_", " ")
    outcome = f"{run.tags['outcome'].replace('_', ' ')} · month {run.tags['horizon_months']}"
    verdict = "passes" if run.tags.get("verdict") == "passes" else "refused"
    return finish_axes(ax, run.tags["basis"], f"{technique}\n{outcome} · {verdict}")
