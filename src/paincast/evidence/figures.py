"""What an evidence record holds, as frozen types.

Every number stands beside the id of its source and a tag that says how far to trust it. On a figure tagged ``ASSUMED``
the source names the nearest study setting only: it does not support the number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

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
    kind : {"prognostic", "selection", "treatment"}
        What the association is; prognostic associations must not be read as causal.
    published : mapping
        The published effect: ``measure``, ``value`` and perhaps ``ci95``.
    threshold_tag : str
        Tag of the threshold in ``transform`` where that was not published.
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
    published: Mapping[str, object] = field(default_factory=dict)
    threshold_tag: str = ""


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
    shares: Mapping[float, float] | None = None
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
    """One published rate of response, in its own definition."""

    month: float
    share: float
    definition: str
    source: str
    tag: str
    n: int | None = None
    ci95: tuple[float, float] | None = None
    population: str = ""


@dataclass(frozen=True, kw_only=True)
class Complication:
    """A complication and the lowest and highest rate reported; no rate where it was only named."""

    event: str
    source: str
    tag: str
    rate: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Contraindication:
    """A yes/no column of the episodes that speaks against the procedure.

    Parameters
    ----------
    column : str
        Column that carries it.
    level : {"absolute", "relative"}
        An absolute one makes a patient ineligible; a relative one needs a plan.
    reason : str
        Why, in words for a clinician.
    source, tag : str
        Where that is stated and how it was seen.
    """

    column: str
    level: Literal["absolute", "relative"]
    reason: str
    source: str
    tag: str


@dataclass(frozen=True, kw_only=True)
class Certainty:
    """How certain the evidence is, in words."""

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
    """

    months: Mapping[float, float]
    scenarios: Mapping[str, float]
    range: Mapping[float, tuple[float, float]]
    source: tuple[str, ...]
    tag: str
    denominator: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known of one technique (and approach) in one indication.

    Parameters
    ----------
    id : str
        Name of the record.
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
    gap : str
        Why there is no model; empty otherwise.
    """

    id: str
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
    not_modelled: tuple[str, ...] = ()
    published: tuple[PublishedRate, ...] = ()
    complications: tuple[Complication, ...] = ()
    contraindications: tuple[Contraindication, ...] = ()
    certainty: Certainty | None = None
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
    def indications(self) -> tuple[str, ...]:
        """Give every indication the record covers, its own first."""
        return ((self.indication,) if self.indication else ()) + self.also_covers
