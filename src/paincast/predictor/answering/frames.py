"""Convert predictions between Arrow, in which the scoring core answers, and data frames."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa

from paincast.deferred import pandas as pd
from paincast.predictor.rows import CODED_SCHEMA, LISTS

FLAGS = ("eligible", "in_domain")
"""Yes or no with missing values."""


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Convert predictions to a data frame: texts as ``str``, reasons as lists of dicts, yes/no with missing values.

    Parameters
    ----------
    table : pyarrow.Table of shape (n, ...)
        Predictions; texts may be dictionaries.
    """
    places = {name: place for place, name in enumerate(table.column_names)}
    lists, flags = ({name: places[name] for name in names if name in places} for names in (LISTS, FLAGS))
    plain = spell_out(table)
    for name, place in lists.items():
        plain = plain.set_column(place, name, pa.nulls(len(table)))
    frame: pd.DataFrame = plain.to_pandas(use_threads=len(table) > 10_000)
    # Columns change in their places: pandas takes far longer to insert one.
    for name, place in lists.items():
        frame.isetitem(place, pd.Series(list_reasons(table[name]), dtype=object).array)
    for place in flags.values():
        frame.isetitem(place, frame.iloc[:, place].astype("boolean").array)
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
    """Convert predictions of a data frame to a table of the types in which they are made."""
    return pa.Table.from_pandas(predictions, schema=CODED_SCHEMA, preserve_index=False).replace_schema_metadata()


def list_reasons(column: pa.ChunkedArray) -> list[list[dict[str, object]]]:
    """List the reasons of each row as dicts, without the facts that a reason lacks."""
    lists = column.combine_chunks()
    facts = [list_cells(of_all) for of_all in lists.values.flatten()]
    names = [fact.name for fact in lists.type.value_type]
    reasons = [
        {name: value for name, value in zip(names, reason, strict=True) if value is not None}
        for reason in zip(*facts, strict=True)
    ]
    return [reasons[begin:end] for begin, end in pairwise(lists.offsets.to_pylist())]


def list_cells(column: pa.Array | pa.ChunkedArray) -> list[object]:
    """List the cells of a column; texts of a dictionary are read once."""
    if not pa.types.is_dictionary(column.type):
        cells: list[object] = column.to_pylist()
        return cells
    joined = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    words = joined.dictionary.to_pylist()
    return [None if place is None else words[place] for place in joined.indices.to_pylist()]
