"""Where tables and rejects go as they come: into memory, or into the folder of a cohort."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from paincast.cohort.registry.counts import IngestionCounts
from paincast.cohort.rejects import join_rejects
from paincast.cohort.tables import conform
from paincast.contract import Contract
from paincast.files.parquet_join import join_parquet
from paincast.files.spreadsheets import write_csv
from paincast.schema import TABLES

REJECTS = "rejects.csv"
"""The list of rejects in the folder of a cohort."""


GROUP_BYTES = 8 << 20
"""Bytes of rows in memory that are written as a row group."""


class Sink(Protocol):
    """Takes the rows of tables, block after block of the mapping, and rejects, in the order of the source's rows."""

    def start(self) -> None:
        """Forget everything: the file is read from its beginning."""

    def write(self, table: str, block: int, rows: pa.Table) -> None:
        """Take rows of a table; columns may be absent."""

    def reject(self, rejects: pd.DataFrame) -> None:
        """Take rejects of rows."""

    def finish(self, whole: pd.DataFrame) -> None:
        """Take the rejects of whole columns, which stand before all others; nothing comes after them."""


class MemorySink:
    """Keep everything in memory."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.start()

    def start(self) -> None:
        """Forget everything."""
        self.tables: dict[tuple[str, int], list[pa.Table]] = {}
        self.all_rejects: list[pd.DataFrame] = []

    def write(self, table: str, block: int, rows: pa.Table) -> None:
        """Keep rows."""
        self.tables.setdefault((table, block), []).append(rows)

    def reject(self, rejects: pd.DataFrame) -> None:
        """Keep rejects."""
        self.all_rejects.append(rejects)

    def finish(self, whole: pd.DataFrame) -> None:
        """Put the rejects of whole columns first."""
        self.all_rejects.insert(0, whole)

    @property
    def rejects(self) -> pd.DataFrame:
        """Return all rejects."""
        return join_rejects(self.all_rejects)

    def collect(self) -> dict[str, pd.DataFrame]:
        """Return the tables with every column of the contract."""
        tables = {}
        for table in TABLES:
            schema = make_schema(table, self.contract)
            parts = [rows for key in sorted(self.tables) if key[0] == table for rows in self.tables[key]]
            whole = pa.concat_tables([complete(rows, schema) for rows in parts]) if parts else schema.empty_table()
            tables[table] = conform(table, whole.to_pandas(), self.contract)
        return tables


class FolderSink:
    """Write Parquet tables and the list of rejects into a folder, and count."""

    def __init__(self, folder: Path, contract: Contract) -> None:
        self.folder, self.parts = folder, folder / "parts"
        self.schemas = {table: make_schema(table, contract) for table in TABLES}
        self.writers: dict[tuple[str, int], pq.ParquetWriter] = {}
        self.body: IO[str] | None = None
        self.start()

    def start(self) -> None:
        """Remove what was written."""
        self.close()
        shutil.rmtree(self.parts, ignore_errors=True)
        self.parts.mkdir()
        self.gathered: dict[tuple[str, int], list[pa.Table]] = {}
        self.counts = IngestionCounts()
        self.body = (self.parts / REJECTS).open("w", encoding="utf-8", newline="")

    def write(self, table: str, block: int, rows: pa.Table) -> None:
        """Gather rows, and write them as a row group when they are many."""
        self.counts.n_rows[table] += rows.num_rows
        waiting = self.gathered.setdefault((table, block), [])
        waiting.append(rows)
        if sum(part.nbytes for part in waiting) > GROUP_BYTES:
            self._write_group(table, block)

    def reject(self, rejects: pd.DataFrame) -> None:
        """Write rejects."""
        if len(rejects) and self.body:
            self.counts.add_rejects(rejects)
            write_csv(rejects, self.body, header=False)

    def finish(self, whole: pd.DataFrame) -> None:
        """Join the blocks of each table, and write the list of rejects."""
        self.counts.add_rejects(whole)
        for table, block in self.gathered:
            self._write_group(table, block)
        written = sorted(self.writers)
        self.close()
        for table, schema in self.schemas.items():
            parts = [self._part(*key) for key in written if key[0] == table]
            target = self.folder / f"{table}.parquet"
            if len(parts) == 1:
                parts[0].replace(target)
            elif parts:
                with target.open("wb") as out:
                    join_parquet(parts, out)
            else:
                pq.write_table(schema.empty_table(), target)
        with (self.folder / REJECTS).open("w", encoding="utf-8", newline="") as out:
            write_csv(whole, out)
            with (self.parts / REJECTS).open(encoding="utf-8", newline="") as body:
                shutil.copyfileobj(body, out)

    def close(self) -> None:
        """Close the files."""
        for writer in self.writers.values():
            writer.close()
        self.writers = {}
        if self.body:
            self.body.close()

    def remove_parts(self) -> None:
        """Remove what was only needed on the way."""
        self.close()
        shutil.rmtree(self.parts, ignore_errors=True)

    def _write_group(self, table: str, block: int) -> None:
        waiting, schema = self.gathered[table, block], self.schemas[table]
        if not waiting:
            return
        rows = complete(pa.concat_tables(waiting), schema)
        waiting.clear()
        if (table, block) not in self.writers:
            self.writers[table, block] = pq.ParquetWriter(self._part(table, block), schema)
        self.writers[table, block].write_table(rows, row_group_size=rows.num_rows)

    def _part(self, table: str, block: int) -> Path:
        return self.parts / f"{table}-{block}.parquet"


def make_schema(table: str, contract: Contract) -> pa.Schema:
    """Return the schema of a table in a cohort folder."""
    return pa.Table.from_pandas(conform(table, pd.DataFrame(), contract), preserve_index=False).schema


def complete(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give rows every column of a schema; absent ones are empty."""
    present: Mapping[str, pa.ChunkedArray] = dict(zip(rows.column_names, rows.columns, strict=True))
    absent = {kind: pa.nulls(rows.num_rows, kind) for kind in set(schema.types)}
    columns = [
        present[field.name].cast(field.type) if field.name in present else absent[field.type] for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
