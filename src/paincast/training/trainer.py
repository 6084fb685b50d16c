"""Train every requested technique and outcome; collect refusals."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
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
from paincast.models.binary.borrowing import Part
from paincast.models.binary.response import require_both_classes
from paincast.models.binary.surroundings import make_parts
from paincast.models_folder import record_training
from paincast.outcomes import OUTCOMES, Outcome, get_outcome, name_in_truth
from paincast.progress import SILENT, PartialProgress, Progress
from paincast.reporting.model.checklist import check_items
from paincast.reporting.model.overview import write_overview
from paincast.reporting.model.run_contents import read_run_folder
from paincast.reporting.model.summary import summarize_training
from paincast.schema import TECHNIQUES
from paincast.settings import OutcomeSettings, TrainingSettings, check_settings, make_settings
from paincast.settings.choices import ALL_OUTCOMES
from paincast.simulator import Truth, simulate_cohort
from paincast.tracking import Store, TrackedRun, TrainingRun, log_overview, resolve_store, start_training
from paincast.training.finish import FittedModel, finish_model
from paincast.training.kinds.binary import fit_binary
from paincast.training.kinds.blended import fit_blended, open_real_cohort
from paincast.training.kinds.continuous import fit_change
from paincast.training.kinds.survival import fit_duration
from paincast.training.task import Task, TrainedModel
from paincast.training_set import TrainingSet, make_training_set

FITTERS: Mapping[str, Callable[[Task], FittedModel]] = MappingProxyType(
    {"binary": fit_binary, "continuous": fit_change, "time_to_event": fit_duration}
)
"""What fits the model of an outcome, by its kind; :func:`finish_model` does the rest for all of them."""

Finish = Callable[[], TrainedModel]
"""What is left to do of a training once everything is fitted; another can be fitted meanwhile."""


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training run returns.

    Parameters
    ----------
    summary : DataFrame
        One row per technique and outcome, for reading.
    models_folder : Path
        Where the bundles are: ``<technique>/<outcome>``.
    review_hint : str
        The command that opens the review; empty when nothing was tracked.
    trained : dict of str to TrainedModel
        What was made, by ``technique/outcome``.
    refused : dict of str to str
        Why no model was made, by ``technique/outcome``.
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
    """Train and evaluate a model for every technique and outcome asked for.

    Parameters
    ----------
    settings : TrainingSettings, optional
        What to train, on what and how; in place of keywords.
    config_yaml : str, optional
        Resolved configuration to record; by default the settings themselves.
    report_to : Progress
        Advanced by one for each model, in fractions as its folds, refits and resamples are done.
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
        If nothing could be trained: the reasons, with the numbers.
    LeakError
        On simulated data, if discrimination exceeds what is possible: something leaked.
    """
    settings = _take_settings(settings, keywords)
    check_items(settings)
    outcomes = list_outcomes(settings.outcome)
    report_to.describe("reading the cohort")
    cohort, truth = _open_cohort(settings)
    techniques = _list_techniques(settings, cohort)
    store = resolve_store(settings.tracking) if settings.tracking.enabled else None
    config = config_yaml or yaml.safe_dump(asdict(settings), sort_keys=False)
    trained: dict[str, TrainedModel] = {}
    refused: dict[str, str] = {}
    asked = _ask_outcomes(outcomes, techniques, cohort, settings)
    _import_before_threads()
    with (
        _record(store, settings, cohort, config) as run,
        # To evaluate, explain, draw and record takes one core: meanwhile the next model is fitted.
        ThreadPoolExecutor(1) as beside,
    ):
        finishing: dict[str, Future[TrainedModel]] = {}
        report_to.expect(len(techniques) * len(outcomes))
        for outcome, prepared, reasons in asked:
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
                    finishing[task.name] = beside.submit(_fit(task))
                _collect(finishing, trained, refused, wait=False)
        report_to.describe("evaluating and recording")
        _collect(finishing, trained, refused, wait=True)
        record_training(settings.models_folder, {name: one.predictor for name, one in trained.items()}, refused)
        if not trained:
            raise RefusalError(_say_refused(refused), code="PC-TRAINING-04")
    return TrainingResult(
        summary=summarize_training({name: (one.predictor, one.metrics) for name, one in trained.items()}, refused),
        models_folder=Path(settings.models_folder),
        review_hint=_say_review(store, settings),
        trained=trained,
        refused=refused,
    )


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
    """Import glum, and polars with it where that is installed: scikit-learn in another thread trips over half of it."""
    importlib.import_module("glum")


def _say_review(store: Store | None, settings: TrainingSettings) -> str:
    """Say how the review is opened; an address from the environment may hold a password, and is found there again."""
    if store is None:
        return ""
    told = settings.tracking.uri or store.database
    return f"paincast review --tracking-uri {store.uri}" if told else "paincast review"


def list_outcomes(settings: OutcomeSettings) -> list[Outcome]:
    """List the outcomes that settings ask for.

    Raises
    ------
    SettingsError
        If there is none of that name.
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
    held = set(cohort.episodes["technique"])
    absent = [technique for technique in settings.techniques if technique not in held]
    present = [technique for technique in TECHNIQUES if technique in held]
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
    # Beside the number that a model is trained on, all digits would tell of few who were lost.
    n_real, n_episodes = str(cohort.n_real), str(len(cohort.episodes))
    if cohort.basis != "synthetic":
        n_real, n_episodes = (f"about {round_count(int(n))}" for n in (n_real, n_episodes))
    tags = {"basis": basis, "n_real": n_real, "outcome": settings.outcome.name}
    params = {"seed": settings.seed, "outcome": settings.outcome.name, "n_episodes": n_episodes}
    with start_training(store, name, params=params, tags=tags, config_yaml=config_yaml) as run:
        yield run
        log_overview(run, _write_overview)


