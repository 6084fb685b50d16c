"""Update saved models on patients of another cohort, judged on those left out of each update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from paincast.cohort.tables import Cohort
from paincast.disclosure.metrics import describe_too_few
from paincast.disclosure.rounding import round_measured
from paincast.errors import OutputError, RefusalError
from paincast.evaluation.validation.paired import compare_predictions
from paincast.fingerprints import Fingerprints, make_fingerprints
from paincast.models.binary.response import ResponseModel
from paincast.models.calibration.recalibration import (
    ORIGINAL,
    Recalibration,
    UpdateRows,
    allows_slope,
    choose_recalibration,
    cross_fit_recalibration,
    recalibrate_response,
)
from paincast.models.observation_weights import fit_observation_weights
from paincast.predictor import Predictor, add_version, save_predictor
from paincast.serving.validation.model_evaluation import ask_model, gather_answered
from paincast.settings import EvaluationSettings, ObservationSettings
from paincast.training_set import TrainingSet


@dataclass(frozen=True, kw_only=True)
class Update:
    """A model recalibrated on the patients of a cohort.

    Parameters
    ----------
    predictor : Predictor
        The updated model, with a version of its own and without validations.
    fingerprints : Fingerprints
        Of the patients it was updated on, who must not judge it.
    choice : DataFrame
        The tests by which the method was chosen, with the map of the log odds: ``chosen, intercept, slope``.
    comparison : DataFrame
        Performance before and after on patients who were left out of the update: ``metric, before, after, difference,
        lower, upper, n, method``.
    """

    predictor: Predictor
    fingerprints: Fingerprints
    choice: pd.DataFrame
    comparison: pd.DataFrame


def update_models(
    models: Mapping[str, Predictor], cohort: Cohort, settings: EvaluationSettings, rng: np.random.Generator
) -> tuple[dict[str, Update], dict[str, str]]:
    """Recalibrate each model of a technique of a cohort of real patients.

    Parameters
    ----------
    models : mapping of Predictor
        By ``technique/outcome``.
    cohort : Cohort
        Real patients, on whom no model was trained.
    settings : EvaluationSettings
        Resamples and confidence of the comparison.
    rng : numpy.random.Generator
        Source of folds, weights and resamples.

    Returns
    -------
    updates : dict of str to Update
        By ``technique/outcome``.
    refused : dict of str to str
        Why a model was not updated.
    """
    updates: dict[str, Update] = {}
    refused: dict[str, str] = {}
    present = {name: model for name, model in models.items() if (cohort.episodes["technique"] == model.technique).any()}
    for (name, model), child in zip(present.items(), rng.spawn(len(present)), strict=True):
        try:
            updates[name] = update_model(model, cohort, settings, child)
        except RefusalError as refusal:
            refused[name] = str(refusal)
    return updates, refused


def update_model(model: Predictor, cohort: Cohort, settings: EvaluationSettings, rng: np.random.Generator) -> Update:
    """Recalibrate one model; see :func:`update_models`.

    Raises
    ------
    RefusalError
        If the outcome is not binary, the model or the cohort does not allow it, or the tests do not call for it.
    """
    response = _require_updatable(model, cohort)
    weight_rng, fold_rng, refit_rng, metric_rng = rng.spawn(4)
    data, rows = _gather_rows(model, response, cohort, weight_rng)
    with_slope = allows_slope(rows)
    chosen = choose_recalibration(rows, with_slope=with_slope)
    if chosen.method == ORIGINAL:
        p_value = chosen.table["p_value"].iloc[0]
        raise RefusalError(
            f"{model.name}: the patients call for no recalibration (p = {p_value:.2g})",
            code="PC-SERVING-23",
        )
    after = cross_fit_recalibration(rows, fold_rng, with_slope=with_slope)
    comparison = compare_predictions(
        rows.outcome,
        expit(rows.linear_predictor),
        expit(after),
        patients=rows.patients,
        rng=metric_rng,
        resamples=settings.resamples,
        confidence=settings.confidence,
    ).rename(columns={"champion": "before", "candidate": "after"})
    episodes = data.episodes[data.known]
    recalibrated = recalibrate_response(response, episodes, rows, chosen, refit_rng)
    updated = _assemble(model, cohort, rows, recalibrated, comparison)
    return Update(
        predictor=updated,
        fingerprints=make_fingerprints(episodes, updated.version),
        choice=round_measured(_describe_choice(chosen)),
        comparison=round_measured(comparison),
    )


def save_updates(updates: Mapping[str, Update], folder: Path) -> list[Path]:
    """Save updated models as ``folder/technique/outcome``.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    return [save_predictor(update.predictor, folder / name, update.fingerprints) for name, update in updates.items()]


def require_new_folder(folder: Path) -> None:
    """Refuse a folder that holds anything: an update never replaces a model.

    Raises
    ------
    OutputError
        If the folder is a file or is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(
            f"{folder} is not empty: an update replaces no model; give a new folder", code="PC-SERVING-24"
        )


def _require_updatable(model: Predictor, cohort: Cohort) -> ResponseModel:
    name = model.name
    response = model.response
    if model.question.kind != "binary" or not isinstance(response, ResponseModel):
        raise RefusalError(f"{name}: only models of outcomes with two classes are recalibrated", code="PC-SERVING-25")
    if cohort.basis != "real":
        raise RefusalError(f"{name}: the patients are {cohort.basis}, not real", code="PC-SERVING-26")
    if model.n_real:
        raise RefusalError(
            f"{name}: the model stands on real patients itself; train it again on both together", code="PC-SERVING-27"
        )
    return response


def _gather_rows(
    model: Predictor, response: ResponseModel, cohort: Cohort, rng: np.random.Generator
) -> tuple[TrainingSet, UpdateRows]:
    data = gather_answered(ask_model(model, cohort))
    few = describe_too_few(data.observed[data.known])
    if few:
        raise RefusalError(f"{model.name}: {few}", code="PC-SERVING-28")
    weights = fit_observation_weights(data.episodes, data.known, ObservationSettings(), rng, contract=data.contract)[
        data.known
    ]
    episodes = data.episodes[data.known]
    return data, UpdateRows(
        linear_predictor=response.linear_predictor(episodes),
        outcome=data.observed[data.known],
        weights=weights,
        patients=episodes["patient_id"].to_numpy(object),
    )


def _assemble(
    model: Predictor, cohort: Cohort, rows: UpdateRows, response: ResponseModel, comparison: pd.DataFrame
) -> Predictor:
    """Assemble the updated model: what it stands on now holds these patients too."""
    n, n_events = len(rows.outcome), int(rows.outcome.sum())
    released = round_measured(comparison).rename(columns={"after": "estimate"})
    performance = released.assign(group="overall", lower=np.nan, upper=np.nan)[
        ["metric", "group", "estimate", "lower", "upper", "n", "method"]
    ]
    plain = performance.astype(object).where(performance.notna(), None).to_dict("records")
    return add_version(
        replace(
            model,
            response=response,
            basis="blended",
            n_training=model.n_training + n,
            n_events=(model.n_events or 0) + n_events,
            n_real=n,
            sources=tuple(dict.fromkeys([*model.sources, *cohort.sources])),
            performance=tuple({str(name): value for name, value in row.items()} for row in plain),
            validations=(),
        )
    )


def _describe_choice(chosen: Recalibration) -> pd.DataFrame:
    calibration = chosen.calibration
    return chosen.table.assign(chosen=chosen.method, intercept=calibration.intercept, slope=calibration.slope)
