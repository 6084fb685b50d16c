"""The report of a comparison: one HTML page with the sections of the TARGET statement, and the result as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from paincast.effects.comparison import RESULT_FORMAT
from paincast.reporting.effects.drawing import Drawing
from paincast.reporting.effects.results import ComparisonResults
from paincast.reporting.effects.sections import SECTIONS
from paincast.reporting.effects.tables import list_farthest
from paincast.reporting.effects.target import tabulate_items
from paincast.reporting.effects.words import format_count
from paincast.reporting.page import Figure, Section, write_page
from paincast.schema import RESEARCH_MARK

NOTES = {
    "synthetic": "SIMULATED PATIENTS. They follow published evidence: the comparison shows how the method works, and "
    "says nothing of the techniques.",
    "real": "REAL PATIENTS, NOT RANDOMISED. Counts are rounded to five, and no value of a patient is shown.",
    "blended": "REAL AND SIMULATED PATIENTS TOGETHER. The comparison says nothing of the techniques.",
}


def write_comparison(results: ComparisonResults, drawings: Sequence[Drawing]) -> str:
    """Write the report of a comparison as HTML that needs nothing but itself.

    Parameters
    ----------
    results : ComparisonResults
        From :func:`paincast.reporting.effects.results.gather_results`.
    drawings : sequence of Drawing
        From :func:`paincast.reporting.effects.drawing.draw_results`.

    Returns
    -------
    str
        HTML with the sections of the TARGET statement and its checklist.
    """
    sections = [_add_figures(show(results), drawings) for show in SECTIONS]
    titles = {section.name: section.title for section in sections}
    checklist = Section(
        name="checklist",
        title="TARGET checklist",
        text="Where each item of the TARGET statement is answered (Cashin 2025, doi:10.1001/jama.2025.13350; what an "
        "item asks is put in our words).",
        tables={"Items": tabulate_items(titles, is_answered=results.refusal is None)},
    )
    facts = {
        "Trial": results.origin.trial_name,
        "Cohort": results.origin.cohort_name,
        "Basis": f"{results.basis}, {results.n_real:,} real episodes",
        "Eligible": f"{format_count(results.n_eligible, results.basis)} episodes",
        "Verdict": results.verdict,
        "Use": RESEARCH_MARK,
    }
    names = " against ".join(strategy.describe() for strategy in reversed(results.trial.strategies))
    return write_page(f"{names[0].upper()}{names[1:]}", NOTES[results.basis], facts, [*sections, checklist])


def _add_figures(section: Section, drawings: Sequence[Drawing]) -> Section:
    figures = [
        Figure(image=drawing.ax, alt=drawing.alt, caption=drawing.caption)
        for drawing in drawings
        if drawing.section == section.name
    ]
    return replace(section, figures=figures)


def format_result(results: ComparisonResults) -> str:
    """Format the result as JSON, for other programs; ``contrasts`` and ``risks`` are null if it was refused."""
    trial, origin = results.trial, results.origin
    content: dict[str, Any] = {
        "format": RESULT_FORMAT,
        "verdict": results.verdict,
        "question": trial.question,
        "indications": list(trial.indications),
        "conditions": list(trial.conditions),
        "strategies": [
            {"name": one.name, "technique": one.technique, "approaches": list(one.approaches)}
            for one in trial.strategies
        ],
        "reference": trial.reference.name,
        "outcome": trial.outcome.name,
        "month": trial.month,
        "n": results.n_eligible,
        "diagnostics": _list_rows(results, "diagnostics") or [],
        "adjusted": list(results.adjusted),
        "not_adjusted": _list_unadjusted(results),
        "clusters": _list_clusters(results),
        "contrasts": _list_rows(results, "contrasts"),
        "risks": _list_rows(results, "risks"),
        "refusal": None if results.refusal is None else {"code": results.refusal.code, "message": str(results.refusal)},
        "unmeasured": list(trial.unmeasured),
        "basis": results.basis,
        "n_real": results.n_real,
        "use": RESEARCH_MARK,
        "trial": origin.trial_name,
        "digest": origin.trial_digest,
        "cohort": origin.cohort_name,
        "cohort_digest": results.cohort_digest,
        "seed": origin.seed,
        "versions": list(results.software),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _list_unadjusted(results: ComparisonResults) -> list[dict[str, Any]] | None:
    """List what is not adjusted for, each column once for a pair; None if there were too few patients to look at."""
    if "balance" not in results.tables:
        return None
    return [
        {
            **{name: row[name] for name in ("column", "first", "second", "part")},
            "difference": None if pd.isna(row["weighted"]) else row["weighted"],
            "limit": None if pd.isna(row["limit"]) else row["limit"],
            "reason": row["reason"] or None,
        }
        for row in list_farthest(results)
    ]


def _list_clusters(results: ComparisonResults) -> dict[str, Any] | None:
    clusters = results.clusters
    if clusters is None:
        return None
    return {"by": list(clusters.by), "patients": clusters.patients, "sites": clusters.sites}


def _list_rows(results: ComparisonResults, name: str) -> list[dict[str, Any]] | None:
    """List the rows of a table in plain types; None if it was not made."""
    if name not in results.tables:
        return None
    table = results.tables[name]
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]
