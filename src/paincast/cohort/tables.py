"""The cohort data class (episodes, visits, events and their sources), and reading and writing cohort folders."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from paincast import evidence
from paincast.contract import BUILT_IN, Contract, restore_contract
from paincast.deferred import pandas as pd
from paincast.disclosure.flow import format_counts_together
from paincast.errors import DataError
from paincast.files import atomic_folder, hash_file
from paincast.files.bounded import read_json
from paincast.files.declared_types import check_declared
from paincast.files.inputs import require_regular_file
from paincast.schema import TABLES, TECHNIQUES, Column
from paincast.settings import BASES

MANIFEST = "cohort.json"
_MANIFEST_TYPES = {
    "basis": str,
    "n_episodes": int,
    "n_real": int,
    "sources": list,
    "details": dict,
    "hashes": dict[str, str],
}

DIGEST_LENGTH = 32


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Episodes, visits and events with their sources.

    Parameters
    ----------
    episodes, visits, events : DataFrame
        Tables with every column of the contract, in its order and types (see :func:`conform`).
    basis : {"synthetic", "real", "blended"}
        Origin of the rows.
    sources : tuple of str
        Citations or generator versions.
    details : dict
        Further provenance: seed, scenario, evidence version, hashes of source files.
    contract : Contract
        Declares columns, techniques, indications and outcomes.
    """

    episodes: pd.DataFrame
    visits: pd.DataFrame
    events: pd.DataFrame
    basis: str
    sources: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    contract: Contract = BUILT_IN

    @property
    def n_real(self) -> int:
        """Count the real episodes."""
        return len(self.episodes) if self.basis == "real" else 0

    def describe_techniques(self) -> str:
        """Describe how many episodes there are of each technique and comparator."""
        counts = self.episodes["technique"].value_counts().sort_index()
        total, *shown_counts = format_counts_together(
            len(self.episodes), *counts.tolist(), real=self.basis != "synthetic"
        )
        counts_by_technique = (
            ", ".join(f"{n} of {name}" for name, n in zip(counts.index, shown_counts, strict=True)) or "none"
        )
        return f"it holds {total} episodes: {counts_by_technique}"

    def select_technique(self, technique: str) -> Cohort:
        """Select the episodes of a technique; for simulated patients, also the sources of that technique."""
        episodes = self.episodes.loc[self.episodes["technique"] == technique].reset_index(drop=True)
        kept = set(episodes["episode_id"])
        return Cohort(
            episodes=episodes,
            visits=self.visits.loc[self.visits["episode_id"].isin(kept)].reset_index(drop=True),
            events=self.events.loc[self.events["episode_id"].isin(kept)].reset_index(drop=True),
            basis=self.basis,
            sources=self._list_sources_of(technique),
            details=self.details,
            contract=self.contract,
        )

    def _list_sources_of(self, technique: str) -> tuple[str, ...]:
        if self.basis != "synthetic" or technique not in TECHNIQUES:
            return self.sources
        citations = set(evidence.list_citations(evidence.records_of(technique)))
        return tuple(source for source in self.sources if source in citations) or self.sources


def pandas_type(column: Column) -> str:
    """Return the pandas type of a column of the contract."""
    return {
        "text": "str",
        "category": "str",
        "number": "float64",
        "integer": "Int64",
        "boolean": "boolean",
    }[column.type]


def conform(table: str, frame: pd.DataFrame, contract: Contract = BUILT_IN) -> pd.DataFrame:
    """Return a table with every column of the contract, in order and type; absent columns are filled as missing.

    Values must already be valid; :func:`paincast.cohort.validate.validate_tables` removes invalid values.
    """
    columns = contract.tables[table]
    complete = frame.reindex(columns=list(columns)).reset_index(drop=True)
    types = {name: pandas_type(column) for name, column in columns.items()}
    return complete.astype({name: kind for name, kind in types.items() if str(complete[name].dtype) != kind})


