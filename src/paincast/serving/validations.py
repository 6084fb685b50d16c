"""Turn an external validation into records, and put each beside the bundle that it belongs to."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paincast.cohort.tables import Cohort, digest_rows
from paincast.errors import DataError
from paincast.files.bounded import read_json
from paincast.predictor import MANIFEST, Predictor
from paincast.predictor.validation import Validation, record_validation
from paincast.schema import MINIMUM_CELL

RATIO = "o_e_ratio"


def summarize_validations(
    models: Mapping[str, Predictor], cohort: Cohort, metrics: pd.DataFrame, name: str
) -> dict[str, Validation]:
    """Summarize the ratio of observed to expected of each model on a cohort of real patients.

    Parameters
    ----------
    models : mapping of Predictor
        The models that were evaluated.
    cohort : Cohort
        The cohort; a simulated one validates nothing.
    metrics : DataFrame
        From :func:`paincast.serving.external.evaluate_models`.
    name : str
        Name of the cohort.

    Returns
    -------
    dict of str to Validation
        By content version of the model; a model without the ratio and its interval has none.
    """
    if cohort.basis == "synthetic" or metrics.empty:
        return {}
    rows = metrics[metrics["metric"] == RATIO].to_dict("records")
    ratios: dict[str, dict[Hashable, Any]] = {str(row["model_version"]): row for row in rows}
    found = {}
    for model in models.values():
        ratio = ratios.get(model.version)
        if ratio is None or not np.isfinite([ratio["estimate"], ratio["lower"], ratio["upper"]]).all():
            continue
        part = cohort.select_technique(model.technique)
        found[model.version] = Validation(
            cohort=name,
            content=digest_rows(part),
            n=int(ratio["n"]),
            o_e=float(ratio["estimate"]),
            lower=float(ratio["lower"]),
            upper=float(ratio["upper"]),
            indications=_list_common(part.episodes, "indication"),
            approaches=_list_common(part.episodes, "approach"),
        )
    return found


def _list_common(episodes: pd.DataFrame, column: str) -> tuple[str, ...]:
    """List the values that at least five patients have."""
    patients = episodes.groupby(column)["patient_id"].nunique()
    return tuple(map(str, patients.index[patients >= MINIMUM_CELL]))


def record_validations(folder: Path, found: Mapping[str, Validation]) -> list[Path]:
    """Record validations beside the bundles of a folder of models.

    Parameters
    ----------
    folder : Path
        Folder of models.
    found : mapping of str to Validation
        By content version.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    OutputError
        If a folder cannot be written.
    """
    written = []
    for manifest in sorted(folder.rglob(MANIFEST)):
        try:
            version = str(read_json(manifest).get("version"))
        except (OSError, DataError):
            continue
        if version in found:
            written.append(record_validation(manifest.parent, version, found[version]))
    return written
