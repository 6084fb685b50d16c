"""`paincast settings`: each setting with type, default, range and meaning."""

from __future__ import annotations

import pytest

from paincast.settings import TrainingSettings, list_settings


def test_every_setting_is_listed_with_its_meaning(tell):
    code, out, _ = tell("settings")
    assert code == 0
    lines = out.splitlines()
    for one in list_settings(TrainingSettings):
        assert [line for line in lines if one.name in line.split() and one.meaning in line], one.name


def test_a_group_and_a_setting_are_found_by_name(tell):
    _, out, _ = tell("settings", "evaluation")
    assert "evaluation.folds" in out
    assert "model." not in out
    _, out, _ = tell("settings", "observation.minimum_lost")
    assert len(out.splitlines()) == 2
    assert {"20", "1000000", "episodes"} <= set(out.split())


@pytest.mark.parametrize(
    ("name", "code", "fact"),
    [
        ("evaluation.fold", "PC-SETTINGS-30", "'evaluation.folds'"),
        ("uncertainty.level", "PC-SETTINGS-29", "confidence"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_the_new(tell, code, name, fact):
    status, _, err = tell("settings", name)
    assert status == 2
    assert code in err
    assert fact in err
