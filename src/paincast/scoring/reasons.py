"""Make columns that hold a list of reasons for each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from paincast.scoring.arrays import to_arrow
from paincast.scoring.number_texts import NumberTexts
from paincast.scoring.patients import Patients

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

DIGITS = 6
"""Decimals of the size of a reason."""

SIZES = ("log_odds", "points")
REASON = pa.struct([("variable", pa.string()), ("value", pa.string()), *((unit, pa.float64()) for unit in SIZES)])
REASONS = pa.list_(REASON)
WORDED_REASON = pa.struct(
    [
        field.with_type(pa.dictionary(pa.int32(), pa.string())) if pa.types.is_string(field.type) else field
        for field in REASON
    ]
)
"""A reason as it is made: few texts, each there once."""


class Worded(Protocol):
    """A variable of which a reason speaks: its column, the levels of a coded one, and how each is written."""

    @property
    def name(self) -> str:
        """Column of ``episodes``."""

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels of a category or yes/no; empty for a number."""

    @property
    def words(self) -> tuple[str, ...]:
        """How each level is written."""


def list_reasons(
    variables: Sequence[Worded],
    patients: Patients,
    terms: npt.NDArray[np.int16],
    sizes: FloatArray,
    *,
    unit: str,
    texts: NumberTexts,
) -> pa.Array:
    """List the strongest contributions of each patient with the values that make them.

    Parameters
    ----------
    variables : sequence of Worded
        Variables of the model.
    patients : Patients
        Patients, n of them.
    terms : ndarray of int, shape (n, most)
        Which variables contribute; -1 for none.
    sizes : ndarray of shape (n, most)
        Contributions.
    unit : {"log_odds", "points"}
        Their unit.
    texts : NumberTexts
        Writes numbers.

    Returns
    -------
    pyarrow.ListArray of length n
    """
    told = terms >= 0
    rows = np.repeat(np.arange(len(terms)), told.sum(axis=1))
    return _make_lists(
        told.sum(axis=1),
        [variable.name for variable in variables],
        terms[told],
        _write_values(variables, patients, rows, terms[told], texts),
        np.round(sizes[told], DIGITS),
        unit,
    )


def list_missing(
    names: Sequence[str], reach: FloatArray, patients: Patients, answered: BoolArray, *, unit: str, most: int
) -> pa.Array:
    """List the unknown values of each patient, with how wide the contribution is that each could have.

    Parameters
    ----------
    names : sequence of str
        Columns, the widest first.
    reach : ndarray of shape (n_names,) or (n, n_names)
        Half the width of the contribution.
    patients : Patients
        Patients, n of them.
    answered : ndarray of bool, shape (n,)
        Patients who are told.
    unit : {"log_odds", "points"}
        Unit of the reach.
    most : int
        Most values listed of a patient.
    """
    n = len(patients)
    listed = np.zeros((n, len(names)), dtype=np.bool_)
    for place, name in enumerate(names):
        listed[:, place] = patients.missing(name) & answered
    counts = listed.sum(axis=1)
    many = np.flatnonzero(counts > most)
    listed[many] &= np.cumsum(listed[many], axis=1) <= most
    counts[many] = most
    places = np.nonzero(listed)
    sizes = np.broadcast_to(reach, (n, len(names)))[places]
    return _make_lists(counts, names, places[1], None, np.round(sizes, DIGITS), unit)


def _make_lists(
    counts: npt.NDArray[np.integer],
    names: Sequence[str],
    places: npt.NDArray[np.integer],
    values: pa.Array | None,
    sizes: FloatArray,
    unit: str,
) -> pa.Array:
    variables = pa.DictionaryArray.from_arrays(to_arrow(places.astype(np.int32)), pa.array(list(names), pa.string()))
    known = {"variable": variables, unit: to_arrow(sizes)} | ({} if values is None else {"value": values})
    filled = [known.get(field.name, pa.nulls(len(places), field.type)) for field in WORDED_REASON]
    offsets = np.zeros(len(counts) + 1, dtype=np.int32)
    np.cumsum(counts, out=offsets[1:])
    return pa.ListArray.from_arrays(to_arrow(offsets), pa.StructArray.from_arrays(filled, fields=list(WORDED_REASON)))


def _write_values(
    variables: Sequence[Worded],
    patients: Patients,
    rows: npt.NDArray[np.integer],
    places: npt.NDArray[np.integer],
    texts: NumberTexts,
) -> pa.Array:
    """Write the value of each contribution."""
    words: list[str] = []
    codes = np.empty(len(rows), dtype=np.int32)
    order = np.argsort(places, kind="stable")
    bounds = np.searchsorted(places[order], np.arange(len(variables) + 1))
    for variable, begin, end in zip(variables, bounds[:-1], bounds[1:], strict=True):
        if begin == end:
            continue
        chosen = order[begin:end]
        if variable.levels:
            found, written = patients.codes(variable.name, variable.levels)[rows[chosen]], list(variable.words)
        else:
            found, written = texts.write(variable.name, patients.numbers(variable.name)[rows[chosen]])
        codes[chosen] = found + len(words)
        words += written
    return pa.DictionaryArray.from_arrays(to_arrow(codes), pa.array(words, pa.string()))
