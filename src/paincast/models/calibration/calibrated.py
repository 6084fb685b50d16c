"""Combine a model with a calibration that cannot be folded into it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from paincast.files.serialization import from_plain
from paincast.models.calibration.affine import (
    IDENTITY,
    AffineCalibration,
    Calibration,
    read_calibration,
    write_calibration,
)

FloatArray = npt.NDArray[np.float64]


class BinaryModel(Protocol):
    """Interface of a fitted binary model: log odds, contributions, and folding in an affine map."""

    def linear_predictor(self, matrix: FloatArray) -> FloatArray:
        """Return the log odds, shape (n,)."""

    def contributions(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return base, shape (n,), and SHAP values, shape (n, n_encoded)."""

    def recalibrate(self, calibration: AffineCalibration) -> Self:
        """Fold an affine calibration into the model."""


ModelT = TypeVar("ModelT", bound=BinaryModel)


@dataclass(frozen=True, kw_only=True)
class CalibratedModel:
    """A model and a nonlinear calibration that is applied after it.

    Its SHAP values are those of the log odds *before* calibration. The change by calibration is a separate term
    (:meth:`calibration_term`), which belongs to no variable: if it were divided among the variables, the steps of an
    isotonic map could inflate contributions that nearly cancel.

    Parameters
    ----------
    model : BinaryModel
        Uncalibrated model.
    calibration : Calibration
        Fitted on cross-fitted linear predictors of such models.
    update : AffineCalibration
        Applied last; accumulates the maps given to :meth:`recalibrate`.
    """

    model: BinaryModel
    calibration: Calibration
    update: AffineCalibration = IDENTITY

    def linear_predictor(self, matrix: FloatArray) -> FloatArray:
        """Return the served log odds, shape (n,)."""
        return self._calibrate(self.model.linear_predictor(matrix))

    def contributions(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return base, shape (n,), and SHAP values, shape (n, n_encoded), that add up to the served log odds.

        The base includes the calibration term, so it differs between patients.
        """
        base, values = self.model.contributions(matrix)
        return base + self.calibration_term(matrix), values

    def calibration_term(self, matrix: FloatArray) -> FloatArray:
        """Return the change of each patient's log odds by calibration, shape (n,)."""
        linear_predictor = self.model.linear_predictor(matrix)
        return self._calibrate(linear_predictor) - linear_predictor

    def recalibrate(self, calibration: AffineCalibration) -> CalibratedModel:
        """Apply an affine map after the existing calibration."""
        return replace(self, update=self.update.then(calibration))

    def _calibrate(self, linear_predictor: FloatArray) -> FloatArray:
        return self.update.transform(self.calibration.transform(linear_predictor))


def apply_calibration(model: ModelT, calibration: Calibration) -> ModelT | CalibratedModel:
    """Calibrate a model: fold an affine calibration in; combine the model with any other calibration."""
    if isinstance(calibration, AffineCalibration):
        return model if calibration == IDENTITY else model.recalibrate(calibration)
    return CalibratedModel(model=model, calibration=calibration)


def split_model(model: BinaryModel) -> tuple[BinaryModel, dict[str, Any] | None]:
    """Split a model into the uncalibrated model and its separate calibration as plain data (None if there is none)."""
    if not isinstance(model, CalibratedModel):
        return model, None
    return model.model, {"calibration": write_calibration(model.calibration), "update": write_calibration(model.update)}


def join_model(model: ModelT, state: dict[str, Any] | None) -> ModelT | CalibratedModel:
    """Reverse :func:`split_model`."""
    if state is None:
        return model
    return CalibratedModel(
        model=model,
        calibration=read_calibration(state["calibration"]),
        update=from_plain(state["update"], AffineCalibration),
    )
