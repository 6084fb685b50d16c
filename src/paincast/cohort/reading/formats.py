"""File formats by suffix. To add a format, write a decoder in a new module and register it here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from paincast.cohort.reading.binary.parquet import count_rows, decode_parquet
from paincast.cohort.reading.text.delimited import make_text_format
from paincast.cohort.reading.types import FileFormat

FORMATS: Mapping[str, FileFormat] = MappingProxyType(
    {
        ".csv": make_text_format(","),
        **dict.fromkeys((".tsv", ".txt"), make_text_format("\t")),
        **dict.fromkeys((".parquet", ".pq"), FileFormat(decode_parquet, count_rows)),
    }
)
