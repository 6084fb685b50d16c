"""Every configuration file composes into settings that pass their checks, and says what it is named for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from paincast.cli.hydra_app import read_settings, register_schema
from paincast.errors import RefusalError
from paincast.evidence import load_records, records_of
from paincast.outcomes import OUTCOMES
from paincast.schema import TECHNIQUES
from paincast.settings import CALIBRATION_METHODS, MODEL_KINDS, TrainingSettings, find_configs

CONFIGS = find_configs()
NOT_OF_HYDRA = {"mapping", "trial"}
"""Folders of files that commands read themselves."""

FILES = sorted(file for file in CONFIGS.rglob("*.yaml") if not NOT_OF_HYDRA & {*file.parts} and file.parent != CONFIGS)


def read(*overrides: str) -> TrainingSettings:
    register_schema()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return read_settings(compose("config", overrides=list(overrides)))


def choice_of(file: Path) -> str:
    return f"{file.parent.name}={file.stem}"


def test_without_overrides_the_configuration_is_the_default_of_the_settings():
    assert read() == TrainingSettings()


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=choice_of)
def test_each_file_composes_and_passes_the_checks(file):
    needed = {"cohort=folder": ["cohort.path=somewhere"], "cohort=blended": ["cohort.real=somewhere"]}
    settings = read(choice_of(file), *needed.get(choice_of(file), []))
    assert isinstance(settings, TrainingSettings)


@pytest.mark.slow
def test_there_is_a_technique_file_for_each_technique_with_a_record():
    def has_record(technique: str) -> bool:
        try:
            return bool(records_of(technique))
        except RefusalError:
            return False

    assert load_records()
    shipped = {file.stem for file in (CONFIGS / "technique").iterdir()} - {"all"}
    assert shipped == {technique for technique in TECHNIQUES if has_record(technique)}
    assert {name: read(f"technique={name}").techniques for name in shipped} == {name: [name] for name in shipped}
    assert read("technique=all").techniques == []


@pytest.mark.slow
def test_choices_of_models_calibrations_and_outcomes_are_complete():
    for name in {file.stem for file in (CONFIGS / "model").iterdir()} & set(MODEL_KINDS):
        assert read(f"model={name}").model.candidates == [name]
    assert {read(f"calibration={name}").calibration.method for name in CALIBRATION_METHODS} == set(CALIBRATION_METHODS)
    assert {read(f"outcome={name}").outcome.name for name in OUTCOMES} == set(OUTCOMES)


def test_overrides_of_groups_and_values_go_together():
    settings = read("model=xgboost", "evaluation=quick", "cohort.seed=3", "tracking=off")
    assert settings.model.candidates == ["xgboost"]
    assert settings.evaluation.folds == 3
    assert settings.cohort.seed == 3
    assert not settings.tracking.enabled


@pytest.mark.parametrize(
    ("experiment", "technique", "horizon"),
    [("caudal_esi_2018", "epidural_steroid_injection", 1.0), ("genicular_rfa_2024", "genicular_rfa", 3.0)],
)
def test_experiments_ask_the_question_of_their_data_set(experiment, technique, horizon):
    settings = read(f"experiment={experiment}")
    assert settings.cohort.source == "folder"
    assert settings.cohort.path == f"data/cohorts/{experiment}"
    assert settings.techniques == [technique]
    assert settings.outcome.horizon_months == horizon


def test_the_command_line_wins_over_an_experiment():
    settings = read("experiment=genicular_rfa_2024", "outcome.horizon_months=1", "cohort.path=elsewhere")
    assert settings.outcome.horizon_months == 1.0
    assert settings.cohort.path == "elsewhere"
