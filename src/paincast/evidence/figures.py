"""What an evidence record holds, as frozen types.

Every number stands beside the id of its source and a tag that says how far to trust it. On a figure tagged ``ASSUMED``
the source names the nearest study setting only: it does not support the number.
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
"""How a figure came to be known. ``FOUND/ASSUMED``: the main value is found, a companion value (a spread) assumed."""

TRANSFORMS = ("below", "at_least", "above", "per", "per_sd", "equals")
PREDICTOR_KINDS = ("prognostic", "selection", "treatment", "effect_modifier")
CERTAINTY_LEVELS = ("none", "very low", "low", "moderate", "high")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A publication or data set, and how it was seen."""

    id: str
    citation: str
    access: str
    url: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Transform:
    """How a column enters the log odds: the indicator of a threshold or value, or the value per so many units.

    Parameters
    ----------
    kind : {"below", "at_least", "above", "per", "per_sd", "equals"}
        ``per_sd`` is per standard deviation of the record's baseline.
    value : float, bool or str
        Threshold, number of units, or the value compared with.
    """

    kind: str
    value: float | bool | str


@dataclass(frozen=True, kw_only=True)
class PredictorEffect:
    """The association of one column with response, as the simulator applies it.

    Parameters
    ----------
    column : str
        Column of the episodes.
    transform : Transform
        How the column enters.
    odds_ratio : float
        Odds ratio of response, shrunk from what was published because sources are small and selected.
    source, source_tag : str
        Where an effect was reported, and how that was seen.
    tag : str
        Tag of ``odds_ratio``.
    meaning, direction, strength : str
        In words, for a clinician.
    kind : {"prognostic", "selection", "treatment", "effect_modifier"}
        What the association is; prognostic associations must not be read as causal. An effect modifier says who gains
        more over the control response: its odds ratio is that of the benefit, so the response to the procedure itself
        does not follow it and it is not among ``Record.active_predictors``.
    finding : str
        What the source reports, in words.
    published : mapping
        The published effect: ``measure``, ``value`` and perhaps ``ci95``.
    prevalence : float, optional
        Share of patients in whom the transformed column is true.
    prevalence_tag : str
        Tag of ``prevalence``.
    threshold_tag : str
        Tag of the threshold in ``transform`` where that was not published.
    note : str
        Anything to know.
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
    """The distribution of one column before the procedure, from whichever figures are known.

    ``mean`` and ``sd`` describe a symmetric quantity; ``median`` and ``log_sd`` a skewed one; ``share`` is the share
    for whom a yes/no column is true, of women (``sex``), of those working among those of working age (``work_status``)
    or with a value above zero (``opioid_mme``); ``shares`` gives the share of each value.
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
    """One published rate of response, in its own definition.

    Parameters
    ----------
    n : int, optional
        Patients of whom ``share`` is the share.
    n_study : int, optional
        Patients of the whole study, where the denominator of the share was not seen.
    ci95 : tuple, optional
        Published 95 % confidence interval.
    population, design, note : str
        Which patients, how they were studied, and anything to know.
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
    """How certain the evidence is: one word, one of none, very low, low, moderate or high, and why."""

    level: str
    grade: str
    source: str
    tag: str


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The share responding at each month, judged from the published rates.

    Parameters
    ----------
    months : mapping of float to float
        Month to share responding (pain lower by at least 50 %), the ``literature`` scenario.
    scenarios : mapping of str to float
        Share responding at the primary month in each scenario.
    range : mapping of float to tuple
        Lowest and highest plausible share at a month.
    source : tuple of str
        Sources it was judged from.
    tag : str
        Tag of all figures of the curve.
    denominator, note : str
        Among whom the share is taken, and anything to know.
    trial_success : float, optional
        Share of those tested who go on to the procedure; times ``months`` it gives the rate by intention to treat.
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
    """What the active predictors imply for a model, were they independent and had the given prevalences.

    Parameters
    ----------
    active_predictors : int
        Predictors with an odds ratio other than 1, effect modifiers apart.
    sd_linear_predictor : float
        Standard deviation of the log odds of response.
    bayes_optimal_auc : float
        The best area under the curve that any model can reach.
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
    """What is known of one technique (and approach) in one indication.

    Parameters
    ----------
    id : str
        Name of the record.
    title : str
        The procedure and the pain it treats, for a clinician.
    technique, indication, approach : str
        Values of the contract; ``approach`` is None where the record holds for every approach.
    also_covers : tuple of str
        Further indications for which the record is the nearest evidence.
    primary_month : float or None
        Month at which response is asked by default.
    response : Curve or None
        Response curve and its scenarios; None where models can stand on real data only.
    control_response : ControlResponse or None
        Response without the procedure, where evidence gives a number.
    predictors : tuple of PredictorEffect
        Associations that the simulator applies; an odds ratio of 1 is a published null.
    null_findings : tuple of Finding
        Published nulls of no single column.
    findings : tuple of Finding
        Results that are no rate of response.
    not_known : tuple of str
        What a clinician would want to know and no source tells.
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
        """Give the share responding at each month in the ``literature`` scenario."""
        return self.response.months if self.response else None

    @property
    def scenarios(self) -> Mapping[str, float] | None:
        """Give the share responding at the primary month in each scenario."""
        return self.response.scenarios if self.response else None

    @property
    def control_share(self) -> float | None:
        """Give the share that responds without the procedure, or None where the evidence gives no number."""
        return self.control_response.share if self.control_response else None

    @property
    def active_predictors(self) -> tuple[PredictorEffect, ...]:
        """Give the predictors on which response to the procedure depends: no nulls, no effect modifiers."""
        return tuple(
            effect for effect in self.predictors if effect.odds_ratio != 1.0 and effect.kind != "effect_modifier"
        )

    @property
    def counted_complications(self) -> tuple[Complication, ...]:
        """Give one figure for each kind of complication that has a rate, in the order of the record."""
        return tuple(item for item in self.complications if item.patient_rate and not item.repeats)

    @property
    def indications(self) -> tuple[str, ...]:
        """Give every indication the record covers, its own first."""
        return ((self.indication,) if self.indication else ()) + self.also_covers
