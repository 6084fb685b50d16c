"""Log a comparison of techniques as a run of its own: diagnostics always, contrasts only if they passed."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from paincast.schema import RESEARCH_MARK
from paincast.tracking.describe import describe_comparison
from paincast.tracking.lifecycle import mlflow_errors_in_words, started_run
from paincast.tracking.log_runs import FIGURE_DPI, log_dataset, log_parameters_and_metrics, refuse_identifiers
from paincast.tracking.model_run import ComparisonRun
from paincast.tracking.store import Store, use_store
from paincast.version import __version__

COMPARISON = "comparison"
"""Tag ``kind`` of the run of a comparison of techniques."""


def log_comparison(store: Store, run: ComparisonRun) -> str:
    """Log a comparison of techniques as a run of its own.

    Parameters
    ----------
    store : Store
        From :func:`paincast.tracking.store.resolve_store`; created if missing.
    run : ComparisonRun
        What to log. Of a refused comparison it holds no table of estimates.

    Returns
    -------
    str
        The id of the run.

    Raises
    ------
    OutputError
        If a table has an identifier column of patients, or the store cannot be written.
    """
    refuse_identifiers(run.tables)
    tags = {
        "kind": COMPARISON,
        "basis": run.basis,
        "n_real": str(run.n_real),
        "verdict": run.verdict,
        "unmet": "; ".join(run.unmet),
        "use": RESEARCH_MARK,
        "paincast_version": __version__,
    }
    with (
        use_store(store) as experiment_id,
        mlflow_errors_in_words(store),
        started_run(store, experiment_id, run.name, tags, describe_comparison(run)) as run_id,
    ):
        log_parameters_and_metrics(run_id, run.params, dict(_list_metrics(run)))
        log_dataset(run_id, run.dataset, COMPARISON)
        _log_files(run_id, run)
    return run_id


def _list_metrics(run: ComparisonRun) -> Iterator[tuple[str, float]]:
    """List diagnostics and contrasts as metrics."""
    if "diagnostics" in run.tables:
        for row in run.tables["diagnostics"].to_dict("records"):
            yield name_metric(str(row["diagnostic"])), float(row["value"])
    if "contrasts" in run.tables:
        for row in run.tables["contrasts"].to_dict("records"):
            name = name_metric(f"difference/{row['strategy']} v {row['reference']}/{row['population']}")
            yield name, float(row["estimate"])
            yield f"{name}_lower", float(row["lower"])
            yield f"{name}_upper", float(row["upper"])


def name_metric(text: str) -> str:
    """Name a metric in the letters that MLflow allows.

    Examples
    --------
    >>> name_metric("share in equipoise, root_block and epidural")
    'share_in_equipoise/root_block_and_epidural'
    """
    return re.sub(r"[^\w./-]+", "_", text.replace(", ", "/"))


def _log_files(run_id: str, run: ComparisonRun) -> None:
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for part in ("tables", "figures"):
            (folder / part).mkdir()
        for name, table in run.tables.items():
            table.to_csv(folder / "tables" / f"{name}.csv", index=False)
        for name, figure in run.figures.items():
            path = folder / "figures" / f"{name}.png"
            figure.savefig(path, dpi=FIGURE_DPI, metadata={"Description": run.captions.get(name, "")})
        for name, text in run.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        MlflowClient().log_artifacts(run_id, scratch)
