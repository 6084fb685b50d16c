"""Repeat the whole modelling of a binary outcome on other rows, in other processes if need be."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.models.binary.borrowing import Part
from paincast.models.binary.response import ResponseModel, fit_and_predict
from paincast.models.binary.surroundings import Surroundings, make_surroundings
from paincast.models.prior.gaussian import EvidencePrior
from paincast.models.prior.response import predict_with_prior
from paincast.settings import TrainingSettings

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ResponseRefit:
    """Select, fit and calibrate a response model again.

    A :class:`paincast.training.internal_validation.RefitProcedure`. The pooled coefficients are fitted again without
    the excluded patients; the scaling and weighting of their columns are kept.

    Parameters
    ----------
    settings : TrainingSettings
        How the model is made.
    around : Surroundings
        Expected signs, and the data of other techniques when no patient is excluded.
    parts : mapping of str to Part
        The same outcome of other techniques.
    directed : bool
        Whether published directions of response apply to the outcome.
    """

    settings: TrainingSettings
    around: Surroundings
    parts: Mapping[str, Part]
    directed: bool

    def __call__(
        self,
        train: pd.DataFrame,
        outcome: FloatArray,
        test: pd.DataFrame,
        rng: np.random.Generator,
        excluded: Set[object],
    ) -> FloatArray:
        """Predict the log odds of ``test`` from ``train``."""
        around, (pool_rng, fit_rng) = self.around, rng.spawn(2)
        if excluded and around.pool.parts:
            kept = {name: leave_out(part, excluded) for name, part in self.parts.items()}
            around = make_surroundings(
                around.technique,
                test,
                kept,
                self.settings,
                pool_rng,
                directed=self.directed,
                contract=around.contract,
            )
        return fit_and_predict(train, outcome, test, fit_rng, settings=self.settings, surroundings=around)


def leave_out(part: Part, patients: Set[object]) -> Part:
    """Exclude the episodes of some patients from the data of a technique."""
    return part.take(np.flatnonzero(~pd.Series(part.patients, dtype=object).isin(patients).to_numpy()))


@dataclass(frozen=True, kw_only=True)
class PriorRefit:
    """A prior updated by other patients; the prior stays as it is.

    Parameters
    ----------
    settings : TrainingSettings
        How patients are weighted.
    prior : EvidencePrior
        What is known before.
    """

    settings: TrainingSettings
    prior: EvidencePrior

    def __call__(
        self,
        train: pd.DataFrame,
        outcome: FloatArray,
        test: pd.DataFrame,
        rng: np.random.Generator,
        excluded: Set[object],
    ) -> FloatArray:
        """Predict the log odds of ``test`` from ``train``."""
        del excluded
        return predict_with_prior(train, outcome, test, rng, prior=self.prior, settings=self.settings)


@dataclass(frozen=True, kw_only=True)
class NoRefit:
    """A model that learns from no patient, and so is the same whoever is left out.

    Parameters
    ----------
    response : ResponseModel
        The model.
    """

    response: ResponseModel

    def __call__(
        self,
        train: pd.DataFrame,
        outcome: FloatArray,
        test: pd.DataFrame,
        rng: np.random.Generator,
        excluded: Set[object],
    ) -> FloatArray:
        """Predict the log odds of ``test``."""
        del train, outcome, rng, excluded
        return self.response.linear_predictor(test)
