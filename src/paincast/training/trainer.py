"""Train every requested technique and outcome; collect refusals."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import yaml

from paincast.cohort.tables import Cohort, load_cohort
from paincast.disclosure.rounding import round_count
from paincast.errors import LeakError, RefusalError, SettingsError
from paincast.evaluation.simulated.truth import load_whole_truth
from paincast.files.serialization import to_plain
from paincast.gates.elsewhere import VALIDATION
from paincast.models.binary.borrowing import Part
from paincast.models.binary.surroundings import make_parts
from paincast.models.class_sizes import require_both_classes
from paincast.models_folder import record_training
from paincast.outcomes import OUTCOMES, Outcome, get_outcome, name_in_truth
from paincast.progress import SILENT, PartialProgress, Progress
from paincast.reporting.model.checklist import check_items
from paincast.reporting.model.overview import write_overview
from paincast.reporting.model.run_contents import read_run_folder
from paincast.reporting.model.summary import summarize_training
from paincast.reporting.model.validation import find_elsewhere
from paincast.schema import TECHNIQUES
from paincast.settings import OutcomeSettings, TrainingSettings, check_settings, make_settings
from paincast.settings.choices import ALL_OUTCOMES
from paincast.simulator import Truth, simulate_cohort
from paincast.tracking import Store, TrackedRun, TrainingRun, log_overview, resolve_store, start_training
from paincast.training.finish import FittedModel, finish_model
from paincast.training.kinds.binary import fit_binary
from paincast.training.kinds.continuous import fit_change
from paincast.training.kinds.survival import fit_duration
from paincast.training.kinds.with_prior import (
    fit_with_evidence,
    open_real_cohort,
    stands_for_evidence,
    starts_from_evidence,
)
from paincast.training.out_of_fold import write_out_of_fold
from paincast.training.task import Task, TrainedModel
from paincast.training_set import TrainingSet, make_training_set

FITTERS: Mapping[str, Callable[[Task], FittedModel]] = MappingProxyType(
    {"binary": fit_binary, "continuous": fit_change, "time_to_event": fit_duration}
)
"""The function that fits each kind of outcome; :func:`finish_model` does the rest for all kinds."""

Finish = Callable[[], TrainedModel]
"""The remaining work once a model is fitted; the next model can be fitted meanwhile."""


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """Result of a training run.

    Parameters
    ----------
    summary : DataFrame
        One row per technique and outcome, for display.
    models_folder : Path
        Folder of the bundles: ``<technique>/<outcome>``.
    review_hint : str
        The command that opens the review; empty if tracking was off.
    trained : dict of str to TrainedModel
        Trained models by ``technique/outcome``.
    refused : dict of str to str
        Reasons for refusal by ``technique/outcome``.
    """

    summary: pd.DataFrame
    models_folder: Path
    review_hint: str
    trained: dict[str, TrainedModel]
    refused: dict[str, str]


def train(
    settings: TrainingSettings | None = None,
    *,
    config_yaml: str | None = None,
    report_to: Progress = SILENT,
    **keywords: Any,
) -> TrainingResult:
    """Train and evaluate a model for every requested technique and outcome.

    Parameters
    ----------
    settings : TrainingSettings, optional
        What to train, on which data and how; use instead of keywords.
    config_yaml : str, optional
        Resolved configuration to log; by default the settings themselves.
    report_to : Progress
        Advanced by one per model, in fractions as its folds, refits and resamples finish.
    **keywords : object
        Settings by name, as on the command line: ``train(technique="facet_rfa", cohort="data/cohorts/mine",
        model="logistic", seed=3)``; see :func:`paincast.settings.make_settings`.

    Returns
    -------
    TrainingResult

    Raises
    ------
    SettingsError
        If a setting is not allowed.
    RefusalError
        If no model could be trained; the message gives the reasons and numbers.
    LeakError
        On simulated data, if discrimination exceeds what is possible, which means that the outcome leaked.
    """
    settings = _take_settings(settings, keywords)
    check_items(settings)
    outcomes = list_outcomes(settings.outcome)
    report_to.describe("reading the cohort")
    cohort, truth = _open_cohort(settings)
    techniques = _list_techniques(settings, cohort)
    store = resolve_store(settings.tracking) if settings.tracking.enabled else None
    config = config_yaml or yaml.safe_dump(to_plain(settings), sort_keys=False)
    trained: dict[str, TrainedModel] = {}
    refused: dict[str, str] = {}
    prepared_outcomes = _prepare_outcomes(outcomes, techniques, cohort, settings)
    _import_before_threads()
    with (
        _record(store, settings, cohort, config) as run,
        # Evaluation, explanation, figures and logging take one core: meanwhile the next model is fitted.
        ThreadPoolExecutor(1) as executor,
    ):
        finishing: dict[str, Future[TrainedModel]] = {}
        report_to.expect(len(techniques) * len(outcomes))
        for outcome, prepared, reasons in prepared_outcomes:
            refused |= reasons
            report_to.advance(len(reasons))
            known, parts = _read_truth(truth, outcome), _gather_parts(outcome, prepared, cohort, settings)
            for data in prepared:
                task = Task(
                    data=data,
                    parts=parts,
                    truth=known,
                    everybody=cohort.episodes[["patient_id", "site_id", "procedure_year"]],
                    settings=settings,
                    run=run,
                    progress=PartialProgress(report_to, 1, f"{data.technique}/{outcome.name}"),
                )
                with _telling(task.name, refused):
                    finishing[task.name] = executor.submit(_fit(task))
                _collect(finishing, trained, refused, wait=False)
        report_to.describe("evaluating and recording")
        _collect(finishing, trained, refused, wait=True)
        record_training(settings.models_folder, {name: model.predictor for name, model in trained.items()}, refused)
        if not trained:
            raise RefusalError(_format_refusals(refused), code="PC-TRAINING-04")
        if settings.evaluation.export_oof is not None:
            write_out_of_fold(settings.evaluation.export_oof, [model.out_of_fold for model in trained.values()])
    return TrainingResult(
        summary=summarize_training(
            {
                name: (model.predictor, model.metrics, _find_elsewhere(model), model.sample_size)
                for name, model in trained.items()
            },
            refused,
        ),
        models_folder=Path(settings.models_folder),
        review_hint=_format_review_command(store, settings),
        trained=trained,
        refused=refused,
    )


def _find_elsewhere(model: TrainedModel) -> str:
    if model.validation is None:
        return find_elsewhere({})
    return find_elsewhere({VALIDATION: model.validation.parts, **model.validation.tables})


def _take_settings(settings: TrainingSettings | None, keywords: Mapping[str, Any]) -> TrainingSettings:
    if settings is None:
        return make_settings(**keywords)
    if keywords or not isinstance(settings, TrainingSettings):
        raise SettingsError(
            "train takes keywords, as in train(technique='facet_rfa', seed=3), or one TrainingSettings, not both",
            code="PC-TRAINING-10",
        )
    return check_settings(settings)


def _import_before_threads() -> None:
    """Import glum (and polars, if installed) first: scikit-learn fails in a thread that sees it half imported."""
    importlib.import_module("glum")


def _format_review_command(store: Store | None, settings: TrainingSettings) -> str:
    """Give the command that opens the review; an address set in the environment is omitted (it may hold a password)."""
    if store is None:
        return ""
    shows_address = settings.tracking.uri or store.database
    return f"paincast review --tracking-uri {store.uri}" if shows_address else "paincast review"


def list_outcomes(settings: OutcomeSettings) -> list[Outcome]:
    """List the outcomes that the settings request.

    Raises
    ------
    SettingsError
        If there is no outcome of that name.
    """
    if settings.name == ALL_OUTCOMES:
        return list(OUTCOMES.values())
    return [get_outcome(settings.name, complication_kind=settings.complication_kind)]


def _open_cohort(settings: TrainingSettings) -> tuple[Cohort, Truth | None]:
    wanted = settings.cohort
    if wanted.source == "blended":
        return open_real_cohort(str(wanted.real)), None
    if wanted.source == "simulated":
        return simulate_cohort(
            techniques=settings.techniques or None,
            episodes_per_technique=wanted.episodes_per_technique,
            scenario=wanted.scenario,
            seed=wanted.seed,
        )
    cohort = load_cohort(str(wanted.path))
    return cohort, load_whole_truth(str(wanted.path)) if cohort.basis == "synthetic" else None


def _read_truth(truth: Truth | None, outcome: Outcome) -> pd.DataFrame | None:
    name = name_in_truth(outcome)
    if truth is None or name not in set(truth.options["outcome"]):
        return None
    return truth.expand(outcome=name)


def _list_techniques(settings: TrainingSettings, cohort: Cohort) -> list[str]:
    recorded = set(cohort.episodes["technique"])
    absent = [technique for technique in settings.techniques if technique not in recorded]
    present = [technique for technique in TECHNIQUES if technique in recorded]
    if absent:
        raise SettingsError(
            f"the cohort holds no episode of {', '.join(absent)}; {cohort.describe_techniques()}", code="PC-TRAINING-06"
        )
    if not present:
        raise RefusalError(
            f"the cohort holds no episode of a technique; {cohort.describe_techniques()}", code="PC-TRAINING-07"
        )
    return [technique for technique in present if not settings.techniques or technique in settings.techniques]


@contextmanager
def _record(
    store: Store | None, settings: TrainingSettings, cohort: Cohort, config_yaml: str
) -> Iterator[TrainingRun | None]:
    if store is None:
        yield None
        return
    basis = "blended" if settings.cohort.source == "blended" else cohort.basis
    name = f"{settings.outcome.name} · {basis}"
    # Together with the exact number trained on, exact counts would disclose how few were lost.
    n_real, n_episodes = str(cohort.n_real), str(len(cohort.episodes))
    if cohort.basis != "synthetic":
        n_real, n_episodes = (f"about {round_count(int(n))}" for n in (n_real, n_episodes))
    tags = {"basis": basis, "n_real": n_real, "outcome": settings.outcome.name}
    params = {"seed": settings.seed, "outcome": settings.outcome.name, "n_episodes": n_episodes}
    with start_training(store, name, params=params, tags=tags, config_yaml=config_yaml) as run:
        yield run
        log_overview(run, _write_overview)


def _write_overview(recorded: Sequence[TrackedRun]) -> str:
    return write_overview([read_run_folder(run.folder, run.tags, run.params) for run in recorded])


def _prepare_outcomes(
    outcomes: Sequence[Outcome], techniques: list[str], cohort: Cohort, settings: TrainingSettings
) -> Iterator[tuple[Outcome, list[TrainingSet], dict[str, str]]]:
    """Prepare the outcomes one by one; raise before any run is started if nothing can be trained."""
    questions = ((outcome, *_prepare(outcome, techniques, cohort, settings)) for outcome in outcomes)
    refused: list[tuple[Outcome, list[TrainingSet], dict[str, str]]] = []
    for question in questions:
        if question[1]:
            return chain(refused, [question], questions)
        refused.append(question)
    reasons = {name: reason for _, _, outcome_reasons in refused for name, reason in outcome_reasons.items()}
    record_training(settings.models_folder, {}, reasons)
    raise RefusalError(_format_refusals(reasons), code="PC-TRAINING-08")


def _format_refusals(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())


def _prepare(
    outcome: Outcome, techniques: list[str], cohort: Cohort, settings: TrainingSettings
) -> tuple[list[TrainingSet], dict[str, str]]:
    """Prepare the training set of each technique; return the sets, and the reasons of refusals."""
    prepared, refused = [], {}
    for technique in techniques:
        try:
            if outcome.kind != "binary" and settings.cohort.source == "blended":
                raise RefusalError(
                    f"evidence and real episodes are blended for binary outcomes, not {outcome.kind}",
                    code="PC-TRAINING-09",
                )
            data = make_training_set(
                technique, cohort, outcome, settings.outcome, minimum_events=_allow_without_evidence(settings)
            )
            if outcome.kind == "binary":
                require_both_classes(data.observed, settings.model.minimum_events)
        except RefusalError as refusal:
            refused[f"{technique}/{outcome.name}"] = str(refusal)
        else:
            prepared.append(data)
    return prepared, refused


def _allow_without_evidence(settings: TrainingSettings) -> int | None:
    """Return the minimum of each class to admit an indication without evidence; None when blended with evidence."""
    return None if settings.cohort.source == "blended" else settings.model.minimum_events


def _gather_parts(
    outcome: Outcome, prepared: list[TrainingSet], cohort: Cohort, settings: TrainingSettings
) -> Mapping[str, Part]:
    """Encode every technique of the cohort, trained in this run or not, for partial pooling."""
    borrows = settings.cohort.source != "blended" and not stands_for_evidence(cohort, settings)
    if outcome.kind != "binary" or not prepared or not borrows:
        return {}
    by_technique = {data.technique: (data.episodes, data.observed) for data in prepared}
    for technique in TECHNIQUES:
        if technique not in by_technique and (cohort.episodes["technique"] == technique).any():
            with suppress(RefusalError):
                data = make_training_set(
                    technique, cohort, outcome, settings.outcome, minimum_events=_allow_without_evidence(settings)
                )
                by_technique[technique] = (data.episodes, data.observed)
    stream = np.random.SeedSequence(settings.seed, spawn_key=(len(TECHNIQUES), zlib.crc32(outcome.name.encode())))
    ordered = {technique: by_technique[technique] for technique in TECHNIQUES if technique in by_technique}
    return make_parts(ordered, settings, np.random.default_rng(stream), directed=outcome.follows_response)


def _fit(task: Task) -> Finish:
    """Fit the model of a task and return the remaining work."""
    kind = task.data.outcome.kind
    fit = fit_with_evidence if kind == "binary" and starts_from_evidence(task.settings) else FITTERS[kind]
    task.progress.expect(sum(task.compute_stage_weights().values()))
    try:
        fitted = fit(task)
    except RefusalError:
        task.progress.finish()
        raise
    return partial(_finish, task, fitted)


def _finish(task: Task, fitted: FittedModel) -> TrainedModel:
    try:
        return finish_model(task, fitted)
    finally:
        task.progress.finish()


def _collect(
    finishing: dict[str, Future[TrainedModel]],
    trained: dict[str, TrainedModel],
    refused: dict[str, str],
    *,
    wait: bool,
) -> None:
    """Collect the finished models (or wait for all); keep refusals, raise other errors."""
    for name in [name for name, finished in finishing.items() if wait or finished.done()]:
        finished = finishing.pop(name)
        with _telling(name, refused):
            trained[name] = finished.result()


@contextmanager
def _telling(name: str, refused: dict[str, str]) -> Iterator[None]:
    """Keep the reason of a refusal and continue; a leak is raised."""
    try:
        yield
    except LeakError:
        raise
    except RefusalError as refusal:
        refused[name] = str(refusal)
