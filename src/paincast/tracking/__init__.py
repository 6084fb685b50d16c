"""MLflow: the store, the runs, the registry and the page of review."""

from paincast.tracking.dataset import DatasetSummary, summarize_dataset
from paincast.tracking.review import open_review, review_command
from paincast.tracking.runs import LoggedModel, ModelRun, TrainingRun, log_model_run, start_training
from paincast.tracking.store import Store, prepare_store, resolve_store

__all__ = [
    "DatasetSummary",
    "LoggedModel",
    "ModelRun",
    "Store",
    "TrainingRun",
    "log_model_run",
    "open_review",
    "prepare_store",
    "resolve_store",
    "review_command",
    "start_training",
    "summarize_dataset",
]
