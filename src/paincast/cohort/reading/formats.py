"""File formats by suffix. To add a format, write a decoder in a new module and register it here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from paincast.cohort.reading.binary import parquet, workbook
from paincast.cohort.reading.binary.statistical import make_statistical_format
from paincast.cohort.reading.text.delimited import make_text_format
from paincast.cohort.reading.types import FileFormat

WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")

FORMATS: Mapping[str, FileFormat] = MappingProxyType(
    {
        ".csv": make_text_format(","),
        **dict.fromkeys((".tsv", ".txt"), make_text_format("\t")),
        **dict.fromkeys(
            (".parquet", ".pq"), FileFormat(parquet.decode_parquet, parquet.count_rows, parquet.list_integers)
        ),
        **dict.fromkeys(WORKBOOKS, FileFormat(workbook.decode_workbook, workbook.count_rows)),
        **dict.fromkeys((".sav", ".zsav"), make_statistical_format("read_sav")),
        ".por": make_statistical_format("read_por"),
        ".dta": make_statistical_format("read_dta"),
    }
)
