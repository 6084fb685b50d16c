"""What a profile says in short: the sentences at the top of its page and of the terminal."""

from __future__ import annotations

import pandas as pd

from paincast.contract import Contract
from paincast.profiling import Profile
from paincast.reporting.profile.tables import format_count, format_share, is_broken, name_group, name_words

MUCH_MISSING = 0.2
FEW_FOLLOWED = 0.7
MOST_NAMED = 4


def list_findings(profile: Profile) -> list[str]:
    """List what the owner of a cohort should know first.

    Parameters
    ----------
    profile : Profile
        The profile.

    Returns
    -------
    list of str
        Sentences; there is at least one.
    """
    if not profile.tables["flow"]["n"].fillna(1).any():
        return ["The cohort holds no episode: nothing can be counted."]
    sentences = [
        _tell_usable(profile),
        _tell_combinations(profile),
        _tell_follow_up(profile),
        _tell_missing(profile),
        _tell_expected(profile),
        _tell_drift(profile),
    ]
    return [sentence for sentence in sentences if sentence]


def _tell_usable(profile: Profile) -> str:
    steps = {row["step"]: row for row in profile.tables["flow"].to_dict("records")}
    paired, indicated = steps["pain before and after"], steps["indication known"]
    usable = f"{format_count(paired['count'], paired['note'])} of {profile.n_episodes:,} episodes"
    text = f"{usable} have pain before and after, which a model of pain response needs"
    if indicated["note"] or indicated["share"] < 1:
        text += f"; the indication is known in {indicated['note'] or format_share(indicated['share'])}"
    return f"{text}."


def _tell_combinations(profile: Profile) -> str:
    combinations = profile.tables["combinations"]
    broken, judged = combinations[is_broken(combinations)], (combinations["n"].fillna(1) > 0).sum()
    if not len(broken):
        return f"No episode breaks any of the {judged} rules that could be judged."
    worst = broken.assign(place=broken["count"].fillna(0)).sort_values("place", ascending=False, kind="stable").iloc[0]
    found = f"{worst['finding']} ({format_count(worst['count'], worst['note'])} episodes)"
    if len(broken) == 1:
        return f"One of {judged} rules on combinations of values is broken: {found}."
    return f"{len(broken)} of {judged} rules on combinations of values are broken, most often: {found}."


def _tell_follow_up(profile: Profile) -> str:
    follow_up = profile.tables["follow_up"]
    if follow_up.empty:
        return "No episode has a follow-up visit: no outcome can be computed."
    pain = follow_up[(follow_up["held"] == "pain") & follow_up["share"].notna()]
    few = pain[pain["share"] < FEW_FOLLOWED]
    if few.empty:
        return ""
    shares = ", ".join(f"{format_share(row['share'])} at month {row['month']:g}" for row in few.to_dict("records"))
    return f"Fewer than {format_share(FEW_FOLLOWED)} of those alive are seen with a pain score: {shares}."


def _tell_missing(profile: Profile) -> str:
    missing = profile.tables["missing"]
    inputs = missing[(missing["table"] == "episodes") & missing["role"].isin(["predictor", "technique", "funnel"])]
    absent = (inputs["n"].fillna(1) == 0).sum()
    much = inputs[inputs["share"] >= MUCH_MISSING]
    text = f"Of {len(inputs)} columns that a model can use, {len(inputs) - absent} are recorded"
    if len(much):
        named = [
            f"{profile.contract.label(row['column'])} {format_share(row['share'])}"
            for row in much.head(MOST_NAMED).to_dict("records")
        ]
        text += f"; {len(much)} of them lack {format_share(MUCH_MISSING)} or more (most: {', '.join(named)})"
    return f"{text}."


def _tell_expected(profile: Profile) -> str:
    judged = profile.tables["expected"]
    judged = judged[judged["verdict"] != ""]
    outside = judged[judged["verdict"] != "inside"]
    if judged.empty:
        return (
            "No group can be held against the evidence: technique, indication, month or number of patients do not fit."
        )
    if len(judged) == 1:
        verdict = judged["verdict"].iloc[0]
        return (
            f"In the one comparison with evidence, response lies {verdict}, held against what a new study would show."
        )
    if outside.empty:
        return (
            f"Response lies inside what a new study would show in all {len(judged)} comparisons with evidence records."
        )
    named = "; ".join(f"{name_group(row)} ({row['verdict']})" for row in outside.to_dict("records"))
    return f"Response lies outside what a new study would show in {len(outside)} of {len(judged)} comparisons: {named}."


def _tell_drift(profile: Profile) -> str:
    drift, mix = profile.tables["drift"], profile.tables["case_mix"]
    response = drift[(drift["question"] == "pain response") & drift["share"].notna()].to_dict("records")
    notable = list(dict.fromkeys(mix.loc[mix["is_notable"].astype(bool), "variable"])) if len(mix) else []
    parts = []
    if len(response) > 1:
        low, *_, high = sorted(response, key=lambda row: float(row["share"]))
        apart = high["lower"] > low["upper"]
        parts.append(
            f"response by year runs from {format_share(low['share'])} ({low['year']}) to {format_share(high['share'])} "
            f"({high['year']}), {'further apart than chance explains' if apart else 'within chance'}"
        )
    if notable:
        named = ", ".join(name_variable(name, profile.contract) for name in notable[:MOST_NAMED])
        number = "one variable shifts" if len(notable) == 1 else f"{len(notable)} variables shift"
        parts.append(f"{number} between years (first: {named})")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def name_variable(variable: str, contract: Contract) -> str:
    """Name a variable of the case mix: a column, or a category of one."""
    column, _, category = variable.partition(": ")
    return f"{contract.label(column)}: {name_words(category)}" if category else contract.label(column)


def is_empty(table: pd.DataFrame, column: str = "share") -> bool:
    """Check whether a table of shares has nothing to draw."""
    return table.empty or not table[column].notna().any()
