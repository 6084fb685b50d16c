"""Default values of the simulator's settings that have no published source, for use in sensitivity analyses."""

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
        "regular_exercise": (-0.15, -0.25, -0.20),
        "psychological_yellow_flags": (0.20, 0.60, 0.0),
        "pain_nrs": (0.50, 0.20, 0.0),
        "pain_duration_months": (0.30, 0.10, 0.05),
        "odi": (0.45, 0.30, 0.20),
        "womac": (0.45, 0.25, 0.20),
        "eq5d_index": (-0.40, -0.35, -0.30),
        "opioid_use": (0.35, 0.20, 0.0),
        "opioid_dose": (0.35, 0.15, 0.0),
        "analgesic_doses_per_week": (0.35, 0.15, 0.05),
        "depression": (0.15, 0.65, 0.05),
        "anxiety": (0.10, 0.65, 0.0),
        "catastrophizing_pcs": (0.35, 0.55, 0.0),
        "hads_anxiety": (0.10, 0.65, 0.0),
        "hads_depression": (0.15, 0.65, 0.05),
        "prior_spine_surgery": (0.15, 0.0, 0.10),
        "spine_operations": (0.20, 0.05, 0.10),
        "prior_procedure": (0.15, 0.05, 0.05),
        "radicular_pattern": (-0.10, 0.0, 0.0),
        "neuropathic_drug_response": (-0.15, -0.10, 0.0),
        "paraspinal_tenderness": (0.10, 0.0, 0.0),
        "facet_loading_pain": (0.10, 0.0, 0.0),
        "brush_allodynia": (0.45, 0.0, 0.0),
        "severe_central_stenosis": (0.0, 0.0, 0.15),
        "scoliosis": (0.0, 0.0, 0.10),
        "kellgren_lawrence": (0.10, 0.0, 0.20),
        "opioid_refractory_pain": (0.35, 0.10, 0.10),
        "somatic_component": (0.20, 0.0, 0.0),
        "treated_levels": (0.10, 0.0, 0.25),
        "diagnostic_blocks_positive": (-0.15, -0.10, 0.0),
        "block_relief_percent": (-0.15, -0.15, 0.0),
        "test_block_success": (-0.15, -0.10, 0.0),
        "stimulation_trial_success": (-0.15, -0.20, 0.0),
    }
)
"""Loading of each quantity on the factors; the rest of its unit variance is specific. Others have no loadings."""

STATES = frozenset(
    {
        "pain_nrs",
        "odi",
        "womac",
        "eq5d_index",
        "opioid_use",
        "opioid_dose",
        "analgesic_doses_per_week",
        "catastrophizing_pcs",
        "hads_anxiety",
        "hads_depression",
        "treated_levels",
        "diagnostic_blocks_positive",
        "block_relief_percent",
        "test_block_success",
        "stimulation_trial_success",
        "opioid_refractory_pain",
        "joint_effusion",
        "synovitis",
        "failed_first_block",
        "stimulation_waveform",
        "rf_mode",
        "steroid",
        "neurolytic_volume_ml",
        "lesion_temperature_c",
    }
)
"""Quantities that change between two episodes of a patient; all others are constant."""

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
        "pain_nrs": _assumed(mean=6.8, sd=1.6),
        "pain_duration_months": _assumed(median=24.0, log_sd=1.0),
        "opioid_mme": _assumed(median=25.0, log_sd=0.8, share=0.30),
        "odi": _assumed(mean=42.0, sd=15.0),
        "eq5d_index": _assumed(mean=0.55, sd=0.20),
        "depression": _assumed(share=0.30),
        "anxiety": _assumed(share=0.28),
        "catastrophizing_pcs": _assumed(mean=20.0, sd=11.0),
        "prior_procedure": _assumed(share=0.25),
    }
)
"""Distributions of columns for which no record of an indication gives a distribution."""

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
        "pelvic_cancer": 0.02,
        "knee_osteoarthritis": 0.20,
        "hip_osteoarthritis": 0.08,
        "trigeminal_neuralgia": 0.03,
        "chronic_low_back_pain": 0.10,
        "other_neuropathic": 0.03,
        "upper_abdominal_cancer": 0.01,
        "vertebrogenic_low_back_pain": 0.02,
    }
)
"""Relative referral frequency of each indication, which determines the case mix of a technique."""

PASS_SHARES: Mapping[str, float] = MappingProxyType(
    {
        "stimulation_trial_success": 0.79,
        "diagnostic_blocks_positive": 0.45,
        "test_block_success": 0.85,
        "block_relief_percent": 0.60,
    }
)
"""Share of referred patients selected for treatment after a trial or block, by the column of its result, if no record
gives it."""

