"""Write the description at the top of a run's page in MLflow."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from paincast.errors import SettingsError
from paincast.evaluation.names import METRIC_NAMES, format_estimate, name_metric
from paincast.gates import NOT_ASKED, GateVerdict
from paincast.gates.use import USE_LIMIT
from paincast.outcomes import Outcome, get_outcome
from paincast.tracking.dataset import DatasetSummary
from paincast.tracking.model_run import ComparisonRun, ModelRun

OVERALL = "overall"
REPORT = "report/report.html"

LONGEST_DESCRIPTION = 8000
"""Characters that MLflow keeps of a tag on every database."""

LONGEST_OF_VERSION = 5000
"""Characters that its registry keeps of the description of a version on every database."""

MOST_SOURCES = 4

PROGNOSIS = "prognosis given the technique, not the effect of the technique"

HEADLINES = ("auroc", "scaled_brier", "calibration_slope", "coverage", "mean_absolute_error")

BASIS_LIMITS = {
    "synthetic": (
        "**Synthetic evidence.** Trained and tested on simulated patients whose truth is published averages: the "
        "numbers show how well the method works, not that the model is right about any real patient."
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


def describe_run(model: ModelRun, verdict: GateVerdict, longest: int = LONGEST_DESCRIPTION) -> str:
    """Write the description of a run in Markdown: question, verdict, metrics with intervals, and limits.

    Parameters
    ----------
    model : ModelRun
        What the run logs.
    verdict : GateVerdict
        Verdict of the gate.
    longest : int
        Most characters.

    Returns
    -------
    str
        Sections that do not fit are dropped from the end.
    """
    captions = [f"`figures/{name}.png`: {caption}" for name, caption in model.captions.items()]
    sections = {
        f"Verdict: {verdict.describe()}": format_verdict(verdict),
        "Out-of-fold performance": format_metrics(model.metrics),
        "Prediction instability": format_metrics(model.instability) if len(model.instability) else "",
        "Limits": _bullets(_list_limits(model)),
        "Data": _bullets([_format_dataset(model.dataset), *_list_sources(model.dataset)]),
        "Figures": _bullets(captions),
    }
    parts = [
        _format_headline(model, verdict),
        _format_question(model),
        *([f"The whole of it: `{REPORT}` under Artifacts."] if model.write_report else []),
        *(f"#### {title}\n\n{content}" for title, content in sections.items() if content),
    ]
    return _drop_last(parts, longest)


def describe_comparison(run: ComparisonRun) -> str:
    """Write the description of the run of a comparison in Markdown: result or refusal, diagnostics, limits.

    Parameters
    ----------
    run : ComparisonRun
        What the run logs.

    Returns
    -------
    str
        Sections that do not fit are dropped from the end.
    """
    about = "about " if run.dataset.is_rounded else ""
    counted = f"{run.n_real} real of {about}{run.dataset.n_episodes} episodes"
    headline = f"**{run.basis.upper()}**: {counted} · {run.verdict}"
    tables = {name: _format_rows(run.tables[name]) for name in ("diagnostics", "contrasts") if name in run.tables}
    parts = [
        headline,
        run.question,
        " ".join(run.findings),
        f"The whole of it: `{REPORT}` under Artifacts.",
        *(f"#### {name.capitalize()}\n\n{rows}" for name, rows in tables.items()),
        f"#### Limits\n\n{_bullets(run.limits)}",
    ]
    return _drop_last(parts, LONGEST_DESCRIPTION)


def _format_rows(table: pd.DataFrame) -> str:
    """Write a table in Markdown, numbers to three digits."""
    rows = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in table.to_numpy(object)]
    head = [[name.replace("_", " ") for name in map(str, table)], ["---"] * table.shape[1]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [*head, *rows])


def _drop_last(parts: list[str], longest: int) -> str:
    """Join parts, without as many from the end as it takes to be no longer than allowed."""
    while sum(map(len, parts)) + 2 * len(parts) > longest and len(parts) > 1:
        parts.pop()
    return "\n\n".join(parts)


def _format_headline(model: ModelRun, verdict: GateVerdict) -> str:
    """Write the first line, which shows before the text is expanded: basis, size, main metrics and verdict."""
    overall = model.metrics[model.metrics["group"] == OVERALL].to_dict("records")
    rows = {row["metric"]: row for row in overall}
    numbers = [f"{METRIC_NAMES[name]} {format_estimate(rows[name])}" for name in HEADLINES if name in rows]
    about = "about " if model.dataset.is_rounded else ""
    counted = f"{model.n_real} real of {about}{model.dataset.n_episodes} episodes"
    return " · ".join([f"**{model.basis.upper()}**: {counted}", *numbers, verdict.describe()])


def _format_question(model: ModelRun) -> str:
    outcome = _find_outcome(model)
    question = outcome.question if outcome else model.outcome.replace("_", " ")
    technique = model.technique.replace("_", " ")
    if outcome and outcome.kind == "time_to_event":
        lasting = f"Probability that relief lasts beyond month {model.horizon_months:g}, and median, of: {question}"
        return f"{lasting}; *given* {technique}. Model: {model.model_kind}."
    question_at_horizon = f"{question}, at {model.horizon_months:g} months"
    served = "Median, with an interval, of" if outcome and outcome.kind == "continuous" else "Probability of"
    return f"{served}: {question_at_horizon}, *given* {technique}. Model: {model.model_kind}."


def _find_outcome(model: ModelRun) -> Outcome | None:
    """Find the outcome of a run; None if an old run has an outcome that no longer exists."""
    try:
        return get_outcome(model.outcome, outcomes=model.predictor.contract.outcomes)
    except SettingsError:
        return None


def _format_dataset(dataset: DatasetSummary) -> str:
    return f"`{dataset.name}`, digest `{dataset.digest[:12]}`; from:"


def _list_sources(dataset: DatasetSummary) -> list[str]:
    """List the first few sources: a simulated cohort has dozens."""
    more = len(dataset.sources) - MOST_SOURCES
    remainder = [f"and {more} more, in `tables/provenance.csv`"] if more > 0 else []
    return [*dataset.sources[:MOST_SOURCES], *remainder]


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _list_limits(model: ModelRun) -> list[str]:
    outcome = _find_outcome(model)
    is_not = [f"It is not {outcome.is_not}."] if outcome else []
    return [BASIS_LIMITS[model.basis], *is_not, *model.notes, USE_LIMIT, "Research software: not medical advice."]


def format_verdict(verdict: GateVerdict) -> str:
    """Write the result of each required criterion as a Markdown table, unmet criteria first."""
    judged = [finding for finding in verdict.findings if finding.status != NOT_ASKED]
    lines = ["| Criterion | Status | Required | Found |", "|---|---|---|---|"]
    for result in sorted(judged, key=lambda finding: finding.is_met):
        lines.append(f"| {result.criterion} | {result.status} | {result.required} | {result.reason} |")
    return "\n".join(lines)


def format_metrics(metrics: pd.DataFrame) -> str:
    """Write metrics as a Markdown table.

    Parameters
    ----------
    metrics : DataFrame
        Columns ``metric, group, estimate, lower, upper, n, method``.

    Returns
    -------
    str
        One line per metric: estimate with interval, n, and method, which gives the reason if there is no estimate.
    """
    lines = ["| Metric | Estimate (interval) | n | Method |", "|---|---|---|---|"]
    for row in metrics.to_dict("records"):
        group = "" if row["group"] == OVERALL else f" ({row['group']})"
        name = name_metric(row["metric"]) + group
        lines.append(f"| {name} | {format_estimate(row, digits=3)} | {row['n']} | {row['method']} |")
    return "\n".join(lines)
