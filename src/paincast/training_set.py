"""The rows one model is trained on: the outcome asked of a cohort, who is lost to follow-up, and who was left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.disclosure.flow import ANSWERED_AT, AT_HORIZON, PATIENTS, SEEN, format_counts_together
from paincast.eligibility import exclude_ineligible, find_supported_indications
from paincast.errors import RefusalError
from paincast.evidence.records import primary_horizon
from paincast.evidence.rules import TechniqueRules, collect_rules, take_without_evidence
from paincast.outcomes import Outcome, OutcomeLabels, compute_outcome, default_window
from paincast.outcomes.labels import DIED, LOST_RELIEF, count_label_months
from paincast.settings import OutcomeSettings

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What one model is trained on.

    Parameters
    ----------
    technique : str
        The technique.
    rules : TechniqueRules
        Of whom the model will answer: the training set holds nobody else.
    cohort : Cohort
        All episodes of the technique.
    labels : OutcomeLabels
        The outcome asked of all of them.
    flow : DataFrame
        Who was counted in and who was left out: ``step, n``.
    episodes : DataFrame of shape (n, ...)
        Episodes in the denominator, those lost to follow-up among them.
    observed : ndarray of shape (n,)
        Their outcome, NaN for those lost to follow-up.
    """

    technique: str
    rules: TechniqueRules
    cohort: Cohort
    labels: OutcomeLabels
    flow: pd.DataFrame
    episodes: pd.DataFrame
    observed: FloatArray

    @property
    def outcome(self) -> Outcome:
        """Give the question."""
        return self.labels.outcome

    @property
    def horizon_months(self) -> float:
        """Give the month at which it is asked."""
        return self.labels.horizon_months

    @property
    def window_months(self) -> tuple[float, float]:
        """Give the first and last month, included, of the follow-up that answers for it."""
        return self.labels.window_months

    @property
    def known(self) -> BoolArray:
        """Tell whose outcome is known, shape (n,)."""
        return np.asarray(np.isfinite(self.observed))

    @property
    def durations(self) -> tuple[FloatArray, FloatArray]:
        """Give months and status of an outcome that is a time, each of shape (n,); NaN for those never seen."""
        months, status = self.labels.months, self.labels.status
        if months is None or status is None:
            raise TypeError(f"{self.outcome.name} has no times")
        asked = self.labels.eligible
        return months[asked].to_numpy(float), status[asked].to_numpy(float)


def make_training_set(
    technique: str,
    cohort: Cohort,
    outcome: Outcome,
    settings: OutcomeSettings,
    *,
    minimum_events: int | None = None,
) -> TrainingSet:
    """Ask an outcome of the episodes of one technique that its model will answer for, and count who was left out.

    Parameters
    ----------
    technique : str
        The technique.
    cohort : Cohort
        The cohort.
    outcome : Outcome
        The question.
    settings : OutcomeSettings
        Horizon and window.
    minimum_events : int, optional
        Real patients of an indication without evidence are kept where at least so many have the outcome and so many
        have not. None to leave all of them out.

    Returns
    -------
    TrainingSet

    Raises
    ------
    RefusalError
        If there is no evidence for the technique, nobody is asked or nothing answers: how many were left out and why,
        which months were asked, and which the cohort holds.
    """
    own = cohort.select_technique(technique)
    horizon = settings.horizon_months or primary_horizon(technique)
    first, last = settings.window_months or default_window(outcome, horizon)
    rules = collect_rules(technique, outcome.name)
    labels = compute_outcome(own.episodes, own.visits, own.events, outcome, horizon, (first, last))
    if own.basis == "real" and minimum_events is not None:
        rules = take_without_evidence(rules, find_supported_indications(own.episodes, labels, minimum_events))
    labels = exclude_ineligible(rules, labels, own.episodes)
    if not labels.eligible.any():
        raise RefusalError(
            _say_nobody_asked(labels, minimum_events, real=own.basis != "synthetic"), code="PC-TRAINING-SET-01"
        )
    if not (labels.eligible & labels.known).any():
        raise RefusalError(_say_no_answer(own, outcome, horizon, (first, last)), code="PC-TRAINING-SET-02")
    return TrainingSet(
        technique=technique,
        rules=rules,
        cohort=own,
        labels=labels,
        flow=_count(own, labels),
        episodes=own.episodes.loc[labels.eligible].reset_index(drop=True),
        observed=labels.value[labels.eligible].to_numpy(float),
    )


