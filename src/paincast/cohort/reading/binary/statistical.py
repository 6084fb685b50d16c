"""Decode files of SPSS and Stata: codes as numbers, their labels beside them, user-missing values as missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.reading.binary.values import format_value
from paincast.cohort.reading.names import clean_name
from paincast.cohort.reading.types import MOST_COLUMNS, Block, ColumnNotes, Decoded, FileFormat, ReadOptions
from paincast.errors import DataError

CHUNK_ROWS = 50_000


def make_statistical_format(reader: str) -> FileFormat:
    """Make the format that a function of pyreadstat reads: ``read_sav``, ``read_por`` or ``read_dta``."""
    return FileFormat(partial(decode_statistical, reader=reader), partial(count_rows, reader=reader))


@contextmanager
def decode_statistical(file: Path, options: ReadOptions, *, reader: str) -> Iterator[Decoded]:
    """Open a file of SPSS or Stata.

    Raises
    ------
    DataError
        If pyreadstat is not installed, the file is damaged, or its text is not in the encoding that it states.
    """
    encoding = options.dialect.encoding
    facts = _read_facts(file, reader, encoding)
    stored = [str(name) for name in facts.column_names]
    if len(stored) > MOST_COLUMNS:
        raise DataError(f"{file} has {len(stored)} columns; at most {MOST_COLUMNS} can be read", code="PC-READING-28")
    yield Decoded(
        header=tuple(map(clean_name, stored)),
        read=lambda wanted: _read_blocks(file, reader, encoding, [stored[position] for position in wanted], facts),
        dialect=options.dialect,
        is_typed=True,
        labels={clean_name(name): notes for name, notes in _list_notes(stored, facts)},
    )


def count_rows(file: Path, *, reader: str) -> int | None:
    """Return the number of rows, where the file states it."""
    n_rows = _read_facts(file, reader, None).number_rows
    return None if n_rows is None else int(n_rows)


def _list_notes(stored: Sequence[str], facts: Any) -> Iterator[tuple[str, ColumnNotes]]:
    for name in stored:
        label = facts.column_names_to_labels.get(name) or ""
        meanings: Mapping[Any, Any] = facts.variable_value_labels.get(name) or {}
        if label or meanings:
            codes = {format_value(code if isinstance(code, str) else float(code)): code for code in meanings}
            yield name, ColumnNotes(label, {code: str(meanings[key]) for code, key in codes.items()})


def _read_facts(file: Path, reader: str, encoding: str | None) -> Any:
    with _words_for_damage(file):
        return _find_reader(file, reader)(file, metadataonly=True, **_encode(reader, encoding))[1]


def _find_reader(file: Path, reader: str) -> Callable[..., Any]:
    try:
        import pyreadstat
    except ModuleNotFoundError as error:
        raise DataError(
            f'{file}: files of SPSS and Stata need pyreadstat; install it with: pip install "paincast[spss]"',
            code="PC-READING-29",
        ) from error
    found: Callable[..., Any] = getattr(pyreadstat, reader)
    return found


def _encode(reader: str, encoding: str | None) -> dict[str, str]:
    return {"encoding": encoding} if encoding and reader != "read_por" else {}


@contextmanager
def _words_for_damage(file: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except UnicodeDecodeError as error:
        raise _refuse_text(file) from error
    except Exception as error:
        # pyreadstat raises its own errors, which name bytes or paths, and what Python raises for damaged dates.
        if "encoding" in str(error):
            raise _refuse_text(file) from None
        raise DataError(
            f"{file} is not a readable file of SPSS or Stata ({type(error).__name__}); save it again, or as CSV",
            code="PC-READING-30",
        ) from None


def _refuse_text(file: Path) -> DataError:
    return DataError(
        f"{file} holds text in another encoding than it states; declare it in a mapping ('encoding: windows-1252')",
        code="PC-READING-31",
    )


def _read_blocks(file: Path, reader: str, encoding: str | None, names: Sequence[str], facts: Any) -> Iterator[Block]:
    read, last_place, n_rows = _find_reader(file, reader), 0, CHUNK_ROWS
    wanted = {"usecols": list(names), "output_format": "dict", **_encode(reader, encoding)}
    while n_rows == CHUNK_ROWS:
        with _words_for_damage(file):
            values, _ = read(file, row_offset=last_place, row_limit=CHUNK_ROWS, **wanted)
        columns = [_to_column(values[name], str(facts.readstat_variable_types[name])) for name in names]
        n_rows = len(columns[0])
        yield Block(columns, np.arange(last_place + 1, last_place + 1 + n_rows, dtype=np.int64), [])
        last_place += n_rows


def _to_column(values: Sequence[Any], kind: str) -> pa.Array:
    """Convert a column to numbers if it holds nothing else, else to trimmed text with dates as ISO 8601."""
    if any(not isinstance(value, float | int) for value in values if value is not None):
        return pc.utf8_trim_whitespace(pa.array([format_value(value) for value in values], pa.string()))
    if kind == "float":  # single precision: the number as printed, 7.1 and not 7.0999999
        values = [None if value is None else float(str(np.float32(value))) for value in values]
    return pa.array([None if value is None else float(value) for value in values], pa.float64())
