"""Turn an external validation into records, and put each beside the bundle that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from paincast.cohort.tables import Cohort, digest_rows
from paincast.deferred import pandas as pd
from paincast.disclosure.rounding import round_count
from paincast.files.bounded import read_json
from paincast.predictor import MANIFEST
from paincast.predictor.validation import Validation, is_contradicted, record_validation
from paincast.schema import MINIMUM_CELL

RATIO = "o_e_ratio"
LEAST_SHARE = 0.1
"""Share of the patients evaluated from which an indication by an approach is covered by a validation."""


def summarize_validation(part: Cohort, evaluated: pd.Series, metrics: pd.DataFrame) -> Validation | None:
    """Summarize the ratio of observed to expected of a model on real patients.

    Parameters
    ----------
    part : Cohort
        Episodes of the technique.
    evaluated : Series of bool, shape (n,)
        Episodes that were evaluated.
    metrics : DataFrame
        Metrics of them, with intervals of 95 %.

    Returns
    -------
    Validation or None
        Without the name of the cohort; None if the ratio or its interval cannot be computed.
    """
    ratio = next((row for row in metrics.to_dict("records") if row["metric"] == RATIO), None)
    if ratio is None or not np.isfinite([ratio["estimate"], ratio["lower"], ratio["upper"]]).all():
        return None
    episodes = part.episodes[evaluated.to_numpy(bool)]
    n = episodes["patient_id"].nunique()
    pairs = episodes.assign(approach=episodes["approach"].astype("str").fillna("")).groupby(["indication", "approach"])
    shares = pairs["patient_id"].nunique()
    common = shares[(shares >= MINIMUM_CELL) & (shares >= LEAST_SHARE * n)].index
    return Validation(
        cohort="",
        content=digest_rows(_sort_rows(part, set(episodes["episode_id"]))),
        n=round_count(n),
        o_e=round(float(ratio["estimate"]), 2),
        lower=round(float(ratio["lower"]), 2),
        upper=round(float(ratio["upper"]), 2),
        contradicts=is_contradicted(n, float(ratio["lower"]), float(ratio["upper"])),
        groups=tuple((str(indication), str(approach)) for indication, approach in common),
    )


def _sort_rows(part: Cohort, ids: set[str]) -> Cohort:
    """Put the rows of some episodes in an order of their own, by which the same data are known again."""
    keys = {"episodes": ["episode_id"], "visits": ["episode_id", "month"], "events": ["episode_id", "kind"]}
    kept = {name: getattr(part, name)[getattr(part, name)["episode_id"].isin(ids)] for name in keys}
    ordered = {name: table.sort_values(keys[name], kind="stable", ignore_index=True) for name, table in kept.items()}
    return replace(part, **ordered)


def list_bundles(folder: Path) -> list[Path]:
    """List the folders of bundles at any depth of a folder, without those being written."""
    manifests = sorted(folder.rglob(MANIFEST))
    hidden = [any(part.startswith(".") for part in file.relative_to(folder).parts) for file in manifests]
    return [file.parent for file, is_hidden in zip(manifests, hidden, strict=True) if not is_hidden]


def record_beside(folder: Path, found: Mapping[str, Validation]) -> list[Path]:
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
    DataError
        If a bundle or a present record is damaged.
    OutputError
        If a folder cannot be written.
    """
    versions = [(bundle, str(read_json(bundle / MANIFEST).get("version"))) for bundle in list_bundles(folder)]
    return [record_validation(bundle, version, found[version]) for bundle, version in versions if version in found]
