"""Ingest registry files by name or by path."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from paincast.cohort.registry.ingest import ingest as ingest_files
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.registry.mapping_types import RegistryMapping
from paincast.cohort.rejects import compute_reject_share
from paincast.cohort.tables import Cohort
from paincast.errors import DataError
from paincast.schema import TABLES

FETCHED = Path("data/real")
"""Default folder of ``paincast fetch`` for published data sets, relative to the working folder."""


def ingest(
    source: str | Path | Sequence[str | Path] | None, mapping: str | Path | RegistryMapping
) -> tuple[Cohort, pd.DataFrame]:
    """Read a registry's files into a cohort by a mapping of columns, units and codes.

    Parameters
    ----------
    source : str, Path, sequence of either, or None
        The file, or a file for each file of the mapping: matched by name, otherwise in the mapping's order. For a
        mapping of OMOP or FHIR, a folder or the files in it.
        None for a published data set that ``paincast fetch`` has stored in ``data/real``.
    mapping : str, Path or RegistryMapping
        A YAML file, or the name of a mapping that comes with the package.

    Returns
    -------
    cohort : Cohort
        Basis ``real``.
    rejects : DataFrame with columns table, file, row, column, rule, allowed, action
        Cells and rows that were left out, by position in the source file, without values. The command
        ``paincast ingest`` refuses a cohort that lost more than 5 %; here the caller decides
        (:func:`paincast.cohort.rejects.compute_reject_share`).

    Raises
    ------
    SettingsError
        If there is no such mapping, or it is not valid.
    DataError
        If a file is missing or unreadable, or lacks a column that the mapping names.
    """
    loaded = mapping if isinstance(mapping, RegistryMapping) else load_mapping(mapping)
    if source is None:
        files: Sequence[str | Path] = _find_fetched(loaded)
    else:
        files = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    return ingest_files(loaded, files)


def compute_worst_share(cohort: Cohort, rejects: pd.DataFrame) -> float:
    """Compute the largest share of the rows of a table, or of a file, that lost a value.

    Parameters
    ----------
    cohort : Cohort
        From :func:`ingest`.
    rejects : DataFrame
        What was left out.
    """
    shares = []
    for name, part in rejects.groupby("table"):
        if name in TABLES:
            left_out = part.loc[part["action"] == "row left out", ["file", "row"]].drop_duplicates()
            n_rows = len(getattr(cohort, str(name))) + len(left_out)
        else:
            n_rows = cohort.details["files"][name]["rows"]
        shares.append(compute_reject_share(part, n_rows))
    return max(shares, default=0.0)


def _find_fetched(mapping: RegistryMapping) -> list[Path]:
    files = [FETCHED / mapping.name / name for name in mapping.files]
    missing = [str(file) for file in files if not os.path.lexists(file)]
    if missing:
        raise DataError(
            f"no FILES given, and {', '.join(missing)} does not exist; give FILES, or run "
            f"'paincast fetch {mapping.name}' for a shipped mapping",
            code="PC-CLI-01",
        )
    return files
