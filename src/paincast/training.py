"""One training run: cohort, outcome, honest evaluation, final fit, explanation, report, record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml
from scipy.special import expit
from tqdm import tqdm

from paincast.cohort.simulate import simulate_cohort
from paincast.cohort.tables import Cohort, load_cohort
from paincast.errors import RefusalError, SettingsError
from paincast.evaluation.calibration import compute_calibration_curve
from paincast.evaluation.metrics import compute_metrics
from paincast.evaluation.truth import check_against_truth, load_truth, match_truth, refuse_leak
from paincast.explain import Explanation, compute_importance
from paincast.models.response import ResponseModel, cross_fit_margins, fit_response_model, require_both_classes
from paincast.predictor import Predictor, save_predictor, seal_predictor
from paincast.reporting.pictures import draw_pictures
from paincast.reporting.summary import judge_sample_size, say_precision, summarize_training
from paincast.rules import TechniqueRules, collect_rules
from paincast.schema import TECHNIQUES
from paincast.settings import TrainingSettings, check_settings
from paincast.tracking import (
    ModelRun,
    Store,
    TrainingRun,
    log_model_run,
    resolve_store,
    start_training,
    summarize_dataset,
)
from paincast.training_set import TrainingSet, make_training_set

FloatArray = npt.NDArray[np.float64]
STAGES = ("evaluating", "fitting", "explaining", "recording")


@dataclass(frozen=True, kw_only=True)
class TrainedTechnique:
    """What came of training one technique.

    Parameters
    ----------
    predictor : Predictor
        The sealed model.
    flow : DataFrame
        Who was counted in and who was left out: ``step, n``.
    metrics, curve : DataFrame
        Honest out-of-fold metrics and calibration curve.
    explanation : Explanation
        Contributions over the training cohort.
    """

    predictor: Predictor
    flow: pd.DataFrame
    metrics: pd.DataFrame
    curve: pd.DataFrame
    explanation: Explanation


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training run returns.

    Parameters
    ----------
    summary : DataFrame
        One row per technique, for reading.
    models_folder : Path
        Where the bundles are: ``<technique>/<outcome>``.
    review_hint : str
        The command that opens the review; empty when nothing was tracked.
    trained : dict of str to TrainedTechnique
        What was made, by technique.
    refused : dict of str to str
        Why no model was made, by technique.
    """

    summary: pd.DataFrame
    models_folder: Path
    review_hint: str
    trained: dict[str, TrainedTechnique]
    refused: dict[str, str]


def train(settings: TrainingSettings, *, config_yaml: str | None = None) -> TrainingResult:
    """Train and evaluate a response model for every technique asked for.

    Parameters
    ----------
    settings : TrainingSettings
        What to train, on what and how.
    config_yaml : str, optional
        Resolved configuration to record; by default the settings themselves.

    Returns
    -------
    TrainingResult

    Raises
    ------
    SettingsError
        If a setting is not allowed.
    RefusalError
        If no technique could be trained: the reasons, with the numbers. On simulated data also when discrimination
        exceeds what is possible, which means that something leaked.
    """
    check_settings(settings)
    cohort, truth = _open_cohort(settings)
    techniques = _list_techniques(settings, cohort)
    store = resolve_store(settings.tracking) if settings.tracking.enabled else None
    config = config_yaml or yaml.safe_dump(asdict(settings), sort_keys=False)
    trained: dict[str, TrainedTechnique] = {}
    refused: dict[str, str] = {}
    with _record(store, settings, cohort, config) as run, _progress(settings, len(techniques)) as bar:
        for technique in techniques:
            try:
                data, rules = _prepare(technique, cohort, settings)
            except RefusalError as refusal:
                refused[technique] = str(refusal)
                bar.update(len(STAGES))
                continue
            trained[technique] = _train_and_record(data, rules, truth, settings, run, bar)
        if not trained:
            raise RefusalError("; ".join(f"{technique}: {reason}" for technique, reason in refused.items()))
    return TrainingResult(
        summary=summarize_training({name: (one.predictor, one.metrics) for name, one in trained.items()}, refused),
        models_folder=Path(settings.models_folder),
        review_hint=f"paincast review --tracking-uri {store.uri}" if store else "",
        trained=trained,
        refused=refused,
    )


