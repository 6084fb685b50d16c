"""MLflow tracking: the store, logging and reading runs, the model registry, and the review page.

``store.py`` resolves and prepares the store; ``model_run.py`` defines what a run logs, ``log_runs.py`` and
``log_comparisons.py`` write it and ``read_runs.py`` reads it back; ``gate_evidence.py`` passes a run to a gate;
``registry.py`` promotes and rolls back; ``served/`` has what stands beside a bundle so that anyone's tools can serve
it.
"""

from paincast.tracking.dataset import DatasetSummary, summarize_dataset
from paincast.tracking.log_comparisons import COMPARISON, log_comparison
from paincast.tracking.log_runs import log_model_run, log_validation, start_training
from paincast.tracking.model_run import ComparisonRun, LoggedModel, ModelRun, TrainingRun
from paincast.tracking.read_runs import TrackedRun, fetch_runs, log_overview
from paincast.tracking.registry import Promotion, Rollback, promote, roll_back
from paincast.tracking.review import open_review, review_command
from paincast.tracking.store import Store, prepare_store, resolve_store, use_store
from paincast.tracking.versions import TrackedModel, find_tracked_model, tag_versions

__all__ = [
    "COMPARISON",
    "ComparisonRun",
    "DatasetSummary",
    "LoggedModel",
    "ModelRun",
    "Promotion",
    "Rollback",
    "Store",
    "TrackedModel",
    "TrackedRun",
    "TrainingRun",
    "fetch_runs",
    "find_tracked_model",
    "log_comparison",
    "log_model_run",
    "log_overview",
    "log_validation",
    "open_review",
    "prepare_store",
    "promote",
    "resolve_store",
    "review_command",
    "roll_back",
    "start_training",
    "summarize_dataset",
    "tag_versions",
    "use_store",
]
