"""Outcomes of a cohort by technique: shares with intervals, change of pain, and how long relief lasts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import t

from paincast.disclosure.rounding import round_digits
from paincast.disclosure.shares import SHARE_DIGITS, release_counts, release_shares
from paincast.disclosure.suppression import is_small
from paincast.disclosure.survival import choose_months, suppress_months
from paincast.evaluation.survival.curves import compute_aalen_johansen, compute_kaplan_meier
from paincast.outcomes import Outcome, OutcomeLabels
from paincast.outcomes.labels import DIED, LOST_RELIEF
from paincast.profiling.follow_up import MONTHS
from paincast.profiling.linked import LinkedCohort, add_wilson_limits
from paincast.schema import MINIMUM_CELL

OUTCOME_COLUMNS = (
    *("technique", "outcome", "month", "asked", "n", "count", "share", "lower", "upper", "instruments", "because"),
    *("with_patients", "without_patients"),
)
CHANGE_COLUMNS = ("technique", "month", "n", "mean", "sd", "lower", "upper")
RELIEF_COLUMNS = (
    "technique",
    "month",
    "holds",
    "holds_lower",
    "holds_upper",
    "lost",
    "lost_lower",
    "lost_upper",
    "at_risk",
)
NOT_COUNTED: Mapping[str, object] = {
    **dict.fromkeys(("asked", "n", "count", "with_patients", "without_patients"), 0),
    "share": np.nan,
    "instruments": "",
}
CONFIDENCE = 0.95
FEWEST, MOST_NAMED = 2, 2


def compute_outcomes(linked: LinkedCohort, months: Mapping[str, float]) -> pd.DataFrame:
    """Compute the share of each binary outcome for each technique, at the month of the technique.

    Parameters
    ----------
    linked : LinkedCohort
        The cohort.
    months : mapping of str to float
        Month of each technique, from :func:`paincast.profiling.follow_up.choose_months`.

    Returns
    -------
    DataFrame
        ``technique, outcome, month``; ``asked`` episodes in the denominator, ``n`` of them with a known outcome,
        ``count`` with it, ``share`` with the limits of Wilson's 95 % interval (episodes count as independent);
        ``instruments``, the measures that answered of five episodes or more; ``because``, why there is no share; and
        the patients of both parts.
    """
    binary = [outcome for outcome in linked.contract.outcomes.values() if outcome.kind == "binary"]
    absent = {outcome.name: _explain_absence(linked, outcome) for outcome in binary}
    rows = []
    for technique in linked.techniques.labels:
        for outcome in binary:
            month = outcome.horizon_months or months[technique]
            told = {"technique": technique, "outcome": outcome.name, "month": month}
            if because := absent[outcome.name]:
                rows.append({**told, **NOT_COUNTED, "because": because})
            else:
                rows.append({**told, **_count_outcome(linked, linked.label(outcome, month, technique))})
    if not rows:
        return pd.DataFrame(columns=list(OUTCOME_COLUMNS))
    return add_wilson_limits(pd.DataFrame(rows))[list(OUTCOME_COLUMNS)]


def _count_outcome(linked: LinkedCohort, labels: OutcomeLabels) -> dict[str, object]:
    because = _explain_silence(labels)
    value = labels.value.where(labels.eligible & (because == "")).to_numpy(dtype=float)
    patients = linked.patients[labels.value.index]
    n = int(np.isfinite(value).sum())
    return {
        "asked": int(labels.eligible.sum()),
        "n": n,
        "count": int((value == 1).sum()),
        "share": float((value == 1).sum() / n) if n else np.nan,
        "instruments": ", ".join(name for name, n in _count_instruments(labels).items() if n >= MINIMUM_CELL),
        "because": because,
        "with_patients": len(np.unique(patients[value == 1])),
        "without_patients": len(np.unique(patients[value == 0])),
    }


def _count_instruments(labels: OutcomeLabels) -> dict[str, int]:
    """Count the labels by the measure that answered, in the order of the outcome."""
    if labels.instrument is None:
        return {}
    answered = labels.instrument[labels.eligible & labels.known].value_counts()
    return {line.measure: int(answered.get(line.measure, 0)) for line in labels.outcome.lines}


def _explain_absence(linked: LinkedCohort, outcome: Outcome) -> str:
    """Explain why an outcome cannot be told of any technique; empty if it can."""
    if outcome.assessed_by == "events" and not (linked.events["kind"] == "complication").any():
        return "the cohort records no complication of any technique: that is not the same as none"
    measures = [line.measure for line in outcome.lines if line.measure in linked.visits]
    if outcome.assessed_by == "visit" and not linked.visits[measures].notna().any(axis=None):
        return f"no visit of any technique holds {_list_measures(outcome)}"
    return ""


def _explain_silence(labels: OutcomeLabels) -> str:
    """Explain why an outcome has no share; empty if it has one."""
    outcome = labels.outcome
    if not labels.eligible.any():
        return f"nobody can be asked: {_list_measures(outcome)} before the procedure is missing, or leaves no room"
    if not (labels.eligible & labels.known).any():
        first, last = labels.window_months
        when = f"in months {first:g} to {last:g}" if outcome.assessed_by == "visit" else f"up to month {last:g}"
        measure = f" with {_list_measures(outcome)}" if outcome.lines else ""
        return f"no visit{measure} {when}"
    return ""


def _list_measures(outcome: Outcome) -> str:
    names = list(dict.fromkeys(line.measure for line in outcome.lines))
    if len(names) <= MOST_NAMED:
        return " or ".join(names) or "a visit"
    return f"{', '.join(names[:MOST_NAMED])} or {len(names) - MOST_NAMED} other instruments"


def compute_changes(linked: LinkedCohort, months: Mapping[str, float]) -> pd.DataFrame:
    """Compute the mean change of pain of each technique, at the month of the technique.

    Returns
    -------
    DataFrame
        ``technique, month, n, mean, sd, lower, upper``: points after minus before, with Student's 95 % interval.
    """
    rows = []
    for technique in linked.techniques.labels:
        labels = linked.label(linked.contract.outcomes["pain_change"], months[technique], technique)
        change = labels.value[labels.eligible & labels.known].to_numpy(dtype=float)
        if len(change) >= FEWEST:
            mean, sd = float(change.mean()), float(change.std(ddof=1))
            half = float(t.ppf(0.5 + CONFIDENCE / 2, len(change) - 1)) * sd / np.sqrt(len(change))
            rows.append((technique, months[technique], len(change), mean, sd, mean - half, mean + half))
    return pd.DataFrame(rows, columns=list(CHANGE_COLUMNS))


def compute_relief(linked: LinkedCohort, *, real: bool) -> pd.DataFrame:
    """Estimate how long half relief of pain lasts.

    Parameters
    ----------
    linked : LinkedCohort
        The cohort.
    real : bool
        Whether months that disclose few patients are left out.

    Returns
    -------
    DataFrame
        ``technique, month``; ``holds`` (Kaplan-Meier, death ends follow-up), ``lost`` (Aalen-Johansen, death competes),
        each with 95 % limits, and ``at_risk`` episodes.
    """
    courses = [
        course.assign(technique=technique)
        for technique in linked.techniques.labels
        if len(course := _follow_relief(linked, technique, real=real))
    ]
    if not courses:
        return pd.DataFrame(columns=list(RELIEF_COLUMNS))
    return pd.concat(courses, ignore_index=True)[list(RELIEF_COLUMNS)]


def _follow_relief(linked: LinkedCohort, technique: str, *, real: bool) -> pd.DataFrame:
    labels = linked.label(linked.contract.outcomes["relief_duration"], max(MONTHS), technique)
    assert labels.months is not None
    assert labels.status is not None
    known = labels.eligible & labels.months.notna()
    months, status = labels.months[known].to_numpy(dtype=float), labels.status[known].to_numpy(dtype=float)
    at = [month for month in MONTHS if known.any() and month <= months.max()]
    if real:
        for ended in (LOST_RELIEF, *([DIED] if (status == DIED).any() else [])):
            at = choose_months(months, status, at, event=ended)
    if not at:
        return pd.DataFrame()
    names = {"lower": "holds_lower", "upper": "holds_upper", "survival": "holds"}
    course = compute_kaplan_meier(months, status, at).rename(columns=names)
    lost = compute_aalen_johansen(months, status, at).set_index("month")
    for name, source in (("lost", "incidence"), ("lost_lower", "lower"), ("lost_upper", "upper")):
        course[name] = lost[source].to_numpy()
    if not real:
        return course
    measured = [name for name in course if name not in ("month", "at_risk")]
    return suppress_months(course, at).round(dict.fromkeys(measured, SHARE_DIGITS))


def release_outcomes(outcomes: pd.DataFrame, *, real: bool) -> pd.DataFrame:
    """Release outcomes by technique.

    The share with 30 % relief is hidden where few have between 30 and 50 %: the difference would tell their number.
    """
    close = _flag_close(outcomes)
    released = release_shares(outcomes, within=["outcome"], is_zero_shown=False, real=real)
    if not real:
        return released
    hidden = {name: released[name].mask(close) for name in ("count", "share", "lower", "upper")}
    return released.assign(asked=release_counts(released["asked"]), **hidden)


def _flag_close(outcomes: pd.DataFrame) -> pd.Series:
    half = outcomes[outcomes["outcome"] == "pain_response"].set_index("technique")["count"]
    between = outcomes["count"] - outcomes["technique"].map(half)
    return (outcomes["outcome"] == "pain_response_30") & is_small(between.fillna(0))


def release_changes(changes: pd.DataFrame, *, real: bool) -> pd.DataFrame:
    """Release changes of pain: few episodes are hidden, the others rounded."""
    if not real:
        return changes
    few = is_small(changes["n"])
    rounded = {
        name: changes[name].map(lambda value: round_digits(value, 2)).mask(few)
        for name in ("mean", "sd", "lower", "upper")
    }
    return changes.assign(n=release_counts(changes["n"]), **rounded)
