"""Read the fields and conditions of a mapping. An unknown key is an error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from paincast.cohort.coercion import to_code
from paincast.cohort.dates import check_date_format
from paincast.cohort.numerals import read_number
from paincast.cohort.registry.mapping_types import (
    DATE_READINGS,
    MISSING,
    OTHERS,
    PERCENT,
    READINGS,
    YEAR,
    Condition,
    Field,
)
from paincast.cohort.registry.units import unit_factors
from paincast.errors import suggest_name
from paincast.files.strict_yaml import Node
from paincast.schema import Column

_FIELD = (
    "column", "columns", "file", "always", "row_number", "prefix", "unit", "codes", "missing", "true_if_contains",
    "reads", "date_format",
)  # fmt: skip


def read_fields(nodes: Mapping[str, Node], columns: Mapping[str, Column]) -> dict[str, Field]:
    """Read fields by the names of their columns in the contract."""
    fields = {}
    for name, node in nodes.items():
        if name not in columns:
            raise node.refuse(f"unknown column '{name}'; {suggest_name(name, columns)}")
        fields[name] = _read_field(node, columns[name])
    return fields


def _read_field(node: Node, target: Column) -> Field:
    keys = node.section(_FIELD)
    if sum(key in keys for key in ("column", "columns", "always", "row_number")) != 1:
        raise node.refuse("needs exactly one of 'column', 'columns', 'always' and 'row_number'")
    _check_together(node, keys, target)
    reads = keys["reads"].choice(READINGS) if "reads" in keys else "value"
    return Field(
        target=target,
        column=keys["column"].text() if "column" in keys else None,
        columns=keys["columns"].texts() if "columns" in keys else (),
        file=keys["file"].text() if "file" in keys else None,
        always=_read_value(keys["always"], target) if "always" in keys else None,
        row_number="row_number" in keys and keys["row_number"].flag(),
        prefix=keys["prefix"].text() if "prefix" in keys else "",
        factor=_read_unit(keys["unit"], target, reads) if "unit" in keys else 1.0,
        codes=_read_codes(keys["codes"], target) if "codes" in keys else None,
        missing=frozenset(map(to_code, keys["missing"].texts())) if "missing" in keys else frozenset(),
        true_if_contains=keys["true_if_contains"].texts() if "true_if_contains" in keys else (),
        reads=reads,
        date_format=read_date_format(keys["date_format"], needs_day=reads != YEAR) if "date_format" in keys else None,
    )


def _check_together(node: Node, given: Mapping[str, Node], target: Column) -> None:
    number = target.type in ("number", "integer")
    applies = {
        "prefix": target.type == "text",
        "row_number": target.type == "text",
        "columns": target.type == "text",
        "unit": number and "codes" not in given,
        "true_if_contains": target.type == "boolean" and "codes" not in given,
        "reads": number and "codes" not in given,
        "date_format": "reads" in given and given["reads"].text() in DATE_READINGS,
    }
    for key, fits in applies.items():
        if key in given and not fits:
            raise given[key].refuse(f"'{key}' does not apply here ({target.name} is {target.allowed})")
    if "columns" in given and set(given) - {"columns", "file", "prefix"}:
        raise node.refuse("'columns' can only be combined with 'file' and 'prefix'")
    if not {"column", "columns"} & {*given} and set(given) - {"always", "row_number", "prefix"}:
        raise node.refuse("a constant or a row number can only be combined with 'prefix'")


def _read_unit(node: Node, target: Column, reads: str) -> float:
    if reads in DATE_READINGS:
        raise node.refuse("'unit' does not apply to a date")
    factors = unit_factors(replace(target, unit="%") if reads == PERCENT else target)
    return factors[node.text()] if node.text() in factors else factors[node.choice(factors)]


def _read_codes(node: Node, target: Column) -> dict[str, str | None]:
    codes: dict[str, str | None] = {}
    for code, meaning in node.children().items():
        if to_code(code) in codes:
            raise meaning.refuse(f"the code '{code}' appears twice; keep one")
        codes[to_code(code)] = None if meaning.text() == MISSING else _read_value(meaning, target)
    return codes


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
    keys = node.section(("column", "file", "is", "is_not", "contains", "because"), required=("column", *also_required))
    if ("is" in keys) == ("contains" in keys):
        raise node.refuse("needs either 'is: [codes]' or 'contains: [words]'")
    return Condition(
        column=keys["column"].text(),
        file=keys["file"].text() if "file" in keys else None,
        is_=frozenset(map(to_code, keys["is"].texts())) if "is" in keys else frozenset(),
        is_not=_read_others(keys["is_not"]) if "is_not" in keys else frozenset(),
        contains=keys["contains"].texts() if "contains" in keys else (),
        because=keys["because"].text() if "because" in keys else "",
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
