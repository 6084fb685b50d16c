"""The formats of files of patients by suffix: a further one is a decoder in a module of its own and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from paincast.cohort.reading.delimited import make_text_format
from paincast.cohort.reading.parquet import count_rows, decode_parquet
from paincast.cohort.reading.types import FileFormat

FORMATS: Mapping[str, FileFormat] = MappingProxyType(
    {
        ".csv": make_text_format(","),
        **dict.fromkeys((".tsv", ".txt"), make_text_format("\t")),
        **dict.fromkeys((".parquet", ".pq"), FileFormat(decode_parquet, count_rows)),
    }
)
