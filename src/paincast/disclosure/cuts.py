"""Choose cuts of a scale (predictions, months) so that no group between two cuts discloses small counts."""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from paincast.schema import MINIMUM_CELL

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

ReleaseRule = Callable[[BoolArray | slice], bool]
"""Function that decides whether the results of a group of rows may be released."""


def make_release_rule(
    patients: npt.ArrayLike, outcome: npt.ArrayLike | None = None, *, minimum: int = MINIMUM_CELL
) -> ReleaseRule:
    """Make the rule that a group may be released if enough patients have the outcome and enough do not.

    Parameters
    ----------
    patients : array-like of shape (n,)
        Patient of each row.
    outcome : array-like of shape (n,), optional
        0 or 1; without it the rule only requires enough patients.
    minimum : int
        Minimum number of patients.

    Examples
    --------
    >>> is_releasable = make_release_rule(range(12), [1] * 6 + [0] * 6)
    >>> is_releasable(slice(0, 12)), is_releasable(slice(0, 9))
    (True, False)
    """
    patient = np.asarray(patients)
    occurred = None if outcome is None else np.asarray(outcome, dtype=float) == 1

    def is_releasable(rows: BoolArray | slice) -> bool:
        n = len(np.unique(patient[rows]))
        if occurred is None:
            return n >= minimum
        n_with = len(np.unique(patient[rows][occurred[rows]]))
        return min(n_with, n - n_with) >= minimum

    return is_releasable


def merge_bins(starts: IntArray, n: int, is_releasable: Callable[[slice], bool]) -> IntArray:
    """Merge bins of sorted rows with their neighbours until each may be released.

    Parameters
    ----------
    starts : ndarray of shape (n_bins,)
        First row of each bin, ascending from 0.
    n : int
        Number of rows.
    is_releasable : callable
        From :func:`make_release_rule`, for the rows in the same order.

    Returns
    -------
    ndarray of shape (n_merged,)
        First row of each bin; empty if not even all rows together may be released.

    Examples
    --------
    >>> rule = make_release_rule(range(30), [1] * 5 + [0] * 10 + [1] * 8 + [0] * 7)
    >>> merge_bins(np.array([0, 10, 20]), 30, rule).tolist()
    [0, 10]
    """
    kept = [0]
    for start in starts[1:]:
        if is_releasable(slice(kept[-1], int(start))):
            kept.append(int(start))
    while kept and not is_releasable(slice(kept[-1], n)):
        kept.pop()
    return np.array(kept, dtype=np.int64)


def choose_cuts(
    values: FloatArray, candidates: Iterable[float], is_releasable: ReleaseRule, *, told: Iterable[float] = ()
) -> list[float]:
    """Choose the cuts that may be released in addition to those already released.

    The counts above two cuts disclose the counts between them (disclosure by differencing). A cut is therefore chosen
    only if both parts of the group that it splits may be released, or the whole group lies on one side.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Value of each row; a cut separates lower values from the others.
    candidates : iterable of float
        Requested cuts, in decreasing priority.
    is_releasable : callable
        From :func:`make_release_rule`.
    told : iterable of float
        Cuts already released in other tables of the same rows.

    Returns
    -------
    list of float
        In the order of the candidates.

    Examples
    --------
    >>> values = np.arange(20.0)
    >>> choose_cuts(values, [3.0, 8.0, 10.0, 15.0, 99.0], make_release_rule(range(20)))
    [8.0, 15.0, 99.0]
    """
    cuts, chosen = sorted({-np.inf, np.inf, *told}), []
    for cut in candidates:
        position = bisect(cuts, cut)
        low, high = cuts[position - 1], cuts[position]
        parts = [(values >= low) & (values < cut), (values >= cut) & (values < high)]
        if not parts[0].any() or not parts[1].any() or all(is_releasable(part) for part in parts):
            chosen.append(cut)
            insort(cuts, cut)
    return chosen
