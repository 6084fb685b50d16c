"""Data classes of evidence records.

Every number has the id of its source and a tag for its reliability. Figures that studies give are computed from the
extraction table (:mod:`paincast.evidence.synthesis`); record files hold the questions, and what nobody has published.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from paincast.evidence.comparators import Comparator
from paincast.evidence.context import Certainty, Cost, ExpectedChange, Finding, SeedClaim, SeedConflict
from paincast.evidence.safety import Complication, Contraindication

PROVENANCE_TAGS: Mapping[str, str] = MappingProxyType(
    {
        "SEED": "stated by the founding review",
        "FOUND": "read at a public page, mostly abstracts, or computed by a written rule from what was read",
        "DERIVED": "computed from tagged inputs where no study counts the same, or judged",
        "ASSUMED": "a stated guess; its source, if any, is the most similar study and does not support the number",
    }
)
"""Origin of a figure. ``FOUND/ASSUMED``: the main value is published, a related value (such as a SD) assumed."""

TRANSFORMS = ("below", "at_least", "above", "per", "per_sd", "equals")
PREDICTOR_KINDS = ("prognostic", "selection", "treatment", "effect_modifier")
LEAST_LOG_ODDS = 0.005
"""Predictors closer to no effect are null results."""

CERTAINTY_LEVELS = ("none", "very low", "low", "moderate", "high")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A publication or data set, and how it was accessed."""

    id: str
    citation: str
    access: str
    url: str = ""
    doi: str = ""
    pmid: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Transform:
    """How a column enters the log odds: as an indicator of a threshold or value, or per number of units.

    Parameters
    ----------
    kind : {"below", "at_least", "above", "per", "per_sd", "equals"}
        ``per_sd`` is per standard deviation of the record's baseline.
    value : float, bool or str
        Threshold, number of units, or value to compare with.
    """

    kind: str
    value: float | bool | str


@dataclass(frozen=True, kw_only=True)
class PredictorEffect:
    """The association of a column with response, as used by the simulator.

    Parameters
    ----------
    column : str
        Column of the episodes.
    transform : Transform
        How the column enters.
    log_odds, sd : float
        Mean and standard deviation of the log odds ratio of response
        (:func:`paincast.evidence.synthesis.odds.estimate_log_odds`).
    basis : {"size", "null", "direction", "judged"}
        What studies give: a size, a null result, only a direction; or nothing, so that it is judged.
    source : tuple of str
        Studies that count; where it is judged, the most similar study.
    tag : str
        ``FOUND`` for a size or null result, ``FOUND/ASSUMED`` for a direction with an assumed size, else ``ASSUMED``.
    meaning, direction : str
        Description for clinicians.
    kind : {"prognostic", "selection", "treatment", "effect_modifier"}
        Type of association; prognostic associations must not be interpreted as causal. The odds ratio of an effect
        modifier refers to the benefit over the control response, not to the response to the procedure, so it is not
        among ``Record.active_predictors``.
    finding : str
        Description of the published result.
    note : str
        Further remarks.
    """

    column: str
    transform: Transform
    log_odds: float
    sd: float
    basis: str
    source: tuple[str, ...]
    tag: str
    meaning: str
    direction: str
    kind: str
    finding: str = ""
    note: str = ""

    @property
    def odds_ratio(self) -> float:
        """Odds ratio of response; 1 if the log odds ratio is as good as 0."""
        return 1.0 if abs(self.log_odds) < LEAST_LOG_ODDS else math.exp(self.log_odds)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the odds ratio."""
        return math.exp(self.log_odds - 1.96 * self.sd), math.exp(self.log_odds + 1.96 * self.sd)


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The baseline distribution of a column, described by the available parameters.

    ``mean`` and ``sd`` describe a symmetric quantity, ``median`` and ``log_sd`` a skewed quantity. ``share`` is the
    share with a true yes/no column, of women (``sex``), of working patients among those of working age
    (``work_status``) or of values above zero (``opioid_mme``); ``shares`` is the share of each value.
    """

    source: str | tuple[str, ...]
    tag: str
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    log_sd: float | None = None
    share: float | None = None
    shares: Mapping[float | str, float] | None = None
    note: str = ""


