"""Convert predictions between Arrow, in which the scoring core answers, and data frames."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from paincast.predictor.rows import LISTS, PREDICTION_SCHEMA


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Convert predictions to a data frame: texts as ``str``, reasons as lists of dicts, yes/no with missing values.

    Parameters
    ----------
    table : pyarrow.Table of shape (n, ...)
        Predictions; texts may be dictionaries.
    """
    return pd.DataFrame({name: _to_series(name, table[name]) for name in table.column_names})


def to_table(predictions: pd.DataFrame) -> pa.Table:
    """Convert predictions of a data frame to a table."""
    return pa.Table.from_pandas(predictions, schema=PREDICTION_SCHEMA, preserve_index=False).replace_schema_metadata()


def _to_series(name: str, column: pa.ChunkedArray) -> pd.Series:
    if name in LISTS:
        return pd.Series(_to_lists(column), dtype=object)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_boolean(column.type):
        return pd.Series(column.to_pandas()).astype("boolean" if name in ("eligible", "in_domain") else "bool")
    if pa.types.is_floating(column.type):
        return pd.Series(column.to_numpy(), dtype="float64")
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pd.Series(column.to_pandas()).astype("str")
    return pd.Series(column.to_pandas())


def _to_lists(column: pa.ChunkedArray) -> list[list[dict[str, object]]]:
    return [
        [{key: value for key, value in reason.items() if value is not None} for reason in reasons]
        for reasons in column.to_pylist()
    ]
