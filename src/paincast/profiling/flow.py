"""Flow of a cohort: from rows read to episodes that can be used, overall and by technique."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from paincast.cohort.rejects import NOTHING_LOST
from paincast.cohort.tables import Cohort
from paincast.outcomes import OUTCOMES
from paincast.profiling.linked import BoolArray, FloatArray, Grouping, LinkedCohort
from paincast.schema import COMPARATORS

SOURCE_COLUMNS = ("step", "rows")
STAGES = ("referred", "selected", "treated")


def compute_source(cohort: Cohort) -> pd.DataFrame:
    """Count what stood before the episodes: referred patients, rows of files, rows that the mapping leaves out.

    Parameters
    ----------
    cohort : Cohort
        A cohort; ``details`` are read.

    Returns
    -------
    DataFrame
        ``step, rows``; empty if the cohort does not tell.
    """
    details = cohort.details
    steps = [(f"rows read from {name}", int(file["rows"])) for name, file in details.get("files", {}).items()]
    steps += [(f"left out by the mapping: {entry['because']}", entry["rows"]) for entry in details.get("left_out", ())]
    funnel = pd.DataFrame(details.get("funnel", []), columns=[*STAGES])
    steps += [(f"{stage} (simulated)", int(funnel[stage].sum())) for stage in STAGES if len(funnel)]
    return pd.DataFrame(steps, columns=list(SOURCE_COLUMNS)).astype({"step": "str", "rows": "int64"})


def count_rejects(rejects: pd.DataFrame) -> pd.DataFrame:
    """Count what a reader left out, by rule.

    Parameters
    ----------
    rejects : DataFrame
        Rejects of an ingestion.

    Returns
    -------
    DataFrame
        ``action, table, column, rule, times``, the most frequent first; rules by which nothing is lost are left out.
    """
    keys = ["action", "table", "column", "rule"]
    lost = rejects[~rejects["rule"].isin(NOTHING_LOST)]
    counted = lost.groupby(keys, sort=True).size().rename("times").reset_index()
    return counted.sort_values("times", ascending=False, kind="stable", ignore_index=True)


def compute_flow(linked: LinkedCohort, response: FloatArray, grouping: Grouping) -> pd.DataFrame:
    """Count how many episodes have what a model needs.

    Parameters
    ----------
    linked : LinkedCohort
        The cohort.
    response : ndarray of float, shape (n,)
        From :func:`label_response`.
    grouping : Grouping
        Groups of episodes.

    Returns
    -------
    DataFrame
        ``step``, the name of the grouping, ``n`` episodes, ``count`` of these, ``share`` and the patients of both
        parts.
    """
    steps = _flag_steps(linked, response)
    return pd.concat([grouping.count(flags).assign(step=step) for step, flags in steps.items()], ignore_index=True)


def _flag_steps(linked: LinkedCohort, response: FloatArray) -> dict[str, BoolArray]:
    episodes, visits = linked.episodes, linked.visits
    is_comparator = episodes["technique"].isin(COMPARATORS)
    pain_before = episodes["pain_nrs"].notna().to_numpy()
    pain_after = flag_followed(linked)
    return {
        "a technique, not a comparator": _is_known(episodes["technique"].where(~is_comparator)),
        "indication known": _is_known(episodes["indication"]),
        "pain before the procedure": pain_before,
        "any follow-up": linked.flag_episodes(visits["month"] > 0),
        "pain at follow-up": pain_after,
        "pain before and after": pain_before & pain_after,
        "pain response known at its primary month": np.isfinite(response),
    }


def _is_known(values: pd.Series) -> BoolArray:
    return values.notna().to_numpy(dtype=bool)


def label_response(linked: LinkedCohort, months: Mapping[str, float]) -> FloatArray:
    """Label every episode with pain response at the month of its technique; NaN where it is unknown, shape (n,)."""
    response = np.full(linked.n, np.nan)
    for technique, rows in linked.split_techniques().items():
        labels = linked.label(OUTCOMES["pain_response"], months[technique], technique)
        response[rows] = labels.value.where(labels.eligible).to_numpy(dtype=float)
    return response


def flag_followed(linked: LinkedCohort) -> BoolArray:
    """Flag the episodes with pain at any follow-up, shape (n,)."""
    return linked.flag_episodes(linked.visits["pain_nrs"].notna() & (linked.visits["month"] > 0))
