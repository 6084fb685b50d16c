"""Write the out-of-fold predictions of a training to a local file, from which its metrics can be computed again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.files import atomic_file
from paincast.files.spreadsheets import write_csv
from paincast.training.task import Task

FloatArray = npt.NDArray[np.float64]

COLUMNS = (
    "technique",
    "outcome",
    "episode_id",
    "patient_id",
    "observed",
    "weight",
    "probability",
    "expected",
    "expected_lower",
    "expected_upper",
)
OWNER_ONLY = 0o600
"""Mode of the file: its rows are patients."""


def keep_out_of_fold(task: Task, weights: FloatArray, **predictions: FloatArray) -> pd.DataFrame | None:
    """Keep the out-of-fold predictions of a model, if they are to be written.

    Parameters
    ----------
    task : Task
        Technique and outcome.
    weights : ndarray of shape (n,)
        Weights for loss to follow-up; 0 for those lost.
    **predictions : ndarray of shape (n,)
        ``probability``, or ``expected`` with ``expected_lower`` and ``expected_upper``; means over repeats.

    Returns
    -------
    DataFrame of shape (n, len(COLUMNS)) or None
        One row per eligible episode; ``observed`` is missing for those lost. None unless ``evaluation.export_oof`` is
        set.
    """
    if task.settings.evaluation.export_oof is None:
        return None
    data = task.data
    table = pd.DataFrame(
        {
            "technique": data.technique,
            "outcome": data.outcome.name,
            "episode_id": data.episodes["episode_id"].to_numpy(object),
            "patient_id": data.episodes["patient_id"].to_numpy(object),
            "observed": data.observed,
            "weight": weights,
            **predictions,
        }
    )
    return table.reindex(columns=list(COLUMNS)).astype({"episode_id": "str", "patient_id": "str"})


def write_out_of_fold(path: str | Path, tables: Iterable[pd.DataFrame | None]) -> None:
    """Write the out-of-fold predictions of all models to one file that only its owner can read.

    Parameters
    ----------
    path : str or Path
        A .csv or .parquet file; an existing one is replaced.
    tables : iterable of DataFrame or None
        From :func:`keep_out_of_fold`.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    rows = pd.concat([table for table in tables if table is not None], ignore_index=True)
    with atomic_file(path) as draft:
        draft.touch(mode=OWNER_ONLY)
        if draft.suffix.lower() == ".parquet":
            rows.to_parquet(draft, index=False)
        else:
            write_csv(rows, draft)