INTERACTIONS = ((("age_years", 58.0), ("bmi", 29.0)), (("pain_nrs", 7.0), ("catastrophizing_pcs", 20.0)))
"""Pairs of columns with thresholds near their medians, which act together if ``interactions`` says so."""

SELECTION_SLOPE = 1.0
"""Probit slope of the selection probability on the normal score of the result."""


@dataclass(frozen=True, kw_only=True)
class Preference:
    """Preference for a technique and approach: the terms of its utility.

    Parameters
    ----------
    popularity : float
        Share of use, relative to the alternatives, for a patient with all columns at their centers.
    terms : mapping of str to float
        Change in the log odds of choice by baseline column: per unit above its center (``CENTERS``), or if a yes/no
        column is true; for ``opioid_mme``, for opioid users.
    """

    popularity: float = 0.3
    terms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Never:
    """Patients for whom a technique is never chosen, or hardly ever.

    Parameters
    ----------
    column : str
        Baseline column, a number or yes/no (1 and 0).
    at_least, below : float, optional
        Ends of the range of its values in which the technique is not chosen; open where not given.
    odds_factor : float
        Factor, below 1, of the technique's odds against the others in that range: 0.05 leaves it to about one in twenty
        of those who would have had it.
    """

    column: str
    at_least: float | None = None
    below: float | None = None
    odds_factor: float = 0.0


CENTERS: Mapping[str, float] = MappingProxyType({"pain_nrs": 7.0, "age_years": 60.0, "odi": 40.0})
"""Values at which the term of a numeric column is 0; 0 for other columns."""

PREFERENCES: Mapping[tuple[str, str | None], Preference] = MappingProxyType(
    {
        ("epidural_steroid_injection", "transforaminal"): Preference(
            popularity=0.45, terms={"pain_nrs": 0.20, "age_years": -0.01, "radicular_pattern": 0.5}
        ),
        ("epidural_steroid_injection", "interlaminar"): Preference(
            popularity=0.35, terms={"pain_nrs": -0.10, "prior_spine_surgery": -0.5}
        ),
        ("epidural_steroid_injection", "caudal"): Preference(
            popularity=0.20, terms={"pain_nrs": -0.05, "age_years": 0.015, "prior_spine_surgery": 0.8}
        ),
        ("nerve_root_block", None): Preference(
            popularity=0.25,
            terms={"pain_nrs": 0.15, "radicular_pattern": 0.3, "prior_spine_surgery": 0.7, "opioid_mme": 0.3},
        ),
        ("facet_joint_injection", None): Preference(popularity=0.50, terms={"pain_nrs": -0.15, "opioid_mme": -0.2}),
        ("facet_rfa", None): Preference(
            popularity=0.50, terms={"pain_nrs": 0.15, "age_years": 0.005, "opioid_mme": 0.3, "depression": -0.4}
        ),
        ("joint_injection", None): Preference(popularity=0.50, terms={"pain_nrs": -0.15, "age_years": 0.005}),
        ("si_joint_rfa", None): Preference(popularity=0.40, terms={"pain_nrs": 0.15, "opioid_mme": 0.3}),
        ("genicular_rfa", None): Preference(popularity=0.25, terms={"pain_nrs": 0.15, "opioid_mme": 0.4}),
        ("genicular_artery_embolization", None): Preference(
            popularity=0.25, terms={"pain_nrs": 0.10, "age_years": -0.01, "kellgren_lawrence": -0.4, "bmi": 0.02}
        ),
        ("spinal_cord_stimulation", None): Preference(
            popularity=0.40,
            terms={
                "pain_nrs": 0.35,
                "age_years": -0.02,
                "opioid_mme": 0.4,
                "depression": -0.8,
                "prior_spine_surgery": 0.8,
            },
        ),
    }
)
"""Preference for each option; others have the default."""


@dataclass(frozen=True, kw_only=True)
class OutcomeLink:
    """Association of an outcome with the pain response.

    Parameters
    ----------
    shift : float
        Difference in the log odds of the marginal share from the pain response at the same month.
    strength : float
        Predictor effects relative to those on the pain response.
    correlation : float
        Correlation of its latent process with that of the pain response.
    """

    shift: float
    strength: float
    correlation: float


OUTCOME_LINKS: Mapping[str, OutcomeLink] = MappingProxyType(
    {
        "function_response": OutcomeLink(shift=-0.30, strength=0.8, correlation=0.60),
        "quality_of_life_gain": OutcomeLink(shift=-0.20, strength=0.7, correlation=0.50),
        "opioid_reduction": OutcomeLink(shift=-0.90, strength=0.6, correlation=0.40),
        "satisfaction": OutcomeLink(shift=0.10, strength=0.9, correlation=0.70),
    }
)
"""Outcomes other than pain; the correlations are those of the latent processes, not of the recorded values."""

