"""Check settings against their declarations before any work starts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from numbers import Integral, Real
from typing import Any, get_args, get_origin

from paincast.errors import SettingsError, suggest_name
from paincast.schema import TECHNIQUES
from paincast.settings.choices import ALL_OUTCOMES, MIN_RESAMPLES
from paincast.settings.declarations import TrainingSettings
from paincast.settings.declare import (
    Setting,
    describe_example,
    describe_type,
    list_alternatives,
    list_settings,
    show_number,
    split_optional,
)
from paincast.settings.removed import refuse_removed

LONGEST_SHOWN = 60
"""Characters of a wrong value that a message shows."""


def check_settings(settings: TrainingSettings) -> TrainingSettings:
    """Check every setting against its declaration, and the few settings that depend on each other.

    Parameters
    ----------
    settings : TrainingSettings
        Settings of a training run.

    Returns
    -------
    TrainingSettings
        The same object.

    Raises
    ------
    SettingsError
        With the dotted name of the setting and what is allowed.
    """
    for declared in list_settings(type(settings)):
        check_value(declared, _read_attribute(settings, declared.name))
    for check in (
        _check_jobs,
        _check_techniques,
        _check_cohort,
        _check_blended,
        _check_outcome,
        _check_model,
        _check_optimism,
        _check_export,
        _check_gate,
    ):
        check(settings)
    return settings


def check_field(declaration: type[Any], name: str, value: object) -> None:
    """Check a value like the setting of that name, for functions that are called without settings.

    Raises
    ------
    SettingsError
        With the name and what is allowed.

    Examples
    --------
    >>> from paincast.settings import CohortSettings
    >>> check_field(CohortSettings, "seed", 3)
    """
    check_value(next(declared for declared in list_settings(declaration) if declared.name == name), value)


def check_value(declared: Setting, value: object) -> None:
    """Check a value against the declaration of its setting.

    Raises
    ------
    SettingsError
        With the name of the setting and what is allowed.
    """
    kind, is_optional = split_optional(declared.type)
    if value is None and is_optional:
        return
    if not is_of_type(value, kind):
        raise wrong_type(declared.name, declared.type, show_value(value))
    if isinstance(value, list | tuple):
        _check_length(declared, value)
    for item in value if isinstance(value, list | tuple) else [value]:
        _check_item(declared, item)


def is_of_type(value: object, kind: Any) -> bool:
    """Check whether a value has a declared type; a whole number is a valid number, true and false are not.

    Examples
    --------
    >>> is_of_type(3, float), is_of_type(True, int), is_of_type([1, "a"], list[int])
    (True, False, False)
    """
    if kind is Any:
        return True
    if len(alternatives := list_alternatives(kind)) > 1:
        return any(is_of_type(value, part) for part in alternatives)
    origin = get_origin(kind)
    if origin is list:
        return isinstance(value, list | tuple) and all(is_of_type(item, get_args(kind)[0]) for item in value)
    if origin is dict:
        of_name, of_value = get_args(kind)
        return isinstance(value, Mapping) and all(
            is_of_type(name, of_name) and is_of_type(item, of_value) for name, item in value.items()
        )
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    return isinstance(value, kind)


def wrong_type(name: str, kind: Any, got: str = "") -> SettingsError:
    """Make the error for a value of the wrong type; ``got`` is the value as text."""
    needed, shown = describe_type(kind) + describe_example(kind), f", got {got[:LONGEST_SHOWN]}" if got else ""
    return SettingsError(
        f"{name}: needs {needed}{shown}; 'paincast settings' lists all settings", code="PC-SETTINGS-25"
    )


def show_value(value: object) -> str:
    """Format a plain value as it is written; for any other value, give its type."""
    if value is None:
        return "null"
    return repr(value) if isinstance(value, str | bool | int | float | list) else type(value).__name__


def _check_length(declared: Setting, items: Sequence[object]) -> None:
    if declared.metadata["increasing"]:
        if len(items) != 2 or not items[0] < items[1]:  # type: ignore[operator]
            raise SettingsError(
                f"{declared.name} needs two increasing numbers; allowed: {declared.range}", code="PC-SETTINGS-21"
            )
    elif len(items) < declared.metadata["min_items"]:
        allowed = f"; allowed: {declared.range}" if declared.range else ""
        raise SettingsError(f"{declared.name} is empty; give at least one value{allowed}", code="PC-SETTINGS-22")


def _check_item(declared: Setting, item: object) -> None:
    names, lowest = declared.metadata["one_of"], declared.metadata["at_least"]
    if names:
        _require_name(declared.name, str(item), names)
    if declared.metadata["parameters"] is not None and isinstance(item, Mapping):
        _check_parameters(declared.name, item, declared.metadata["parameters"])
    if lowest is not None and isinstance(item, Real) and not lowest <= item <= declared.metadata["at_most"]:
        raise SettingsError(
            f"{declared.name}={float(item):.15g} is out of range; allowed: {declared.range}", code="PC-SETTINGS-23"
        )


def _require_name(setting: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        refuse_removed(setting, name)
        raise SettingsError(f"{setting}: unknown name '{name}'; {suggest_name(name, known)}", code="PC-SETTINGS-20")


def _check_parameters(name: str, parameters: Mapping[str, object], ranges: Mapping[str, tuple[float, float]]) -> None:
    for parameter, value in parameters.items():
        if not isinstance(value, Real):
            raise SettingsError(
                f"{name}: {parameter} needs a number, got {type(value).__name__}", code="PC-SETTINGS-14"
            )
        low, high = ranges.get(parameter, (-math.inf, math.inf))
        if not (math.isfinite(value) and low <= float(value) <= high):
            allowed = f"{show_number(low)} to {show_number(high)}" if parameter in ranges else "any finite number"
            raise SettingsError(
                f"{name}: {parameter}={float(value):.15g} is out of range; allowed: {allowed}",
                code="PC-SETTINGS-15",
            )


def _read_attribute(settings: object, name: str) -> object:
    value = settings
    for part in name.split("."):
        if is_dataclass(value):
            value = getattr(value, part)
        else:
            raise wrong_type(name.rpartition(".")[0], type, show_value(value))
    return value


def _check_jobs(settings: TrainingSettings) -> None:
    if settings.jobs == 0:
        raise SettingsError(
            "jobs=0 would start no process; give 1 for one at a time, -1 for all cores", code="PC-SETTINGS-04"
        )


def _check_techniques(settings: TrainingSettings) -> None:
    """Check the names of techniques where no cohort is read whose contract may declare further ones."""
    for technique in settings.techniques if settings.cohort.source == "simulated" else ():
        _require_name("techniques", technique, TECHNIQUES)


def _check_cohort(settings: TrainingSettings) -> None:
    cohort = settings.cohort
    if cohort.source == "folder" and not cohort.path:
        raise SettingsError(
            "cohort.path is empty; cohort.source=folder needs the folder of an ingested or simulated cohort",
            code="PC-SETTINGS-01",
        )
    if cohort.source == "blended" and not cohort.real:
        raise SettingsError(
            "cohort.real is empty; cohort.source=blended needs the folder of real episodes that 'paincast ingest' "
            "wrote: cohort.real=DIR",
            code="PC-SETTINGS-17",
        )


def _check_blended(settings: TrainingSettings) -> None:
    """Check that models blended with evidence are linear in the log odds."""
    if settings.cohort.source != "blended":
        return
    if "logistic" not in settings.model.candidates:
        raise SettingsError(
            f"cohort=blended compares models that are linear in the log odds; model.candidates holds "
            f"{', '.join(settings.model.candidates)}; use model=logistic",
            code="PC-SETTINGS-18",
        )
    if settings.calibration.method not in ("none", "affine"):
        raise SettingsError(
            f"cohort=blended needs calibration=affine or calibration=none, not {settings.calibration.method}",
            code="PC-SETTINGS-19",
        )


def _check_outcome(settings: TrainingSettings) -> None:
    outcome = settings.outcome
    if outcome.name == ALL_OUTCOMES and not (outcome.window_months is None and outcome.complication_kind is None):
        raise SettingsError(
            "outcome=all: outcome.window_months and outcome.complication_kind belong to one outcome; name it, or leave "
            "them empty",
            code="PC-SETTINGS-26",
        )
    months = [f"{month:g}" for month in outcome.months if month is not None]
    if len(set(months)) < len(months):
        raise SettingsError(
            f"outcome.horizon_months holds a month twice ({', '.join(months)}); give each once", code="PC-SETTINGS-32"
        )
    if len(months) > 1 and outcome.window_months is not None:
        raise SettingsError(
            f"outcome.window_months belongs to one month, and outcome.horizon_months holds {', '.join(months)}; give "
            "one month, or leave the window empty",
            code="PC-SETTINGS-33",
        )


def _check_model(settings: TrainingSettings) -> None:
    if "ebm" in settings.model.candidates and not settings.model.additive:
        raise SettingsError(
            "model.additive is empty; 'ebm' needs at least one set of parameters, {} for the defaults",
            code="PC-SETTINGS-12",
        )


def _check_optimism(settings: TrainingSettings) -> None:
    repeats = settings.evaluation.optimism
    if 0 < repeats < MIN_RESAMPLES:
        raise SettingsError(
            f"evaluation.optimism={repeats} repeats are too few for an interval; allowed: 0, which measures no "
            f"optimism, or {MIN_RESAMPLES} to 10000",
            code="PC-SETTINGS-05",
        )


def _check_export(settings: TrainingSettings) -> None:
    name = settings.evaluation.export_oof
    if name is not None and not name.lower().endswith((".csv", ".parquet")):
        raise SettingsError(
            f"evaluation.export_oof: '{name[-LONGEST_SHOWN:]}' is no file name that can be written; allowed: a name "
            "that ends in .csv or .parquet, or null",
            code="PC-SETTINGS-34",
        )


def _check_gate(settings: TrainingSettings) -> None:
    gate = settings.gate
    if not re.fullmatch(r"[A-Za-z0-9_-]+", gate.name):
        raise SettingsError(
            f"gate.name: '{gate.name}' is not allowed; use letters, digits, _ and -", code="PC-SETTINGS-07"
        )
    if "synthetic" in gate.bases and not gate.research_use:
        raise SettingsError(
            "gate.bases holds synthetic, which may be promoted for research only; set gate.research_use=true, or leave "
            "synthetic out",
            code="PC-SETTINGS-09",
        )
