"""What is said of a folder whose models do not belong together."""

from __future__ import annotations

import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from paincast.cli.app import run
from paincast.models_folder import TRAINING_RECORD, list_notes, record_training
from paincast.predictor import Predictor, add_version, save_predictor
from paincast.serving.batch import predict_file
from paincast.serving.predict import load_models, predict

FACET, EPIDURAL = "facet_rfa/pain_response", "epidural_steroid_injection/pain_response"


@pytest.fixture
def folder(tmp_path: Path, models_folder: Path) -> Path:
    shutil.copytree(models_folder, tmp_path / "models")
    return tmp_path / "models"


def make_real(folder: Path, name: str) -> Predictor:
    """Put a model of real patients in the place of another."""
    real = add_version(replace(load_models(folder)[name], basis="real", n_real=240))
    save_predictor(real, folder / name)
    return real


def test_nothing_is_said_of_models_of_one_training(folder):
    models = load_models(folder)
    assert list_notes(folder, models) == {}
    record_training(folder, models, [])
    assert list_notes(folder, models) == {}
    assert load_models(folder).keys() == models.keys()


def test_mixed_bases_are_named_with_their_models(folder):
    make_real(folder, EPIDURAL)
    notes = list_notes(folder, load_models(folder))
    assert list(notes) == ["mixed_bases"]
    assert f"real: {EPIDURAL}" in notes["mixed_bases"]
    assert f"synthetic: {FACET}" in notes["mixed_bases"]


def test_what_the_last_training_did_not_ask_for_is_of_an_earlier_one(folder):
    models = load_models(folder)
    record_training(folder, {FACET: models[FACET]}, [])
    notes = list_notes(folder, models)
    assert list(notes) == ["earlier_training"]
    assert EPIDURAL in notes["earlier_training"]
    assert FACET not in notes["earlier_training"]


def test_what_the_last_training_refused_is_answered_by_an_earlier_model(folder):
    models = load_models(folder)
    record_training(folder, {FACET: models[FACET]}, [EPIDURAL])
    notes = list_notes(folder, models)
    assert list(notes) == ["refused_since"]
    assert EPIDURAL in notes["refused_since"]


def test_a_bundle_put_there_by_hand_is_not_of_the_last_training(folder):
    record_training(folder, load_models(folder), [])
    make_real(folder, FACET)
    notes = list_notes(folder, load_models(folder))
    assert FACET in notes["earlier_training"]
    assert EPIDURAL not in notes["earlier_training"]


@pytest.mark.parametrize("content", ["", "[]", "null", '{"trained": [], "refused": []}', "\udcff", "[" * 100_000])
def test_a_damaged_record_is_said_and_stops_nobody(folder, content):
    (folder / TRAINING_RECORD).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert list(list_notes(folder, load_models(folder))) == ["unreadable_record"]


def test_a_record_that_is_a_named_pipe_stops_nobody(folder):
    (folder / TRAINING_RECORD).unlink(missing_ok=True)
    os.mkfifo(folder / TRAINING_RECORD)
    assert list_notes(folder, load_models(folder)) == {}


def test_the_same_training_writes_the_same_record_without_reasons(folder):
    models = load_models(folder)
    record_training(folder, models, {"si_joint_rfa/pain_response": "7 with and 1 without the outcome"})
    first = (folder / TRAINING_RECORD).read_bytes()
    record_training(folder, dict(reversed(models.items())), ["si_joint_rfa/pain_response"])
    assert (folder / TRAINING_RECORD).read_bytes() == first
    assert b"7 with" not in first


def test_no_folder_of_models_is_made_for_a_record(tmp_path):
    record_training(tmp_path / "models", {}, ["facet_rfa/pain_response"])
    assert not (tmp_path / "models").exists()


@pytest.mark.slow
def test_predictions_come_with_the_notes_of_the_models_that_answer(folder, patients, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_real(folder, EPIDURAL)
    patients.to_csv("patients.csv", index=False)
    assert run(["predict", "patients.csv", "-o", "out.csv", "--no-progress"]) == 0
    said = capsys.readouterr().out
    assert said.count("note: ") == 1
    assert f"synthetic: {FACET}" in said
    assert f"real: {EPIDURAL}" in said
    summary = predict_file("patients.csv", "one.csv", models="models", techniques=["facet_rfa"])
    assert summary.notes == ()
    with pytest.warns(UserWarning, match="are based on different evidence"):
        predict(patients, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict(patients, folder, techniques=["facet_rfa"])
    assert len(pd.read_csv("out.csv"))
