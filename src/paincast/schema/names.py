"""Names of the contract: techniques, comparators, indications and kinds of event."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TECHNIQUES = (
    "epidural_steroid_injection",
    "nerve_root_block",
    "facet_joint_injection",
    "joint_injection",
    "facet_rfa",
    "si_joint_rfa",
    "genicular_rfa",
    "spinal_cord_stimulation",
    "celiac_plexus_neurolysis",
    "hypogastric_plexus_neurolysis",
    "trigeminal_rhizotomy",
    "genicular_artery_embolization",
    "bariatric_embolization",
    "basivertebral_nerve_ablation",
    "vertebral_augmentation",
)
"""Techniques, each with a response model but ``bariatric_embolization`` and ``vertebral_augmentation``: these are
refused, because no study that was read counts half relief of pain after them."""

MINIMUM_CELL = 5
"""Minimum number of patients in a table cell, a group or a mark in a figure."""

NO_PROCEDURE = "no_procedure"

COMPARATORS = (NO_PROCEDURE, "usual_care", "placebo_injection", "psychological_therapy", "surgery")
"""Comparators that an episode may have instead of a technique; there is no response model for these."""

INDICATIONS = (
    "lumbar_radicular_disc",
    "lumbar_stenosis",
    "other_radicular",
    "lumbar_facet",
    "sacroiliac_joint",
    "failed_back_surgery",
    "chronic_low_back_pain",
    "crps",
    "other_neuropathic",
    "pancreatic_cancer",
    "pelvic_cancer",
    "knee_osteoarthritis",
    "hip_osteoarthritis",
    "trigeminal_neuralgia",
    "upper_abdominal_cancer",
    "chronic_pancreatitis",
    "chronic_pelvic_pain",
    "vertebrogenic_low_back_pain",
    "vertebral_fracture",
    "cancer_pain",
    "other_joint",
)

IMPLIED_FACTS: Mapping[str, Mapping[str, bool]] = MappingProxyType(
    {"failed_back_surgery": MappingProxyType({"prior_spine_surgery": True})}
)
"""Facts that an indication implies by what it is, by column: rules take them as known, and nobody is asked for them."""

EVENT_KINDS = ("complication", "repeat_procedure", "explant", "surgery", "death")

RESEARCH_MARK = "research use only"
"""Label in runs, versions, reports and predictions for models trained only on simulated patients."""
