"""The sections of the page of a profile: what each shows, in a sentence, or why it shows nothing."""

from __future__ import annotations

import pandas as pd

from paincast.profiling import Profile
from paincast.reporting.figures import profile as plots
from paincast.reporting.page import Figure, Section
from paincast.reporting.profile import tables
from paincast.reporting.profile.findings import is_empty, name_variable

MOST_COLUMNS = 25
MOST_VARIABLES = 20
MOST_LINKS = 12
MOST_ROWS = 12
FEWEST_YEARS, FEWEST_MONTHS = 2, 2


def show_flow(profile: Profile) -> Section:
    """Show who is in the cohort, and what a model could use."""
    source, rejects = tables.tabulate_source(profile), tables.tabulate_rejects(profile)
    shown = {"How many episodes have what a model needs": tables.tabulate_flow(profile)}
    if len(source):
        shown["Before the episodes"] = source
    if len(rejects):
        shown["Left out by the reader, by rule"] = rejects
    shown["By technique"] = tables.tabulate_techniques(profile)
    flow = profile.tables["flow"]
    figures = [] if is_empty(flow) else [Figure(image=plots.plot_flow(flow), alt=_describe_flow(flow))]
    text = "Who is in the cohort, and how many episodes have what a model of pain response needs?"
    if not len(rejects):
        text += " No list of rejects stands beside the cohort, or it is empty."
    return Section(name="flow", title="Flow", text=text, figures=figures, tables=shown)


def _describe_flow(flow: pd.DataFrame) -> str:
    parts = [f"{row['step']} {tables.format_share(row['share']) or row['note']}" for row in flow.to_dict("records")]
    return f"Share of episodes with: {'; '.join(parts)}."


def show_combinations(profile: Profile) -> Section:
    """Show which combinations of values cannot be, or hardly."""
    combinations = profile.tables["combinations"]
    broken = tables.tabulate_combinations(profile)
    fine = combinations[~tables.is_broken(combinations) & (combinations["n"].fillna(1) > 0)]
    silent = combinations[combinations["n"].fillna(1) == 0]
    text = (
        f"Which values contradict one another? {len(combinations)} rules are declared: {len(broken)} are broken, "
        f"{len(fine)} hold in all episodes that can be judged, {len(silent)} cannot be judged. "
        "A broken rule points more often to a mapping to mend than to a patient."
    )
    return Section(
        name="combinations",
        title="Impossible combinations",
        text=text,
        tables={"Broken rules": broken} if len(broken) else {},
        folded={
            "Rules that hold": [f"not found: {row['finding']}" for row in fine.to_dict("records")],
            "Rules that cannot be judged": [
                f"{row['finding']}: needs {row['columns']}" for row in silent.to_dict("records")
            ],
        },
    )


def show_missing(profile: Profile) -> Section:
    """Show which values are missing, together with which, and whether that matters."""
    missing = profile.tables["missing"]
    inputs = missing[(missing["table"] == "episodes") & (missing["share"] > 0)]
    absent = missing[(missing["table"] == "episodes") & (missing["n"].fillna(1) == 0)]
    top = inputs.sort_values("share", ascending=False, kind="stable").head(MOST_COLUMNS)
    top = top.assign(column=top["column"].map(profile.contract.label))
    figures = [] if top.empty else [Figure(image=plots.plot_missing(top), alt=_describe_missing(top))]
    text = (
        "Which values are missing? A column counts in the episodes of techniques that record it at least once. Where "
        "several techniques record it, a difference in response can be one of techniques."
    )
    if top.empty:
        text += " No recorded column has a gap that may be shown."
    links = tables.tabulate_missing_links(profile)
    shown = {"Columns missing together": tables.tabulate_patterns(profile)}
    if len(links):
        shown["Does it matter? Follow-up and response where a column is known, and where it is missing"] = links.head(
            15
        )
    return Section(
        name="missing",
        title="Missing values",
        text=text,
        figures=figures,
        tables=shown,
        numbers=pd.concat(
            [tables.tabulate_missing(profile, table).assign(Table=table) for table in ("episodes", "visits")],
            ignore_index=True,
        ),
        folded={"Columns that are not recorded at all": [profile.contract.label(name) for name in absent["column"]]},
    )