def _write_overview(recorded: Sequence[TrackedRun]) -> str:
    return write_overview([read_run_folder(one.folder, one.tags, one.params) for one in recorded])


def _ask_outcomes(
    outcomes: Sequence[Outcome], techniques: list[str], cohort: Cohort, settings: TrainingSettings
) -> Iterator[tuple[Outcome, list[TrainingSet], dict[str, str]]]:
    """Prepare one outcome after another; where nothing can be trained this is said before a run is recorded."""
    questions = ((outcome, *_prepare(outcome, techniques, cohort, settings)) for outcome in outcomes)
    refused: list[tuple[Outcome, list[TrainingSet], dict[str, str]]] = []
    for question in questions:
        if question[1]:
            return chain(refused, [question], questions)
        refused.append(question)
    reasons = {name: reason for _, _, told in refused for name, reason in told.items()}
    record_training(settings.models_folder, {}, reasons)
    raise RefusalError(_say_refused(reasons), code="PC-TRAINING-08")


def _say_refused(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())


def _prepare(
    outcome: Outcome, techniques: list[str], cohort: Cohort, settings: TrainingSettings
) -> tuple[list[TrainingSet], dict[str, str]]:
    """Ask the outcome of each technique; give what can be trained, and why the others cannot."""
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
    """Give how many of each class let an indication without evidence in; None beside evidence, which has none of it."""
    return None if settings.cohort.source == "blended" else settings.model.minimum_events


def _gather_parts(
    outcome: Outcome, prepared: list[TrainingSet], cohort: Cohort, settings: TrainingSettings
) -> Mapping[str, Part]:
    """Encode every technique of the cohort, trained in this run or not, for others to borrow from."""
    if outcome.kind != "binary" or not prepared or settings.cohort.source == "blended":
        return {}
    asked = {data.technique: (data.episodes, data.observed) for data in prepared}
    for technique in TECHNIQUES:
        if technique not in asked and (cohort.episodes["technique"] == technique).any():
            with suppress(RefusalError):
                data = make_training_set(
                    technique, cohort, outcome, settings.outcome, minimum_events=_allow_without_evidence(settings)
                )
                asked[technique] = (data.episodes, data.observed)
    stream = np.random.SeedSequence(settings.seed, spawn_key=(len(TECHNIQUES), zlib.crc32(outcome.name.encode())))
    ordered = {technique: asked[technique] for technique in TECHNIQUES if technique in asked}
    return make_parts(ordered, settings, np.random.default_rng(stream), directed=outcome.follows_response)


def _fit(task: Task) -> Finish:
    """Fit what a task asks for, and give what is left to do."""
    fit = fit_blended if task.settings.cohort.source == "blended" else FITTERS[task.data.outcome.kind]
    task.progress.expect(sum(task.weigh_stages().values()))
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
    """Take over what is finished, or all of it; a refusal is told, and whatever else failed is raised."""
    for name in [name for name, finished in finishing.items() if wait or finished.done()]:
        finished = finishing.pop(name)
        with _telling(name, refused):
            trained[name] = finished.result()


@contextmanager
def _telling(name: str, refused: dict[str, str]) -> Iterator[None]:
    """Keep the reason of a refusal and go on; a leak ends everything."""
    try:
        yield
    except LeakError:
        raise
    except RefusalError as refusal:
        refused[name] = str(refusal)
