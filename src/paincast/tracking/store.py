"""Resolve and prepare the MLflow store: one absolute address, created once even if several processes start together."""

from __future__ import annotations

import getpass
import hashlib
import json
import logging
import os
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from paincast.environment import hide_logins
from paincast.errors import OutputError, SettingsError
from paincast.files import atomic_file
from paincast.settings import TrackingSettings

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SERVERS = ("http", "https", "databricks")
POSTGRESQL = ("postgresql://", "postgresql+")
LOCK_SECONDS = 120.0
PREPARING = 0x7061696E
CROWNING = PREPARING + 1
"""Numbers of the PostgreSQL locks that let one process at a time prepare the store or change its champions."""
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": "Response models of image-guided pain procedures, one run per technique and outcome. "
    "A prediction is a prognosis given the technique, not the effect of the technique. "
    "Research software: not medical advice.",
}
"""With this kind MLflow's page shows models and runs rather than traces of language models."""

VIEW = "paincast"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
"""Tag in which MLflow stores a saved view of the list of runs; its last part is the key in an address."""

VIEW_COLUMNS = {"technique": 120, "basis": 80, "verdict": 80, "n_real": 70, "use": 130, "gate": 80, "outcome": 120}
"""Columns of the view with widths in pixels; the first three fit a small screen."""
SERVER_SECONDS = 10.0
STORE_LOGGER = "mlflow.store.db.utils"
"""Logger that prints a traceback of every database error, although the error is raised too."""
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}


@dataclass(frozen=True)
class Store:
    """An MLflow store.

    Parameters
    ----------
    uri : str
        Absolute tracking address.
    artifacts : str or None
        Absolute folder or address of the artifacts of a new experiment; None leaves it to the tracking server.
    experiment : str
        Name of the experiment.
    """

    uri: str
    artifacts: str | None
    experiment: str

    @property
    def database(self) -> Path | None:
        """Return the file of a SQLite store; None for any other."""
        scheme, _, rest = self.uri.partition(":///")
        return Path(rest.partition("?")[0]) if scheme.startswith("sqlite") else None

    @property
    def address(self) -> str:
        """Return the address without user name and password, for messages."""
        return hide_logins(self.uri)


def resolve_store(settings: TrackingSettings, folder: Path | None = None) -> Store:
    """Find the absolute address of the store that all processes of a training share.

    Parameters
    ----------
    settings : TrackingSettings
        An empty ``uri`` means the environment variable ``MLFLOW_TRACKING_URI``, or else ``mlflow.db`` in ``folder``;
        empty ``artifacts`` means ``mlartifacts`` in ``folder``, or the server's choice behind a tracking server.
    folder : Path, optional
        Folder that relative addresses refer to; by default the working folder.

    Returns
    -------
    Store
        Nothing is created yet, see :func:`prepare_store`.

    Raises
    ------
    SettingsError
        If MLflow does not support a model registry at this kind of address, or ``uri`` holds a password.
    """
    _refuse_password(settings.uri)
    home = (folder or Path.cwd()).resolve()
    uri = settings.uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    scheme = uri.partition(":")[0] if "://" in uri or uri == "databricks" else ""
    kind = scheme.partition("+")[0]
    if kind in SERVERS:
        return Store(uri, settings.artifacts, settings.experiment)
    if kind not in DATABASES:
        raise SettingsError(
            f"tracking.uri (or MLFLOW_TRACKING_URI): '{hide_logins(uri)}' is a folder or an unknown kind of address, "
            "which MLflow no longer serves; allowed: "
            "sqlite:///mlflow.db, postgresql://, mysql://, mssql://, http(s)://, databricks",
            code="PC-TRACKING-14",
        )
    if kind == "sqlite":
        uri = _absolute_sqlite(uri, home)
    return Store(uri, _absolute_artifacts(settings.artifacts or "mlartifacts", home), settings.experiment)


