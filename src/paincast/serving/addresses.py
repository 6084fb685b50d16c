"""Bundles behind an MLflow address."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from paincast.errors import DataError
from paincast.predictor import MANIFEST

if TYPE_CHECKING:
    from mlflow import MlflowClient

SCHEMES = ("models:/", "runs:/", "mlflow-artifacts:/")

_CALM = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""Calls nobody, draws nothing, and gives a server up after seconds, not minutes, unless the user has decided."""


def is_address(source: str | Path) -> bool:
    """Tell an MLflow address from a folder."""
    return str(source).startswith(SCHEMES)


VERSION = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))")
RUN = re.compile(r"runs:/(?P<run>[0-9a-f]{32})/.*")
LOGGED = re.compile(r"models:/(?P<model>m-[0-9a-f]{32})")


def fetch_bundle(address: str, scratch: Path) -> tuple[Path, str]:
    """Bring a bundle, and the mark it was registered with, from the store of ``MLFLOW_TRACKING_URI``.

    Without the variable it is ``mlflow.db`` of the working folder.

    Parameters
    ----------
    address : str
        ``models:/name@alias``, ``models:/name/version`` or ``runs:/…``.
    scratch : Path
        An empty folder to download into.

    Returns
    -------
    folder : Path
        The folder of the bundle.
    use : str
        Tag ``use`` of the version or run: what the model may be used for. Empty for no mark.

    Raises
    ------
    DataError
        If there is no such store, it does not answer, or the address holds no bundle.
    """
    with _calm_environment():
        downloaded, use = _download(address, scratch)
    found = sorted(downloaded.rglob(MANIFEST))
    if len(found) != 1:
        raise DataError(f"{address} holds {len(found)} paincast bundles; one is needed")
    return found[0].parent, use


def _download(address: str, scratch: Path) -> tuple[Path, str]:
    import mlflow
    from mlflow.exceptions import MlflowException

    store = _hide_password(mlflow.get_tracking_uri())
    if store.startswith("sqlite:///") and not Path(store.removeprefix("sqlite:///")).is_file():
        raise DataError(
            f"cannot load {address}: there is no MLflow store at {store}; set MLFLOW_TRACKING_URI or train first"
        )
    try:
        pinned, use = _look_up(mlflow.MlflowClient(), address)
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=pinned, dst_path=str(scratch))), use
    except (MlflowException, OSError) as error:
        reason = _hide_password((str(error).splitlines() or [""])[0])
        raise DataError(f"cannot load {address} from the MLflow store {store}: {reason[:200]}") from error


def _look_up(client: MlflowClient, address: str) -> tuple[str, str]:
    """Give the address with its alias resolved, so that bundle and mark are of one version, and the mark."""
    if found := VERSION.fullmatch(address):
        name, number, alias = found["name"], found["version"], found["alias"]
        version = client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
        return f"models:/{name}/{version.version}", version.tags.get("use", "")
    run_id = found["run"] if (found := RUN.fullmatch(address)) else None
    if found := LOGGED.fullmatch(address):
        run_id = client.get_logged_model(found["model"]).source_run_id
    return address, client.get_run(run_id).data.tags.get("use", "") if run_id else ""


def _hide_password(text: str) -> str:
    return re.sub(r"//[^@/\s]*@", "//", text)


@contextmanager
def _calm_environment() -> Iterator[None]:
    added = [name for name in _CALM if name not in os.environ]
    os.environ.update({name: _CALM[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
