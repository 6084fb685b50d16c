"""Find and read the configuration files in the package: groups, and choices within a group."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paincast.deferred import yaml
from paincast.errors import SettingsError, suggest_name
from paincast.files.bounded import read_yaml_text
from paincast.settings.removed import refuse_removed

NOT_SETTINGS = ("mapping", "trial")
"""Folders of configuration files that are not settings of a training run."""


def find_configs() -> Path:
    """Find the folder of configuration files, registry mappings and target trials, in the wheel or in the checkout.

    Returns
    -------
    Path
        The folder that contains ``config.yaml``.

    Raises
    ------
    SettingsError
        If the installation is broken and neither exists.
    """
    package = Path(__file__).resolve().parents[1]
    for candidate in (package / "configs", package.parents[1] / "configs"):
        if (candidate / "config.yaml").is_file():
            return candidate
    raise SettingsError(
        "the configuration folder is missing from this installation; reinstall paincast", code="PC-SETTINGS-24"
    )


def list_groups() -> list[str]:
    """List the groups of settings that are set by choosing a file, such as ``model``.

    Examples
    --------
    >>> {"cohort", "experiment", "model", "technique"} <= set(list_groups())
    True
    """
    return sorted(
        folder.name for folder in find_configs().iterdir() if folder.is_dir() and folder.name not in NOT_SETTINGS
    )


def list_choices(group: str) -> list[str]:
    """List the choices of a group.

    Examples
    --------
    >>> list_choices("evaluation")
    ['default', 'quick', 'thorough']
    """
    return sorted(file.stem for file in (find_configs() / group).glob("*.yaml"))


def read_choice(group: str, choice: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Read the file of a choice.

    Parameters
    ----------
    group : str
        One of :func:`list_groups`.
    choice : str
        One of :func:`list_choices`.

    Returns
    -------
    values : dict
        Values by name, nested under the group unless the file is for all settings (``# @package _global_``).
    choices : dict of str to str
        Choices of other groups that the file makes.

    Raises
    ------
    SettingsError
        If there is no such choice.

    Examples
    --------
    >>> read_choice("model", "logistic")
    ({'model': {'candidates': ['logistic']}}, {})
    """
    if choice not in list_choices(group):
        raise unknown_choice(group, choice, list_choices(group))
    text = read_yaml_text(find_configs() / group / f"{choice}.yaml")
    values: dict[str, Any] = yaml.safe_load(text) or {}
    defaults: list[Mapping[str, str]] = values.pop("defaults", [])
    choices = {name.removeprefix("override /"): other for entry in defaults for name, other in entry.items()}
    is_global = re.match(r"#\s*@package\s+_global_\s*$", text, flags=re.MULTILINE)
    return (values if is_global else {group: values}), choices


def unknown_choice(group: str, choice: str, known: Sequence[str]) -> SettingsError:
    """Make the error for a choice that a group does not have."""
    refuse_removed(f"{group}.method", choice)
    folder = "; for a folder: cohort=folder cohort.path=DIR" if group == "cohort" and "/" in choice else ""
    return SettingsError(
        f"{group}: unknown choice '{choice}'; {suggest_name(choice, known)}{folder}", code="PC-SETTINGS-27"
    )
