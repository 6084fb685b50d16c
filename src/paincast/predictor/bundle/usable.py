"""Check that the parts of a loaded predictor fit together, so that it answers any patient with finite numbers.

The schema bounds every number of a bundle, which keeps sums of products finite; here the shapes are held against the
encoder, names against the contract, and every model is evaluated once, on plain numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from paincast.errors import PaincastError
from paincast.features import EncodedVariable, FittedEncoder
from paincast.models.binary.additive import AdditiveModel
from paincast.models.binary.boosting import BoostedLinearModel, BoostedModel
from paincast.models.binary.logistic import LinearModel
from paincast.models.binary.response import ResponseModel
from paincast.models.calibration.calibrated import CalibratedModel
from paincast.models.calibration.curved import IsotonicCalibration, VennAbersCalibration
from paincast.models.continuous.cumulative import CumulativeChangeResponse
from paincast.models.continuous.response import ChangeResponse
from paincast.models.domain import Domain
from paincast.models.survival.hazard import HazardModel
from paincast.models.survival.response import DurationResponse
from paincast.predictor.model import Predictor

_KINDS = {"number": ("number", "integer"), "boolean": ("boolean",), "category": ("category",)}
_RESPONSES: dict[str, Any] = {
    "binary": ResponseModel,
    "time_to_event": DurationResponse,
    "continuous": (ChangeResponse, CumulativeChangeResponse),
}


class UnusableError(ValueError):
    """Parts of a bundle do not fit together; the message names the key, never a value."""

    def __init__(self, path: str, allowed: str) -> None:
        super().__init__(f"{path} must be {allowed}")


def check_lengths(state: Mapping[str, Any]) -> None:
    """Check lists of ``bundle.json`` that belong together, before anything is built from them."""
    same = len(state.get("models", ())) == len(state.get("calibrations_beside", ()))
    _require(same, "calibrations_beside", "as long as models")


def check_usable(predictor: Predictor) -> None:
    """Check names, shapes and finite answers of a predictor.

    Raises
    ------
    UnusableError
        If a part does not fit; the message names the key of ``bundle.json``.
    """
    contract, response = predictor.contract, predictor.response
    _require(predictor.technique in contract.techniques, "technique", "one of the contract")
    _require(all(name in contract.episodes for name in predictor.measures), "measures", "columns of the contract")
    try:
        fits = isinstance(response, _RESPONSES[predictor.question.kind])
    except PaincastError:
        fits = False
    _require(fits, "outcome", "one that this kind of model answers")
    with np.errstate(all="ignore"):
        check_response(response)


def check_response(response: Any) -> None:
    """Check the shapes of a response of any kind, and that its models give finite numbers."""
    check_encoder(response.encoder)
    _require(_takes_missing(response) or not response.encoder.native_missing, "encoder.parameters", "without NaN")
    n = len(response.encoder.owners)
    _check_domain(response.domain, response.encoder)
    names = response.missing_variances
    _require(all(name in response.encoder.contract.episodes for name in names), "missing_variances", "of known columns")
    if isinstance(response, CumulativeChangeResponse):
        _check_binary(response.response, n)
        _check_course(response)
    elif isinstance(response, ResponseModel):
        _check_binary(response, n)
    elif isinstance(response, DurationResponse):
        _check_duration(response, n)
    else:
        _check_change(response, n)


def _takes_missing(response: Any) -> bool:
    """Whether all models of a response take missing values as they are."""
    binary = response.response if isinstance(response, CumulativeChangeResponse) else response
    served = (binary.model, *binary.refits) if isinstance(binary, ResponseModel) else (None,)
    alone = [model.model if isinstance(model, CalibratedModel) else model for model in served]
    return all(isinstance(model, AdditiveModel | BoostedModel) for model in alone)


def check_encoder(encoder: FittedEncoder) -> None:
    """Check that the variables of an encoder are columns of its contract, and that each fits its column."""
    names = [variable.name for variable in encoder.variables_]
    _require(len({*names}) == len(names), "encoder.variables", "of different names")
    for number, variable in enumerate(encoder.variables_):
        path = f"encoder.variables[{number}]"
        column = encoder.contract.episodes.get(variable.name)
        _require(column is not None, f"{path}.name", "a column of the contract")
        _require(column is not None and column.type in _KINDS[variable.kind], f"{path}.kind", "that of its column")
        _check_variable(variable, path)


def _check_variable(variable: EncodedVariable, path: str) -> None:
    is_number, is_category = variable.kind == "number", variable.kind == "category"
    n_bends = len(variable.knots) - 2 if variable.knots else 0
    _require(
        len(variable.bends) == n_bends and (n_bends > 0 or not variable.knots), f"{path}.bends", "two less than knots"
    )
    _require(bool(np.all(np.diff(variable.knots) > 0)), f"{path}.knots", "ascending")
    _require(is_number or not (variable.knots or variable.marks_zero), f"{path}.knots", "empty but for numbers")
    _require(not is_number or not variable.levels, f"{path}.levels", "empty for a number")
    _require(len({*variable.levels}) == len(variable.levels), f"{path}.levels", "different")
    fits = len(variable.shares) == len(variable.levels)
    _require(fits or not is_category, f"{path}.shares", "as many as levels")
    _require(not is_category or not variable.varies or len(variable.levels) > 0, f"{path}.levels", "there")


def _check_domain(domain: Domain, encoder: FittedEncoder) -> None:
    numbers = {variable.name for variable in encoder.variables_ if variable.kind == "number" and variable.varies}
    n = len(domain.names)
    _require({*domain.names} <= numbers and len({*domain.names}) == n, "domain.names", "numbers of the encoder")
    _require_shape(domain.precision, (n, n) if n else (0,), "domain.precision")


def _check_binary(response: ResponseModel, n: int) -> None:
    for number, served_model in enumerate((response.model, *response.refits)):
        path, model, calibration = f"models[{number}]", served_model, None
        if isinstance(served_model, CalibratedModel):
            model, calibration = served_model.model, served_model.calibration
        _check_model(model, n, path)
        if calibration is not None:
            _check_calibration(calibration, f"calibrations_beside[{number}]")
        if isinstance(model, LinearModel | AdditiveModel):  # of trees, every leaf was checked before they were read
            served = model.linear_predictor(np.zeros((1, n)))
            _require_finite(served if calibration is None else calibration.transform(served), path)


def _check_model(model: Any, n: int, path: str) -> None:
    if isinstance(model, BoostedLinearModel):
        _check_model(model.linear, n, path)
        _check_model(model.trees, n, path)
    elif isinstance(model, BoostedModel):
        _require(model.booster.num_features() == n, path, f"trees on {n} columns, as the encoder gives")
    elif isinstance(model, LinearModel):
        _require_shape(model.coefficients, (n,), f"{path}.coefficients")
        _require_shape(model.means, (n,), f"{path}.means")
    elif isinstance(model, AdditiveModel):
        _require(len(model.columns) == n, f"{path}.columns", f"a list of {n}, as the encoder gives")
        for number, steps in enumerate(model.columns):
            inside = f"{path}.columns[{number}]"
            _require(bool(np.all(np.diff(steps.edges) >= 0)), f"{inside}.edges", "ascending")
            _require_shape(steps.scores, (len(steps.edges) + 1,), f"{inside}.scores")


def _check_calibration(calibration: Any, path: str) -> None:
    if isinstance(calibration, IsotonicCalibration):
        _require(bool(np.all(np.diff(calibration.knots) >= 0)), f"{path}.calibration.knots", "ascending")
        _require_shape(calibration.probabilities, calibration.knots.shape, f"{path}.calibration.probabilities")
    elif isinstance(calibration, VennAbersCalibration):
        for side in ("lower", "upper"):
            knots, values = getattr(calibration, f"{side}_knots"), getattr(calibration, f"{side}_values")
            _require(bool(np.all(np.diff(knots) >= 0)), f"{path}.calibration.{side}_knots", "ascending")
            _require_shape(values, (len(knots) + 1,), f"{path}.calibration.{side}_values")


def _check_course(response: CumulativeChangeResponse) -> None:
    path = "cumulative_change"
    _require_shape(response.margins, response.shares.shape, f"{path}.margins")
    _require(bool(np.all(np.diff(response.shares) > 0)), f"{path}.shares", "ascending")
    _require(bool(np.all(np.diff(response.margins) >= 0)), f"{path}.margins", "ascending")


def _check_duration(response: DurationResponse, n: int) -> None:
    model, path = response.model, "duration.model"
    cuts = np.array(model.cuts)
    _require(bool(np.all(np.diff(cuts) > 0)), f"{path}.cuts", "ascending")
    within = cuts[0] <= response.horizon_months + 1e-9 and response.horizon_months <= cuts[-1] + 1e-9
    _require(within, "duration.horizon_months", "within the visits of the model")
    _require_shape(response.means, (n,), "duration.means")
    hazards = {"relief": model.relief, "death": model.death}
    hazards |= {f"refits[{number}]": refit for number, refit in enumerate(model.refits)}
    for name, hazard in hazards.items():
        if isinstance(hazard, HazardModel):
            _require_shape(hazard.intercepts, cuts.shape, f"{path}.{name}.intercepts")
            _require_shape(hazard.coefficients, (n,), f"{path}.{name}.coefficients")
            _require_shape(hazard.first, (n,), f"{path}.{name}.first")
            _require_finite(hazard.linear_predictor(np.zeros((1, n))), f"{path}.{name}")


def _check_change(response: ChangeResponse, n: int) -> None:
    model, path = response.model, "change.model"
    _require_shape(model.coefficients, (3, 1 + n), f"{path}.coefficients")
    for number, median in enumerate(model.medians):
        _require_shape(median, (1 + n,), f"{path}.medians[{number}]")
    _require_shape(response.means, (n,), "change.means")


def _require(fits: bool, path: str, allowed: str) -> None:
    if not fits:
        raise UnusableError(path, allowed)


def _require_shape(array: npt.NDArray[np.float64], shape: tuple[int, ...], path: str) -> None:
    _require(array.shape == shape, path, f"of {' × '.join(map(str, shape))} numbers, as the encoder gives")


def _require_finite(numbers: npt.NDArray[np.float64], path: str) -> None:
    _require(bool(np.isfinite(numbers).all()), path, "a model that gives finite numbers")
