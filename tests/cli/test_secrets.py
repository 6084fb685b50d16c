"""What a configuration takes from the environment reaches neither what is recorded nor what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from paincast.cli.hydra_app import read_gate
from paincast.environment import hide_values
from paincast.errors import SettingsError
from paincast.simulator import write_cohort

SECRET = "hunter2-s3cr3t"
CONFIG = """# @package _global_
models_folder: models/${oc.env:SECRET}
cohort:
  path: ${oc.env:SECRET}
tracking:
  uri: sqlite:///${oc.env:SECRET}/mlflow.db
seed: ${oc.decode:${oc.env:SEED,11}}
statements:
  tripod_17: ${models_folder}
gate:
  name: ${oc.env:GATE,own}
jobs: 1
"""


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("SECRET", SECRET)
    monkeypatch.delenv("SEED", raising=False)
    folder = tmp_path / "own" / "experiment"
    folder.mkdir(parents=True)
    (folder / "secret.yaml").write_text(CONFIG)
    return ["train", "--config-dir", "own", "experiment=secret"]


def test_the_recorded_configuration_keeps_the_text_of_what_asks_the_environment(tell, training, experiment):
    assert tell(*experiment)[0] == 0
    (settings,), (text,) = training.asked, training.configs
    assert (settings.models_folder, settings.cohort.path, settings.seed) == (f"models/{SECRET}", SECRET, 11)
    assert settings.statements["tripod_17"] == settings.models_folder
    config = yaml.safe_load(text)
    assert SECRET not in text
    assert config["models_folder"] == "models/${oc.env:SECRET}"
    assert config["statements"]["tripod_17"] == "${models_folder}"
    assert config["seed"] == "${oc.decode:${oc.env:SEED,11}}"
    assert config["cohort"]["seed"] == settings.cohort.seed


REFUSED = [
    "seed=${oc.env:SECRET}",
    "technique=${oc.env:SECRET}",
    "+techniques=[${oc.env:SECRET}]",
    "techniques=[${oc.env:SECRET}]",
    "model.candidates=[${oc.env:SECRET}]",
    "cohort.source=${oc.env:SECRET}",
    "cohort.scenario=${oc.env:SECRET}",
    "gate.name='${oc.env:SECRET} x'",
    "gate.name=${oc.env:SECRET}",
    "gate.name=g_${oc.env:SECRET}",
    "tracking.experiment=${oc.env:SECRET}",
    "gate.bases=[${oc.env:SECRET}]",
    "calibration.method=${oc.env:SECRET}",
    "tracking.enabled=${oc.env:SECRET}",
    "uncertainty.confidence=${oc.env:SECRET}",
    "seed=${oc.decode:${oc.env:SECRET}}",
    "seed=${oc.decode:'[${oc.env:SECRET}'}",
    "statements=${oc.env:SECRET}",
    "statements={${oc.env:SECRET}: 1}",
    "evaluation.threshold_range=${oc.env:SECRET}",
]


@pytest.mark.slow
@pytest.mark.parametrize("overrides", REFUSED)
@pytest.mark.usefixtures("training")
def test_an_error_does_not_quote_it(tell, monkeypatch, overrides):
    monkeypatch.setenv("SECRET", SECRET)
    code, out, err = tell("train", overrides)
    assert code == 2
    assert SECRET not in out + err
    assert "s3cr3t" not in out + err


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides", [["outcome.name=${oc.env:SECRET}"], ["cohort.source=folder", "cohort.path=${oc.env:SECRET}"]]
)
def test_an_error_of_a_training_does_not_quote_it(tell, monkeypatch, overrides):
    monkeypatch.setenv("SECRET", SECRET)
    code, out, err = tell("train", "tracking=off", *overrides)
    assert (code, SECRET in out + err) == (2, False)
    assert "${oc.env:SECRET}" in err


def test_a_gate_does_not_quote_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", SECRET)
    (tmp_path / "gate.yaml").write_text("bases: ['${oc.env:SECRET}']\n")
    with pytest.raises(SettingsError) as told:
        read_gate(str(tmp_path / "gate.yaml"))
    assert SECRET in str(told.value)
    assert hide_values(str(told.value)).startswith("gate.bases: unknown name '${oc.env:SECRET}'")


def test_a_gate_that_would_show_it_as_its_name_is_refused(tmp_path, monkeypatch):
    """A name of a gate stands with runs and versions in MLflow."""
    (tmp_path / "gate.yaml").write_text("name: gate_${oc.env:SECRET,ours}\n")
    monkeypatch.delenv("SECRET", raising=False)
    assert read_gate(str(tmp_path / "gate.yaml")).name == "gate_ours"
    monkeypatch.setenv("SECRET", SECRET)
    with pytest.raises(SettingsError, match=r"gate\.name takes its value from the environment"):
        read_gate(str(tmp_path / "gate.yaml"))


def test_the_password_of_an_address_in_the_environment_is_not_shown(tell, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"ftp://user:{SECRET}@host/store")
    code, out, err = tell("review", "--no-browser")
    assert code == 2
    assert SECRET not in out + err


@pytest.mark.slow
def test_a_training_leaves_it_nowhere(tell, tmp_path, experiment):
    write_cohort(tmp_path / SECRET, techniques=["facet_rfa"], episodes_per_technique=150, seed=5)
    quick = [
        "technique=facet_rfa",
        "cohort.source=folder",
        "model=logistic",
        "evaluation=quick",
        "uncertainty.refits=10",
    ]
    code, out, err = tell(*experiment, *quick, f"tracking.artifacts={tmp_path / 'artifacts'}", "progress=false")
    assert code == 0, err
    assert SECRET not in out + err
    assert (tmp_path / "models" / SECRET / "facet_rfa" / "pain_response" / "bundle.json").is_file()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 20
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []
