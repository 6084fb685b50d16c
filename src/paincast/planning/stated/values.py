"""Values of a file that states prices or weights: numbers within limits, texts of one line, currencies, intervals."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from paincast.deferred import yaml
from paincast.errors import SettingsError
from paincast.evidence.records import load_sources
from paincast.files.strict_yaml import Node, parse_yaml, read_yaml
from paincast.planning.figures import NOT_VALIDATED, Figure

MOST_CHARACTERS = 1000
MOST_PATIENTS = 10**9
CURRENCY = re.compile("[A-Z]{3}")
"""Codes of ISO 4217 are three capital letters."""


def open_yaml(source: object, name: str) -> Node:
    """Open a YAML file, or a mapping with the same content."""
    if isinstance(source, Mapping):
        return parse_yaml(yaml.safe_dump(_to_plain(source)), name)
    if isinstance(source, (str, os.PathLike)):
        return read_yaml(Path(source))
    raise SettingsError(f"{name}: give the path of a YAML file, or a mapping", code="PC-PLANNING-05")


def _to_plain(value: Any) -> Any:
    """Turn nested mappings and sequences into what YAML writes."""
    if isinstance(value, Mapping):
        return {str(key): _to_plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(entry) for entry in value]
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def read_number(node: Node, least: float, most: float) -> float:
    """Read a number from ``least`` to ``most``; what stands there instead is not repeated.

    Examples
    --------
    >>> read_number(parse_yaml("0.5", "weights"), 0.0, 1.0)
    0.5
    """
    try:
        number = float(node.text())
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise node.refuse(f"give a number from {least:g} to {most:g}")
    return number


def read_size(node: Node, least: float, most: float) -> float:
    """Read a number of either sign that is 0, or from ``least`` to ``most`` in size."""
    number = read_number(node, -most, most)
    if number and abs(number) < least:
        raise node.refuse(f"give 0, or a number of at least {least:g} in size")
    return number


def read_count(node: Node, least: int = 2, most: int = MOST_PATIENTS) -> int:
    """Read a whole number from ``least`` to ``most``."""
    number = read_number(node, least, most)
    if not number.is_integer():
        raise node.refuse("give a whole number")
    return int(number)


def read_year(node: Node) -> int:
    """Read a year."""
    return read_count(node, 1901, 2100)


def flatten_text(text: str) -> str | None:
    r"""Return a text in one line, or None if it is empty, long, or holds characters that do not print.

    Examples
    --------
    >>> flatten_text("one\n day"), flatten_text("\x1b[31m")
    ('one day', None)
    """
    flat = " ".join(text.split())
    return flat if flat.isprintable() and 0 < len(flat) <= MOST_CHARACTERS else None


def read_text(node: Node) -> str:
    """Read a text."""
    text = flatten_text(node.text())
    if text is None:
        raise node.refuse(f"give a text of at most {MOST_CHARACTERS} characters, all of which print")
    return text


def read_currency(node: Node) -> str:
    """Read the code of a currency."""
    text = node.text()
    if not CURRENCY.fullmatch(text):
        raise node.refuse("give the currency as three capital letters (ISO 4217), such as EUR")
    return text


class Measured(NamedTuple):
    """A number and the ends of its interval, if there is one."""

    value: float
    lower: float | None = None
    upper: float | None = None


def read_measured(keys: Mapping[str, Node], name: str, read: Callable[[Node], float]) -> Measured:
    """Read a number with ``lower`` and ``upper``, which stand together and hold it."""
    value = read(keys[name])
    if not {"lower", "upper"} & set(keys):
        return Measured(value)
    held = keys.get("lower", keys.get("upper"))
    assert held is not None
    if not {"lower", "upper"} <= set(keys):
        raise held.refuse("lower and upper stand together")
    lower, upper = read(keys["lower"]), read(keys["upper"])
    if not lower <= value <= upper:
        raise held.refuse("the interval does not hold its figure")
    return Measured(value, lower, upper)


def state(
    name: str, unit: str, source: str, measured: Measured, *, interval: str, confidence: float | None, **more: Any
) -> Figure:
    """Make a figure that a file of prices or preferences states; one of a known source is published.

    What the interval is, and its confidence, is told only if there is one.
    """
    is_known, has_interval = source in load_sources(), measured.lower is not None
    return Figure(
        name=name,
        unit=unit,
        source=(source,),
        basis="published" if is_known else "stated",
        tag="FOUND" if is_known else "",
        validation=NOT_VALIDATED if is_known else "stated by the file; not held against anything",
        interval=interval if has_interval else "",
        confidence=confidence if has_interval else None,
        **measured._asdict(),
        **more,
    )
