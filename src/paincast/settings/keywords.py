"""Make settings from Python keywords, with the names, choices and errors of the command line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from paincast.errors import SettingsError, suggest_name
from paincast.settings.checks import check_settings, show_value, wrong_type
from paincast.settings.configs import list_choices, list_groups, read_choice
from paincast.settings.declarations import TrainingSettings
from paincast.settings.declare import list_alternatives, list_settings, split_optional
from paincast.settings.removed import refuse_removed
from paincast.settings.renamed import RENAMED


def make_settings(**keywords: Any) -> TrainingSettings:
    """Make checked settings of a training run from keywords.

    Parameters
    ----------
    **keywords : object
        As ``NAME=VALUE`` on the command line: a choice of a group (``model="logistic"``), a value by its dotted name
        (``**{"evaluation.folds": 3}``), or values of a group as a dict (``evaluation={"folds": 3}``). A settings
        dataclass sets a whole group, and ``cohort`` also accepts the folder of a cohort.

    Returns
    -------
    TrainingSettings

    Raises
    ------
    SettingsError
        As on the command line: with the name of the setting, what is allowed and the nearest known name.

    Examples
    --------
    >>> settings = make_settings(technique="facet_rfa", model="logistic", evaluation={"folds": 3}, seed=3)
    >>> settings.techniques, settings.model.candidates, settings.evaluation.folds, settings.seed
    (['facet_rfa'], ['logistic'], 3, 3)
    """
    choices, given = _split_choices(keywords)
    if {"cohort.path", "cohort.real"} & {*given}:
        choices, own = split_own_choices(choices)
        given |= own
    values: dict[str, Any] = {}
    experiment = choices.pop("experiment", None)
    if experiment is not None:
        experiment_values, chosen = read_choice("experiment", experiment)
        choices = {**chosen, **choices}
        values = dict(_flatten(experiment_values))
    chosen_values: dict[str, Any] = {}
    for group, choice in choices.items():
        chosen_values |= dict(_flatten(read_choice(group, choice)[0]))
    settings: TrainingSettings = _build(TrainingSettings, {**chosen_values, **values, **given}, "")
    return check_settings(settings)


def _split_choices(keywords: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Split keywords into choices of groups and values by dotted name."""
    choices: dict[str, str] = {}
    given: dict[str, Any] = {}
    groups = list_groups()
    for name, value in keywords.items():
        if name == "cohort" and is_folder(value):
            given |= {"cohort.source": "folder", "cohort.path": os.fspath(value)}
        elif name in groups and isinstance(value, str):
            choices[name] = value
        elif name in ("technique", "experiment"):
            if value is not None:
                several = "; for several: techniques=[...]" if name == "technique" else ""
                raise SettingsError(f"{name}: needs the name of one choice{several}", code="PC-SETTINGS-28")
        else:
            given |= dict(_flatten({name: value}))
    return choices, given


def split_own_choices(choices: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Split off the technique and outcome that are no choices: on a cohort in a folder its contract may declare them.

    Parameters
    ----------
    choices : mapping of str to str
        Choice by group.

    Returns
    -------
    choices : dict of str to str
        The other choices.
    values : dict
        Settings by dotted name instead; training refuses names that the contract does not declare.

    Examples
    --------
    >>> split_own_choices({"technique": "intradiscal_prp", "outcome": "pain_response"})
    ({'outcome': 'pain_response'}, {'techniques': ['intradiscal_prp']})
    """
    own = {
        group: choice
        for group, choice in choices.items()
        if group in ("technique", "outcome") and choice not in list_choices(group) and choice.isidentifier()
    }
    values: dict[str, Any] = {"techniques": [own["technique"]]} if "technique" in own else {}
    values |= {"outcome.name": own["outcome"]} if "outcome" in own else {}
    return {group: choice for group, choice in choices.items() if group not in own}, values


def is_folder(value: object) -> bool:
    """Check whether a value of ``cohort`` is a folder rather than the name of a choice."""
    if isinstance(value, os.PathLike):
        return True
    return isinstance(value, str) and value not in list_choices("cohort") and ("/" in value or Path(value).is_dir())


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten nested values to dotted names; a settings dataclass is expanded to all of its values."""
    types = {declared.name: declared.type for declared in list_settings(TrainingSettings)}
    for key, value in values.items():
        name = prefix + str(key)
        plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        if isinstance(plain, Mapping) and name not in types and name not in RENAMED:
            yield from _flatten(plain, f"{name}.")
        else:
            yield name, plain


def _build(declaration: type[Any], values: Mapping[str, Any], prefix: str) -> Any:
    """Build a settings dataclass, and those nested in it, from values by dotted name."""
    types = get_type_hints(declaration)
    if not prefix:
        known = {declared.name for declared in list_settings(TrainingSettings)}
        for name in values:
            if name not in known:
                raise unknown_setting(name) if not _is_group(name) else wrong_type(name, dict, show_value(values[name]))
    arguments = {}
    for field in fields(declaration):
        name, kind = prefix + field.name, field.metadata.get("kind") or types[field.name]
        if is_dataclass(kind):
            arguments[field.name] = _build(kind, values, f"{name}.")  # type: ignore[arg-type]
        elif name in values:
            arguments[field.name] = _convert(values[name], kind)
    return declaration(**arguments)


def _is_group(name: str) -> bool:
    return any(declared.name.startswith(f"{name}.") for declared in list_settings(TrainingSettings))


def _convert(value: Any, kind: Any) -> Any:
    """Convert paths to text and numbers of other libraries to Python's; values of a wrong type are checked later."""
    plain, _ = split_optional(kind)
    if len(alternatives := list_alternatives(plain)) > 1:
        is_list = not isinstance(value, str | Mapping) and hasattr(value, "__iter__")
        return _convert(value, next(part for part in alternatives if (get_origin(part) is list) == is_list))
    if plain is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    if plain is float and isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    if plain is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if get_origin(plain) is list and not isinstance(value, str | Mapping) and hasattr(value, "__iter__"):
        return [_convert(item, get_args(plain)[0]) for item in value]
    return value


def unknown_setting(name: str) -> SettingsError:
    """Make the error for an unknown name: it gives the new name of a renamed setting, or the most similar name."""
    if name in RENAMED:
        new, how = RENAMED[name]
        return SettingsError(f"{name} was renamed; write {new}{f', {how}' if how else ''}", code="PC-SETTINGS-29")
    refuse_removed(name)
    settings = [declared.name for declared in list_settings(TrainingSettings)]
    names = {*settings, *(known.partition(".")[0] for known in settings), *list_groups()}
    inside = [known for known in settings if known.endswith(f".{name}")]
    hint = f"did you mean '{inside[0]}'?" if len(inside) == 1 else suggest_name(name, names)
    if hint.startswith("known:"):
        hint = suggest_name(name, [known for known in names if "." not in known])
    return SettingsError(
        f"{name}: unknown setting; {hint} 'paincast settings' lists all settings", code="PC-SETTINGS-30"
    )
