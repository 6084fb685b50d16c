"""Files of patients, read in chunks, with an error in words for whatever cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from paincast.cohort.coercion import to_text
from paincast.errors import DataError

SUFFIXES = (".csv", ".parquet")


def check_patients_file(source: Path) -> None:
    """Refuse what is no readable file of a known kind before any work starts.

    Raises
    ------
    DataError
        If it does not exist, is a directory, is empty or has another suffix.
    """
    if source.is_dir():
        raise DataError(f"{source} is a directory; give a file ({' or '.join(SUFFIXES)})")
    if not source.is_file():
        raise DataError(f"{source} does not exist")
    if source.suffix.lower() not in SUFFIXES:
        raise DataError(f"{source}: unknown suffix '{source.suffix}'; allowed: {', '.join(SUFFIXES)}")
    if source.stat().st_size == 0:
        raise DataError(f"{source} is empty; a line of column names and one line for each patient are needed")


def count_patients(source: Path) -> int | None:
    """Count the rows, for the progress display: exactly for Parquet, by lines for CSV."""
    if source.suffix.lower() == ".parquet":
        return int(_open_parquet(source).metadata.num_rows)
    with source.open("rb") as stream:
        return max(sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b"")) - 1, 0) or None


def read_patients(source: Path, chunk_rows: int) -> Iterator[tuple[pd.DataFrame, pd.Series]]:
    """Read patients in chunks.

    Parameters
    ----------
    source : Path
        CSV (UTF-8, comma, semicolon or tab) or Parquet.
    chunk_rows : int
        Rows per chunk.

    Yields
    ------
    patients : DataFrame
        Columns as in the file, with ``episode_id`` made from the place (``row-1``) where it is absent or missing.
    places : Series of int
        Place of each row in the file; 1 is the first data row. Empty lines count and are skipped.

    Raises
    ------
    DataError
        If the file is damaged, not UTF-8, or holds no patient.
    """
    read = _read_parquet if source.suffix.lower() == ".parquet" else _read_csv
    start, n_patients = 0, 0
    for chunk in read(source, chunk_rows):
        places = pd.Series(range(start + 1, start + len(chunk) + 1), dtype="int64")
        start += len(chunk)
        filled = chunk.notna().any(axis="columns").to_numpy()
        patients, places = chunk[filled].reset_index(drop=True), places[filled].reset_index(drop=True)
        n_patients += len(patients)
        if len(patients):
            yield _name_rows(patients, places), places
    if n_patients == 0:
        raise DataError(f"{source} holds column names and no patient")


def _name_rows(patients: pd.DataFrame, places: pd.Series) -> pd.DataFrame:
    made = "row-" + places.astype("str")
    if "episode_id" not in patients:
        return patients.assign(episode_id=made)
    return patients.assign(episode_id=to_text(patients["episode_id"]).fillna(made))


def read_columns(source: Path) -> list[str]:
    """Give the column names of a file of patients."""
    if source.suffix.lower() == ".parquet":
        return [str(name) for name in _open_parquet(source).schema_arrow.names]
    return [str(name) for name in next(_read_csv(source, 1)).columns]


def _open_parquet(source: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(source)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{source} is no readable Parquet file (truncated or of another kind); write it again"
        ) from error


def _read_parquet(source: Path, chunk_rows: int) -> Iterator[pd.DataFrame]:
    try:
        for batch in _open_parquet(source).iter_batches(batch_size=chunk_rows):
            yield batch.to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{source} is damaged (a Parquet block cannot be read); write it again") from error


def _read_csv(source: Path, chunk_rows: int) -> Iterator[pd.DataFrame]:
    try:
        with pd.read_csv(
            source,
            sep=_find_separator(source),
            encoding="utf-8-sig",
            dtype=str,
            chunksize=chunk_rows,
            skip_blank_lines=False,
        ) as reader:
            for chunk in reader:
                if not isinstance(chunk.index, pd.RangeIndex):
                    raise DataError(
                        f"{source}: rows hold more fields than there are column names; quote fields that hold commas"
                    )
                yield chunk
    except UnicodeDecodeError as error:
        raise DataError(f"{source} is not UTF-8; save it again as UTF-8 (in a spreadsheet: 'CSV UTF-8')") from error
    except pd.errors.EmptyDataError as error:
        raise DataError(
            f"{source} is empty; a line of column names and one line for each patient are needed"
        ) from error
    except pd.errors.ParserError as error:
        line = re.search(r"line (\d+)", str(error))
        where = f"line {line[1]}" if line else "a line"
        raise DataError(
            f"{source}: {where} does not fit the line of column names; quote fields that hold commas"
        ) from error
    except OSError as error:
        raise DataError(f"{source} cannot be read: {error.strerror or type(error).__name__}") from error


def _find_separator(source: Path) -> str:
    with source.open("rb") as stream:
        header = stream.readline(1 << 20)
    return max((",", ";", "\t"), key=lambda separator: header.count(separator.encode()))
