"""Tables of a profile for readers: names instead of codes, and a word where a count is not shown."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from paincast.profiling import Profile

Row = Mapping[Hashable, Any]

NOT_SHOWN = "not shown"
OUTCOME_NAMES: Mapping[str, str] = {
    "pain_response": "Pain lower by 50 %",
    "pain_response_30": "Pain lower by 30 %",
    "function_response": "Function",
    "mood_response": "Mood",
    "sleep_response": "Sleep",
    "quality_of_life_gain": "Quality of life",
    "opioid_reduction": "Opioids lower by 30 %",
    "satisfaction": "Much improved (PGIC)",
    "complication": "Complication",
}
SURE_ERRORS = 3.0
"""Standard errors from which a difference is told as beyond chance: dozens are looked at."""

BROKEN_FIRST = ("impossible", "contradictory", "implausible")


def name_words(code: str) -> str:
    """Give a code of the contract as words.

    Examples
    --------
    >>> name_words("si_joint_rfa")
    'si joint RFA'
    """
    words = code.replace("_", " ").split()
    return " ".join(word.upper() if word in ("rfa", "crps", "odi", "bmi", "pgic") else word for word in words)


def format_share(share: float) -> str:
    """Format a share in whole percent; empty where it is not known.

    Examples
    --------
    >>> format_share(0.456), format_share(float("nan"))
    ('46 %', '')
    """
    return "" if pd.isna(share) else f"{100 * share:.0f} %"


def format_count(count: Any, note: str = "") -> str:
    """Format a count, or say why it is not shown."""
    return note or (NOT_SHOWN if pd.isna(count) else f"{int(count):,}")


def format_estimate(row: Row) -> str:
    """Format a share with its interval and n.

    Examples
    --------
    >>> format_estimate({"share": 0.5, "lower": 0.42, "upper": 0.58, "n": 150})
    '50 % (42–58) of 150'
    """
    if pd.isna(row["share"]):
        return NOT_SHOWN
    return f"{100 * row['share']:.0f} % ({100 * row['lower']:.0f}–{100 * row['upper']:.0f}) of {int(row['n']):,}"


def tabulate_flow(profile: Profile) -> pd.DataFrame:
    """Tabulate how many episodes have what a model needs: ``Step, Episodes, Share``."""
    flow = profile.tables["flow"].to_dict("records")
    rows = [("all episodes", format_count(profile.n_episodes), "")]
    rows += [(row["step"], format_count(row["count"], row["note"]), format_share(row["share"])) for row in flow]
    return pd.DataFrame(rows, columns=["Step", "Episodes", "Share"])


def tabulate_source(profile: Profile) -> pd.DataFrame:
    """Tabulate what stood before the episodes: ``Step, Rows``."""
    rows = profile.tables["source"].to_dict("records")
    few = [(row["step"], _format_few(row["rows"])) for row in rows]
    return pd.DataFrame(few, columns=["Step", "Rows"])


def tabulate_rejects(profile: Profile) -> pd.DataFrame:
    """Tabulate what the reader left out: ``What, Table, Column, Rule, Times``."""
    rows = [
        (row["action"], row["table"], row["column"], row["rule"], _format_few(row["times"]))
        for row in profile.tables["rejects"].to_dict("records")
    ]
    return pd.DataFrame(rows, columns=["What", "Table", "Column", "Rule", "Times"])


def _format_few(count: Any) -> str:
    return "fewer than 5" if pd.isna(count) else f"{int(count):,}"


def tabulate_techniques(profile: Profile) -> pd.DataFrame:
    """Tabulate the flow by technique: a row for each, a column for each step after the first."""
    flow = profile.tables["flow_by_technique"]
    steps = list(dict.fromkeys(flow["step"]))[1:]
    rows = []
    for technique, part in flow.groupby("technique", sort=False):
        cells = {row["step"]: _format_step(row) for row in part.to_dict("records")}
        n = part["n"].iloc[0]
        rows.append(
            {"Technique": name_words(str(technique)), "Episodes": format_count(n), **{s: cells[s] for s in steps}}
        )
    return pd.DataFrame(rows, columns=["Technique", "Episodes", *steps]).rename(columns=lambda name: name.capitalize())


def _format_step(row: Row) -> str:
    return NOT_SHOWN if pd.isna(row["count"]) else f"{int(row['count']):,} ({format_share(row['share']) or '–'})"


def tabulate_outcomes(profile: Profile) -> pd.DataFrame:
    """Tabulate the share of each outcome by technique; empty cells where an outcome cannot be computed."""
    rows = []
    for technique, part in profile.tables["outcomes"].groupby("technique", sort=False):
        month = profile.months[str(technique)]
        cells = {name_outcome(row["outcome"]): _format_outcome(row, month) for row in part.to_dict("records")}
        rows.append({"Technique": name_words(str(technique)), "Month": f"{month:g}", **cells})
    table = pd.DataFrame(rows).fillna("")
    told = table.loc[:, [name for name in table if (table[name] != "").any()]]
    return told[(told.drop(columns=["Technique", "Month"]) != "").any(axis=1)].reset_index(drop=True)


def name_outcome(outcome: str) -> str:
    """Give the name of an outcome for readers."""
    return OUTCOME_NAMES.get(outcome, name_words(outcome))


def _format_outcome(row: Row, month: float) -> str:
    """Format the share of an outcome, with its month where that is not the technique's."""
    if row["because"]:
        return ""
    return format_estimate(row) + ("" if row["month"] == month else f" at month {row['month']:g}")


