"""`paincast train`: a Hydra application whose mistakes are said in one line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from paincast.errors import RefusalError

COMMAND_LINE_MISTAKES = [
    (["cohort.seed=abc"], "cohort.seed: needs a whole number, got 'abc'"),
    (["cohort.seed=3.5"], "cohort.seed: needs a whole number, got '3.5'"),
    (["cohort.seed=null"], "cohort.seed: needs a whole number"),
    (["tracking.enabled=maybe"], "tracking.enabled: needs true or false, got 'maybe'"),
    (["outcome.horizon_months=soon"], "needs a number, a list or null, for example [1,2], got 'soon'"),
    (["outcome.horizon_months=[3,soon]"], "outcome.horizon_months: needs a number, a list or null"),
    (["outcome.horizon_months=[]"], "outcome.horizon_months is empty"),
    (["outcome.horizon_months=[3,500]"], "outcome.horizon_months=500 is out of range; allowed: 0.1 to 240 months"),
    (["outcome.window_months=[a]"], "outcome.window_months"),
    (["model.candidates=3"], "model.candidates: needs a list"),
    (["model.candidates=[logistics]"], "did you mean 'logistic'?"),
    (["cohort.sead=3"], "cohort.sead: unknown setting; did you mean 'cohort.seed'"),
    (["+cohort.sead=3"], "cohort.sead: unknown setting; did you mean 'cohort.seed'"),
    (["+foo=3"], "foo: unknown setting; known: "),
    (["techniqe=facet_rfa"], "did you mean 'technique'"),
    (["technique=facet_rfaa"], "technique: unknown choice 'facet_rfaa'; did you mean 'facet_rfa'"),
    (["experiment=nope"], "experiment: unknown choice 'nope'; known: caudal_esi_2018"),
    (["cohort=folder"], "cohort.path is empty"),
    (["cohort=blended"], "cohort.real is empty"),
    (["cohort=blended", "real=somewhere"], "real: unknown setting; did you mean 'cohort.real'?"),
    (["evaluation.folds=1"], "evaluation.folds=1 is out of range"),
    (["cohort.seed=["], "cannot read 'cohort.seed=['"),
    (["cohort"], "cannot read 'cohort'"),
    (["gate.card_items=[probast_e5_1]"], "gate.card_items: unknown item 'probast_e5_1'; did you mean 'probast_e"),
    (["uncertainty.level=0.9"], "write uncertainty.confidence [PC-SETTINGS-29]"),
    (["observation.inverse_penalties=[0.1]"], "write observation.prior_sds, each value the square root"),
    (["hydra.run.dirr=x"], "'paincast train --cfg hydra' shows"),
    (["--multirun", "--cfg", "job"], "Only one of"),
    (["--config-dir", "missing"], "not found"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "words"), COMMAND_LINE_MISTAKES, ids=lambda value: " ".join(value))
def test_a_mistake_on_the_command_line_is_said_in_one_line(tell, training, arguments, words):
    code, out, err = tell("train", *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert words in err
    assert err.count("\n") == 1
    assert training.asked == []


FILE_MISTAKES = [
    ("cohort", "seed: abc", "cohort/mine.yaml: cohort.seed: needs a whole number, got 'abc'"),
    ("cohort", "sead: 3", "cohort/mine.yaml: cohort.sead: unknown setting; did you mean 'cohort.seed'"),
    ("uncertainty", "level: 0.9", "uncertainty/mine.yaml: uncertainty.level was renamed; write uncertainty.confidence"),
    ("cohort", "seed: [1", "not valid YAML"),
    *(("cohort", text, "mine.yaml") for text in ("3", "2020-01-01", "!!set {a}", "seed: !!int ''", "seed: !!bool x")),
    ("cohort", "- 1", "cohort/mine.yaml: "),
    ("experiment", "# @package _global_\nfoo: 1", "experiment/mine.yaml: foo: unknown setting"),
    (
        "experiment",
        "# @package _global_\ndefaults:\n  - override /cohort: foldr",
        "cohort: unknown choice 'foldr'; did you mean 'folder'?",
    ),
    ("experiment", "# @package _global_\ndefaults:\n  - override /cohrt: folder", "'cohrt'"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("group", "text", "words"), FILE_MISTAKES, ids=lambda value: value.replace("\n", " ")[:40])
def test_a_mistake_in_a_file_is_said_in_one_line(tell, training, tmp_path, group, text, words):
    (tmp_path / "own" / group).mkdir(parents=True)
    (tmp_path / "own" / group / "mine.yaml").write_text(text)
    code, _, err = tell("train", "--config-dir", "own", f"{group}=mine")
    assert code == 2
    assert words in err
    assert err.count("\n") == 1
    assert training.asked == []


def test_settings_reach_training_and_the_result_is_shown(tell, training, tmp_path):
    code, out, _ = tell("train", "technique=facet_rfa", "cohort.seed=3", "models_folder=mine")
    assert code == 0
    [settings] = training.asked
    assert (settings.techniques, settings.cohort.seed, settings.models_folder) == (["facet_rfa"], 3, "mine")
    assert "seed: 3" in training.configs[0]
    assert "facet_rfa" in out
    assert "\nno model for si_joint_rfa/pain_response: 3 with the outcome\n" in out
    assert "paincast review" in out
    assert list((tmp_path / "outputs").glob("*/*/.hydra/config.yaml"))
    assert Path.cwd() == tmp_path


def test_own_configuration_files_are_found(tell, training, tmp_path):
    (tmp_path / "own" / "cohort").mkdir(parents=True)
    (tmp_path / "own" / "cohort" / "ours.yaml").write_text("source: folder\npath: data/cohorts/ours\n")
    assert tell("train", "--config-dir", "own", "cohort=ours")[0] == 0
    assert training.asked[0].cohort.path == "data/cohorts/ours"


@pytest.mark.slow
def test_multirun_trains_each_combination(tell, training):
    assert tell("train", "-m", "technique=facet_rfa,genicular_rfa", "cohort.seed=1,2")[0] == 0
    found = [(settings.techniques[0], settings.cohort.seed) for settings in training.asked]
    assert found == [("facet_rfa", 1), ("facet_rfa", 2), ("genicular_rfa", 1), ("genicular_rfa", 2)]


@pytest.mark.slow
def test_a_failing_run_of_several_fails_the_command(tell, training):
    code, _, err = tell("train", "-m", "technique=facet_rfa,genicular_rfa", "cohort=folder")
    assert code == 2
    assert "error: cohort.path is empty" in err
    assert training.asked == []


def test_the_configuration_is_shown_without_training(tell, training):
    code, out, _ = tell("train", "technique=genicular_rfa", "--cfg", "job")
    assert code == 0
    assert "- genicular_rfa" in out
    assert training.asked == []


@pytest.mark.slow
def test_help_teaches_with_examples_choices_and_settings(tell):
    code, out, _ = tell("train", "--help")
    assert code == 0
    assert "paincast train experiment=caudal_esi_2018" in out
    assert "model: auto, ebm, logistic, xgboost" in out
    assert "episodes_per_technique: 1500" in out
    assert "--multirun" in out


def test_a_refusal_is_said_in_one_line(tell, training):
    training.failure = RefusalError("7 with and 40 without the outcome")
    assert tell("train") == (2, "", "error: 7 with and 40 without the outcome\n")


def test_a_bug_shows_where_and_never_the_words_of_a_foreign_exception(tell, training):
    training.failure = ValueError("could not convert string to float: 'Jane Doe'")
    code, _, err = tell("train")
    assert code == 1
    assert "Jane" not in err
    assert "bug: ValueError" in err
    assert "conftest.py" in err


def test_an_interruption_ends_with_130(tell, training):
    training.failure = KeyboardInterrupt()
    code, _, err = tell("train")
    assert code == 130
    assert "interrupted" in err


@pytest.mark.slow
def test_nothing_is_left_changed_in_the_process(tell, training):
    before = (list(sys.argv), os.environ.get("HYDRA_FULL_ERROR"))
    tell("train", "cohort.seed=abc")
    tell("train")
    assert training.asked
    assert (sys.argv, os.environ.get("HYDRA_FULL_ERROR")) == before
