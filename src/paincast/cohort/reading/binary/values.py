"""Write the values of workbooks, SPSS and Stata as the text that a CSV file would hold."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

LARGEST_WHOLE = 1e15
"""Numbers of workbooks have 15 digits."""


def format_value(value: object) -> str:
    """Write a value: dates as ISO 8601 without midnight, whole numbers without ``.0``, others with 15 digits.

    Examples
    --------
    >>> [format_value(value) for value in (7.0, 0.1 + 0.2, True, date(2022, 3, 1), datetime(2022, 3, 1, 0, 0), None)]
    ['7', '0.3', 'True', '2022-03-01', '2022-03-01', '']
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return format_float(value)
    if isinstance(value, datetime):
        return _format_datetime(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _format_duration(value)
    return str(value)


def format_float(value: float) -> str:
    """Write a number with at most 15 digits.

    Examples
    --------
    >>> [format_float(value) for value in (7.1, 7.0999999999999996, 12345678901234.0, 1e-07, float("nan"))]
    ['7.1', '7.1', '12345678901234', '1e-07', '']
    """
    if value != value:
        return ""
    return str(int(value)) if value.is_integer() and abs(value) <= LARGEST_WHOLE else f"{value:.15g}"


def _format_datetime(value: datetime) -> str:
    """Round to seconds: workbooks store fractions of days."""
    rounded = (value + timedelta(microseconds=500_000)).replace(microsecond=0)
    return rounded.date().isoformat() if rounded.time() == time() else rounded.isoformat(sep=" ")


def _format_duration(value: timedelta) -> str:
    minutes, seconds = divmod(round(value.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
