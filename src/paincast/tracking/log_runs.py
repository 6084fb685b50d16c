"""Log to MLflow: a training, with a child run and a registered model per technique and outcome; external validations.

Only aggregates are sent to MLflow: parameters, metrics, figures, summary tables, the fitted model and a summary of the
data set. No row or identifier of a patient is sent; the patients of the model's input example are invented.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paincast.errors import OutputError
from paincast.gates import GateVerdict
from paincast.gates.use import CONTENT, FURTHER_MONTH, find_versions_of_content, name_registered
from paincast.predictor import Predictor
from paincast.predictor.validation import Validation
from paincast.schema import EPISODES, RESEARCH_MARK
from paincast.tracking.dataset import DatasetSummary
from paincast.tracking.describe import LONGEST_OF_VERSION, OVERALL, PROGNOSIS, describe_run
from paincast.tracking.gate_evidence import assess_model, name_verdict_table, tag_verdict
from paincast.tracking.lifecycle import close_abandoned_runs, mlflow_errors_in_words, started_run
from paincast.tracking.model_run import LoggedModel, ModelRun, TrainingRun
from paincast.tracking.served.log_served import log_served_model
from paincast.tracking.store import Store, use_store
from paincast.version import __version__

CANDIDATE = "candidate"
IDENTIFIERS = frozenset(name for name, column in EPISODES.items() if column.role == "id" and column.type == "text")
VERSION_TAGS = ("basis", "n_real", "model_kind", CONTENT, "verdict", "gate", "unmet", "use")
"""Tags of the run that the registered version has too."""

EXTERNAL_VALIDATION = "external_validation"
"""Tag ``kind`` of the run of an external validation."""

VALIDATION_RUN = "validation_run"
"""Tag of a registered version: the run of its latest external validation."""

FIGURE_DPI = 150
PARAMETERS_PER_CALL = 100


@contextmanager
def start_training(
    store: Store, name: str, *, params: Mapping[str, object], tags: Mapping[str, str], config_yaml: str
) -> Iterator[TrainingRun]:
    """Start a parent run and end it with the block.

    The run ends as finished, as failed if the block raises, or as killed if it is interrupted. Runs left open by a
    killed process of this machine are closed first.

    Parameters
    ----------
    store : Store
        From :func:`paincast.tracking.store.resolve_store`; created if missing.
    name : str
        Name of the run.
    params : mapping
        Settings worth comparing between trainings.
    tags : mapping of str to str
        For example ``basis``.
    config_yaml : str
        The resolved configuration, logged as ``config/config.yaml``.

    Yields
    ------
    TrainingRun
        To pass to :func:`log_model_run`.

    Raises
    ------
    OutputError
        If the store cannot be used.
    """
    with use_store(store) as experiment_id:
        import mlflow

        with mlflow_errors_in_words(store):
            close_abandoned_runs(experiment_id)
        all_tags = {"kind": "training", "paincast_version": __version__, **tags}
        with started_run(store, experiment_id, name, all_tags) as run_id:
            with mlflow_errors_in_words(store):
                log_parameters_and_metrics(run_id, params, {})
                mlflow.log_text(config_yaml, "config/config.yaml")
            yield TrainingRun(run_id=run_id, experiment_id=experiment_id, store=store)


def log_model_run(training: TrainingRun, model: ModelRun, *, register: bool = True) -> LoggedModel:
    """Judge one model, log it as a child run with its verdict, and register it under the alias ``candidate``.

    Parameters
    ----------
    training : TrainingRun
        The parent, from :func:`start_training`, whose block must still be open.
    model : ModelRun
        What to log.
    register : bool
        Whether to create a version in the model registry.

    Returns
    -------
    LoggedModel
        Run, model address, registered name and version.

    Raises
    ------
    OutputError
        If a table has an identifier column of patients, or the store cannot be written.
    """
    refuse_identifiers(model.tables)
    values, missing = _metric_values(pd.concat([model.metrics, model.instability, model.validation], ignore_index=True))
    verdict = assess_model(model, model.gate)
    description = describe_run(model, verdict)
    tags = _model_tags(model) | tag_verdict(verdict) | ({"not_estimable": ", ".join(missing)} if missing else {})
    with (
        mlflow_errors_in_words(training.store),
        started_run(training.store, training.experiment_id, model.name, tags, description, training.run_id) as run_id,
    ):
        shared = {name: tags[name] for name in ("technique", "outcome", "horizon_months", "model_kind", "basis")}
        params = {name: _parameter_text(value) for name, value in {**shared, **model.params}.items()}
        log_parameters_and_metrics(run_id, params, values)
        log_dataset(run_id, model.dataset)
        card = _log_pictures_and_tables(run_id, model, verdict, tags, params)
        address = str(log_served_model(model.predictor).model_uri)
        shown = card or describe_run(model, verdict, LONGEST_OF_VERSION)
        version = _register(model, address, run_id, shown, tags) if register else None
    return LoggedModel(
        run_id=run_id,
        model_uri=address,
        model_name=model.registered_name if register else None,
        model_version=version,
    )


def log_validation(
    store: Store, predictor: Predictor, validation: Validation, tables: Mapping[str, pd.DataFrame], report: str
) -> str | None:
    """Log an external validation as a run of its own, if the model is registered in the store.

    Parameters
    ----------
    store : Store
        From :func:`paincast.tracking.store.resolve_store`.
    predictor : Predictor
        The model; the run carries its content version.
    validation : Validation
        The validation.
    tables : mapping of str to DataFrame
        Aggregated tables, ``metrics`` among them; saved as ``tables/<name>.csv``.
    report : str
        HTML, saved as ``report/report.html``.

    Returns
    -------
    str or None
        The id of the run; None if no registered version holds the bundle.

    Raises
    ------
    OutputError
        If a table has an identifier column of patients, or the store cannot be written.
    """
    refuse_identifiers(tables)
    values, missing = _metric_values(tables["metrics"])
    with use_store(store) as experiment_id, mlflow_errors_in_words(store):
        from mlflow import MlflowClient

        client = MlflowClient()
        name = name_registered(predictor.technique, predictor.outcome, predictor.further_month)
        held = find_versions_of_content(client, name, predictor.version)
        if not held:
            return None
        tags = {
            "kind": EXTERNAL_VALIDATION,
            "technique": predictor.technique,
            "outcome": predictor.outcome,
            "horizon_months": f"{predictor.horizon_months:g}",
            "basis": predictor.basis,
            CONTENT: predictor.version,
            "model_versions": ", ".join(f"models:/{version.name}/{version.version}" for version in held),
            "cohort": validation.cohort,
            "contradicts": str(validation.contradicts).lower(),
            "use": RESEARCH_MARK,
            "paincast_version": __version__,
            **({"not_estimable": ", ".join(missing)} if missing else {}),
        }
        name = f"{predictor.technique} · {predictor.outcome} · validated on {validation.cohort}"
        with started_run(store, experiment_id, name, tags, validation.describe()) as run_id:
            params = {"cohort": validation.cohort, "cohort_content": validation.content, "model": predictor.version}
            log_parameters_and_metrics(run_id, params, values)
            _log_validation_files(run_id, tables, report)
        for version in held:
            client.set_model_version_tag(version.name, version.version, VALIDATION_RUN, run_id)
    return run_id


def refuse_identifiers(tables: Mapping[str, pd.DataFrame]) -> None:
    """Refuse tables that have a column of identifiers: rows of patients are not sent to MLflow."""
    for name, table in tables.items():
        identifiers = sorted(IDENTIFIERS & {str(column) for column in table.columns})
        if identifiers:
            raise OutputError(
                f"table '{name}' holds {', '.join(identifiers)}: rows of patients are not sent to MLflow",
                code="PC-TRACKING-13",
            )


def _model_tags(model: ModelRun) -> dict[str, str]:
    return {
        "kind": "model",
        "technique": model.technique,
        "outcome": model.outcome,
        "horizon_months": f"{model.horizon_months:g}",
        "model_kind": model.model_kind,
        "basis": model.basis,
        "n_real": str(model.n_real),
        "paincast_version": __version__,
        **({"contract": model.predictor.contract.digest} if model.predictor.contract.declared else {}),
        **({} if model.predictor.further_month is None else {FURTHER_MONTH: f"{model.horizon_months:g}"}),
        **model.tags,
        "use": RESEARCH_MARK,
        CONTENT: model.predictor.version,
    }


def _metric_values(metrics: pd.DataFrame) -> tuple[dict[str, float], list[str]]:
    """Flatten the metrics to names and numbers; also return the names of those that could not be estimated."""
    values: dict[str, float] = {}
    missing: list[str] = []
    for row in metrics.to_dict("records"):
        name = row["metric"] if row["group"] == OVERALL else f"{row['metric']}/{row['group']}"
        if not np.isfinite(row["estimate"]):
            missing.append(name)
            continue
        bounds = {name: row["estimate"], f"{name}_lower": row["lower"], f"{name}_upper": row["upper"]}
        values |= {key: float(value) for key, value in bounds.items() if np.isfinite(value)}
    if len(metrics):
        values["n"] = float(metrics["n"].max())
    return values, missing


def log_parameters_and_metrics(run_id: str, params: Mapping[str, object], values: Mapping[str, float]) -> None:
    """Log parameters and metrics to a run, in as few calls as the store takes."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, 0) for name, value in values.items()]
    parameters = [Param(name, _parameter_text(value)) for name, value in params.items()]
    client = MlflowClient()
    client.log_batch(run_id, metrics=metrics, params=parameters[:PARAMETERS_PER_CALL])
    for start in range(PARAMETERS_PER_CALL, len(parameters), PARAMETERS_PER_CALL):
        client.log_batch(run_id, params=parameters[start : start + PARAMETERS_PER_CALL])


