"""Make the training set of a model: eligible episodes, outcome labels, loss to follow-up and exclusions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.contract import Contract
from paincast.disclosure.flow import ANSWERED_AT, ANSWERED_BY, AT_HORIZON, PATIENTS, SEEN, format_counts_together
from paincast.eligibility import exclude_ineligible, find_supported_indications
from paincast.errors import RefusalError
from paincast.evidence.records import primary_horizon
from paincast.evidence.rules import TechniqueRules, collect_rules, take_without_evidence
from paincast.outcomes import Outcome, OutcomeLabels, compute_outcome, default_window
from paincast.outcomes.label_counts import count_instruments, count_label_months
from paincast.outcomes.labels import DIED, LOST_RELIEF, OTHER_INSTRUMENT
from paincast.settings import OutcomeSettings

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """Training data of a model.

    Parameters
    ----------
    technique : str
        The technique.
    rules : TechniqueRules
        Eligibility rules of the model; the training set contains only eligible episodes.
    cohort : Cohort
        All episodes of the technique.
    labels : OutcomeLabels
        Outcome labels of all episodes of the technique.
    flow : DataFrame
        Participant flow: ``step, n``.
    episodes : DataFrame of shape (n, ...)
        Episodes in the denominator, including those lost to follow-up.
    observed : ndarray of shape (n,)
        Their outcome, NaN if lost to follow-up.
    """

    technique: str
    rules: TechniqueRules
    cohort: Cohort
    labels: OutcomeLabels
    flow: pd.DataFrame
    episodes: pd.DataFrame
    observed: FloatArray

    @property
    def contract(self) -> Contract:
        """Contract of the cohort."""
        return self.cohort.contract

    @property
    def evidence_technique(self) -> str:
        """Technique whose published evidence may be used: the technique itself, or that which its contract names.

        Raises
        ------
        RefusalError
            If the contract names none.
        """
        evidence = self.contract.find_evidence(self.technique)
        if not evidence:
            raise RefusalError(
                f"{self.technique} is a technique of the contract, beside which no published evidence stands",
                code="PC-TRAINING-SET-03",
            )
        return evidence

    @property
    def outcome(self) -> Outcome:
        """Outcome definition."""
        return self.labels.outcome

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Instruments that answered and by which published evidence did not count: none of it holds for these patients.

        A prior, a rate or a control of the outcome counted by one instrument tells nothing of another.
        """
        return self.outcome.list_unmatched(self.labels.measures)

    @property
    def measures(self) -> tuple[str, ...]:
        """Baseline columns, at least one of which a patient needs: those that answered, with those of the evidence."""
        matched = () if self.unmatched else self.outcome.evidence_measures
        return self.outcome.answered_by({*self.labels.measures, *matched}).measures

    @property
    def horizon_months(self) -> float:
        """Month at which the outcome is assessed."""
        return self.labels.horizon_months

    @property
    def window_months(self) -> tuple[float, float]:
        """First and last month, included, of the follow-up that counts."""
        return self.labels.window_months

    @property
    def known(self) -> BoolArray:
        """Whether the outcome of each episode is known, shape (n,)."""
        return np.asarray(np.isfinite(self.observed))

    @property
    def durations(self) -> tuple[FloatArray, FloatArray]:
        """Months and status of a duration outcome, each of shape (n,); NaN without follow-up."""
        months, status = self.labels.months, self.labels.status
        if months is None or status is None:
            raise TypeError(f"{self.outcome.name} has no times")
        eligible = self.labels.eligible
        return months[eligible].to_numpy(float), status[eligible].to_numpy(float)


def make_training_set(
    technique: str,
    cohort: Cohort,
    outcome: Outcome,
    settings: OutcomeSettings,
    *,
    minimum_events: int | None = None,
) -> TrainingSet:
    """Label the eligible episodes of a technique with an outcome, and count exclusions.

    Parameters
    ----------
    technique : str
        The technique.
    cohort : Cohort
        The cohort.
    outcome : Outcome
        Outcome definition.
    settings : OutcomeSettings
        Horizon (one month) and window.
    minimum_events : int, optional
        Real patients with an indication without evidence are kept if at least this many have the outcome and this many
        do not. None to leave all of them out.

    Returns
    -------
    TrainingSet

    Raises
    ------
    RefusalError
        If there is no evidence for the technique, no episode is eligible, or no outcome is known. The message counts
        exclusions by reason, or names the requested months and the months with visits.
    """
    subset = cohort.select_technique(technique)
    [month] = settings.months
    horizon = month or outcome.horizon_months or find_primary_horizon(technique, cohort.contract)
    first, last = settings.window_months or default_window(outcome, horizon)
    is_own = technique in cohort.contract.own_techniques
    rules = TechniqueRules(indications=()) if is_own else collect_rules(technique, outcome.name)
    labels = compute_outcome(subset.episodes, subset.visits, subset.events, outcome, horizon, (first, last))
    if subset.basis == "real" and minimum_events is not None:
        rules = take_without_evidence(rules, find_supported_indications(subset.episodes, labels, minimum_events))
    labels = exclude_ineligible(rules, labels, subset.episodes)
    if not labels.eligible.any():
        raise RefusalError(
            _describe_nobody_asked(labels, minimum_events, real=subset.basis != "synthetic"),
            code="PC-TRAINING-SET-01",
        )
    if not (labels.eligible & labels.known).any():
        raise RefusalError(_describe_no_outcome(subset, labels), code="PC-TRAINING-SET-02")
    return _make_set(technique, rules, subset, labels)


