"""Train every requested technique, outcome and month; collect refusals."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import yaml

from paincast.cohort.tables import Cohort, load_cohort, read_cohort_contract
from paincast.contract import BUILT_IN, Contract
from paincast.disclosure.rounding import round_count
from paincast.errors import LeakError, RefusalError, SettingsError
from paincast.evaluation.simulated.truth import load_whole_truth
from paincast.files.serialization import to_plain
from paincast.gates.elsewhere import VALIDATION
from paincast.models_folder import record_training
from paincast.outcomes import Outcome, name_in_truth, name_model
from paincast.progress import SILENT, PartialProgress, Progress
from paincast.reporting.model.checklist import check_items
from paincast.reporting.model.overview import write_overview
from paincast.reporting.model.run_contents import read_run_folder
from paincast.reporting.model.summary import summarize_training
from paincast.reporting.model.validation import find_elsewhere
from paincast.settings import TrainingSettings, check_settings, make_settings
from paincast.simulator import Assumptions, Truth, simulate_cohort
from paincast.tracking import Store, TrackedRun, TrainingRun, log_overview, resolve_store, start_training
from paincast.training.finish import FittedModel, finish_model
from paincast.training.kinds.binary import fit_binary
from paincast.training.kinds.change_with_prior import fit_change_with_evidence
from paincast.training.kinds.continuous import fit_change
from paincast.training.kinds.duration_with_prior import fit_duration_with_evidence
from paincast.training.kinds.survival import fit_duration
from paincast.training.kinds.with_prior import (
    fit_with_evidence,
    open_real_cohort,
    starts_from_evidence,
)
from paincast.training.out_of_fold import write_out_of_fold
from paincast.training.questions import (
    format_refusals,
    gather_parts,
    list_outcomes,
    list_questions,
    list_techniques,
)
from paincast.training.task import Task, TrainedModel

FITTERS: Mapping[str, Callable[[Task], FittedModel]] = MappingProxyType(
    {"binary": fit_binary, "continuous": fit_change, "time_to_event": fit_duration}
)
"""The function that fits each kind of outcome; :func:`finish_model` does the rest for all kinds."""

FITTERS_WITH_EVIDENCE: Mapping[str, Callable[[Task], FittedModel]] = MappingProxyType(
    {
        "binary": fit_with_evidence,
        "continuous": fit_change_with_evidence,
        "time_to_event": fit_duration_with_evidence,
    }
)
"""The same where models start from published evidence."""

Finish = Callable[[], TrainedModel]
"""The remaining work once a model is fitted; the next model can be fitted meanwhile."""


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """Result of a training run.

    Parameters
    ----------
    summary : DataFrame
        One row per technique, outcome and month, for display.
    models_folder : Path
        Folder of the bundles: ``<technique>/<outcome>``, and ``<technique>/<outcome>.month-12`` for a further month.
    review_hint : str
        The command that opens the review; empty if tracking was off.
    trained : dict of str to TrainedModel
        Trained models by ``technique/outcome``, which the month of a further one follows: ``.month-12``.
    refused : dict of str to str
        Reasons for refusal, likewise.
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
    """Train and evaluate a model for every requested technique, outcome and month.

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
    report_to.describe("reading the cohort")
    # An unknown name is refused before the cohort is read.
    outcomes = list_outcomes(settings.outcome, _read_contract(settings))
    cohort, truth = _open_cohort(settings)
    techniques = list_techniques(settings, cohort)
    store = resolve_store(settings.tracking) if settings.tracking.enabled else None
    config = config_yaml or yaml.safe_dump(to_plain(settings), sort_keys=False)
    trained: dict[str, TrainedModel] = {}
    refused: dict[str, str] = {}
    questions = list_questions(techniques, cohort, settings)
    _import_before_threads()
    with (
        _record(store, settings, cohort, config) as run,
        # Evaluation, explanation, figures and logging take one core: meanwhile the next model is fitted.
        ThreadPoolExecutor(1) as executor,
    ):
        finishing: dict[str, Future[TrainedModel]] = {}
        report_to.expect(len(techniques) * len(outcomes) * len(settings.outcome.months))
        for question in questions:
            refused |= question.refused
            report_to.advance(len(question.refused))
            known, parts = _read_truth(truth, question.outcome), gather_parts(question, cohort)
            for data in question.prepared:
                further_month = question.further_months[data.technique]
                name = name_model(data.technique, question.outcome.name, further_month)
                task = Task(
                    data=data,
                    further_month=further_month,
                    parts=parts,
                    truth=known,
                    everybody=cohort.episodes[["patient_id", "site_id", "procedure_year"]],
                    settings=question.settings,
                    run=run,
                    progress=PartialProgress(report_to, 1, name),
                )
                with _telling(task.name, refused):
                    finishing[task.name] = executor.submit(_fit(task))
                _collect(finishing, trained, refused, wait=False)
        report_to.describe("evaluating and recording")
        _collect(finishing, trained, refused, wait=True)
        record_training(settings.models_folder, {name: model.predictor for name, model in trained.items()}, refused)
        if not trained:
            raise RefusalError(format_refusals(refused), code="PC-TRAINING-04")
        if settings.evaluation.export_oof is not None:
            write_out_of_fold(settings.evaluation.export_oof, [model.out_of_fold for model in trained.values()])
    return TrainingResult(
        summary=summarize_training(
            {
                name: (model.predictor, model.metrics, _find_elsewhere(model), model.sample_size, model.flow)
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
            assumptions=Assumptions(interactions=wanted.interactions),
        )
    cohort = load_cohort(str(wanted.path))
    return cohort, load_whole_truth(str(wanted.path)) if cohort.basis == "synthetic" else None


def _read_contract(settings: TrainingSettings) -> Contract:
    """Read the contract of the cohort before the cohort itself."""
    wanted = settings.cohort
    folder = {"blended": wanted.real, "folder": wanted.path}.get(wanted.source)
    return read_cohort_contract(str(folder)) if folder else BUILT_IN


def _read_truth(truth: Truth | None, outcome: Outcome) -> pd.DataFrame | None:
    name = name_in_truth(outcome)
    if truth is None or name not in set(truth.options["outcome"]):
        return None
    return truth.expand(outcome=name)


@contextmanager
def _record(
    store: Store | None, settings: TrainingSettings, cohort: Cohort, config_yaml: str
) -> Iterator[TrainingRun | None]:
    if store is None:
        yield None
        return
    basis = "blended" if settings.cohort.source == "blended" else cohort.basis
    months = ", ".join(f"{month:g}" for month in settings.outcome.months if month is not None)
    name = " · ".join([settings.outcome.name, *([f"month {months}"] if months else []), basis])
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


def _fit(task: Task) -> Finish:
    """Fit the model of a task and return the remaining work."""
    kind = task.data.outcome.kind
    fit = (FITTERS_WITH_EVIDENCE if starts_from_evidence(task.settings) else FITTERS)[kind]
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
