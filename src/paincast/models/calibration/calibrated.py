"""A model served with a calibration that cannot be folded into it."""

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
    """What a learner gives: log odds, their parts, and itself with an affine map folded in."""

    def linear_predictor(self, matrix: FloatArray) -> FloatArray:
        """Give the log odds, shape (n,)."""

    def contributions(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Give base, shape (n,), and SHAP values, shape (n, n_encoded)."""

    def recalibrate(self, calibration: AffineCalibration) -> Self:
        """Take an affine calibration in."""


ModelT = TypeVar("ModelT", bound=BinaryModel)


@dataclass(frozen=True, kw_only=True)
class CalibratedModel:
    """A model and, beside it, a calibration that bends its log odds.

    Its SHAP values are those of the log odds *before* calibration. What calibration adds for a patient is a term of
    its own (:meth:`calibration_term`), which belongs to no variable: sharing it among the variables would let the steps
    of an isotonic map blow up reasons that nearly cancel.

    Parameters
    ----------
    model : BinaryModel
        Uncalibrated model.
    calibration : Calibration
        Fitted on cross-fitted linear predictors of such models.
    update : AffineCalibration
        Applied last; what :meth:`recalibrate` gathers.
    """

    model: BinaryModel
    calibration: Calibration
    update: AffineCalibration = IDENTITY

    def linear_predictor(self, matrix: FloatArray) -> FloatArray:
        """Give the served log odds, shape (n,)."""
        return self._calibrate(self.model.linear_predictor(matrix))

    def contributions(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Give base, shape (n,), and SHAP values, shape (n, n_encoded), that add up to the served log odds.

        The base holds the calibration term and so differs between patients.
        """
        base, values = self.model.contributions(matrix)
        return base + self.calibration_term(matrix), values

    def calibration_term(self, matrix: FloatArray) -> FloatArray:
        """Give what calibration adds to the log odds of each patient, shape (n,)."""
        linear_predictor = self.model.linear_predictor(matrix)
        return self._calibrate(linear_predictor) - linear_predictor

    def recalibrate(self, calibration: AffineCalibration) -> CalibratedModel:
        """Take an affine map in, after the calibration that is there."""
        return replace(self, update=self.update.then(calibration))

    def _calibrate(self, linear_predictor: FloatArray) -> FloatArray:
        return self.update.transform(self.calibration.transform(linear_predictor))


def apply_calibration(model: ModelT, calibration: Calibration) -> ModelT | CalibratedModel:
    """Calibrate a model: in one piece where the calibration folds in, else with the calibration beside it."""
    if isinstance(calibration, AffineCalibration):
        return model if calibration == IDENTITY else model.recalibrate(calibration)
    return CalibratedModel(model=model, calibration=calibration)


def split_model(model: BinaryModel) -> tuple[BinaryModel, dict[str, Any] | None]:
    """Give a model without the calibration beside it, and that as plain data; None where there is none."""
    if not isinstance(model, CalibratedModel):
        return model, None
    return model.model, {"calibration": write_calibration(model.calibration), "update": write_calibration(model.update)}


def join_model(model: ModelT, state: dict[str, Any] | None) -> ModelT | CalibratedModel:
    """Put back together what :func:`split_model` took apart."""
    if state is None:
        return model
    return CalibratedModel(
        model=model,
        calibration=read_calibration(state["calibration"]),
        update=from_plain(state["update"], AffineCalibration),
    )
