"""External validation in one call: models and a cohort, however they are at hand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from paincast.cohort.tables import Cohort, load_cohort
from paincast.evaluation.simulated.truth import load_truth
from paincast.fingerprints import find_fingerprints
from paincast.serving.external import evaluate_models
from paincast.serving.predict import DEFAULT_MODELS, Models, gather_models


def evaluate(
    models: Models,
    cohort: Cohort | str | Path,
    *,
    seed: int = 7,
    resamples: int = 500,
    confidence: float = 0.95,
    fingerprints_in: Sequence[str | Path] = (),
    exclude_overlap: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Evaluate models on a cohort that they were not trained on: external validation.

    Parameters
    ----------
    models : str, Path, Predictor or mapping
        Folder of models, MLflow address, one model, or models keyed by any name.
    cohort : Cohort, str or Path
        A cohort, or its folder; a simulated cohort that is given as a folder is compared with its truth too.
    seed : int
        Seed of the resamples.
    resamples : int
        Bootstrap resamples of patients.
    confidence : float
        Coverage of the intervals.
    fingerprints_in : sequence of str or Path
        Folders in which fingerprints of the training patients lie, beside ``models/`` and that of the models.
    exclude_overlap : bool
        Whether patients that a model was trained on are left out, instead of the cohort being refused.

    Returns
    -------
    metrics, flow : DataFrame
        As of :func:`paincast.serving.external.evaluate_models`.

    Raises
    ------
    DataError
        If models or cohort cannot be read.
    RefusalError
        If there is nobody to evaluate them on, or patients that a model was trained on are not to be left out.
    """
    folders = [DEFAULT_MODELS, *fingerprints_in, *([models] if isinstance(models, (str, os.PathLike)) else [])]
    tables, truth = (cohort, None) if isinstance(cohort, Cohort) else _load_with_truth(cohort)
    return evaluate_models(
        gather_models(models),
        tables,
        truth=truth,
        rng=np.random.default_rng(seed),
        resamples=resamples,
        confidence=confidence,
        fingerprints=find_fingerprints(*folders),
        exclude_overlap=exclude_overlap,
    )


def _load_with_truth(folder: str | Path) -> tuple[Cohort, pd.DataFrame | None]:
    cohort = load_cohort(folder)
    return cohort, load_truth(folder) if cohort.basis == "synthetic" else None
