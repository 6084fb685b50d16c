"""What a linear model answers for patients: log odds, their uncertainty, distance from the training cohort, reasons.

Operations and their order are fixed, so that a patient gets the same digits alone, in any batch, compiled or not.
"""

from __future__ import annotations

import importlib
import sys
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.scoring.layout import LinearPlan
from paincast.scoring.linear_plain import score_numbers, score_plain, square_distance
from paincast.scoring.patients import Patients

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

COMPILED_FROM = 20_000
"""Fewest rows for which machine code is loaded, or made; once loaded it is used from two rows on."""

COMPILED = "paincast.scoring.linear_compiled"


class LinearScore(NamedTuple):
    """What a linear model says of n patients.

    ``log_odds`` and ``refitting``, the mean square distance of the draws from it; ``missing``, the variance of missing
    values; ``far``, a bit for each number that is far from the training mean; ``squared_distance`` of all numbers
    together; the terms and sizes of the strongest contributions ``upward`` and ``downward``, shape (n, most), where a
    term of -1 stands for none.
    """

    log_odds: FloatArray
    refitting: FloatArray
    missing: FloatArray
    far: npt.NDArray[np.uint64]
    squared_distance: FloatArray
    upward: npt.NDArray[np.int16]
    upward_sizes: FloatArray
    downward: npt.NDArray[np.int16]
    downward_sizes: FloatArray


def score_linear(
    plan: LinearPlan, patients: Patients, *, most: int = 3, with_draws: bool = True, compiled: bool | None = None
) -> LinearScore:
    """Score patients by a linear model.

    Parameters
    ----------
    plan : LinearPlan
        The model.
    patients : Patients
        Patients, n of them.
    most : int
        Most contributions told in either direction.
    with_draws : bool
        Whether the draws are scored; if not, ``refitting`` is missing and no contribution is told.
    compiled : bool, optional
        Whether to use machine code; by default from :data:`COMPILED_FROM` rows on, or where it is loaded.
    """
    numbers, codes = read_inputs(plan, patients)
    n = len(patients)
    if compiled is None:
        compiled = n >= COMPILED_FROM or (n > 1 and COMPILED in sys.modules)
    told = most if plan.shows_reasons and with_draws else 0
    if compiled:
        from paincast.scoring.linear_compiled import score_compiled

        layout = plan.layout if with_draws else plan.served_layout
        return LinearScore(*score_compiled(numbers, codes, layout, told))
    return LinearScore(*score_plain(numbers, codes, plan.stacked if with_draws else plan.served_stacked, told))


def load_machine_code(n: int) -> None:
    """Load machine code if it pays for n rows, which are scored block by block."""
    if n >= COMPILED_FROM:
        importlib.import_module(COMPILED)


def measure_distance(plan: LinearPlan, patients: Patients) -> tuple[BoolArray, FloatArray]:
    """Measure how far patients are from the training cohort, as :func:`score_linear` does.

    Returns
    -------
    far : ndarray of bool, shape (n_numbers, n)
    squared_distance : ndarray of shape (n,)
    """
    scores, _, far = score_numbers(_read_numbers(plan, patients), plan.layout)
    return unpack_far(far, len(plan.precision)), square_distance(scores, plan.layout.precision)


def unpack_far(far: npt.NDArray[np.uint64], n_numbers: int) -> BoolArray:
    """Unpack the bits of the numbers that are far, shape (n_numbers, n)."""
    places = np.arange(n_numbers, dtype=np.uint64)
    return np.asarray((far >> places[:, None]) & np.uint64(1) > 0)


def read_inputs(plan: LinearPlan, patients: Patients) -> tuple[FloatArray, npt.NDArray[np.int32]]:
    """Gather the numbers, shape (n_numbers, n), on their analysis scale, and the codes, shape (n_coded, n)."""
    codes = [patients.codes(term.name, term.levels) for term in plan.terms if term.levels]
    return _read_numbers(plan, patients), np.array(codes, dtype=np.int32).reshape(len(codes), len(patients))


def _read_numbers(plan: LinearPlan, patients: Patients) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        numbers = [
            np.log1p(patients.numbers(term.name)) if term.log_scale else patients.numbers(term.name)
            for term in plan.terms
            if not term.levels
        ]
    return np.array(numbers, dtype=np.float64).reshape(len(numbers), len(patients))
