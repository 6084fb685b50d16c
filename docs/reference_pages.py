"""Write the reference pages from the code: settings from their declarations, the API from what each package exports."""

from __future__ import annotations

import dataclasses
import inspect
import json
import pkgutil
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_type_hints

import paincast
from paincast.settings import TrainingSettings

LONGEST_DEFAULT = 80
"""Characters; a longer default is named by its size."""


class Setting(NamedTuple):
    """One row of the reference."""

    name: str
    type: str
    default: str
    range: str
    meaning: str


class Section(NamedTuple):
    """One dataclass of settings: those at the top have no name."""

    name: str
    summary: str
    settings: list[Setting]


def write_reference_pages(folder: Path) -> None:
    """Write ``settings.md``, ``api.md`` and a page for each package into a folder that holds nothing else."""
    pages = {"settings.md": format_settings(list_sections(TrainingSettings)), "api.md": format_api()}
    pages |= {f"api_{package.__name__}.md": format_package(package) for package in list_packages()}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


def list_sections(declaration: type[Any], prefix: str = "") -> list[Section]:
    """List the settings that a dataclass declares, and after them those of the dataclasses it holds.

    Parameters
    ----------
    declaration : type
        A dataclass. ``metadata`` of its fields may hold ``range`` (two numbers, or the names allowed) and ``meaning``.
    prefix : str
        Name under which the dataclass is held, empty at the top.

    Returns
    -------
    list of Section
        The dataclass itself first.
    """
    types = get_type_hints(declaration)
    fields = dataclasses.fields(declaration)
    nested = [field for field in fields if dataclasses.is_dataclass(types[field.name])]
    dotted = f"{prefix}." if prefix else ""
    own = [
        Setting(
            name=dotted + field.name,
            type=format_type(types[field.name]),
            default=format_default(field),
            range=format_range(field.metadata.get("range")),
            meaning=str(field.metadata.get("meaning", "")),
        )
        for field in fields
        if field not in nested
    ]
    sections = [Section(prefix, inspect.getdoc(declaration) or "", own)]
    for field in nested:
        sections += list_sections(types[field.name], dotted + field.name)
    return sections


def format_type(annotation: Any) -> str:
    """Name a type as it is written in source."""
    return (
        annotation.__name__
        if isinstance(annotation, type) and not hasattr(annotation, "__args__")
        else str(annotation).replace("typing.", "")
    )


def format_default(field: dataclasses.Field[Any]) -> str:
    """Show the default as YAML would have it, or how many items it has where it is long."""
    value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    if value is dataclasses.MISSING:
        return ""
    text = json.dumps(value) if value is None or isinstance(value, bool) else str(value)
    return text if len(text) <= LONGEST_DEFAULT else f"{len(value)} items"


def format_range(allowed: Any) -> str:
    """Show two numbers as bounds, names as a list, and text as it is."""
    if allowed is None:
        return ""
    if isinstance(allowed, str):
        return allowed
    if len(allowed) == 2 and all(isinstance(bound, int | float) for bound in allowed):
        return f"{allowed[0]} to {allowed[1]}"
    return ", ".join(str(name) for name in allowed)


def format_settings(sections: list[Section]) -> str:
    """Make the Markdown page of the settings."""
    lines = [
        "# Settings",
        "",
        "Settings of `paincast train` (as `NAME=VALUE`) and of `paincast.train`, with their defaults.",
    ]
    for section in sections:
        lines += ["", f"## {section.name or 'General'}", "", "```{eval-rst}", section.summary, "```", ""]
        shown = [column for column in Setting._fields if any(getattr(setting, column) for setting in section.settings)]
        lines += [f"| {' | '.join(shown)} |", f"|{'---|' * len(shown)}"]
        lines += [f"| {' | '.join(format_cell(setting, column) for column in shown)} |" for setting in section.settings]
    return "\n".join(lines) + "\n"


def format_cell(setting: Setting, column: str) -> str:
    """Show one cell: names, types and defaults as code, all safe in a table."""
    text = getattr(setting, column).replace("|", "\\|")
    return f"`{text}`" if text and column in {"name", "type", "default"} else text


def list_packages() -> Iterator[ModuleType]:
    """Give the package itself and every package below it that says what it exports."""
    yield paincast
    for module in pkgutil.walk_packages(paincast.__path__, "paincast."):
        if module.ispkg:
            package = import_module(module.name)
            if getattr(package, "__all__", None):
                yield package


def format_api() -> str:
    """Make the page that leads to the packages."""
    names = [f"api_{package.__name__}" for package in list_packages()]
    return "\n".join(["# API", "", "```{toctree}", ":maxdepth: 1", "", *names, "```", ""])


def format_package(package: ModuleType) -> str:
    """Make the page of one package: its docstring, and every function and class it exports."""
    exported = {name: getattr(package, name) for name in sorted(package.__all__) if not name.startswith("__")}
    functions = [name for name, value in exported.items() if inspect.isroutine(value)]
    classes = [name for name, value in exported.items() if inspect.isclass(value)]
    constants = [name for name in exported if name not in {*functions, *classes}]
    lines = [f"# {package.__name__}", "", "```{eval-rst}", inspect.getdoc(package) or "", ""]
    lines += [f".. currentmodule:: {package.__name__}", ""]
    for title, names in (("Functions", functions), ("Classes", classes)):
        if names:
            lines += [f".. rubric:: {title}", "", ".. autosummary::", "   :toctree: api", ""]
            lines += [f"   {name}" for name in names] + [""]
    if constants:
        lines += [".. rubric:: Constants", "", ", ".join(f"``{name}``" for name in constants)]
    return "\n".join([*lines, "```", ""])
