from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

import paincast
from paincast.disclosure.rounding import round_count
from paincast.errors import OutputError, RefusalError
from paincast.tracking import log_model_run, start_training
from paincast.tracking.describe import describe_run
from paincast.tracking.gate_evidence import assess_model
from paincast.tracking.served.example import invent_patients


@pytest.fixture
def client(recorded):
    return MlflowClient(tracking_uri=recorded.store.uri)


@pytest.fixture
def child(recorded, client):
    return client.get_run(recorded.logged.run_id)


def list_files(recorded):
    return [file for file in Path(recorded.store.artifacts).rglob("*") if file.is_file()]


def test_parent_and_child_are_finished_and_linked(recorded, client, child):
    parent = client.get_run(recorded.parent_id)
    assert (parent.info.status, child.info.status) == ("FINISHED", "FINISHED")
    assert child.data.tags["mlflow.parentRunId"] == recorded.parent_id
    assert parent.data.tags["basis"] == "real"
    assert parent.data.params == {"seed": "7"}


def test_the_resolved_configuration_is_kept_with_the_parent(recorded, client):
    experiment = client.get_experiment_by_name("paincast")
    path = Path(recorded.store.artifacts) / recorded.parent_id / "artifacts" / "config" / "config.yaml"
    assert path.read_text() == "seed: 7\ncohort:\n  source: folder\n"
    assert experiment.artifact_location == Path(recorded.store.artifacts).as_uri()


def test_metrics_carry_their_intervals(recorded, child):
    auroc = recorded.model.metrics.set_index("metric").loc["auroc"]
    assert child.data.metrics["auroc"] == pytest.approx(auroc["estimate"])
    assert child.data.metrics["auroc_lower"] == pytest.approx(auroc["lower"])
    assert child.data.metrics["auroc_upper"] == pytest.approx(auroc["upper"])
    assert child.data.metrics["n"] == len(recorded.cohort.episodes)


def test_what_cannot_be_estimated_is_no_number_but_a_tag(child):
    assert "calibration_slope" not in child.data.metrics
    assert child.data.tags["not_estimable"] == "calibration_slope"


def test_tags_and_parameters_tell_models_apart(recorded, child):
    expected = {
        "technique": "genicular_rfa",
        "outcome": "pain_response",
        "horizon_months": "6",
        "model_kind": "logistic",
        "basis": "real",
        "n_real": str(len(recorded.cohort.episodes)),
        "verdict": "refused",
        "gate": "default",
        "paincast_version": paincast.__version__,
    }
    assert expected.items() <= child.data.tags.items()
    assert {"penalty": "0.1", "folds": "5", "technique": "genicular_rfa"}.items() <= child.data.params.items()


def test_description_gives_basis_numbers_and_limits(child):
    text = child.data.tags["mlflow.note.content"]
    first = text.splitlines()[0]
    assert first.startswith("**REAL**: 80 real of about 80 episodes · AUROC 0.")
    assert "Calibration slope not estimable · refused by gate 'default' (" in first
    assert "| calibration_slope | missing | interval within 0.8 to 1.25 | calibration_slope has no interval" in text
    assert "| Calibration slope | not estimable | 80 | not estimable: a test |" in text
    assert "80 episodes are too few." in text
    assert "not the effect of the procedure" in text


def test_a_description_fits_every_database_and_names_the_report(recorded):
    verdict = assess_model(recorded.model, recorded.model.gate)
    wordy = replace(recorded.model, notes=("A note. " * 900,), write_report=lambda *_: "")
    text = describe_run(wordy, verdict)
    assert len(text) <= 8000
    assert text.startswith("**REAL**: 80 real of about 80 episodes")
    assert "`report/report.html` under Artifacts" in text
    sources = tuple(f"source {number}" for number in range(9))
    many = replace(recorded.model, dataset=replace(recorded.model.dataset, sources=sources))
    assert "- source 3\n- and 5 more, in `tables/provenance.csv`" in describe_run(many, verdict)


def test_figures_and_tables_are_artifacts(recorded, child):
    names = {
        file.relative_to(recorded.store.artifacts).as_posix().partition("/artifacts/")[2]
        for file in list_files(recorded)
    }
    assert {f"figures/{name}.png" for name in recorded.model.figures} <= names
    named = {"calibration/calibration", "uncertainty/instability"}
    reasons = {"explanation/shap_contributions"}
    assert named | reasons == recorded.model.figures.keys()
    assert {"tables/metrics.csv", "tables/metrics.json", "tables/calibration_curve.csv"} <= names
    assert {"tables/instability.csv", "tables/instability_bins.csv"} <= names
    table = json.loads(
        (Path(child.info.artifact_uri.removeprefix("file://").replace("%20", " ")) / "tables/metrics.json").read_text()
    )
    assert table["columns"] == ["metric", "group", "estimate", "lower", "upper", "n", "method"]


def test_instability_is_a_metric_with_its_interval_and_stands_apart_from_performance(recorded, child):
    mean = recorded.model.instability.set_index("metric").loc["instability_mean"]
    for suffix, value in (("", "estimate"), ("_lower", "lower"), ("_upper", "upper")):
        assert child.data.metrics[f"instability_mean{suffix}"] == pytest.approx(mean[value])
    text = child.data.tags["mlflow.note.content"]
    assert text.index("#### Out-of-fold performance") < text.index("#### Prediction instability")
    assert text.index("#### Prediction instability") < text.index(
        "| Distance of refits from the served probability, mean"
    )


