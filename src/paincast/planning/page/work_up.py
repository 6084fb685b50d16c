"""How a missing fact is found out: a question, an examination, a blood test, a picture, a test shot or trial."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from paincast.planning.contents import Step, WorkUp
from paincast.planning.evidence_parts import STEPS
from paincast.planning.page.catalogue import Words
from paincast.planning.page.naming import name_column

QUESTION = "question"

WAYS: Mapping[str, tuple[str, ...]] = {
    QUESTION: (),
    "judged": ("life_expectancy_months",),
    "examination": (
        *("sensory_deficit", "paraspinal_tenderness", "facet_loading_pain", "brush_allodynia", "joint_effusion"),
        *("bmi", "height_cm", "weight_kg", "systolic_blood_pressure_mmhg", "peripheral_artery_disease"),
    ),
    "blood": ("inr", "platelets_10e9_per_l", "egfr_ml_min_1_73m2"),
    "picture": (
        *("scoliosis", "disc_herniation", "low_grade_root_compression", "severe_central_stenosis", "synovitis"),
        *("kellgren_lawrence", "bone_marrow_lesion", "sindou_grade", "vascular_variant", "nerve_variant"),
        *("tumour_site", "plexus_invasion", "celiac_ganglia_visible", "distant_metastasis"),
    ),
    "block": tuple(name for name, kind in STEPS.items() if kind == "block"),
    "trial": tuple(name for name, kind in STEPS.items() if kind == "trial"),
}
"""Columns by the way in which they are found out; what is not named is asked."""


def find_way(column: str) -> str:
    """Find the way in which a fact is found out.

    Examples
    --------
    >>> find_way("inr"), find_way("kellgren_lawrence"), find_way("diabetes")
    ('blood', 'picture', 'question')
    """
    return next((way for way, columns in WAYS.items() if column in columns), QUESTION)


def list_missing(work_up: Iterable[WorkUp], words: Words) -> list[tuple[str, list[str]]]:
    """List missing facts under the way in which each is found out."""
    by_way: dict[str, dict[str, None]] = {way: {} for way in WAYS}
    for item in work_up:
        by_way[find_way(item.column)][name_column(item.column, words)] = None
    return [(words.write("ways", way), list(names)) for way, names in by_way.items() if names]


def write_steps(steps: Sequence[Step], words: Words) -> list[str]:
    """Write what comes first, once for each kind of step."""
    done = {step.kind for step in steps if step.is_known}
    return [
        words.write("steps", kind, "done" if kind in done else "todo")
        for kind in dict.fromkeys(step.kind for step in steps)
    ]
