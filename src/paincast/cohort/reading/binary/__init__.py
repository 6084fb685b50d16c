"""Decode formats that are not text: Parquet, workbooks, and files of SPSS and Stata."""
