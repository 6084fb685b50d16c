"""Strict YAML parser: scalars stay text, unknown keys are errors, and every error names its line and key."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from paincast.deferred import yaml
from paincast.errors import SettingsError, suggest_name
from paincast.files.bounded import read_yaml_text

UNFINISHED = "TODO"
"""Placeholder for a value still to be filled in; a file that contains it is refused."""


class Node(NamedTuple):
    """A node of a YAML file with its location.

    Scalars stay text, so that codes such as ``010``, ``no`` and ``1`` keep their spelling.
    """

    file: str
    place: str
    line: int
    content: Any

    def refuse(self, why: str) -> SettingsError:
        """Make the error for this node."""
        return SettingsError(
            f"{self.file}, line {self.line}, {self.place or 'top level'}: {why}", code="PC-REGISTRY-14"
        )

    def children(self) -> dict[str, Node]:
        """Return the child nodes by key; any key is accepted."""
        if not isinstance(self.content, yaml.MappingNode):
            raise self.refuse("must be a block of 'key: value' lines")
        nodes: dict[str, Node] = {}
        for key, content in self.content.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.refuse("a key must be a single value, not a block or a list")
            name = str(key.value).strip()
            child = Node(self.file, f"{self.place}.{name}".lstrip("."), key.start_mark.line + 1, content)
            if name in nodes:
                raise child.refuse(f"the key '{name}' appears twice; keep one")
            nodes[name] = child
        return nodes

    def section(self, allowed: Iterable[str], *, required: Iterable[str] = ()) -> dict[str, Node]:
        """Return the child nodes by key; unknown keys and missing required keys are errors."""
        known = list(allowed)
        nodes = self.children()
        for name, child in nodes.items():
            if name not in known:
                raise child.refuse(f"unknown key '{name}'; {suggest_name(name, known)}")
        for name in required:
            if name not in nodes:
                raise self.refuse(f"the key '{name}' is missing")
        return nodes

    def entries(self) -> list[Node]:
        """Return the nodes of a list."""
        if not isinstance(self.content, yaml.SequenceNode):
            raise self.refuse("must be a list")
        return [
            Node(self.file, f"{self.place}[{i}]", content.start_mark.line + 1, content)
            for i, content in enumerate(self.content.value, 1)
        ]

    def text(self) -> str:
        """Return a single value as written."""
        if not isinstance(self.content, yaml.ScalarNode):
            raise self.refuse("must be a single value, not a block or a list")
        if not self.content.value.strip():
            raise self.refuse("is empty; give a value")
        return str(self.content.value).strip()

    def texts(self) -> tuple[str, ...]:
        """Return a list of single values as written."""
        return tuple(entry.text() for entry in self.entries())

    def choice(self, allowed: Iterable[str]) -> str:
        """Return a single value, which must be among ``allowed``."""
        value, known = self.text(), list(allowed)
        if value not in known:
            raise self.refuse(f"unknown value '{value}'; {suggest_name(value, known)}")
        return value

    def flag(self) -> bool:
        """Return true or false."""
        return self.choice(("true", "false")) == "true"

    def number(self, *, above: float = -math.inf, at_most: float = math.inf) -> float:
        """Return a finite number within bounds."""
        value = self.text()
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and above < number <= at_most):
            bounds = [f"above {above:g}"] * (above > -math.inf) + [f"at most {at_most:g}"] * (at_most < math.inf)
            raise self.refuse(f"'{value}' is not allowed; give a number{' ' if bounds else ''}{', '.join(bounds)}")
        return number


def read_yaml(path: str | Path) -> Node:
    """Read a YAML file.

    Raises
    ------
    SettingsError
        If it cannot be read in bounded time and memory (:func:`paincast.files.bounded.read_yaml_text`), is not valid
        YAML, is empty, or contains a value that is still ``TODO``.
    """
    return parse_yaml(read_yaml_text(path), str(path))


def parse_yaml(text: str, name: str) -> Node:
    """Parse YAML that was read in bounded time and memory; ``name`` stands for its file in errors.

    Raises
    ------
    SettingsError
        If it is not valid YAML, is empty, or contains a value that is still ``TODO``.
    """
    try:
        content = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise SettingsError(f"{name}: not valid YAML", code="PC-REGISTRY-15") from error
    if content is None:
        raise SettingsError(f"{name} is empty", code="PC-REGISTRY-16")
    node = Node(name, "", 1, content)
    _refuse_unfinished(node)
    return node


def _refuse_unfinished(node: Node) -> None:
    locations = [f"line {line} ({location})" for line, location in _find_unfinished(node)]
    if locations:
        raise SettingsError(
            f"{node.file} is incomplete: {UNFINISHED} at {', '.join(locations)}; replace it with a value",
            code="PC-REGISTRY-17",
        )


def _find_unfinished(node: Node) -> Iterator[tuple[int, str]]:
    if isinstance(node.content, yaml.ScalarNode):
        if node.content.value == UNFINISHED:
            yield node.line, node.place
        return
    for child in node.entries() if isinstance(node.content, yaml.SequenceNode) else node.children().values():
        yield from _find_unfinished(child)
