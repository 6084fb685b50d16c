"""Predictions to evaluate: outcomes, probabilities and patients, checked once and sorted by probability."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paincast.errors import DataError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

PROBABILITY_FLOOR = 1e-12
"""Nearest that a probability may come to 0 or 1 where its log odds are needed."""


@dataclass(frozen=True)
class Predictions:
    """Checked rows in ascending order of probability.

    Parameters
    ----------
    outcome : ndarray of shape (n,)
        0.0 or 1.0.
    probability : ndarray of shape (n,)
        As given.
    log_odds : ndarray of shape (n,)
        Log odds of the probability after it was kept :data:`PROBABILITY_FLOOR` away from 0 and 1.
    patient : ndarray of shape (n,)
        Patients numbered from 0.
    n_patients : int
        Number of different patients.
    n_clipped : int
        How many probabilities lay nearer to 0 or 1 than :data:`PROBABILITY_FLOOR`.
    tie_starts : ndarray of shape (n_distinct,)
        Place of the first row of each group of equal probabilities.
    """

    outcome: FloatArray
    probability: FloatArray
    log_odds: FloatArray
    patient: IntArray
    n_patients: int
    n_clipped: int
    tie_starts: IntArray

    @property
    def n(self) -> int:
        """Count the rows."""
        return len(self.outcome)

    @property
    def has_one_class(self) -> bool:
        """Return whether the outcome is the same in every row."""
        return bool(self.outcome.min() == self.outcome.max())


def check_predictions(outcome: Any, probability: Any, patients: Iterable[Any] | None = None) -> Predictions:
    """Check predictions and their outcomes, and sort them by probability.

    Parameters
    ----------
    outcome : array-like of shape (n,)
        0 or 1, or false and true.
    probability : array-like of shape (n,)
        From 0 to 1, ends included.
    patients : array-like of shape (n,), optional
        Who each row belongs to; by default each row is a patient.

    Returns
    -------
    Predictions
        The rows in ascending order of probability.

    Raises
    ------
    DataError
        If there are no rows, lengths differ, or a value is missing or not allowed.
    """
    outcomes = check_outcome(outcome)
    probabilities = check_probability(probability, n=len(outcomes))
    patient = check_patients(patients, n=len(outcomes))
    order = np.argsort(probabilities, kind="stable")
    ordered = probabilities[order]
    clipped = np.clip(ordered, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    return Predictions(
        outcome=outcomes[order],
        probability=ordered,
        log_odds=np.log(clipped) - np.log1p(-clipped),
        patient=patient[order],
        n_patients=int(patient.max()) + 1,
        n_clipped=int((clipped != ordered).sum()),
        tie_starts=find_tie_starts(ordered),
    )


def check_outcome(outcome: Any) -> FloatArray:
    """Check binary outcomes and give them as 0.0 and 1.0.

    Raises
    ------
    DataError
        If there are none, or one is missing or neither 0 nor 1.
    """
    values = _read_numbers("outcome", outcome, "0 or 1")
    if not len(values):
        raise DataError(
            "there are 0 rows to evaluate; give at least one row with a known outcome", code="PC-EVALUATION-13"
        )
    odd = int(((values != 0) & (values != 1)).sum())
    if odd:
        raise DataError(
            f"outcome: {odd} of {len(values)} values are not allowed; allowed: 0 or 1", code="PC-EVALUATION-14"
        )
    return values


def check_probability(probability: Any, *, n: int, name: str = "probability") -> FloatArray:
    """Check ``n`` probabilities.

    Raises
    ------
    DataError
        If the number differs, or one is missing or outside 0 to 1.
    """
    values = _read_numbers(name, probability, "a number from 0 to 1")
    _check_length(name, len(values), n)
    outside = int(((values < 0) | (values > 1)).sum())
    if outside:
        raise DataError(
            f"{name}: {outside} of {n} values are not allowed; allowed: 0 to 1; divide percent by 100",
            code="PC-EVALUATION-15",
        )
    return values


def check_patients(patients: Iterable[Any] | None, *, n: int) -> IntArray:
    """Return each of ``n`` rows the number of its patient, from 0; the order of the rows does not matter.

    Raises
    ------
    DataError
        If the number of rows differs or a patient is missing.
    """
    if patients is None:
        return np.arange(n, dtype=np.int64)
    codes, _ = pd.factorize(pd.Series(patients), sort=True)
    _check_length("patients", len(codes), n)
    missing = int((codes < 0).sum())
    if missing:
        raise DataError(
            f"patients: {missing} of {n} are missing; every row needs its patient, or leave patients out",
            code="PC-EVALUATION-16",
        )
    return codes.astype(np.int64)


def find_tie_starts(ordered: FloatArray) -> IntArray:
    """Return the place of the first of each group of equal values in an ordered array."""
    return np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))).astype(np.int64)


def _read_numbers(name: str, values: Any, allowed: str) -> FloatArray:
    try:
        numbers = pd.Series(values).to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(f"{name} does not hold numbers; allowed: {allowed}", code="PC-EVALUATION-17") from None
    missing = int((~np.isfinite(numbers)).sum())
    if missing:
        raise DataError(
            f"{name}: {missing} of {len(numbers)} values are missing or infinite; allowed: {allowed}; "
            "leave rows without it out and count them",
            code="PC-EVALUATION-18",
        )
    return numbers


def _check_length(name: str, got: int, expected: int) -> None:
    if got != expected:
        raise DataError(
            f"{name} has {got} rows, the outcome has {expected}; give one value for each row", code="PC-EVALUATION-19"
        )
