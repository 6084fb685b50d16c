"""Units that registries may use for a column, with factor and offset into the contract's unit."""

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
        "NRS points": {"0-10": 1.0, "0-100": 0.1, "mm": 0.1, "cm": 1.0, "0-1": 10.0},
        "ODI points": {"0-100": 1.0, "0-50": 2.0, "0-1": 100.0},
        "WOMAC points": {"0-100": 1.0, "0-96": 100 / 96, "0-240": 100 / 240},
        "%": {"%": 1.0, "0-100": 1.0, "0-1": 100.0},
        "×10⁹/L": {"×10⁹/L": 1.0, "10^9/L": 1.0, "10^3/uL": 1.0, "1/nL": 1.0, "1/uL": 0.001},
        "mmHg": {"mmHg": 1.0, "kPa": 7.50062},
        "mL/min/1.73 m2": {"mL/min/1.73 m2": 1.0, "mL/min/1.73m2": 1.0, "mL/s/1.73m2": 60.0},
        "mg/day": {"mg/day": 1.0, "mg/week": 1 / 7},
        "VAS mm": {"mm": 1.0, "0-100": 1.0, "cm": 10.0, "0-10": 10.0},
        "NDI %": {"%": 1.0, "0-100": 1.0, "0-50": 2.0, "0-1": 100.0},
        "DASS points": {"0-42": 1.0, "0-21": 2.0},
        "OKS points": {"0-48": 1.0, "60-12": -1.0},
        "PGIC points": {"1-7": 1.0, "0-6": 1.0, "7-1": -1.0},
        "T-score": {"T-score": 1.0, "T": 1.0},
        "s": {"s": 1.0},
        "g/L": {"g/L": 1.0, "mg/dL": 0.01, "g/dL": 10.0},
        "doses/week": {"doses/week": 1.0, "doses/day": 7.0, "doses/month": 7 * 12 / DAYS_PER_YEAR},
    }
)

_OFFSETS: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("PGIC points", "0-6"): 1.0,
        ("PGIC points", "7-1"): 8.0,
        ("OKS points", "60-12"): 60.0,
    }
)
"""What is added after the factor: scales that start elsewhere, or are written the other way round."""

_UCUM = {
    "kg": "kg",
    "g": "g",
    "[lb_av]": "pounds",
    "[stone_av]": "stone",
    "cm": "cm",
    "m": "m",
    "mm": "mm",
    "[in_i]": "inches",
    "[in_us]": "inches",
    "[ft_i]": "feet",
    "kg/m2": "kg/m2",
    "mo": "months",
    "a": "years",
    "wk": "weeks",
    "d": "days",
    "%": "%",
    "mm[Hg]": "mmHg",
    "kPa": "kPa",
    "10*9/L": "10^9/L",
    "10*3/uL": "10^3/uL",
    "mL/min/{1.73_m2}": "mL/min/1.73m2",
    "mg/d": "mg/day",
}
"""Codes of the Unified Code for Units of Measure for units of :data:`_FACTORS`."""


def unit_factors(column: Column) -> Mapping[str, float]:
    """List the units a source may declare for a column, with the factor into the contract's unit.

    A score may be declared by its range.

    Examples
    --------
    >>> from paincast.schema import EPISODES
    >>> unit_factors(EPISODES["weight_kg"])["pounds"]
    0.45359237
    """
    if column.unit is None:
        return {}
    ends = () if column.low is None or column.high is None else (f"{column.low:g}-{column.high:g}",)
    own = (column.unit, *ends) if "points" in column.unit else (column.unit,)
    return _FACTORS.get(column.unit, dict.fromkeys(own, 1.0))


def unit_offset(column: Column, unit: str) -> float:
    """Return what is added to a value of a unit, after its factor.

    Examples
    --------
    >>> from paincast.schema import VISITS
    >>> 0 * unit_factors(VISITS["pgic"])["0-6"] + unit_offset(VISITS["pgic"], "0-6")
    1.0
    """
    return _OFFSETS.get((column.unit or "", unit), 0.0)


def unit_codes(column: Column) -> dict[str, float]:
    """List the units that a row may name, by name and by UCUM code, with the factor; no scale that starts elsewhere.

    Examples
    --------
    >>> from paincast.schema import EPISODES
    >>> unit_codes(EPISODES["weight_kg"])["[lb_av]"]
    0.45359237
    """
    factors = {name: factor for name, factor in unit_factors(column).items() if not unit_offset(column, name)}
    return {code: factors[name] for code, name in _UCUM.items() if name in factors} | factors