def list_silent(profile: Profile) -> list[str]:
    """List why outcomes cannot be computed: one line for each reason, with the techniques."""
    outcomes = profile.tables["outcomes"]
    silent = outcomes[outcomes["because"] != ""]
    return [
        f"{name_outcome(str(outcome))}: {because} ({', '.join(name_words(name) for name in part['technique'])})"
        for (outcome, because), part in silent.groupby(["outcome", "because"], sort=False)
    ]


def tabulate_changes(profile: Profile) -> pd.DataFrame:
    """Tabulate the mean change of pain by technique."""
    rows = [
        {
            "Technique": name_words(row["technique"]),
            "Month": f"{row['month']:g}",
            "n": format_count(row["n"]),
            "Change of pain, points": NOT_SHOWN
            if pd.isna(row["mean"])
            else f"{row['mean']:+.1f} ({row['lower']:+.1f} to {row['upper']:+.1f})",
            "SD": "" if pd.isna(row["sd"]) else f"{row['sd']:.1f}",
        }
        for row in profile.tables["changes"].to_dict("records")
    ]
    return pd.DataFrame(rows)


def tabulate_expected(profile: Profile) -> pd.DataFrame:
    """Tabulate observed beside expected response; groups that cannot be compared have a reason as verdict."""
    rows = []
    for row in profile.tables["expected"].to_dict("records"):
        is_told = pd.notna(row["expected"])
        interval = f"{100 * row['expected_lower']:.0f} to {100 * row['expected_upper']:.0f} %" if is_told else ""
        rows.append(
            {
                "Group": name_group(row),
                "Month": f"{row['month']:g}",
                "Observed": format_estimate(row),
                "Evidence": format_share(row["expected"]),
                "A new study": interval,
                "Verdict": row["verdict"] or row["because"],
                "Stands on": row["support"],
            }
        )
    return pd.DataFrame(rows)


def name_group(row: Row) -> str:
    """Name a technique in an indication, by its approach where there is one."""
    approach = "" if row["approach"] == "any" else f" ({row['approach']})"
    return f"{name_words(row['technique'])}{approach} in {name_words(row['indication'])}"


def tabulate_combinations(profile: Profile) -> pd.DataFrame:
    """Tabulate the rules that are broken, the impossible first."""
    combinations = profile.tables["combinations"]
    broken = combinations[is_broken(combinations)]
    order = broken["kind"].map({kind: place for place, kind in enumerate(BROKEN_FIRST)})
    rows = [
        {
            "Found": row["finding"],
            "Kind": row["kind"],
            "Episodes": format_count(row["count"], row["note"]),
            "Of": format_count(row["n"]),
            "Look at": row["meaning"],
        }
        for row in broken.iloc[order.argsort(kind="stable")].to_dict("records")
    ]
    return pd.DataFrame(rows)


def is_broken(combinations: pd.DataFrame) -> pd.Series:
    """Flag the rules that at least one episode breaks."""
    return (combinations["note"] != "") | (combinations["count"].fillna(0) > 0)


