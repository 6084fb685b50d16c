"""Pool the response rates of the extraction table for each record and month, beside the curve set by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paincast.evidence.extraction import Result, Study, load_studies
from paincast.evidence.figures import Record
from paincast.evidence.records import records_of
from paincast.statistics import pool_shares

OUTCOME = "pain_relief_50"
"""The outcome that curves describe."""

NOT_PRIMARY = ("systematic review", "meta-analysis", "economic evaluation", "guideline", "case report")
POOLED_ARMS = ("treatment", "other technique")
"""Kinds of arm that count where they received the technique; an anaesthetic alone by the same needle is a control."""

MONTHS = (1.0, 3.0, 6.0, 12.0)
"""Months at which a record without a curve is pooled."""

COLUMNS = (
    *("record", "month", "curve", "share", "lower", "upper", "predicted_lower", "predicted_upper", "heterogeneity"),
    *("studies", "n", "of"),
)


def pool_responses(technique: str, *, confidence: float = 0.95) -> pd.DataFrame:
    """Pool the share of patients with at least half less pain after a technique, from the extraction table.

    Primary studies with an arm that received the technique count, by the approach and in an indication of the record,
    with a count over patients at a month within half of the month asked. A study counts once: by its result nearest to
    the month, its arms taken together (of several results of an arm, the one over most patients). Of studies that
    report the same patients, the one with the nearest month counts.

    Parameters
    ----------
    technique : str
        Name of the technique.
    confidence : float
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        ``record, month``, ``curve`` (the share of the record, set by hand), the pooled ``share`` with its interval,
        ``predicted_lower, predicted_upper`` (interval of a new study, see
        :func:`paincast.statistics.pooling.pool_shares`), ``heterogeneity``, ``studies``, ``n`` patients, and ``of``,
        the ids of the studies. Shares are missing where no study counts.

    Raises
    ------
    SettingsError
        If the technique is unknown.
    """
    rows = []
    for record in records_of(technique):
        if record.gap and not record.indication:
            continue
        curve = dict(record.response.months) if record.response else dict.fromkeys(MONTHS, np.nan)
        for month, share in curve.items():
            counts = _select_counts(record, month)
            row = {"record": record.id, "month": month, "curve": share, "studies": len(counts)}
            if counts:
                events, n = zip(*counts.values(), strict=True)
                pooled = pool_shares(events, n, confidence=confidence)._asdict()
                row |= {**pooled, "n": sum(n), "of": ", ".join(counts)}
            rows.append(row)
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(
        {"record": "str", "of": "str", "studies": "int64", "n": "Int64"}
    )
    return table.astype(dict.fromkeys(COLUMNS[1:9], "float64"))


def _select_counts(record: Record, month: float) -> dict[str, tuple[int, int]]:
    """Select events and patients of each study that counts, by its id."""
    found = {study.id: _find_results(study, record, month) for study in load_studies().values()}
    nearest = sorted((abs(results[0][0] - month), name) for name, results in found.items() if results)
    selected: dict[str, tuple[int, int]] = {}
    for _, name in nearest:
        if not set(load_studies()[name].overlaps) & set(selected):
            selected[name] = (sum(events for _, events, _ in found[name]), sum(n for _, _, n in found[name]))
    return dict(sorted(selected.items()))


def _find_results(study: Study, record: Record, month: float) -> list[tuple[float, int, int]]:
    """Find month, events and n of a study's arms at its visit nearest to a month; empty if the study does not count."""
    if study.design in NOT_PRIMARY or not set(study.indications) & set(record.indications):
        return []
    of_record = [result for result in study.results if _counts(study, result, record, month)]
    if not of_record:
        return []
    at = min((float(result.month or 0.0) for result in of_record), key=lambda near: (abs(near - month), near))
    at_visit = sorted((result for result in of_record if result.month == at), key=lambda result: result.n or 0)
    by_arm = {result.arm: result for result in at_visit}
    return [(at, *_count(result)) for result in by_arm.values()]


def _counts(study: Study, result: Result, record: Record, month: float) -> bool:
    arm = study.arms[result.arm]
    return (
        result.outcome == OUTCOME
        and result.n is not None
        and result.month is not None
        and abs(result.month - month) <= month / 2.0
        and arm.kind in POOLED_ARMS
        and not arm.regroups
        and arm.technique == record.technique
        and (record.approach is None or arm.approach == record.approach)
    )


def _count(result: Result) -> tuple[int, int]:
    n = result.n or 0
    return (round((result.share or 0.0) * n) if result.events is None else result.events), n