def _refuse_password(uri: str | None) -> None:
    """Refuse a password in a setting: settings are logged with the run and show in the list of processes."""
    login, mark, _ = (uri or "").partition("://")[2].partition("/")[0].rpartition("@")
    if mark and ":" in login:
        raise SettingsError(
            "tracking.uri (or --tracking-uri) holds a password, and settings are recorded with every run; leave it out "
            "and put it into ~/.pgpass or PGPASSWORD, or give the whole address as MLFLOW_TRACKING_URI",
            code="PC-TRACKING-15",
        )


def _absolute_sqlite(uri: str, home: Path) -> str:
    scheme, _, rest = uri.partition(":///")
    path, mark, query = rest.partition("?")
    if not path or ":memory:" in path:
        raise SettingsError(
            "tracking.uri: a SQLite store in memory is lost with the process; give sqlite:///mlflow.db",
            code="PC-TRACKING-16",
        )
    return f"{scheme}:///{home / Path(path).expanduser()}{mark}{query}"


def _absolute_artifacts(artifacts: str, home: Path) -> str:
    return artifacts if "://" in artifacts else str(home / Path(artifacts).expanduser())


def prepare_store(store: Store) -> str:
    """Create the database and the experiment if they are missing; safe when several processes do so at once.

    Parameters
    ----------
    store : Store
        From :func:`resolve_store`.

    Returns
    -------
    str
        The id of the experiment.

    Raises
    ------
    OutputError
        If the store cannot be reached or written, or its database has the schema of another MLflow version.
    SettingsError
        If the experiment was deleted.
    """
    _check_reachable(store)
    with quiet_mlflow(), hold_lock(store, PREPARING):
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            _create_database(store)
            return _find_experiment(store)
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise OutputError(
                f"the MLflow store {store.address} cannot be used ({type(error).__name__}: {_first_line(error)}); "
                "check the address, that it can be written, and run 'mlflow db upgrade' if it is of an older MLflow",
                code="PC-TRACKING-17",
            ) from error


def _create_database(store: Store) -> None:
    """Create a SQLite database atomically: a database with half its tables refuses all later runs."""
    if store.database is None or (store.database.is_file() and store.database.stat().st_size):
        return
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with atomic_file(store.database) as draft:
        made = SqlAlchemyStore(f"sqlite:///{draft}", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)  # type: ignore[no-untyped-call]
        made.engine.dispose()


def _find_experiment(store: Store) -> str:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=store.uri)
    experiment = client.get_experiment_by_name(store.experiment)
    if experiment is None:
        try:
            tags = EXPERIMENT_TAGS | {VIEW_TAG: describe_view()}
            return client.create_experiment(store.experiment, artifact_location=_artifact_location(store), tags=tags)
        except MlflowException as error:
            experiment = client.get_experiment_by_name(store.experiment)
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        raise SettingsError(
            f"tracking.experiment: '{store.experiment}' was deleted in {store.address}; give another name, "
            "or bring it back with 'mlflow experiments restore'",
            code="PC-TRACKING-18",
        )
    if VIEW_TAG not in experiment.tags:
        client.set_experiment_tag(experiment.experiment_id, VIEW_TAG, describe_view())
    return str(experiment.experiment_id)


def describe_view() -> str:
    """Write the saved view that lists models by technique with basis and verdict, in MLflow's format.

    With any order except the default, the runs are listed without expanding their parents.
    """
    columns = {f"tags.`{name}`": width for name, width in VIEW_COLUMNS.items()}
    state = {
        "searchFilter": 'tags.kind = "model"',
        "orderByKey": "tags.`technique`",
        "orderByAsc": True,
        "selectedColumns": list(columns),
        "columnOrder": list(columns),
        "columnWidths": columns,
    }
    return json.dumps({"name": "Models with their verdicts", "createdAt": 0, "state": json.dumps(state)})


def _artifact_location(store: Store) -> str | None:
    if store.artifacts is None or "://" in store.artifacts:
        return store.artifacts
    return Path(store.artifacts).as_uri()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]


