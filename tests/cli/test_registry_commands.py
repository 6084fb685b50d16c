"""From training to champion, to the next champion and back, with the commands a user types."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paincast.cli.app import run
from paincast.cli.hydra_app import read_gate
from paincast.cohort.tables import load_cohort, save_cohort
from paincast.errors import SettingsError
from paincast.settings import (
    CARD_ITEMS,
    CohortSettings,
    EvaluationSettings,
    GateSettings,
    ModelSettings,
    TrackingSettings,
    TrainingSettings,
    UncertaintySettings,
    find_configs,
)
from paincast.simulator import write_cohort

NAME = "paincast.facet_rfa.pain_response"
LENIENT = """
research_use: true
bases: [synthetic]
minimum_real: 0
sample_size: false
slope_probability: null
lost_share: null
tipping_odds: null
log_loss_gain: false
held_out: false
auroc: [0.4, 0.95]
calibration_slope: null
o_e_ratio: [0.5, 2]
ici: null
net_benefit: false
subgroup_o_e_ratio: null
card_items: []
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train two small models of different simulated cohorts into one store, and keep a third cohort."""
    from paincast.training import train

    folder = tmp_path_factory.mktemp("registry")
    for seed in (1, 2, 3):
        write_cohort(folder / f"cohort_{seed}", techniques=["facet_rfa"], episodes_per_technique=400, seed=seed)
    for seed in (1, 2):
        settings = TrainingSettings(
            cohort=CohortSettings(source="folder", path=str(folder / f"cohort_{seed}"), rehearse=True),
            model=ModelSettings(candidates=["logistic"], ridge_prior_sds=[0.25], lasso_penalties=[], borrowing=[0.0]),
            uncertainty=UncertaintySettings(refits=10),
            evaluation=EvaluationSettings(folds=3, resamples=60),
            gate=read_gate("research"),
            tracking=TrackingSettings(uri=f"sqlite:///{folder}/mlflow.db", artifacts=str(folder / "artifacts")),
            models_folder=str(folder / f"models_{seed}"),
            jobs=1,
            progress=False,
        )
        train(settings)
    (folder / "lenient.yaml").write_text(LENIENT)
    return folder


@pytest.fixture
def call(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run_it(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_it


@pytest.mark.slow
def test_a_simulated_model_goes_all_the_way_for_research_only(call):
    code, out, err = call("promote", f"{NAME}@candidate")
    assert code == 2
    assert "failed     basis: based on simulated patients only, which is for research use" in out
    assert "failed     n_real: 0 real episodes (required: at least 100 real episodes)" in out
    assert "missing    model_card: missing: tripod_" in out
    assert f"{NAME} version 2 is not promoted: refused by gate 'default'" in err
    assert "nothing was changed" in err
    code, out, err = call("rollback", NAME)
    assert (code, out) == (2, "")
    assert "has no champion" in err
    for version, before in ((1, ""), (2, ", before it version 1")):
        code, out, _ = call("promote", f"{NAME}/{version}", "--gate", "lenient.yaml")
        assert code == 0, out
        assert f"{NAME} version {version} is champion{before}; research use only: models:/{NAME}@champion" in out
    code, out, _ = call("rollback", NAME)
    assert (code, out) == (
        0,
        f"{NAME}: version 1 is champion again, in place of version 2; research use only\n",
    )
    code, out, err = call("rollback", NAME)
    assert code == 2
    assert "nothing to go back to" in err


def test_training_judges_by_the_gate_it_was_given(trained):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{trained}/mlflow.db")
    for found in client.search_runs(["1"], filter_string="tags.kind = 'model'"):
        judged = {file.path for file in client.list_artifacts(found.info.run_id, "tables")}
        assert "tables/verdict_research.csv" in judged
        assert "#### Verdict: refused by gate 'research' (" in found.data.tags["mlflow.note.content"]


@pytest.mark.slow
def test_two_versions_are_compared_on_a_cohort_of_neither(call, trained):
    code, out, _ = call(
        "compare-runs", f"{NAME}/1", f"{NAME}/2", "--cohort", "cohort_3", "--resamples", "60", "-o", "table.csv"
    )
    assert code == 0
    assert all(metric in out for metric in ("log_loss", "brier", "auroc", "calibration_slope", "ici", "compared"))
    assert "paired percentile bootstrap" in out
    assert "the cohort is synthetic" in out
    assert len(re.findall(r"was trained on +0 of \d+ patients", out)) == 2
    table = pd.read_csv(trained / "table.csv")
    assert list(table.columns) == ["metric", "champion", "candidate", "difference", "lower", "upper", "n", "method"]
    assert table["n"].nunique() == 1
    np.testing.assert_allclose(table["difference"], table["candidate"] - table["champion"], atol=1e-12)
    # A metric that a model of the overall risk alone does not have (discrimination, slope) has no interval either.
    told = table.dropna(subset=["lower"])
    assert {"log_loss", "brier"} <= set(told["metric"])
    assert ((told["lower"] < told["upper"]) & (told["lower"] <= told["difference"])).all()


@pytest.mark.slow
def test_a_folder_stands_for_a_model_and_a_run_for_its_own(call):
    from mlflow import MlflowClient

    run_id = MlflowClient(tracking_uri="sqlite:///mlflow.db").get_model_version(NAME, "2").run_id
    folder = "models_2/facet_rfa/pain_response"
    code, out, _ = call("compare-runs", folder, str(run_id), "--cohort", "cohort_3", "--resamples", "60")
    assert code == 0
    assert "0.0000" in out


@pytest.mark.slow
def test_what_models_were_trained_on_is_found_where_they_still_lie(call, trained):
    cohort = load_cohort(trained / "cohort_2")
    episodes = cohort.episodes[cohort.episodes["technique"] == "facet_rfa"].head(30)
    save_cohort(replace(cohort, episodes=episodes.reset_index(drop=True)), trained / "part_of_2")
    asked = ("compare-runs", f"{NAME}/1", f"{NAME}/2", "--resamples", "60", "--cohort")
    code, _, err = call(*asked, "part_of_2")
    assert code == 2
    assert re.search(rf"was trained on (all but fewer than 5|\d+) of {episodes['patient_id'].nunique()} patients", err)
    (trained / "models_1").rename(trained / "elsewhere")
    (trained / "elsewhere" / ".fingerprints").rename(trained / "elsewhere" / "not there")
    try:
        code, out, _ = call(*asked, "cohort_3", "--models", "models_2")
    finally:
        (trained / "elsewhere" / "not there").rename(trained / "elsewhere" / ".fingerprints")
        (trained / "elsewhere").rename(trained / "models_1")
    assert code == 0
    assert out.count("cannot be checked") == 1
    assert list(trained.glob("models_2/**/fingerprints.json"))
    assert (trained / "artifacts").is_dir()
    assert not [file for file in (trained / "artifacts").rglob("*") if "fingerprint" in file.name]


def test_a_model_is_not_compared_on_its_own_patients(call):
    code, _, err = call("compare-runs", f"{NAME}/1", f"{NAME}/2", "--cohort", "cohort_1")
    assert code == 2
    assert f"{NAME}/1 was trained on these episodes" in err


@pytest.mark.parametrize("command", [["promote", f"{NAME}/1"], ["rollback", NAME]], ids=" ".join)
def test_without_a_store_none_is_made(tell, tmp_path, monkeypatch, command):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code, _, err = tell(*command)
    assert code == 2
    assert "run 'paincast train' first" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", sorted((find_configs() / "gate").glob("*.yaml")), ids=lambda file: file.stem)
def test_a_shipped_gate_is_called_like_its_file(file):
    assert read_gate(file.stem).name == file.stem


def test_the_default_gate_is_strict_and_that_for_research_says_so():
    assert read_gate("default") == GateSettings()
    assert read_gate("research").research_use
    assert set(read_gate("research").card_items) < set(CARD_ITEMS)


def test_a_gate_of_ones_own_is_called_like_its_file(tmp_path):
    (tmp_path / "ours.yaml").write_text("ici: 0.1\n")
    assert read_gate(str(tmp_path / "ours.yaml")) == GateSettings(name="ours", ici=0.1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("icy: 0.1", r"gate\.icy: unknown setting; did you mean 'gate\.ici'"),
        ("ici: little", r"gate\.ici: needs a number or null, got 'little'"),
        ("ici: 2", r"gate\.ici=2 is out of range; allowed: 0 to 1"),
        ("ici: [", "not valid YAML"),
        *((text, r"ours\.yaml") for text in ("3", "!!set {a}", "ici: !!int ''", "ici: !!float x", "!a {b: 1}")),
        ("bases: [synthetic]", r"set gate\.research_use=true"),
        ("card_items: [tripod_10a]", r"gate\.card_items: unknown item 'tripod_10a'; did you mean 'tripod_10'"),
    ],
)
def test_a_mistake_in_a_gate_is_said_in_words(tmp_path, text, told):
    (tmp_path / "ours.yaml").write_text(text)
    with pytest.raises(SettingsError, match=told):
        read_gate(str(tmp_path / "ours.yaml"))


def test_a_gate_that_is_not_there_is_named():
    with pytest.raises(SettingsError, match="there is no 'reserch'; did you mean 'research'"):
        read_gate("reserch")