def test_lineage_holds_columns_and_counts(recorded, child):
    (entry,) = child.inputs.dataset_inputs
    assert entry.dataset.name == "registry_of_the_tests"
    assert entry.dataset.digest == recorded.model.dataset.digest
    assert json.loads(entry.dataset.profile)["num_rows"] == round_count(len(recorded.cohort.episodes))
    columns = json.loads(entry.dataset.schema)["mlflow_colspec"]
    assert {"name": "age_years", "type": "double", "required": False} in columns
    assert "ethnicity" not in {column["name"] for column in columns}
    assert "Registry of the tests, 2024" in entry.dataset.source


def test_model_is_registered_as_candidate(recorded, client):
    version = client.get_model_version_by_alias("paincast.genicular_rfa.pain_response", "candidate")
    assert recorded.logged.model_name == version.name
    assert recorded.logged.model_version == int(version.version) == 1
    assert {"basis": "real", "n_real": "80", "verdict": "refused", "gate": "default"}.items() <= version.tags.items()
    assert "Out-of-fold performance" in version.description


def test_no_patient_leaves_for_mlflow(recorded):
    episodes = recorded.cohort.episodes
    secrets = [b"SENTINEL-"] + [
        repr(value).encode() for name in ("age_years", "bmi") for value in episodes[name].tolist()
    ]
    contents = {file: file.read_bytes() for file in [*list_files(recorded), recorded.store.database]}
    leaks = [(file.name, secret) for file, content in contents.items() for secret in secrets if secret in content]
    assert leaks == []
    assert not [file for file in contents if file.suffix == ".pkl"]
    examples = [json.loads(content) for file, content in contents.items() if file.name == "input_example.json"]
    assert examples
    assert all(example == invent_patients(recorded.model.predictor) for example in examples)


def test_tables_of_rows_are_refused(recorded):
    rows = pd.DataFrame({"patient_id": ["p-1"], "probability": [0.5]})
    with (
        pytest.raises(OutputError, match="table 'predictions' holds patient_id: rows of patients are not sent"),
        start_training(recorded.store, "rows", params={}, tags={}, config_yaml="") as training,
    ):
        log_model_run(training, replace(recorded.model, tables={"predictions": rows}))


@pytest.mark.parametrize(
    ("raised", "status", "failure"),
    [
        (RefusalError("3 events are too few"), "FAILED", "3 events are too few"),
        (ValueError("Jane Doe, 63"), "FAILED", "ValueError"),
        (KeyboardInterrupt(), "KILLED", "KeyboardInterrupt"),
    ],
)
def test_broken_training_is_marked(recorded, client, raised, status, failure):
    with (
        pytest.raises(type(raised)),
        start_training(recorded.store, "breaks", params={}, tags={}, config_yaml="") as training,
    ):
        raise raised
    run = client.get_run(training.run_id)
    assert (run.info.status, run.data.tags["failure"]) == (status, failure)
    assert mlflow.active_run() is None


def test_unregistered_model_gets_no_version(recorded, client):
    with start_training(recorded.store, "unregistered", params={}, tags={}, config_yaml="") as training:
        logged = log_model_run(
            training, replace(recorded.model, figures={}, outcome="pain_response_30"), register=False
        )
    assert (logged.model_name, logged.model_version) == (None, None)
    assert not [model for model in client.search_registered_models() if model.name.endswith("pain_response_30")]


def test_more_than_a_hundred_parameters_are_kept(recorded, client):
    many = {f"setting_{i}": i for i in range(130)}
    with start_training(recorded.store, "many", params=many, tags={}, config_yaml="") as training:
        pass
    assert len(client.get_run(training.run_id).data.params) == 130


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError()])
def test_a_disk_that_is_full_midway_is_said_in_words_and_leaves_no_run_open(recorded, client, error):
    def write(*_given):
        raise error

    with (
        pytest.raises(OutputError, match=r"could not be recorded in sqlite:.*\(OSError: .*marked as failed"),
        start_training(recorded.store, "breaks", params={}, tags={}, config_yaml="") as training,
    ):
        log_model_run(training, replace(recorded.model, figures={}, write_report=write))
    found = client.search_runs([training.experiment_id], f"tags.`mlflow.parentRunId` = '{training.run_id}'")
    assert [run.info.status for run in (client.get_run(training.run_id), *found)] == ["FAILED", "FAILED"]


def test_nothing_of_mlflow_is_left_set(recorded, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////elsewhere/mlflow.db")
    with start_training(recorded.store, "env", params={}, tags={}, config_yaml=""):
        assert mlflow.get_tracking_uri() == recorded.store.uri
    assert mlflow.get_tracking_uri() == "sqlite:////elsewhere/mlflow.db"


def test_database_holds_no_experiment_twice(recorded):
    with sqlite3.connect(recorded.store.database) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM experiments")]
    connection.close()
    assert sorted(names) == ["Default", "paincast"]
