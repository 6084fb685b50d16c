"""Write the JSON Schema of what :mod:`paincast.files.serialization` stores, from the types that dataclasses declare."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from paincast.files.json_schema import NON_FINITE
from paincast.files.serialization import VERSION_KEY, PlainTable

LARGEST = 1e12
"""Largest absolute value of a number."""

LONGEST_TEXT = 10_000
MOST_ITEMS = 100_000
MOST_KEYS = 10_000

NUMBER: Mapping[str, Any] = {"type": "number", "minimum": -LARGEST, "maximum": LARGEST}
TEXT: Mapping[str, Any] = {"type": "string", "maxLength": LONGEST_TEXT}
CELL: Mapping[str, Any] = {
    "type": ["number", "string", "boolean", "null"],
    "maxLength": LONGEST_TEXT,
    NON_FINITE: True,
}
"""A single value of any kind: a cell of a table, or a parameter."""

_PLAIN: Mapping[Any, Mapping[str, Any]] = {
    float: NUMBER,
    int: {**NUMBER, "type": "integer"},
    bool: {"type": "boolean"},
    str: TEXT,
    None: {"type": "null"},
    NoneType: {"type": "null"},
    Any: CELL,
    PlainTable: {
        "type": "array",
        "maxItems": MOST_ITEMS,
        "items": {"type": "object", "maxProperties": 100, "additionalProperties": CELL},
    },
}


class SchemaWriter:
    """Writes schemas of types, and collects those of dataclasses as definitions.

    Parameters
    ----------
    limits : mapping
        Schemas of single fields by ``Class.field``: they are merged with what the type of the field says.
    known : mapping
        Schemas of types that are not dataclasses.

    Attributes
    ----------
    definitions : dict
        By name of the class: the ``$defs`` of the document.

    Examples
    --------
    >>> @dataclasses.dataclass
    ... class Line:
    ...     intercept: float
    ...     label: str = ""
    >>> writer = SchemaWriter({"Line.intercept": {"minimum": 0}})
    >>> writer.describe(Line)
    {'$ref': '#/$defs/Line'}
    >>> writer.definitions["Line"]["required"], writer.definitions["Line"]["properties"]["intercept"]["minimum"]
    (['intercept'], 0)
    """

    def __init__(
        self, limits: Mapping[str, Mapping[str, Any]], known: Mapping[Any, Mapping[str, Any]] | None = None
    ) -> None:
        self.limits = limits
        self.known: Mapping[Any, Mapping[str, Any]] = {**_PLAIN, **(known or {})}
        self.definitions: dict[str, Any] = {}

    def describe(self, hint: Any) -> dict[str, Any]:
        """Return the schema of a declared type."""
        origin, inner = get_origin(hint), get_args(hint)
        if origin in (Union, UnionType):
            return {"anyOf": [self.describe(kind) for kind in inner]}
        if origin is np.ndarray:
            return {"type": "array", "maxItems": MOST_ITEMS, "items": dict(NUMBER)}
        if origin is tuple:
            if inner[-1:] == (Ellipsis,):
                return {"type": "array", "maxItems": MOST_ITEMS, "items": self.describe(inner[0])}
            parts = [self.describe(kind) for kind in inner]
            return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}
        if origin in (dict, Mapping):
            return {"type": "object", "maxProperties": MOST_KEYS, "additionalProperties": self.describe(inner[1])}
        if hint in self.known:
            return dict(self.known[hint])
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            return self._describe_class(hint)
        raise TypeError(f"there is no schema of {hint}")

    def _describe_class(self, cls: type) -> dict[str, Any]:
        if cls.__name__ not in self.definitions:
            self.definitions[cls.__name__] = {}  # a placeholder for a class that holds itself
            self.definitions[cls.__name__] = self.describe_fields(cls)
        return {"$ref": f"#/$defs/{cls.__name__}"}

    def describe_fields(self, cls: type) -> dict[str, Any]:
        """Return the schema of a dataclass itself, of which :meth:`describe` gives a reference."""
        hints, fields = get_type_hints(cls), dataclasses.fields(cls)
        properties = {
            field.name: {**self.describe(hints[field.name]), **self.limits.get(f"{cls.__name__}.{field.name}", {})}
            for field in fields
        }
        required = [field.name for field in fields if _has_no_default(field)]
        version = getattr(cls, "state_version", None)
        if version is not None:
            properties[VERSION_KEY] = {"const": version}
            required.append(VERSION_KEY)
        return {"type": "object", "properties": properties, "required": required}


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
