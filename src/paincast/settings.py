"""Settings of a training run: plain dataclasses with sane defaults, checked before any work starts.

The command line composes them with Hydra from ``configs/``; a Python user builds them
directly. Nothing here knows Hydra.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paincast.errors import SettingsError, suggest_name
from paincast.schema import TECHNIQUES

MODEL_KINDS = ("logistic", "xgboost", "ebm")
FITTED_CALIBRATIONS = ("none", "affine", "beta", "isotonic", "venn_abers")
"""Methods of calibration, the simplest first."""

OBSERVATION_METHODS = ("weighted", "complete_case")
CALIBRATION_METHODS = (*FITTED_CALIBRATIONS, "auto")
COHORT_SOURCES = ("simulated", "folder", "blended")
LADDER_METHODS = ("cross_validation", "closed_test")
SCENARIOS = ("literature", "pragmatic", "seed_optimistic")


@dataclass
class CohortSettings:
    """Where the episodes come from.

    ``source`` is ``simulated`` (made on the spot from the evidence), ``folder`` (a cohort written by
    ``paincast simulate`` or ``paincast ingest`` at ``path``) or ``blended`` (real episodes ingested at ``real``, and
    beside them episodes simulated as for ``simulated``; :class:`LadderSettings` say how much each counts).
    """

    source: str = "simulated"
    path: str | None = None
    real: str | None = None
    episodes_per_technique: int = 1500
    scenario: str = "literature"
    seed: int = 20260101


@dataclass
class OutcomeSettings:
    """Which question is asked of the follow-up; ``name="all"`` asks every one of them.

    ``horizon_months`` empty means the technique's primary horizon, ``window_months`` empty the window of the outcome.
    ``complication_kind`` counts complications of one kind only, as written in ``detail`` of the events.
    """

    name: str = "pain_response"
    horizon_months: float | None = None
    window_months: list[float] | None = None
    complication_kind: str | None = None


@dataclass
class ObservationSettings:
    """What is done about loss to follow-up.

    ``method`` is ``weighted`` (inverse probability of being observed) or ``complete_case`` (those observed stand for
    all). The penalty of the model of being observed is chosen among ``inverse_penalties`` by cross-validation in
    ``folds``; weights are cut off at their quantile ``truncation``. With fewer than ``minimum_lost`` episodes on a side
    no model is fitted and weights are 1. The sweep shifts the log odds of those lost by each of ``shifts``.
    """

    method: str = "weighted"
    inverse_penalties: list[float] = field(default_factory=lambda: [0.0001, 0.003, 0.1])
    folds: int = 3
    truncation: float = 0.99
    minimum_lost: int = 20
    shifts: list[float] = field(default_factory=lambda: [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0])


@dataclass
class ModelSettings:
    """Candidate models and how one is chosen.

    Penalised logistic models are tried with every ``ridge_spreads`` (standard deviation of the prior of a log odds
    ratio per two standard deviations of a number, or per yes) and ``lasso_strengths`` (elastic net with ``l1_ratio``;
    a multiple of one over the square root of the number of rows), on ``splines`` or straight lines, and shrunk towards
    each share in ``borrowing`` of what techniques have in common. That is fitted with one of ``pool_penalties`` on at
    most ``pool_rows`` episodes of every other technique. Boosted trees are searched in ``trials`` trials, ``boosting``
    first, kept in the file ``search_storage`` if one is named; ``monotone`` imposes the directions that evidence calls
    moderate or strong. An explainable boosting machine is tried with each set of parameters in ``additive``, the
    simplest first. The simplest candidate wins whose cross-validated log loss is within ``standard_errors`` of the
    lowest.
    """

    candidates: list[str] = field(default_factory=lambda: ["logistic", "xgboost"])
    splines: bool = True
    ridge_spreads: list[float] = field(default_factory=lambda: [0.03, 0.06, 0.12, 0.25])
    lasso_strengths: list[float] = field(default_factory=lambda: [1.6, 0.8, 0.4, 0.2])
    l1_ratio: float = 0.9
    borrowing: list[float] = field(default_factory=lambda: [1.0, 0.5, 0.0])
    directions: bool = True
    pool_penalties: list[float] = field(default_factory=lambda: [0.001, 0.002, 0.004, 0.008, 0.03])
    pool_rows: int = 3000
    boosting: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {
                "n_estimators": 60,
                "max_depth": 2,
                "learning_rate": 0.1,
                "min_child_weight": 10.0,
                "reg_lambda": 5.0,
                "subsample": 1.0,
                "colsample_bytree": 1.0,
            },
        ]
    )
    trials: int = 8
    search_storage: str | None = None
    additive: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"max_rounds": rounds, "learning_rate": 0.04, "max_bins": 32} for rounds in (10, 20, 40, 80, 160)
        ]
    )
    monotone: bool = True
    selection_folds: int = 5
    standard_errors: float = 1.0
    minimum_events: int = 8


@dataclass
class CalibrationSettings:
    """How cross-fitted margins are recalibrated; ``slope_prior_sd`` shrinks slopes towards 1.

    ``method=auto`` takes the simplest of ``candidates`` whose log loss, cross-validated in ``folds`` on the margins,
    is within ``standard_errors`` of the lowest.
    """

    method: str = "affine"
    slope_prior_sd: float = 0.25
    candidates: list[str] = field(default_factory=lambda: ["none", "affine"])
    folds: int = 10
    standard_errors: float = 0.5


@dataclass
class LadderSettings:
    """How far ``cohort.source=blended`` goes from what evidence says to what real patients say.

    ``method`` is ``cross_validation`` on the real rows (``folds``, ``repeats``; the level that stands most on evidence
    wins whose log loss is within ``standard_errors`` of the lowest) or ``closed_test`` at level ``significance``. The
    weight of a simulated row beside a real one is chosen among ``synthetic_weights``. The log of the slope by which
    evidence is recalibrated has a normal prior with standard deviation ``slope_prior_sd``. All levels are linear in the
    log odds: of the candidate models only ``logistic`` is used.
    """

    method: str = "cross_validation"
    folds: int = 5
    repeats: int = 5
    standard_errors: float = 1.0
    synthetic_weights: list[float] = field(default_factory=lambda: [1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001])
    slope_prior_sd: float = 1.0
    significance: float = 0.05


@dataclass
class UncertaintySettings:
    """Interval for the individual's probability: bootstrap refits of patients, and its level.

    The standard deviation of the log odds between sites is estimated, and taken to be ``least_site_spread`` at least.
    """

    refits: int = 30
    level: float = 0.90
    least_site_spread: float = 0.1


@dataclass
class EvaluationSettings:
    """Honest evaluation: outer folds (patients kept together), repeats, and bootstrap intervals of the metrics."""

    folds: int = 5
    repeats: int = 1
    resamples: int = 500
    confidence: float = 0.95


@dataclass
class TrackingSettings:
    """Where runs are recorded; no ``uri`` means ``MLFLOW_TRACKING_URI``, or ``mlflow.db`` in the working folder."""

    enabled: bool = True
    uri: str | None = None
    artifacts: str | None = None
    experiment: str = "paincast"
    register: bool = True


@dataclass
class TrainingSettings:
    """Everything one training run needs."""

    cohort: CohortSettings = field(default_factory=CohortSettings)
    techniques: list[str] = field(default_factory=list)
    outcome: OutcomeSettings = field(default_factory=OutcomeSettings)
    observation: ObservationSettings = field(default_factory=ObservationSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)
    ladder: LadderSettings = field(default_factory=LadderSettings)
    uncertainty: UncertaintySettings = field(default_factory=UncertaintySettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    models_folder: str = "models"
    seed: int = 7
    jobs: int = -1
    progress: bool = True


def check_settings(settings: TrainingSettings) -> TrainingSettings:
    """Check the values that types alone cannot.

    Parameters
    ----------
    settings : TrainingSettings
        Settings of the right types.

    Returns
    -------
    TrainingSettings
        The same object.

    Raises
    ------
    SettingsError
        Naming the setting, what is allowed and the nearest known name.
    """
    for technique in settings.techniques:
        _check_name("technique", technique, TECHNIQUES)
    _check_name("cohort.source", settings.cohort.source, COHORT_SOURCES)
    _check_name("cohort.scenario", settings.cohort.scenario, SCENARIOS)
    if settings.cohort.source == "folder" and not settings.cohort.path:
        raise SettingsError(
            "cohort.path is empty; cohort.source=folder needs the folder of an ingested or simulated cohort"
        )
    _check_ladder(settings)
    if not settings.model.candidates:
        raise SettingsError(f"model.candidates is empty; allowed: {', '.join(MODEL_KINDS)}")
    for kind in settings.model.candidates:
        _check_name("model.candidates", kind, MODEL_KINDS)
    _check_range("cohort.episodes_per_technique", settings.cohort.episodes_per_technique, 1, 10_000_000)
    _check_range("model.selection_folds", settings.model.selection_folds, 2, 20)
    _check_range("model.minimum_events", settings.model.minimum_events, 2, 1000)
    _check_model(settings.model)
    _check_range("evaluation.folds", settings.evaluation.folds, 2, 20)
    _check_range("evaluation.repeats", settings.evaluation.repeats, 1, 100)
    _check_range("evaluation.resamples", settings.evaluation.resamples, 50, 100_000)
    _check_range("evaluation.confidence", settings.evaluation.confidence, 0.5, 0.999)
    _check_range("uncertainty.refits", settings.uncertainty.refits, 10, 1000)
    _check_range("uncertainty.least_site_spread", settings.uncertainty.least_site_spread, 0, 5)
    _check_range("uncertainty.level", settings.uncertainty.level, 0.5, 0.999)
    _check_calibration(settings.calibration)
    if settings.outcome.horizon_months is not None:
        _check_range("outcome.horizon_months", settings.outcome.horizon_months, 0.1, 240)
    window = settings.outcome.window_months
    if window is not None and (len(window) != 2 or not 0 < window[0] < window[1]):
        raise SettingsError("outcome.window_months needs two increasing months above 0, for example [0.5, 1.5]")
    return settings


def _check_calibration(settings: CalibrationSettings) -> None:
    _check_name("calibration.method", settings.method, CALIBRATION_METHODS)
    if not settings.candidates:
        raise SettingsError(f"calibration.candidates is empty; allowed: {', '.join(FITTED_CALIBRATIONS)}")
    for method in settings.candidates:
        _check_name("calibration.candidates", method, FITTED_CALIBRATIONS)
    _check_range("calibration.slope_prior_sd", settings.slope_prior_sd, 1e-3, 100)
    _check_range("calibration.folds", settings.folds, 2, 100)
    _check_range("calibration.standard_errors", settings.standard_errors, 0, 10)


def _check_model(model: ModelSettings) -> None:
    for name, low, high in (
        ("ridge_spreads", 1e-4, 100.0),
        ("lasso_strengths", 1e-4, 1e4),
        ("borrowing", 0.0, 1.0),
        ("pool_penalties", 1e-8, 1e3),
    ):
        for value in getattr(model, name):
            _check_range(f"model.{name}", value, low, high)
    if not model.borrowing:
        raise SettingsError("model.borrowing is empty; [0.0] borrows nothing")
    if "ebm" in model.candidates and not model.additive:
        raise SettingsError("model.additive is empty; 'ebm' needs at least one set of parameters, {} for the defaults")
    if not model.pool_penalties:
        raise SettingsError("model.pool_penalties is empty; give at least one penalty, for example [0.004]")
    _check_range("model.l1_ratio", model.l1_ratio, 0.01, 1.0)
    _check_range("model.trials", model.trials, 1, 10_000)
    _check_range("model.pool_rows", model.pool_rows, 0, 1_000_000)


def _check_ladder(settings: TrainingSettings) -> None:
    ladder = settings.ladder
    _check_name("ladder.method", ladder.method, LADDER_METHODS)
    _check_range("ladder.folds", ladder.folds, 2, 20)
    _check_range("ladder.repeats", ladder.repeats, 1, 100)
    _check_range("ladder.standard_errors", ladder.standard_errors, 0, 10)
    _check_range("ladder.slope_prior_sd", ladder.slope_prior_sd, 1e-3, 100)
    _check_range("ladder.significance", ladder.significance, 1e-6, 0.5)
    if not ladder.synthetic_weights:
        raise SettingsError("ladder.synthetic_weights is empty; give at least one weight, for example [0.1]")
    for weight in ladder.synthetic_weights:
        _check_range("ladder.synthetic_weights", weight, 1e-8, 100)
    if settings.cohort.source != "blended":
        return
    if not settings.cohort.real:
        raise SettingsError(
            "cohort.real is empty; cohort=blended needs the folder of real episodes that 'paincast ingest' wrote: "
            "cohort.real=DIR"
        )
    if "logistic" not in settings.model.candidates:
        raise SettingsError(
            f"cohort=blended compares models that are linear in the log odds; model.candidates holds "
            f"{', '.join(settings.model.candidates) or 'none'}; use model=logistic"
        )
    if settings.calibration.method not in ("none", "affine"):
        raise SettingsError(
            f"cohort=blended keeps models linear in the log odds; calibration.method={settings.calibration.method} "
            "bends them; use calibration=affine or calibration=none"
        )


def _check_name(setting: str, name: str, allowed: tuple[str, ...]) -> None:
    if name not in allowed:
        raise SettingsError(f"{setting}: unknown name '{name}'; {suggest_name(name, allowed)}")


def _check_range(setting: str, number: float, low: float, high: float) -> None:
    if not low <= number <= high:
        raise SettingsError(f"{setting}={number:g} is outside what is allowed, {low:g} to {high:g}")


def find_configs() -> Path:
    """Find the folder of Hydra configurations and registry mappings: in the wheel, or in the checkout.

    Returns
    -------
    Path
        The folder that holds ``config.yaml``.

    Raises
    ------
    SettingsError
        If the installation is broken and neither exists.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "configs", package.parents[1] / "configs"):
        if (candidate / "config.yaml").is_file():
            return candidate
    raise SettingsError("the configuration folder is missing from this installation; reinstall paincast")
