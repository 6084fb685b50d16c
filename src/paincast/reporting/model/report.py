"""The report of one model as one HTML page: the verdict first, then what it rests on, then its limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from paincast.evaluation.names import name_metric
from paincast.files import atomic_file
from paincast.reporting.figures.performance import display_name
from paincast.reporting.model.card import write_model_card
from paincast.reporting.model.checklist import FILLED, list_missing
from paincast.reporting.model.limits import BASIS_LIMITS, list_limits
from paincast.reporting.model.run_facts import (
    CHECKLIST,
    HELD_OUT_SITES,
    HELD_OUT_YEARS,
    OPTIMISM,
    PICTURES,
    RunFacts,
    read_run_folder,
    show_interval,
    show_number,
)
from paincast.reporting.model.validation import list_validation, tabulate_held_out, tabulate_optimism
from paincast.reporting.page import Folded, Panel, Section, Sheet, write_page
from paincast.schema import RESEARCH_MARK

HEADLINES = ("auroc", "o_e_ratio", "calibration_slope", "ici", "coverage", "mean_absolute_error")
GROUPED = ("subgroups", "sites", "years")
REPORT, CARD = "report.html", "model_card.md"

PICTURE_TITLES = {
    "calibration": "Calibration curve",
    "decision_curve": "Decision curve",
    "instability": "Prediction instability plot",
    "tipping_point": "Tipping point of those lost to follow-up",
    "shap_importance": "Importance of variables",
    "shap_contributions": "Contributions of variables",
    "shap_dependence": "Contribution by value of the variable",
    "shap_low": "Contributions in the fifth with the lowest predictions",
    "shap_high": "Contributions in the fifth with the highest predictions",
    **{name: f"Observed / expected by {name}" for name in GROUPED},
    HELD_OUT_SITES: "Sites held out in turn",
    HELD_OUT_YEARS: "Years predicted from those before",
}


def write_report_folder(folder: Path, tags: Mapping[str, str], params: Mapping[str, str]) -> str:
    """Write report and model card of a run beside its tables and figures.

    Parameters
    ----------
    folder : Path
        Holds ``tables`` and ``figures``; ``report/report.html`` and ``report/model_card.md`` are written into it.
    tags, params : mapping of str to str
        Of the run.

    Returns
    -------
    str
        The model card.
    """
    return write_report_files(read_run_folder(folder, tags, params), folder / "report")


def write_report_files(run: RunFacts, folder: Path) -> str:
    """Write report and model card into a folder and give the card."""
    card = write_model_card(run)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((REPORT, write_report(run)), (CARD, card)):
        with atomic_file(folder / name) as draft:
            draft.write_text(text, encoding="utf-8")
    return card


def write_report(run: RunFacts) -> str:
    """Write the report of one model as HTML that needs nothing but itself.

    Parameters
    ----------
    run : RunFacts
        What the run holds.
    """
    tags, basis = run.tags, run.tags["basis"]
    head = {
        "Question": run.facts.get("question", ""),
        "Asked at": f"month {tags['horizon_months']}",
        "Stands on": f"{basis} evidence, {tags['n_real']} real episodes",
        "Model": f"{tags['model_kind']}, version {run.facts.get('content', '')}",
        "Verdict": run.say_verdict(),
        "Use": tags.get("use", RESEARCH_MARK) or "care, as champion",
    }
    return write_page(
        run.title,
        f"{basis.upper()} EVIDENCE. {BASIS_LIMITS[basis][0]}",
        {name: told for name, told in head.items() if told},
        list(_list_sections(run)),
    )


def _list_sections(run: RunFacts) -> Iterator[Section]:
    yield _write_verdict(run)
    yield _write_calibration(run)
    yield _write_validation(run)
    yield _write_benefit(run)
    yield _write_uncertainty(run)
    yield _write_explanation(run)
    yield _write_groups(run)
    yield _write_data(run)
    yield Section(name="limits", title="Limits", said="What this model must not be taken for.", listed=list_limits(run))
    if CHECKLIST in run.tables:
        yield _write_checklists(run)


def _write_verdict(run: RunFacts) -> Section:
    found = run.verdict.rename(columns=str.capitalize).rename(columns={"Reason": "Found"})
    found["Criterion"] = [name_metric(str(name)) for name in found["Criterion"]]
    numbers = run.list_metrics(HEADLINES)
    return Section(
        name="verdict",
        title="Verdict",
        said=run.say_verdict(),
        verdict=run.tags.get("verdict", "refused"),
        sheets=[
            *([Sheet(title="Criteria, what stands in the way first", rows=found)] if len(found) else []),
            Sheet(title="Main numbers, out of fold", rows=numbers.drop(columns="Method", errors="ignore")),
        ],
    )


def _write_calibration(run: RunFacts) -> Section:
    said = "The outcome is a number: its interval is held against what came, in the table of all numbers."
    if run.facts.get("kind") != "continuous":
        said = (
            "Does what is predicted come true? Observed / expected asks it of all patients together, the slope of high "
            "against low predictions (below 1 they are too extreme), the flexible curve and its distances (ICI, E50, "
            "E90, Emax) all along the range. All numbers are of patients the model had not seen."
        )
    return Section(
        name="calibration",
        title="Calibration and discrimination",
        said=said,
        panels=_list_panels(run, "calibration"),
        sheets=[Sheet(title="All numbers, out of fold", rows=run.list_metrics())],
        numbers=run.tables.get("calibration_curve"),
        tall=True,
    )


def _write_validation(run: RunFacts) -> Section:
    tables = run.tables
    sheets = [
        Sheet(title=title, rows=tabulate_held_out(tables[name]))
        for name, title in ((HELD_OUT_SITES, "Sites, each held out"), (HELD_OUT_YEARS, "Years, from those before"))
        if name in tables
    ]
    if OPTIMISM in tables:
        rows = tabulate_optimism(tables[OPTIMISM], tables["metrics"])
        sheets.insert(0, Sheet(title="Corrected for optimism", rows=rows))
    return Section(
        name="validation",
        title="Internal validation: the whole modelling done again",
        said=(
            "How much of the performance comes of fitting to these very patients, and does it hold at a site or in a "
            "year the model has not seen? Choosing, fitting and calibrating are done again each time. Sites are "
            "numbered from the largest; those of few patients are hidden. What lies outside is still another question."
        ),
        panels=_list_panels(run, "validation"),
        listed=list_validation(run),
        sheets=sheets,
        numbers=tables.get(OPTIMISM),
        tall=True,
    )


def _write_benefit(run: RunFacts) -> Section:
    table = run.tables.get("decision_curve")
    said = "No decision curve: it is drawn of a probability at one month."
    if table is not None:
        cuts = table["threshold"]
        said = (
            "Would deciding by the model do better than treating everybody, or nobody, or by the response that the "
            f"evidence expects of such patients? At each threshold from {cuts.min():g} to {cuts.max():g}, net benefit "
            "counts those treated who respond and takes off those treated in vain, at the price that the threshold "
            "implies. Intervals hold for each threshold on its own."
        )
    return Section(
        name="benefit",
        title="Benefit",
        said=said,
        panels=_list_panels(run, "benefit"),
        sheets=_list_expected(run),
        numbers=None if table is None else table.drop(columns=["group", "method"]),
        tall=True,
    )


def _list_expected(run: RunFacts) -> list[Sheet]:
    """Give the expected response of each evidence record, and of all patients together, where there is one."""
    table = run.tables.get("expected_response")
    if table is None or table["expected"].isna().any():
        return []
    rows = table.drop(columns="says").assign(expected=table["expected"].map("{:.0%}".format))
    return [Sheet(title="Expected response, by evidence record", rows=rows.rename(columns=str.capitalize))]


def _write_uncertainty(run: RunFacts) -> Section:
    level, panels = run.params.get("uncertainty.level", ""), _list_panels(run, "uncertainty")
    told = {
        "uncertainty/instability": "how far answers would move had other patients been in the cohort",
        "uncertainty/tipping_point": (
            "how far those lost to follow-up would have to differ for observed / expected to cross a limit"
        ),
    }
    beside = "; ".join(words for name, words in told.items() if name in run.pictures)
    return Section(
        name="uncertainty",
        title="Uncertainty",
        said=f"Every answer comes with an interval of level {level}.{f' Beside it: {beside}.' if beside else ''}",
        panels=panels,
        sheets=[
            Sheet(title=title, rows=run.tables[name])
            for name, title in (
                ("observation_weights", "Weights of those followed, for those lost"),
                ("sample_size", "Sample size: needed and available"),
            )
            if name in run.tables
        ],
        numbers=run.tables.get("loss_to_follow_up"),
        tall=True,
    )


def _write_explanation(run: RunFacts) -> Section:
    return Section(
        name="explanation",
        title="Explanation",
        said=(
            "What moves the predictions. Contributions of the variables add up to what is served; they say how the "
            "model reckons, not what causes relief."
        ),
        panels=_list_panels(run, "explanation"),
        listed=[_say_directions(run.tables["importance"])] if "verdict" in run.tables["importance"] else [],
        numbers=run.tables["importance"],
        tall=True,
    )


def _say_directions(importance: pd.DataFrame) -> str:
    """Say which variables the model has learned the other way round than published."""
    conflicts = importance.loc[importance["verdict"] == "conflicts", "variable"]
    named = ", ".join(display_name(str(name)) for name in conflicts) or "none"
    agreeing, unsure = (int((importance["verdict"] == verdict).sum()) for verdict in ("agrees", "undecided"))
    return (
        f"Directions that agree with published evidence: {agreeing}; that conflict with it: {named}; of no sure "
        f"direction: {unsure}."
    )


def _write_groups(run: RunFacts) -> Section:
    named = [name for name in GROUPED if name in run.tables]
    said = "No metrics by group: they are made of a probability at one month."
    if named:
        said = (
            "Do predictions hold for everybody? Groups of few patients are hidden, and those from which they could be "
            "worked out; many groups differ by chance. Sites are numbered from the largest."
        )
    return Section(
        name="subgroups",
        title="Subgroups, sites and years",
        said=said,
        panels=_list_panels(run, "subgroups"),
        sheets=[Sheet(title=name.capitalize(), rows=tabulate_groups(run.tables[name])) for name in named],
        numbers=run.tables.get("pooled"),
        tall=True,
    )


def tabulate_groups(table: pd.DataFrame) -> pd.DataFrame:
    """Give a row for each group: its counts where they may be told, AUROC and O/E with intervals, and shrunken O/E.

    Parameters
    ----------
    table : DataFrame
        From :func:`paincast.evaluation.groups.subgroups.compute_metrics_by_group`.
    """
    rows = []
    for (attribute, level), own in table.groupby(["attribute", "level"], sort=False):
        by_metric = {row["metric"]: row for row in own.to_dict("records")}
        ratio = by_metric["o_e_ratio"]
        rows.append(
            {
                "Group": f"{display_name(str(attribute))}: {str(level).replace('_', ' ')}",
                "Episodes": _show_count(ratio["n"]),
                "With the outcome": _show_count(ratio["n_events"]),
                "Observed / expected": _show_row(ratio),
                "Shrunken": "" if pd.isna(ratio["shrunken"]) else show_number(ratio["shrunken"], 2),
                "AUROC": _show_row(by_metric["auroc"]),
            }
        )
    return pd.DataFrame(rows)


def _show_row(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["estimate"]):
        return "too few"
    return f"{show_number(row['estimate'], 2)} ({show_interval(row, 2)})"


def _show_count(n: float) -> str:
    return "not shown" if pd.isna(n) else f"{n:,.0f}"


def _write_data(run: RunFacts) -> Section:
    sources = run.sources
    facts = [(name, told) for name, told in run.facts.items() if name not in ("notes", "sources")]
    facts += [("source", sources[0])] if len(sources) == 1 else []
    rows = pd.DataFrame(facts, columns=["Fact", "Value"])
    rows["Fact"] = rows["Fact"].str.replace("_", " ")
    sheets = [Sheet(title="Where it comes from", rows=rows)]
    if "flow" in run.tables:
        flow = run.tables["flow"]
        told = flow.assign(n=flow["n"].map(_show_count)).rename(columns={"step": "Step", "n": "Episodes"})
        sheets = [Sheet(title="Who was counted in, and who was left out", rows=told), *sheets]
    return Section(
        name="data",
        title="Data and provenance",
        said=(
            "Who the patients are, who was left out and why, and what the model was made with. Counts under five are "
            "not shown, nor those from which they could be worked out."
        ),
        sheets=sheets,
        folded=[Folded(title="Sources", listed=sources)] if len(sources) > 1 else [],
        numbers=run.tables.get("characteristics"),
    )


def _write_checklists(run: RunFacts) -> Section:
    table = run.tables[CHECKLIST]
    lines = []
    for title, absent in list_missing(table):
        own = table[table["checklist"] == title]
        filled = int((own["status"] == FILLED).sum())
        lines.append(f"{title}: {filled} of {len(own)} items are filled; missing: {', '.join(absent) or 'none'}.")
    return Section(
        name="checklists",
        title="Checklists",
        said=(
            "What guidelines ask to be reported, in short words of our own, each with where the run holds it. 'Filled' "
            "says that there is something to read, not that the answer is yes: judging the risk of bias is for people."
        ),
        listed=lines,
        sheets=[
            Sheet(title=str(title), rows=own.drop(columns="checklist").rename(columns=str.capitalize))
            for title, own in table.groupby("checklist", sort=False)
        ],
    )


def _list_panels(run: RunFacts, folder: str) -> list[Panel]:
    table = run.tables.get(PICTURES)
    shows = {} if table is None else dict(zip(table["figure"], table["shows"], strict=True))
    return [
        Panel(picture=run.pictures[name], alternative=f"{_name_picture(name)}. It is told below.", caption=caption)
        for name, caption in shows.items()
        if name.partition("/")[0] == folder and name in run.pictures
    ]


def _name_picture(name: str) -> str:
    last = name.rpartition("/")[2]
    return PICTURE_TITLES.get(last, last.replace("_", " ").capitalize())
