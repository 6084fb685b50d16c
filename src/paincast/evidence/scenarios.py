"""Shift a published response curve to the rate of a scenario."""

from __future__ import annotations

from math import exp, log

from paincast.errors import RefusalError, SettingsError, suggest_name
from paincast.evidence.figures import CurvePoint, Record


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
    shift = _find_shift(record, scenario)
    return {month: _move(point.share, shift) for month, point in _list_points(record)}


def shift_intervals(record: Record, scenario: str) -> dict[float, tuple[float, float]]:
    """Shift the 95 % interval of a new study with the curve.

    Raises
    ------
    RefusalError
        If the record has no response curve.
    SettingsError
        If it has no such scenario.
    """
    shift = _find_shift(record, scenario)
    return {
        month: (_move(point.predicted_lower, shift), _move(point.predicted_upper, shift))
        for month, point in _list_points(record)
    }


def _list_points(record: Record) -> list[tuple[float, CurvePoint]]:
    return sorted(record.response.points.items()) if record.response else []


def _find_shift(record: Record, scenario: str) -> float:
    if record.response is None or record.primary_month is None:
        raise RefusalError(f"evidence record {record.id} holds no response curve", code="PC-EVIDENCE-28")
    scenarios = record.response.scenarios
    if scenario not in scenarios:
        raise SettingsError(
            f"scenario: unknown name '{scenario}'; {suggest_name(scenario, scenarios)}", code="PC-EVIDENCE-29"
        )
    return _log_odds(scenarios[scenario]) - _log_odds(record.response.months[record.primary_month])


def _move(share: float, shift: float) -> float:
    return 1.0 / (1.0 + exp(-_log_odds(share) - shift))


def _log_odds(share: float) -> float:
    return log(share / (1.0 - share))
