"""Missing values of a cohort: by column, by group, together, and what they go along with."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from paincast.profiling.linked import BoolArray, FloatArray, Grouping, IntArray, LinkedCohort
from paincast.schema import is_model_input

IDS = ("episode_id", "patient_id")
MOST_PATTERNS = 10
MOST_PATTERN_COLUMNS = 60
PATTERN_COLUMNS = ("pattern", "columns", "n", "count", "share", "with_patients", "without_patients")
LINK_COLUMNS = ("column", "value", "question", "n", "count", "share", "with_patients", "without_patients")
COMPLETE = "nothing missing"
OTHER_PATTERNS = "other patterns"


def compute_missing(linked: LinkedCohort) -> pd.DataFrame:
    """Count the missing values of each column, of the rows of techniques that record it at all.

    Parameters
    ----------
    linked : LinkedCohort
        The cohort.

    Returns
    -------
    DataFrame
        ``table, column, role, n, count, share`` and the patients of both parts, most missing first within a table.
        Columns that no technique records have ``n`` 0.
    """
    rows = []
    for table, frame in (("episodes", linked.episodes), ("visits", linked.visits)):
        of_row = np.arange(linked.n) if table == "episodes" else frame["episode_id"].to_numpy()
        everything = Grouping(
            name="all", labels=("all",), codes=np.zeros(len(frame), dtype=np.int64), patients=linked.patients[of_row]
        )
        for name, column in linked.contract.tables[table].items():
            if name not in IDS and name in frame:
                missing = frame[name].isna().to_numpy()
                among = _flag_recorded(linked, ~missing, of_row)
                counted = everything.count(missing, among)
                rows.append(counted.assign(table=table, column=name, role=column.role))
    found = pd.concat(rows, ignore_index=True).drop(columns="all")
    places = found.assign(place=found["table"].map({"episodes": 0, "visits": 1}), is_empty=found["n"] == 0)
    order = places.sort_values(["place", "is_empty", "share"], ascending=[True, True, False], kind="stable").index
    return found.loc[order].reset_index(drop=True)


def _flag_recorded(linked: LinkedCohort, known: BoolArray, of_row: IntArray) -> BoolArray:
    """Flag the rows of techniques in which a column is known at least once."""
    codes = linked.techniques.codes[of_row]
    is_recorded = np.bincount(codes[known], minlength=len(linked.techniques.labels)) > 0
    return np.asarray(is_recorded[codes])


def list_gaps(linked: LinkedCohort) -> dict[str, tuple[BoolArray, BoolArray]]:
    """List the model inputs with gaps, the largest first: where each is missing, and where it is recorded."""
    gaps = {}
    for name, column in linked.contract.tables["episodes"].items():
        if is_model_input(column):
            missing = linked.episodes[name].isna().to_numpy()
            recorded = _flag_recorded(linked, ~missing, np.arange(linked.n))
            if (missing & recorded).any():
                gaps[name] = (missing & recorded, recorded)
    return dict(sorted(gaps.items(), key=lambda gap: -gap[1][0].sum() / gap[1][1].sum()))


def compute_missing_by(linked: LinkedCohort, grouping: Grouping) -> pd.DataFrame:
    """Count the missing values of each model input by group; columns without gaps are left out.

    Parameters
    ----------
    linked : LinkedCohort
        The cohort.
    grouping : Grouping
        Groups of episodes.

    Returns
    -------
    DataFrame
        ``column``, the name of the grouping, ``n, count, share`` and the patients of both parts.
    """
    counted = [
        grouping.count(missing, recorded).assign(column=name) for name, (missing, recorded) in list_gaps(linked).items()
    ]
    if not counted:
        return grouping.count(np.zeros(linked.n)).assign(column="").iloc[:0]
    found = pd.concat(counted, ignore_index=True)
    return found[found["n"] > 0].reset_index(drop=True)


def compute_patterns(linked: LinkedCohort) -> pd.DataFrame:
    """Count which columns are missing together.

    Parameters
    ----------
    linked : LinkedCohort
        The cohort.

    Returns
    -------
    DataFrame
        ``pattern`` (names of the columns), ``columns`` (their number), ``n`` episodes, ``count, share`` and the
        patients of both parts: the ten most frequent patterns, that of complete episodes, and all others together.
    """
    gaps = list(list_gaps(linked).items())[:MOST_PATTERN_COLUMNS]
    bits = np.zeros(linked.n, dtype=np.int64)
    for place, (_, (missing, _)) in enumerate(gaps):
        bits |= missing.astype(np.int64) << place
    counts = pd.Series(bits).value_counts()
    shown = list(dict.fromkeys([*([0] if 0 in counts.index else []), *counts.index[:MOST_PATTERNS].tolist()]))
    codes = pd.Index(shown).get_indexer(pd.Index(bits))
    codes = np.where(codes < 0, len(shown), codes)
    names = [[name for place, (name, _) in enumerate(gaps) if pattern >> place & 1] for pattern in shown]
    labels = (*("; ".join(name) or COMPLETE for name in names), OTHER_PATTERNS)
    grouping = Grouping(name="pattern", labels=labels, codes=codes, patients=linked.patients)
    sizes = [*(len(name) for name in names), 0]
    return _count_parts(grouping, sizes)


def _count_parts(grouping: Grouping, sizes: Iterable[int]) -> pd.DataFrame:
    """Count the episodes of each group of all episodes."""
    parts = grouping.count(np.ones(len(grouping.codes)))
    n = len(grouping.codes)
    whole = parts.assign(columns=list(sizes), n=n, share=parts["count"] / max(n, 1))
    patients = parts["with_patients"]
    # A part of all: the others are the patients of the other parts.
    whole = whole.assign(without_patients=patients.sum() - patients)
    return whole.loc[whole["count"] > 0, list(PATTERN_COLUMNS)].reset_index(drop=True)


def compute_missing_links(linked: LinkedCohort, followed: BoolArray, response: FloatArray) -> pd.DataFrame:
    """Compare follow-up and response where a column is known and where it is missing.

    Parameters
    ----------
    linked : LinkedCohort
        The cohort.
    followed : ndarray of bool, shape (n,)
        Episodes with pain at follow-up.
    response : ndarray of float, shape (n,)
        Pain response, NaN where it is unknown.

    Returns
    -------
    DataFrame
        ``column, value`` (known, missing), ``question`` (followed up, response), ``n, count, share`` and the patients
        of both parts.
    """
    questions = {
        "followed up": (followed, np.ones(linked.n, dtype=bool)),
        "response": (response == 1, ~np.isnan(response)),
    }
    counted = []
    for name, (missing, recorded) in list_gaps(linked).items():
        groups = Grouping(
            name="value", labels=("known", "missing"), codes=missing.astype(np.int64), patients=linked.patients
        )
        counted += [
            groups.count(flags, among & recorded).assign(column=name, question=question)
            for question, (flags, among) in questions.items()
        ]
    if not counted:
        return pd.DataFrame(columns=list(LINK_COLUMNS))
    return pd.concat(counted, ignore_index=True)[list(LINK_COLUMNS)]
