"""Stream simulated tables to a cohort folder in row groups whose size does not depend on the number of threads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from paincast.cohort.tables import MANIFEST
from paincast.files import atomic_folder, hash_file
from paincast.simulator.scenario import Scenario
from paincast.simulator.tables import Tables, make_schemas
from paincast.simulator.truth import list_options

ROW_GROUP_EPISODES = 1 << 16
"""Number of episodes after which the collected tables are written as a row group."""

COMPRESSION = "lz4"


def write_folder(
    path: str | Path,
    scenario: Scenario,
    parts: Iterable[Tables],
    *,
    keep_untreated: bool,
    sources: tuple[str, ...],
    describe: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """Write tables to a cohort folder as they are produced, together with the truth.

    Parameters
    ----------
    path : str or Path
        Folder; an existing cohort folder is replaced.
    scenario : Scenario
        Scenario in which they were simulated.
    parts : iterable of dict of Table
        Tables of successive blocks.
    keep_untreated : bool
        Whether they hold episodes that were not treated.
    sources : tuple of str
        Citations.
    describe : callable
        Returns the details of the cohort; called after the last part.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    with atomic_folder(path, marker=MANIFEST) as folder:
        n = _write_tables(folder, make_schemas(scenario, keep_untreated=keep_untreated), parts)
        list_options(scenario).to_parquet(folder / "truth_options.parquet", index=False)
        files = sorted(folder.glob("*.parquet"))
        with ThreadPoolExecutor() as pool:
            hashes = dict(zip([file.name for file in files], pool.map(hash_file, files), strict=True))
        manifest = {
            "format": 1,
            "basis": "synthetic",
            "n_episodes": n,
            "n_real": 0,
            "sources": list(sources),
            "details": describe(),
            "hashes": hashes,
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return manifest


def _write_tables(folder: Path, schemas: Mapping[str, pa.Schema], parts: Iterable[Tables]) -> int:
    gathered: list[Tables] = []
    waiting = total = 0
    with ExitStack() as stack:
        writers = {name: stack.enter_context(_open(folder, name, schema)) for name, schema in schemas.items()}
        for tables in parts:
            gathered.append(tables)
            waiting += tables["episodes"].num_rows
            if waiting >= ROW_GROUP_EPISODES:
                _write_group(writers, gathered)
                total += waiting
                gathered, waiting = [], 0
        if gathered:
            _write_group(writers, gathered)
    return total + waiting


def _open(folder: Path, name: str, schema: pa.Schema) -> pq.ParquetWriter:
    words = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    return pq.ParquetWriter(
        folder / f"{name}.parquet", schema, compression=COMPRESSION, use_dictionary=words, write_statistics=False
    )


def _write_group(writers: Mapping[str, pq.ParquetWriter], gathered: list[Tables]) -> None:
    for name, writer in writers.items():
        table = pa.concat_tables([tables[name] for tables in gathered]).unify_dictionaries()
        writer.write_table(table, row_group_size=max(table.num_rows, 1))
