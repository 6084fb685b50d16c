"""Flow of a cohort: from rows read to episodes that can be used, overall and by technique."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from paincast.cohort.rejects import NOTHING_LOST
from paincast.cohort.tables import Cohort
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
    measures = [name for name in linked.contract.outcomes["pain_response"].measures if name in episodes]
    return {
        "a technique, not a comparator": _is_known(episodes["technique"].where(~is_comparator)),
        "indication known": _is_known(episodes["indication"]),
        "pain before the procedure": episodes[measures].notna().any(axis=1).to_numpy(),
        "any follow-up": linked.flag_episodes(visits["month"] > 0),
        "pain at follow-up": flag_followed(linked),
        "pain before and after": _flag_paired(linked),
        "pain response known at its primary month": np.isfinite(response),
    }


def _flag_paired(linked: LinkedCohort) -> BoolArray:
    """Flag the episodes with the same measure of pain before the procedure and at any follow-up."""
    later = linked.visits["month"] > 0
    pairs = [
        linked.episodes[name].notna().to_numpy() & linked.flag_episodes(linked.visits[name].notna() & later)
        for name in linked.pain_measures
    ]
    return np.asarray(np.any([np.zeros(linked.n, dtype=bool), *pairs], axis=0))


def _is_known(values: pd.Series) -> BoolArray:
    return values.notna().to_numpy(dtype=bool)


def label_response(linked: LinkedCohort, months: Mapping[str, float]) -> tuple[FloatArray, BoolArray]:
    """Label every episode with pain response at the month of its technique.

    Returns
    -------
    response : ndarray of float, shape (n,)
        1 or 0; NaN where it is unknown.
    is_matched : ndarray of bool, shape (n,)
        Whether it is told by an instrument by which the published evidence counts response.
    """
    outcome = linked.contract.outcomes["pain_response"]
    response, is_matched = np.full(linked.n, np.nan), np.zeros(linked.n, dtype=bool)
    for technique, rows in linked.split_techniques().items():
        labels = linked.label(outcome, months[technique], technique)
        response[rows] = labels.value.where(labels.eligible).to_numpy(dtype=float)
        if labels.instrument is not None:
            is_matched[rows] = ~labels.instrument.isin(outcome.list_unmatched(linked.pain_measures))
    return response, is_matched


def flag_followed(linked: LinkedCohort) -> BoolArray:
    """Flag the episodes with a measure of pain at any follow-up, shape (n,)."""
    return linked.flag_episodes(linked.has_pain & (linked.visits["month"] > 0))
