"""Write the reference pages from the code: settings from their declarations, the API from what each package exports."""

from __future__ import annotations

import inspect
import pkgutil
import re
import shutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import paincast
from paincast.settings import Setting, TrainingSettings, list_settings
from paincast.settings.declare import find_type, show_default

LONGEST_DEFAULT = 80
"""Characters; a longer default is named by its size."""


def write_reference_pages(folder: Path) -> None:
    """Write ``settings.rst``, ``api.md`` and a page for each package into a folder that holds nothing else."""
    pages = {"settings.rst": format_settings(TrainingSettings), "api.md": format_api()}
    pages |= {f"api_{package.__name__}.md": format_package(package) for package in list_packages()}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


def format_settings(declaration: type[Any]) -> str:
    """Make the page of the settings that a dataclass declares, a section for each group.

    Parameters
    ----------
    declaration : type
        A dataclass whose fields are declared by :func:`paincast.settings.declare.setting`, or are such dataclasses.
    """
    groups: dict[str, list[Setting]] = {}
    for setting in list_settings(declaration):
        groups.setdefault(setting.name.rpartition(".")[0], []).append(setting)
    lines = [
        "Settings",
        "========",
        "",
        "Settings of ``paincast train`` (as ``NAME=VALUE``) and of ``paincast.train``.",
        "",
    ]
    for name in sorted(groups, key=bool):
        title = name or "General"
        docstring = inspect.getdoc(find_type(name, declaration) if name else declaration) or ""
        lines += [title, "-" * len(title), "", docstring, ""]
        for setting in groups[name]:
            lines += format_setting(setting)
    return "\n".join(lines)


def format_setting(setting: Setting) -> list[str]:
    """Make the lines of one setting."""
    lines = [
        f".. confval:: {setting.name}",
        f"   :type: ``{format_type(setting.type)}``",
        f"   :default: ``{format_default(setting.default)}``",
        "",
        f"   {escape(setting.meaning)}",
        "",
    ]
    return [*lines, f"   Allowed: {escape(setting.range)}", ""] if setting.range else lines


def escape(text: str) -> str:
    """Keep text from being read as markup."""
    return re.sub(r"([*`|_\\])", r"\\\1", text)


def format_type(annotation: Any) -> str:
    """Name a type as it is written in source."""
    plain = isinstance(annotation, type) and not get_args(annotation)
    return annotation.__name__ if plain else str(annotation).replace("typing.", "")


def format_default(value: Any) -> str:
    """Show a default as on the command line, or how many items it has where it is long."""
    text = show_default(value)
    return text if len(text) <= LONGEST_DEFAULT else f"{len(value)} items"


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


@cache
def map_exports() -> dict[str, str]:
    """Map the full name of everything exported, where it is defined, to the name under which it has a page.

    What several packages export has its page under the outermost.
    """
    exports: dict[str, str] = {}
    for package in list_packages():
        for name in package.__all__:
            exports.setdefault(find_home(getattr(package, name)), f"{package.__name__}.{name}")
    return exports


def find_home(value: object) -> str:
    """Name a function or a class where it is defined."""
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"


def format_package(package: ModuleType) -> str:
    """Make the page of one package: its docstring, and every function and class it exports."""
    exported = {name: getattr(package, name) for name in sorted(package.__all__) if not name.startswith("__")}
    documented = {name: value for name, value in exported.items() if inspect.isroutine(value) or inspect.isclass(value)}
    pages = {name: map_exports()[find_home(value)] for name, value in documented.items()}
    own = [name for name in documented if pages[name] == f"{package.__name__}.{name}"]
    lines = [f"# {package.__name__}", "", "```{eval-rst}", inspect.getdoc(package) or "", ""]
    lines += [f".. currentmodule:: {package.__name__}", ""]
    functions = [name for name in own if inspect.isroutine(exported[name])]
    for title, names in (("Functions", functions), ("Classes", [name for name in own if name not in functions])):
        if names:
            lines += [f".. rubric:: {title}", "", ".. autosummary::", "   :toctree: api", ""]
            lines += [f"   {name}" for name in names] + [""]
    elsewhere = [f":py:obj:`{pages[name]}`" for name in documented if name not in own]
    constants = [f"``{name}``" for name in exported if name not in documented]
    for title, texts in (("Also exported", elsewhere), ("Constants", constants)):
        if texts:
            lines += [f".. rubric:: {title}", "", ", ".join(texts), ""]
    return "\n".join([*lines, "```", ""])
