"""Fit a response model: encoder, selected and calibrated model, and the refits for its interval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.deferred import special, threadpoolctl
from paincast.features import FittedEncoder
from paincast.files.serialization import PlainTable
from paincast.models.beliefs import read_effect_weight
from paincast.models.binary.kinds import KINDS, keep_affordable
from paincast.models.binary.model_kind import Candidate
from paincast.models.binary.selection import Encoded, Sample, Selection, encode_sample, fit_prior, select_candidate
from paincast.models.binary.surroundings import NOTHING, Surroundings
from paincast.models.binary.uncertainty_components import (
    UncertaintyComponents,
    describe_log_odds,
    fit_uncertainty_components,
)
from paincast.models.calibration.affine import IDENTITY, Calibration, fit_calibration
from paincast.models.calibration.calibrated import BinaryModel, apply_calibration
from paincast.models.class_sizes import require_both_classes
from paincast.models.cross_fitting import cross_fit
from paincast.models.domain import Domain, fit_domain
from paincast.models.observation_weights import fit_observation_weights
from paincast.progress import SILENT, Progress
from paincast.settings import CalibrationSettings, TrainingSettings
from paincast.splits import CrossFitted
from paincast.statistics import draw_bayesian_bootstrap_weights

FloatArray = npt.NDArray[np.float64]

PRIORS = 6
"""Number of refits of the shared coefficients; the refits of a technique use them in turn."""


@dataclass(frozen=True, kw_only=True)
class ResponseModel:
    """Probability of an outcome given a technique, for patients like those it was fitted on.

    Parameters
    ----------
    encoder : FittedEncoder
        Fitted encoder.
    model : model
        Calibrated model: its linear predictor is the log odds of the served probability.
    refits : tuple of models
        Models of the same kind refitted to reweighted patients, each with a tuning drawn from those that
        cross-validation could not distinguish from the best.
    uncertainty_components : UncertaintyComponents
        Uncertainty of a patient's probability in addition to that of the model.
    domain : Domain
        Summary of the training cohort.
    candidate : Candidate
        The chosen candidate.
    calibration : Calibration
        Fitted to the cross-fitted linear predictors; an affine calibration is folded into ``model``.
    selection : PlainTable
        Cross-validated log loss of every candidate; of a prior, the weights of the beliefs.
    shows_reasons : bool
        Whether the model tells patients apart better than the overall risk does; if not, no reasons are given.
    """

    encoder: FittedEncoder
    model: BinaryModel
    refits: tuple[BinaryModel, ...]
    uncertainty_components: UncertaintyComponents
    domain: Domain
    candidate: Candidate
    calibration: Calibration
    selection: PlainTable
    shows_reasons: bool = True

    unit: ClassVar[str] = "log_odds"
    sign: ClassVar[float] = 1.0

    @property
    def kind(self) -> str:
        """The chosen kind of model."""
        return self.candidate.kind

    @property
    def parameters(self) -> dict[str, Any]:
        """The chosen parameters."""
        return self.candidate.parameters

    @property
    def effect_weight(self) -> float:
        """Degree to which the model believes that recorded values matter; 1 without a prior."""
        return read_effect_weight(self.selection)

    def answer(self, episodes: pd.DataFrame, level: float, *, interval: bool = True) -> pd.DataFrame:
        """Predict the probability of the outcome with limits, and what its uncertainty comes from.

        Returns
        -------
        DataFrame of shape (n, 7)
            ``probability, lower, upper``, and the shares of each part of the variance (:meth:`compute_variances`):
            ``uncertainty_evidence, uncertainty_model, uncertainty_site, uncertainty_missing``. Without interval only
            the first.
        """
        served = self.linear_predictor(episodes)
        if not interval:
            return pd.DataFrame({"probability": special.expit(served)}, index=episodes.index)
        variances = self.compute_variances(episodes)
        return pd.DataFrame(describe_log_odds(served, variances, level), index=episodes.index)

    def contributions(self, episodes: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Return base, shape (n,), and SHAP values, shape (n, n_encoded), that add up to the served log odds."""
        return self.model.contributions(self.encoder.transform(episodes))

    def missing_scale(self, episodes: pd.DataFrame) -> FloatArray:
        """Return what the spread of an unknown contribution is proportional to, shape (n,): the same for all."""
        return np.ones(len(episodes))

    def refit_contributions(self, episodes: pd.DataFrame) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield base and SHAP values of each refit, in the shapes of :meth:`contributions`."""
        matrix = self.encoder.transform(episodes)
        return (refit.contributions(matrix) for refit in self.refits)

    @property
    def missing_variances(self) -> Mapping[str, float]:
        """By variable, the variance of its contribution among training episodes whose value is known."""
        return self.uncertainty_components.missing

    def linear_predictor(self, episodes: pd.DataFrame) -> FloatArray:
        """Return the log odds of the served probability, shape (n,)."""
        return self.model.linear_predictor(self.encoder.transform(episodes))

    def refit_linear_predictors(self, episodes: pd.DataFrame) -> FloatArray:
        """Return the log odds of every refit, shape (n_refits, n)."""
        matrix = self.encoder.transform(episodes)
        return np.array([refit.linear_predictor(matrix) for refit in self.refits])

    def compute_variances(self, episodes: pd.DataFrame) -> dict[str, FloatArray]:
        """Compute the variance of a patient's log odds around the served log odds, by where it comes from.

        The distance of the refits from the served model includes the choice of tuning, as refits are not restricted to
        the simplest candidate.

        Returns
        -------
        dict of str to ndarray of shape (n,)
            As :meth:`paincast.models.binary.uncertainty_components.UncertaintyComponents.divide`.
        """
        distances = self.refit_linear_predictors(episodes) - self.linear_predictor(episodes)
        # Use a running sum: the order of summation in a mean depends on the number of patients.
        refitting = np.cumsum(distances**2, axis=0)[-1] / len(distances)
        return self.uncertainty_components.divide(episodes, refitting)


def fit_response_model(
    episodes: pd.DataFrame,
    outcome: FloatArray,
    settings: TrainingSettings,
    rng: np.random.Generator,
    *,
    surroundings: Surroundings = NOTHING,
    progress: Progress = SILENT,
) -> ResponseModel:
    """Select, fit and calibrate a response model, with refits for its interval.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        All eligible episodes, in the types of the contract.
    outcome : ndarray of shape (n,)
        0 or 1; NaN where follow-up is missing: observed episodes are weighted to represent those lost.
    settings : TrainingSettings
        Candidates, calibration, loss to follow-up and number of refits.
    rng : numpy.random.Generator
        Source of folds, sampling and patient weights.
    surroundings : Surroundings
        Prior information: expected signs from the evidence, and data of other techniques.
    progress : Progress
        Advanced by the selection and by each refit.

    Returns
    -------
    ResponseModel

    Raises
    ------
    RefusalError
        If one class of the outcome is too small.
    """
    require_both_classes(outcome, settings.model.minimum_events)
    fit_rng, refit_rng = rng.spawn(2)
    # The matrices are small: several threads would be slower than one.
    with threadpoolctl.threadpool_limits(limits=1):
        progress.expect(2)
        fitted = _fit_calibrated(episodes, outcome, settings, fit_rng, surroundings)
        progress.advance()
        refits = _refit(fitted, settings, refit_rng, progress)
    sample = fitted.encoded.sample
    matrix = fitted.encoded.matrices[KINDS[fitted.selection.chosen.kind].native_missing]
    uncertainty_components = fit_uncertainty_components(
        sample.episodes,
        sample.outcome,
        sample.weights,
        fitted.calibration.transform(fitted.selection.chosen_linear_predictor),
        fitted.model.contributions(matrix)[1],
        fitted.encoder.owners,
        min_site_sd=settings.uncertainty.min_site_sd,
    )
    return ResponseModel(
        encoder=fitted.encoder,
        model=fitted.model,
        refits=refits,
        uncertainty_components=uncertainty_components,
        domain=fit_domain(fitted.encoder, sample.episodes),
        candidate=fitted.selection.chosen,
        calibration=fitted.calibration,
        selection=PlainTable.from_frame(fitted.selection.table),
        shows_reasons=not fitted.selection.chosen.is_overall_risk,
    )


def cross_fit_linear_predictor(
    episodes: pd.DataFrame,
    outcome: FloatArray,
    settings: TrainingSettings,
    rng: np.random.Generator,
    *,
    surroundings: Surroundings = NOTHING,
    progress: Progress = SILENT,
) -> CrossFitted:
    """Predict every episode with a model not fitted on its patient; selection is repeated in each fold.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        All eligible episodes.
    outcome : ndarray of shape (n,)
        0 or 1; NaN where follow-up is missing.
    settings : TrainingSettings
        ``evaluation.folds`` and ``evaluation.repeats`` of the outer loop, and the settings of the modelling.
    rng : numpy.random.Generator
        Source of folds and sampling.
    surroundings : Surroundings
        Prior information: expected signs from the evidence, and data of other techniques without these patients.
    progress : Progress
        Advanced by each fold.

    Returns
    -------
    CrossFitted
        Including episodes lost to follow-up.
    """
    predict = partial(fit_and_predict, settings=settings, surroundings=surroundings)
    return cross_fit(predict, episodes, outcome, settings, rng, progress=progress)


def fit_and_predict(
    train: pd.DataFrame,
    outcome: FloatArray,
    test: pd.DataFrame,
    rng: np.random.Generator,
    *,
    settings: TrainingSettings,
    surroundings: Surroundings = NOTHING,
) -> FloatArray:
    """Select, fit and calibrate on some episodes and predict others: the whole modelling, without an interval.

    Parameters
    ----------
    train : DataFrame of shape (n, ...)
        Eligible episodes.
    outcome : ndarray of shape (n,)
        Their outcome: 0 or 1, NaN where follow-up is missing.
    test : DataFrame of shape (m, ...)
        Episodes to predict.
    rng, settings, surroundings
        As for :func:`fit_response_model`.

    Returns
    -------
    ndarray of shape (m,)
        Log odds.
    """
    with threadpoolctl.threadpool_limits(limits=1):
        fitted = _fit_calibrated(train, outcome, settings, rng, surroundings)
    return fitted.model.linear_predictor(fitted.encoder.transform(test))


@dataclass(frozen=True, kw_only=True)
class _CalibratedFit:
    encoded: Encoded
    selection: Selection
    calibration: Calibration
    model: BinaryModel

    @property
    def encoder(self) -> FittedEncoder:
        return self.encoded.encoders[KINDS[self.selection.chosen.kind].native_missing]


def _fit_calibrated(
    episodes: pd.DataFrame,
    outcome: FloatArray,
    settings: TrainingSettings,
    rng: np.random.Generator,
    surroundings: Surroundings,
) -> _CalibratedFit:
    weight_rng, selection_rng, fit_rng = rng.spawn(3)
    known = ~np.isnan(outcome)
    contract = surroundings.contract
    weights = fit_observation_weights(episodes, known, settings.observation, weight_rng, contract=contract)
    sample = Sample(
        episodes=episodes.loc[known],
        outcome=outcome[known],
        weights=weights[known],
        technique=surroundings.technique,
        directions=surroundings.directions,
        strong_directions=surroundings.strong_directions,
        pool=surroundings.pool,
        contract=contract,
    )
    affordable = keep_affordable(settings.model, sample.outcome)
    selection = select_candidate(sample, affordable, selection_rng)
    encoded = encode_sample(sample, affordable)
    calibration = _calibrate(selection, selection.position, sample, settings.calibration)
    model = apply_calibration(selection.fit(encoded, fit_rng), calibration)
    return _CalibratedFit(encoded=encoded, selection=selection, calibration=calibration, model=model)


def _calibrate(
    selection: Selection,
    position: int,
    sample: Sample,
    settings: CalibrationSettings,
    weights: FloatArray | None = None,
) -> Calibration:
    """Calibrate a candidate by its cross-fitted linear predictors; the overall risk is served as it is."""
    if selection.candidates[position].is_overall_risk:
        return IDENTITY
    linear_predictor = selection.linear_predictor[position]
    weight = sample.weights if weights is None else sample.weights * weights
    return fit_calibration(
        settings.method, linear_predictor, sample.outcome, weight, patients=sample.patients, settings=settings
    )


def _refit(
    fitted: _CalibratedFit, settings: TrainingSettings, rng: np.random.Generator, progress: Progress
) -> tuple[BinaryModel, ...]:
    """Refit to Bayesian-bootstrap weights; also refit the shared coefficients a few times to weights of the pool."""
    prior_rng, choice_rng, model_rng = rng.spawn(3)
    sample, selection = fitted.encoded.sample, fitted.selection
    borrows = KINDS[selection.chosen.kind].borrows or KINDS[selection.chosen.kind].carries
    priors = [_refit_prior(fitted, child) for child in prior_rng.spawn(PRIORS)] if borrows else [fitted.encoded.prior]
    plausible = selection.list_plausible()
    refits: list[BinaryModel] = []
    for number, child in enumerate(model_rng.spawn(settings.uncertainty.refits)):
        weights = draw_bayesian_bootstrap_weights(sample.patients, child)
        best = int(choice_rng.choice(plausible))
        encoded = replace(fitted.encoded, prior=priors[number % len(priors)])
        model = selection.refit(best, encoded, child, weights)
        calibration = _calibrate(selection, best, sample, settings.calibration, weights)
        refits.append(apply_calibration(model, calibration))
        progress.advance(1 / settings.uncertainty.refits)
    return tuple(refits)


def _refit_prior(fitted: _CalibratedFit, rng: np.random.Generator) -> FloatArray:
    sample_rng, pool_rng = rng.spawn(2)
    sample, encoded = fitted.encoded.sample, fitted.encoded
    weights = draw_bayesian_bootstrap_weights(sample.patients, sample_rng)
    others = [
        draw_bayesian_bootstrap_weights(part.patients, child)
        for part, child in zip(sample.pool.parts, pool_rng.spawn(len(sample.pool.parts)), strict=True)
    ]
    reweighted = replace(sample, weights=sample.weights * weights)
    pool_weights = np.concatenate(others) if others else None
    return fit_prior(reweighted, encoded.encoders[False], encoded.matrices[False], pool_weights)
