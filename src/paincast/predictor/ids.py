"""Give each prediction the ids of its patient as they were given: integers as integers, text as it was written."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from paincast.cohort.coercion import is_missing_word, to_text
from paincast.cohort.reading.batches import to_frame
from paincast.cohort.reading.patients import PatientRows
from paincast.cohort.validate import match_columns
from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd

ID_COLUMNS = ("episode_id", "patient_id")


FEW_IDS = 100
"""Most ids that are looked at one by one, which spares the functions for columns."""


def restore_ids(predictions: pd.DataFrame, patients: PatientRows, contract: Contract = BUILT_IN) -> pd.DataFrame:
    """Replace the ids of predictions, which are trimmed text, by those that were given.

    A column of integers without a gap stays one of integers. In any other column, text is returned as it was given and
    everything else as text; an absent id is made as by :func:`paincast.cohort.validate.validate_patients`, for which
    the whole column is text.

    Parameters
    ----------
    predictions : DataFrame of shape (m, ...)
        Indexed by row number of the patient.
    patients : PatientRows
        The patients as they were read.
    contract : Contract
        Declares the columns of patients.

    Returns
    -------
    DataFrame of shape (m, ...)
    """
    rows = patients.rows
    if isinstance(rows, pa.Table) and not set(rows.column_names) & set(ID_COLUMNS):  # all ids were made
        return predictions
    positions = pd.Index(patients.places).get_indexer(predictions.index)
    if (positions < 0).any():  # the reader of a file left the row out, and its ids with it
        return predictions
    ids = _list_ids(patients, contract)
    return predictions.assign(
        **{name: column.take(positions).set_axis(predictions.index) for name, column in ids.items()}
    )


def list_ids(patients: PatientRows, contract: Contract = BUILT_IN) -> dict[str, list[object]]:
    """List the ids of all patients as :func:`restore_ids` gives them back, by column; ``row-1`` where there is none."""
    rows = patients.rows
    if isinstance(rows, pa.Table) and "episode_id" in rows.column_names:
        plain = {name: _list_plain(rows[name]) for name in ID_COLUMNS if name in rows.column_names}
        if all(ids is not None for ids in plain.values()):
            episode_ids = plain["episode_id"] or []
            return {name: plain.get(name) or episode_ids for name in ID_COLUMNS}
    return {name: ids.tolist() for name, ids in _list_ids(patients, contract).items()}


def _list_plain(column: pa.ChunkedArray) -> list[object] | None:
    """List a column of ids that are given back as they are; None where a closer look is needed."""
    ids: list[object] = column.to_pylist()
    if pa.types.is_integer(column.type) and not column.null_count:
        return ids
    return ids if all(isinstance(cell, str) and _is_plain(cell) for cell in ids) else None


def _list_ids(patients: PatientRows, contract: Contract) -> dict[str, pd.Series]:
    """List the ids of all patients, numbered from 0, by column."""
    columns = {name: column for name, column in contract.episodes.items() if name in ID_COLUMNS}
    rows = patients.rows
    if isinstance(rows, pa.Table):
        names = [name for name in rows.column_names if name in columns]
        frame = to_frame(rows.select(names)) if names else pd.DataFrame(index=range(len(patients.places)))
    else:
        frame = match_columns(rows, columns).reset_index(drop=True)
    listed: dict[str, pd.Series] = {}
    ids = pd.Series([f"row-{place}" for place in patients.places.tolist()], index=frame.index, dtype="str")
    for name in ID_COLUMNS:
        listed[name] = ids = _keep(frame[name], ids) if name in frame else ids
    return listed


def _keep(given: pd.Series, made: pd.Series) -> pd.Series:
    """Keep a column of ids as it was given; where there is none, take the one that was made."""
    if len(given) <= FEW_IDS and all(isinstance(cell, str) and _is_plain(cell) for cell in given):
        return given.astype("str")
    whole = given.infer_objects() if given.dtype == object else given
    if pd.api.types.is_integer_dtype(whole.dtype) and not whole.isna().any():
        return whole
    text = to_text(given)
    is_written = np.fromiter((isinstance(cell, str) for cell in given), dtype=bool, count=len(given))
    return text.mask(is_written & text.notna(), given.astype("str")).fillna(made.astype("str"))


def _is_plain(cell: str) -> bool:
    return cell.isascii() and not is_missing_word(cell)
