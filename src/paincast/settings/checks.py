"""What types alone cannot check of settings, before any work starts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from paincast.errors import SettingsError, suggest_name
from paincast.schema import SMALLEST_CELL, TECHNIQUES
from paincast.settings.declarations import (
    BASES,
    CALIBRATION_METHODS,
    COHORT_SOURCES,
    FITTED_CALIBRATIONS,
    HELD_OUT,
    LADDER_METHODS,
    MODEL_KINDS,
    OBSERVATION_METHODS,
    SCENARIOS,
    CalibrationSettings,
    ChangeSettings,
    DurationSettings,
    EvaluationSettings,
    GateSettings,
    ModelSettings,
    ObservationSettings,
    TrainingSettings,
)

PARAMETER_RANGES = {
    "n_estimators": (1, 100_000),
    "max_depth": (0, 100),
    "learning_rate": (1e-6, 1.0),
    "min_child_weight": (0.0, 1e6),
    "reg_lambda": (0.0, 1e6),
    "reg_alpha": (0.0, 1e6),
    "subsample": (0.01, 1.0),
    "colsample_bytree": (0.01, 1.0),
    "max_rounds": (1, 1_000_000),
    "max_bins": (2, 65_535),
}
"""What is allowed of the parameters that ``model.boosting`` and ``model.additive`` pass on to their libraries."""

LARGEST_SEED = 2**63 - 1

FEWEST_REPEATS = 50
"""Of the whole modelling, to measure optimism."""


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
            "cohort.path is empty; cohort.source=folder needs the folder of an ingested or simulated cohort",
            code="PC-SETTINGS-01",
        )
    _check_ladder(settings)
    if not settings.model.candidates:
        raise SettingsError(f"model.candidates is empty; allowed: {', '.join(MODEL_KINDS)}", code="PC-SETTINGS-02")
    for kind in settings.model.candidates:
        _check_name("model.candidates", kind, MODEL_KINDS)
    _check_range("cohort.episodes_per_technique", settings.cohort.episodes_per_technique, 1, 10_000_000)
    _check_range("cohort.seed", settings.cohort.seed, 0, LARGEST_SEED)
    _check_range("seed", settings.seed, 0, LARGEST_SEED)
    _check_jobs(settings.jobs)
    _check_observation(settings.observation)
    _check_range("model.selection_folds", settings.model.selection_folds, 2, 20)
    _check_range("model.minimum_alone", settings.model.minimum_alone, 2, 10_000_000)
    _check_range("model.minimum_flexible", settings.model.minimum_flexible, 2, 100_000)
    _check_range("model.minimum_events", settings.model.minimum_events, SMALLEST_CELL, 1000)
    _check_model(settings.model)
    _check_evaluation(settings.evaluation)
    _check_range("uncertainty.refits", settings.uncertainty.refits, 10, 1000)
    _check_range("uncertainty.least_site_spread", settings.uncertainty.least_site_spread, 0, 5)
    _check_range("uncertainty.level", settings.uncertainty.level, 0.5, 0.999)
    _check_calibration(settings.calibration)
    _check_courses(settings.duration, settings.change)
    _check_gate(settings.gate)
    if settings.outcome.horizon_months is not None:
        _check_range("outcome.horizon_months", settings.outcome.horizon_months, 0.1, 240)
    window = settings.outcome.window_months
    if window is not None and (len(window) != 2 or not 0 < window[0] < window[1] <= 240):
        raise SettingsError(
            "outcome.window_months needs two increasing months above 0 and up to 240, for example [0.5, 1.5]",
            code="PC-SETTINGS-03",
        )
    return settings


def _check_jobs(jobs: int) -> None:
    _check_range("jobs", jobs, -1024, 1024)
    if jobs == 0:
        raise SettingsError("jobs=0 starts no process; 1 is one at a time, -1 one for each core", code="PC-SETTINGS-04")


def _check_observation(settings: ObservationSettings) -> None:
    _check_name("observation.method", settings.method, OBSERVATION_METHODS)
    _check_all("observation.inverse_penalties", settings.inverse_penalties, 1e-8, 1e4)
    _check_range("observation.folds", settings.folds, 2, 20)
    _check_range("observation.truncation", settings.truncation, 0.5, 1.0)
    _check_range("observation.minimum_lost", settings.minimum_lost, 1, 1_000_000)
    _check_all("observation.shifts", settings.shifts, -10.0, 10.0)


def _check_evaluation(settings: EvaluationSettings) -> None:
    _check_range("evaluation.folds", settings.folds, 2, 20)
    _check_range("evaluation.repeats", settings.repeats, 1, 100)
    _check_range("evaluation.resamples", settings.resamples, 50, 100_000)
    _check_range("evaluation.confidence", settings.confidence, 0.5, 0.999)
    _check_limits("evaluation.threshold_range", settings.threshold_range, 0.01, 0.99)
    _check_range("evaluation.optimism", settings.optimism, 0, 10_000)
    if 0 < settings.optimism < FEWEST_REPEATS:
        raise SettingsError(
            f"evaluation.optimism={settings.optimism} repeats are too few for an interval; allowed: 0, which measures "
            f"no optimism, or {FEWEST_REPEATS} to 10000",
            code="PC-SETTINGS-05",
        )
    _check_name("evaluation.held_out", settings.held_out, HELD_OUT)


def _check_calibration(settings: CalibrationSettings) -> None:
    _check_name("calibration.method", settings.method, CALIBRATION_METHODS)
    if not settings.candidates:
        raise SettingsError(
            f"calibration.candidates is empty; allowed: {', '.join(FITTED_CALIBRATIONS)}", code="PC-SETTINGS-06"
        )
    for method in settings.candidates:
        _check_name("calibration.candidates", method, FITTED_CALIBRATIONS)
    _check_range("calibration.slope_prior_sd", settings.slope_prior_sd, 1e-3, 100)
    _check_range("calibration.folds", settings.folds, 2, 100)
    _check_range("calibration.standard_errors", settings.standard_errors, 0, 10)


def _check_gate(gate: GateSettings) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", gate.name):
        raise SettingsError(
            f"gate.name: '{gate.name}' is not allowed; use letters, digits, _ and -", code="PC-SETTINGS-07"
        )
    if not gate.bases:
        raise SettingsError(f"gate.bases is empty; allowed: {', '.join(BASES)}", code="PC-SETTINGS-08")
    for basis in gate.bases:
        _check_name("gate.bases", basis, BASES)
    if "synthetic" in gate.bases and not gate.research_use:
        raise SettingsError(
            "gate.bases holds synthetic, which may be promoted for research only; set gate.research_use=true, or leave "
            "synthetic out",
            code="PC-SETTINGS-09",
        )
    for name, limits, low, high in (
        ("auroc", gate.auroc, 0.0, 1.0),
        ("calibration_slope", gate.calibration_slope, 0.0, 10.0),
        ("o_e_ratio", gate.o_e_ratio, 0.0, 10.0),
        ("subgroup_o_e_ratio", gate.subgroup_o_e_ratio, 0.0, 10.0),
    ):
        _check_limits(f"gate.{name}", limits, low, high)
    for name, number, low, high in (
        ("confidence", gate.confidence, 0.5, 0.999),
        ("minimum_real", gate.minimum_real, 0, 10_000_000),
        ("ici", gate.ici, 0.0, 1.0),
        ("subgroup_size", gate.subgroup_size, 1, 10_000_000),
        ("coverage_margin", gate.coverage_margin, 0.0, 0.5),
    ):
        if number is not None:
            _check_range(f"gate.{name}", number, low, high)


def _check_courses(duration: DurationSettings, change: ChangeSettings) -> None:
    if not duration.first_differs:
        raise SettingsError("duration.first_differs is empty; give at least one", code="PC-SETTINGS-10")
    _check_all("duration.inverse_penalties", duration.inverse_penalties, 1e-8, 1e4)
    _check_all("change.penalties", change.penalties, 1e-8, 1e4)
    for name, value, low, high in (
        ("duration.folds", duration.folds, 2, 20),
        ("duration.refits", duration.refits, 10, 1000),
        ("duration.minimum_events", duration.minimum_events, SMALLEST_CELL, 1000),
        ("duration.minimum_interval_events", duration.minimum_interval_events, 1, 1000),
        ("change.bandwidth", change.bandwidth, 1e-4, 1.0),
        ("change.folds", change.folds, 2, 20),
        ("change.level", change.level, 0.5, 0.999),
        ("change.minimum_episodes", change.minimum_episodes, 10, 1000),
    ):
        _check_range(name, value, low, high)


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
        raise SettingsError("model.borrowing is empty; [0.0] borrows nothing", code="PC-SETTINGS-11")
    if "ebm" in model.candidates and not model.additive:
        raise SettingsError(
            "model.additive is empty; 'ebm' needs at least one set of parameters, {} for the defaults",
            code="PC-SETTINGS-12",
        )
    if not model.pool_penalties:
        raise SettingsError(
            "model.pool_penalties is empty; give at least one penalty, for example [0.004]", code="PC-SETTINGS-13"
        )
    _check_range("model.l1_ratio", model.l1_ratio, 0.01, 1.0)
    _check_range("model.averaging", model.averaging, 0.0, 1.0)
    _check_range("model.simplest_odds", model.simplest_odds, 1.0, 1e6)
    _check_range("model.trials", model.trials, 1, 10_000)
    _check_range("model.pool_rows", model.pool_rows, 0, 1_000_000)
    _check_range("model.standard_errors", model.standard_errors, 0, 10)
    for one in model.boosting:
        _check_parameters("model.boosting", one)
    for one in model.additive:
        _check_parameters("model.additive", one)


def _check_parameters(setting: str, parameters: Mapping[str, object]) -> None:
    for name, value in parameters.items():
        if not isinstance(value, int | float):
            raise SettingsError(f"{setting}: {name} needs a number, got {type(value).__name__}", code="PC-SETTINGS-14")
        if name in PARAMETER_RANGES:
            _check_range(f"{setting}: {name}", value, *PARAMETER_RANGES[name])
        elif not math.isfinite(value):
            raise SettingsError(
                f"{setting}: {name}={value:g} is outside what is allowed, any finite number", code="PC-SETTINGS-15"
            )


def _check_ladder(settings: TrainingSettings) -> None:
    ladder = settings.ladder
    _check_name("ladder.method", ladder.method, LADDER_METHODS)
    _check_range("ladder.averaging", ladder.averaging, 0, 10)
    _check_range("ladder.folds", ladder.folds, 2, 20)
    _check_range("ladder.repeats", ladder.repeats, 1, 100)
    _check_range("ladder.standard_errors", ladder.standard_errors, 0, 10)
    _check_range("ladder.slope_prior_sd", ladder.slope_prior_sd, 1e-3, 100)
    _check_range("ladder.significance", ladder.significance, 1e-6, 0.5)
    if not ladder.synthetic_weights:
        raise SettingsError(
            "ladder.synthetic_weights is empty; give at least one weight, for example [0.1]", code="PC-SETTINGS-16"
        )
    for weight in ladder.synthetic_weights:
        _check_range("ladder.synthetic_weights", weight, 1e-8, 100)
    if settings.cohort.source != "blended":
        return
    if not settings.cohort.real:
        raise SettingsError(
            "cohort.real is empty; cohort=blended needs the folder of real episodes that 'paincast ingest' wrote: "
            "cohort.real=DIR",
            code="PC-SETTINGS-17",
        )
    if "logistic" not in settings.model.candidates:
        raise SettingsError(
            f"cohort=blended compares models that are linear in the log odds; model.candidates holds "
            f"{', '.join(settings.model.candidates) or 'none'}; use model=logistic",
            code="PC-SETTINGS-18",
        )
    if settings.calibration.method not in ("none", "affine"):
        raise SettingsError(
            f"cohort=blended keeps models linear in the log odds; calibration.method={settings.calibration.method} "
            "bends them; use calibration=affine or calibration=none",
            code="PC-SETTINGS-19",
        )


def _check_name(setting: str, name: str, allowed: tuple[str, ...]) -> None:
    if name not in allowed:
        raise SettingsError(f"{setting}: unknown name '{name}'; {suggest_name(name, allowed)}", code="PC-SETTINGS-20")


def _check_limits(setting: str, limits: list[float] | None, low: float, high: float) -> None:
    if limits is None:
        return
    if len(limits) != 2 or not limits[0] < limits[1]:
        raise SettingsError(f"{setting} needs two increasing limits within {low:g} to {high:g}", code="PC-SETTINGS-21")
    for limit in limits:
        _check_range(setting, limit, low, high)


def _check_all(setting: str, numbers: Sequence[float], low: float, high: float) -> None:
    if not numbers:
        raise SettingsError(f"{setting} is empty; give at least one", code="PC-SETTINGS-22")
    for number in numbers:
        _check_range(setting, number, low, high)


def _check_range(setting: str, number: float, low: float, high: float) -> None:
    if not low <= number <= high:
        raise SettingsError(
            f"{setting}={number:g} is outside what is allowed, {low:g} to {high:g}", code="PC-SETTINGS-23"
        )
