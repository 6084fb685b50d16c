"""MLflow: the store, the runs, the registry and the page of review."""

from paincast.tracking.dataset import DatasetSummary, summarize_dataset
from paincast.tracking.model_run import LoggedModel, ModelRun, TrainingRun
from paincast.tracking.recorded import RecordedRun, fetch_runs, log_overview
from paincast.tracking.registry import Promotion, Rollback, promote, roll_back
from paincast.tracking.review import open_review, review_command
from paincast.tracking.runs import log_model_run, start_training
from paincast.tracking.store import Store, prepare_store, resolve_store, use_store
from paincast.tracking.versions import RecordedModel, find_recorded

__all__ = [
    "DatasetSummary",
    "LoggedModel",
    "ModelRun",
    "Promotion",
    "RecordedModel",
    "RecordedRun",
    "Rollback",
    "Store",
    "TrainingRun",
    "fetch_runs",
    "find_recorded",
    "log_model_run",
    "log_overview",
    "open_review",
    "prepare_store",
    "promote",
    "resolve_store",
    "review_command",
    "roll_back",
    "start_training",
    "summarize_dataset",
    "use_store",
]
