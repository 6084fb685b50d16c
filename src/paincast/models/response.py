"""A response model: encoder, chosen learner with its calibration folded in, and refits for the interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from paincast.errors import RefusalError
from paincast.features import EpisodeEncoder
from paincast.models.calibration import IDENTITY, AffineCalibration, fit_affine_calibration
from paincast.models.domain import Domain, fit_domain
from paincast.models.learners import Model
from paincast.models.selection import Candidate, Selection, fit_candidate, select_candidate
from paincast.settings import CalibrationSettings, TrainingSettings
from paincast.splits import make_folds

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ResponseModel:
    """Probability of an outcome given a technique, for patients like those it was fitted on.

    Parameters
    ----------
    encoder : EpisodeEncoder
        Fitted encoder.
    model : LinearModel or BoostedModel
        Calibrated model: its margin is the log odds that is served.
    refits : tuple of models
        Models of the same kind refitted to reweighted patients, each with the tuning that is best for its weights.
    domain : Domain
        Summary of the training cohort.
    candidate : Candidate
        What was chosen.
    calibration : AffineCalibration
        What was folded into ``model``.
    selection : DataFrame
        Cross-validated log loss of every candidate.
    """

    encoder: EpisodeEncoder
    model: Model
    refits: tuple[Model, ...]
    domain: Domain
    candidate: Candidate
    calibration: AffineCalibration
    selection: pd.DataFrame

    def margins(self, episodes: pd.DataFrame) -> FloatArray:
        """Give the log odds of the served probability, shape (n,)."""
        return self.model.margin(self.encoder.transform(episodes))

    def margin_spread(self, episodes: pd.DataFrame) -> FloatArray:
        """Give the root mean square distance of the refits' log odds from the served ones, shape (n,).

        It holds the variance of refitting and, because refits are not held to the simplest candidate, how far the
        served model may be shrunk.
        """
        matrix = self.encoder.transform(episodes)
        distances = np.array([refit.margin(matrix) for refit in self.refits]) - self.model.margin(matrix)
        return np.asarray(np.sqrt(np.mean(distances**2, axis=0)), dtype=float)


def require_both_classes(outcome: FloatArray, minimum_events: int) -> None:
    """Refuse to fit when one class of the outcome is too small.

    Raises
    ------
    RefusalError
        With the counts and what is needed.
    """
    n_events = int(outcome.sum())
    n_others = len(outcome) - n_events
    if min(n_events, n_others) < minimum_events:
        raise RefusalError(
            f"{n_events} with and {n_others} without the outcome among {len(outcome)} episodes with follow-up; "
            f"at least {minimum_events} of each are needed to fit a model"
        )


def fit_response_model(
    episodes: pd.DataFrame, outcome: FloatArray, settings: TrainingSettings, rng: np.random.Generator
) -> ResponseModel:
    """Choose, fit and calibrate a response model, with refits for its interval.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Episodes with a known outcome, in the types of the contract.
    outcome : ndarray of shape (n,)
        0 or 1.
    settings : TrainingSettings
        Candidates, calibration and number of refits.
    rng : numpy.random.Generator
        Source of folds, sampling and patient weights.

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
    # The matrices are small: more than one BLAS thread costs more in waiting than it saves.
    with threadpool_limits(limits=1, user_api="blas"):
        fitted = _fit_calibrated(episodes, outcome, settings, fit_rng)
        refits = tuple(
            _refit(fitted, outcome, settings.calibration, _draw_patient_weights(episodes["patient_id"], child), child)
            for child in refit_rng.spawn(settings.uncertainty.refits)
        )
    return ResponseModel(
        encoder=fitted.encoder,
        model=fitted.model,
        refits=refits,
        domain=fit_domain(fitted.encoder, episodes),
        candidate=fitted.selection.chosen,
        calibration=fitted.calibration,
        selection=fitted.selection.table,
    )


