"""The sections of the report of a comparison, in the order of the TARGET statement."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from paincast.effects.balance import EQUIPOISE, LARGEST_DIFFERENCE, MINIMUM_OPEN
from paincast.reporting.effects import tables
from paincast.reporting.effects.results import ComparisonResults
from paincast.reporting.effects.words import describe_outcome, describe_result, format_count
from paincast.reporting.page import Section
from paincast.schema import RESEARCH_MARK

MOST_SOURCES = 5

Show = Callable[[ComparisonResults], Section]


def show_summary(results: ComparisonResults) -> Section:
    """Say first what was found, or that nothing may be said."""
    first, *rest = describe_result(results)
    n = format_count(results.n_eligible, results.basis)
    made = "Estimated" if results.refusal is None else "It would have been estimated"
    return Section(
        name="summary",
        title="In short",
        text=first,
        verdict="refused" if results.refusal is not None else "passes",
        items=[
            *rest,
            f"The outcome: {describe_outcome(results)}.",
            f"An observational study of {n} eligible patients of {results.origin.cohort_name} that emulates a "
            "randomised trial. Patients were not allocated at random: a difference is causal only under the "
            "assumptions below.",
            f"{made} by cross-fitted augmented inverse probability weighting, with loss to follow-up weighted"
            f"{_describe_clusters(results)}.",
            f"{RESEARCH_MARK.capitalize()}. A difference between groups does not say which technique is better for one "
            "patient.",
        ],
    )


def _describe_clusters(results: ComparisonResults) -> str:
    if results.clusters is None:
        return ""
    n = f"{format_count(results.clusters.patients, results.basis)} patients"
    sites = f" and {results.clusters.sites} sites" if "site" in results.clusters.by else ""
    return f" and intervals clustered by {' and '.join(results.clusters.by)} ({n}{sites})"


def show_question(results: ComparisonResults) -> Section:
    """Show the causal question."""
    trial = results.trial
    others = " and ".join(strategy.describe() for strategy in trial.strategies[1:])
    return Section(
        name="question",
        title="Question",
        text=trial.question,
        items=[
            "Causal question: among patients who could get any of the strategies, how many more of every 100 would "
            f"have the outcome with {others} than with {trial.reference.describe()}?",
            "Response after a technique is not its effect: patients who get one differ from those who get another. "
            "Emulating a trial makes explicit who is compared, from when, and under which assumptions.",
        ],
    )


def show_data(results: ComparisonResults) -> Section:
    """Show where the data come from."""
    sources = [" ".join(source.split()) for source in results.sources]
    return Section(
        name="data",
        title="Data",
        text=f"{results.origin.cohort_name}: basis {results.basis}, {results.n_real:,} real episodes.",
        items=sources[:MOST_SOURCES]
        or ["Sources are not told; setting, places and period are for the authors to state."],
        folded={"Further sources": sources[MOST_SOURCES:]} if len(sources) > MOST_SOURCES else {},
    )


def show_protocol(results: ComparisonResults) -> Section:
    """Show the target trial beside its emulation."""
    return Section(
        name="protocol",
        title="Protocol",
        text="What a randomised trial would do, and what stands for it in these data. Time zero is the day of the "
        "procedure: eligibility, strategy and start of follow-up coincide.",
        tables={"Target trial and emulation": tables.tabulate_protocol(results)},
    )


def show_flow(results: ComparisonResults) -> Section:
    """Show who is analysed."""
    rounded = (
        "" if results.basis == "synthetic" else " Counts are rounded to five, so that differences need not add up."
    )
    return Section(
        name="flow",
        title="Participants",
        text="Who is left after each step, by strategy. Follow-up ends at the visit that answers the outcome; who has "
        f"no such visit is lost, and those seen are weighted for them.{rounded}",
        tables={"Episodes left": tables.tabulate_flow(results)},
    )


def show_baseline(results: ComparisonResults) -> Section:
    """Show the covariates by strategy, and what is missing of them."""
    if "baseline" not in results.tables:
        return Section(name="baseline", title="Baseline", text=_explain_absence(results))
    return Section(
        name="baseline",
        title="Baseline",
        text="Covariates before the procedure, as recorded: mean and standard deviation, or share, among those whose "
        "value is known; beside it the share that is missing. Missing values enter the models by an indicator.",
        tables={"By strategy": tables.tabulate_baseline(results)},
    )


def _explain_absence(results: ComparisonResults) -> str:
    return f"Not computed, because the comparison was refused before: {results.refusal}."


def show_assumptions(results: ComparisonResults) -> Section:
    """Show the assumptions, and the diagnostics that look at those that can be looked at."""
    items = [
        "No confounder is missing among the covariates: this cannot be tested; see Sensitivity and Limits.",
        "Every patient could have got every strategy (overlap): the diagnostics look at this.",
        "Loss to follow-up is explained by covariates and strategy.",
        "The strategies are what was done, as chosen at each site; a patient's result does not depend on others.",
        "Models: ridge regressions of the strategy, of being followed up and of the outcome under each strategy, which "
        "answer patients they have not seen (five folds by patient). Missing values enter by an indicator.",
    ]
    title = "Assumptions and diagnostics"
    if "diagnostics" not in results.tables:
        return Section(name="assumptions", title=title, text=_explain_absence(results), items=items)
    n_failed, n_all = len(results.failed), len(results.tables["diagnostics"])
    adjusted = [results.contract.label(name) for name in results.adjusted if name != "site_id"]
    looks = (
        f"The diagnostics look at covariates and strategies only; no difference in outcome is computed before all have "
        f"passed. An open choice is a preference score of {EQUIPOISE[0]:g} to {EQUIPOISE[1]:g}; {MINIMUM_OPEN:.0%} of "
        "each group must have had it. Weighting must leave no covariate more than "
        f"{LARGEST_DIFFERENCE:g} standard deviations apart, and no group worth less than a third of its size."
    )
    return Section(
        name="assumptions",
        title=title,
        text=f"{n_all - n_failed} of {n_all} diagnostics passed.",
        verdict="refused" if n_failed else "passes",
        items=[*items, looks, *_describe_unadjusted(results)],
        tables={
            "Diagnostics": tables.tabulate_diagnostics(results),
            **({"Not adjusted for": tables.tabulate_unadjusted(results)} if "unadjusted" in results.tables else {}),
        },
        folded={"Adjusted for, beside the site": adjusted},
        numbers=_name_rows(results, results.tables["balance"]),
        layout="tall",
    )


def _describe_unadjusted(results: ComparisonResults) -> list[str]:
    if "unadjusted" not in results.tables:
        return []
    n = results.tables["unadjusted"]["column"].nunique()
    return [
        f"{n} columns known before the procedure are not adjusted for. They are compared all the same, after "
        "weighting: a difference in one without a reason must not be larger than "
        f"{LARGEST_DIFFERENCE:g}, or than chance allows among so many, if that is more. One that is left out on "
        "purpose is shown with the reason, and not judged."
    ]


def _name_rows(results: ComparisonResults, balance: pd.DataFrame) -> pd.DataFrame:
    return balance.assign(column=[tables.name_column(results, name) for name in balance["column"]])


def show_results(results: ComparisonResults) -> Section:
    """Show the contrasts, or that there are none."""
    if results.refusal is not None:
        text = "No outcome of a strategy and no difference was computed, so that none can be read here or elsewhere."
        return Section(name="results", title="Results", text=text, verdict="refused")
    first, *rest = describe_result(results)
    return Section(
        name="results",
        title="Results",
        text=first,
        items=[
            *rest,
            "All analysed patients: as if each of them had had either strategy. Patients in equipoise: weighted by how "
            "open the choice was; where both differ, the answer depends on whom one asks about.",
            "The shares before adjustment are of different patients; their difference is not the contrast.",
        ],
        tables={
            "Difference": tables.tabulate_contrasts(results),
            "Risk under each strategy, adjusted": tables.tabulate_risks(results),
            "Before adjustment": tables.tabulate_observed(results),
        },
        numbers=results.tables["contrasts"],
        layout="tall",
    )


def show_sensitivity(results: ComparisonResults) -> Section:
    """Show how far hidden confounding could move the answer, and the negative controls."""
    title, numbers = "Sensitivity", None
    shown: dict[str, pd.DataFrame] = {}
    text = "Without a result there is nothing that hidden confounding could move."
    items = []
    if "bounds" in results.tables:
        first = results.tables["bounds"].iloc[0]
        text = (
            f"How much would it take to change the answer? The trial file states the strength of a confounder that "
            f"nobody recorded: it explains {first['outcome_r2']:.0%} of what is left of the outcome and "
            f"{first['strategy_r2']:.0%} of what is left of the choice."
        )
        items = [
            "Bounds: the difference that such a confounder could leave, in the worst direction (Chernozhukov 2022, "
            "doi:10.3386/w30302).",
            "Robustness value: the strength, the same on both, at which nothing is left of the difference; in "
            "brackets, at which its interval holds zero. E-value: the same as a risk ratio (VanderWeele 2017, "
            "doi:10.7326/M16-2607).",
            "The covariates that differ most between the strategies are a measure: is a confounder likely that is as "
            "strong as these, beside all of them?",
        ]
        shown |= {"Hidden confounding of the stated strength": tables.tabulate_bounds(results)}
        shown |= {"How strong recorded covariates are": tables.tabulate_strengths(results)}
        numbers = results.tables["bounds"]
    if "negative_controls" in results.tables:
        items.append("Negative controls are outcomes that no strategy can affect: a difference in one is confounding.")
        shown["Negative controls"] = tables.tabulate_controls(results)
    else:
        items.append("No negative control is declared in the trial.")
    return Section(
        name="sensitivity", title=title, text=text, items=items, tables=shown, numbers=numbers, layout="tall"
    )


def show_patients(results: ComparisonResults) -> Section:
    """Show whether the difference depends on the patient, and what choosing by the patient would be worth."""
    name, title = "patients", "Differences between patients"
    if "policy" not in results.tables:
        return Section(name=name, title=title, text="Not computed, because the comparison was refused.")
    return Section(
        name=name,
        title=title,
        text="Does the difference depend on the patient, and would choosing by the patient be worth it? Individual "
        "differences are predicted for patients the models have not seen, and judged on these.",
        items=[
            "A slope whose interval holds 0 means that the predictions are not shown to tell patients apart.",
            "The policy gives each patient the strategy with the larger predicted chance of the outcome. "
            "Complications, cost and wishes are not in it.",
        ],
        tables={
            "What policies are worth": tables.tabulate_policy(results),
            "Predicted and observed benefit": tables.tabulate_benefit(results),
        },
        numbers=results.tables["policy_curve"],
        layout="tall",
    )


BASIS_LIMITS = {
    "synthetic": "Simulated patients: the difference is that of the published figures behind them, not a finding about "
    "techniques.",
    "real": "Patients of one registry: whether the difference holds elsewhere is not shown.",
    "blended": "Simulated and real patients together: the difference is no finding about techniques.",
}


def list_limits(results: ComparisonResults) -> list[str]:
    """List what stands between a comparison and a randomised trial."""
    unmeasured = [
        f"Not measured, and perhaps different between the strategies: {text}." for text in results.trial.unmeasured
    ]
    reasons = {row["column"]: row["reason"] for row in tables.list_farthest(results) if row["reason"]}
    return [
        *(unmeasured or ["The trial file names nothing that was not measured. That is hardly ever so."]),
        *(f"Not adjusted for: {results.contract.label(name)} ({reason})." for name, reason in reasons.items()),
        BASIS_LIMITS[results.basis],
        "Neither patients nor assessors were blinded, so that expectations are part of each strategy.",
        f"To have the outcome is not {results.trial.outcome.is_not}.",
        "The interval holds chance, not what the assumptions leave out.",
        f"{RESEARCH_MARK.capitalize()}: not a medical device, not medical advice.",
    ]


def show_limits(results: ComparisonResults) -> Section:
    """Show what stands between this and a randomised trial."""
    text = "What stands between this report and a randomised trial."
    return Section(name="limits", title="Limits and use", text=text, items=list_limits(results))


def show_reproduction(results: ComparisonResults) -> Section:
    """Show what it takes to do it again."""
    origin = results.origin
    facts = {
        "trial": f"{origin.trial_name}, SHA-256 {origin.trial_digest} (first digits)",
        "cohort": f"{origin.cohort_name}, digest {results.cohort_digest}",
        "seed": str(origin.seed),
        "software": ", ".join(results.software),
        "command": f"paincast compare {origin.trial_name} --cohort {origin.cohort_name} --seed {origin.seed}",
    }
    return Section(
        name="reproduction",
        title="To do it again",
        text="The same trial, cohort, seed and versions give the same numbers. The trial file, word by word:",
        items=[f"{name}: {value}" for name, value in facts.items()],
        verbatim=origin.trial_text,
    )


SECTIONS: tuple[Show, ...] = (
    show_summary,
    show_question,
    show_data,
    show_protocol,
    show_flow,
    show_baseline,
    show_assumptions,
    show_results,
    show_sensitivity,
    show_patients,
    show_limits,
    show_reproduction,
)
"""Sections in the order of the page; the checklist comes last."""
