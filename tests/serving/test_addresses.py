"""Models by their address in MLflow."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace

import mlflow
import pytest

from paincast.errors import DataError
from paincast.gates.use import CONTENT
from paincast.predictor import add_version, save_predictor
from paincast.predictor.validation import Validation
from paincast.schema import RESEARCH_MARK
from paincast.serving.batch import predict_file, read_predictions
from paincast.serving.predict import load_model, load_models, predict
from paincast.settings import TrackingSettings
from paincast.tracking import resolve_store, tag_versions


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


@pytest.mark.slow
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


PROMOTED = {"verdict": "passes", "promoted_at": "2024-05-01T12:00:00+00:00", "use": ""}


@pytest.fixture
def register(store, empty_database, tmp_path):
    """Give a function that keeps a model as the next version of `facet`, from a run of its own."""
    shutil.copy(empty_database, tmp_path)
    store(f"sqlite:///{tmp_path}/mlflow.db")
    client = mlflow.MlflowClient()
    client.create_registered_model("facet")

    def add(model, tags, *, run_tags=None) -> str:
        folder = tmp_path / f"kept {len(client.search_model_versions())}"
        save_predictor(model, folder / "artifacts" / "bundle")
        run = client.create_run("0", tags={"model_content": model.version} if run_tags is None else run_tags)
        own = {"model_content": model.version, **tags}
        made = client.create_model_version("facet", folder.as_uri(), run_id=run.info.run_id, tags=own)
        return str(made.version)

    return client, add


@pytest.fixture
def models(models_folder):
    """Give a model of simulated patients, and the same as if it stood on real ones."""
    synthetic = load_model(models_folder / "facet_rfa" / "pain_response")
    return synthetic, add_version(replace(synthetic, basis="real", n_real=synthetic.n_training))


def ask_use(patients, address) -> set[str]:
    return set(predict(patients.iloc[:1], address, techniques=["facet_rfa"])["use"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
def test_only_the_champion_of_a_gate_that_allows_care_is_for_more_than_research(register, models, patients, tmp_path):
    client, add = register
    real = models[1]
    champion = add(real, PROMOTED)
    client.set_registered_model_alias("facet", "champion", champion)
    client.set_registered_model_alias("facet", "candidate", champion)
    for address in ("@champion", f"/{champion}", "@candidate"):
        assert ask_use(patients, f"models:/facet{address}") == {""}, address
    predict_file(write(patients, tmp_path), tmp_path / "out.csv", models="models:/facet@champion")
    written = read_predictions(tmp_path / "out.csv")
    assert set(written.loc[written["model_version"] != "", "use"]) == {""}
    assert set(written.loc[written["model_version"] == "", "use"]) <= {RESEARCH_MARK}
    held = client.get_model_version("facet", champion).run_id
    client.log_artifacts(held, str(tmp_path / "kept 0"), "model")
    assert ask_use(patients, f"runs:/{held}/model") == {RESEARCH_MARK}
    assert ask_use(patients, tmp_path / "kept 0") == {RESEARCH_MARK}
    assert ask_use(patients, real) == {RESEARCH_MARK}
    later = add(real, PROMOTED)
    assert ask_use(patients, f"models:/facet/{later}") == {RESEARCH_MARK}
    client.set_registered_model_alias("facet", "champion", later)
    assert ask_use(patients, f"models:/facet/{champion}") == {RESEARCH_MARK}
    assert ask_use(patients, f"models:/facet/{later}") == {""}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
@pytest.mark.parametrize(
    "tags",
    [
        {"use": RESEARCH_MARK},
        {"use": "care"},
        {"promoted_use": RESEARCH_MARK},
        {"verdict": "refused"},
        {"promoted_at": ""},
        {"basis": "synthetic"},
        {"model_content": ""},
    ],
)
def test_a_champion_that_did_not_earn_it_is_for_research(register, models, patients, tags):
    client, add = register
    run_tags = {} if "model_content" in tags else None
    number = add(models[1], {**PROMOTED, **tags}, run_tags=run_tags)
    client.set_registered_model_alias("facet", "champion", number)
    assert ask_use(patients, "models:/facet@champion") == {RESEARCH_MARK}


@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
def test_simulated_patients_give_no_right_whatever_the_registry_says(register, models, patients):
    client, add = register
    client.set_registered_model_alias("facet", "champion", add(models[0], {**PROMOTED, "basis": "real"}))
    assert ask_use(patients, "models:/facet@champion") == {RESEARCH_MARK}


@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
def test_a_bundle_that_is_not_the_one_recorded_is_refused(register, models, tmp_path):
    client, add = register
    synthetic, real = models
    number = add(real, PROMOTED)
    client.set_registered_model_alias("facet", "champion", number)
    # Sealed again by hand, the bundle is whole in itself.
    forged = add_version(replace(synthetic, basis="real", n_real=9999))
    save_predictor(forged, tmp_path / "kept 0" / "artifacts" / "bundle")
    for address in ("models:/facet@champion", f"models:/facet/{number}"):
        with pytest.raises(DataError, match=f"of version {forged.version}, and {real.version} was recorded"):
            load_model(address)
    run_id = client.get_model_version("facet", number).run_id
    client.log_artifacts(run_id, str(tmp_path / "kept 0"), "model")
    with pytest.raises(DataError, match=f"of version {forged.version}, and {real.version} was recorded"):
        load_model(f"runs:/{run_id}/model")
    swapped = add(real, PROMOTED, run_tags={"model_content": synthetic.version})
    with pytest.raises(DataError, match=f"of version {real.version}, and {synthetic.version} was recorded"):
        load_model(f"models:/facet/{swapped}")


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
def test_a_registered_version_carries_what_other_patients_said(store, models_folder, tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    store(uri)
    shutil.copytree(models_folder / "facet_rfa" / "pain_response", tmp_path / "kept" / "artifacts" / "bundle")
    model = load_model(models_folder / "facet_rfa" / "pain_response")
    name, client = "paincast.facet_rfa.pain_response", mlflow.MlflowClient()
    client.create_registered_model(name)
    client.create_model_version(name, (tmp_path / "kept").as_uri(), tags={CONTENT: model.version})
    client.create_model_version(name, (tmp_path / "kept").as_uri(), tags={CONTENT: "another"})
    told = Validation(cohort="elsewhere", content="a", n=80, o_e=0.5, lower=0.4, upper=0.6, contradicts=True)
    registry = resolve_store(TrackingSettings(uri=uri))
    assert tag_versions(registry, model, told) == [f"models:/{name}/1"]
    assert tag_versions(registry, model, replace(told, o_e=0.55)) == [f"models:/{name}/1"]
    assert load_model(f"models:/{name}/1").validations == (replace(told, o_e=0.55),)
    assert "validations" not in client.get_model_version(name, "2").tags
    assert tag_versions(registry, replace(model, outcome="satisfaction"), told) == []
    client.create_registered_model("facet")
    client.create_model_version("facet", (tmp_path / "kept").as_uri())
    assert load_model("models:/facet/1").validations == (replace(told, o_e=0.55),), "by its content"
