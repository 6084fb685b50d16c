"""The registry of model kinds, the simplest first, and functions that fit, write and read a model of any kind.

To add a kind, write a module with a :class:`paincast.models.binary.model_kind.ModelKind`, list it here, and add its
name to :data:`paincast.settings.MODEL_KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from paincast.files.serialization import from_plain, to_plain
from paincast.models.binary.additive import EBM
from paincast.models.binary.boosting import BOOSTED_LINEAR, CONSTRAINED, XGBOOST, HeldOut
from paincast.models.binary.logistic import LOGISTIC
from paincast.models.binary.model_kind import Candidate, ModelKind
from paincast.models.calibration.calibrated import BinaryModel
from paincast.settings import ModelSettings
from paincast.splits import count_smaller_class

FloatArray = npt.NDArray[np.float64]

_ALL = (LOGISTIC, EBM, BOOSTED_LINEAR, XGBOOST)
KINDS: Mapping[str, ModelKind] = MappingProxyType({kind.name: kind for kind in _ALL})
"""Kinds by name, the simplest first: of two that predict equally well, the simpler is served."""


def find_kind(model: BinaryModel) -> ModelKind:
    """Find the kind of a fitted model.

    Raises
    ------
    TypeError
        If no kind makes such models.
    """
    for kind in KINDS.values():
        if isinstance(model, kind.model_type):
            return kind
    raise TypeError(f"a bundle cannot store a {type(model).__name__}")


def list_kinds(settings: ModelSettings) -> list[ModelKind]:
    """List the kinds that are compared, the simplest first; beside logistic models, trees carry on their average."""
    names = set(settings.candidates)
    if {LOGISTIC.name, XGBOOST.name} <= names:
        names = names - {XGBOOST.name} | {BOOSTED_LINEAR.name}
    return [kind for name, kind in KINDS.items() if name in names]


def keep_affordable(settings: ModelSettings, outcome: FloatArray) -> ModelSettings:
    """Exclude flexible kinds if the smaller class has too few episodes for them and a simpler kind is available.

    Flexible learners need many times more events than a logistic regression before their performance is stable [1]_;
    with few events, cross-validation selects one by chance too often.

    References
    ----------
    .. [1] van der Ploeg T et al. Modern modelling techniques are data hungry. BMC Med Res Methodol 2014;14:137.
       doi:10.1186/1471-2288-14-137
    """
    frugal = [name for name in settings.candidates if not KINDS[name].flexible]
    if not frugal or count_smaller_class(outcome) >= settings.minimum_flexible:
        return settings
    return replace(settings, candidates=frugal)


def fit_candidate(
    candidate: Candidate,
    matrix: FloatArray,
    outcome: FloatArray,
    rng: np.random.Generator,
    weights: FloatArray | None = None,
    *,
    spreads: FloatArray | None = None,
    prior: FloatArray | None = None,
    directions: FloatArray | None = None,
    monotone: tuple[int, ...] = (),
    linear: BinaryModel | None = None,
    held_out: HeldOut | None = None,
) -> BinaryModel:
    """Fit one candidate to an encoded matrix.

    Parameters
    ----------
    candidate : Candidate
        A kind with its parameters.
    matrix : ndarray of shape (n, n_encoded)
        Encoded episodes, with missing values only for a kind that accepts them.
    outcome : ndarray of shape (n,)
        0 or 1, both present.
    rng : numpy.random.Generator
        Source of random sampling.
    weights : ndarray of shape (n,), optional
        Weights of the rows.
    spreads, prior, directions : ndarray of shape (n_encoded,), optional
        As for :func:`paincast.models.binary.logistic.fit_logistic`, for kinds with ``borrows``.
    monotone : tuple of {-1, 0, 1}
        Direction imposed on each column, for kinds with ``takes_monotone``.
    linear : LinearModel, optional
        For kinds that carry it on.
    held_out : HeldOut, optional
        Rows by which the number of trees is found, for kinds whose parameters are searched for.
    """
    kind = KINDS[candidate.kind]
    given: dict[str, Any] = {}
    if kind.borrows:
        given |= {"spreads": spreads, "prior": prior, "directions": directions}
    if kind.takes_monotone:
        given["monotone"] = monotone if candidate.parameters.get(CONSTRAINED, True) else ()
    if kind.carries:
        given["linear"] = linear
    if held_out is not None:
        given["held_out"] = held_out
    return kind.fit(matrix, outcome, parameters=candidate.parameters, rng=rng, weights=weights, **given)


def write_model(model: BinaryModel) -> dict[str, Any]:
    """Return a model and its kind as plain data; for a model stored in a separate file, only the kind."""
    kind = find_kind(model)
    return {"kind": kind.name, **({} if kind.write_file else to_plain(model))}


def read_model(state: Mapping[str, Any], read_file: Callable[[], bytes]) -> BinaryModel:
    """Build a model from :func:`write_model`; ``read_file`` returns the bytes of its separate file, if it has one."""
    kind = KINDS[state["kind"]]
    model: BinaryModel = kind.read_file(read_file()) if kind.read_file else from_plain(state, kind.model_type)
    return model
