"""Follow-up of a cohort: who is seen in the window of each month, overall, by site and by year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from paincast.errors import PaincastError
from paincast.outcomes import default_window
from paincast.profiling.linked import BoolArray, Grouping, LinkedCohort
from paincast.training_set import find_primary_horizon

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
HELD = ("any visit", "pain")


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
        primary = _find_primary_month(linked, technique)
        counts = {at: int((flags & rows).sum()) for at, flags in seen.items()}
        most = max(counts, key=lambda at: (counts[at], -at))
        is_seen = primary is not None and (_flag_answered(linked, primary) & rows).any()
        months[technique] = primary if primary is not None and (is_seen or not counts[most]) else most
    return months


def _find_primary_month(linked: LinkedCohort, technique: str) -> float | None:
    """Find the primary month of a technique, by its evidence or the contract; None without."""
    try:
        return find_primary_horizon(technique, linked.contract)
    except PaincastError:
        return None


def _flag_answered(linked: LinkedCohort, month: float) -> BoolArray:
    """Flag the episodes with a pain score in the window in which outcomes of a month are assessed."""
    inside = linked.visits["month"].between(*default_window(linked.contract.outcomes["pain_response"], month))
    return linked.flag_episodes(inside & linked.has_pain)


def flag_seen(linked: LinkedCohort, month: float, *, is_pain_needed: bool = False) -> BoolArray:
    """Flag the episodes with a visit in the window of a month, shape (n,).

    Parameters
    ----------
    linked : LinkedCohort
        The cohort.
    month : float
        A month of :data:`WINDOWS`.
    is_pain_needed : bool
        Whether the visit must hold a measure of pain.
    """
    inside = linked.visits["month"].between(*WINDOWS[month], inclusive="left")
    return linked.flag_episodes(inside & linked.has_pain if is_pain_needed else inside)


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
        for held in HELD:
            shares = grouping.count(flag_seen(linked, month, is_pain_needed=held == "pain"), is_due)
            counted.append(shares.assign(month=month, first=first, last=last, held=held))
    frame = pd.concat(counted[1:] or counted, ignore_index=True)
    return (
        frame[frame["n"] > 0].reset_index(drop=True)
        if months
        else frame.assign(month=np.nan, first=np.nan, last=np.nan, held="")
    )