def _open_cohort(settings: TrainingSettings) -> tuple[Cohort, pd.DataFrame | None]:
    wanted = settings.cohort
    if wanted.source == "simulated":
        cohort, truth = simulate_cohort(
            techniques=settings.techniques or None,
            episodes_per_technique=wanted.episodes_per_technique,
            scenario=wanted.scenario,
            seed=wanted.seed,
        )
        return cohort, truth.expand(outcome=settings.outcome.name)
    cohort = load_cohort(str(wanted.path))
    known = cohort.basis == "synthetic"
    return cohort, load_truth(str(wanted.path), outcome=settings.outcome.name) if known else None


def _list_techniques(settings: TrainingSettings, cohort: Cohort) -> list[str]:
    held = set(cohort.episodes["technique"])
    absent = [technique for technique in settings.techniques if technique not in held]
    present = [technique for technique in TECHNIQUES if technique in held]
    if absent:
        raise SettingsError(
            f"the cohort holds no episode of {', '.join(absent)}; it holds {', '.join(present) or 'none'}"
        )
    return [technique for technique in present if not settings.techniques or technique in settings.techniques]


@contextmanager
def _record(
    store: Store | None, settings: TrainingSettings, cohort: Cohort, config_yaml: str
) -> Iterator[TrainingRun | None]:
    if store is None:
        yield None
        return
    name = f"{settings.outcome.name} · {cohort.basis}"
    tags = {"basis": cohort.basis, "n_real": str(cohort.n_real), "outcome": settings.outcome.name}
    params = {"seed": settings.seed, "outcome": settings.outcome.name, "n_episodes": len(cohort.episodes)}
    with start_training(store, name, params=params, tags=tags, config_yaml=config_yaml) as run:
        yield run


@contextmanager
def _progress(settings: TrainingSettings, n_techniques: int) -> Iterator[tqdm[Any]]:
    steps, shape = len(STAGES) * n_techniques, "{l_bar}{bar:24}| {elapsed}"
    with tqdm(total=steps, disable=None if settings.progress else True, bar_format=shape) as bar:
        yield bar


def _prepare(technique: str, cohort: Cohort, settings: TrainingSettings) -> tuple[TrainingSet, TechniqueRules]:
    rules = collect_rules(technique, settings.outcome.name)
    data = make_training_set(technique, cohort, settings.outcome)
    require_both_classes(data.observed, settings.model.minimum_events)
    return data, rules


def _train_and_record(
    data: TrainingSet,
    rules: TechniqueRules,
    truth: pd.DataFrame | None,
    settings: TrainingSettings,
    run: TrainingRun | None,
    bar: tqdm[Any],
) -> TrainedTechnique:
    stages = _announce_stages(data.technique, bar)
    evaluation_rng, fit_rng, metric_rng = _stream(settings.seed, data.technique).spawn(3)
    next(stages)
    probability = expit(cross_fit_margins(data.episodes, data.observed, settings, evaluation_rng))
    metrics = _measure(data, probability, truth, settings, metric_rng)
    next(stages)
    response = fit_response_model(data.episodes, data.observed, settings, fit_rng)
    predictor = _assemble(data, response, rules, metrics, settings)
    next(stages)
    trained = TrainedTechnique(
        predictor=predictor,
        flow=data.flow,
        metrics=metrics,
        curve=compute_calibration_curve(data.observed, probability),
        explanation=predictor.explain(data.episodes),
    )
    next(stages)
    bundle = save_predictor(predictor, Path(settings.models_folder) / data.technique / data.outcome.name)
    if run is not None:
        log_model_run(
            run, _describe_run(trained, probability, bundle, data, settings), register=settings.tracking.register
        )
    bar.update()
    return trained