def find_primary_horizon(technique: str, contract: Contract) -> float:
    """Return the default horizon of a technique in months: that of its evidence, or of the contract.

    Raises
    ------
    RefusalError
        If neither tells one.
    """
    own = contract.own_techniques.get(technique)
    if own is None:
        return primary_horizon(technique)
    if own.month is not None:
        return own.month
    if own.like:
        return primary_horizon(own.like)
    raise RefusalError(
        f"{technique}: no month is asked; set outcome.horizon_months, or 'month' of the technique in the contract",
        code="PC-TRAINING-SET-04",
    )


def ask_again(data: TrainingSet, outcome: Outcome) -> TrainingSet:
    """Label the patients of a training set with another outcome at the same month, by the same rules.

    Parameters
    ----------
    data : TrainingSet
        A training set.
    outcome : Outcome
        Outcome definition.
    """
    cohort = data.cohort
    asked = data.horizon_months, data.window_months
    labels = compute_outcome(cohort.episodes, cohort.visits, cohort.events, outcome, *asked)
    return _make_set(data.technique, data.rules, cohort, exclude_ineligible(data.rules, labels, cohort.episodes))


def _make_set(technique: str, rules: TechniqueRules, cohort: Cohort, labels: OutcomeLabels) -> TrainingSet:
    return TrainingSet(
        technique=technique,
        rules=rules,
        cohort=cohort,
        labels=labels,
        flow=_count(cohort, labels),
        episodes=cohort.episodes.loc[labels.eligible].reset_index(drop=True),
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
        _describe_known(labels): int(known.sum()),
        **{f"{ANSWERED_AT}{month}": n for month, n in count_label_months(labels).items()},
        **{f"{ANSWERED_BY}{measure}": n for measure, n in count_instruments(labels).items()},
    }
    if labels.outcome.kind == "binary":
        counts["with the outcome"] = int(labels.value[known].sum())
    if labels.status is not None:
        counts |= _count_course(labels, known)
    counts[PATIENTS] = patients
    return pd.DataFrame({"step": list(counts), "n": list(counts.values())})


def _count_course(labels: OutcomeLabels, known: pd.Series) -> dict[str, int]:
    assert labels.status is not None
    ended, value = labels.status[known], labels.value[known]
    return {
        "relief lost": int((ended == LOST_RELIEF).sum()),
        "died with relief": int((ended == DIED).sum()),
        f"{AT_HORIZON[0]}{labels.horizon_months:g}": int(value.notna().sum()),
        f"{AT_HORIZON[1]}{labels.horizon_months:g}": int(value.sum()),
    }


def _describe_known(labels: OutcomeLabels) -> str:
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


def _describe_nobody_asked(labels: OutcomeLabels, minimum_events: int | None, *, real: bool) -> str:
    reasons = labels.because.value_counts(sort=False)
    total, *counts = format_counts_together(len(labels.because), *reasons.tolist(), real=real)
    listed = "; ".join(f"{n} because {reason}" for reason, n in zip(reasons.index, counts, strict=True))
    needed = (
        ""
        if minimum_events is None
        else f" (real patients of an indication without evidence are modelled where at least {minimum_events} have the "
        f"outcome and {minimum_events} have not)"
    )
    return f"{labels.outcome.name} cannot be determined for any of {total} episodes: {listed}{needed}"


def _describe_no_outcome(cohort: Cohort, labels: OutcomeLabels) -> str:
    outcome, horizon, window = labels.outcome, labels.horizon_months, labels.window_months
    every = [line.measure for line in outcome.lines]
    seen = [name for name in every if name in outcome.evidence_measures or cohort.visits[name].notna().any()]
    measures = seen or every
    holding = cohort.visits[measures].notna().any(axis=1) if measures else cohort.visits["month"].notna()
    months = cohort.visits.loc[holding, "month"]
    named = f"visit with {' or '.join(measures)}" if measures else "visit or later event"
    when = (
        f"visits lie between months {months.min():g} and {months.max():g}" if len(months) else "there is no such visit"
    )
    if outcome.assessed_by == "events":
        shown = f"no {named} shows who was followed up to month {horizon:g}"
        return f"{shown}; {when}; set outcome.horizon_months to an earlier month"
    if (labels.because == OTHER_INSTRUMENT).any():
        return (
            f"in months {window[0]:g} to {window[1]:g} patients were {OTHER_INSTRUMENT}; scores of two instruments are "
            "not compared"
        )
    return (
        f"no {named} in months {window[0]:g} to {window[1]:g} answers for month {horizon:g}; "
        f"{when}; set outcome.horizon_months to a month with visits"
    )
