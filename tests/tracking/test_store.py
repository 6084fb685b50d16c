from __future__ import annotations

import re
import socket
import sqlite3

import pytest
from mlflow import MlflowClient

from paincast.errors import OutputError, SettingsError
from paincast.settings import TrackingSettings
from paincast.tracking import Store, prepare_store, resolve_store
from paincast.tracking.store import VIEW_TAG, describe_view


def test_default_is_absolute_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = resolve_store(TrackingSettings())
    assert store == Store(f"sqlite:///{tmp_path}/mlflow.db", f"{tmp_path}/mlartifacts", "paincast")
    assert store.database == tmp_path / "mlflow.db"
    assert not list(tmp_path.iterdir())


def test_environment_names_the_store_and_settings_win(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///from_env.db")
    assert resolve_store(TrackingSettings(), tmp_path).uri == f"sqlite:///{tmp_path}/from_env.db"
    assert resolve_store(TrackingSettings(uri="sqlite:///set.db"), tmp_path).uri == f"sqlite:///{tmp_path}/set.db"


@pytest.mark.parametrize(
    ("uri", "artifacts", "expected"),
    [
        ("sqlite:////data/runs.db?timeout=9", None, "sqlite:////data/runs.db?timeout=9"),
        ("http://mlflow.hospital:5000", None, "http://mlflow.hospital:5000"),
        ("databricks", None, "databricks"),
        ("postgresql+psycopg2://host/db", "share", "postgresql+psycopg2://host/db"),
    ],
)
def test_other_addresses_stay(tmp_path, uri, artifacts, expected):
    assert resolve_store(TrackingSettings(uri=uri, artifacts=artifacts), tmp_path).uri == expected


def test_artifacts_are_absolute_or_left_to_the_server(tmp_path):
    assert resolve_store(TrackingSettings(artifacts="share"), tmp_path).artifacts == f"{tmp_path}/share"
    assert resolve_store(TrackingSettings(artifacts="s3://bucket/x"), tmp_path).artifacts == "s3://bucket/x"
    assert resolve_store(TrackingSettings(uri="http://host"), tmp_path).artifacts is None


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "file:///data/mlruns", "ftp://host/x"])
def test_file_stores_are_refused(tmp_path, uri):
    with pytest.raises(SettingsError, match=rf"tracking.uri .*{re.escape(uri)}.* allowed: sqlite:///mlflow.db"):
        resolve_store(TrackingSettings(uri=uri), tmp_path)


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:"])
def test_memory_is_no_store(tmp_path, uri):
    with pytest.raises(SettingsError, match="in memory is lost with the process"):
        resolve_store(TrackingSettings(uri=uri), tmp_path)


def test_messages_hide_passwords():
    assert Store("postgresql://user:secret@host:5432/runs", "/share", "x").address == "postgresql://host:5432/runs"


def test_two_processes_prepare_one_store_at_once(recorded):
    first, second = recorded.prepared_by
    assert first.strip() == second.strip() == "1"


def test_an_experiment_of_before_gets_the_view_and_keeps_one_that_was_changed(recorded):
    client = MlflowClient(tracking_uri=recorded.store.uri)

    def prepare_again() -> str:
        return client.get_experiment(prepare_store(recorded.store)).tags[VIEW_TAG]

    client.set_experiment_tag("1", VIEW_TAG, "mine")
    assert prepare_again() == "mine"
    client.delete_experiment_tag("1", VIEW_TAG)
    assert prepare_again() == describe_view()


def test_deleted_experiment_is_said_in_words(recorded):
    from mlflow import MlflowClient

    gone = Store(recorded.store.uri, recorded.store.artifacts, "gone")
    MlflowClient(tracking_uri=gone.uri).delete_experiment(prepare_store(gone))
    try:
        with pytest.raises(SettingsError, match=r"tracking\.experiment: 'gone' was deleted"):
            prepare_store(gone)
    finally:
        with sqlite3.connect(gone.database) as connection:
            connection.execute("DELETE FROM experiments WHERE name = 'gone'")
        connection.close()


def test_a_file_that_is_no_database_is_said_in_words(tmp_path):
    (tmp_path / "mlflow.db").write_text("no database " * 100)
    with pytest.raises(OutputError, match=r"cannot be used \(.*check the address"):
        prepare_store(resolve_store(TrackingSettings(), tmp_path))


def test_a_place_that_cannot_be_written_is_said_in_words(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        prepare_store(resolve_store(TrackingSettings(uri="sqlite:///file/mlflow.db"), tmp_path))


def test_a_server_that_is_gone_is_said_within_seconds():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(OutputError, match=rf"the MLflow server http://127.0.0.1:{port} does not answer"):
        prepare_store(Store(f"http://127.0.0.1:{port}", None, "paincast"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
def test_a_database_whose_tables_were_half_made_is_not_left_behind(tmp_path, monkeypatch):
    """Stopped between two migrations of a first run, it would refuse every run to come."""
    import mlflow.store.db.utils

    store, upgrade = resolve_store(TrackingSettings(), tmp_path), mlflow.store.db.utils._upgrade_db

    def stop(engine):
        upgrade(engine)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(mlflow.store.db.utils, "_upgrade_db", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare_store(store)
    assert [path.name for path in tmp_path.iterdir()] == [".mlflow.db.lock"]
    assert prepare_store(store)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mlflow.db.lock", "mlflow.db"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
def test_an_empty_file_becomes_a_database(tmp_path):
    (tmp_path / "mlflow.db").touch()
    assert prepare_store(resolve_store(TrackingSettings(), tmp_path))