class Untreated(NamedTuple):
    """What the simulator takes for the share that responds without any procedure.

    Parameters
    ----------
    share, lower, upper : float
        Share and its 95 % interval.
    support : {"matched", "assumed"}
        A matching control arm (:class:`paincast.evidence.comparators.Comparator`), or the control arms of all trials
        with the interval of a new trial.
    """

    share: float
    lower: float
    upper: float
    support: str


@dataclass(frozen=True, kw_only=True)
class Survival:
    """Median survival in months, for indications in which death competes with follow-up."""

    median_months: float
    source: str
    tag: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class PublishedRate:
    """A published response rate with the definition of response.

    Parameters
    ----------
    n : int, optional
        Denominator of ``share``.
    outcome : str
        Outcome of the extraction table.
    ci95 : tuple, optional
        Published 95 % confidence interval.
    population, design, note : str
        Patients, study design, and further remarks.
    """

    month: float
    share: float
    definition: str
    source: str
    tag: str
    outcome: str = ""
    n: int | None = None
    ci95: tuple[float, float] | None = None
    population: str = ""
    design: str = ""
    note: str = ""


class CurvePoint(NamedTuple):
    """The share of responders at a month, pooled from studies.

    Parameters
    ----------
    share, lower, upper : float
        Share (pain lower by at least 50 %) of those treated, with its 95 % interval.
    predicted_lower, predicted_upper : float
        95 % interval of the share in a new study.
    support : {"counted", "near month", "other outcome", "interpolated", "carried over"}
        What studies of the record count: the outcome at a month within half of this one; only another outcome; only
        other months; or nothing, so that the share is that of the technique and others.
    n : int
        Patients counted at the month.
    source : tuple of str
        Studies counted at the month.
    """

    share: float
    lower: float
    upper: float
    predicted_lower: float
    predicted_upper: float
    support: str
    n: int
    source: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The response curve of a record (:func:`paincast.evidence.synthesis.pooling.predict_curve`).

    Parameters
    ----------
    points : mapping of float to CurvePoint
        By month, in the ``literature`` scenario.
    scenarios : mapping of str to float
        Share of responders at the primary month in each scenario.
    denominator, note : str
        Denominator of the share, and further remarks.
    trial_success : float, optional
        Share of those tested who pass and are treated; not part of the share of responders, which is of those treated.
    trial_interval, trial_n, trial_source : optional
        Its 95 % interval, patients tested, and studies.
    """

    points: Mapping[float, CurvePoint]
    scenarios: Mapping[str, float]
    denominator: str = ""
    note: str = ""
    trial_success: float | None = None
    trial_interval: tuple[float, float] | None = None
    trial_n: int | None = None
    trial_source: tuple[str, ...] = ()

    @property
    def months(self) -> Mapping[float, float]:
        """Share of responders by month in the ``literature`` scenario."""
        return {month: point.share for month, point in self.points.items()}

    @property
    def source(self) -> tuple[str, ...]:
        """All studies counted at any month."""
        return tuple(sorted({name for point in self.points.values() for name in point.source}))


TAG_OF_SUPPORT: Mapping[str, str] = MappingProxyType(
    {
        "counted": "FOUND",
        "near month": "DERIVED",
        "other outcome": "DERIVED",
        "interpolated": "DERIVED",
        "carried over": "ASSUMED",
    }
)
"""Tag of a point of a curve."""


@dataclass(frozen=True, kw_only=True)
class Implied:
    """Properties of a model that follow from the active predictors, assuming independence.

    Parameters
    ----------
    active_predictors : int
        Number of predictors with an odds ratio other than 1, without effect modifiers.
    sd_linear_predictor : float
        Standard deviation of the log odds of response.
    bayes_optimal_auc : float
        Largest area under the curve that any model can reach.
    """

    active_predictors: int
    sd_linear_predictor: float
    bayes_optimal_auc: float


@dataclass(frozen=True, kw_only=True)
class Record:
    """Evidence on a technique (and approach) in an indication.

    Parameters
    ----------
    id : str
        Name of the record.
    title : str
        The procedure and the pain it treats, for a clinician.
    technique, indication, approach : str
        Values of the contract; ``approach`` is None if the record applies to all approaches.
    also_covers : tuple of str
        Further indications for which the record is the most relevant evidence.
    primary_month : float or None
        Default month for the assessment of response.
    response : Curve or None
        Response curve and its scenarios; None if models must be based on real data only.
    comparators : tuple of Comparator
        What control arms of trials had, by outcome, indication, kind of arm and month.
    without : str
        What trials say of patients without the procedure where no comparator fits.
    untreated : mapping of float to Untreated
        What the simulator takes for the response without any procedure, by month.
    predictors : tuple of PredictorEffect
        Associations used by the simulator; an odds ratio of 1 is a published null result.
    null_findings : tuple of Finding
        Published null results that do not refer to a single column.
    findings : tuple of Finding
        Results other than response rates.
    not_known : tuple of str
        Clinically relevant questions without published evidence.
    gap : str
        Why there is no model; empty otherwise.
    """

    id: str
    title: str
    technique: str
    bleeding_class: str
    mechanism: str
    indication: str = ""
    approach: str | None = None
    also_covers: tuple[str, ...] = ()
    primary_month: float | None = None
    response: Curve | None = None
    comparators: tuple[Comparator, ...] = ()
    without: str = ""
    untreated: Mapping[float, Untreated] = field(default_factory=dict)
    survival: Survival | None = None
    follow_up_months: tuple[float, ...] = ()
    baseline: Mapping[str, Baseline] = field(default_factory=dict)
    not_recorded: tuple[str, ...] = ()
    predictors: tuple[PredictorEffect, ...] = ()
    implied: Implied | None = None
    null_findings: tuple[Finding, ...] = ()
    published: tuple[PublishedRate, ...] = ()
    findings: tuple[Finding, ...] = ()
    expected_change: tuple[ExpectedChange, ...] = ()
    complications: tuple[Complication, ...] = ()
    contraindications: tuple[Contraindication, ...] = ()
    costs: tuple[Cost, ...] = ()
    certainty: Certainty | None = None
    seed: SeedClaim | None = None
    seed_conflicts: tuple[SeedConflict, ...] = ()
    not_known: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    note: str = ""
    gap: str = ""

    @property
    def curve(self) -> Mapping[float, float] | None:
        """Share of responders at each month in the ``literature`` scenario."""
        return self.response.months if self.response else None

    @property
    def scenarios(self) -> Mapping[str, float] | None:
        """Share of responders at the primary month in each scenario."""
        return self.response.scenarios if self.response else None

    @property
    def own_comparators(self) -> tuple[Comparator, ...]:
        """Comparators in the primary indication."""
        return tuple(item for item in self.comparators if item.indication == self.indication)

    @property
    def active_predictors(self) -> tuple[PredictorEffect, ...]:
        """Predictors on which response to the procedure depends: without null results and effect modifiers."""
        return tuple(
            effect for effect in self.predictors if effect.odds_ratio != 1.0 and effect.kind != "effect_modifier"
        )

    @property
    def counted_complications(self) -> tuple[Complication, ...]:
        """A single figure for each kind of complication with a rate, in the order of the record."""
        return tuple(item for item in self.complications if item.patient_rate and not item.repeats)

    @property
    def indications(self) -> tuple[str, ...]:
        """All indications that the record covers, beginning with its primary indication."""
        return ((self.indication,) if self.indication else ()) + self.also_covers
