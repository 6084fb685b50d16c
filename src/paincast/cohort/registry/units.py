"""Units that registries may use for a column, with factors into the contract's unit."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from paincast.schema import Column

DAYS_PER_YEAR = 365.25

_MONTHS = {"months": 1.0, "years": 12.0, "weeks": 7 * 12 / DAYS_PER_YEAR, "days": 12 / DAYS_PER_YEAR}

_FACTORS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "months": _MONTHS,
        "months after the procedure": _MONTHS,
        "years": {"years": 1.0, "months": 1 / 12, "days": 1 / DAYS_PER_YEAR},
        "cm": {"cm": 1.0, "m": 100.0, "mm": 0.1, "inches": 2.54, "feet": 30.48},
        "kg": {"kg": 1.0, "g": 0.001, "pounds": 0.45359237, "stone": 6.35029318},
        "kg/m2": {"kg/m2": 1.0},
        "NRS points": {"0-10": 1.0, "0-100": 0.1, "mm": 0.1, "cm": 1.0},
        "ODI points": {"0-100": 1.0, "0-50": 2.0, "0-1": 100.0},
        "WOMAC points": {"0-100": 1.0, "0-96": 100 / 96, "0-240": 100 / 240},
        "%": {"%": 1.0, "0-100": 1.0, "0-1": 100.0},
        "×10⁹/L": {"×10⁹/L": 1.0, "10^9/L": 1.0, "10^3/uL": 1.0, "1/nL": 1.0, "1/uL": 0.001},
        "mmHg": {"mmHg": 1.0, "kPa": 7.50062},
        "mL/min/1.73 m2": {"mL/min/1.73 m2": 1.0, "mL/min/1.73m2": 1.0, "mL/s/1.73m2": 60.0},
        "mg/day": {"mg/day": 1.0, "mg/week": 1 / 7},
        "doses/week": {"doses/week": 1.0, "doses/day": 7.0, "doses/month": 7 * 12 / DAYS_PER_YEAR},
    }
)


def unit_factors(column: Column) -> Mapping[str, float]:
    """List the units a source may declare for a column, with the factor into the contract's unit.

    Examples
    --------
    >>> from paincast.schema import EPISODES
    >>> unit_factors(EPISODES["weight_kg"])["pounds"]
    0.45359237
    """
    if column.unit is None:
        return {}
    return _FACTORS.get(column.unit, {column.unit: 1.0})