def tabulate_missing(profile: Profile, table: str) -> pd.DataFrame:
    """Tabulate the missing values of the columns of a table that are recorded at all."""
    missing = profile.tables["missing"]
    rows = [
        {
            "Column": row["column"],
            "Role": row["role"],
            "Of": format_count(row["n"]),
            "Missing": format_count(row["count"], row["note"]),
            "Share": format_share(row["share"]),
        }
        for row in missing[(missing["table"] == table) & (missing["n"].fillna(1) > 0)].to_dict("records")
    ]
    return pd.DataFrame(rows, columns=["Column", "Role", "Of", "Missing", "Share"])


def tabulate_patterns(profile: Profile) -> pd.DataFrame:
    """Tabulate which columns are missing together."""
    rows = [
        {
            "Missing together": ", ".join(profile.contract.label(name) for name in row["pattern"].split("; ")),
            "Episodes": format_count(row["count"]),
            "Share": format_share(row["share"]),
        }
        for row in profile.tables["patterns"].to_dict("records")
    ]
    return pd.DataFrame(rows, columns=["Missing together", "Episodes", "Share"])


def tabulate_missing_links(profile: Profile) -> pd.DataFrame:
    """Tabulate follow-up and response where a column is known and where it is missing, the surest difference first."""
    links = profile.tables["missing_links"]
    rows = []
    for column, part in links.groupby("column", sort=False):
        of_question = {str(question): list(pair.to_dict("records")) for question, pair in part.groupby("question")}
        errors = {question: _count_errors(*pair) for question, pair in of_question.items()}
        texts = {
            f"{_LINK_NAMES[question]}, {row['value']}": format_share(row["share"]) or NOT_SHOWN
            for question, pair in of_question.items()
            for row in pair
        }
        beyond = [_LINK_NAMES[question].lower() for question in _LINK_NAMES if errors[question] >= SURE_ERRORS]
        told = {"Differs beyond chance": ", ".join(beyond) or "no"}
        if any(text != NOT_SHOWN for text in texts.values()):
            rows.append(
                {"Column": profile.contract.label(str(column)), **texts, **told, "errors": max(errors.values())}
            )
    table = pd.DataFrame(rows, columns=[*(rows[0] if rows else ["errors"])])
    return table.sort_values("errors", ascending=False, kind="stable", ignore_index=True).drop(columns="errors")


def _count_errors(known: Row, missing: Row) -> float:
    """Count the standard errors between two shares; 0 where one is not shown."""
    if pd.isna(known["share"]) or pd.isna(missing["share"]):
        return 0.0
    n = (int(known["n"]), int(missing["n"]))
    pooled = (known["share"] * n[0] + missing["share"] * n[1]) / sum(n)
    variance = pooled * (1 - pooled) * (1 / n[0] + 1 / n[1])
    return float(abs(known["share"] - missing["share"]) / variance**0.5) if variance > 0 else 0.0


_LINK_NAMES: Mapping[str, str] = {"followed up": "Followed up", "response": "Response"}


def tabulate_follow_up(profile: Profile) -> pd.DataFrame:
    """Tabulate who is seen in the window of each month."""
    rows = [
        {
            "Month": f"{row['month']:g}",
            "Window": f"{row['first']:g} to {row['last']:g}",
            "Seen by": "any visit" if row["held"] == "any visit" else "a visit with pain",
            "Episodes": format_count(row["count"], row["note"]),
            "Of": format_count(row["n"]),
            "Share": format_share(row["share"]),
        }
        for row in profile.tables["follow_up"].to_dict("records")
    ]
    return pd.DataFrame(rows, columns=["Month", "Window", "Seen by", "Episodes", "Of", "Share"])


def list_instruments(profile: Profile) -> list[str]:
    """List which instruments tell an outcome, where that is not the first of it alone."""
    outcomes = profile.tables["outcomes"]
    told = outcomes[outcomes["instruments"] != ""]
    return [
        f"{name_outcome(str(outcome))}: {instruments} ({', '.join(name_words(name) for name in part['technique'])})"
        for (outcome, instruments), part in told.groupby(["outcome", "instruments"], sort=False)
    ]
