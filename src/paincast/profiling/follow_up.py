"""Follow-up of a cohort: who is seen in the window of each month, overall, by site and by year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from paincast.errors import PaincastError
from paincast.evidence.records import primary_horizon
from paincast.outcomes import OUTCOMES, default_window
from paincast.profiling.linked import BoolArray, Grouping, LinkedCohort
from paincast.schema import TECHNIQUES

WINDOWS: Mapping[float, tuple[float, float]] = {
    1.0: (0.5, 2.0),
    3.0: (2.0, 4.5),
    6.0: (4.5, 9.0),
    12.0: (9.0, 18.0),
    24.0: (18.0, 42.0),
    60.0: (42.0, 90.0),
}
"""Months of follow-up with their windows; the end of a window belongs to the next."""

MONTHS = tuple(WINDOWS)
HELD = {"any visit": None, "pain": "pain_nrs"}


def list_months(linked: LinkedCohort) -> tuple[float, ...]:
    """List the months in whose window any visit lies."""
    month = linked.visits["month"]
    return tuple(at for at, window in WINDOWS.items() if month.between(*window, inclusive="left").any())


def choose_months(linked: LinkedCohort) -> dict[str, float]:
    """Choose the month at which the response of each technique is assessed.

    It is the primary month of its evidence; without evidence, or if no visit with pain lies in the window of that
    month, the month with most episodes that have one.

    Returns
    -------
    dict of str to float
        By technique or comparator, for all in the cohort.
    """
    seen = {at: _flag_answered(linked, at) for at in MONTHS}
    months = {}
    for technique, rows in linked.split_techniques().items():
        primary = find_primary_month(technique)
        counts = {at: int((flags & rows).sum()) for at, flags in seen.items()}
        most = max(counts, key=lambda at: (counts[at], -at))
        is_seen = primary is not None and (_flag_answered(linked, primary) & rows).any()
        months[technique] = primary if primary is not None and (is_seen or not counts[most]) else most
    return months


def find_primary_month(technique: str) -> float | None:
    """Find the primary month of a technique; None without evidence."""
    if technique not in TECHNIQUES:
        return None
    try:
        return primary_horizon(technique)
    except PaincastError:
        return None


def _flag_answered(linked: LinkedCohort, month: float) -> BoolArray:
    """Flag the episodes with a pain score in the window in which outcomes of a month are assessed."""
    visits = linked.visits
    inside = visits["month"].between(*default_window(OUTCOMES["pain_response"], month))
    return linked.flag_episodes(inside & visits["pain_nrs"].notna())


def flag_seen(linked: LinkedCohort, month: float, measure: str | None = None) -> BoolArray:
    """Flag the episodes with a visit in the window of a month, shape (n,).

    Parameters
    ----------
    linked : LinkedCohort
        The cohort.
    month : float
        A month of :data:`WINDOWS`.
    measure : str, optional
        Column of the visits that must be known.
    """
    visits = linked.visits
    inside = visits["month"].between(*WINDOWS[month], inclusive="left")
    return linked.flag_episodes(inside if measure is None else inside & visits[measure].notna())


def compute_follow_up(linked: LinkedCohort, grouping: Grouping, months: Sequence[float]) -> pd.DataFrame:
    """Count who has a visit in the window of each month, of those not known to have died before it.

    Parameters
    ----------
    linked : LinkedCohort
        The cohort.
    grouping : Grouping
        Groups of episodes.
    months : sequence of float
        Months, from :func:`list_months`.

    Returns
    -------
    DataFrame
        The name of the grouping, ``month, first, last`` (its window), ``held`` (any visit, or one with pain), ``n``
        episodes, ``count`` seen, ``share`` and the patients of both parts.
    """
    counted = [pd.DataFrame(columns=[grouping.name, "n", "count", "share", "with_patients", "without_patients"])]
    for month in months:
        first, last = WINDOWS[month]
        is_due = ~(linked.death_month.to_numpy() < month)
        for held, measure in HELD.items():
            shares = grouping.count(flag_seen(linked, month, measure), is_due)
            counted.append(shares.assign(month=month, first=first, last=last, held=held))
    frame = pd.concat(counted[1:] or counted, ignore_index=True)
    return (
        frame[frame["n"] > 0].reset_index(drop=True)
        if months
        else frame.assign(month=np.nan, first=np.nan, last=np.nan, held="")
    )
