"""The settings of the simulator, and what they may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from paincast.evidence.figures import Baseline
from paincast.simulator import defaults
from paincast.simulator.defaults import Consequence, Knots, OutcomeLink, Preference

ASSIGNMENTS = ("confounded", "randomised")
CORRELATIONS = ("default", "independent")


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """Settings of the simulator without a source; defaults are judgements.

    Parameters
    ----------
    correlation : {"default", "independent"}
        Whether quantities share factors, or each stands alone.
    factor_correlations : tuple of float
        Correlation of sensitisation with distress, sensitisation with poor health, distress with poor health.
    loadings : mapping of str to tuple
        Loadings of each quantity on the three factors.
    baseline : mapping of str to Baseline
        Distributions where no record gives one.
    retirement_age_years : float
        Age from which a patient is retired.
    referrals : mapping of str to float
        Relative frequency of indications.
    pass_shares : mapping of str to float
        Share of those referred who go on after a trial or block, by the column of its result.
    selection_slope : float
        Slope of the probit by which the result decides.
    assignment : {"confounded", "randomised"}
        Whether the choice depends on the patient and the site, or only on popularity. The potential outcomes are the
        same: they are solved among those whom the confounded choice would treat.
    confounding_strength : float
        Factor of everything but popularity in the choice: the higher, the less overlap.
    preferences : mapping of (technique, approach) to Preference
        Utilities of the choice.
    guidance : mapping of str to mapping
        Shares of image guidance by technique.
    n_sites : int
        Number of sites.
    site_habit_sd, site_case_mix_sd, site_response_sd : float
        Spread between sites: of the log odds of choosing an option, of sensitisation, of the log odds of response.
    first_year, last_year : int
        Calendar years of first episodes.
    data_end_year : float
        Follow-up after this time is not there yet.
    opioid_drift_per_year, response_drift_per_year : float
        Yearly change of the latent tendency to take opioids, and of the log odds of response.
    repeat_share : float
        Share of patients with a second episode, a year later.
    state_persistence : float
        Correlation of what is particular to a patient's state between two episodes.
    control_strength : float
        How strongly predictors act on the response without the procedure, relative to their effect with it.
    response_persistence : float
        Correlation of the process behind an outcome between a month and twice that month.
    response_30_shift : float
        Log odds of a fall of pain by 30 %, over those of a fall by 50 %.
    outcome_links : mapping of str to OutcomeLink
        How the other outcomes hang together with the pain response.
    courses : mapping of str to Knots
        What is recorded at a visit, by the margin of the process.
    consequences : mapping of str to mapping
        Repeat procedures, operations and explants after failure, by technique.
    complication_window_months : float
        Months within which a complication occurs, evenly.
    visit_missing_share : float
        Share of visits that do not take place, at random.
    loss_share : float
        Share of responders lost for good at each visit.
    loss_mnar : float
        Log odds of being lost that not responding at that very visit adds: the loss is not at random.
    missing, missing_at_visits : mapping of str to float
        Share of missing values by column, before the procedure and at visits.
    missing_other : float
        The same for a column before the procedure that is not named.
    missing_by_site, missing_by_age : float
        How much missingness before the procedure depends on what is seen: spread of its log between sites, and its
        relative rise per 10 years of age.
    nrs_whole_share : float
        Share of NRS scores at visits that are given as whole points (or halves, where a whole one would cross the line
        of response); the others are means of a diary.
    heaping_crosses : bool
        Whether rounding to whole points may cross the line of response, so that what is recorded misstates it.
    entry_error_share : float
        Share of numbers entered out of their range, for validation to reject.
    reference_size, reference_seed : int
        Size and seed of the population on which intercepts are solved; sites are drawn with the same seed.
    """

    correlation: str = "default"
    factor_correlations: tuple[float, float, float] = (0.40, 0.20, 0.20)
    loadings: Mapping[str, tuple[float, float, float]] = field(default_factory=lambda: defaults.LOADINGS)
    baseline: Mapping[str, Baseline] = field(default_factory=lambda: defaults.BASELINE)
    retirement_age_years: float = 64.0
    referrals: Mapping[str, float] = field(default_factory=lambda: defaults.REFERRALS)
    pass_shares: Mapping[str, float] = field(default_factory=lambda: defaults.PASS_SHARES)
    selection_slope: float = defaults.SELECTION_SLOPE
    assignment: str = "confounded"
    confounding_strength: float = 1.0
    preferences: Mapping[tuple[str, str | None], Preference] = field(default_factory=lambda: defaults.PREFERENCES)
    guidance: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: defaults.GUIDANCE)
    n_sites: int = 12
    site_habit_sd: float = 0.5
    site_case_mix_sd: float = 0.2
    site_response_sd: float = 0.10
    first_year: int = 2014
    last_year: int = 2024
    data_end_year: float = 2026.0
    opioid_drift_per_year: float = -0.03
    response_drift_per_year: float = -0.01
    repeat_share: float = 0.10
    state_persistence: float = 0.6
    control_strength: float = 0.5
    response_persistence: float = 0.80
    response_30_shift: float = 0.7
    outcome_links: Mapping[str, OutcomeLink] = field(default_factory=lambda: defaults.OUTCOME_LINKS)
    courses: Mapping[str, Knots] = field(default_factory=lambda: defaults.COURSES)
    consequences: Mapping[str, Mapping[str, Consequence]] = field(default_factory=lambda: defaults.CONSEQUENCES)
    complication_window_months: float = 1.0
    visit_missing_share: float = 0.05
    loss_share: float = 0.04
    loss_mnar: float = 0.7
    missing: Mapping[str, float] = field(default_factory=lambda: defaults.MISSING)
    missing_at_visits: Mapping[str, float] = field(default_factory=lambda: defaults.MISSING_AT_VISITS)
    missing_other: float = 0.05
    missing_by_site: float = 0.3
    missing_by_age: float = 0.1
    nrs_whole_share: float = 0.9
    heaping_crosses: bool = False
    entry_error_share: float = 0.0
    reference_size: int = 40_000
    reference_seed: int = 5_511
