"""Models that change while they are served."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import mlflow
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from paincast.errors import DataError
from paincast.gates.use import CONTENT, name_registered
from paincast.predictor import Predictor, save_predictor
from paincast.predictor.bundle import read_signing_key, read_trusted_keys, sign_bundle
from paincast.predictor.validation import Validation, format_tag, record_validation
from paincast.serving.rest.sources import ModelSources

FACET, EPIDURAL = "facet_rfa/pain_response", "epidural_steroid_injection/pain_response"


@pytest.fixture
def folder(models_folder, tmp_path) -> Path:
    return Path(shutil.copytree(models_folder, tmp_path / "models"))


@pytest.fixture(scope="module")
def others(make_model):
    """Two further models of facet ablation."""
    return [make_model("facet_rfa", seed) for seed in (1, 2)]


def test_a_new_bundle_is_served(folder, others):
    sources = ModelSources([str(folder)])
    before = sources.served
    sources.refresh()
    assert sources.served is before
    save_predictor(others[0], folder / FACET)
    sources.refresh()
    assert sources.served.versions == {EPIDURAL: before.versions[EPIDURAL], FACET: others[0].version}
    assert sources.served.models[EPIDURAL] is before.models[EPIDURAL]
    assert before.versions[FACET] != others[0].version


def test_a_damaged_bundle_leaves_the_old_one_in_service(folder, caplog):
    sources = ModelSources([str(folder)])
    before = sources.served
    manifest = folder / FACET / "bundle.json"
    kept = manifest.read_text()
    manifest.write_text(kept[:-20])
    for _ in range(2):
        sources.refresh()
        assert sources.served is before
        assert len(sources.problems) == 1
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
    manifest.write_text(kept)
    sources.refresh()
    assert sources.problems == ()
    assert sources.served.versions == before.versions


def test_a_model_that_is_gone_is_served_no_more_unless_all_are(folder):
    sources = ModelSources([str(folder)])
    shutil.rmtree(folder / FACET)
    sources.refresh()
    assert list(sources.served.models) == [EPIDURAL]
    shutil.rmtree(folder)
    sources.refresh()
    assert list(sources.served.models) == [EPIDURAL]
    assert [problem.code for problem in sources.problems] == ["PC-REST-41"]


def test_two_models_that_answer_the_same_change_nothing(folder, others):
    sources = ModelSources([str(folder)])
    before = sources.served
    save_predictor(others[0], folder / "another")
    sources.refresh()
    assert sources.served is before
    assert [problem.code for problem in sources.problems] == ["PC-SERVING-18"]


def test_at_the_start_every_model_has_to_be_sound(folder, tmp_path):
    with pytest.raises(DataError) as caught:
        ModelSources([str(tmp_path / "nowhere")])
    assert caught.value.code == "PC-REST-41"
    (folder / FACET / "bundle.json").write_text("{}")
    with pytest.raises(DataError):
        ModelSources([str(folder)])


def test_a_model_that_cannot_answer_leaves_the_old_one_in_service(folder, others, monkeypatch):
    sources = ModelSources([str(folder)])
    before = sources.served

    def fail(*_: object) -> None:
        raise IndexError

    monkeypatch.setattr(Predictor, "answer_each", fail)
    save_predictor(others[0], folder / FACET)
    sources.refresh()
    assert sources.served is before
    assert [problem.code for problem in sources.problems] == ["PC-REST-42"]


def test_a_validation_beside_a_bundle_is_seen(folder):
    sources = ModelSources([str(folder)])
    found = Validation(cohort="ours", content="0" * 16, n=100, o_e=0.5, lower=0.4, upper=0.6, contradicts=True)
    record_validation(folder / FACET, sources.served.versions[FACET], found)
    sources.refresh()
    assert sources.problems == ()
    assert [one.cohort for one in sources.served.models[FACET].validations] == ["ours"]


def test_the_server_tells_what_it_serves_and_what_it_cannot(start, folder, others):
    client = start(models=(str(folder),), refresh_seconds=0.1)
    assert client.post().json()["models"][FACET] == client.sources.served.versions[FACET]
    old = client.sources.served
    (folder / FACET / "bundle.json").write_text("{}")
    while not client.sources.problems:
        time.sleep(0.01)
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()["models"], len(ready.json()["problems"])) == (200, 2, 1)
    assert client.get("/models").json()["problems"][0]["code"] == ready.json()["problems"][0]
    assert client.post().json()["models"][FACET] == old.versions[FACET]
    save_predictor(others[1], folder / FACET)
    while client.sources.served is old:
        time.sleep(0.01)
    assert client.post().json()["models"][FACET] == others[1].version


def test_with_trusted_keys_an_unsigned_bundle_leaves_the_signed_one_in_service(folder, others, tmp_path):
    key = Ed25519PrivateKey.generate()
    (tmp_path / "private.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "private.pem").chmod(0o600)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    trusted, signing = read_trusted_keys(tmp_path / "public.pem"), read_signing_key(tmp_path / "private.pem")
    with pytest.raises(DataError):
        ModelSources([str(folder)], trusted)
    for name in (FACET, EPIDURAL):
        sign_bundle(folder / name, signing)
    sources = ModelSources([str(folder)], trusted)
    before = sources.served
    save_predictor(others[0], folder / FACET)
    sources.refresh()
    assert (sources.served, len(sources.problems)) == (before, 1)
    sign_bundle(folder / FACET, signing)
    sources.refresh()
    assert sources.served.versions[FACET] == others[0].version


@pytest.fixture
def register(empty_database, tmp_path, monkeypatch):
    """Register models in a store of one test: ``register(model)`` returns the version."""
    shutil.copy(empty_database, tmp_path)
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    client = mlflow.MlflowClient()
    client.create_experiment("made", artifact_location=str(tmp_path / "artifacts"))

    def add(model) -> str:
        name = name_registered(model.technique, model.outcome)
        run = client.create_run(client.get_experiment_by_name("made").experiment_id)
        save_predictor(model, tmp_path / "saved" / run.info.run_id)
        client.log_artifacts(run.info.run_id, str(tmp_path / "saved" / run.info.run_id), "bundle")
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        source = f"{run.info.artifact_uri}/bundle"
        version = client.create_model_version(name, source, run.info.run_id, tags={CONTENT: model.version}).version
        client.set_registered_model_alias(name, "champion", version)
        return version

    yield add
    mlflow.set_tracking_uri(None)


CHAMPIONS = "models:/paincast.*@champion"
MLFLOW_WARNS = pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")


@pytest.mark.slow
@MLFLOW_WARNS
def test_every_champion_of_a_registry_is_served(register, make_model, others):
    client = mlflow.MlflowClient()
    facet, epidural = make_model("facet_rfa"), make_model("epidural_steroid_injection")
    register(facet)
    sources = ModelSources([CHAMPIONS])
    assert sources.served.versions == {FACET: facet.version}
    assert sources.served.sources == {FACET: "models:/paincast.facet_rfa.pain_response@champion"}
    register(epidural)
    register(others[0])
    sources.refresh()
    assert sources.served.versions == {EPIDURAL: epidural.version, FACET: others[0].version}
    before = sources.served
    sources.refresh()
    assert sources.served is before
    found = Validation(cohort="ours", content="0" * 16, n=100, o_e=0.5, lower=0.4, upper=0.6, contradicts=True)
    tag = format_tag([found], others[0].version)
    client.set_model_version_tag("paincast.facet_rfa.pain_response", "2", "validations", tag)
    sources.refresh()
    assert [one.cohort for one in sources.served.models[FACET].validations] == ["ours"]
    client.delete_registered_model_alias("paincast.facet_rfa.pain_response", "champion")
    sources.refresh()
    assert list(sources.served.models) == [EPIDURAL]


@pytest.mark.slow
@MLFLOW_WARNS
def test_a_registry_that_is_gone_leaves_its_models_in_service(register, make_model, tmp_path):
    register(make_model("facet_rfa"))
    sources = ModelSources(["models:/paincast.facet_rfa.pain_response@champion"])
    (tmp_path / "mlflow.db").rename(tmp_path / "away.db")
    sources.refresh()
    assert list(sources.served.models) == [FACET]
    assert [problem.code for problem in sources.problems] == ["PC-SERVING-02"]
    (tmp_path / "away.db").rename(tmp_path / "mlflow.db")
    sources.refresh()
    assert sources.problems == ()


@pytest.mark.slow
@MLFLOW_WARNS
def test_every_answer_is_of_one_version_while_the_champion_changes(register, others, start):
    versions = {register(model): model for model in others}
    patient = {"indication": "lumbar_facet", "pain_nrs": 7, "odi": 44, "age_years": 57, "depression": True}
    expected = {model.version: model.predict(patient)["probability"].iloc[0] for model in others}
    assert len(set(expected.values())) == 2
    client = start(models=(CHAMPIONS,), refresh_seconds=0.1)
    answers: list[dict] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            answers.append(client.post({"patients": [patient] * 3}).json())

    clients = [threading.Thread(target=ask) for _ in range(8)]
    for one in clients:
        one.start()
    registry = mlflow.MlflowClient()
    for swap in range(20):
        number, model = list(versions.items())[swap % 2]
        registry.set_registered_model_alias("paincast.facet_rfa.pain_response", "champion", number)
        while client.sources.served.versions[FACET] != model.version:
            assert client.sources.problems == ()
            time.sleep(0.01)
        time.sleep(0.1)
    is_over.set()
    for one in clients:
        one.join()
    seen = set()
    for answer in answers:
        version = answer["models"][FACET]
        seen.add(version)
        told = {(row["model_version"], row["probability"]) for row in answer["predictions"]}
        assert told == {(version, expected[version])}
    assert len(answers) > 100
    assert seen == set(expected)
