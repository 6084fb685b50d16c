"""What a kind of binary response model has to give, and a candidate: a kind with its tuning parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from paincast.models.calibration.calibrated import BinaryModel
from paincast.settings import ModelSettings

if TYPE_CHECKING:
    import optuna

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A kind of model with its tuning parameters."""

    kind: str
    parameters: dict[str, Any]

    @property
    def label(self) -> str:
        """Say in a few words what the candidate is."""
        given = {name: value for name, value in self.parameters.items() if value is not None}
        return f"{self.kind} (" + ", ".join(f"{name}={value:.4g}" for name, value in given.items()) + ")"

    @property
    def is_average(self) -> bool:
        """Tell whether it stands for an average of others."""
        return "averaged" in self.parameters


class ListParameters(Protocol):
    """Gives the sets of parameters to compare, the simplest first."""

    def __call__(self, settings: ModelSettings, *, borrows: bool) -> Sequence[Mapping[str, Any]]:
        """Give the sets; ``borrows`` tells whether there is anything to shrink towards."""


class RoundModel(Protocol):
    """Rounds what a model of ``n`` real patients keeps of them, so that it counts nobody of a group of few."""

    def __call__(self, model: Any, flags: Sequence[bool], n: int) -> Any:
        """Give the rounded model; ``flags`` tells of each encoded column whether its mean is a share."""


@dataclass(frozen=True, kw_only=True)
class ModelKind:
    """A kind of binary response model, for the registry :data:`paincast.models.binary.kinds.KINDS`.

    Parameters
    ----------
    name : str
        As in ``model.candidates``.
    model_type : type
        A dataclass with ``linear_predictor``, ``contributions`` and ``recalibrate`` (:class:`BinaryModel`). Its fields
        are kept in the bundle as they are, unless ``write_file`` and ``read_file`` are given.
    fit : callable
        ``fit(matrix, outcome, *, parameters, rng, weights)`` gives a model. It takes ``spreads``, ``prior`` and
        ``directions`` as well where ``borrows``, and ``monotone`` where ``takes_monotone``.
    list_parameters : ListParameters
        What is compared by cross-validation or, where ``suggest`` is given, tried first.
    round_model : RoundModel
        Disclosure control of a model of real patients.
    native_missing : bool
        Whether it takes missing values (NaN) as they are; otherwise they are filled in and marked by columns.
    flexible : bool
        Whether it needs ``model.minimum_flexible`` episodes of the smaller class beside a kind that does not.
    borrows, takes_monotone : bool
        What ``fit`` takes beside the rows.
    average : callable, optional
        ``average(models, shares)``: several models as one; its candidates are then averaged.
    suggest : callable, optional
        ``suggest(trial)`` gives parameters; they are then searched for.
    write_file, read_file : callable, optional
        A model as bytes and back, for what is no plain data.
    require_library : callable, optional
        ``require_library(asked, listed)`` raises SettingsError where an optional library is not installed.
    """

    name: str
    model_type: type[BinaryModel]
    fit: Callable[..., BinaryModel]
    list_parameters: ListParameters
    round_model: RoundModel
    native_missing: bool = False
    flexible: bool = False
    borrows: bool = False
    takes_monotone: bool = False
    average: Callable[[Sequence[Any], FloatArray], BinaryModel] | None = None
    suggest: Callable[[optuna.Trial], dict[str, Any]] | None = None
    write_file: Callable[[Any], bytes] | None = None
    read_file: Callable[[bytes], BinaryModel] | None = None
    require_library: Callable[[str, str], None] | None = None

    def list_candidates(self, settings: ModelSettings, *, borrows: bool = False) -> tuple[Candidate, ...]:
        """Give the candidates that are listed in the settings, the simplest first."""
        return tuple(
            Candidate(kind=self.name, parameters=dict(one))
            for one in self.list_parameters(settings, borrows=borrows and self.borrows)
        )