def _describe_missing(top: pd.DataFrame) -> str:
    parts = [f"{row['column']} {row['share']:.0%}" for row in top.head(8).to_dict("records")]
    return f"Share missing: {'; '.join(parts)}."


def show_missing_by_site(profile: Profile) -> Section:
    """Show which site leaves which column empty."""
    by_site = profile.tables["missing_by_site"]
    title, name = "Missing values by site", "missing-by-site"
    if by_site["site"].nunique() < 2:
        return Section(name=name, title=title, text="The cohort tells of no site, or of one only.")
    named = by_site.assign(column=by_site["column"].map(profile.contract.label))
    grid = _make_grid(named, "column", "site")
    text = (
        "Does one site leave empty what others record? Percent of values missing, of the sites with most episodes; "
        "where every site lacks the same, the form lacks it."
    )
    return Section(
        name=name,
        title=title,
        text=text,
        figures=_draw_grid(grid.head(MOST_COLUMNS), "Missing, %", text),
        numbers=by_site,
        layout="tall",
    )


def _make_grid(shares: pd.DataFrame, rows: str, columns: str) -> pd.DataFrame:
    """Arrange shares in rows and columns, in the order in which they stand."""
    order = list(dict.fromkeys(shares[rows])), list(dict.fromkeys(shares[columns]))
    grid = shares.set_index([rows, columns])["share"].unstack(columns)
    return grid.reindex(index=order[0], columns=order[1]).astype(float)


def _draw_grid(grid: pd.DataFrame, label: str, alt: str, *, is_difference: bool = False) -> list[Figure]:
    if not grid.notna().to_numpy().any():
        return []
    return [Figure(image=plots.plot_grid(grid, label, is_difference=is_difference), alt=alt)]


def show_follow_up(profile: Profile) -> Section:
    """Show who is seen at which month, and at which site."""
    follow_up, by_site = profile.tables["follow_up"], profile.tables["follow_up_by_site"]
    if is_empty(follow_up):
        text = "No share of episodes with a visit can be shown: there is no follow-up visit, or only a few."
        return Section(name="follow-up", title="Follow-up", text=text)
    seen = follow_up[follow_up["share"].notna()]
    with_pain = by_site[by_site["held"] == "pain"].assign(month=lambda rows: [f"month {m:g}" for m in rows["month"]])
    figures = []
    if seen["month"].nunique() > 1:
        figures.append(Figure(image=plots.plot_follow_up(seen), alt=_describe_follow_up(seen)))
    if by_site["site"].nunique() > 1:
        grid = _make_grid(with_pain, "site", "month")
        figures += _draw_grid(grid, "Seen with a pain score, %", "Share seen with a pain score, by site and month.")
    return Section(
        name="follow-up",
        title="Follow-up",
        text=(
            "Who is seen, at which month, at which site? Each visit counts for one month, by the windows of the table; "
            "who is known to have died before is left out. Episodes that are not due yet count as not seen: the cohort "
            "tells the year of the procedure alone."
        ),
        figures=figures,
        tables={"Episodes seen in the window of each month": tables.tabulate_follow_up(profile)},
        numbers=by_site,
        layout="tall",
    )


def _describe_follow_up(seen: pd.DataFrame) -> str:
    parts = [f"month {row['month']:g}, {row['held']}: {row['share']:.0%}" for row in seen.to_dict("records")]
    return f"Share seen: {'; '.join(parts)}."


