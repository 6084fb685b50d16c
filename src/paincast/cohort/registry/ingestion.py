"""Ingest registry files by name or by path."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from paincast.cohort.registry.ingest import Ingestion
from paincast.cohort.registry.ingest import compute_worst_share as compute_worst_share
from paincast.cohort.registry.ingest import ingest as ingest_files
from paincast.cohort.registry.ingest import ingest_to_folder as ingest_files_to_folder
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.registry.mapping_types import RegistryMapping
from paincast.cohort.tables import Cohort
from paincast.errors import DataError

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
    return ingest_files(*_find_files(source, mapping))


def ingest_to_folder(
    source: str | Path | Sequence[str | Path] | None,
    mapping: str | Path | RegistryMapping,
    out: Path,
    *,
    max_rejects: float,
) -> Ingestion:
    """Read a registry's files into the folder of a cohort; see :func:`ingest`.

    Parameters
    ----------
    source, mapping
        As for :func:`ingest`.
    out, max_rejects
        As for :func:`paincast.cohort.registry.ingest.ingest_to_folder`.
    """
    return ingest_files_to_folder(*_find_files(source, mapping), out, max_rejects=max_rejects)


def _find_files(
    source: str | Path | Sequence[str | Path] | None, mapping: str | Path | RegistryMapping
) -> tuple[RegistryMapping, Sequence[str | Path]]:
    loaded = mapping if isinstance(mapping, RegistryMapping) else load_mapping(mapping)
    if source is None:
        return loaded, _find_fetched(loaded)
    return loaded, [source] if isinstance(source, (str, os.PathLike)) else list(source)


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