Knots = tuple[tuple[float, ...], tuple[float, ...]]

COURSES: Mapping[str, Knots] = MappingProxyType(
    {
        "pain_relief": ((-5.0, -1.8, -0.7, 0.0, 1.3, 3.5), (-0.35, 0.0, 0.30, 0.50, 0.75, 1.0)),
        "odi_change": ((-6.0, -1.0, 0.0, 3.0), (22.0, 6.0, 0.0, -36.0)),
        "eq5d_change": ((-6.0, -1.0, 0.0, 3.0), (-0.25, -0.06, 0.0, 0.45)),
        "opioid_dose_factor": ((-6.0, -1.0, 0.0, 1.0, 3.0, 5.0), (1.6, 1.0, 0.7, 0.45, 0.15, 0.0)),
        "pgic": ((-3.8, -2.8, -1.8, -0.8, 0.0, 1.2), (7.0, 6.0, 5.0, 4.0, 3.0, 2.0)),
    }
)
"""Measured value at a visit as a function of the margin of the process: the distance, in log odds, from the threshold
of the outcome (above 0 the outcome is reached). Relief is a share of the baseline pain; changes of ODI and EQ-5D are
relative to the value that just counts as the outcome; the dose is a factor of the baseline dose; PGIC is the grade
below each margin. The knots were chosen so that mean changes of NRS and ODI are close to those of the records:
transforaminal injection for a disc herniation at 3 months -2.8 and -10 points (-2.6 and -13)."""


@dataclass(frozen=True, kw_only=True)
class Consequence:
    """An event after treatment failure: its share of all treated patients, and the month whose response decides."""

    share: float
    month: float


CONSEQUENCES: Mapping[str, Mapping[str, Consequence]] = MappingProxyType(
    {
        "": {"repeat_procedure": Consequence(share=0.12, month=12.0), "surgery": Consequence(share=0.04, month=24.0)},
        "spinal_cord_stimulation": {
            "explant": Consequence(share=0.10, month=24.0),
            "surgery": Consequence(share=0.08, month=24.0),
        },
        "celiac_plexus_neurolysis": {"repeat_procedure": Consequence(share=0.10, month=3.0)},
        "hypogastric_plexus_neurolysis": {"repeat_procedure": Consequence(share=0.10, month=3.0)},
        "genicular_artery_embolization": {
            "repeat_procedure": Consequence(share=0.083, month=24.0),
            "surgery": Consequence(share=0.052, month=24.0),
        },
    }
)
"""Events after failure by technique; the entry with the empty name applies to all others."""

MISSING: Mapping[str, float] = MappingProxyType(
    {
        "age_years": 0.0,
        "sex": 0.0,
        "diabetes": 0.02,
        "cardiovascular_disease": 0.02,
        "anticoagulant": 0.0,
        "active_infection": 0.0,
        "pregnant": 0.0,
        "contrast_allergy": 0.0,
        "cardiac_device": 0.0,
        "prior_spine_surgery": 0.0,
        "prior_procedure": 0.0,
        "treated_levels": 0.0,
        "diagnostic_blocks_positive": 0.0,
        "stimulation_trial_success": 0.0,
        "stimulation_waveform": 0.0,
        "rf_mode": 0.0,
        "steroid": 0.0,
        "neurolytic_volume_ml": 0.0,
        "lesion_temperature_c": 0.0,
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
"""Share of missing baseline values, by column."""

MISSING_AT_VISITS: Mapping[str, float] = MappingProxyType(
    {"pain_nrs": 0.02, "odi": 0.12, "womac": 0.12, "eq5d_index": 0.15, "opioid_mme": 0.08, "pgic": 0.15}
)
"""Share of missing values at attended visits, by column."""

GUIDANCE: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "": {"fluoroscopy": 0.75, "ct": 0.20, "ultrasound": 0.05},
        "joint_injection": {"fluoroscopy": 0.30, "ct": 0.02, "ultrasound": 0.68},
        "celiac_plexus_neurolysis": {"fluoroscopy": 0.30, "ct": 0.70},
        "hypogastric_plexus_neurolysis": {"fluoroscopy": 0.70, "ct": 0.30},
        "spinal_cord_stimulation": {"fluoroscopy": 1.0},
        "genicular_artery_embolization": {"fluoroscopy": 1.0},
    }
)
"""Share of each kind of image guidance by technique; guidance has no effect on response."""