def cross_fit_margins(
    episodes: pd.DataFrame, outcome: FloatArray, settings: TrainingSettings, rng: np.random.Generator
) -> FloatArray:
    """Predict every episode by a model that never saw its patient: the whole choice is repeated in each fold.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Episodes with a known outcome.
    outcome : ndarray of shape (n,)
        0 or 1.
    settings : TrainingSettings
        ``evaluation.folds`` and ``evaluation.repeats`` of the outer loop, and everything that is repeated inside.
    rng : numpy.random.Generator
        Source of folds and sampling.

    Returns
    -------
    ndarray of shape (n,)
        Log odds, averaged over the repeats.
    """
    require_both_classes(outcome, settings.model.minimum_events)
    patients = episodes["patient_id"].to_numpy(object)
    tasks = [
        (train, test, child)
        for repeat_rng in rng.spawn(settings.evaluation.repeats)
        for (train, test), child in _folds_with_streams(outcome, patients, settings.evaluation.folds, repeat_rng)
    ]
    held_out = Parallel(n_jobs=settings.jobs)(
        delayed(_predict_fold)(episodes.iloc[train], outcome[train], episodes.iloc[test], settings, child)
        for train, test, child in tasks
    )
    margins = np.zeros(len(outcome))
    for (_, test, _), predicted in zip(tasks, held_out, strict=True):
        margins[test] += predicted
    return margins / settings.evaluation.repeats


def _folds_with_streams(
    outcome: FloatArray, patients: npt.NDArray[np.object_], n_folds: int, rng: np.random.Generator
) -> list[tuple[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]], np.random.Generator]]:
    fold_rng, stream_rng = rng.spawn(2)
    folds = make_folds(outcome, patients, n_folds, fold_rng)
    return list(zip(folds, stream_rng.spawn(len(folds)), strict=True))


def _predict_fold(
    train: pd.DataFrame,
    outcome: FloatArray,
    test: pd.DataFrame,
    settings: TrainingSettings,
    rng: np.random.Generator,
) -> FloatArray:
    with threadpool_limits(limits=1, user_api="blas"):
        fitted = _fit_calibrated(train, outcome, settings, rng)
    return fitted.model.margin(fitted.encoder.transform(test))


@dataclass(frozen=True, kw_only=True)
class _CalibratedFit:
    encoder: EpisodeEncoder
    matrix: FloatArray
    selection: Selection
    calibration: AffineCalibration
    model: Model


def _fit_calibrated(
    episodes: pd.DataFrame, outcome: FloatArray, settings: TrainingSettings, rng: np.random.Generator
) -> _CalibratedFit:
    selection_rng, fit_rng = rng.spawn(2)
    selection = select_candidate(episodes, outcome, settings.model, selection_rng)
    encoder = EpisodeEncoder(native_missing=selection.chosen.native_missing).fit(episodes)
    matrix = encoder.transform(episodes)
    calibration = _calibrate(selection.margins[selection.position], outcome, settings.calibration)
    model = fit_candidate(selection.chosen, matrix, outcome, fit_rng).recalibrate(calibration)
    return _CalibratedFit(encoder=encoder, matrix=matrix, selection=selection, calibration=calibration, model=model)


def _calibrate(
    margins: FloatArray, outcome: FloatArray, settings: CalibrationSettings, weights: FloatArray | None = None
) -> AffineCalibration:
    if settings.method == "none":
        return IDENTITY
    return fit_affine_calibration(margins, outcome, slope_prior_sd=settings.slope_prior_sd, weights=weights)


def _refit(
    fitted: _CalibratedFit,
    outcome: FloatArray,
    settings: CalibrationSettings,
    weights: FloatArray,
    rng: np.random.Generator,
) -> Model:
    selection = fitted.selection
    best = selection.find_best(weights)
    model = fit_candidate(selection.candidates[best], fitted.matrix, outcome, rng, weights)
    return model.recalibrate(_calibrate(selection.margins[best], outcome, settings, weights))


def _draw_patient_weights(patients: pd.Series, rng: np.random.Generator) -> FloatArray:
    """Draw Bayesian-bootstrap weights, one per patient, with mean 1 over rows (Rubin 1981, 10.1214/aos/1176345338)."""
    codes, uniques = pd.factorize(patients)
    weights = rng.exponential(size=len(uniques))[codes]
    return np.asarray(weights / weights.mean(), dtype=float)
