"""Read untrusted YAML and JSON files in bounded time and memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paincast.deferred import yaml
from paincast.errors import DataError, SettingsError

YAML_BYTES = 1_000_000
JSON_BYTES = 100_000_000
MOST_JSON_VALUES = 5_000_000
"""Maximum number of values in a JSON file."""

DEEPEST = 40
"""Maximum nesting depth of blocks and lists."""

MOST_NODES = 100_000
"""Maximum number of values in a YAML file; values behind an alias are counted each time."""


def read_yaml_text(path: str | Path) -> str:
    """Read the text of a YAML file after checking that it can be parsed in bounded time and memory.

    Parameters
    ----------
    path : str or Path
        A regular file in UTF-8.

    Returns
    -------
    str

    Raises
    ------
    SettingsError
        If the file cannot be read, is too large, or fails :func:`check_yaml`.
    """
    file = Path(path)
    try:
        content = _read_regular(file, YAML_BYTES)
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror or error}", code="PC-FILES-06") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise SettingsError(f"{file} is not UTF-8 text; save it as UTF-8", code="PC-FILES-05")
    check_yaml(text, str(file))
    return text


def check_yaml(text: str, name: str) -> None:
    """Refuse YAML that is too large, too deep, or has aliases that expand too much or are recursive.

    Parameters
    ----------
    text : str
        Content of the file.
    name : str
        Name of the file in messages.

    Raises
    ------
    SettingsError
        If the text is refused or is not valid YAML; the message names the line.
    """
    if len(text) > YAML_BYTES:
        raise SettingsError(f"{name} is too large: more than {YAML_BYTES:,} bytes", code="PC-FILES-07")
    try:
        _count_nodes(yaml.parse(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader)), name)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise SettingsError(f"{name}, line {line}: not valid YAML: {error.problem}", code="PC-FILES-08") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"{name}: not valid YAML", code="PC-FILES-09") from error


def _count_nodes(events: Iterator[Any], name: str) -> None:
    """Count nodes and their depth during parsing, so that refused content is never constructed."""
    finished: dict[str, tuple[int, int]] = {}  # by anchor: number of nodes and depth
    opened: list[list[Any]] = []  # anchor, number of nodes before it, maximum depth below it
    counted = 0
    for event in events:
        anchor, n_nodes, depth = getattr(event, "anchor", None), 1, 1
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before, deepest = opened.pop()
            n_nodes, depth = 0, deepest - len(opened)
            if anchor is not None:
                finished[anchor] = (counted - before, depth)
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == ancestor for ancestor, *_ in opened):
                raise SettingsError(
                    f"{_format_line(name, event)}: '*{anchor}' stands inside what it stands for", code="PC-FILES-10"
                )
            n_nodes, depth = finished.get(str(anchor), (1, 1))
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append([anchor, counted, len(opened) + 1])
            depth = 0
        elif isinstance(event, yaml.ScalarEvent):
            finished |= {} if anchor is None else {anchor: (1, 1)}
        else:
            continue
        counted += n_nodes
        if opened:
            opened[-1][2] = max(opened[-1][2], len(opened) + depth)
        if len(opened) + depth > DEEPEST:
            raise SettingsError(
                f"{_format_line(name, event)}: more than {DEEPEST} blocks or lists within one another",
                code="PC-FILES-11",
            )
        if counted > MOST_NODES:
            raise SettingsError(
                f"{_format_line(name, event)}: more than {MOST_NODES:,} values, those of aliases included",
                code="PC-FILES-12",
            )


def _format_line(name: str, event: yaml.Event) -> str:
    return f"{name}, line {event.start_mark.line + 1}" if event.start_mark else name


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON file whose content is an object.

    Parameters
    ----------
    path : str or Path
        A regular file in UTF-8.

    Returns
    -------
    dict

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If the file cannot be read, is too large or too deep, or is not a JSON object.
    """
    return parse_json(read_bytes(path, JSON_BYTES), str(path))


def parse_json(raw: bytes, name: str) -> dict[str, Any]:
    """Parse JSON whose content is an object.

    Parameters
    ----------
    raw : bytes
        Content of the file, in UTF-8.
    name : str
        Name of the file in messages.

    Raises
    ------
    DataError
        If it holds too many values, is too deep, is not a JSON object, or has a key twice in an object.
    """
    # Each value but the first of a list or object stands behind a comma; brackets and quotes only add to the count.
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > MOST_JSON_VALUES:
        raise DataError(f"{name} cannot be read: it holds more than {MOST_JSON_VALUES:,} values", code="PC-FILES-61")
    try:
        content = json.loads(raw, object_pairs_hook=lambda pairs: _keep_unique(pairs, name))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} cannot be read: not JSON ({type(error).__name__})", code="PC-FILES-14") from None
    if not isinstance(content, dict):
        raise DataError(f"{name} cannot be read: it is not a JSON object", code="PC-FILES-15")
    return content


def _keep_unique(pairs: list[tuple[str, Any]], name: str) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise DataError(f"{name} cannot be read: a key stands twice in one object; keep one", code="PC-FILES-72")
    return content


def read_bytes(path: str | Path, limit: int) -> bytes:
    """Read a regular file of bounded size.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If the file cannot be read, is too large, or is no regular file.
    """
    file = Path(path)
    try:
        return _read_regular(file, limit)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}", code="PC-FILES-13") from error


def _read_regular(file: Path, limit: int) -> bytes:
    if not file.exists():
        raise FileNotFoundError(2, "No such file or directory", str(file))
    if not file.is_file():
        raise OSError(f"it is not a regular file: {file}")
    with file.open("rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise OSError(f"it is larger than {limit:,} bytes")
    return content