def save_cohort(cohort: Cohort, path: str | Path, *, extras: dict[str, pd.DataFrame] | None = None) -> None:
    """Write a cohort atomically as a folder of Parquet files with a manifest.

    Parameters
    ----------
    cohort : Cohort
        Cohort to write.
    path : str or Path
        Folder; an existing cohort folder is replaced.
    extras : dict of DataFrame, optional
        Additional tables by name (the truth of a simulated cohort, rejects).

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    with atomic_folder(path, marker=MANIFEST) as folder:
        for name in TABLES:
            getattr(cohort, name).to_parquet(folder / f"{name}.parquet", index=False)
        for name, frame in (extras or {}).items():
            frame.to_parquet(folder / f"{name}.parquet", index=False)
        write_manifest(
            folder,
            basis=cohort.basis,
            n_episodes=len(cohort.episodes),
            sources=cohort.sources,
            details=cohort.details,
            contract=cohort.contract,
        )


def write_manifest(
    folder: Path,
    *,
    basis: str,
    n_episodes: int,
    sources: Sequence[str],
    details: Mapping[str, Any],
    contract: Contract,
) -> None:
    """Write the manifest of a cohort whose tables are in a folder, with their hashes."""
    manifest = {
        "format": 1,
        "basis": basis,
        "n_episodes": n_episodes,
        "n_real": n_episodes if basis == "real" else 0,
        "sources": list(sources),
        "details": details,
        "hashes": {file.name: hash_file(file) for file in sorted(folder.glob("*.parquet"))},
    }
    if contract.declared:
        manifest["contract"] = contract.declared
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_cohort(path: str | Path) -> Cohort:
    """Read a cohort folder written by :func:`save_cohort`, without its truth.

    Raises
    ------
    DataError
        If the folder is not a cohort, or a file is missing, truncated or changed since it was written.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    contract = restore_contract(manifest.get("contract", ""))
    tables = {name: _conform_read(folder, name, read_table(folder, name, manifest), contract) for name in TABLES}
    return Cohort(
        **tables,
        basis=manifest["basis"],
        sources=tuple(manifest["sources"]),
        details={**manifest["details"], "hashes": manifest["hashes"]},
        contract=contract,
    )


def read_cohort_contract(path: str | Path) -> Contract:
    """Read the contract of a cohort folder without its tables.

    Raises
    ------
    DataError
        If the folder is not a cohort, or its manifest is damaged.
    """
    return restore_contract(read_manifest(Path(path)).get("contract", ""))


def _conform_read(folder: Path, name: str, frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    try:
        return conform(name, frame, contract)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{folder / name}.parquet has other column types than a cohort ({type(error).__name__}); write it again",
            code="PC-COHORT-01",
        ) from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a cohort folder.

    Raises
    ------
    DataError
        If it is missing or unreadable.
    """
    if not os.path.lexists(folder / MANIFEST):
        raise DataError(
            f"{folder} is not a cohort folder ({MANIFEST} is missing); make one with 'paincast simulate' or "
            "'paincast ingest'",
            code="PC-COHORT-02",
        )
    require_regular_file(folder / MANIFEST)
    manifest = read_json(folder / MANIFEST)
    try:
        for name, declared in _MANIFEST_TYPES.items():
            check_declared(manifest[name], declared, name)
        check_declared(manifest.get("contract", ""), str, "contract")
        if manifest["basis"] not in BASES:
            raise ValueError("basis")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder / MANIFEST} is damaged ({error}); write the cohort again", code="PC-COHORT-03"
        ) from error
    return manifest


def read_table(folder: Path, name: str, manifest: dict[str, Any]) -> pd.DataFrame:
    """Read one Parquet table of a cohort folder after checking its hash against the manifest.

    Raises
    ------
    DataError
        If it is missing, truncated or changed since it was written.
    """
    file = folder / f"{name}.parquet"
    if not os.path.lexists(file):
        raise DataError(f"{folder} lacks {file.name}; write the cohort again", code="PC-COHORT-04")
    require_regular_file(file)
    if hash_file(file) != manifest["hashes"].get(file.name):
        raise DataError(
            f"{file} does not match its checksum in {MANIFEST} (truncated or changed); write the cohort again",
            code="PC-COHORT-05",
        )
    try:
        return pd.read_parquet(file)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{file} is not a readable Parquet file ({type(error).__name__}); write the cohort again",
            code="PC-COHORT-06",
        ) from error


def digest_rows(cohort: Cohort) -> str:
    """Compute a digest of all rows of a cohort, by which the same data are known again.

    Columns that hold no value do not count: a column that the contract gains later does not change the data.
    """
    digest = hashlib.sha256()
    for name in TABLES:
        recorded = getattr(cohort, name).dropna(axis="columns", how="all")
        digest.update(" ".join([name, *recorded.columns]).encode())
        digest.update(pd.util.hash_pandas_object(recorded, index=False).to_numpy().tobytes())
    return digest.hexdigest()[:DIGEST_LENGTH]
