"""Convert Arrow columns to text, numbers or booleans; shared by the decoders of Parquet and similar formats."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.reading.types import LONGEST_CELL, Fault, empty_cells, leave_out_column
from paincast.cohort.rejects import CELL_TOO_LONG, COLUMN_TYPE, WRONG_BYTES

_MIDNIGHT = r"[ T]00:00:00(\.0+)?$"
_OFFSET = r"(Z|[+-]\d\d:?\d\d)$"


def is_text(kind: pa.DataType) -> bool:
    """Check whether a column contains text or bytes."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def is_readable(kind: pa.DataType) -> bool:
    """Check whether each cell of a column contains a single value that is allowed in a table of patients."""
    if isinstance(kind, pa.BaseExtensionType):
        return is_readable(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return is_readable(kind.value_type)
    return bool(
        is_text(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
        or pa.types.is_date(kind)
        or pa.types.is_time(kind)
        or pa.types.is_timestamp(kind)
    )


def leave_out_type(position: int) -> Fault:
    """Leave out a column whose type is not allowed in a table of patients."""
    return leave_out_column(COLUMN_TYPE, "text, numbers, dates, or true and false; one value in each cell", position)


def to_plain(column: pa.Array, places: np.ndarray, position: int) -> tuple[pa.Array, list[Fault]]:
    """Convert a column to text, float64, int64 (uint64) or booleans; texts of a dictionary stay in one."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        return _spread_dictionary(column, places, position)
    kind = column.type
    if is_text(kind):
        return _to_text(column, places, position)
    if pa.types.is_integer(kind):
        return column if pa.types.is_uint64(kind) else pc.cast(column, pa.int64()), []
    if pa.types.is_boolean(kind):
        return column, []
    if pa.types.is_floating(kind):
        return _to_float(column), []
    if pa.types.is_decimal(kind):
        return pc.replace_substring_regex(pc.cast(column, pa.string()), r"\.0+$", ""), []
    return _to_date_text(column), []


def _to_float(column: pa.Array) -> pa.Array:
    """Convert to float64; a float32 becomes the number as printed (7.1, not 7.0999999)."""
    if pa.types.is_float64(column.type):
        return column
    values = column.to_numpy(zero_copy_only=False)
    return pa.array(values.astype("str").astype("float64"), mask=np.isnan(values.astype("float64")))


def _to_date_text(column: pa.Array) -> pa.Array:
    """Format dates and times as ISO 8601 in local time; midnight is written as the date only."""
    text = pc.cast(column, pa.string())
    if pa.types.is_timestamp(column.type):
        text = pc.replace_substring_regex(pc.replace_substring_regex(text, _OFFSET, ""), _MIDNIGHT, "")
    return pc.replace_substring_regex(text, r"\.0+$", "")


def _to_text(column: pa.Array, places: np.ndarray, position: int) -> tuple[pa.Array, list[Fault]]:
    """Read text; cells that are too long or not valid UTF-8 are emptied."""
    length = pc.binary_length(column)
    faults: list[Fault] = []
    if len(column) and (pc.max(length).as_py() or 0) > LONGEST_CELL:
        allowed = f"at most {LONGEST_CELL} characters in a cell"
        broken = pc.greater(length, LONGEST_CELL)
        column, faults = empty_cells(column, broken, places, CELL_TOO_LONG, allowed, position)
    valid, undecodable = _decode(column)
    if undecodable is not None:
        _, encoding_faults = empty_cells(valid, undecodable, places, WRONG_BYTES, "text in UTF-8", position)
        faults += encoding_faults
    return valid, faults


def _decode(column: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """Cast to text; if that fails, flag the cells whose bytes are not valid UTF-8."""
    try:
        text = pc.cast(column, pa.string())
        text.validate(full=True)
    except pa.ArrowInvalid:
        raw = pc.cast(column, pa.large_binary(), safe=False).to_pylist()
    else:
        return text, None
    read = [_read_utf8(cell) for cell in raw]
    broken = [cell is not None and given is None for given, cell in zip(read, raw, strict=True)]
    return pa.array(read, pa.string()), pa.array(broken)


def _read_utf8(cell: bytes | None) -> str | None:
    try:
        return None if cell is None else cell.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _spread_dictionary(column: pa.DictionaryArray, places: np.ndarray, position: int) -> tuple[pa.Array, list[Fault]]:
    """Convert the distinct values once, then expand them to rows."""
    distinct = np.arange(len(column.dictionary), dtype=np.int64)
    values, dictionary_faults = to_plain(column.dictionary, distinct, position)
    if not dictionary_faults and pa.types.is_string(values.type):
        return pa.DictionaryArray.from_arrays(column.indices, values), []
    spread = values.take(column.indices)
    if not dictionary_faults:
        return spread, []
    faults: list[Fault] = []
    faults_by_index = {fault.place: fault for fault in dictionary_faults}
    for row, index in enumerate(column.indices.to_pylist()):
        if index in faults_by_index:
            faults.append(faults_by_index[index]._replace(place=int(places[row])))
    return spread, faults
