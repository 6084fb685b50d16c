"""Assess conditions on the columns of patients: true, false, or unknown where it depends on unknown values."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.scoring.patients import Patients

BoolArray = npt.NDArray[np.bool_]


class Truth(NamedTuple):
    """Whether something holds for each patient, and whether that is unknown; where it is unknown it does not hold."""

    holds: BoolArray
    unknown: BoolArray


def assess(condition: Mapping[str, Any], patients: Patients) -> Truth:
    """Assess a condition for each patient (Kleene logic).

    Parameters
    ----------
    condition : mapping
        ``{column, is | at_least | below | any_of}``, or ``{any | all: [conditions]}``.
    patients : Patients
        Patients, n of them; an absent column is unknown.

    Returns
    -------
    Truth
        Arrays of shape (n,).
    """
    if "column" in condition:
        return _compare(condition, patients)
    [(combination, parts)] = condition.items()
    truths = [assess(part, patients) for part in parts]
    holds = np.logical_or if combination == "any" else np.logical_and
    settled = holds.reduce([truth.holds for truth in truths])
    possible = holds.reduce([truth.holds | truth.unknown for truth in truths])
    return Truth(settled, possible & ~settled)


class Frozen(NamedTuple):
    """A condition, and the same as a key, so that patients of whom several models ask it are assessed once."""

    condition: Mapping[str, Any]
    key: Hashable


def freeze(condition: Mapping[str, Any]) -> Frozen:
    """Give a condition its key."""
    return Frozen(condition, json.dumps(condition, sort_keys=True))


def assess_frozen(frozen: Frozen, patients: Patients) -> tuple[Truth, npt.NDArray[np.int64]]:
    """Assess a condition once for the same patients; also as a code: 0 does not hold, 1 holds, 2 is unknown."""
    known = patients.truths.get(frozen.key)
    if known is None:
        part = patients.part
        if part is None:
            truth = assess(frozen.condition, patients)
            known = truth, truth.holds + 2 * truth.unknown.astype(np.int64)
        else:
            truth, code = assess_frozen(frozen, part.whole)
            known = Truth(truth.holds[part.rows], truth.unknown[part.rows]), code[part.rows]
        patients.truths[frozen.key] = known
    found: tuple[Truth, npt.NDArray[np.int64]] = known
    return found


def list_columns(condition: Mapping[str, Any]) -> list[str]:
    """List the columns of a condition, each once."""
    if "column" in condition:
        return [condition["column"]]
    [parts] = condition.values()
    return list(dict.fromkeys(name for part in parts for name in list_columns(part)))


def _compare(condition: Mapping[str, Any], patients: Patients) -> Truth:
    name = condition["column"]
    [(operation, value)] = ((key, of) for key, of in condition.items() if key != "column")
    if operation == "any_of":
        value = tuple(value)
    return Truth(
        patients.keep((operation, name, value), lambda whole: _hold(operation, value, name, whole)),
        patients.missing(name),
    )


def _hold(operation: str, value: Any, name: str, patients: Patients) -> BoolArray:
    if operation == "any_of":
        return np.asarray(patients.codes(name, value) < len(value))
    numbers = patients.numbers(name)
    with np.errstate(invalid="ignore"):
        if operation == "is":
            return np.asarray(numbers == float(value))
        return np.asarray(numbers >= value if operation == "at_least" else numbers < value)
