"""Rows of a file by the distinct texts of each column, so that a text is read once and not row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.reading.batches import Batch
from paincast.cohort.reading.files import to_texts

BoolArray = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]

MOST_REMEMBERED = 5000
"""Most distinct texts of a column that are remembered from batch to batch."""


class Coded(NamedTuple):
    """A column: the distinct texts and the position of each row's among them.

    ``n_remembered`` is the number of texts in the vocabulary of the column, which only grows; None if the texts are
    those of this batch alone.
    """

    codes: Codes
    words: pa.Array
    n_remembered: int | None

    def spell_out(self) -> pd.Series:
        """Return the text of each row."""
        return pd.Series(self.words.take(pa.array(self.codes)).to_pandas(), dtype="str")


class Rows(NamedTuple):
    """Rows of a file: its columns, and the position of each row."""

    columns: Mapping[str, Coded]
    places: npt.NDArray[np.int64]

    def select(self, kept: BoolArray) -> Rows:
        """Return the rows where ``kept`` is true."""
        if kept.all():
            return self
        columns = {name: coded._replace(codes=coded.codes[kept]) for name, coded in self.columns.items()}
        return Rows(columns, self.places[kept])


class Vocabulary:
    """The distinct texts of each column, remembered from batch to batch as long as they are few."""

    def __init__(self) -> None:
        self.known: dict[str, pa.Array | None] = {}

    def encode(self, batch: Batch) -> Rows:
        """Encode the columns of a batch."""
        names = batch.rows.column_names
        columns = {name: self._encode_column(name, batch.rows.column(name)) for name in names}
        return Rows(columns, batch.places)

    def _encode_column(self, name: str, column: pa.ChunkedArray) -> Coded:
        codes, words = encode_texts(column)
        known = self.known.setdefault(name, pa.array([], pa.string()))
        if known is None:
            return Coded(codes, words, None)
        places = pc.index_in(words, value_set=known)
        if places.null_count:
            known = pa.concat_arrays([known, pc.unique(words.filter(places.is_null()))])
            places = pc.index_in(words, value_set=known)
        if len(known) > MOST_REMEMBERED:
            self.known[name] = None
            return Coded(codes, words, None)
        self.known[name] = known
        return Coded(places.to_numpy(zero_copy_only=False).astype(np.int64)[codes], known, len(known))


def encode_texts(column: pa.ChunkedArray) -> tuple[Codes, pa.Array]:
    """Return the position of each row's text among the distinct texts of a column; no value is an empty text."""
    joined = pa.chunked_array([column.combine_chunks()]) if column.num_chunks != 1 else column
    encoded = joined.unify_dictionaries() if pa.types.is_dictionary(joined.type) else joined.dictionary_encode()
    array = encoded.combine_chunks() if encoded.num_chunks != 1 else encoded.chunk(0)
    words, indices = _spell(array.dictionary), array.indices
    if indices.null_count:
        indices, words = indices.fill_null(len(words)), pa.concat_arrays([words, pa.array([""])])
    return indices.to_numpy(zero_copy_only=False).astype(np.int64), words


def _spell(values: pa.Array) -> pa.Array:
    if pa.types.is_string(values.type):
        return values.fill_null("")
    batch = Batch(pa.table({"": values}), np.arange(len(values), dtype=np.int64), pd.DataFrame())
    return pa.array(to_texts(batch)[""].tolist(), pa.string())
