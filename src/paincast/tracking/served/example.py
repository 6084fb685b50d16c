"""Invent patients by which a logged model can be tried: nobody's values, in the columns that the model uses."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from paincast.predictor import Predictor
from paincast.schema import Column

TYPICAL = MappingProxyType(
    {"age_years": 58, "bmi": 27.5, "pain_nrs": 7, "pain_duration_months": 24, "odi": 44, "womac": 55, "opioid_mme": 0}
)
"""Values that a reader finds likely; of other numbers the middle of what is allowed is given."""

INVENTED = "invented"
NAMES = ("indication", "pain_nrs")
"""Columns of the second patient, of whom little is known."""


def invent_patients(predictor: Predictor) -> list[dict[str, Any]]:
    """Invent two patients whom a model answers: one with a value in each column it uses, one of whom little is known.

    Parameters
    ----------
    predictor : Predictor
        The model.

    Returns
    -------
    list of dict
        Their values by column; their ids say that they are invented.
    """
    columns = predictor.contract.episodes
    used = dict.fromkeys((*NAMES, *predictor.response.encoder.owners))
    values = {name: _invent_value(columns[name]) for name in used if name in columns}
    if predictor.rules.indications:
        values["indication"] = predictor.rules.indications[0]
    little = {name: values[name] for name in NAMES}
    return [{"episode_id": f"{INVENTED}-1", **values}, {"episode_id": f"{INVENTED}-2", **little}]


def _invent_value(column: Column) -> object:
    if column.name in TYPICAL:
        return TYPICAL[column.name]
    if column.type == "boolean":
        return False
    if column.type == "category":
        return column.categories[0]
    if column.type == "text":
        return INVENTED
    low, high = column.low or 0, column.high if column.high is not None else 2
    return round((low + high) / 2)
