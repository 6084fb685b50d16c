"""External validation in one call, from models and a cohort in any form."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from paincast.cohort.registry.ingestion import compute_worst_share, ingest
from paincast.cohort.tables import Cohort, load_cohort
from paincast.errors import DataError
from paincast.evaluation.simulated.truth import load_truth
from paincast.fingerprints import find_fingerprints
from paincast.serving.predict import DEFAULT_MODELS, Models, gather_models
from paincast.serving.validation.external import ExternalValidation, evaluate_models

MOST_REJECTED = 0.05
"""Largest share of rows of a registry's file that may lose a value, as for ``paincast ingest``."""


def evaluate(
    models: Models,
    cohort: Cohort | str | Path,
    *,
    mapping: str | Path | None = None,
    seed: int = 7,
    resamples: int = 500,
    confidence: float = 0.95,
    fingerprints_in: Sequence[str | Path] = (),
    exclude_overlap: bool = False,
) -> ExternalValidation:
    """Evaluate models on a cohort that they were not trained on: external validation.

    Parameters
    ----------
    models : str, Path, Predictor or mapping
        Folder of models, MLflow address, one model, or models keyed by any name.
    cohort : Cohort, str or Path
        A cohort, or its folder; a simulated cohort given as a folder is also compared with its truth. With a mapping,
        a registry's file of any format, or a folder of such files.
    mapping : str or Path, optional
        How the registry's file is read, as for :func:`paincast.ingest`.
    seed : int
        Seed of the resamples.
    resamples : int
        Bootstrap resamples of patients.
    confidence : float
        Coverage of the intervals.
    fingerprints_in : sequence of str or Path
        Further folders with fingerprints of training patients, in addition to ``models/`` and the models' folder.
    exclude_overlap : bool
        Whether to leave out patients that a model was trained on, instead of refusing the cohort.

    Returns
    -------
    metrics, flow, calibration : DataFrame
        See :func:`paincast.serving.validation.external.evaluate_models`.

    Raises
    ------
    DataError
        If models or cohort cannot be read, or more than 5 % of the rows of a registry's file lost a value.
    RefusalError
        If there is nobody to evaluate the models on, or a model was trained on patients of the cohort and
        ``exclude_overlap`` is false.
    """
    folders = [DEFAULT_MODELS, *fingerprints_in, *([models] if isinstance(models, (str, os.PathLike)) else [])]
    tables, truth = (cohort, None) if isinstance(cohort, Cohort) else load_with_truth(cohort, mapping)
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


def load_with_truth(folder: str | Path, mapping: str | Path | None = None) -> tuple[Cohort, pd.DataFrame | None]:
    """Load a cohort and, if it is simulated, its truth; or read a registry's file by a mapping."""
    cohort = load_or_read(folder, mapping)
    return cohort, load_truth(folder) if cohort.basis == "synthetic" else None


def load_or_read(source: str | Path, mapping: str | Path | None = None) -> Cohort:
    """Load a cohort from its folder, or read a registry's file by a mapping.

    Raises
    ------
    DataError
        If it cannot be read, or more than 5 % of the rows of a registry's file lost a value.
    """
    if mapping is None:
        return load_cohort(source)
    cohort, rejects = ingest(source, mapping)
    share = compute_worst_share(cohort, rejects)
    if share > MOST_REJECTED:
        raise DataError(
            f"{source}: {share:.1%} of the rows of a table lost a value, more than {MOST_REJECTED:.0%}; the mapping is "
            "probably wrong: 'paincast ingest' lists what was left out",
            code="PC-SERVING-38",
        )
    return cohort
