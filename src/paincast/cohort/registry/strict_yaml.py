"""YAML read strictly: every scalar is text as written, no key is ignored, every refusal names its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from paincast.errors import SettingsError, suggest_name
from paincast.files.bounded import read_yaml_text

UNFINISHED = "TODO"
"""A value still to be filled in; a file that holds one is refused in words."""


class Node(NamedTuple):
    """A piece of a YAML file with its place.

    Scalars stay text, so that a code ``010``, ``no`` or ``1`` is what the file says and nothing else.
    """

    file: str
    place: str
    line: int
    content: Any

    def refuse(self, why: str) -> SettingsError:
        """Make the error that refuses this piece."""
        return SettingsError(
            f"{self.file}, line {self.line}, {self.place or 'top level'}: {why}", code="PC-REGISTRY-14"
        )

    def children(self) -> dict[str, Node]:
        """Give the pieces under their keys, whatever the keys are."""
        if not isinstance(self.content, yaml.MappingNode):
            raise self.refuse("must be a block of 'key: value' lines")
        found: dict[str, Node] = {}
        for key, content in self.content.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.refuse("a key must be a single value, not a block or a list")
            name = str(key.value).strip()
            child = Node(self.file, f"{self.place}.{name}".lstrip("."), key.start_mark.line + 1, content)
            if name in found:
                raise child.refuse(f"the key '{name}' stands twice; keep one")
            found[name] = child
        return found

    def section(self, allowed: Iterable[str], *, required: Iterable[str] = ()) -> dict[str, Node]:
        """Give the pieces under their keys; any other key, or a required one missing, is refused."""
        known = list(allowed)
        found = self.children()
        for name, child in found.items():
            if name not in known:
                raise child.refuse(f"unknown key '{name}'; {suggest_name(name, known)}")
        for name in required:
            if name not in found:
                raise self.refuse(f"the key '{name}' is missing")
        return found

    def entries(self) -> list[Node]:
        """Give the pieces of a list."""
        if not isinstance(self.content, yaml.SequenceNode):
            raise self.refuse("must be a list")
        return [
            Node(self.file, f"{self.place}[{i}]", content.start_mark.line + 1, content)
            for i, content in enumerate(self.content.value, 1)
        ]

    def text(self) -> str:
        """Give a single value as written."""
        if not isinstance(self.content, yaml.ScalarNode):
            raise self.refuse("must be a single value, not a block or a list")
        if not self.content.value.strip():
            raise self.refuse("is empty; give a value")
        return str(self.content.value).strip()

    def texts(self) -> tuple[str, ...]:
        """Give a list of single values as written."""
        return tuple(entry.text() for entry in self.entries())

    def choice(self, allowed: Iterable[str]) -> str:
        """Give a single value that must be one of a few."""
        value, known = self.text(), list(allowed)
        if value not in known:
            raise self.refuse(f"unknown value '{value}'; {suggest_name(value, known)}")
        return value

    def flag(self) -> bool:
        """Give true or false."""
        return self.choice(("true", "false")) == "true"


def read_yaml(path: str | Path) -> Node:
    """Read a YAML file.

    Raises
    ------
    SettingsError
        If it cannot be read in bounded time and memory (:func:`paincast.files.bounded.read_yaml_text`), is no YAML,
        is empty,
        or holds a value that is still ``TODO``.
    """
    file = Path(path)
    text = read_yaml_text(file)
    try:
        content = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise SettingsError(f"{file}: no valid YAML", code="PC-REGISTRY-15") from error
    if content is None:
        raise SettingsError(f"{file} is empty", code="PC-REGISTRY-16")
    node = Node(str(file), "", 1, content)
    _refuse_unfinished(node)
    return node


def _refuse_unfinished(node: Node) -> None:
    open_places = [f"line {line} ({place})" for line, place in _find_unfinished(node)]
    if open_places:
        raise SettingsError(
            f"{node.file} is not finished: {UNFINISHED} at {', '.join(open_places)}; put a value in its place",
            code="PC-REGISTRY-17",
        )


def _find_unfinished(node: Node) -> Iterator[tuple[int, str]]:
    if isinstance(node.content, yaml.ScalarNode):
        if node.content.value == UNFINISHED:
            yield node.line, node.place
        return
    for child in node.entries() if isinstance(node.content, yaml.SequenceNode) else node.children().values():
        yield from _find_unfinished(child)
