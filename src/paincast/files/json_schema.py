"""Check plain data against a JSON Schema, before anything is built from them.

Understood is the part of JSON Schema (draft 2020-12) that :mod:`paincast.files.declared_schema` writes: ``type``,
``enum``, ``const``, ``anyOf``, ``$ref`` to ``$defs``, and the bounds of numbers, texts, lists and objects. Beyond it, a
number must be finite, unless its schema has :data:`NON_FINITE`: Python writes NaN into JSON, which JSON does not know.
The lists in a list with :data:`RECTANGULAR` are of one length.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any

import numpy as np

NON_FINITE = "x-non-finite"
"""Keyword of a number that may be NaN or infinite."""

RECTANGULAR = "x-rectangular"
"""Keyword of a list of lists that are all as long as the first."""

Check = Callable[[Any], None]
"""Takes plain data and raises :class:`SchemaError` where they do not fit."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, float),
}
_WORDS: Mapping[str, str] = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "integer": "a whole number",
    "number": "a number",
}
_BOUNDS: Mapping[str, str] = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
}


class SchemaError(ValueError):
    """Data do not fit a schema; the message names the key and what is allowed, never the value.

    Parameters
    ----------
    allowed : str
        What is allowed.
    *path : str or int
        Keys and positions that lead to the value; ``*`` for a key that the schema does not name.
    """

    def __init__(self, allowed: str, *path: str | int) -> None:
        super().__init__(allowed, *path)
        self.allowed = allowed
        self.path = path

    def inside(self, key: str | int) -> SchemaError:
        """Return the same error, seen from the object or list that holds the value."""
        return SchemaError(self.allowed, key, *self.path)

    def __str__(self) -> str:
        steps = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.path]
        return f"{''.join(steps).lstrip('.') or 'the file'} must be {self.allowed}"


def compile_schema(schema: Mapping[str, Any]) -> Check:
    """Make the function that checks data against a schema.

    Parameters
    ----------
    schema : mapping
        JSON Schema, with its ``$defs`` if it refers to any.

    Examples
    --------
    >>> check = compile_schema({"properties": {"slopes": {"type": "array", "items": {"type": "number"}}}})
    >>> check({"slopes": [1.0, 2.0]})
    >>> check({"slopes": [1.0, float("nan")]})
    Traceback (most recent call last):
    paincast.files.json_schema.SchemaError: slopes[1] must be a finite number
    """
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    named: dict[str, Check] = {}

    def make(part: Mapping[str, Any]) -> Check:
        if "$ref" in part:
            name = part["$ref"].removeprefix("#/$defs/")
            if name not in named:
                named[name] = make(definitions[name])
            return named[name]
        checks = [
            *_check_values(part),
            *_check_objects(part, make),
            *_check_lists(part, make),
            *_check_scalars(part),
            *([_check_any([make(branch) for branch in part["anyOf"]])] if "anyOf" in part else []),
        ]
        return checks[0] if len(checks) == 1 else _check_all(checks)

    return make(schema)


def _check_all(checks: list[Check]) -> Check:
    def check(value: Any) -> None:
        for one in checks:
            one(value)

    return check


def _check_values(schema: Mapping[str, Any]) -> list[Check]:
    """Check ``type``, ``const`` and ``enum``."""
    checks: list[Check] = []
    if "type" in schema:
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        allowed = {kind for name in names for kind in _TYPES[name]}  # of bool, which is an int, the type itself

        def check_type(value: Any) -> None:
            if type(value) not in allowed:
                raise SchemaError(" or ".join(_WORDS[name] for name in names))

        checks.append(check_type)
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        known = {(type(value), value) for value in values}

        def check_known(value: Any) -> None:
            if isinstance(value, dict | list) or (type(value), value) not in known:
                raise SchemaError(f"one of {', '.join(map(str, values))}" if len(values) > 1 else f"{values[0]}")

        checks.append(check_known)
    return checks


def _check_any(branches: list[Check]) -> Check:
    def check(value: Any) -> None:
        """Check that one branch fits; otherwise report the branch that failed deepest, the likeliest to be meant."""
        errors: list[SchemaError] = []
        for branch in branches:
            try:
                return branch(value)
            except SchemaError as error:
                errors.append(error)
        raise max(errors, key=lambda error: len(error.path))

    return check