def _count(cohort: Cohort, labels: OutcomeLabels) -> pd.DataFrame:
    reasons = labels.because[~labels.eligible].value_counts(sort=False)
    known = labels.eligible & labels.known
    patients = cohort.episodes.loc[known, "patient_id"].nunique()
    counts = {
        "episodes of the technique": len(cohort.episodes),
        **{f"not asked: {reason}": int(n) for reason, n in reasons.items()},
        f"asked: {labels.outcome.denominator}": int(labels.eligible.sum()),
        **{f"lost: {reason}": n for reason, n in _count_lost(cohort, labels).items()},
        _say_known(labels): int(known.sum()),
        **{f"{ANSWERED_AT}{month}": n for month, n in count_label_months(labels).items()},
    }
    if labels.outcome.kind == "binary":
        counts["with the outcome"] = int(labels.value[known].sum())
    if labels.status is not None:
        counts |= _count_course(labels, known)
    counts[PATIENTS] = patients
    return pd.DataFrame({"step": list(counts), "n": list(counts.values())})


def _count_course(labels: OutcomeLabels, known: pd.Series) -> dict[str, int]:
    assert labels.status is not None
    ended, held = labels.status[known], labels.value[known]
    return {
        "relief lost": int((ended == LOST_RELIEF).sum()),
        "died with relief": int((ended == DIED).sum()),
        f"{AT_HORIZON[0]}{labels.horizon_months:g}": int(held.notna().sum()),
        f"{AT_HORIZON[1]}{labels.horizon_months:g}": int(held.sum()),
    }


def _say_known(labels: OutcomeLabels) -> str:
    first, last = labels.window_months
    if labels.outcome.assessed_by == "follow_up":
        return SEEN
    if labels.outcome.assessed_by == "events":
        return f"followed to month {labels.horizon_months:g}"
    return f"with an answer in months {first:g} to {last:g}"


def _count_lost(cohort: Cohort, labels: OutcomeLabels) -> dict[str, int]:
    lost = labels.eligible & ~labels.known
    counts = {str(reason): int(n) for reason, n in labels.because[lost].value_counts(sort=False).items()}
    if labels.outcome.assessed_by == "events":
        kind, detail = cohort.events["kind"] == "complication", labels.outcome.detail
        happened = cohort.events.loc[kind & (cohort.events["detail"] == detail) if detail else kind, "episode_id"]
        seen = int(cohort.episodes.loc[lost, "episode_id"].isin(set(happened)).sum())
        return {**counts, "of these with a complication before": seen}
    return counts


def _say_nobody_asked(labels: OutcomeLabels, minimum_events: int | None, *, real: bool) -> str:
    reasons = labels.because.value_counts(sort=False)
    total, *counts = format_counts_together(len(labels.because), *reasons.tolist(), real=real)
    told = "; ".join(f"{n} because {reason}" for reason, n in zip(reasons.index, counts, strict=True))
    needed = (
        ""
        if minimum_events is None
        else f" (real patients of an indication without evidence are modelled where at least {minimum_events} have the "
        f"outcome and {minimum_events} have not)"
    )
    return f"{labels.outcome.name} can be asked of none of {total} episodes: {told}{needed}"


def _say_no_answer(cohort: Cohort, outcome: Outcome, horizon: float, window: tuple[float, float]) -> str:
    asked = [line.measure for line in outcome.lines]
    holding = cohort.visits[asked].notna().any(axis=1) if asked else cohort.visits["month"].notna()
    held = cohort.visits.loc[holding, "month"]
    named = f"visit with {' or '.join(asked)}" if asked else "visit or later event"
    when = f"visits lie between months {held.min():g} and {held.max():g}" if len(held) else "there is no such visit"
    if outcome.assessed_by == "events":
        shown = f"no {named} shows who was followed to month {horizon:g}"
        return f"{shown}; {when}; set outcome.horizon_months to an earlier month"
    return (
        f"no {named} in months {window[0]:g} to {window[1]:g} answers for month {horizon:g}; "
        f"{when}; set outcome.horizon_months to a month that was asked"
    )
