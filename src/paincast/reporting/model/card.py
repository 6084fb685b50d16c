"""The model card: one page of Markdown from the contents of a run, short enough for the registry."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from paincast.reporting.model.checklist import list_missing
from paincast.reporting.model.limits import ALWAYS, BASIS_LIMITS, list_without_evidence
from paincast.reporting.model.run_contents import CHECKLIST, RunContents
from paincast.reporting.model.validation import list_external, list_validation

LONGEST_CARD = 5000
"""Characters that MLflow's registry keeps of a description on every database."""

NUMBERS = ("auroc", "brier", "scaled_brier", "calibration_slope", "ici", "coverage", "mean_absolute_error")
MOST_VARIABLES = 5
MOST_SOURCES = 4


def write_model_card(run: RunContents) -> str:
    """Write the model card in Markdown, at most :data:`LONGEST_CARD` characters.

    Parameters
    ----------
    run : RunContents
        What the run holds.

    Returns
    -------
    str
        Verdict, question, indications, metrics, limits, sources, and what the checklists miss.
    """
    parts = [f"# {run.title}", *(f"## {title}\n\n{text}" for title, text in _list_parts(run) if text)]
    text = "\n\n".join(parts) + "\n"
    return text if len(text) <= LONGEST_CARD else f"{text[: LONGEST_CARD - 40].rsplit(' ', 1)[0]} … (see the report)\n"


def _list_parts(run: RunContents) -> Iterator[tuple[str, str]]:
    facts, tags = run.facts, run.tags
    yield "Verdict", f"**{run.format_verdict()}** {tags['basis'].upper()} evidence, {tags['n_real']} real episodes."
    yield (
        "What it answers",
        (
            f"{facts.get('question', '')}, at {tags['horizon_months']} months, given the procedure. "
            f"Model: {tags['model_kind']}, version `{facts.get('content', '')}`."
        ),
    )
    yield "For whom", f"{facts.get('indications', '')}; among {facts.get('denominator', '')}."
    yield "External validation", _bullets(list_external(run.validations))
    yield "Performance, out of fold", _write_numbers(run)
    yield "Internal validation", _bullets(list_validation(run))
    yield "Groups", _describe_groups(run)
    yield "What moves it", _list_strongest(run)
    gaps = list_without_evidence(facts)
    yield "Limits", _bullets([*gaps, *BASIS_LIMITS[tags["basis"]], f"It is not {facts.get('is_not', '')}.", *ALWAYS])
    yield "Data", f"{_format_sources(run)}. Digest `{facts.get('digest', '')[:12]}`. {facts.get('software', '')}."
    yield "Missing from the checklists", _list_missing_items(run)


def _format_sources(run: RunContents) -> str:
    """Name the first sources; evidence has dozens."""
    sources = run.sources
    more = len(sources) - MOST_SOURCES
    return "; ".join(sources[:MOST_SOURCES]) + (f"; and {more} more (`tables/provenance.csv`)" if more > 0 else "")


def _write_numbers(run: RunContents) -> str:
    rows = run.list_metrics(NUMBERS)
    lines = [f"| {row['Metric']} | {row['Estimate']} | {row['Interval']} |" for row in rows.to_dict("records")]
    return "\n".join(["| Metric | Estimate | Interval |", "|---|---|---|", *lines])


def _describe_groups(run: RunContents) -> str:
    table = run.tables.get("subgroups")
    if table is None:
        return ""
    ratios = table[table["metric"] == "o_e_ratio"]
    known = ratios[ratios["estimate"].notna()].sort_values("estimate")
    if known.empty:
        return f"All {len(ratios)} subgroups are too small to tell."
    few = f"; {len(ratios) - len(known)} more are too small to tell" if len(known) < len(ratios) else ""
    ends = known.iloc[[0, -1] if len(known) > 1 else [0]].to_dict("records")
    span = " to ".join(f"{row['estimate']:.2f} ({row['group'].replace('_', ' ')})" for row in ends)
    return f"Observed / expected in {len(known)} of {len(ratios)} subgroups: {span}{few}."


def _list_strongest(run: RunContents) -> str:
    table = run.tables.get("importance", pd.DataFrame({"variable": []}))
    return ", ".join(run.contract.label(str(name)) for name in table["variable"].head(MOST_VARIABLES))


def _list_missing_items(run: RunContents) -> str:
    if CHECKLIST not in run.tables:
        return ""
    missing = list_missing(run.tables[CHECKLIST])
    return _bullets([f"{title}: {', '.join(items) or 'nothing'}" for title, items in missing])


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
