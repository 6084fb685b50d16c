"""Bundles behind an MLflow address."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paincast.errors import DataError
from paincast.predictor import MANIFEST

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


def download_bundle(address: str, scratch: Path) -> Path:
    """Bring a bundle from the store of ``MLFLOW_TRACKING_URI``, or ``mlflow.db`` of the working folder.

    Parameters
    ----------
    address : str
        ``models:/name@alias``, ``models:/name/version`` or ``runs:/…``.
    scratch : Path
        An empty folder to download into.

    Returns
    -------
    Path
        The folder of the bundle.

    Raises
    ------
    DataError
        If there is no such store, it does not answer, or the address holds no bundle.
    """
    with _calm_environment():
        downloaded = _download(address, scratch)
    found = sorted(downloaded.rglob(MANIFEST))
    if len(found) != 1:
        raise DataError(f"{address} holds {len(found)} paincast bundles; one is needed")
    return found[0].parent


def _download(address: str, scratch: Path) -> Path:
    import mlflow
    from mlflow.exceptions import MlflowException

    store = _hide_password(mlflow.get_tracking_uri())
    if store.startswith("sqlite:///") and not Path(store.removeprefix("sqlite:///")).is_file():
        raise DataError(
            f"cannot load {address}: there is no MLflow store at {store}; set MLFLOW_TRACKING_URI or train first"
        )
    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=str(scratch)))
    except (MlflowException, OSError) as error:
        reason = _hide_password((str(error).splitlines() or [""])[0])
        raise DataError(f"cannot load {address} from the MLflow store {store}: {reason[:200]}") from error


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
