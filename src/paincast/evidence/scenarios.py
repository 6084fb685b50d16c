"""Shift a published response curve to the rate of a scenario."""

from __future__ import annotations

from math import exp, log

from paincast.errors import RefusalError, SettingsError, suggest_name
from paincast.evidence.figures import Record


def shift_curve(record: Record, scenario: str) -> dict[float, float]:
    """Shift the log odds of a record's curve to match the scenario's share at the primary month.

    Parameters
    ----------
    record : Record
        A record with a response curve.
    scenario : str
        Scenario of the record.

    Returns
    -------
    dict of float to float
        Month to share responding, in the order of months.

    Raises
    ------
    RefusalError
        If the record has no response curve.
    SettingsError
        If it has no such scenario.

    Examples
    --------
    >>> from paincast.evidence import load_record
    >>> record = load_record("facet_rfa")
    >>> round(shift_curve(record, "pragmatic")[6.0], 9) == record.scenarios["pragmatic"]
    True
    """
    if record.response is None or record.primary_month is None:
        raise RefusalError(f"evidence record {record.id} holds no response curve", code="PC-EVIDENCE-28")
    scenarios = record.response.scenarios
    if scenario not in scenarios:
        raise SettingsError(
            f"scenario: unknown name '{scenario}'; {suggest_name(scenario, scenarios)}", code="PC-EVIDENCE-29"
        )
    shift = _log_odds(scenarios[scenario]) - _log_odds(record.response.months[record.primary_month])
    return {
        month: 1.0 / (1.0 + exp(-_log_odds(share) - shift)) for month, share in sorted(record.response.months.items())
    }


def _log_odds(share: float) -> float:
    return log(share / (1.0 - share))
