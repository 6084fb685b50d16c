"""Read the fields and conditions of a mapping. An unknown key is an error."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace

import yaml

from paincast.cohort.coercion import to_code
from paincast.cohort.dates import check_date_format
from paincast.cohort.numerals import read_number
from paincast.cohort.registry.ambiguous_codes import refuse_ambiguous_code
from paincast.cohort.registry.mapping_types import (
    DATE_READINGS,
    MISSING,
    NO_INSTRUMENT,
    OTHERS,
    PERCENT,
    READINGS,
    SAME,
    YEAR,
    Condition,
    ConditionalCode,
    Field,
    RecordRows,
)
from paincast.cohort.registry.units import unit_codes, unit_factors, unit_offset
from paincast.errors import suggest_name
from paincast.files.strict_yaml import Node
from paincast.schema import Column

OF = ("event", "instrument", "instance")
"""Keys that say which rows of a REDCap record are meant."""
MOST_DAYS = 36_525

_SOURCES = ("column", "columns", "always", "row_number", "checked", "count_true", "named")
_FIELD = (
    *_SOURCES, "file", "prefix", "unit", "unit_column", "units", "codes", "missing", "true_if_contains", "none",
    "nothing_checked", "most_days_before", "reads", "date_format", *OF,
)  # fmt: skip
_WITH_CHECKED = {"checked", "none", "nothing_checked", *OF}
_WITH_NAMED = {
    "named", "most_days_before", "file", "unit", "units", "codes", "missing", "true_if_contains", "reads",
}  # fmt: skip


def read_fields(nodes: Mapping[str, Node], columns: Mapping[str, Column]) -> dict[str, Field]:
    """Read fields by the names of their columns in the contract."""
    fields = {}
    for name, node in nodes.items():
        if name not in columns:
            raise node.refuse(f"unknown column '{name}'; {suggest_name(name, columns)}")
        fields[name] = read_field(node, columns[name])
    return fields


def read_field(node: Node, target: Column) -> Field:
    """Read how a column of the contract is read."""
    keys = node.section(_FIELD)
    if sum(key in keys for key in _SOURCES) != 1:
        raise node.refuse(f"needs exactly one of {', '.join(map(repr, _SOURCES))}")
    _check_together(node, keys, target)
    reads = keys["reads"].choice(READINGS) if "reads" in keys else "value"
    return Field(
        target=target,
        column=read_text(keys, "column"),
        columns=keys["columns"].texts() if "columns" in keys else (),
        file=read_text(keys, "file"),
        always=_read_value(keys["always"], target) if "always" in keys else None,
        row_number="row_number" in keys and keys["row_number"].flag(),
        prefix=read_text(keys, "prefix") or "",
        factor=_read_unit(keys["unit"], target, reads) if "unit" in keys else 1.0,
        offset=unit_offset(target, keys["unit"].text()) if "unit" in keys else 0.0,
        unit_column=read_text(keys, "unit_column"),
        units=_read_all_units(keys, target, reads),
        codes=_read_codes(keys["codes"], target) if "codes" in keys else None,
        conditional_codes=_read_conditional_codes(keys["codes"], target) if "codes" in keys else {},
        missing=frozenset(map(to_code, keys["missing"].texts())) if "missing" in keys else frozenset(),
        true_if_contains=keys["true_if_contains"].texts() if "true_if_contains" in keys else (),
        checked=one_or_more(keys["checked"]) if "checked" in keys else (),
        count_true=keys["count_true"].texts() if "count_true" in keys else (),
        none_box=read_text(keys, "none"),
        nothing_checked=keys["nothing_checked"].choice(("false", MISSING)) if "nothing_checked" in keys else None,
        named=tuple(map(to_code, one_or_more(keys["named"]))) if "named" in keys else (),
        most_days_before=read_days(keys["most_days_before"]) if "most_days_before" in keys else None,
        of=read_record_rows(keys),
        reads=reads,
        date_format=read_date_format(keys["date_format"], needs_day=reads != YEAR) if "date_format" in keys else None,
    )


def _check_together(node: Node, given: Mapping[str, Node], target: Column) -> None:
    is_number = target.type in ("number", "integer") and "codes" not in given
    applies = {
        "prefix": target.type == "text",
        "row_number": target.type == "text",
        "columns": target.type == "text",
        "checked": target.type == "boolean",
        "count_true": is_number,
        "unit": is_number,
        "units": is_number,
        "true_if_contains": target.type == "boolean" and "codes" not in given,
        "reads": is_number,
        "date_format": "reads" in given and given["reads"].text() in DATE_READINGS,
    }
    for key, fits in applies.items():
        if key in given and not fits:
            raise given[key].refuse(f"'{key}' does not apply here ({target.name} is {target.allowed})")
    _check_combinations(node, given)


def _check_combinations(node: Node, given: Mapping[str, Node]) -> None:
    combinations = {
        "columns": {"columns", "file", "prefix"},
        "always": {"always", "prefix"},
        "row_number": {"row_number", "prefix"},
        "checked": _WITH_CHECKED,
        "count_true": {"count_true", "file", "missing", *OF},
        "named": _WITH_NAMED,
        "column": set(_FIELD) - {"none", "nothing_checked", "most_days_before"},
    }
    for source, allowed in combinations.items():
        for key in given if source in given else ():
            if key not in allowed:
                raise given[key].refuse(f"'{key}' cannot be combined with '{source}'")
    if "file" in given and any(key in given for key in OF):
        raise given["file"].refuse("'event', 'instrument' and 'instance' belong to the main file")
    if "checked" in given and ("none" in given) == ("nothing_checked" in given):
        raise node.refuse(
            "needs either 'none', the box for none of these, or 'nothing_checked: false' or 'nothing_checked: missing'"
        )
    if "column" in given and ("units" in given) != ("unit_column" in given):
        raise node.refuse("'unit_column' and 'units' need each other")
    if "units" in given and "unit" in given and "column" in given:
        raise node.refuse("give either 'unit' for all rows, or 'unit_column' and 'units'")


def read_text(keys: Mapping[str, Node], key: str) -> str | None:
    """Read the text of a key; None if it is not given."""
    return keys[key].text() if key in keys else None


def one_or_more(node: Node) -> tuple[str, ...]:
    """Read a single text or a list of texts."""
    return node.texts() if isinstance(node.content.value, list) else (node.text(),)


def read_days(node: Node) -> int:
    """Read a number of days, 1 or more."""
    text = node.text()
    if not (re.fullmatch("[0-9]{1,5}", text) and 1 <= int(text) <= MOST_DAYS):
        raise node.refuse(f"'{text}' is not allowed; give a whole number of days, 1 to {MOST_DAYS}")
    return int(text)


def read_record_rows(keys: Mapping[str, Node]) -> RecordRows | None:
    """Read which rows of a REDCap record are meant; None if nothing is given."""
    if not any(key in keys for key in OF):
        return None
    return RecordRows(
        events=tuple(map(to_code, one_or_more(keys["event"]))) if "event" in keys else (),
        instrument=_read_instrument(keys["instrument"]) if "instrument" in keys else "",
        instance=_read_instance(keys["instance"]) if "instance" in keys else None,
    )


def _read_instrument(node: Node) -> str:
    text = to_code(node.text())
    return "" if text == NO_INSTRUMENT else text


def _read_instance(node: Node) -> str:
    text = to_code(node.text())
    if text != SAME and not re.fullmatch("[1-9][0-9]*", text):
        raise node.refuse(f"'{text}' is not allowed; give the number of a repeat instance, or '{SAME}'")
    return text


def _read_all_units(keys: Mapping[str, Node], target: Column, reads: str) -> dict[str, float] | None:
    """Read the units that rows may have; of a named value, ``unit`` is the unit of rows that give none."""
    units = _read_units(keys["units"], target, reads) if "units" in keys else None
    if "named" not in keys or "unit" not in keys:
        return units
    is_shifted = unit_offset(target, keys["unit"].text()) != 0
    known = {} if is_shifted else unit_codes(_unit_target(target, reads)) if units is None else units
    return known | {"": _read_unit(keys["unit"], target, reads)}


def _read_units(node: Node, target: Column, reads: str) -> dict[str, float]:
    units = {to_code(unit): _read_unit(child, target, reads) for unit, child in node.children().items()}
    shifted = [child for child in node.children().values() if unit_offset(target, child.text())]
    if shifted:
        raise shifted[0].refuse(f"'{shifted[0].text()}' starts elsewhere: declare it by 'unit' for a whole column")
    if len(units) < len(node.children()):
        raise node.refuse("a unit appears twice; keep one")
    return units


def _read_unit(node: Node, target: Column, reads: str) -> float:
    if reads in DATE_READINGS:
        raise node.refuse("'unit' does not apply to a date")
    factors = unit_factors(_unit_target(target, reads))
    return factors[node.text()] if node.text() in factors else factors[node.choice(factors)]


def _unit_target(target: Column, reads: str) -> Column:
    return replace(target, unit="%") if reads == PERCENT else target


def _read_codes(node: Node, target: Column) -> dict[str, str | None]:
    codes: dict[str, str | None] = {}
    for code, meaning in node.children().items():
        if to_code(code) in codes:
            raise meaning.refuse(f"the code '{code}' appears twice; keep one")
        if not _is_single(meaning):
            codes[to_code(code)] = None
            continue
        refuse_ambiguous_code(meaning, to_code(code), target)
        codes[to_code(code)] = None if meaning.text() == MISSING else _read_value(meaning, target)
    return codes


def _read_conditional_codes(node: Node, target: Column) -> dict[str, tuple[ConditionalCode, ...]]:
    """Read codes that mean something only where a condition holds: one block ``means, where``, or a list of them."""
    codes = {}
    for code, content in node.children().items():
        if _is_single(content):
            continue
        if not content.content.value:
            raise content.refuse("is empty; give a value")
        blocks = content.entries() if isinstance(content.content.value[0], yaml.Node) else [content]
        codes[to_code(code)] = tuple(_read_conditional_code(block, target) for block in blocks)
    return codes


def _read_conditional_code(node: Node, target: Column) -> ConditionalCode:
    keys = node.section(("means", "where"), required=("means", "where"))
    return ConditionalCode(meaning=_read_value(keys["means"], target), where=read_condition(keys["where"]))


def _is_single(node: Node) -> bool:
    return isinstance(node.content.value, str)


def _read_value(node: Node, target: Column) -> str:
    value = node.text()
    if target.type == "category":
        return node.choice(target.categories)
    if target.type == "boolean":
        return node.choice(("true", "false"))
    if target.type == "text":
        return value
    number = read_number(value, None)
    if math.isnan(number):
        raise node.refuse(f"'{value}' is not a number; allowed: {target.allowed}")
    if not (target.low is None or target.low <= number) or not (target.high is None or number <= target.high):
        raise node.refuse(f"{value} is out of range; allowed: {target.allowed}")
    return value


def read_condition(node: Node, also_required: tuple[str, ...] = ()) -> Condition:
    """Read a condition on rows."""
    keys = node.section(
        ("column", "file", "is", "is_not", "contains", "because", *OF), required=("column", *also_required)
    )
    if ("is" in keys) == ("contains" in keys):
        raise node.refuse("needs either 'is: [codes]' or 'contains: [words]'")
    return Condition(
        column=keys["column"].text(),
        file=keys["file"].text() if "file" in keys else None,
        is_=frozenset(map(to_code, keys["is"].texts())) if "is" in keys else frozenset(),
        is_not=_read_others(keys["is_not"]) if "is_not" in keys else frozenset(),
        contains=keys["contains"].texts() if "contains" in keys else (),
        because=keys["because"].text() if "because" in keys else "",
        of=read_record_rows(keys),
    )


def _read_others(node: Node) -> frozenset[str] | None:
    if isinstance(node.content.value, str):
        node.choice((OTHERS,))
        return None
    return frozenset(map(to_code, node.texts()))


def read_date_format(node: Node, *, needs_day: bool) -> str:
    """Read a ``strptime`` format."""
    fault = check_date_format(node.text(), needs_day=needs_day)
    if fault:
        raise node.refuse(fault)
    return node.text()