def show_outcomes(profile: Profile) -> Section:
    """Show the outcomes of each technique with their intervals."""
    outcomes = profile.tables["outcomes"]
    shown = outcomes[(outcomes["because"] == "") & outcomes["share"].notna()]
    figures = []
    for name in dict.fromkeys(shown["outcome"]):
        rows = shown[shown["outcome"] == name]
        label = tables.name_outcome(name)
        named = rows.assign(
            name=[f"{tables.name_words(row['technique'])}\nmonth {row['month']:g}" for row in rows.to_dict("records")]
        )
        figures.append(
            Figure(
                image=plots.plot_shares(named, f"{label}: share with it, 95 % interval"),
                alt=_describe_shares(label, named),
            )
        )
    text = (
        "What happened to those seen? Shares at the primary month of each technique (without evidence, the month with "
        "most visits), with Wilson's 95 % interval; those lost to follow-up are not in them. Response is not effect, "
        "and techniques treat different patients: do not compare them."
    )
    if not figures:
        text = f"No outcome can be shown. {text}"
    changes = tables.tabulate_changes(profile)
    return Section(
        name="outcomes",
        title="Outcome by technique",
        text=text,
        figures=figures,
        tables={
            **({"Share with each outcome": tables.tabulate_outcomes(profile)} if len(outcomes) else {}),
            **({"Change of pain": changes} if len(changes) else {}),
        },
        folded={
            "Instruments that tell the outcomes": tables.list_instruments(profile),
            "Outcomes that cannot be computed, and why": tables.list_silent(profile),
        },
    )


def _describe_shares(label: str, rows: pd.DataFrame) -> str:
    parts = [f"{row['name']}: {tables.format_estimate(row)}".replace("\n", ", ") for row in rows.to_dict("records")]
    return f"{label}. {'; '.join(parts)}."


def show_relief(profile: Profile) -> Section:
    """Show how long relief holds after each technique."""
    relief = profile.tables["relief"]
    title = "How long relief lasts"
    if relief.empty:
        text = "No duration can be shown: there are no visits with pain before and after, or too few patients."
        return Section(name="relief", title=title, text=text)
    figures = []
    for technique, rows in relief.groupby("technique", sort=False):
        if len(rows) < FEWEST_MONTHS:
            continue
        name = tables.name_words(str(technique))
        parts = [f"month {row['month']:g}: {row['holds']:.0%}" for row in rows.to_dict("records")]
        figures.append(Figure(image=plots.plot_relief(rows, name), alt=f"{name}, relief holds at {'; '.join(parts)}."))
    text = (
        "How long does half relief of pain last? Relief that was never reached is lost at the first visit; a repeat "
        "procedure, surgery or explant ends it. Death ends follow-up of the first line and competes in the second."
    )
    return Section(name="relief", title=title, text=text, figures=figures, numbers=relief)


def show_expected(profile: Profile) -> Section:
    """Show what the evidence would have expected, beside what was observed."""
    expected = profile.tables["expected"]
    title = "What the evidence would have expected"
    if expected.empty:
        text = "No pain response is known at the month of any technique, so that nothing stands beside the evidence."
        return Section(name="expected", title=title, text=text)
    drawn = expected[expected["expected"].notna() & expected["share"].notna()]
    named = drawn.assign(name=[tables.name_group(row).replace(" in ", "\nin ") for row in drawn.to_dict("records")])
    pieces = [named.iloc[start : start + MOST_ROWS] for start in range(0, len(named), MOST_ROWS)]
    figures = [Figure(image=plots.plot_expected(piece), alt=_describe_expected(piece)) for piece in pieces]
    text = (
        "Half relief of pain as observed, beside the share that the evidence record of the same technique, indication, "
        "approach and month expects, with the 95 % interval of a new study. Inside is no proof of quality, and outside "
        "none of the lack of it: patients, follow-up and definitions differ."
    )
    return Section(
        name="expected",
        title=title,
        text=text,
        figures=figures,
        tables={"Observed and expected": tables.tabulate_expected(profile)},
    )


def _describe_expected(drawn: pd.DataFrame) -> str:
    parts = [
        f"{tables.name_group(row)}: observed {row['share']:.0%}, expected {row['expected']:.0%}, {row['verdict']}"
        for row in drawn.to_dict("records")
    ]
    return f"{'; '.join(parts)}."


