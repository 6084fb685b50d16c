"""Declare a setting: its default, its meaning, and the allowed values."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import reduce
from types import UnionType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

_TYPE_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    dict: "names with values",
}
_EXAMPLES = {list: "[a,b]", list[float]: "[1,2]", dict: "{a: 1}"}


def setting(
    default: Any,
    meaning: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    one_of: Sequence[str] = (),
    min_items: int = 0,
    increasing: bool = False,
    parameters: Mapping[str, tuple[float, float]] | None = None,
    unit: str = "",
    allowed: str = "",
    kind: Any = None,
) -> Any:
    """Declare a setting as a dataclass field; checks and listings read the field's metadata.

    Parameters
    ----------
    default : object
        The default; lists and mappings are copied for each instance.
    meaning : str
        What the setting does, in one or two sentences.
    at_least, at_most : float, optional
        Bounds of a number, or of each number in a list.
    one_of : sequence of str
        The allowed names, for text or for each item of a list.
    min_items : int
        Minimum number of items of a list.
    increasing : bool
        Whether a list needs exactly two numbers in increasing order.
    parameters : mapping of str to (float, float), optional
        For settings with parameters of a library: the ranges of known parameters.
    unit : str
        Unit of a number.
    allowed : str
        The allowed values in words, if the other arguments do not describe them.
    kind : type, optional
        The type, where Hydra has no such type and the field is declared as ``Any``.
    """
    metadata = {
        "meaning": meaning,
        "at_least": at_least,
        "at_most": at_most,
        "one_of": tuple(one_of),
        "min_items": min_items,
        "increasing": increasing,
        "parameters": parameters,
        "unit": unit,
        "kind": kind,
    }
    metadata["range"] = allowed or describe_allowed(metadata)
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: deepcopy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def describe_allowed(metadata: Mapping[str, Any]) -> str:
    """Describe in words which values a field's metadata allows; empty if every value of its type is allowed.

    Examples
    --------
    >>> describe_allowed({"at_least": 2, "at_most": 20})
    '2 to 20'
    >>> describe_allowed({"one_of": ("none", "site")})
    'none, site'
    """
    if metadata.get("one_of"):
        return ", ".join(metadata["one_of"])
    if metadata.get("at_least") is None:
        return ""
    bounds = f"{show_number(metadata['at_least'])} to {show_number(metadata['at_most'])} {metadata.get('unit', '')}"
    bounds = bounds.rstrip()
    return f"two increasing numbers, {bounds}" if metadata.get("increasing") else bounds


def show_number(number: float) -> str:
    """Format a number with all its digits and without a trailing decimal point.

    Examples
    --------
    >>> show_number(0.95), show_number(2.0), show_number(10_000_000)
    ('0.95', '2', '10000000')
    """
    return str(number) if isinstance(number, int) else f"{number:.15g}"


class Setting(NamedTuple):
    """A setting and its declaration, from :func:`list_settings`.

    ``name`` is dotted, as on the command line; ``type`` is the type hint of the field.
    """

    name: str
    type: Any
    default: Any
    metadata: Mapping[str, Any]

    @property
    def meaning(self) -> str:
        """What the setting does."""
        return str(self.metadata["meaning"])

    @property
    def range(self) -> str:
        """The allowed values in words; empty if every value of its type is allowed."""
        return str(self.metadata["range"])


def list_settings(declaration: type[Any], prefix: str = "") -> Iterator[Setting]:
    """List the settings that a dataclass and the dataclasses inside it declare.

    Examples
    --------
    >>> from paincast.settings import TrainingSettings
    >>> [one.name for one in list_settings(TrainingSettings)][:2]
    ['cohort.source', 'cohort.path']
    """
    types = get_type_hints(declaration)
    for field in dataclasses.fields(declaration):
        kind, name = types[field.name], prefix + field.name
        if dataclasses.is_dataclass(kind):
            yield from list_settings(kind, f"{name}.")  # type: ignore[arg-type]
        else:
            factory = field.default_factory
            default = field.default if factory is dataclasses.MISSING else factory()
            yield Setting(name, field.metadata["kind"] or kind, default, field.metadata)


def find_type(name: str, declaration: type[Any]) -> Any:
    """Find the type hint of a setting or of a group of settings by dotted name; None if there is none.

    Examples
    --------
    >>> from paincast.settings import TrainingSettings
    >>> find_type("cohort.seed", TrainingSettings), find_type("cohort.sead", TrainingSettings)
    (<class 'int'>, None)
    """
    kind: Any = declaration
    for part in name.split("."):
        kind = get_type_hints(kind).get(part) if dataclasses.is_dataclass(kind) else None
    return kind


def split_optional(kind: Any) -> tuple[Any, bool]:
    """Split a type into the type without ``None``, and whether ``None`` is allowed.

    Examples
    --------
    >>> split_optional(float | None), split_optional(float | list[float] | None)
    ((<class 'float'>, True), (float | list[float], True))
    """
    if type(None) not in get_args(kind):
        return kind, False
    return reduce(operator.or_, [part for part in get_args(kind) if part is not type(None)]), True


def list_alternatives(kind: Any) -> tuple[Any, ...]:
    """List the types of a union; another type is its only alternative.

    Examples
    --------
    >>> list_alternatives(float | list[float]), list_alternatives(int)
    ((<class 'float'>, list[float]), (<class 'int'>,))
    """
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)


def show_default(value: Any) -> str:
    """Format a default as it is written on the command line, numbers with four digits.

    Examples
    --------
    >>> show_default([0.25, 0.05477225575]), show_default(None), show_default(True), show_default({"a": 1})
    ('[0.25,0.05477]', 'null', 'true', '{a:1}')
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(show_default, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{name}:{show_default(item)}' for name, item in value.items())}}}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def describe_example(kind: Any) -> str:
    """Return an example for a type whose values have brackets, with a leading comma; empty for other types."""
    plain, _ = split_optional(kind)
    last = list_alternatives(plain)[-1]
    example = _EXAMPLES.get(last) or _EXAMPLES.get(get_origin(last) or last)
    return f", for example {example}" if example else ""


def describe_type(kind: Any) -> str:
    """Describe in words the values of a type.

    Examples
    --------
    >>> describe_type(int | None), describe_type(float | list[float] | None)
    ('a whole number or null', 'a number, a list or null')
    """
    plain, is_optional = split_optional(kind)
    words = [_TYPE_WORDS.get(get_origin(part) or part, "a group of settings") for part in list_alternatives(plain)]
    *first, last = [*words, *(["null"] if is_optional else [])]
    return f"{', '.join(first)} or {last}" if first else last
