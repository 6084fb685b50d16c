"""List what a training run is asked: each outcome at each month, with the training set of every technique."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from paincast.cohort.tables import Cohort
from paincast.contract import BUILT_IN, Contract
from paincast.errors import RefusalError, SettingsError, suggest_name
from paincast.models.binary.borrowing import Part
from paincast.models.binary.surroundings import make_parts
from paincast.models.class_sizes import require_both_classes
from paincast.models_folder import record_training
from paincast.outcomes import Outcome, get_outcome, name_model
from paincast.schema import TECHNIQUES
from paincast.settings import OutcomeSettings, TrainingSettings
from paincast.settings.choices import ALL_OUTCOMES
from paincast.simulator.evidence_draws import require_month
from paincast.training.kinds.with_prior import is_drawn_from_evidence, stands_for_evidence
from paincast.training_set import TrainingSet, find_primary_horizon, make_training_set


@dataclass(frozen=True, kw_only=True)
class Question:
    """An outcome at one month.

    Parameters
    ----------
    outcome : Outcome
        Outcome definition.
    settings : TrainingSettings
        Settings of the run, with this month alone.
    further_months : mapping of str to (float or None)
        The month by technique, where it is not the primary one; None where it is.
    prepared : list of TrainingSet
        Training sets of the techniques that can be trained.
    refused : dict of str to str
        Reasons for refusal of the others, by name of the model.
    """

    outcome: Outcome
    settings: TrainingSettings
    further_months: Mapping[str, float | None]
    prepared: list[TrainingSet]
    refused: dict[str, str]


def list_outcomes(settings: OutcomeSettings, contract: Contract) -> list[Outcome]:
    """List the outcomes that the settings request.

    Raises
    ------
    SettingsError
        If there is no outcome of that name.
    """
    if settings.name == ALL_OUTCOMES:
        return list(contract.outcomes.values())
    return [get_outcome(settings.name, complication_kind=settings.complication_kind, outcomes=contract.outcomes)]


def list_techniques(settings: TrainingSettings, cohort: Cohort) -> list[str]:
    """List the techniques that the settings request and the cohort holds.

    Raises
    ------
    SettingsError
        If a requested technique is not in the cohort.
    RefusalError
        If the cohort holds no technique.
    """
    recorded, known = set(cohort.episodes["technique"]), cohort.contract.techniques
    unknown = [technique for technique in settings.techniques if technique not in known]
    absent = [technique for technique in settings.techniques if technique not in recorded]
    present = [technique for technique in known if technique in recorded]
    if unknown:
        raise SettingsError(
            f"techniques: unknown name '{unknown[0]}'; {suggest_name(unknown[0], known)}", code="PC-TRAINING-25"
        )
    if absent:
        raise SettingsError(
            f"the cohort holds no episode of {', '.join(absent)}; {cohort.describe_techniques()}", code="PC-TRAINING-06"
        )
    if not present:
        raise RefusalError(
            f"the cohort holds no episode of a technique; {cohort.describe_techniques()}", code="PC-TRAINING-07"
        )
    return [technique for technique in present if not settings.techniques or technique in settings.techniques]


def find_further_month(
    technique: str, month: float | None, months: Sequence[float | None], contract: Contract = BUILT_IN
) -> float | None:
    """Return the month of a model if it is a further one; None if it is the primary one.

    Of several months, the primary one of a technique is its primary horizon, or else the earliest.

    Examples
    --------
    >>> [find_further_month("facet_rfa", month, [3.0, 6.0]) for month in (3.0, 6.0)]
    [3.0, None]
    >>> find_further_month("facet_rfa", 3.0, [3.0]), find_further_month("facet_rfa", 12.0, [3.0, 12.0])
    (None, 12.0)
    """
    primary = months[0]
    with suppress(RefusalError):  # without evidence, it is the earliest
        primary = next(
            (requested for requested in months if requested == find_primary_horizon(technique, contract)), primary
        )
    return None if month == primary else month


def list_questions(techniques: Sequence[str], cohort: Cohort, settings: TrainingSettings) -> Iterator[Question]:
    """Prepare each outcome at each month, one by one.

    Parameters
    ----------
    techniques : sequence of str
        Techniques to train.
    cohort : Cohort
        The cohort.
    settings : TrainingSettings
        Outcomes and months.

    Returns
    -------
    iterator of Question

    Raises
    ------
    RefusalError
        If nothing can be trained; it is raised before the first question is returned.
    """
    months = settings.outcome.months
    questions = (
        _prepare(outcome, month, techniques, cohort, settings)
        for outcome in list_outcomes(settings.outcome, cohort.contract)
        for month in months
    )
    refused: list[Question] = []
    for question in questions:
        if question.prepared:
            return chain(refused, [question], questions)
        refused.append(question)
    reasons = {name: reason for question in refused for name, reason in question.refused.items()}
    record_training(settings.models_folder, {}, reasons)
    raise RefusalError(format_refusals(reasons), code="PC-TRAINING-08")


def format_refusals(reasons: Mapping[str, str]) -> str:
    """Format the reasons of refusals as one line."""
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())


def _prepare(
    outcome: Outcome, month: float | None, techniques: Sequence[str], cohort: Cohort, settings: TrainingSettings
) -> Question:
    asked = replace(settings, outcome=replace(settings.outcome, horizon_months=month))
    months, contract = settings.outcome.months, cohort.contract
    further = {technique: find_further_month(technique, month, months, contract) for technique in techniques}
    prepared, refused = [], {}
    for technique in techniques:
        try:
            prepared.append(_prepare_set(technique, outcome, cohort, asked))
        except RefusalError as refusal:
            refused[name_model(technique, outcome.name, further[technique])] = str(refusal)
    return Question(outcome=outcome, settings=asked, further_months=further, prepared=prepared, refused=refused)


def _prepare_set(technique: str, outcome: Outcome, cohort: Cohort, settings: TrainingSettings) -> TrainingSet:
    """Make the training set of a technique; refuse one that cannot be trained."""
    minimum = _allow_without_evidence(technique, cohort, settings)
    data = make_training_set(technique, cohort, outcome, settings.outcome, minimum_events=minimum)
    if outcome.assessed_by in ("visit", "follow_up") and is_drawn_from_evidence(cohort, settings):
        require_month(technique, data.horizon_months)
    if outcome.kind == "binary":
        require_both_classes(data.observed, settings.model.minimum_events)
    return data


def _allow_without_evidence(technique: str, cohort: Cohort, settings: TrainingSettings) -> int | None:
    """Return the minimum of each class to admit an indication without evidence; None when blended with evidence."""
    is_own = technique in cohort.contract.own_techniques
    return None if settings.cohort.source == "blended" and not is_own else settings.model.minimum_events


def gather_parts(question: Question, cohort: Cohort) -> Mapping[str, Part]:
    """Encode every technique of the cohort, trained in this run or not, for partial pooling.

    Parameters
    ----------
    question : Question
        The outcome at a month.
    cohort : Cohort
        The cohort.

    Returns
    -------
    mapping of str to Part
        Empty where the model does not pool.
    """
    outcome, prepared, settings = question.outcome, question.prepared, question.settings
    borrows = settings.cohort.source != "blended" and not stands_for_evidence(cohort, settings)
    if outcome.kind != "binary" or not prepared or not borrows:
        return {}
    by_technique = {data.technique: (data.episodes, data.observed) for data in prepared}
    for technique in cohort.contract.techniques:
        if technique not in by_technique and (cohort.episodes["technique"] == technique).any():
            with suppress(RefusalError):
                minimum = _allow_without_evidence(technique, cohort, settings)
                data = make_training_set(technique, cohort, outcome, settings.outcome, minimum_events=minimum)
                by_technique[technique] = (data.episodes, data.observed)
    stream = np.random.SeedSequence(settings.seed, spawn_key=(len(TECHNIQUES), zlib.crc32(outcome.name.encode())))
    ordered = {
        technique: by_technique[technique] for technique in cohort.contract.techniques if technique in by_technique
    }
    rng, directed = np.random.default_rng(stream), outcome.follows_response
    return make_parts(ordered, settings, rng, directed=directed, contract=cohort.contract)
