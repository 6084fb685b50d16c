"""How a setting is declared: its default, what it means, and which values are allowed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

_TYPE_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    dict: "names with values",
}
_EXAMPLES = {list: "[a,b]", dict: "{a: 1}"}


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
) -> Any:
    """Declare a setting as a dataclass field; everything else is read from the field's metadata.

    Parameters
    ----------
    default : object
        The default; lists and mappings are copied for each instance.
    meaning : str
        What the setting does, in one or two sentences.
    at_least, at_most : float, optional
        Bounds of a number, or of each number in a list.
    one_of : sequence of str
        The names allowed, for text or for each item of a list.
    min_items : int
        Fewest items of a list.
    increasing : bool
        Whether a list needs exactly two numbers, the second above the first.
    parameters : mapping of str to (float, float), optional
        For settings that hold parameters of a library: the range of those known.
    unit : str
        Unit of a number.
    allowed : str
        The values allowed in words, where the other arguments do not tell them.
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
    }
    metadata["range"] = allowed or describe_allowed(metadata)
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: deepcopy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def describe_allowed(metadata: Mapping[str, Any]) -> str:
    """Say in words which values a field's metadata allows; empty if everything of its type is.

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
    """Show a number with all its digits and without a needless point.

    Examples
    --------
    >>> show_number(0.95), show_number(2.0), show_number(10_000_000)
    ('0.95', '2', '10000000')
    """
    return str(number) if isinstance(number, int) else f"{number:.15g}"


class Setting(NamedTuple):
    """A setting and its declaration, as :func:`list_settings` gives it.

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
        """Which values are allowed, in words; empty if everything of its type is."""
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
            yield Setting(name, kind, default, field.metadata)


def find_type(name: str, declaration: type[Any]) -> Any:
    """Give the type hint of a setting or of a group of settings by dotted name, or None if there is none.

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
    """Give the type without ``None``, and whether ``None`` is allowed.

    Examples
    --------
    >>> split_optional(float | None)
    (<class 'float'>, True)
    """
    if type(None) not in get_args(kind):
        return kind, False
    return next(part for part in get_args(kind) if part is not type(None)), True


def show_default(value: Any) -> str:
    """Show a default as it is written on the command line, numbers with four digits.

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
    """Give an example of a type whose values have brackets, behind a comma; empty for any other."""
    plain, _ = split_optional(kind)
    example = _EXAMPLES.get(get_origin(plain) or plain)
    return f", for example {example}" if example else ""


def describe_type(kind: Any) -> str:
    """Say in words what values of a type look like.

    Examples
    --------
    >>> describe_type(int | None)
    'a whole number or null'
    """
    plain, is_optional = split_optional(kind)
    words = _TYPE_WORDS.get(get_origin(plain) or plain, "a group of settings")
    return f"{words} or null" if is_optional else words
