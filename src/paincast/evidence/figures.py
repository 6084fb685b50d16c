"""Data classes of evidence records.

Every number has the id of its source and a tag for its reliability. The source of a figure tagged ``ASSUMED`` is only
the most similar study; it does not support the number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from paincast.evidence.context import Cost, ExpectedChange, Finding, SeedClaim, SeedConflict
from paincast.evidence.safety import Complication, Contraindication

PROVENANCE_TAGS: Mapping[str, str] = MappingProxyType(
    {
        "SEED": "stated by the founding review",
        "FOUND": "read at a public page, mostly abstracts",
        "RECALLED": "remembered from a named publication; verify before clinical use",
        "DERIVED": "computed or judged from tagged inputs",
        "ASSUMED": "a placeholder without a source",
    }
)
"""Origin of a figure. ``FOUND/ASSUMED``: the main value is published, a related value (such as a SD) assumed."""

TRANSFORMS = ("below", "at_least", "above", "per", "per_sd", "equals")
PREDICTOR_KINDS = ("prognostic", "selection", "treatment", "effect_modifier")
CERTAINTY_LEVELS = ("none", "very low", "low", "moderate", "high")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A publication or data set, and how it was accessed."""

    id: str
    citation: str
    access: str
    url: str = ""
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
    odds_ratio : float
        Odds ratio of response, shrunk from the published value because sources are small and selected.
    source, source_tag : str
        Source of the effect, and its tag.
    tag : str
        Tag of ``odds_ratio``.
    meaning, direction, strength : str
        Description for clinicians.
    kind : {"prognostic", "selection", "treatment", "effect_modifier"}
        Type of association; prognostic associations must not be interpreted as causal. The odds ratio of an effect
        modifier refers to the benefit over the control response, not to the response to the procedure, so it is not
        among ``Record.active_predictors``.
    finding : str
        Description of the published result.
    published : mapping
        The published effect: ``measure``, ``value`` and optionally ``ci95``.
    prevalence : float, optional
        Share of patients in whom the transformed column is true.
    prevalence_tag : str
        Tag of ``prevalence``.
    threshold_tag : str
        Tag of the threshold in ``transform`` if it was not published.
    note : str
        Further remarks.
    """

    column: str
    transform: Transform
    odds_ratio: float
    source: str
    source_tag: str
    tag: str
    meaning: str
    direction: str
    strength: str
    kind: str
    finding: str = ""
    published: Mapping[str, object] = field(default_factory=dict)
    prevalence: float | None = None
    prevalence_tag: str = ""
    threshold_tag: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The baseline distribution of a column, described by the available parameters.

    ``mean`` and ``sd`` describe a symmetric quantity, ``median`` and ``log_sd`` a skewed quantity. ``share`` is the
    share with a true yes/no column, of women (``sex``), of working patients among those of working age
    (``work_status``) or of values above zero (``opioid_mme``); ``shares`` is the share of each value.
    """

    source: str
    tag: str
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    log_sd: float | None = None
    share: float | None = None
    shares: Mapping[float | str, float] | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ControlResponse:
    """The share that responds without the procedure (sham, placebo or usual care)."""

    share: float
    month: float
    definition: str
    source: str
    tag: str
    range: tuple[float, float] | None = None
    note: str = ""


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
    n_study : int, optional
        Number of patients in the study, if the denominator of the share is not known.
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
    n: int | None = None
    n_study: int | None = None
    ci95: tuple[float, float] | None = None
    population: str = ""
    design: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Certainty:
    """Certainty of the evidence (none, very low, low, moderate or high), with the reason."""

    level: str
    grade: str
    source: str
    tag: str


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The share of responders at each month, judged from the published rates.

    Parameters
    ----------
    months : mapping of float to float
        Share of responders (pain lower by at least 50 %) by month in the ``literature`` scenario.
    scenarios : mapping of str to float
        Share of responders at the primary month in each scenario.
    range : mapping of float to tuple
        Lowest and highest plausible share at a month.
    source : tuple of str
        Sources on which it is based.
    tag : str
        Tag of all figures of the curve.
    denominator, note : str
        Denominator of the share, and further remarks.
    trial_success : float, optional
        Share of tested patients who proceed to the procedure; multiplied by ``months``, the intention-to-treat rate.
    """

    months: Mapping[float, float]
    scenarios: Mapping[str, float]
    range: Mapping[float, tuple[float, float]]
    source: tuple[str, ...]
    tag: str
    denominator: str = ""
    note: str = ""
    trial_success: float | None = None


@dataclass(frozen=True, kw_only=True)
class Implied:
    """Properties of a model that follow from the active predictors, assuming independence and the given prevalences.

    Parameters
    ----------
    active_predictors : int
        Number of predictors with an odds ratio other than 1, without effect modifiers.
    sd_linear_predictor : float
        Standard deviation of the log odds of response.
    bayes_optimal_auc : float
        Largest area under the curve that any model can reach.
    source : tuple of str
        Sources of the predictors.
    tag : str
        Tag of the three figures.
    """

    active_predictors: int
    sd_linear_predictor: float
    bayes_optimal_auc: float
    source: tuple[str, ...]
    tag: str


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
    control_response : ControlResponse or None
        Response without the procedure, if published.
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
    control_response: ControlResponse | None = None
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
    def control_share(self) -> float | None:
        """Share of responders without the procedure, or None if no number is published."""
        return self.control_response.share if self.control_response else None

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
