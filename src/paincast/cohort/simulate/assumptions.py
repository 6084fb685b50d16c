"""Every figure of the simulator that no source supports, named in one place, so that sensitivity to it can be run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from paincast.evidence.figures import Baseline

FACTORS = ("sensitisation", "distress", "poor_health")


def _assumed(**figures: float) -> Baseline:
    return Baseline(source="", tag="ASSUMED", **figures)  # type: ignore[arg-type]


LOADINGS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "age_years": (0.0, 0.0, 0.40),
        "sex": (0.15, 0.10, 0.0),
        "bmi": (0.0, 0.10, 0.30),
        "smoker": (0.05, 0.25, 0.0),
        "diabetes": (0.0, 0.0, 0.50),
        "cardiovascular_disease": (0.0, 0.0, 0.60),
        "anticoagulant": (0.0, 0.0, 0.50),
        "contrast_allergy": (0.0, 0.0, 0.0),
        "cardiac_device": (0.0, 0.0, 0.40),
        "work_status": (0.20, 0.30, 0.20),
        "compensation_claim": (0.0, 0.30, 0.0),
        "pain_nrs": (0.50, 0.20, 0.0),
        "pain_duration_months": (0.30, 0.10, 0.05),
        "odi": (0.45, 0.30, 0.20),
        "eq5d_index": (-0.40, -0.35, -0.30),
        "opioid_use": (0.35, 0.20, 0.0),
        "opioid_dose": (0.35, 0.15, 0.0),
        "depression": (0.15, 0.65, 0.05),
        "anxiety": (0.10, 0.65, 0.0),
        "catastrophizing_pcs": (0.35, 0.55, 0.0),
        "prior_spine_surgery": (0.15, 0.0, 0.10),
        "prior_procedure": (0.15, 0.05, 0.05),
        "radicular_pattern": (-0.10, 0.0, 0.0),
        "neuropathic_drug_response": (-0.15, -0.10, 0.0),
        "paraspinal_tenderness": (0.10, 0.0, 0.0),
        "brush_allodynia": (0.45, 0.0, 0.0),
        "treated_levels": (0.10, 0.0, 0.25),
        "diagnostic_blocks_positive": (-0.15, -0.10, 0.0),
        "block_relief_percent": (-0.15, -0.15, 0.0),
        "stimulation_trial_success": (-0.15, -0.20, 0.0),
    }
)
"""Loading of each quantity on the factors; the rest of its unit variance is its own."""

STATES = frozenset(
    {
        "pain_nrs",
        "odi",
        "eq5d_index",
        "opioid_use",
        "opioid_dose",
        "catastrophizing_pcs",
        "treated_levels",
        "diagnostic_blocks_positive",
        "block_relief_percent",
        "stimulation_trial_success",
    }
)
"""Quantities that change between two episodes of a patient; all others stay."""

BASELINE: Mapping[str, Baseline] = MappingProxyType(
    {
        "bmi": _assumed(mean=27.5, sd=5.5),
        "smoker": _assumed(share=0.22),
        "diabetes": _assumed(share=0.15),
        "cardiovascular_disease": _assumed(share=0.22),
        "anticoagulant": _assumed(share=0.12),
        "contrast_allergy": _assumed(share=0.03),
        "cardiac_device": _assumed(share=0.02),
        "work_status": _assumed(share=0.65),
        "compensation_claim": _assumed(share=0.05),
        "odi": _assumed(mean=42.0, sd=15.0),
        "eq5d_index": _assumed(mean=0.55, sd=0.20),
        "depression": _assumed(share=0.30),
        "anxiety": _assumed(share=0.28),
        "catastrophizing_pcs": _assumed(mean=20.0, sd=11.0),
        "prior_procedure": _assumed(share=0.25),
    }
)
"""Distributions used where no record of an indication gives one."""

REFERRALS: Mapping[str, float] = MappingProxyType(
    {
        "lumbar_radicular_disc": 0.30,
        "lumbar_stenosis": 0.22,
        "other_radicular": 0.04,
        "failed_back_surgery": 0.10,
        "lumbar_facet": 0.15,
        "sacroiliac_joint": 0.08,
        "crps": 0.04,
        "pancreatic_cancer": 0.03,
    }
)
"""How often each indication is referred, relative to the others; it sets the case mix of a technique."""


@dataclass(frozen=True, kw_only=True)
class Preference:
    """How strongly a technique (by an approach) is preferred: the terms of its utility.

    Parameters
    ----------
    popularity : float
        Share of use, relative to the alternatives, for a patient of 60 years with pain 7 and without opioids.
    pain, age, prior_surgery, opioids : float
        Change of the log odds of choice per NRS point, per 10 years, after an operation on the spine, and for users
        of opioids.
    """

    popularity: float = 0.3
    pain: float = 0.0
    age: float = 0.0
    prior_surgery: float = 0.0
    opioids: float = 0.0


PREFERENCES: Mapping[tuple[str, str | None], Preference] = MappingProxyType(
    {
        ("epidural_steroid_injection", "transforaminal"): Preference(popularity=0.45, pain=0.20, age=-0.10),
        ("epidural_steroid_injection", "interlaminar"): Preference(popularity=0.35, pain=-0.10, prior_surgery=-0.5),
        ("epidural_steroid_injection", "caudal"): Preference(popularity=0.20, pain=-0.05, age=0.15, prior_surgery=0.8),
        ("spinal_cord_stimulation", None): Preference(
            popularity=0.40, pain=0.35, age=-0.20, prior_surgery=0.8, opioids=0.8
        ),
    }
)
"""Preference of each option; one that is not named has the default."""

MISSING: Mapping[str, float] = MappingProxyType(
    {
        "bmi": 0.05,
        "smoker": 0.04,
        "work_status": 0.06,
        "compensation_claim": 0.05,
        "pain_nrs": 0.01,
        "pain_duration_months": 0.04,
        "odi": 0.10,
        "eq5d_index": 0.15,
        "opioid_mme": 0.04,
        "depression": 0.06,
        "anxiety": 0.08,
        "catastrophizing_pcs": 0.20,
        "radicular_pattern": 0.05,
        "neuropathic_drug_response": 0.10,
        "paraspinal_tenderness": 0.08,
        "brush_allodynia": 0.10,
        "block_relief_percent": 0.08,
    }
)
"""Share of values that a registry lacks, completely at random."""


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """Settings of the simulator without a source; defaults are judgements.

    Parameters
    ----------
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
    preferences : mapping of (technique, approach) to Preference
        Utilities of the choice.
    n_sites : int
        Number of sites.
    site_habit_sd, site_case_mix_sd, site_response_sd : float
        Spread between sites: of the log odds of choosing an option, of sensitisation, of the log odds of response.
    first_year, last_year : int
        Calendar years of first episodes.
    data_end_year : float
        Follow-up after this time is not there yet.
    opioid_drift_per_year : float
        Yearly change of the latent tendency to take opioids.
    repeat_share : float
        Share of patients with a second episode, a year later.
    state_persistence : float
        Correlation of what is particular to a patient's state between two episodes.
    control_strength : float
        How strongly predictors act on the response without the procedure, relative to their effect with it. The
        control response is the same at each month.
    response_persistence : float
        Correlation of the process behind response between a month and twice that month.
    non_responder_spread : float
        1 spreads the pain of non-responders evenly from just above half of the value before to one point above it;
        below 1 it lies nearer to the value before.
    visit_missing_share : float
        Share of visits that do not take place, at random.
    loss_log_odds, loss_log_odds_non_responder : float
        Log odds to be lost at a visit for good, and what is added when the patient does not respond at that visit.
    missing : mapping of str to float
        Share of missing values by column.
    reference_size, reference_seed : int
        Size and seed of the population on which intercepts are solved; sites are drawn with the same seed.
    """

    factor_correlations: tuple[float, float, float] = (0.40, 0.20, 0.20)
    loadings: Mapping[str, tuple[float, float, float]] = field(default_factory=lambda: LOADINGS)
    baseline: Mapping[str, Baseline] = field(default_factory=lambda: BASELINE)
    retirement_age_years: float = 64.0
    referrals: Mapping[str, float] = field(default_factory=lambda: REFERRALS)
    preferences: Mapping[tuple[str, str | None], Preference] = field(default_factory=lambda: PREFERENCES)
    n_sites: int = 12
    site_habit_sd: float = 0.5
    site_case_mix_sd: float = 0.2
    site_response_sd: float = 0.15
    first_year: int = 2014
    last_year: int = 2024
    data_end_year: float = 2026.0
    opioid_drift_per_year: float = -0.03
    repeat_share: float = 0.10
    state_persistence: float = 0.6
    control_strength: float = 0.5
    response_persistence: float = 0.80
    non_responder_spread: float = 1.0
    visit_missing_share: float = 0.05
    loss_log_odds: float = -3.2
    loss_log_odds_non_responder: float = 0.7
    missing: Mapping[str, float] = field(default_factory=lambda: MISSING)
    reference_size: int = 30_000
    reference_seed: int = 5_511
