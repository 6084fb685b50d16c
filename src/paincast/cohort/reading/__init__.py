"""Read files of patients in batches; every row keeps its position in the file.

``files.py`` opens and reads a file of any format, ``formats.py`` lists the formats by suffix, ``text/`` and ``binary/``
decode them, ``header.py``, ``names.py`` and ``rows.py`` hold the rules on headers, columns and rows, ``types.py`` what
a decoder is told and hands over.
"""