def show_drift(profile: Profile) -> Section:
    """Show whether response, follow-up and missing values change over the years."""
    drift, by_year = profile.tables["drift"], profile.tables["missing_by_year"]
    title = "Drift by year"
    shown = drift[drift["share"].notna() & (drift["year"] != "not known")]
    if shown["year"].nunique() < FEWEST_YEARS:
        text = "The year of the procedure is not known, or there is only one that may be shown."
        return Section(name="drift", title=title, text=text)
    text = (
        "Does the registry stay what it was? Pain response and follow-up by year of the procedure, with Wilson's 95 % "
        "interval; late years have had less time to be followed up. Below: percent of values missing, by year."
    )
    parts = [f"{row['question']} {row['year']}: {tables.format_estimate(row)}" for row in shown.to_dict("records")]
    figures = [Figure(image=plots.plot_drift(shown), alt=f"{'; '.join(parts)}.")]
    if len(by_year):
        named = by_year.assign(column=by_year["column"].map(profile.contract.label))
        grid = _make_grid(named, "column", "year").head(MOST_VARIABLES)
        figures += _draw_grid(grid, "Missing, %", "Percent of values missing, by column and year.")
    return Section(name="drift", title=title, text=text, figures=figures, numbers=drift, layout="tall")


def show_case_mix(profile: Profile) -> Section:
    """Show whether other patients are treated than in earlier years."""
    mix = profile.tables["case_mix"]
    title = "Case mix by year"
    if is_empty(mix, "difference"):
        text = "No two years can be compared: years are not known, or nothing that varies is recorded."
        return Section(name="case-mix", title=title, text=text)
    notable = mix.loc[mix["is_notable"].astype(bool), "variable"].nunique()
    text = (
        f"Are other patients treated than in other years? {notable} of {mix['variable'].nunique()} variables shift "
        "notably in some year (0.2 standard deviations and four standard errors). Shown are those that shift most "
        "surely, each as its distance from all other years in standard deviations."
    )
    named = mix.assign(
        share=mix["difference"], variable=[name_variable(name, profile.contract) for name in mix["variable"]]
    )
    grid = _make_grid(named, "variable", "year").head(MOST_VARIABLES)
    return Section(
        name="case-mix",
        title=title,
        text=text,
        figures=_draw_grid(grid, "Distance from all other years, standard deviations", text, is_difference=True),
        numbers=mix,
        layout="tall",
    )


def show_reading(profile: Profile) -> Section:
    """Say what the numbers are, and what they are not."""
    items = [
        "Response is not effect: some patients respond to placebo or with time alone.",
        "Episodes count, not patients; intervals take episodes as independent.",
        "A column, site or year that is not shown has few patients, or would give another one away.",
    ]
    if profile.is_real:
        items.append(
            "Counts are rounded to five and shares to whole percent, so that no difference of two tables tells of few "
            "patients; sums of rounded counts need not add up."
        )
    return Section(name="reading", title="How to read this page", text="What holds for all numbers above.", items=items)


def list_terminal_tables(profile: Profile) -> list[tuple[str, pd.DataFrame]]:
    """List the tables of the terminal, with their titles."""
    missing = tables.tabulate_missing(profile, "episodes")
    return [
        ("Flow", tables.tabulate_flow(profile)),
        ("Follow-up", tables.tabulate_follow_up(profile)),
        (
            "Outcome by technique",
            tables.tabulate_outcomes(profile) if len(profile.tables["outcomes"]) else pd.DataFrame(),
        ),
        ("Evidence", tables.tabulate_expected(profile).drop(columns="Stands on", errors="ignore")),
        ("Impossible combinations", tables.tabulate_combinations(profile).drop(columns="Look at", errors="ignore")),
        ("Missing values, the ten worst columns", missing[~missing["Share"].isin(["", "0 %"])].head(10)),
    ]
