"""Count outcome labels by the month of their visit and by the instrument that answered."""

from __future__ import annotations

from paincast.deferred import pandas as pd
from paincast.outcomes.labels import OutcomeLabels


def count_label_months(labels: OutcomeLabels, among: pd.Series | None = None) -> dict[int, int]:
    """Count the labels by the month of their visit, rounded to whole months.

    Parameters
    ----------
    labels : OutcomeLabels
        Labels of an outcome.
    among : Series of bool, shape (n,), optional
        Episodes to count; by default those in the denominator.

    Returns
    -------
    dict of int to int
        Number by month, in order. Empty if the labels are not based on visits, or all are from the horizon's month.

    Examples
    --------
    >>> from paincast.outcomes import OUTCOMES, compute_outcome
    >>> episodes = pd.DataFrame({"episode_id": ["a", "b"], "pain_nrs": [8.0, 6.0]})
    >>> visits = pd.DataFrame({"episode_id": ["a", "b"], "month": [6.1, 3.0], "pain_nrs": [4.0, 5.0]})
    >>> events = pd.DataFrame({"episode_id": [], "month": [], "kind": [], "detail": []})
    >>> count_label_months(compute_outcome(episodes, visits, events, OUTCOMES["pain_response"], 6.0))
    {3: 1, 6: 1}
    """
    if labels.visit_month is None:
        return {}
    months = labels.visit_month[labels.eligible if among is None else among].dropna().round().astype(int)
    number = months.value_counts().sort_index()
    counts = dict(zip(number.index.tolist(), number.tolist(), strict=True))
    return counts if set(counts) - {round(labels.horizon_months)} else {}


def count_instruments(labels: OutcomeLabels, among: pd.Series | None = None) -> dict[str, int]:
    """Count the labels by the measure that answered.

    Parameters
    ----------
    labels : OutcomeLabels
        Labels of an outcome.
    among : Series of bool, shape (n,), optional
        Episodes to count; by default those in the denominator.

    Returns
    -------
    dict of str to int
        Number by measure, in the order of the outcome. Empty if all are answered by its first measure.

    Examples
    --------
    >>> from paincast.outcomes import OUTCOMES, compute_outcome
    >>> episodes = pd.DataFrame({"episode_id": ["a", "b"], "pain_nrs": [8.0, None], "peg": [7.0, 6.0]})
    >>> seen = {"month": [6.0, 6.0], "pain_nrs": [4.0, 2.0], "peg": [1.0, 3.0]}
    >>> visits = pd.DataFrame({"episode_id": ["a", "b"], **seen})
    >>> events = pd.DataFrame({"episode_id": [], "month": [], "kind": [], "detail": []})
    >>> count_instruments(compute_outcome(episodes, visits, events, OUTCOMES["pain_response"], 6.0))
    {'pain_nrs': 1, 'peg': 1}
    """
    if labels.instrument is None:
        return {}
    answered = labels.instrument[labels.eligible if among is None else among].value_counts()
    counts = {line.measure: int(answered.get(line.measure, 0)) for line in labels.outcome.lines}
    known = {measure: n for measure, n in counts.items() if n}
    return known if set(known) - {labels.outcome.lines[0].measure} else {}
