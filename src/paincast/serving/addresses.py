"""Load bundles from an MLflow address."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from paincast.environment import hide_logins
from paincast.errors import DataError
from paincast.predictor import MANIFEST, Predictor, load_predictor
from paincast.predictor.bundle import SIGNATURE, SIGNATURE_TAG, TrustedKeys
from paincast.predictor.validation import Validation, merge_validation_tags
from paincast.schema import RESEARCH_MARK

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

SCHEMES = ("models:/", "runs:/", "mlflow-artifacts:/")

_CALM = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""No telemetry, no progress bar, and a timeout of seconds rather than minutes, unless the user has set otherwise."""


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What MLflow records about a bundle.

    Parameters
    ----------
    address : str
        Its address with the alias resolved, so that bundle and tags are of the same version.
    tags : tuple of mapping of str to str
        Tags of the registered version and of its run.
    use : str
        Its use mark: empty only for a champion whose gate allows use in care.
    """

    address: str
    tags: tuple[Mapping[str, str], ...] = ()
    use: str = RESEARCH_MARK


def is_address(source: str | Path) -> bool:
    """Check whether a source is an MLflow address rather than a folder."""
    return str(source).startswith(SCHEMES)


VERSION = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))")
RUN = re.compile(r"runs:/(?P<run>[0-9a-f]{32})/.*")
LOGGED = re.compile(r"models:/(?P<model>m-[0-9a-f]{32})")


def fetch_predictor(address: str, scratch: Path, trusted_keys: TrustedKeys | None = None) -> Predictor:
    """Load a model, with its use mark from the registry, from the store of ``MLFLOW_TRACKING_URI``.

    If the variable is not set, the store is ``mlflow.db`` in the working folder.

    Parameters
    ----------
    address : str
        ``models:/name@alias``, ``models:/name/version`` or ``runs:/…``.
    scratch : Path
        An empty folder to download into.
    trusted_keys : TrustedKeys, optional
        Keys, one of which must have signed the model.

    Returns
    -------
    Predictor
        Its ``use`` is empty only for a champion whose gate allows use in care.

    Raises
    ------
    DataError
        If there is no such store, it does not answer, the address has no bundle, or its bundle is not the one that was
        logged, or no trusted key signed it.
    """
    from paincast.gates.use import verify_contents

    with _calm_environment():
        downloaded, registered = _download(address, scratch)
    manifests = sorted(downloaded.rglob(MANIFEST))
    if len(manifests) != 1:
        raise DataError(f"{address} holds {len(manifests)} paincast bundles; one is needed", code="PC-SERVING-01")
    bundle = manifests[0].parent
    signatures = [tags[SIGNATURE_TAG] for tags in registered.tags if SIGNATURE_TAG in tags]
    if signatures and trusted_keys is not None:
        (bundle / SIGNATURE).write_text(signatures[0], encoding="utf-8")
    predictor = load_predictor(bundle, trusted_keys=trusted_keys)
    is_recorded = verify_contents(address, predictor.version, *registered.tags)
    with _calm_environment():
        validations = _find_validations(predictor)
    return replace(predictor, use=registered.use if is_recorded else RESEARCH_MARK, validations=validations)


def list_addresses(address: str) -> list[str]:
    """List the addresses that an address stands for.

    Parameters
    ----------
    address : str
        Of ``models:/name@alias``, the name may have ``*``, which stands for any characters.

    Returns
    -------
    list of str
        An alias that a registered model does not have stands for nothing; any other address for itself.

    Raises
    ------
    DataError
        If there is no such store, or it does not answer.
    """
    match = VERSION.fullmatch(address)
    if match is None or not match["alias"]:
        return [address]
    name, alias = match["name"], match["alias"]
    with _calm_environment(), _told_of_failure(address):
        client = _open_registry(address)
        models = _search_models(client) if "*" in name else [client.get_registered_model(name)]
        return [
            f"models:/{model.name}@{alias}"
            for model in models
            if fnmatchcase(model.name, name) and alias in model.aliases
        ]


def mark_address(address: str) -> Hashable:
    """Make a mark of what a store records about an address, which changes when another bundle or use stands there.

    Raises
    ------
    DataError
        If there is no such store, or it does not answer.
    """
    with _calm_environment(), _told_of_failure(address):
        client = _open_registry(address)
        registered = _look_up(client, address)
        match = VERSION.fullmatch(address)
        versions = client.search_model_versions(f"name='{match['name']}'") if match else []
    # An external validation is a tag of any version that holds the bundle.
    tags = [*registered.tags, *(version.tags for version in versions)]
    return registered.address, registered.use, tuple(tuple(sorted(one.items())) for one in tags)


def _search_models(client: MlflowClient) -> Iterator[RegisteredModel]:
    page = client.search_registered_models()
    yield from page
    while page.token:
        page = client.search_registered_models(page_token=page.token)
        yield from page


def _find_validations(predictor: Predictor) -> tuple[Validation, ...]:
    """Find what registered versions of the same content carry, by whatever address the bundle was loaded."""
    import mlflow
    from mlflow.exceptions import MlflowException

    from paincast.gates.use import find_versions_of_content, name_registered

    name = name_registered(predictor.technique, predictor.outcome, predictor.further_month)
    try:
        versions = find_versions_of_content(mlflow.MlflowClient(), name, predictor.version)
    except (MlflowException, OSError) as error:
        raise DataError(
            f"the registry cannot be asked for validations of {name} ({type(error).__name__})", code="PC-SERVING-22"
        ) from error
    return merge_validation_tags([version.tags for version in versions], predictor.version)


def _download(address: str, scratch: Path) -> tuple[Path, Registered]:
    import mlflow

    with _told_of_failure(address):
        registered = _look_up(_open_registry(address), address)
        folder = mlflow.artifacts.download_artifacts(artifact_uri=registered.address, dst_path=str(scratch))
        return Path(folder), registered


def _open_registry(address: str) -> MlflowClient:
    """Open the store of ``MLFLOW_TRACKING_URI``, which must exist: MLflow would make one."""
    import mlflow

    store = hide_logins(mlflow.get_tracking_uri())
    if store.startswith("sqlite:///") and not Path(store.removeprefix("sqlite:///")).is_file():
        raise DataError(
            f"cannot load {address}: there is no MLflow store at {store}; set MLFLOW_TRACKING_URI or train first",
            code="PC-SERVING-02",
        )
    return mlflow.MlflowClient()


@contextmanager
def _told_of_failure(address: str) -> Iterator[None]:
    """Turn failures of MLflow and its store into an error in one line."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        store = hide_logins(mlflow.get_tracking_uri())
        reason = hide_logins((str(error).splitlines() or [""])[0])
        raise DataError(
            f"cannot load {address} from the MLflow store {store}: {reason[:200]}", code="PC-SERVING-03"
        ) from error


def _look_up(client: MlflowClient, address: str) -> Registered:
    from paincast.gates.use import CHAMPION, read_use

    if match := VERSION.fullmatch(address):
        name, number, alias = match["name"], match["version"], match["alias"]
        version = client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
        champion = client.get_registered_model(name).aliases.get(CHAMPION)
        return Registered(
            address=f"models:/{name}/{version.version}",
            tags=(version.tags, _read_run_tags(client, version.run_id)),
            use=read_use(version.tags, is_champion=str(champion) == str(version.version)),
        )
    run_id = match["run"] if (match := RUN.fullmatch(address)) else None
    if match := LOGGED.fullmatch(address):
        run_id = client.get_logged_model(match["model"]).source_run_id
    return Registered(address=address, tags=(_read_run_tags(client, run_id),))


def _read_run_tags(client: MlflowClient, run_id: str | None) -> Mapping[str, str]:
    tags: Mapping[str, str] = client.get_run(run_id).data.tags if run_id else {}
    return tags


@contextmanager
def _calm_environment() -> Iterator[None]:
    added = [name for name in _CALM if name not in os.environ]
    os.environ.update({name: _CALM[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
