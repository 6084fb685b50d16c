"""The report of one model as one HTML page: the verdict, the evidence for it, and the limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from paincast.contract import BUILT_IN, Contract
from paincast.evaluation.names import name_metric
from paincast.files import atomic_file
from paincast.gates.elsewhere import HELD_OUT_SITES, HELD_OUT_YEARS
from paincast.reporting.figures.report import FIGURES
from paincast.reporting.model.card import write_model_card
from paincast.reporting.model.checklist import FILLED, list_missing
from paincast.reporting.model.limits import BASIS_LIMITS, list_limits
from paincast.reporting.model.run_contents import (
    CHECKLIST,
    CONTRACT,
    OPTIMISM,
    PICTURES,
    RunContents,
    read_run_folder,
    show_count,
    show_interval,
    show_number,
)
from paincast.reporting.model.validation import (
    NOT_VALIDATED,
    list_validation,
    tabulate_external,
    tabulate_held_out,
    tabulate_optimism,
)
from paincast.reporting.page import Figure, Section, write_page
from paincast.schema import RESEARCH_MARK

HEADLINES = (
    "auroc",
    "auroc_within_folds",
    "scaled_brier",
    "log_loss_gain",
    "calibration_slope",
    "ici",
    "coverage",
    "mean_absolute_error",
)
GROUPED = ("subgroups", "sites", "years")
REPORT, CARD = "report.html", "model_card.md"

FIGURE_TITLES = {figure.name: figure.title for figure in FIGURES}


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


def write_report_files(run: RunContents, folder: Path) -> str:
    """Write report and model card into a folder; return the card."""
    card = write_model_card(run)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((REPORT, write_report(run)), (CARD, card)):
        with atomic_file(folder / name) as draft:
            draft.write_text(text, encoding="utf-8")
    return card


def write_report(run: RunContents) -> str:
    """Write the report of one model as HTML that needs nothing but itself.

    Parameters
    ----------
    run : RunContents
        What the run holds.
    """
    tags, basis = run.tags, run.tags["basis"]
    settings = {
        "Question": run.facts.get("question", ""),
        "Horizon": f"month {tags['horizon_months']}",
        "Basis": f"{basis} evidence, {tags['n_real']} real episodes",
        "Model": f"{tags['model_kind']}, version {run.facts.get('content', '')}",
        "Verdict": run.format_verdict(),
        "Use": tags.get("use", RESEARCH_MARK) or "care, as champion",
    }
    return write_page(
        run.title,
        f"{basis.upper()} EVIDENCE. {BASIS_LIMITS[basis][0]}",
        {name: value for name, value in settings.items() if value},
        list(_list_sections(run)),
    )


def _list_sections(run: RunContents) -> Iterator[Section]:
    yield _write_verdict(run)
    yield _write_external(run)
    yield _write_calibration(run)
    yield _write_validation(run)
    yield _write_benefit(run)
    yield _write_uncertainty(run)
    yield _write_explanation(run)
    yield _write_groups(run)
    yield _write_data(run)
    yield Section(name="limits", title="Limits", text="What this model must not be taken for.", items=list_limits(run))
    if CHECKLIST in run.tables:
        yield _write_checklists(run)


def _write_verdict(run: RunContents) -> Section:
    criteria = run.verdict.rename(columns=str.capitalize).rename(columns={"Reason": "Found"})
    criteria["Criterion"] = [name_metric(str(name)) for name in criteria["Criterion"]]
    metrics = run.list_metrics(HEADLINES).drop(columns="Method", errors="ignore")
    return Section(
        name="verdict",
        title="Verdict",
        text=run.format_verdict(),
        verdict=run.tags.get("verdict", "refused"),
        tables={
            **({"Criteria, unmet first": criteria} if len(criteria) else {}),
            "Main metrics, out of fold": metrics,
        },
    )


def _write_external(run: RunContents) -> Section:
    validations = run.validations
    text = NOT_VALIDATED
    if validations:
        text = (
            "What do patients say whom the model had never seen? All cohorts are listed, the worst first. Where one "
            "contradicts the model, it abstains for such patients."
        )
    return Section(
        name="external",
        title="External validation",
        text=text,
        tables={"On other cohorts": tabulate_external(validations)} if validations else {},
    )


def _write_calibration(run: RunContents) -> Section:
    text = "The outcome is a number: the table shows how often its interval contained the observed value."
    if run.facts.get("kind") != "continuous":
        text = (
            "Do predicted probabilities agree with observed frequencies? Observed / expected compares them over all "
            "patients; the slope compares high with low predictions (below 1: predictions too extreme); the flexible "
            "curve and its distances (ICI, E50, E90, Emax) follow them over the whole range. All metrics are out of "
            "fold: for patients the model had not seen."
        )
    return Section(
        name="calibration",
        title="Calibration and discrimination",
        text=text,
        figures=_list_figures(run, "calibration"),
        tables={"All metrics, out of fold": run.list_metrics()},
        numbers=run.tables.get("calibration_curve"),
        layout="tall",
    )


def _write_validation(run: RunContents) -> Section:
    tables = run.tables
    shown = {}
    if OPTIMISM in tables:
        shown["Corrected for optimism"] = tabulate_optimism(tables[OPTIMISM], tables["metrics"])
    for name, title in (
        (HELD_OUT_SITES, "Each site held out in turn"),
        (HELD_OUT_YEARS, "Each year, from those before"),
    ):
        if name in tables:
            shown[title] = tabulate_held_out(tables[name])
    return Section(
        name="validation",
        title="Internal validation: the whole modelling repeated",
        text=(
            "How much of the performance comes from fitting to these very patients, and does it hold at a site or in a "
            "year the model has not seen? Selection, fitting and calibration are repeated each time. Sites are "
            "numbered from the largest; sites with few patients are hidden. This is not external validation."
        ),
        figures=_list_figures(run, "validation"),
        items=list_validation(run),
        tables=shown,
        numbers=tables.get(OPTIMISM),
        layout="tall",
    )


def _write_benefit(run: RunContents) -> Section:
    curve = run.tables.get("decision_curve")
    text = "No decision curve: it needs a probability at one month."
    if curve is not None:
        thresholds = curve["threshold"]
        text = (
            "Does selecting patients by their prognosis do better than treating everybody, treating nobody, or "
            f"deciding by the response that the evidence expects? At thresholds from {thresholds.min():g} to "
            f"{thresholds.max():g}, net benefit counts treated patients who respond and subtracts those treated in "
            "vain, weighted by the odds of the threshold. Gains hold by a band over all thresholds at "
            "once. A prognosis tells who is likely to do poorly after the procedure, not who gains from it: some "
            "would respond without it."
        )
    return Section(
        name="benefit",
        title="Benefit",
        text=text,
        figures=_list_figures(run, "benefit"),
        tables=_list_expected(run),
        numbers=None if curve is None else curve.drop(columns=["group", "method"]),
        layout="tall",
    )


def _list_expected(run: RunContents) -> dict[str, pd.DataFrame]:
    """Give the expected response of each evidence record, and of all patients together, where there is one."""
    table = run.tables.get("expected_response")
    if table is None or table["expected"].isna().any():
        return {}
    rows = table.drop(columns="says").assign(expected=table["expected"].map("{:.0%}".format))
    return {"Expected response, by evidence record": rows.rename(columns=str.capitalize)}


def _write_uncertainty(run: RunContents) -> Section:
    topics = {
        "uncertainty/instability": "how far predictions would move with other patients in the cohort",
        "uncertainty/tipping_point": (
            "how far those lost to follow-up would have to differ for observed / expected to cross a limit"
        ),
    }
    shown = "; ".join(topic for name, topic in topics.items() if name in run.pictures)
    titles = {
        "observation_weights": "Weights of patients followed up, for those lost",
        "sample_size": "Sample size: needed and available",
    }
    level = run.params.get("uncertainty.confidence", "")
    return Section(
        name="uncertainty",
        title="Uncertainty",
        text=f"Every answer has an interval of level {level}.{f' The figures show {shown}.' if shown else ''}",
        figures=_list_figures(run, "uncertainty"),
        tables={title: run.tables[name] for name, title in titles.items() if name in run.tables},
        numbers=run.tables.get("loss_to_follow_up"),
        layout="tall",
    )


def _write_explanation(run: RunContents) -> Section:
    return Section(
        name="explanation",
        title="Explanation",
        text=(
            "Which variables move the predictions? Their contributions add up to the prediction; they say how the "
            "model computes, not what causes relief."
        ),
        figures=_list_figures(run, "explanation"),
        items=[_describe_directions(run)] if "verdict" in run.tables["importance"] else [],
        numbers=run.tables["importance"],
        layout="tall",
    )


def _describe_directions(run: RunContents) -> str:
    """Name the variables whose learned direction conflicts with the published one."""
    importance = run.tables["importance"]
    conflicts = importance.loc[importance["verdict"] == "conflicts", "variable"]
    names = ", ".join(run.contract.label(str(name)) for name in conflicts) or "none"
    n_agree, n_undecided = (int((importance["verdict"] == verdict).sum()) for verdict in ("agrees", "undecided"))
    return (
        f"Learned directions that agree with published evidence: {n_agree}; that conflict with it: {names}; "
        f"undecided: {n_undecided}."
    )


def _write_groups(run: RunContents) -> Section:
    groupings = [name for name in GROUPED if name in run.tables]
    text = "No metrics by group: they need a probability at one month."
    if groupings:
        text = (
            "Do predictions hold for everybody? Small groups are hidden, and so are groups from which a small one "
            "could be worked out. With many groups, some differ by chance. Sites are numbered from the largest."
        )
    return Section(
        name="subgroups",
        title="Subgroups, sites and years",
        text=text,
        figures=_list_figures(run, "subgroups"),
        tables={name.capitalize(): tabulate_groups(run.tables[name], run.contract) for name in groupings},
        numbers=run.tables.get("pooled"),
        layout="tall",
    )


def tabulate_groups(table: pd.DataFrame, contract: Contract = BUILT_IN) -> pd.DataFrame:
    """Give a row for each group: its counts where they may be shown, AUROC and O/E with intervals, and shrunken O/E.

    Parameters
    ----------
    table : DataFrame
        From :func:`paincast.evaluation.groups.subgroups.compute_metrics_by_group`.
    contract : Contract
        Declares the columns.
    """
    rows = []
    for (attribute, category), group in table.groupby(["attribute", "level"], sort=False):
        metrics = {row["metric"]: row for row in group.to_dict("records")}
        ratio = metrics["o_e_ratio"]
        rows.append(
            {
                "Group": f"{contract.label(str(attribute))}: {str(category).replace('_', ' ')}",
                "Episodes": show_count(ratio["n"]),
                "With the outcome": show_count(ratio["n_events"]),
                "Observed / expected": _show_row(ratio),
                "Shrunken": "" if pd.isna(ratio["shrunken"]) else show_number(ratio["shrunken"], 2),
                "AUROC": _show_row(metrics["auroc"]),
            }
        )
    return pd.DataFrame(rows)


def _show_row(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["estimate"]):
        return "too few"
    return f"{show_number(row['estimate'], 2)} ({show_interval(row, 2)})"


def _write_data(run: RunContents) -> Section:
    sources = run.sources
    facts = [(name, value) for name, value in run.facts.items() if name not in ("notes", "sources", CONTRACT)]
    facts += [("source", sources[0])] if len(sources) == 1 else []
    provenance = pd.DataFrame(facts, columns=["Fact", "Value"])
    provenance["Fact"] = provenance["Fact"].str.replace("_", " ")
    tables = {"Provenance": provenance}
    if "flow" in run.tables:
        flow = run.tables["flow"]
        flow = flow.assign(n=flow["n"].map(show_count)).rename(columns={"step": "Step", "n": "Episodes"})
        tables = {"Episodes included and excluded": flow, **tables}
    return Section(
        name="data",
        title="Data and provenance",
        text=(
            "Who are the patients, who was excluded and why, and with which software was the model made? Counts under "
            "five are not shown, nor counts from which they could be worked out."
        ),
        tables=tables,
        folded={"Sources": sources} if len(sources) > 1 else {},
        numbers=run.tables.get("characteristics"),
    )


def _write_checklists(run: RunContents) -> Section:
    checklists = run.tables[CHECKLIST]
    lines = []
    for title, missing in list_missing(checklists):
        items = checklists[checklists["checklist"] == title]
        n_filled = int((items["status"] == FILLED).sum())
        lines.append(f"{title}: {n_filled} of {len(items)} items are filled; missing: {', '.join(missing) or 'none'}.")
    return Section(
        name="checklists",
        title="Checklists",
        text=(
            "What reporting guidelines ask for, in short words of our own, and where the run holds it. 'Filled' means "
            "that there is something to read, not that the answer is yes: people judge the risk of bias."
        ),
        items=lines,
        tables={
            str(title): items.drop(columns="checklist").rename(columns=str.capitalize)
            for title, items in checklists.groupby("checklist", sort=False)
        },
    )


def _list_figures(run: RunContents, folder: str) -> list[Figure]:
    table = run.tables.get(PICTURES)
    captions = {} if table is None else dict(zip(table["figure"], table["shows"], strict=True))
    return [
        Figure(image=run.pictures[name], alt=f"{_name_figure(name)}. It is described below.", caption=caption)
        for name, caption in captions.items()
        if name.partition("/")[0] == folder and name in run.pictures
    ]


def _name_figure(name: str) -> str:
    return FIGURE_TITLES.get(name, name.rpartition("/")[2].replace("_", " ").capitalize())
