"""Every setting declares what it means and what it allows, and no value is taken unchecked."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, get_args

import pytest

from paincast.errors import SettingsError
from paincast.settings import (
    CohortSettings,
    GateSettings,
    ModelSettings,
    ObservationSettings,
    OutcomeSettings,
    Setting,
    TrainingSettings,
    check_field,
    check_settings,
    list_settings,
)

DECLARED = {one.name: one for one in list_settings(TrainingSettings)}
NUMBERS = [one for one in DECLARED.values() if {int, float} & {one.type, *get_args(one.type)}]
LISTS = [one for one in DECLARED.values() if "list[" in str(one.type)]
RANGE, PARAMETER, TYPE, NAME, EMPTY, PAIR = (f"PC-SETTINGS-{number}" for number in (23, 15, 25, 20, 22, 21))


def put(name: str, value: object) -> TrainingSettings:
    settings: Any = TrainingSettings()
    owner = settings
    *groups, last = name.split(".")
    for group in groups:
        owner = getattr(owner, group)
    setattr(owner, last, value)
    return settings


def refuse(settings: TrainingSettings) -> SettingsError:
    with pytest.raises(SettingsError) as refused:
        check_settings(settings)
    return refused.value


def test_the_defaults_pass():
    assert check_settings(TrainingSettings()) == TrainingSettings()
    assert len(DECLARED) > 85


@pytest.mark.parametrize("declared", DECLARED.values(), ids=lambda one: one.name)
def test_each_setting_says_what_it_means(declared):
    assert declared.meaning.endswith(".")
    assert len(declared.meaning) > 15


@pytest.mark.parametrize("absurd", [float("nan"), float("inf"), -1e12], ids=str)
@pytest.mark.parametrize("declared", NUMBERS, ids=lambda one: one.name)
def test_each_number_is_held_to_a_range(declared: Setting, absurd):
    value = [absurd, absurd] if declared in LISTS else absurd
    error = refuse(put(declared.name, value))
    assert error.code in (RANGE, PAIR, TYPE)
    assert declared.name in str(error)
    assert declared.range


@pytest.mark.parametrize("declared", DECLARED.values(), ids=lambda one: one.name)
def test_each_setting_is_held_to_its_type(declared: Setting):
    error = refuse(put(declared.name, object()))
    assert error.code == TYPE
    assert declared.name in str(error)


@pytest.mark.parametrize("declared", LISTS, ids=lambda one: one.name)
def test_each_list_is_refused_or_taken_empty(declared: Setting):
    if declared.metadata["min_items"] or declared.metadata["increasing"]:
        assert refuse(put(declared.name, [])).code in (EMPTY, PAIR)
    else:
        assert check_settings(put(declared.name, []))


@pytest.mark.parametrize(
    ("name", "value", "code", "facts"),
    [
        ("model.standard_errors", -1.0, RANGE, ("-1", "0 to 10")),
        ("calibration.slope_prior_sd", 0.0, RANGE, ("0.001 to 100",)),
        ("observation.truncation", 1.1, RANGE, ("1.1", "0.5 to 1")),
        ("observation.minimum_lost", 0, RANGE, ("1 to 1000000",)),
        ("seed", -1, RANGE, (f"0 to {2**63 - 1}",)),
        ("outcome.window_months", [1.0, 500.0], RANGE, ("500", "240")),
        ("outcome.window_months", [2.0, 1.0], PAIR, ("240",)),
        ("observation.method", "weigted", NAME, ("'weighted'",)),
        ("evaluation.held_out", "sites", NAME, ("'site'",)),
        ("model.candidates", ["logistics"], NAME, ("'logistic'",)),
        ("cohort.seed", "abc", TYPE, ("a whole number", "'abc'")),
        ("cohort.seed", 3.5, TYPE, ("a whole number", "3.5")),
        ("cohort.seed", True, TYPE, ("a whole number",)),
        ("statements", {"tripod_17": 3}, TYPE, ("names with values",)),
        ("jobs", 0, "PC-SETTINGS-04", ("jobs=0",)),
        ("evaluation.optimism", 10, "PC-SETTINGS-05", ("10", "50 to 10000")),
        ("cohort.source", "folder", "PC-SETTINGS-01", ("cohort.path",)),
        ("cohort.source", "blended", "PC-SETTINGS-17", ("cohort.real",)),
        ("gate.name", "a b", "PC-SETTINGS-07", ("gate.name",)),
        ("gate.bases", ["synthetic"], "PC-SETTINGS-09", ("gate.research_use",)),
    ],
)
def test_refusals_name_the_setting_and_what_is_allowed(name, value, code, facts):
    error = refuse(put(name, value))
    assert error.code == code
    assert [fact for fact in (name, *facts) if fact not in str(error)] == []


def test_what_belongs_to_one_outcome_is_refused_for_all():
    both = [OutcomeSettings(name="all", window_months=[1.0, 2.0]), OutcomeSettings(name="all", complication_kind="x")]
    assert [refuse(TrainingSettings(outcome=outcome)).code for outcome in both] == ["PC-SETTINGS-26"] * 2


@pytest.mark.parametrize(
    ("outcome", "code", "fact"),
    [
        (OutcomeSettings(horizon_months=[6.0, 3.0, 6]), "PC-SETTINGS-32", "3, 6, 6"),
        (OutcomeSettings(horizon_months=[3.0, 6.0], window_months=[2.0, 7.0]), "PC-SETTINGS-33", "3, 6"),
        (OutcomeSettings(horizon_months=[]), "PC-SETTINGS-22", "outcome.horizon_months"),
        (OutcomeSettings(horizon_months=[3.0, True]), TYPE, "outcome.horizon_months"),
        (OutcomeSettings(horizon_months=[3.0, 0.0]), RANGE, "outcome.horizon_months=0"),
    ],
)
def test_months_are_numbers_in_range_each_once_and_share_no_window(outcome, code, fact):
    error = refuse(TrainingSettings(outcome=outcome))
    assert error.code == code
    assert fact in str(error)


@pytest.mark.parametrize("group", ["boosting", "additive"])
@pytest.mark.parametrize(
    ("name", "value", "facts"),
    [
        ("learning_rate", float("nan"), ("nan", "1e-06 to 1")),
        ("learning_rate", -0.1, ("-0.1", "1e-06 to 1")),
        ("subsample", 0.0, ("0.01 to 1",)),
        ("max_bins", 1, ("2 to 65535",)),
        ("max_delta_step", float("inf"), ("inf", "any finite number")),
        ("tree_method", "exact", ("str",)),
    ],
)
def test_parameters_for_the_libraries_are_finite_numbers(group, name, value, facts):
    parameters = deepcopy(getattr(ModelSettings(), group))
    parameters[0][name] = value
    error = refuse(TrainingSettings(model=ModelSettings(**{group: parameters})))
    assert error.code == ("PC-SETTINGS-14" if name == "tree_method" else PARAMETER)
    assert [fact for fact in (f"model.{group}", name, *facts) if fact not in str(error)] == []


def test_what_is_at_the_limit_is_taken():
    settings = TrainingSettings(
        model=ModelSettings(standard_errors=0.0),
        observation=ObservationSettings(truncation=1.0, minimum_lost=1, shifts=[0.0]),
        outcome=OutcomeSettings(horizon_months=240.0),
        gate=GateSettings(ici=None, card_items=[]),
        jobs=-2,
        seed=0,
    )
    assert check_settings(settings) is settings


def test_a_group_that_is_none_is_refused_by_name():
    error = refuse(TrainingSettings(cohort="data/cohorts/mine"))  # type: ignore[arg-type]
    assert error.code == TYPE
    assert "cohort" in str(error)


def test_one_value_is_checked_like_its_setting():
    check_field(CohortSettings, "scenario", "pragmatic")
    with pytest.raises(SettingsError) as refused:
        check_field(CohortSettings, "episodes_per_technique", 0)
    assert refused.value.code == RANGE