def _announce_stages(technique: str, bar: tqdm[Any]) -> Iterator[None]:
    for position, stage in enumerate(STAGES):
        bar.update(position > 0)
        bar.set_description(f"{technique}: {stage}")
        yield


def _stream(seed: int, technique: str) -> np.random.Generator:
    """Give each technique a stream of its own, the same whichever others are trained beside it."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(TECHNIQUES.index(technique),)))


def _measure(
    data: TrainingSet,
    probability: FloatArray,
    truth: pd.DataFrame | None,
    settings: TrainingSettings,
    rng: np.random.Generator,
) -> pd.DataFrame:
    patients = data.episodes["patient_id"].to_numpy(object)
    confidence = settings.evaluation.confidence
    metrics = compute_metrics(
        data.observed,
        probability,
        patients=patients,
        rng=rng,
        resamples=settings.evaluation.resamples,
        confidence=confidence,
    )
    if truth is None:
        return metrics
    true = match_truth(
        truth,
        data.episodes["episode_id"],
        technique=data.technique,
        outcome=data.outcome.name,
        horizon_months=data.horizon_months,
    )
    if true.isna().any():
        return metrics
    known = true.to_numpy(float)
    refuse_leak(data.observed, probability, known, patients)
    against = check_against_truth(data.observed, probability, known, patients, confidence=confidence)
    return pd.concat([metrics, against], ignore_index=True)


def _assemble(
    data: TrainingSet,
    response: ResponseModel,
    rules: TechniqueRules,
    metrics: pd.DataFrame,
    settings: TrainingSettings,
) -> Predictor:
    performance = metrics.astype(object).where(metrics.notna(), None).to_dict(orient="records")
    rows = tuple({str(name): value for name, value in row.items()} for row in performance)
    return seal_predictor(
        Predictor(
            technique=data.technique,
            outcome=data.outcome.name,
            horizon_months=data.horizon_months,
            window_months=data.window_months,
            measure=data.outcome.measure,
            basis=data.cohort.basis,
            n_training=len(data.observed),
            n_events=int(data.observed.sum()),
            n_real=len(data.observed) if data.cohort.basis == "real" else 0,
            level=settings.uncertainty.level,
            response=response,
            rules=rules,
            sources=data.cohort.sources,
            performance=rows,
        )
    )


def _describe_run(
    trained: TrainedTechnique, probability: FloatArray, bundle: Path, data: TrainingSet, settings: TrainingSettings
) -> ModelRun:
    predictor = trained.predictor
    response = predictor.response
    pictures = draw_pictures(trained.curve, trained.metrics, trained.explanation, probability, predictor.basis)
    return ModelRun(
        technique=predictor.technique,
        outcome=predictor.outcome,
        horizon_months=predictor.horizon_months,
        model_kind=response.candidate.kind,
        basis=predictor.basis,
        n_real=predictor.n_real,
        bundle=bundle,
        metrics=trained.metrics,
        dataset=summarize_dataset(data.cohort, f"{data.technique} ({predictor.basis})"),
        params={
            **{f"model.{name}": value for name, value in response.candidate.parameters.items()},
            "calibration.method": settings.calibration.method,
            "calibration.intercept": response.calibration.intercept,
            "calibration.slope": response.calibration.slope,
            "evaluation.folds": settings.evaluation.folds,
            "evaluation.repeats": settings.evaluation.repeats,
            "uncertainty.refits": settings.uncertainty.refits,
            "seed": settings.seed,
            "n_training": predictor.n_training,
            "n_events": predictor.n_events,
        },
        figures={name: picture.figure for name, picture in pictures.items()},
        captions={name: picture.caption for name, picture in pictures.items()},
        tables={
            "flow": trained.flow,
            "sample_size": judge_sample_size(predictor),
            "selection": response.selection,
            "calibration_curve": trained.curve,
            "importance": compute_importance(trained.explanation),
        },
        tags={"model_content": predictor.version},
        notes=(say_precision(predictor),),
    )
