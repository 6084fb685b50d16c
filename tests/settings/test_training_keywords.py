"""Training takes keywords or one settings object, and recorded runs are read under the present names."""

from __future__ import annotations

import numpy as np
import pytest

import paincast
from paincast.errors import RefusalError, SettingsError
from paincast.reporting import read_run_folder
from paincast.settings import CohortSettings, EvaluationSettings, TrackingSettings, TrainingSettings


def test_keywords_reach_the_training(tmp_path):
    with pytest.raises(RefusalError, match=r"facet_rfa/pain_response: .* with and .* without"):
        paincast.train(
            technique="facet_rfa",
            model="logistic",
            cohort={"episodes_per_technique": 12},
            tracking="off",
            models_folder=tmp_path / "models",
        )


def test_an_object_may_hold_numbers_of_numpy(tmp_path):
    settings = TrainingSettings(
        techniques=["facet_rfa"],
        cohort=CohortSettings(episodes_per_technique=np.int64(12)),
        evaluation=EvaluationSettings(confidence=np.float64(0.9)),
        tracking=TrackingSettings(enabled=False),
        models_folder=str(tmp_path / "models"),
    )
    with pytest.raises(RefusalError) as refused:
        paincast.train(settings)
    assert refused.value.code == "PC-TRAINING-08"


@pytest.mark.parametrize(
    ("keywords", "code"),
    [({"technique": "facet_rfaa"}, "PC-SETTINGS-27"), ({"evaluation": {"folds": 1}}, "PC-SETTINGS-23")],
)
def test_keywords_are_refused_as_on_the_command_line(keywords, code):
    with pytest.raises(SettingsError) as refused:
        paincast.train(**keywords)
    assert refused.value.code == code


@pytest.mark.parametrize(("settings", "keywords"), [(TrainingSettings(), {"seed": 3}), ("facet_rfa", {})], ids=str)
def test_keywords_and_an_object_do_not_mix(settings, keywords):
    with pytest.raises(SettingsError) as refused:
        paincast.train(settings, **keywords)
    assert refused.value.code == "PC-TRAINING-10"


def test_parameters_of_earlier_runs_are_read_under_the_present_names(tmp_path):
    assert read_run_folder(tmp_path, {}, {"uncertainty.level": "0.9"}).params == {"uncertainty.confidence": "0.9"}