def _check_objects(schema: Mapping[str, Any], make: Callable[[Mapping[str, Any]], Check]) -> list[Check]:
    required, most = schema.get("required", ()), schema.get("maxProperties", math.inf)
    known = {name: make(part) for name, part in schema.get("properties", {}).items()}
    others = schema.get("additionalProperties", True)
    check_other = _check_all([]) if others is True else _refuse_key if others is False else make(others)
    if not required and not known and others is True and most == math.inf:
        return []

    def check(value: Any) -> None:
        if type(value) is not dict:
            return
        for name in required:
            if name not in value:
                raise SchemaError("there", name)
        if len(value) > most:
            raise SchemaError(f"an object of at most {most:,} keys")
        name = ""
        try:
            for name, inner in value.items():
                known.get(name, check_other)(inner)
        except SchemaError as error:
            raise error.inside(name if name in known else "*") from None

    return [check]


def _refuse_key(value: Any) -> None:  # noqa: ARG001 (whatever it holds)
    raise SchemaError("absent")


def _check_lists(schema: Mapping[str, Any], make: Callable[[Mapping[str, Any]], Check]) -> list[Check]:
    least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
    fixed = [make(part) for part in schema.get("prefixItems", ())]
    if not fixed and "items" not in schema and not least and most == math.inf:
        return []
    items, is_table = schema.get("items"), schema.get(RECTANGULAR, False)
    check_item, are_numbers = make(items) if items else _check_all([]), _make_check_of_numbers(items or {})
    allowed = f"{least:,}" if least == most else f"{least:,} to {most:,}" if most < math.inf else f"{least:,} or more"

    def check(value: Any) -> None:
        if type(value) is not list:
            return
        if not least <= len(value) <= most:
            raise SchemaError(f"a list of {allowed}")
        if are_numbers(value):
            return
        if is_table and len({len(row) for row in value if type(row) is list}) > 1:
            raise SchemaError("a table: lists of one length")
        checks = [*fixed, *repeat(check_item, len(value) - len(fixed))]
        for position, inner in enumerate(value):
            try:
                checks[position](inner)
            except SchemaError as error:
                raise error.inside(position) from None

    return [check]


def _make_check_of_numbers(items: Mapping[str, Any]) -> Callable[[list[Any]], bool]:
    """Make the check of a list of numbers at once; where it does not fit, the slow way finds the one that does not."""
    if items.get("type") not in ("number", "integer") or NON_FINITE in items:
        return lambda value: not value
    types = {*_TYPES[items["type"]]}
    low, high = items.get("minimum", -math.inf), items.get("maximum", math.inf)
    above, below = items.get("exclusiveMinimum", -math.inf), items.get("exclusiveMaximum", math.inf)

    def are_numbers(value: list[Any]) -> bool:
        if not value:
            return True
        if not {*map(type, value)} <= types:
            return False
        try:
            array = np.array(value, dtype=float)
        except OverflowError:
            return False
        least, most = float(array.min()), float(array.max())  # NaN if one is
        return low <= least and most <= high and above < least and most < below and most - least < math.inf

    return are_numbers


def _check_scalars(schema: Mapping[str, Any]) -> list[Check]:
    """Check texts and numbers."""
    checks: list[Check] = []
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    pattern = re.compile(schema["pattern"]) if "pattern" in schema else None

    def check_text(value: Any) -> None:
        if type(value) is not str:
            return
        if not shortest <= len(value) <= longest:
            raise SchemaError(f"text of {shortest:,} to {longest:,} characters")
        if pattern is not None and not pattern.search(value):
            raise SchemaError(f"text like {pattern.pattern}")

    if shortest or pattern is not None or longest < math.inf:
        checks.append(check_text)
    if not schema.get(NON_FINITE):
        checks.append(_make_check_of_number(schema))
    return checks


def _make_check_of_number(schema: Mapping[str, Any]) -> Check:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    tight = {name for name in _BOUNDS if name in schema}
    tight -= {"minimum"} if above >= low else set()
    tight -= {"maximum"} if below <= high else set()
    words = " and ".join(f"{word} {schema[name]:g}" for name, word in _BOUNDS.items() if name in tight)

    def check_number(value: Any) -> None:
        if type(value) is float:
            if not math.isfinite(value):
                raise SchemaError("a finite number")
        elif type(value) is not int:
            return
        if not (low <= value <= high) or not (value > above or above == -math.inf) or value >= below:
            raise SchemaError(f"a number {words}")

    return check_number
