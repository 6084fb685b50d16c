"""Find registered versions by run, number or alias, with a helpful error if there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paincast.errors import DataError, OutputError, suggest_name
from paincast.gates.use import find_versions_of_content, name_registered
from paincast.predictor import Predictor
from paincast.predictor.validation import (
    VALIDATIONS,
    Validation,
    add_validation,
    format_tag,
    read_validations_tag,
)
from paincast.tracking.store import Store, use_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

RUN_ID = re.compile(r"[0-9a-f]{32}")
VERSION = re.compile(r"(?:models:/)?(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))")


@dataclass(frozen=True, kw_only=True)
class TrackedModel:
    """A model in MLflow: its address, and digests of the cohorts it was trained on."""

    address: str
    digests: frozenset[str]


@contextmanager
def use_registry(store: Store) -> Iterator[MlflowClient]:
    """Open a store; turn MLflow's errors into an OutputError."""
    with use_store(store):
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield MlflowClient()
        except (MlflowException, SQLAlchemyError, OSError) as error:
            reason = (str(error).splitlines() or [""])[0][:200]
            raise OutputError(
                f"the registry in {store.address} cannot be used ({type(error).__name__}: {reason})",
                code="PC-TRACKING-23",
            ) from error


def find_version(client: MlflowClient, source: str) -> ModelVersion:
    """Find a registered version by the id of its run or by its address.

    Parameters
    ----------
    client : MlflowClient
        Client of the store.
    source : str
        As of :func:`paincast.tracking.registry.promote`.

    Returns
    -------
    ModelVersion

    Raises
    ------
    DataError
        If there is no such version, or the address is not valid.
    """
    run_id = _read_run_id(source)
    if run_id is not None:
        return _find_version_of_run(client, run_id)
    match = VERSION.fullmatch(source)
    if match is None:
        raise DataError(
            f"'{source}' does not name a model; allowed: the id of a run (32 hexadecimal digits), NAME/3, NAME@alias",
            code="PC-TRACKING-24",
        )
    name, number, alias = match["name"], match["version"], match["alias"]
    require_model(client, name)
    if number is None:
        aliases = client.get_registered_model(name).aliases
        if alias not in aliases:
            raise DataError(
                f"{name} has no alias '{alias}'; {suggest_name(alias, aliases) if aliases else 'it has none'}",
                code="PC-TRACKING-25",
            )
        number = aliases[alias]
    made = sorted(int(version.version) for version in client.search_model_versions(f"name='{name}'"))
    if int(number) not in made:
        raise DataError(
            f"{name} has no version {number}; it has {', '.join(map(str, made)) or 'none'}", code="PC-TRACKING-26"
        )
    return client.get_model_version(name, str(int(number)))


def tag_versions(store: Store, predictor: Predictor, validation: Validation) -> list[str]:
    """Record an external validation on the registered versions of a model, as their tag ``validations``.

    Parameters
    ----------
    store : Store
        From :func:`paincast.tracking.store.resolve_store`.
    predictor : Predictor
        The model; its versions are those that hold its bundle.
    validation : Validation
        The validation.

    Returns
    -------
    list of str
        Addresses of the versions; empty if the model is not registered in this store.

    Raises
    ------
    OutputError
        If the store cannot be used.
    """
    name = name_registered(predictor.technique, predictor.outcome, predictor.further_month)
    with use_registry(store) as client:
        held = find_versions_of_content(client, name, predictor.version)
        for version in held:
            kept = add_validation(read_validations_tag(version.tags, predictor.version), validation)
            client.set_model_version_tag(
                version.name, version.version, VALIDATIONS, format_tag(kept, predictor.version)
            )
    return [f"models:/{version.name}/{version.version}" for version in held]


def find_tracked_model(store: Store, source: str) -> TrackedModel:
    """Find the address of a model in MLflow, registered or not, and the digests of its training data.

    Parameters
    ----------
    store : Store
        From :func:`paincast.tracking.store.resolve_store`.
    source : str
        As of :func:`paincast.tracking.registry.promote`.

    Returns
    -------
    TrackedModel

    Raises
    ------
    DataError
        If there is no such run or version.
    OutputError
        If the store cannot be used.
    """
    with use_registry(store) as client:
        run_id = _read_run_id(source)
        if run_id is not None:
            return TrackedModel(address=f"runs:/{run_id}/model", digests=_read_digests(get_run(client, run_id)))
        version = find_version(client, source)
        digests = _read_digests(get_run(client, version.run_id)) if version.run_id else frozenset()
        return TrackedModel(address=f"models:/{version.name}/{version.version}", digests=digests)


def _read_digests(run: Run) -> frozenset[str]:
    return frozenset(entry.dataset.digest for entry in run.inputs.dataset_inputs) if run.inputs else frozenset()


def get_run(client: MlflowClient, run_id: str) -> Run:
    """Get a run; raise DataError if there is none with that id."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise DataError(
            f"there is no run {run_id}; its page in 'paincast review' shows the id", code="PC-TRACKING-27"
        ) from None


def _read_run_id(source: str) -> str | None:
    run_id = source.removeprefix("runs:/").partition("/")[0]
    return run_id if RUN_ID.fullmatch(run_id) else None


def _find_version_of_run(client: MlflowClient, run_id: str) -> ModelVersion:
    versions = client.search_model_versions(f"run_id='{run_id}'")
    if len(versions) != 1:
        count = f"{len(versions)} registered versions" if versions else "no registered version"
        raise DataError(
            f"run {run_id} has {count}; give the run of one model of a training with tracking.register=true, or "
            "NAME/VERSION",
            code="PC-TRACKING-28",
        )
    return versions[0]


def require_model(client: MlflowClient, name: str) -> None:
    """Raise DataError if there is no registered model of that name; suggest the most similar name."""
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = [model.name for model in client.search_registered_models(max_results=1000)]
        hint = suggest_name(name, known) if known else "none is registered; run 'paincast train' first"
        raise DataError(f"there is no registered model '{name}'; {hint}", code="PC-TRACKING-29") from None