def _parameter_text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def log_dataset(run_id: str, dataset: DatasetSummary, context: str = "training") -> None:
    """Log the lineage of the data of a run, and what they were used for."""
    from mlflow import MlflowClient
    from mlflow.entities import Dataset, DatasetInput, InputTag

    entry = Dataset(
        name=dataset.name,
        digest=dataset.digest,
        source_type="code",
        source=json.dumps({"tags": {"sources": list(dataset.sources)}}),
        schema=json.dumps({"mlflow_colspec": dataset.columns}),
        profile=json.dumps({"num_rows": dataset.n_episodes, **dataset.counts}),
    )
    MlflowClient().log_inputs(run_id, datasets=[DatasetInput(entry, [InputTag("mlflow.data.context", context)])])


def _log_pictures_and_tables(
    run_id: str, model: ModelRun, verdict: GateVerdict, tags: Mapping[str, str], params: Mapping[str, str]
) -> str:
    """Log figures, tables and the report; return the model card, empty if there is none."""
    from mlflow import MlflowClient

    client = MlflowClient()
    with tempfile.TemporaryDirectory() as scratch:
        pictures, tables = Path(scratch, "figures"), Path(scratch, "tables")
        pictures.mkdir()
        tables.mkdir()
        for name, figure in model.figures.items():
            caption = {"Description": model.captions.get(name, "")}
            path = pictures / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            figure.savefig(path, dpi=FIGURE_DPI, metadata=caption)
        measured = {"instability": model.instability} if len(model.instability) else {}
        judged = {"metrics": model.metrics, name_verdict_table(verdict): verdict.to_frame()}
        for name, table in {**model.tables, **measured, **judged}.items():
            table.to_csv(tables / f"{name}.csv", index=False)
        card = model.write_report(Path(scratch), tags, params) if model.write_report else ""
        client.log_artifacts(run_id, scratch)
    client.log_table(run_id, model.metrics, "tables/metrics.json")
    return card


def _register(model: ModelRun, address: str, run_id: str, description: str, tags: Mapping[str, str]) -> int:
    from mlflow import MlflowClient

    client = MlflowClient()
    name = model.registered_name
    _ensure_registered(client, name, f"{model.outcome} after {model.technique}: {PROGNOSIS}.")
    kept = {key: tags[key] for key in VERSION_TAGS}
    made = client.create_model_version(name, address, run_id=run_id, tags=kept, description=description)
    client.set_registered_model_alias(name, CANDIDATE, str(made.version))
    return int(made.version)


def _ensure_registered(client: Any, name: str, description: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _log_validation_files(run_id: str, tables: Mapping[str, pd.DataFrame], report: str) -> None:
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "tables").mkdir()
        (folder / "report").mkdir()
        for name, table in tables.items():
            table.to_csv(folder / "tables" / f"{name}.csv", index=False)
        (folder / "report" / "report.html").write_text(report, encoding="utf-8")
        MlflowClient().log_artifacts(run_id, scratch)
