"""No number of the settings is taken unchecked: what cannot be meant is refused with the numbers allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import pytest

from paincast.errors import SettingsError
from paincast.settings import ModelSettings, ObservationSettings, OutcomeSettings, TrainingSettings, check_settings

ABSURD = [float("nan"), float("inf"), -1e12]
NUMBERS = {int, float, int | None, float | None}
LISTS = {list[int], list[float], list[float] | None}


def list_numbers(settings: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield the place of each number, and of each list of numbers, below some settings."""
    types = get_type_hints(type(settings))
    for field in fields(settings):
        here, kind = (*place, field.name), types[field.name]
        if is_dataclass(kind):
            yield from list_numbers(getattr(settings, field.name), here)
        elif kind in NUMBERS or kind in LISTS:
            yield here, kind in LISTS


PLACES = sorted(list_numbers(TrainingSettings()))


def put(place: tuple[str, ...], value: object) -> TrainingSettings:
    settings: Any = TrainingSettings()
    owner = settings
    for name in place[:-1]:
        owner = getattr(owner, name)
    setattr(owner, place[-1], value)
    return settings


def test_the_defaults_pass():
    assert check_settings(TrainingSettings()) == TrainingSettings()
    assert (("model", "standard_errors"), False) in PLACES
    assert (("observation", "shifts"), True) in PLACES
    assert len(PLACES) > 45


@pytest.mark.parametrize("absurd", ABSURD, ids=str)
@pytest.mark.parametrize(("place", "is_list"), PLACES, ids=str)
def test_each_number_is_held_to_a_range(place, is_list, absurd):
    with pytest.raises(
        SettingsError, match=re.escape(".".join(place)) + ".*(outside what is allowed, .* to|needs two)"
    ):
        check_settings(put(place, [absurd] if is_list else absurd))


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("model.standard_errors", -1.0, "model.standard_errors=-1 is outside what is allowed, 0 to 10"),
        ("calibration.slope_prior_sd", 0.0, "calibration.slope_prior_sd=0 is outside what is allowed, 0.001 to 100"),
        ("observation.truncation", 1.1, "observation.truncation=1.1 is outside what is allowed, 0.5 to 1"),
        ("observation.minimum_lost", 0, "observation.minimum_lost=0 is outside what is allowed, 1 to 1e+06"),
        ("observation.shifts", [], "observation.shifts is empty; give at least one"),
        ("observation.inverse_penalties", [], "observation.inverse_penalties is empty"),
        ("observation.method", "weigted", "observation.method: unknown name 'weigted'; did you mean 'weighted'"),
        ("jobs", 0, "jobs=0 starts no process"),
        ("seed", -1, "seed=-1 is outside what is allowed, 0 to"),
        ("outcome.window_months", [1.0, 500.0], "two increasing months above 0 and up to 240"),
    ],
)
def test_refusals_name_the_setting_and_what_is_allowed(place, value, told):
    with pytest.raises(SettingsError, match=re.escape(told)):
        check_settings(put(tuple(place.split(".")), value))


@pytest.mark.parametrize("group", ["boosting", "additive"])
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("learning_rate", float("nan"), "learning_rate=nan is outside what is allowed, 1e-06 to 1"),
        ("learning_rate", -0.1, "learning_rate=-0.1 is outside what is allowed, 1e-06 to 1"),
        ("subsample", 0.0, "subsample=0 is outside what is allowed, 0.01 to 1"),
        ("max_bins", 1, "max_bins=1 is outside what is allowed, 2 to 65535"),
        ("max_delta_step", float("inf"), "max_delta_step=inf is outside what is allowed, any finite number"),
        ("tree_method", "exact", "tree_method needs a number, got str"),
    ],
)
def test_parameters_for_the_libraries_are_finite_numbers(group, name, value, told):
    parameters = deepcopy(getattr(ModelSettings(), group))
    parameters[0][name] = value
    with pytest.raises(SettingsError, match=re.escape(f"model.{group}: {told}")):
        check_settings(TrainingSettings(model=ModelSettings(**{group: parameters})))


def test_what_is_at_the_limit_is_taken():
    settings = TrainingSettings(
        model=ModelSettings(standard_errors=0.0),
        observation=ObservationSettings(truncation=1.0, minimum_lost=1, shifts=[0.0]),
        outcome=OutcomeSettings(horizon_months=240.0),
        jobs=-2,
        seed=0,
    )
    assert check_settings(settings) is settings
