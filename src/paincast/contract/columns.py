"""Read the predictors of a contract as columns of an episode."""

from __future__ import annotations

import re
from collections.abc import Mapping

from paincast.contract.keys import NAME_PATTERN, ROLES, TIMINGS, TYPES, list_keys, list_required
from paincast.errors import suggest_name
from paincast.files.strict_yaml import Node
from paincast.schema import Column
from paincast.schema.instruments import Instrument

LONGEST_TEXT = 200
LONGEST_VALUE = 60


def read_name(name: str, node: Node) -> str:
    """Return a name that the contract gives, if it can be the name of a column, a folder and a tag."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise node.refuse("a name starts with a small letter and has only small letters, digits and _ (at most 63)")
    return name


def read_text(node: Node, longest: int = LONGEST_TEXT) -> str:
    """Return a text of one line."""
    text = " ".join(node.text().split())
    if len(text) > longest:
        raise node.refuse(f"has {len(text)} characters; at most {longest} are allowed")
    return text


def read_range(node: Node) -> tuple[float, float]:
    """Return two increasing numbers."""
    entries = node.entries()
    if len(entries) != 2:
        raise node.refuse("needs two numbers, the lowest and the highest")
    low, high = (entry.number() for entry in entries)
    if not low < high:
        raise node.refuse("the lowest must be below the highest")
    return low, high


def read_predictor(name: str, node: Node, instruments: Mapping[str, Instrument]) -> Column:
    """Read a predictor.

    Parameters
    ----------
    name : str
        Its name.
    node : Node
        Its block.
    instruments : mapping of str to Instrument
        Instruments of the library and of the contract.

    Returns
    -------
    Column
        Known before the procedure, it is a model input unless it has a role that is none.

    Raises
    ------
    SettingsError
        If a fact is missing or does not fit the type.
    """
    keys = node.section(list_keys("predictor"), required=list_required("predictor"))
    known = keys["known"].choice(TIMINGS)
    role = keys["role"].choice(ROLES) if "role" in keys else ("predictor" if known == "before" else "process")
    if known != "before" and role in ("predictor", "technique", "funnel"):
        raise keys["role"].refuse(f"a value known {known} the procedure cannot be a {role}; leave the role out")
    declared = {
        "name": name,
        "role": role,
        "timing": known,
        "label": read_text(keys["label"]) if "label" in keys else "",
        "description": read_text(keys["description"]) if "description" in keys else name.replace("_", " "),
    }
    if "instrument" in keys:
        return _score_of(keys, declared, instruments)
    if "type" not in keys:
        raise node.refuse("the key 'type' is missing; give it, or an 'instrument'")
    return _typed(node, keys, declared)


def _score_of(keys: Mapping[str, Node], declared: Mapping[str, str], instruments: Mapping[str, Instrument]) -> Column:
    for key in ("type", "unit", "range", "values", "skewed"):
        if key in keys:
            raise keys[key].refuse("comes with the instrument; leave it out")
    name = keys["instrument"].text()
    if name not in instruments:
        raise keys["instrument"].refuse(f"unknown instrument '{name}'; {suggest_name(name, instruments)}")
    instrument = instruments[name]
    return Column(type="number", low=instrument.low, high=instrument.high, unit=instrument.unit, **declared)  # type: ignore[arg-type]


def _typed(node: Node, keys: Mapping[str, Node], declared: Mapping[str, str]) -> Column:
    kind = keys["type"].choice(TYPES)
    is_number = kind in ("number", "integer")
    applies = {"range": is_number, "unit": is_number, "skewed": is_number, "values": kind == "category"}
    for key, fits in applies.items():
        if key in keys and not fits:
            raise keys[key].refuse(f"does not apply to a {kind}")
    if is_number and "range" not in keys:
        raise node.refuse("the key 'range' is missing; what lies outside it is rejected")
    if kind == "category" and "values" not in keys:
        raise node.refuse("the key 'values' is missing; list the values of the category")
    low, high = read_range(keys["range"]) if is_number else (None, None)
    if kind == "integer" and not (float(low or 0).is_integer() and float(high or 0).is_integer()):
        raise keys["range"].refuse("the ends of a range of whole numbers are whole numbers")
    return Column(
        type=kind,  # type: ignore[arg-type]
        low=low,
        high=high,
        unit=read_text(keys["unit"], LONGEST_VALUE) if "unit" in keys else None,
        log_scale=_read_skewed(keys["skewed"], low) if "skewed" in keys else False,
        categories=_read_values(keys["values"]) if kind == "category" else (),
        **declared,  # type: ignore[arg-type]
    )


def _read_skewed(node: Node, low: float | None) -> bool:
    skewed = node.flag()
    if skewed and low is not None and low < 0:
        raise node.refuse("a number that can be below 0 has no log(1 + value); leave 'skewed' out")
    return skewed


def _read_values(node: Node) -> tuple[str, ...]:
    values = tuple(read_text(entry, LONGEST_VALUE) for entry in node.entries())
    if len({value.casefold() for value in values}) < len(values):
        raise node.refuse("a value appears twice (upper and lower case count as the same)")
    if "missing" in {value.casefold() for value in values}:
        raise node.refuse("'missing' stands for no value and cannot be a value; choose another word")
    if not 2 <= len(values) <= 60:
        raise node.refuse(f"has {len(values)} values; 2 to 60 are allowed")
    return values
