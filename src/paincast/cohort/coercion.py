"""Text as registries write it, turned into the types of the contract; what cannot be turned is pointed at."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

MISSING_MARKERS = frozenset({"", "NA", "N/A", "NaN", "nan", "<NA>", "None", "NULL", "null", "<undefined>"})
"""Cell texts that mean "no value" in every source; a mapping may add its own."""

_TRUTHS = {
    **dict.fromkeys(("true", "yes", "y", "t", "1", "1.0"), True),
    **dict.fromkeys(("false", "no", "n", "f", "0", "0.0"), False),
}
_LARGEST_EXACT_WHOLE = 2.0**53
_WHOLE = re.compile(r"^(-?\d+)\.0+$")


def to_text(column: pd.Series) -> pd.Series:
    """Give a column as trimmed text; missing markers become missing, and whole floats lose their ``.0``.

    Parameters
    ----------
    column : Series
        Any dtype.

    Returns
    -------
    Series of dtype str
        NaN where there is no value.

    Examples
    --------
    >>> to_text(pd.Series([1.0, 2.5, None])).tolist()
    ['1', '2.5', nan]
    """
    if pd.api.types.is_float_dtype(column.dtype):
        column = _whole_floats_as_integers(column)
    text = column.astype("str").str.strip()
    return text.mask(text.isin(MISSING_MARKERS))


def _whole_floats_as_integers(column: pd.Series) -> pd.Series:
    values = column.astype("float64")
    whole = (values % 1 == 0) & (values.abs() <= _LARGEST_EXACT_WHOLE)
    as_text = values.astype("str")
    as_text[whole] = values[whole].astype("int64").astype("str")
    return as_text


def to_numbers(column: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Read a column as finite numbers.

    Parameters
    ----------
    column : Series
        Any dtype.

    Returns
    -------
    numbers : Series of dtype float64
        NaN where there is no number.
    failed : Series of bool
        Where there was a value and it is not a finite number.
    """
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        numbers, present = column.astype("float64"), column.notna()
    else:
        text = to_text(column)
        numbers, present = pd.to_numeric(text, errors="coerce").astype("float64"), text.notna()
    numbers = numbers.where(np.isfinite(numbers))
    return numbers, present & numbers.isna()


def to_booleans(column: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Read a column as true or false.

    Parameters
    ----------
    column : Series
        Any dtype.

    Returns
    -------
    booleans : Series of dtype boolean
        Missing where there is no value.
    failed : Series of bool
        Where there was a value and it is neither true nor false.
    """
    text = to_text(column)
    booleans = text.str.lower().map(_TRUTHS).astype("boolean")
    return booleans, text.notna() & booleans.isna()


def to_code(text: str) -> str:
    """Give a code in the one form in which codes are compared: single spaces, whole numbers without ``.0``.

    Examples
    --------
    >>> to_code("  2.0 "), to_code(" no  surgery")
    ('2', 'no surgery')
    """
    return _WHOLE.sub(r"\1", " ".join(text.split()))
