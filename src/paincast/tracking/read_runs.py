"""Reading runs of models back: tags, parameters, tables and figures, for a report outside MLflow and an overview."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paincast.errors import DataError
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
    """The run of a model: its tags and parameters, and a folder with its tables and figures."""

    tags: Mapping[str, str]
    params: Mapping[str, str]
    folder: Path


def fetch_runs(store: Store, source: str, folder: Path) -> list[TrackedRun]:
    """Fetch what is recorded of a model, or of every model of a training.

    Parameters
    ----------
    store : Store
        From :func:`paincast.tracking.store.resolve_store`.
    source : str
        Id of a run of a model or of a training, ``NAME/VERSION`` or ``NAME@ALIAS``.
    folder : Path
        Where tables and figures are put, in a folder for each run.

    Returns
    -------
    list of TrackedRun
        One for a model; of a training one for each of its models, in the order in which they were trained.

    Raises
    ------
    DataError
        If there is no such run or version, or it holds no model.
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
        return [_fetch(client, one, folder / one.info.run_id, ("tables", "figures")) for one in runs]


def log_overview(training: TrainingRun, write: Callable[[Sequence[TrackedRun]], str]) -> None:
    """Write a page across the models of a training and keep it with the parent run; nothing where none was recorded.

    Parameters
    ----------
    training : TrainingRun
        The parent, whose block must still be open.
    write : callable
        Makes HTML of the recorded models, whose folders hold their tables only.
    """
    with use_registry(training.store) as client, tempfile.TemporaryDirectory() as scratch:
        runs = _list_models(client, get_run(client, training.run_id))
        fetched = [_fetch(client, one, Path(scratch, one.info.run_id), ("tables",)) for one in runs]
        if fetched:
            client.log_text(training.run_id, write(fetched), OVERVIEW)


def _list_models(client: MlflowClient, parent: Run) -> list[Run]:
    wanted = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}' and tags.kind = 'model'"
    found: list[Run] = client.search_runs(
        [parent.info.experiment_id], wanted, max_results=MOST_MODELS, order_by=["attributes.start_time ASC"]
    )
    return [run for run in found if run.info.status == "FINISHED"]


def _fetch(client: MlflowClient, run: Run, folder: Path, parts: Sequence[str]) -> TrackedRun:
    folder.mkdir(parents=True, exist_ok=True)
    held = {entry.path for entry in client.list_artifacts(run.info.run_id)}
    for part in parts:
        if part in held:
            client.download_artifacts(run.info.run_id, part, str(folder))
    return TrackedRun(tags=run.data.tags, params=run.data.params, folder=folder)
