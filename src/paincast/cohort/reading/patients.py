"""Read patients from data frames, Arrow tables, dicts or files as rows of raw columns with their positions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from paincast.cohort.checking import IDS, take_columns
from paincast.cohort.numerals import NumberStyle
from paincast.cohort.reading.batches import concat_rows, to_frame
from paincast.cohort.reading.files import open_table
from paincast.cohort.reading.formats import FORMATS
from paincast.cohort.reading.labels import spell_out
from paincast.cohort.reading.names import clean_name, match_case
from paincast.cohort.rejects import Extent, gather_rejects
from paincast.cohort.survey import WholeColumns, decide, survey_marks
from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.errors import DataError
from paincast.schema import EPISODES, Column

ACCEPTED = (
    "a pandas or polars DataFrame, an Arrow table, a list of dicts (one for each patient), a dict, or the path of a "
    f"file ({', '.join(FORMATS)})"
)
"""Accepted forms of a table of patients, for messages."""

WHOLE_FILE = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class PatientRows:
    """Raw rows of patients.

    Parameters
    ----------
    rows : DataFrame or pyarrow.Table of shape (n, ...)
        Raw columns: a table from a file, a data frame with the caller's index from anything else.
    places : ndarray of int, shape (n,)
        Position of each row in its source, counted from 1.
    rejects : DataFrame with columns table, file, row, column, rule, allowed, action, optional
        What the reader has already left out, without values.
    others : tuple of str
        Names of columns that were not read because they are not in the contract.
    style : NumberStyle, optional
        How the numbers of a file are written; None if the rows do not come from a file.
    whole : WholeColumns, optional
        What is decided of the whole file, where the rows are a part of it.
    apart : ndarray of bool, shape (n,), optional
        Rows that are duplicates because of rows elsewhere in the file.
    remarks : tuple of str
        What the user should know about how a file is read.
    extents : tuple of Extent
        Where the positions of each file begin.
    """

    rows: pd.DataFrame | pa.Table
    places: npt.NDArray[np.int64]
    rejects: pd.DataFrame | None = None
    others: tuple[str, ...] = ()
    style: NumberStyle | None = None
    whole: WholeColumns | None = None
    apart: npt.NDArray[np.bool_] | None = None
    remarks: tuple[str, ...] = ()
    extents: tuple[Extent, ...] = ()

    @property
    def index(self) -> pd.Index:
        """Labels of the rows: the caller's; those of a file count from 0."""
        return pd.Index(self.places - 1) if isinstance(self.rows, pa.Table) else self.rows.index


def read_patients(patients: object, *, contract: Contract = BUILT_IN) -> PatientRows:
    """Read patients from any accepted form.

    Parameters
    ----------
    patients : DataFrame, Series, Arrow table, sequence of mapping, mapping, str, Path or PatientRows
        A table with a row for each patient: a pandas object, any object with the Arrow stream interface (polars,
        pyarrow, DuckDB), a list of dicts, a dict for a single patient or with a list for each column, or a file.
    contract : Contract
        Declares the columns that are read from a file.

    Returns
    -------
    PatientRows

    Raises
    ------
    DataError
        If the input has another form, or a file cannot be read.

    Examples
    --------
    >>> read_patients({"pain_nrs": 7, "indication": "lumbar_facet"}).rows.to_pylist()
    [{'pain_nrs': 7, 'indication': 'lumbar_facet'}]
    """
    if isinstance(patients, PatientRows):
        return patients
    if isinstance(patients, (str, os.PathLike)):
        return _read_file(patients, contract)
    rows = _read_record(patients, contract.episodes)
    if rows is None:
        rows = _to_frame(patients)
    return PatientRows(rows=rows, places=np.arange(1, len(rows) + 1))


_PLAIN = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), type(None): pa.null()}
"""Types of plain cells."""


def _read_record(patients: object, columns: Mapping[str, Column]) -> pa.Table | None:
    """Read one patient whose cells are plain; None for anything else, which takes a data frame."""
    record = patients[0] if isinstance(patients, list) and len(patients) == 1 else patients
    if not isinstance(record, dict) or not record or not all(type(cell) in _PLAIN for cell in record.values()):
        return None
    names = match_case([clean_name(str(name)) for name in record], columns)
    if len({*names}) < len(names):
        return None
    try:
        cells = [pa.array([cell], _PLAIN[type(cell)], from_pandas=True) for cell in record.values()]
    except (pa.ArrowException, OverflowError, UnicodeError):
        return None
    return pa.table(cells, names=list(names))


def _to_frame(patients: object) -> pd.DataFrame:
    if isinstance(patients, pd.DataFrame):
        return patients
    if isinstance(patients, pd.Series):
        return patients.to_frame().T
    try:
        if isinstance(patients, (pa.Table, pa.RecordBatch)) or hasattr(patients, "__arrow_c_stream__"):
            # Keep integers when values are missing: as floats, long ids would lose digits.
            return pd.DataFrame(pa.table(patients).to_pandas(integer_object_nulls=True))
        if isinstance(patients, Mapping):
            return _from_dict(patients)
        if isinstance(patients, Sequence) and all(isinstance(patient, Mapping) for patient in patients):
            return pd.DataFrame(list(patients)) if patients else pd.DataFrame(columns=list(EPISODES))
    except (ValueError, TypeError, pa.ArrowException) as error:
        # The message of the cause could contain a patient's value.
        raise DataError(
            f"patients could not be read as a table ({type(error).__name__}); accepted: {ACCEPTED}",
            code="PC-READING-18",
        ) from None
    package, name = type(patients).__module__.partition(".")[0], type(patients).__name__
    raise DataError(f"patients cannot be a {package}.{name}; accepted: {ACCEPTED}", code="PC-READING-19")


def _from_dict(patients: Mapping[Any, Any]) -> pd.DataFrame:
    are_columns = [pd.api.types.is_list_like(value) for value in patients.values()]
    return pd.DataFrame(dict(patients)) if are_columns and all(are_columns) else pd.DataFrame([dict(patients)])


def _read_file(path: str | os.PathLike[str], contract: Contract) -> PatientRows:
    columns = contract.episodes
    reading: dict[str, Any] = {"used": columns, "any_case": True, "verbatim": IDS, "table": "episodes"}
    with open_table(os.fspath(path), batch_rows=WHOLE_FILE, **reading) as opened:
        batches = list(opened.batches)
    tables = [batch.rows for batch in batches if len(batch.places)]
    places = np.concatenate([np.empty(0, dtype=np.int64), *(batch.places for batch in batches)])
    rows = concat_rows(tables) if tables else pa.table({name: pa.nulls(0, pa.string()) for name in opened.columns})
    marks = survey_marks(take_columns(rows, columns), columns)
    style = decide(marks, columns, opened.dialect.separator).style
    if opened.labels:
        rows = spell_out(to_frame(rows), opened.labels, columns).set_axis(pd.Index(places - 1), axis="index")
    return PatientRows(
        rows=rows,
        places=places,
        rejects=gather_rejects([batch.rejects for batch in batches]),
        others=tuple(name for name in opened.columns if name not in columns),
        style=style,
        remarks=tuple(opened.remarks),
        extents=tuple(opened.extents),
    )
