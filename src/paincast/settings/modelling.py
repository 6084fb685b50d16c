"""Settings of the models: candidates, calibration, interval, loss to follow-up, and each kind of outcome."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

from paincast.schema import MINIMUM_CELL
from paincast.settings.choices import (
    CALIBRATION_METHODS,
    FITTED_CALIBRATIONS,
    MAX_CONFIDENCE,
    MIN_CONFIDENCE,
    MODEL_KINDS,
    OBSERVATION_METHODS,
    PARAMETER_RANGES,
)
from paincast.settings.declare import setting

_BOOSTING = {
    "n_estimators": 400,
    "max_depth": 4,
    "learning_rate": 0.08,
    "min_child_weight": 10.0,
    "reg_lambda": 20.0,
    "reg_alpha": 0.5,
    "subsample": 0.8,
    "colsample_bytree": 1.0,
}
_SHRUNKEN = {**_BOOSTING, "learning_rate": 0.1, "reg_lambda": 90.0, "reg_alpha": 5.0, "colsample_bytree": 0.8}
_ADDITIVE = [{"max_rounds": rounds, "learning_rate": 0.04, "max_bins": 32} for rounds in (10, 20, 40, 80, 160)]


@dataclass
class ObservationSettings:
    """How loss to follow-up is handled."""

    method: str = setting(
        "weighted",
        "weighted: inverse probability of being observed; complete_case: those observed stand for all.",
        one_of=OBSERVATION_METHODS,
    )
    prior_sds: list[float] = setting(
        [sqrt(variance) for variance in (0.0001, 0.003, 0.1)],
        "Standard deviations of the normal prior of a log odds ratio of being observed, per unit of an encoded column; "
        "cross-validation takes one.",
        at_least=1e-4,
        at_most=100.0,
        min_items=1,
    )
    folds: int = setting(3, "Folds of the cross-validation that takes a prior.", at_least=2, at_most=20)
    truncation: float = setting(0.99, "Weights are cut off at this quantile of the weights.", at_least=0.5, at_most=1.0)
    minimum_lost: int = setting(
        20,
        "With fewer episodes lost, or observed, no model is fitted and all weights are 1.",
        at_least=1,
        at_most=1_000_000,
        unit="episodes",
    )
    shifts: list[float] = setting(
        [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0],
        "Shifts of those lost in the tipping-point analysis.",
        at_least=-10.0,
        at_most=10.0,
        min_items=1,
        unit="log odds",
    )


@dataclass
class ModelSettings:
    """Candidate models of binary outcomes, and how the model is selected.

    The simplest candidate is chosen whose cross-validated log loss is within ``standard_errors`` of the lowest.
    """

    candidates: list[str] = setting(
        ["logistic", "xgboost"], "Kinds of model that are compared.", one_of=MODEL_KINDS, min_items=1
    )
    prior: bool = setting(
        True, "Start from published evidence where it tells of the outcome; false lets the patients speak alone."
    )
    splines: bool = setting(True, "Give numbers natural cubic splines in logistic models, not straight lines.")
    ridge_prior_sds: list[float] = setting(
        [0.03, 0.06, 0.12, 0.25, 0.5],
        "Standard deviations of the normal prior of a log odds ratio, per two standard deviations of a number or per "
        "yes; each is a candidate.",
        at_least=1e-4,
        at_most=100.0,
    )
    lasso_penalties: list[float] = setting(
        [1.6, 0.8, 0.4, 0.2],
        "Elastic-net penalties, as multiples of one over the square root of the number of rows; each is a candidate.",
        at_least=1e-4,
        at_most=1e4,
    )
    l1_ratio: float = setting(0.9, "Share of the lasso in the elastic net.", at_least=0.01, at_most=1.0)
    averaging: float = setting(
        0.35,
        "Logistic candidates are averaged by their cross-validated likelihood to this power; 0 takes the best alone.",
        at_least=0.0,
        at_most=1.0,
    )
    simplest_prior_odds: float = setting(
        20.0, "Prior odds of the simplest logistic candidate against each other one.", at_least=1.0, at_most=1e6
    )
    borrowing: list[float] = setting(
        [1.0, 0.5, 0.0],
        "Shares of what techniques have in common that logistic candidates are shrunk towards; [0.0] borrows nothing.",
        at_least=0.0,
        at_most=1.0,
        min_items=1,
    )
    directions: bool = setting(True, "Let the signs of published predictors enter what techniques share.")
    pool_penalties: list[float] = setting(
        [0.001, 0.002, 0.004, 0.008, 0.03],
        "Elastic-net penalties of what techniques share; cross-validation takes one.",
        at_least=1e-8,
        at_most=1e3,
        min_items=1,
    )
    pool_rows: int = setting(
        3000, "Most episodes taken of every other technique.", at_least=0, at_most=1_000_000, unit="episodes"
    )
    minimum_alone: int = setting(
        4000,
        "A technique with this many episodes of its smaller class borrows from no other.",
        at_least=2,
        at_most=10_000_000,
        unit="episodes",
    )
    boosting: list[dict[str, Any]] = setting(
        [_BOOSTING, _SHRUNKEN],
        "Parameters of XGBoost that the search tries first; n_estimators is the most trees of a model.",
        parameters=PARAMETER_RANGES,
    )
    trials: int = setting(
        8,
        "Trials of the search for parameters of XGBoost; up to twice as many with many episodes, where trees "
        "predict better than simpler models.",
        at_least=1,
        at_most=10_000,
    )
    search_storage: str | None = setting(None, "File that keeps the trials of the search; null keeps none.")
    additive: list[dict[str, Any]] = setting(
        _ADDITIVE,
        "Sets of parameters of the explainable boosting machine, the simplest first.",
        parameters=PARAMETER_RANGES,
    )
    monotone: bool = setting(True, "Make trees and additive steps follow directions of moderate or strong evidence.")
    minimum_flexible: int = setting(
        200,
        "Trees and additive steps are tried beside a logistic model only with this many episodes of the smaller class.",
        at_least=2,
        at_most=100_000,
        unit="episodes",
    )
    selection_folds: int = setting(
        5, "Folds of the comparison of candidates; patients stay together.", at_least=2, at_most=20
    )
    standard_errors: float = setting(
        1.0, "A simpler candidate wins within this many standard errors of the best.", at_least=0, at_most=10
    )
    minimum_trusted: int = setting(
        20,
        "With fewer episodes of the smaller class, no prior and no other technique, the overall risk is served "
        "unless the model is better by model.standard_errors; with more, where the model is worse by as much.",
        at_least=0,
        at_most=100_000,
        unit="episodes",
    )
    minimum_events: int = setting(
        8,
        "Fewest episodes with, and without, the outcome for which a model is fitted.",
        at_least=MINIMUM_CELL,
        at_most=1000,
        unit="episodes",
    )


@dataclass
class CalibrationSettings:
    """How cross-fitted predictions are recalibrated."""

    method: str = setting(
        "affine",
        "Map of the log odds; auto takes the simplest of the candidates that cross-validation cannot tell from the "
        "best.",
        one_of=CALIBRATION_METHODS,
    )
    slope_prior_sd: float = setting(
        0.25, "Standard deviation of the prior that shrinks the log of the slope to 0.", at_least=1e-3, at_most=100
    )
    candidates: list[str] = setting(
        ["none", "affine"], "Methods that auto compares.", one_of=FITTED_CALIBRATIONS, min_items=1
    )
    folds: int = setting(10, "Folds of the cross-validation by which auto compares methods.", at_least=2, at_most=100)
    standard_errors: float = setting(
        0.5, "A simpler method wins within this many standard errors of the best.", at_least=0, at_most=10
    )


@dataclass
class DurationSettings:
    """How the model of ``relief_duration`` is selected and fitted: hazards of loss of relief at the visits."""

    prior_sds: list[float] = setting(
        [sqrt(variance) for variance in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)],
        "Standard deviations of the normal prior of a log odds ratio of losing relief, per unit of an encoded column; "
        "cross-validation takes one.",
        at_least=1e-4,
        at_most=100.0,
        min_items=1,
    )
    first_differs: list[bool] = setting(
        [False, True],
        "Whether effects at the first visit differ from those later; cross-validation takes one.",
        min_items=1,
    )
    folds: int = setting(
        5, "Folds of the cross-validation of the hazards; patients stay together.", at_least=2, at_most=20
    )
    refits: int = setting(30, "Refits to reweighted patients, for the interval.", at_least=10, at_most=1000)
    minimum_events: int = setting(
        8,
        "Fewest losses of relief, and episodes without, for which a model is fitted.",
        at_least=MINIMUM_CELL,
        at_most=1000,
        unit="episodes",
    )
    minimum_interval_events: int = setting(
        5,
        "Intervals between visits with fewer losses of relief are joined.",
        at_least=1,
        at_most=1000,
        unit="episodes",
    )


@dataclass
class ChangeSettings:
    """How the model of ``pain_change`` is selected and fitted: conformalised conditional quantiles."""

    penalties: list[float] = setting(
        [0.01, 0.03, 0.1, 0.3, 1.0],
        "Ridge penalties per unit of mean loss; cross-validation takes one.",
        at_least=1e-8,
        at_most=1e4,
        min_items=1,
    )
    bandwidth: float = setting(
        0.05,
        "Width, as a share of the score before, over which the corner of the loss is rounded.",
        at_least=1e-4,
        at_most=1.0,
    )
    folds: int = setting(
        5, "Folds of the choice and of the conformal scores; patients stay together.", at_least=2, at_most=20
    )
    confidence: float = setting(
        0.80, "Confidence of the interval of a patient's change.", at_least=MIN_CONFIDENCE, at_most=MAX_CONFIDENCE
    )
    minimum_episodes: int = setting(
        20,
        "Fewest episodes with a known change for which a model is fitted.",
        at_least=10,
        at_most=1000,
        unit="episodes",
    )


@dataclass
class UncertaintySettings:
    """Interval of an individual's probability, by refits to reweighted patients or draws from a posterior."""

    refits: int = setting(
        30,
        "Refits to reweighted patients; of a model that starts from evidence, draws of its coefficients, at most 32.",
        at_least=10,
        at_most=1000,
    )
    confidence: float = setting(0.90, "Confidence of the interval.", at_least=MIN_CONFIDENCE, at_most=MAX_CONFIDENCE)
    min_site_sd: float = setting(
        0.1,
        "The standard deviation between sites is estimated, and taken to be at least this.",
        at_least=0,
        at_most=5,
        unit="log odds",
    )
