"""Define a kind of binary response model, and a candidate: a kind with its tuning parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from paincast.models.calibration.calibrated import BinaryModel
from paincast.settings import ModelSettings

if TYPE_CHECKING:
    import optuna

FloatArray = npt.NDArray[np.float64]


OVERALL_RISK: Mapping[str, Any] = MappingProxyType({"borrowed": 0.0, "strength": None, "l1_ratio": None})
"""Parameters of a logistic model without coefficients: nothing is shared and none is fitted."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A kind of model with its tuning parameters."""

    kind: str
    parameters: dict[str, Any]

    @property
    def label(self) -> str:
        """Describe the candidate in a few words."""
        if self.is_overall_risk:
            return "overall risk"
        given = {name: value for name, value in self.parameters.items() if value is not None}
        return f"{self.kind} (" + ", ".join(f"{name}={value:.4g}" for name, value in given.items()) + ")"

    @property
    def is_average(self) -> bool:
        """Whether the candidate is an average of others."""
        return "averaged" in self.parameters

    @property
    def is_overall_risk(self) -> bool:
        """Whether the candidate is the overall risk of the patients, the same for all."""
        return self.parameters == OVERALL_RISK


class ListParameters(Protocol):
    """Lists the sets of parameters to compare, the simplest first."""

    def __call__(self, settings: ModelSettings, *, borrows: bool) -> Sequence[Mapping[str, Any]]:
        """Return the sets; ``borrows`` states whether there are coefficients to shrink towards."""


class RoundModel(Protocol):
    """Rounds what a model stores about its ``n`` real patients, so that it does not disclose small counts."""

    def __call__(self, model: Any, flags: Sequence[bool], n: int) -> Any:
        """Return the rounded model; ``flags`` states for each encoded column whether its mean is a share."""


@dataclass(frozen=True, kw_only=True)
class ModelKind:
    """A kind of binary response model, for the registry :data:`paincast.models.binary.kinds.KINDS`.

    Parameters
    ----------
    name : str
        As in ``model.candidates``.
    model_type : type
        A dataclass with ``linear_predictor``, ``contributions`` and ``recalibrate`` (:class:`BinaryModel`). Its fields
        are stored in the bundle as they are, unless ``write_file`` and ``read_file`` are given.
    fit : callable
        ``fit(matrix, outcome, *, parameters, rng, weights)`` returns a model. It also takes ``spreads``, ``prior`` and
        ``directions`` if ``borrows``, and ``monotone`` if ``takes_monotone``.
    list_parameters : ListParameters
        The sets of parameters that are compared by cross-validation or, if ``suggest`` is given, tried first.
    round_model : RoundModel
        Disclosure control for a model of real patients.
    native_missing : bool
        Whether it accepts missing values (NaN); otherwise they are imputed and marked by indicator columns.
    flexible : bool
        Whether it needs ``model.minimum_flexible`` episodes of the smaller class, if another kind does not.
    borrows, takes_monotone : bool
        Which further arguments ``fit`` takes.
    carries : bool
        Whether it carries on the linear predictor of another model, which ``fit`` takes as ``linear``.
    average : callable, optional
        ``average(models, shares)`` combines several models into one; the candidates of this kind are then averaged.
    suggest : callable, optional
        ``suggest(trial)`` returns parameters; the parameters of this kind are then searched for, and ``fit`` takes
        ``held_out``, by which the number of trees is found.
    write_file, read_file : callable, optional
        Convert a model to bytes and back, if it is not plain data.
    require_library : callable, optional
        ``require_library(asked, listed)`` raises SettingsError if an optional library is not installed.
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
    carries: bool = False
    average: Callable[[Sequence[Any], FloatArray], BinaryModel] | None = None
    suggest: Callable[[optuna.Trial], dict[str, Any]] | None = None
    write_file: Callable[[Any], bytes] | None = None
    read_file: Callable[[bytes], BinaryModel] | None = None
    require_library: Callable[[str, str], None] | None = None

    def list_candidates(self, settings: ModelSettings, *, borrows: bool = False) -> tuple[Candidate, ...]:
        """List the candidates in the settings, the simplest first."""
        return tuple(
            Candidate(kind=self.name, parameters=dict(parameters))
            for parameters in self.list_parameters(settings, borrows=borrows and self.borrows)
        )
