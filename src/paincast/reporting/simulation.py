"""The report of a simulated cohort beside its evidence, and how much a model could learn from it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from paincast.cohort.tables import Cohort, load_cohort, read_manifest
from paincast.errors import RefusalError
from paincast.evaluation.simulated import baseline as numbers
from paincast.evaluation.simulated import course
from paincast.evaluation.simulated.truth import load_whole_truth
from paincast.evidence.figures import Record
from paincast.files import atomic_file
from paincast.reporting.figures import simulation as plots
from paincast.reporting.page import Figure, Section, write_page
from paincast.schema import NO_PROCEDURE
from paincast.simulator import Truth, documented_correlations, simulate_cohort, simulate_referrals
from paincast.simulator.course.response import scale_curve

NOTE = (
    "Everything here is synthetic: patients were drawn from published figures, many of them assumed or judged. The "
    "report checks the generator; it is no evidence that a procedure works, and no medical advice."
)

MOST_EPISODES = 10_000
"""Most episodes of a technique, or patients of an indication, that are shown."""

ABBREVIATIONS = {"crps", "esi", "rfa", "eq5d", "nrs", "odi", "pcs"}


def report_simulation(folder: str | Path, path: str | Path) -> int:
    """Write the report of a simulated cohort as one HTML file that needs no network.

    Of a large cohort the first episodes of each technique (or the first patients of each indication) are shown: they
    are simulated again from its seed, because a smaller cohort of the same seed is a part of a larger one.

    Parameters
    ----------
    folder : str or Path
        Folder of the cohort, with its truth.
    path : str or Path
        The file.

    Returns
    -------
    int
        Episodes shown.

    Raises
    ------
    RefusalError
        If the cohort is not simulated, or it is large and its assumptions are not the default ones.
    DataError
        If the folder is no cohort or its truth is missing or changed.
    """
    cohort, truth = _read_part(Path(folder))
    cohort = _leave_out_untreated(cohort)
    text = write_report(cohort, truth.expand(outcome="pain_response"), truth.propensity)
    with atomic_file(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return len(cohort.episodes)


def _leave_out_untreated(cohort: Cohort) -> Cohort:
    """Keep the episodes with a procedure: there are no published figures of the others."""
    episodes = cohort.episodes[cohort.episodes["technique"] != NO_PROCEDURE].reset_index(drop=True)
    visits, events = (
        table[table["episode_id"].isin(episodes["episode_id"])].reset_index(drop=True)
        for table in (cohort.visits, cohort.events)
    )
    return replace(cohort, episodes=episodes, visits=visits, events=events)


def _read_part(folder: Path) -> tuple[Cohort, Truth]:
    manifest = read_manifest(folder)
    details = manifest["details"]
    asked = details.get("patients_per_indication") or details.get("episodes_per_technique", 0)
    if manifest["basis"] != "synthetic" or asked <= MOST_EPISODES:
        return load_cohort(folder), load_whole_truth(folder)
    if details["changed_assumptions"]:
        raise RefusalError(
            f"{folder} is too large to show and was simulated with changed assumptions "
            f"({', '.join(details['changed_assumptions'])}); simulate at most {MOST_EPISODES} episodes of a technique, "
            "or patients of an indication",
            code="PC-REPORTING-02",
        )
    world = {name: details[name] for name in ("scenario", "seed")}
    if "indications" in details:
        return simulate_referrals(
            indications=details["indications"],
            patients_per_indication=MOST_EPISODES,
            keep_untreated=details["keep_untreated"],
            **world,
        )
    return simulate_cohort(techniques=details["techniques"], episodes_per_technique=MOST_EPISODES, **world)


def write_report(cohort: Cohort, probabilities: pd.DataFrame, propensity: pd.DataFrame) -> str:
    """Write the report of a simulated cohort.

    Parameters
    ----------
    cohort : Cohort
        A simulated cohort.
    probabilities : DataFrame
        Its truth: ``episode_id, technique, outcome, month, probability, control_probability``.
    propensity : DataFrame
        ``episode_id, technique, approach, probability``.

    Returns
    -------
    str
        HTML.
    """
    details = cohort.details
    settings = {
        "Scenario": str(details.get("scenario", "unknown")),
        "Seed": str(details.get("seed", "unknown")),
        "Episodes": f"{len(cohort.episodes):,}, of {cohort.episodes['technique'].nunique()} techniques",
        "Basis": cohort.basis,
        "Evidence version": str(details.get("evidence_version", "unknown")),
        "Changed assumptions": ", ".join(details.get("changed_assumptions", [])) or "none",
    }
    responses = probabilities[probabilities["outcome"] == "pain_response"]
    return write_page(
        "A simulated cohort beside its evidence", NOTE, settings, _make_sections(cohort, responses, propensity)
    )


def _make_sections(cohort: Cohort, responses: pd.DataFrame, propensity: pd.DataFrame) -> list[Section]:
    records = {name: record for name, (record, _) in numbers.find_records(cohort.episodes).items()}
    return [
        _show_response(cohort, responses, records),
        _show_marginals(cohort),
        _show_correlations(cohort),
        _show_overlap(cohort, propensity),
        _show_ceilings(cohort, responses),
        _show_funnel(cohort),
        _show_events(cohort),
        _show_missingness(cohort),
        _show_follow_up(cohort),
    ]


def _show_response(cohort: Cohort, responses: pd.DataFrame, records: dict[str, Record]) -> Section:
    scenario = str(cohort.details["scenario"])
    curves = {name: scale_curve(record, scenario) for name, record in records.items()}
    response = course.compute_response(cohort, responses, curves)
    published = course.list_published(records.values())
    figures = [Figure(image=plots.draw_response_key(), alt="Key of the figures that follow.")]
    for name, group in response.groupby("record", sort=False):
        title = _title_of(records[str(name)])
        ax = plots.plot_response(group, published[published["record"] == name], title)
        figures.append(Figure(image=ax, alt=f"{_flat(title)}: {_describe_curve(group)}"))
    gap = (response["truth"] - response["evidence"]).abs()
    bias = 100 * (response["observed"] - response["truth"]).mean()
    text = (
        f"The mean true probability of those treated lies within {100 * gap.max():.1f} percentage points of the "
        f"evidence curve, {(gap / response['truth_error']).max():.1f} standard errors at most: what remains is the "
        f"chance of small records. The registry sees a share {abs(bias):.1f} points {'above' if bias > 0 else 'below'} "
        "the truth on average: who does not respond is lost more often."
    )
    table = pd.concat([response, published.rename(columns={"share": "published"})], ignore_index=True)
    return Section(
        name="response", title="Response curves", text=text, figures=figures, numbers=table.drop(columns="technique")
    )


def _describe_curve(group: pd.DataFrame) -> str:
    parts = [
        f"month {row['month']:g}: evidence {row['evidence']:.2f}, truth {row['truth']:.2f}, seen {row['observed']:.2f}"
        for row in group.to_dict("records")
    ]
    return "; ".join(parts) + "."


def _show_marginals(cohort: Cohort) -> Section:
    marginals = numbers.compute_marginals(cohort)
    worst = marginals.iloc[int(marginals["difference"].abs().argmax())]
    near = (marginals["difference"].abs() <= 0.1).mean()
    text = (
        f"{near:.0%} of {len(marginals)} columns of records lie within 0.1 standard deviations (shaded) of their "
        f"published baseline; the farthest is {_spaced(worst['column'])} in {_spaced(worst['record'])} "
        f"({worst['difference']:+.2f}). Records of one indication share its patients, and who gets which technique "
        "depends on pain, age and site: differences are meant where choice is confounded."
    )
    figures = list(_figures_by(marginals, "technique", plots.plot_differences, _describe_differences))
    return Section(name="marginals", title="Baseline against evidence", text=text, figures=figures, numbers=marginals)


def _describe_differences(group: pd.DataFrame) -> str:
    worst = group.iloc[int(group["difference"].abs().argmax())]
    return (
        f"{len(group)} columns, median distance {group['difference'].abs().median():.2f} standard deviations; largest "
        f"{_spaced(worst['column'])}, {worst['difference']:+.2f}."
    )


def _show_correlations(cohort: Cohort) -> Section:
    matrix = numbers.compute_correlations(cohort.episodes)
    pairs = _list_pairs(matrix)
    strongest = pairs.iloc[int(pairs["correlation"].abs().argmax())]
    text = (
        f"Distress, pain, disability and opioid use go together: the strongest of {len(pairs)} correlations is that of "
        f"{_spaced(strongest['column'])} and {_spaced(strongest['with'])} ({strongest['correlation']:+.2f}). "
        "Correlations are those of the normal scores behind each column, within indications, so that yes/no columns do "
        "not weaken them."
    )
    figure = Figure(image=plots.plot_correlations(matrix, _document(matrix)), alt=text)
    return Section(name="correlation", title="Correlation", text=text, figures=[figure], numbers=pairs, layout="wide")


def _document(matrix: pd.DataFrame) -> pd.DataFrame:
    documented = documented_correlations().rename(
        index={"opioid_use": "opioid_mme"}, columns={"opioid_use": "opioid_mme"}
    )
    return documented.reindex(index=matrix.index, columns=matrix.columns)


def _list_pairs(matrix: pd.DataFrame) -> pd.DataFrame:
    row, column = np.nonzero(np.triu(np.isfinite(matrix.to_numpy()), 1))
    names = matrix.index.to_numpy()
    correlations = matrix.to_numpy()[row, column]
    return pd.DataFrame({"column": names[row], "with": names[column], "correlation": correlations})


def _show_overlap(cohort: Cohort, propensity: pd.DataFrame) -> Section:
    overlap = numbers.compute_overlap(cohort.episodes, propensity)
    if overlap.empty:
        return Section(name="overlap", title="Propensity overlap", text="No indication has more than one option.")
    single = overlap.drop_duplicates(["indication", "option"])
    text = (
        f"{len(single)} options compete in {single['indication'].nunique()} indications. The shared area of the two "
        f"distributions runs from {single['overlap'].min():.2f} to {single['overlap'].max():.2f} (1: chosen as by lot; "
        "0: no patient could have had the other)."
    )
    figures = []
    for (indication, option), group in overlap.groupby(["indication", "option"], sort=False):
        title = f"{_spaced(option)}\nin {_spaced(indication)}"
        alt = f"{_spaced(option)} in {_spaced(indication)}: shared area {group['overlap'].iloc[0]:.2f}."
        figures.append(Figure(image=plots.plot_overlap(group, title), alt=alt))
    return Section(
        name="overlap",
        title="Propensity overlap",
        text=text,
        figures=figures,
        numbers=single[["indication", "option", "n", "overlap"]],
    )


def _show_ceilings(cohort: Cohort, responses: pd.DataFrame) -> Section:
    ceilings = course.compute_ceilings(cohort, responses)
    text = (
        f"Even the true probability ranks patients no better than an AUROC of {ceilings['ceiling'].min():.2f} to "
        f"{ceilings['ceiling'].max():.2f}: no model of pain response on this cohort can be expected above it; one with "
        "its whole interval above it has seen the outcome. Intervals: 95 % of the outcomes that could be drawn."
    )
    summary = "; ".join(f"{_spaced(row['technique'])} {row['ceiling']:.2f}" for row in ceilings.to_dict("records"))
    figure = Figure(
        image=plots.plot_ceilings(ceilings.assign(technique=ceilings["technique"].map(_spaced))),
        alt=f"Highest expected AUROC: {summary}.",
    )
    return Section(name="ceiling", title="The AUROC ceiling", text=text, figures=[figure], numbers=ceilings)


def _show_funnel(cohort: Cohort) -> Section:
    funnel = course.compute_funnel(cohort)
    if funnel.empty:
        return Section(
            name="funnel", title="Trial, block and treatment", text="No technique here has a trial or block."
        )
    funnel["name"] = [_name_option(row) for row in funnel.to_dict("records")]
    gap = funnel["response_per_treated"] - funnel["response_intention_to_treat"]
    text = (
        f"{len(funnel)} options have a trial or diagnostic block that {funnel['passes'].min():.0%} to "
        f"{funnel['passes'].max():.0%} pass. Published rates are those of the treated; counted over all who were "
        f"referred they are {100 * gap.min():.0f} to {100 * gap.max():.0f} percentage points lower."
    )
    rates = funnel.assign(least=funnel["passes"], most=funnel["passes"])
    summary = "; ".join(f"{_flat(row['name'])} {row['observed']:.0%} go on" for row in rates.to_dict("records"))
    going = plots.plot_rates(rates, "Who, of those referred, goes on", "Share (bar: as set)")
    response = plots.plot_funnel(funnel, "Response at the primary month")
    figures = [Figure(image=going, alt=f"{summary}."), Figure(image=response, alt=text)]
    return Section(
        name="funnel",
        title="Trial, block and treatment",
        text=text,
        figures=figures,
        numbers=funnel.drop(columns="name"),
    )


def _name_option(row: Mapping[Hashable, Any]) -> str:
    approach = f" ({row['approach']})" if isinstance(row["approach"], str) else ""
    return f"{_spaced(row['technique'])}{approach}\nin {_spaced(row['indication'])}"


def _show_events(cohort: Cohort) -> Section:
    events = course.compute_events(cohort)
    if events.empty:
        return Section(name="events", title="Complications and other events", text="The cohort holds no event.")
    known = events[events["least"].notna()]
    inside = ((known["lower"] <= known["most"]) & (known["upper"] >= known["least"])).mean()
    text = (
        f"{len(known)} kinds of event have a published rate (grey: its range; bar: the middle, which is "
        f"what is drawn); {inside:.0%} of the 95 % intervals reach it. {len(events) - len(known)} others rest on an "
        "assumption. Events after a death are none, and those after the end of the data are not seen."
    )
    titles = {name: _title_of(record) for name, (record, _) in numbers.find_records(cohort.episodes).items()}
    figures = []
    for name, group in events.assign(name=events["event"]).groupby("record", sort=False):
        ax = plots.plot_rates(group, titles[str(name)], "Share (grey: as published)")
        figures.append(Figure(image=ax, alt=f"{_flat(titles[str(name)])}: {_describe_events(group)}"))
    return Section(name="events", title="Complications and other events", text=text, figures=figures, numbers=events)


def _describe_events(group: pd.DataFrame) -> str:
    return "; ".join(f"{row['event']} {row['observed']:.1%}" for row in group.head(12).to_dict("records")) + "."


def _show_missingness(cohort: Cohort) -> Section:
    missing = numbers.compute_missingness(cohort.episodes)
    if missing.empty:
        return Section(name="missing", title="Missing values", text="No value is missing among recorded columns.")
    first = missing.iloc[0]
    text = (
        f"{len(missing)} columns have gaps; most often {_spaced(first['column'])} ({first['missing']:.0%}). "
        "Columns that a technique does not record at all are not counted."
    )
    summary = "; ".join(f"{_spaced(row['column'])} {row['missing']:.0%}" for row in missing.head(8).to_dict("records"))
    figure = Figure(image=plots.plot_missingness(missing), alt=f"Share missing: {summary}.")
    return Section(name="missing", title="Missing values", text=text, figures=[figure], numbers=missing)


def _show_follow_up(cohort: Cohort) -> Section:
    follow_up = course.compute_follow_up(cohort)
    last = follow_up.sort_values("month").groupby("record").tail(1)["held"]
    text = (
        f"At the last month of their curve, records keep a pain score of {last.min():.0%} to {last.max():.0%} of their "
        "episodes. Dashed: who is not known to have died. The rest is lost for good, missed a visit, or is not due yet."
    )
    figures = list(_figures_by(follow_up, "technique", plots.plot_follow_up, _describe_follow_up))
    return Section(name="loss", title="Loss to follow-up", text=text, figures=figures, numbers=follow_up)


def _describe_follow_up(group: pd.DataFrame) -> str:
    mean = group.groupby("month")["held"].mean()
    return (
        "Share with a pain score: " + "; ".join(f"month {month:g} {share:.0%}" for month, share in mean.items()) + "."
    )


def _figures_by(
    frame: pd.DataFrame, column: str, plot: Callable[[pd.DataFrame, str], Axes], describe: Callable[[pd.DataFrame], str]
) -> Iterator[Figure]:
    for name, group in frame.groupby(column, sort=False):
        title = _spaced(name)
        yield Figure(image=plot(group, title), alt=f"{title}: {describe(group)}")


def _title_of(record: Record) -> str:
    approach = f" ({record.approach})" if record.approach else ""
    return f"{_spaced(record.technique)}{approach}\nin {_spaced(record.indication)}"


def _flat(title: str) -> str:
    return title.replace("\n", " ")


def _spaced(name: object) -> str:
    words = str(name).replace("_", " ").split()
    return " ".join(word.upper() if word in ABBREVIATIONS else word for word in words)
