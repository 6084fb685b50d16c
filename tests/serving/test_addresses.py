"""Models by their address in MLflow."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace

import mlflow
import pytest

from paincast.errors import DataError
from paincast.predictor import save_predictor, seal_predictor
from paincast.schema import RESEARCH_MARK
from paincast.serving.batch import predict_file, read_predictions
from paincast.serving.predict import load_model, load_models, predict


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Point MLflow at an address for one test."""
    monkeypatch.chdir(tmp_path)

    def use(uri: str) -> None:
        # First: taking back an address that an earlier test set takes the variable away too.
        mlflow.set_tracking_uri(None)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)

    yield use
    mlflow.set_tracking_uri(None)


@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
def test_a_registered_model_is_loaded_by_its_alias(store, models_folder, tmp_path):
    store(f"sqlite:///{tmp_path}/mlflow.db")
    shutil.copytree(models_folder / "facet_rfa" / "pain_response", tmp_path / "kept" / "artifacts" / "bundle")
    client = mlflow.MlflowClient()
    client.create_registered_model("facet")
    client.create_model_version("facet", (tmp_path / "kept").as_uri())
    client.set_registered_model_alias("facet", "candidate", "1")
    before = dict(os.environ)
    expected = load_model(models_folder / "facet_rfa" / "pain_response")
    assert load_model("models:/facet@candidate").version == expected.version
    assert list(load_models("models:/facet/1")) == ["facet_rfa/pain_response"]
    assert dict(os.environ) == before
    with pytest.raises(DataError, match="Registered Model with name=knee not found"):
        load_model("models:/knee@candidate")
    client.create_model_version("facet", (tmp_path / "kept").as_uri())
    (tmp_path / "kept" / "artifacts" / "bundle" / "bundle.json").unlink()
    with pytest.raises(DataError, match="holds 0 paincast bundles"):
        load_model("models:/facet/2")


@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
def test_the_use_a_version_was_promoted_for_is_said_by_its_answers(store, models_folder, patients, tmp_path):
    store(f"sqlite:///{tmp_path}/mlflow.db")
    synthetic = load_model(models_folder / "facet_rfa" / "pain_response")
    real = seal_predictor(replace(synthetic, basis="real", n_real=synthetic.n_training))
    client = mlflow.MlflowClient()
    client.create_registered_model("facet")
    for model, use in ((real, RESEARCH_MARK), (real, ""), (synthetic, ""), (real, None)):
        folder = tmp_path / f"kept {len(client.search_model_versions())}"
        save_predictor(model, folder / "artifacts" / "bundle")
        tags = {} if use is None else {"use": use}
        client.create_model_version("facet", folder.as_uri(), tags=tags)
    client.set_registered_model_alias("facet", "champion", "1")
    for address, said in (
        ("@champion", RESEARCH_MARK),
        ("/1", RESEARCH_MARK),
        ("/2", ""),
        ("/3", RESEARCH_MARK),
        ("/4", ""),
    ):
        rows = predict(patients.iloc[:1], f"models:/facet{address}")
        assert set(rows["use"]) == {said}, address
    predict_file(write(patients, tmp_path), tmp_path / "out.csv", models="models:/facet@champion", progress=False)
    written = read_predictions(tmp_path / "out.csv")
    assert set(written.loc[written["technique"] == "facet_rfa", "use"]) == {RESEARCH_MARK}
    assert load_model("models:/facet@champion").version == real.version


def write(patients, folder):
    patients.to_csv(folder / "patients.csv", index=False)
    return folder / "patients.csv"


def test_without_a_store_none_is_created(store, tmp_path):
    store(f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(DataError, match="there is no MLflow store"):
        load_model("models:/facet@candidate")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_gone_is_given_up_in_seconds(store):
    store("http://user:secret@127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(DataError, match=r"cannot load models:/facet@candidate from the MLflow store http") as told:
        load_model("models:/facet@candidate")
    assert "secret" not in str(told.value)
    assert time.monotonic() - start < 20
