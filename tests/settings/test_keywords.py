"""Settings from keywords: the names, choices and errors of the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from paincast.cli.hydra_app import read_settings, register_schema
from paincast.errors import SettingsError
from paincast.settings import EvaluationSettings, TrainingSettings, find_configs, list_settings, make_settings
from paincast.settings.configs import list_choices, list_groups
from paincast.settings.renamed import RENAMED

CHOICES = [(group, choice) for group in list_groups() for choice in list_choices(group)]
NEEDED = {
    ("cohort", "folder"): {"cohort.path": "somewhere"},
    ("cohort", "blended"): {"cohort.real": "somewhere"},
}


def compose_settings(*overrides: str) -> TrainingSettings:
    register_schema()
    with initialize_config_dir(str(find_configs()), version_base="1.3"):
        return read_settings(compose("config", overrides=list(overrides)))


def refuse(**keywords: object) -> SettingsError:
    with pytest.raises(SettingsError) as refused:
        make_settings(**keywords)
    return refused.value


def test_no_keyword_gives_the_defaults():
    assert make_settings() == TrainingSettings()


@pytest.mark.slow
@pytest.mark.parametrize(("group", "choice"), CHOICES, ids=lambda value: str(value))
def test_each_choice_means_what_it_means_on_the_command_line(group, choice):
    needed = NEEDED.get((group, choice), {})
    overrides = [f"{name}={value}" for name, value in needed.items()]
    assert make_settings(**{group: choice}, **needed) == compose_settings(f"{group}={choice}", *overrides)


def test_experiments_choices_and_values_go_together_as_on_the_command_line():
    made = make_settings(
        experiment="genicular_rfa_2024", model="ebm", **{"outcome.horizon_months": 1, "evaluation.folds": 3}
    )
    assert made == compose_settings(
        "experiment=genicular_rfa_2024", "model=ebm", "outcome.horizon_months=1", "evaluation.folds=3"
    )
    assert (made.techniques, made.outcome.horizon_months) == (["genicular_rfa"], 1.0)


@pytest.mark.parametrize(
    ("given", "override", "months"),
    [
        (None, "null", (None,)),
        (1, "1", (1.0,)),
        (1.5, "1.5", (1.5,)),
        ([12, 3, 6], "[12,3,6]", (3.0, 6.0, 12.0)),
        (np.array([3.0, 6.0]), "[3,6]", (3.0, 6.0)),
    ],
)
def test_a_month_or_several_are_given_in_python_as_on_the_command_line(given, override, months):
    made = make_settings(outcome={"horizon_months": given})
    assert made == compose_settings(f"outcome.horizon_months={override}")
    assert made.outcome.months == months
    assert all(type(month) is not int for month in made.outcome.months)


def test_a_month_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("MONTH", "3")
    made = compose_settings("outcome.horizon_months=${oc.env:MONTH}")
    assert made.outcome.months == (3.0,)


def test_a_choice_wins_over_that_of_an_experiment():
    made = make_settings(experiment="genicular_rfa_2024", technique="facet_rfa", cohort="simulated")
    assert (made.techniques, made.cohort.source) == (["facet_rfa"], "simulated")


@pytest.mark.parametrize("folder", ["data/cohorts/mine", Path("mine")], ids=str)
def test_a_cohort_may_be_its_folder(folder):
    made = make_settings(cohort=folder).cohort
    assert (made.source, made.path) == ("folder", str(folder))


def test_values_may_be_nested_dotted_or_a_dataclass():
    expected = EvaluationSettings(folds=3, resamples=100)
    assert make_settings(evaluation={"folds": 3, "resamples": 100}).evaluation == expected
    assert make_settings(**{"evaluation.folds": 3, "evaluation.resamples": 100}).evaluation == expected
    assert make_settings(evaluation=expected).evaluation == expected


def test_numbers_and_sequences_of_other_libraries_become_plain():
    made = make_settings(
        seed=np.int64(3), model={"ridge_prior_sds": np.array([0.1, 0.2]), "candidates": ("logistic",), "l1_ratio": 1}
    )
    assert type(made.seed) is int
    assert made.model.ridge_prior_sds == [0.1, 0.2]
    assert [type(number) for number in made.model.ridge_prior_sds] == [float, float]
    assert made.model.candidates == ["logistic"]
    assert type(made.model.l1_ratio) is float


@pytest.mark.parametrize(
    ("keywords", "code", "facts"),
    [
        ({"sead": 3}, "PC-SETTINGS-30", ("sead", "'seed'")),
        ({"cohort": {"sead": 3}}, "PC-SETTINGS-30", ("cohort.sead", "'cohort.seed'")),
        ({"real": "x"}, "PC-SETTINGS-30", ("'cohort.real'",)),
        ({"model": "logistics"}, "PC-SETTINGS-27", ("model", "'logistic'")),
        ({"technique": "facet_rfaa"}, "PC-SETTINGS-27", ("'facet_rfa'",)),
        ({"technique": ["facet_rfa"]}, "PC-SETTINGS-28", ("technique", "techniques=")),
        ({"model": 3}, "PC-SETTINGS-25", ("model", "got 3")),
        ({"seed": "3"}, "PC-SETTINGS-25", ("seed", "a whole number", "'3'")),
        ({"evaluation": {"folds": 1}}, "PC-SETTINGS-23", ("evaluation.folds=1", "2 to 20")),
    ],
)
def test_mistakes_are_refused_by_name(keywords, code, facts):
    error = refuse(**keywords)
    assert error.code == code
    assert [fact for fact in facts if fact not in str(error)] == []


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_is_answered_with_the_new_one(old):
    new, how = RENAMED[old]
    assert new in {one.name for one in list_settings(TrainingSettings)}
    error = refuse(**{old: 0.5})
    assert error.code == "PC-SETTINGS-29"
    assert [fact for fact in (old, new, how) if fact not in str(error)] == []


def test_old_names_in_groups_are_answered_too():
    assert refuse(observation={"inverse_penalties": [0.1]}).code == "PC-SETTINGS-29"
    with pytest.raises(SettingsError) as refused:
        compose_settings("+uncertainty.level=0.9")
    assert refused.value.code == "PC-SETTINGS-29"


def test_penalties_are_prior_standard_deviations_of_the_former_strength():
    made = TrainingSettings()
    variances = [[sd**2 for sd in group.prior_sds] for group in (made.observation, made.duration)]
    np.testing.assert_allclose(variances[0], [0.0001, 0.003, 0.1], rtol=1e-15)
    np.testing.assert_allclose(variances[1], [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0], rtol=1e-15)
