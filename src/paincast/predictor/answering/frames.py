"""Convert predictions between Arrow, in which the scoring core answers, and data frames."""

from __future__ import annotations

import pyarrow as pa

from paincast.deferred import pandas as pd
from paincast.predictor.rows import LISTS, PREDICTION_SCHEMA


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Convert predictions to a data frame: texts as ``str``, reasons as lists of dicts, yes/no with missing values.

    Parameters
    ----------
    table : pyarrow.Table of shape (n, ...)
        Predictions; texts may be dictionaries.
    """
    lists = [name for name in table.column_names if name in LISTS]
    plain = table.drop_columns(lists)
    frame: pd.DataFrame = spell_out(plain).to_pandas(use_threads=len(plain) > 10_000)
    for name in ("eligible", "in_domain"):
        if name in frame:
            frame[name] = frame[name].astype("boolean")
    for name in lists:
        frame.insert(table.column_names.index(name), name, pd.Series(_to_lists(table[name]), dtype=object))
    return frame


def spell_out(table: pa.Table) -> pa.Table:
    """Give the texts of dictionaries in each row."""
    if not any(pa.types.is_dictionary(kind) for kind in table.schema.types):
        return table
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


def to_table(predictions: pd.DataFrame) -> pa.Table:
    """Convert predictions of a data frame to a table."""
    return pa.Table.from_pandas(predictions, schema=PREDICTION_SCHEMA, preserve_index=False).replace_schema_metadata()


def _to_lists(column: pa.ChunkedArray) -> list[list[dict[str, object]]]:
    return [
        [{key: value for key, value in reason.items() if value is not None} for reason in reasons]
        for reasons in column.to_pylist()
    ]
