"""Read runs of models: tags, parameters, tables and figures, for a report outside MLflow and for the overview."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paincast.errors import DataError
from paincast.gates.use import CONTENT, find_versions_of_content, name_registered_by
from paincast.predictor.validation import VALIDATIONS, format_tag, merge_validation_tags
from paincast.tracking.model_run import TrainingRun
from paincast.tracking.store import Store
from paincast.tracking.versions import RUN_ID, find_version, get_run, use_registry

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MOST_MODELS = 1000
OVERVIEW = "report/overview.html"


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """The run of a model: its tags (with what other patients said of it), parameters, and a folder of its artefacts."""

    tags: Mapping[str, str]
    params: Mapping[str, str]
    folder: Path


def fetch_runs(store: Store, source: str, folder: Path) -> list[TrackedRun]:
    """Fetch the run of a model, or the runs of all models of a training.

    Parameters
    ----------
    store : Store
        From :func:`paincast.tracking.store.resolve_store`.
    source : str
        Id of a run of a model or of a training, ``NAME/VERSION`` or ``NAME@ALIAS``.
    folder : Path
        Target folder; tables and figures of each run go into a subfolder.

    Returns
    -------
    list of TrackedRun
        The run of the model, or those of all models of a training in the order of training.

    Raises
    ------
    DataError
        If there is no such run or version, or it has no model.
    OutputError
        If the store cannot be used.
    """
    with use_registry(store) as client:
        named = source.removeprefix("runs:/").partition("/")[0]
        run_id = named if RUN_ID.fullmatch(named) else find_version(client, source).run_id
        run = get_run(client, str(run_id))
        runs = [run] if run.data.tags.get("kind") == "model" else _list_models(client, run)
        if not runs:
            raise DataError(
                f"run {run.info.run_id} holds no model that was recorded; 'paincast review' shows which do",
                code="PC-TRACKING-02",
            )
        return [_fetch(client, model, folder / model.info.run_id, ("tables", "figures")) for model in runs]


def log_overview(training: TrainingRun, write: Callable[[Sequence[TrackedRun]], str]) -> None:
    """Write an overview of the models of a training and log it to the parent run; nothing if no model was logged.

    Parameters
    ----------
    training : TrainingRun
        The parent, whose block must still be open.
    write : callable
        Makes HTML from the logged models; their folders have tables only.
    """
    with use_registry(training.store) as client, tempfile.TemporaryDirectory() as scratch:
        runs = _list_models(client, get_run(client, training.run_id))
        fetched = [_fetch(client, run, Path(scratch, run.info.run_id), ("tables",)) for run in runs]
        if fetched:
            client.log_text(training.run_id, write(fetched), OVERVIEW)


def _list_models(client: MlflowClient, parent: Run) -> list[Run]:
    wanted = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}' and tags.kind = 'model'"
    runs: list[Run] = client.search_runs(
        [parent.info.experiment_id], wanted, max_results=MOST_MODELS, order_by=["attributes.start_time ASC"]
    )
    return [run for run in runs if run.info.status == "FINISHED"]


def _fetch(client: MlflowClient, run: Run, folder: Path, parts: Sequence[str]) -> TrackedRun:
    folder.mkdir(parents=True, exist_ok=True)
    artifacts = {entry.path for entry in client.list_artifacts(run.info.run_id)}
    for part in parts:
        if part in artifacts:
            client.download_artifacts(run.info.run_id, part, str(folder))
    return TrackedRun(tags={**run.data.tags, **_find_validations(client, run)}, params=run.data.params, folder=folder)


def _find_validations(client: MlflowClient, run: Run) -> dict[str, str]:
    """Find what other patients said of the model of a run, as the tag of its registered versions."""
    tags = run.data.tags
    content = tags.get(CONTENT)
    if content is None:
        return {}
    versions = find_versions_of_content(client, name_registered_by(tags), content)
    validations = merge_validation_tags([version.tags for version in versions], content)
    return {VALIDATIONS: format_tag(validations, content)} if validations else {}
