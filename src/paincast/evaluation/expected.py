"""Find what evidence records expect of these patients: their response, and how well it can be foretold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from paincast.errors import SettingsError
from paincast.evidence.figures import Record
from paincast.evidence.records import records_of
from paincast.evidence.scenarios import shift_curve
from paincast.schema import MINIMUM_CELL
from paincast.training_set import TrainingSet

COLUMNS = ("record", "scenario", "month", "expected", "says")
CURVE_OUTCOME = "pain_response"
"""The outcome for which the records have a curve."""

ANTICIPATED_AUROC = 0.7
"""AUROC that models of response to pain procedures reach, where no evidence on the technique says more."""

LOWEST_AUROC = 0.51
"""Lowest AUROC for which a sample size exists."""

ALL = "all"
"""Name of the row with the rate of all patients."""


@dataclass(frozen=True, kw_only=True)
class ExpectedResponse:
    """The response that evidence records expect, or the reason why there is none.

    Parameters
    ----------
    share : float or None
        Expected share of these patients, rounded to whole percent: with more digits the number of patients of each
        record could be worked out.
    table : DataFrame
        ``record, scenario, month, expected, says``: one row per record, and last the row ``all`` with an explanation.
    """

    share: float | None
    table: pd.DataFrame


def find_expected_response(data: TrainingSet, scenario: str) -> ExpectedResponse:
    """Find the response that the evidence expects in a scenario at the horizon.

    Records are weighted by the number of patients with a known outcome whose indication and approach they cover; a
    record with fewer than five such patients is left out.

    Parameters
    ----------
    data : TrainingSet
        The patients, for their technique, outcome, horizon, indications and approaches; outcomes are not used.
    scenario : str
        One of the scenarios of the records.
    """
    month = data.horizon_months
    if data.outcome.name != CURVE_OUTCOME:
        return _leave_out(scenario, month, f"the evidence holds a curve of {CURVE_OUTCOME} only")
    if data.technique in data.contract.own_techniques:
        return _leave_out(scenario, month, f"no published evidence stands beside {data.technique}")
    if data.unmatched:
        return _leave_out(scenario, month, f"the evidence counts no response by {', '.join(data.unmatched)}")
    with_curve = [record for record in records_of(data.technique) if record.response]
    if not with_curve:
        return _leave_out(scenario, month, f"the evidence of {data.technique} holds no response curve")
    counts = {record.id: n for record, n in _count_patients(data, with_curve) if n >= MINIMUM_CELL}
    used = [record for record in with_curve if record.id in counts]
    if not used:
        reason = f"no response curve is of the indication and approach of {MINIMUM_CELL} or more of these patients"
        return _leave_out(scenario, month, reason)
    try:
        curves = {record.id: shift_curve(record, scenario) for record in used}
    except SettingsError:
        return _leave_out(scenario, month, f"the evidence has no scenario '{scenario}'")
    absent = [name for name, curve in curves.items() if month not in curve]
    if absent:
        months = ", ".join(f"{value:g}" for value in curves[absent[0]])
        return _leave_out(scenario, month, f"the response curve of {absent[0]} holds months {months} only")
    shares = {name: curve[month] for name, curve in curves.items()}
    mean = sum(counts[name] * share for name, share in shares.items()) / sum(counts.values())
    share = round(mean, 2)
    rows = [(name, scenario, month, round(value, 2), "") for name, value in shares.items()]
    explanation = _explain(share, used, scenario, month)
    return ExpectedResponse(share=share, table=_tabulate([*rows, (ALL, scenario, month, share, explanation)]))


def anticipate_auroc(data: TrainingSet) -> float:
    """Find the AUROC that can be anticipated of a technique: that of the published predictors, if all were known.

    The mean over the evidence records of the technique that have predictors, weighted by the patients they cover;
    records alone where they cover nobody. For outcomes that published predictors of response do not concern, and
    without a record, :data:`ANTICIPATED_AUROC`.

    Parameters
    ----------
    data : TrainingSet
        The patients, for their technique, outcome, indications and approaches; outcomes are not used.

    Returns
    -------
    float
        Rounded to two decimals: with more digits the number of patients of each record could be worked out.
    """
    evidence = data.contract.find_evidence(data.technique)
    records = [record for record in records_of(evidence) if record.implied] if evidence else []
    if not data.outcome.follows_response or not records:
        return ANTICIPATED_AUROC
    counts = {record.id: n for record, n in _count_patients(data, records) if n >= MINIMUM_CELL}
    weights = counts or dict.fromkeys((record.id for record in records), 1)
    known = {record.id: record.implied.bayes_optimal_auc for record in records if record.implied}
    mean = sum(n * known[name] for name, n in weights.items()) / sum(weights.values())
    return max(round(mean, 2), LOWEST_AUROC)


def _count_patients(data: TrainingSet, records: list[Record]) -> Iterator[tuple[Record, int]]:
    """Count the patients with a known outcome of each record; a record of the same indication is preferred."""
    known = data.episodes.loc[data.known, ["indication", "approach"]]
    covering = pd.Series(
        [_find_record(records, *pair) for pair in known.astype("str").fillna("").itertuples(index=False)], dtype="str"
    )
    for record in records:
        yield record, int((covering == record.id).sum())


def _find_record(records: list[Record], indication: str, approach: str) -> str:
    fitting = [record for record in records if indication in record.indications and record.approach in (None, approach)]
    nearest = min(fitting, key=lambda record: record.indication != indication, default=None)
    return nearest.id if nearest else ""


def _explain(share: float, used: list[Record], scenario: str, month: float) -> str:
    names = ", ".join(record.id for record in used)
    weighted = ", weighted by the indications and approaches of these patients" if len(used) > 1 else ""
    expected = f"expected response of the scenario '{scenario}' at month {month:g}: {share:.0%}"
    return f"{expected} (paincast evidence records {names}{weighted})"


def _leave_out(scenario: str, month: float, because: str) -> ExpectedResponse:
    reason = f"no expected response at month {month:g} to decide by: {because}"
    return ExpectedResponse(share=None, table=_tabulate([(ALL, scenario, month, None, reason)]))


def _tabulate(rows: list[tuple[str, str, float, float | None, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"expected": "float64"})
