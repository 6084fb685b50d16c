"""Settings of the simulator that have no published source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from paincast.evidence.figures import Baseline
from paincast.simulator import defaults
from paincast.simulator.defaults import Consequence, Knots, Never, OutcomeLink, Preference

ASSIGNMENTS = ("confounded", "randomised")
CORRELATIONS = ("default", "independent")
UNTREATED = ("share", "lower", "upper")


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """Settings of the simulator without a published source; the defaults are judgements.

    Parameters
    ----------
    correlation : {"default", "independent"}
        Whether quantities share latent factors or are independent.
    factor_correlations : tuple of float
        Correlation of sensitisation with distress, sensitisation with poor health, distress with poor health.
    loadings : mapping of str to tuple
        Loadings of each quantity on the three factors.
    baseline : mapping of str to Baseline
        Distributions of columns without a record.
    retirement_age_years : float
        Age from which patients are retired.
    referrals : mapping of str to float
        Relative frequency of indications.
    pass_shares : mapping of str to float
        Share of referred patients selected after a trial or block, by the column of its result.
    selection_slope : float
        Slope of the probit of selection on the result.
    assignment : {"confounded", "randomised"}
        Whether the choice depends on the patient and the site, or only on popularity. Potential outcomes are the same
        for both: they are calibrated among patients treated under the confounded choice.
    confounding_strength : float
        Factor for all determinants of the choice except popularity; higher values reduce overlap.
    preferences : mapping of (technique, approach) to Preference
        Utilities of the options.
    never : mapping of str to Never
        Patients for whom a technique is not chosen, which takes overlap away. What it loses goes to the other
        techniques in proportion; a patient who would be left without any chooses as if there were no rule. It does
        nothing if the choice is randomised.
    hidden_choice : float
        Log odds, per standard deviation of a factor that is recorded nowhere, of choosing a technique of an indication
        instead of the one before it in the contract. It is not multiplied by ``confounding_strength``, and does nothing
        if the choice is randomised.
    hidden_response : float
        Log odds of every outcome at a visit per standard deviation of the same factor, with and without a procedure.
    guidance : mapping of str to mapping
        Shares of image guidance by technique.
    n_sites : int
        Number of sites.
    site_habit_sd, site_case_mix_sd, site_response_sd : float
        Standard deviation between sites of the log odds of choosing an option, of sensitisation, and of the log odds of
        response.
    first_year, last_year : int
        Calendar years of first episodes.
    data_end_year : float
        End of follow-up as a calendar time.
    opioid_drift_per_year, response_drift_per_year : float
        Yearly change of the latent score of opioid use, and of the log odds of response.
    repeat_share : float
        Share of patients with a second episode, a year later.
    state_persistence : float
        Correlation of the specific part of a patient's states between two episodes.
    untreated : {"share", "lower", "upper"}
        Response without the procedure: the share of the record, or an end of its interval.
    control_strength : float
        Strength of predictor effects on the response without the procedure, relative to those with the procedure.
    interactions : float
        Log odds of every outcome added where both columns of a pair lie on the same side of their thresholds, and taken
        away where they do not (:data:`paincast.simulator.defaults.INTERACTIONS`); the evidence tells of none.
    response_persistence : float
        Correlation of an outcome's latent process between a month and twice that month.
    response_30_shift : float
        Difference in log odds between 30 % and 50 % pain relief.
    outcome_links : mapping of str to OutcomeLink
        Associations of the other outcomes with the pain response.
    courses : mapping of str to Knots
        Measured values at visits as functions of the margin of the process.
    consequences : mapping of str to mapping
        Repeat procedures, operations and explants after failure, by technique.
    complication_window_months : float
        Months within which complications occur, uniformly distributed.
    visit_missing_share : float
        Share of visits missed at random.
    loss_share : float
        Share of responders permanently lost to follow-up at each visit.
    loss_mnar : float
        Increase in the log odds of loss for non-responders at the same visit: the loss is not at random.
    missing, missing_at_visits : mapping of str to float
        Share of missing values by column, at baseline and at visits.
    missing_other : float
        The same for baseline columns that are not listed.
    missing_by_site, missing_by_age : float
        Dependence of baseline missingness on observed variables: standard deviation of its log between sites, and
        relative increase per 10 years of age.
    nrs_whole_share : float
        Share of NRS scores at visits that are whole points (or half points, if a whole point would cross a response
        threshold); the others are diary means.
    heaping_crosses : bool
        Whether rounding to whole points may cross a response threshold, which misclassifies the outcome.
    entry_error_share : float
        Share of numbers entered out of range, to be rejected by validation.
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
    never: Mapping[str, Never] = field(default_factory=dict)
    hidden_choice: float = 0.0
    hidden_response: float = 0.0
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
    untreated: str = "share"
    control_strength: float = 0.5
    interactions: float = 0.0
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
