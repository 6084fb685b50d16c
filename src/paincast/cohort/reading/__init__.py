"""Read files of patients in batches; every row keeps its position in the file.

``files.py`` opens and reads a file of any format, ``formats.py`` lists the formats by suffix, ``parquet.py`` and
``delimited.py`` decode them (``arrow_columns.py``, ``text.py``, ``lines.py`` and ``header.py`` help), ``names.py`` and
``rows.py`` hold the rules on columns and rows, ``types.py`` what a decoder hands over.
"""
