"""Gather what is known of an outcome before any patient is seen: draws of the evidence, a rate, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logit
from threadpoolctl import threadpool_limits

from paincast.cohort.tables import conform
from paincast.errors import RefusalError
from paincast.evidence import load_sources, simulated_records
from paincast.evidence.figures import PublishedRate
from paincast.evidence.records import list_citations
from paincast.models.prior.durations import DurationPrior, make_duration_prior
from paincast.models.prior.gaussian import EvidencePrior, make_evidence_prior, make_level_prior
from paincast.outcomes import name_in_truth
from paincast.settings import TrainingSettings
from paincast.simulator.evidence_draws import (
    DRAWS,
    MINIMUM_LEVEL_SD,
    draw_evidence,
    list_drawn_outcomes,
    simulate_reference_patients,
)
from paincast.simulator.relief_draws import draw_relief
from paincast.training.kinds.published import find_nearest_rate, list_fitting_rates
from paincast.training_set import TrainingSet

MINIMUM_RECORDED = 0.5
"""Minimum share of real episodes that record a column for the model to use it."""

NOTHING_KNOWN_SD = 1.5
"""Standard deviation of the log odds of an overall risk of which nothing is published: from 5 % to 95 %."""

COMPLICATION_SD = 1.0
"""Standard deviation of the log odds of the rate of a complication."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a prior comes from.

    Parameters
    ----------
    description : str
        What it is, or why there is none, in words.
    sources : tuple of str
        Citations; empty if nothing is published.
    """

    description: str
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class GatheredDurationPrior(Provenance):
    """A prior of how long relief lasts, and where it comes from.

    Parameters
    ----------
    duration : DurationPrior
        The prior.
    """

    duration: DurationPrior


@dataclass(frozen=True, kw_only=True)
class GatheredPrior(Provenance):
    """A prior and where it comes from.

    Parameters
    ----------
    prior : EvidencePrior
        The prior.
    simulated : bool
        Whether its columns are encoded on simulated patients, not on real ones.
    """

    prior: EvidencePrior
    simulated: bool


def gather_prior(data: TrainingSet, settings: TrainingSettings, rng: np.random.Generator) -> GatheredPrior:
    """Gather the prior of an outcome without using real outcomes.

    Parameters
    ----------
    data : TrainingSet
        The episodes; their outcomes are not used.
    settings : TrainingSettings
        Scenario and encoding.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    GatheredPrior
    """
    try:
        return gather_evidence_prior(data, settings, rng)
    except RefusalError as refusal:
        return gather_rate_prior(data, settings, because=str(refusal))


def gather_evidence_prior(data: TrainingSet, settings: TrainingSettings, rng: np.random.Generator) -> GatheredPrior:
    """Gather the prior that follows draws of the evidence.

    Raises
    ------
    RefusalError
        If the evidence tells nothing of the outcome at the month, or counted it by other instruments.
    """
    require_matched(data)
    scenario = _find_scenario(data, settings)
    splines, month, name = settings.model.splines, data.horizon_months, name_in_truth(data.outcome)
    sources = list_citations(simulated_records(data.evidence_technique))
    with threadpool_limits(limits=1):
        if data.outcome.assessed_by == "events":
            patients, log_odds = _expect_complications(data, scenario)
            prior = make_level_prior(
                log_odds, COMPLICATION_SD, keep_recorded(patients, data), splines=splines, contract=data.contract
            )
            description = f"the published rate of complications, and nothing of who has them ({name})"
            return GatheredPrior(prior=prior, description=description, sources=sources, simulated=True)
        if name not in list_drawn_outcomes():
            raise RefusalError(f"the evidence tells nothing of {name}", code="PC-TRAINING-20")
        drawn = draw_evidence(data.evidence_technique, name, month, scenario=scenario, rng=rng)
        real = None if data.cohort.basis == "synthetic" else data.episodes
        prior = make_evidence_prior(
            keep_recorded(drawn.episodes, data), drawn.log_odds, splines=splines, real=real, contract=data.contract
        )
    description = f"{DRAWS} draws of {_name_evidence(data)} at month {month:g} ({scenario} scenario)"
    return GatheredPrior(prior=prior, description=description, sources=sources, simulated=not prior.encodes_patients)


def _name_evidence(data: TrainingSet) -> str:
    """Name the evidence: of a technique that a contract declares it is that of another, which is said."""
    evidence = data.evidence_technique
    if evidence == data.technique:
        return "the evidence"
    return f"the evidence of {evidence}, which the contract says {data.technique} is like,"


def require_matched(data: TrainingSet) -> None:
    """Refuse evidence for patients whose outcome was answered by other instruments than it was counted by.

    Raises
    ------
    RefusalError
        Naming the instruments of the patients and of the evidence.
    """
    if data.unmatched:
        raise RefusalError(
            f"the evidence counts {data.outcome.name} by {' or '.join(data.outcome.evidence_measures)}, and patients "
            f"were answered by {', '.join(data.unmatched)}",
            code="PC-TRAINING-24",
        )


def gather_duration_prior(
    data: TrainingSet, months: tuple[float, ...], settings: TrainingSettings, rng: np.random.Generator
) -> GatheredDurationPrior:
    """Gather the prior of how long relief lasts that follows draws of the evidence.

    Parameters
    ----------
    data : TrainingSet
        The episodes; their outcomes are not used.
    months : tuple of float
        The visits at which relief is assessed.
    settings, rng
        As for :func:`gather_prior`.

    Raises
    ------
    RefusalError
        If the evidence tells nothing of the technique, or of one of the months.
    """
    scenario = _find_scenario(data, settings)
    with threadpool_limits(limits=1):
        drawn = draw_relief(data.evidence_technique, months, scenario=scenario, rng=rng)
        prior = make_duration_prior(
            keep_recorded(drawn.episodes, data),
            months,
            drawn.survival,
            splines=settings.model.splines,
            real=None if data.cohort.basis == "synthetic" else data.episodes,
            contract=data.contract,
        )
    listed = ", ".join(f"{month:g}" for month in months)
    description = f"{drawn.survival.shape[2]} draws of {_name_evidence(data)} at months {listed} ({scenario} scenario)"
    return GatheredDurationPrior(
        duration=prior, description=description, sources=list_citations(simulated_records(data.evidence_technique))
    )


def _find_scenario(data: TrainingSet, settings: TrainingSettings) -> str:
    return str(data.cohort.details.get("scenario", settings.cohort.scenario))


def _expect_complications(data: TrainingSet, scenario: str) -> tuple[pd.DataFrame, float]:
    """Find the expected log odds of a complication among the reference patients."""
    technique = data.evidence_technique
    patients = simulate_reference_patients(technique, scenario)
    name = name_in_truth(data.outcome)
    options = patients.truth.options
    if name not in set(options.loc[options["technique"] == technique, "outcome"]):
        raise RefusalError(f"{technique}: no rate of {name} is published", code="PC-TRAINING-21")
    truth = patients.truth.expand(technique=technique, outcome=name)
    counted_by = float(truth["month"].max())
    if data.horizon_months < counted_by:
        raise RefusalError(
            f"{technique}: {name} is published up to month {counted_by:g}, not up to month {data.horizon_months:g}",
            code="PC-TRAINING-22",
        )
    latest = truth.loc[truth["month"] == counted_by, "probability"]
    return patients.episodes, float(logit(latest.mean()))


def keep_recorded(reference: pd.DataFrame, data: TrainingSet) -> pd.DataFrame:
    """Empty the predictors of simulated patients that few real patients of the set have recorded."""
    if data.cohort.basis == "synthetic":
        return reference
    names = [column.name for column in data.contract.model_columns if column.name in reference]
    absent = [name for name in names if float(data.episodes[name].notna().mean()) < MINIMUM_RECORDED]
    return conform("episodes", reference.drop(columns=absent), data.contract).set_index(reference.index)


def gather_rate_prior(data: TrainingSet, settings: TrainingSettings, *, because: str) -> GatheredPrior:
    """Gather a prior of the level alone: a published rate of the outcome in its window, or nothing.

    Parameters
    ----------
    data : TrainingSet
        The real episodes, for their technique, outcome, window, columns and sources.
    settings : TrainingSettings
        Encoding.
    because : str
        Why the evidence could not be drawn.
    """
    rate = find_nearest_rate(data)
    splines = settings.model.splines
    if rate is not None:
        return _take_rate(rate, data, splines=splines)
    n_same_data = len(list_fitting_rates(data))
    reason = (
        f"{n_same_data} published rate(s) were counted in these same data"
        if n_same_data
        else f"no rate is published{' by these instruments' if data.unmatched else ''}"
    )
    return GatheredPrior(
        prior=make_level_prior(0.0, NOTHING_KNOWN_SD, data.episodes, splines=splines, contract=data.contract),
        description=f"nothing is known before: {because}; {reason}",
        sources=(),
        simulated=False,
    )


def _take_rate(rate: PublishedRate, data: TrainingSet, *, splines: bool) -> GatheredPrior:
    citation, n = load_sources()[rate.source].citation, int(rate.n or 1)
    share = min(max(rate.share, 0.5 / n), 1.0 - 0.5 / n)
    sd = max(MINIMUM_LEVEL_SD, float(1.0 / np.sqrt(n * share * (1.0 - share))))
    return GatheredPrior(
        prior=make_level_prior(float(logit(share)), sd, data.episodes, splines=splines, contract=data.contract),
        description=f"the published rate of {rate.share:.0%} of {rate.n} at month {rate.month:g} ({citation})",
        sources=(citation,),
        simulated=False,
    )