def _check_reachable(store: Store) -> None:
    """Check once whether a tracking server answers: otherwise MLflow retries for minutes."""
    if not store.uri.startswith("http"):
        return
    import requests

    try:
        requests.get(f"{store.uri.rstrip('/')}/health", timeout=SERVER_SECONDS)
    except requests.RequestException as error:
        raise OutputError(
            f"the MLflow server {store.address} does not answer ({type(error).__name__}); "
            "check tracking.uri or MLFLOW_TRACKING_URI, and that the server runs",
            code="PC-TRACKING-19",
        ) from None


def hold_lock(store: Store, number: int) -> AbstractContextManager[object]:
    """Let one process at a time prepare or change a store: MLflow's migrations fail when two run at once.

    For SQLite, the lock is an exclusive transaction on an empty database beside it. For PostgreSQL, it is an advisory
    lock, which works across machines too. Both are released if the process dies. For a tracking server, it covers the
    processes of the same user on this machine.
    """
    if store.uri.startswith(POSTGRESQL):
        return _lock_server(store, number)
    if store.database is not None:
        ending = "lock" if number == PREPARING else f"{number:x}.lock"
        return closing(_lock_file(store, store.database.with_name(f".{store.database.name}.{ending}")))
    if number == PREPARING:
        return nullcontext()
    digest = hashlib.sha256(store.uri.encode()).hexdigest()[:16]
    return closing(_lock_file(store, Path(tempfile.gettempdir(), f"paincast-{getpass.getuser()}-{digest}.lock")))


def _lock_file(store: Store, lock: Path) -> sqlite3.Connection:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(lock, timeout=LOCK_SECONDS, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
    except (OSError, sqlite3.Error) as error:
        raise OutputError(
            f"the MLflow store {store.address} cannot be written ({_first_line(error)})", code="PC-TRACKING-20"
        ) from error
    return connection


@contextmanager
def _lock_server(store: Store, number: int) -> Iterator[None]:
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        connection = create_engine(store.uri, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect()
    except (SQLAlchemyError, ImportError) as error:
        raise OutputError(_describe_missing_database(store, error), code="PC-TRACKING-21") from None
    with connection:
        try:
            connection.execute(text(f"SET lock_timeout = {int(LOCK_SECONDS * 1000)}"))
            connection.execute(text(f"SELECT pg_advisory_lock({number})"))
        except SQLAlchemyError as error:
            raise OutputError(_describe_missing_database(store, error), code="PC-TRACKING-22") from None
        yield


def _describe_missing_database(store: Store, error: Exception) -> str:
    if isinstance(error, ImportError):
        return (
            f"the MLflow store {store.address} needs a driver ({error}); install it with: pip install 'paincast[team]'"
        )
    return (
        f"the MLflow store {store.address} does not answer ({type(error).__name__}: {_first_line(error)}); check the "
        "address, that the server runs, and that you may create tables in that database"
    )


@contextmanager
def quiet_mlflow() -> Iterator[None]:
    """Hide MLflow's progress bars and notices; errors are still shown.

    MLflow's usage telemetry is switched off too, unless the user has set it.
    """
    for name, setting in QUIET.items():
        os.environ.setdefault(name, setting)
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic", "psycopg", STORE_LOGGER)]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(mlflow|alembic|sqlalchemy|pydantic)(\.|$)")
        try:
            import mlflow  # noqa: F401  (importing it resets the level of its logger)

            for logger in loggers:
                logger.setLevel(logging.CRITICAL if logger.name == STORE_LOGGER else logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def use_store(store: Store) -> Iterator[str]:
    """Make MLflow use a store; restore the previous setting afterwards.

    Yields
    ------
    str
        The id of the experiment.
    """
    experiment_id = prepare_store(store)
    before = os.environ.get("MLFLOW_TRACKING_URI")
    with quiet_mlflow():
        import mlflow

        mlflow.set_tracking_uri(store.uri)
        try:
            yield experiment_id
        finally:
            mlflow.set_tracking_uri(before)  # type: ignore[arg-type]
