"""Rules on combinations of values: each finds what it names, and nothing in a cohort without faults."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from paincast.cohort.tables import Cohort, conform
from paincast.profiling.combinations import compute_combinations
from paincast.profiling.linked import link_cohort
from paincast.profiling.rules import RULES

FINE: dict[str, Any] = {
    "technique": "facet_rfa",
    "indication": "lumbar_facet",
    "age_years": 60.0,
    "sex": "female",
    "pain_nrs": 8.0,
}
SEEN = {"month": 6.0, "pain_nrs": 3.0}

BROKEN: dict[str, tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]] = {
    "pain_longer_than_life": ({"age_years": 30.0, "pain_duration_months": 400.0}, [], []),
    "bmi_differs_from_height_and_weight": ({"bmi": 25.0, "height_cm": 170.0, "weight_kg": 100.0}, [], []),
    "operations_without_surgery": ({"prior_spine_surgery": False, "spine_operations": 2.0}, [], []),
    "surgery_without_operations": ({"prior_spine_surgery": True, "spine_operations": 0.0}, [], []),
    "failed_back_surgery_without_surgery": (
        {"technique": "spinal_cord_stimulation", "indication": "failed_back_surgery", "prior_spine_surgery": False},
        [],
        [],
    ),
    "technique_does_not_treat_indication": ({"indication": "trigeminal_neuralgia"}, [], []),
    "refractory_to_opioids_not_taken": ({"opioid_refractory_pain": True, "opioid_mme": 0.0}, [], []),
    "steroid_and_dose_disagree": ({"steroid": "no_steroid", "steroid_dose_mg": 40.0}, [], []),
    "test_block_and_relief_disagree": ({"test_block_success": True, "block_relief_percent": 20.0}, [], []),
    "depression_score_without_depression": ({"depression": False, "hads_depression": 15.0}, [], []),
    "anxiety_score_without_anxiety": ({"anxiety": False, "hads_anxiety": 15.0}, [], []),
    "pregnant_man": ({"sex": "male", "pregnant": True}, [], []),
    "child": ({"age_years": 4.0}, [], []),
    "no_pain_before": ({"pain_nrs": 0.0}, [], []),
    "very_much_improved_with_more_pain": ({"pain_nrs": 4.0}, [{"month": 6.0, "pain_nrs": 8.0, "pgic": 1.0}], []),
    "much_worse_with_half_relief": ({}, [{"month": 6.0, "pain_nrs": 1.0, "pgic": 7.0}], []),
    "perfect_health_with_pain": ({}, [{"month": 6.0, "pain_nrs": 7.0, "eq5d_index": 1.0}], []),
    "visit_before_or_on_the_day": ({}, [{"month": 0.0, "pain_nrs": 3.0}], []),
    "seen_after_death": ({}, [SEEN], [{"month": 2.0, "kind": "death"}]),
    "several_deaths": ({}, [], [{"month": 2.0, "kind": "death"}, {"month": 3.0, "kind": "death"}]),
    "explant_without_implant": ({}, [], [{"month": 2.0, "kind": "explant"}]),
    "pain_never_changes": ({}, [{"month": month, "pain_nrs": 8.0} for month in (1.0, 3.0, 6.0)], []),
    "sex_changes": ({"patient_id": "p1", "sex": "male"}, [], []),
    "age_does_not_follow_the_year": ({"patient_id": "p1", "procedure_year": 2020, "age_years": 30.0}, [], []),
    "same_episode_twice": ({"patient_id": "p1", "procedure_year": 2020}, [], []),
}


def make_cohort(episode: dict[str, Any], visits: list[dict[str, Any]], events: list[dict[str, Any]]) -> Cohort:
    """Put one episode beside two without a fault."""
    fine = [{**FINE, "episode_id": f"e{place}", "patient_id": f"p{place}", "procedure_year": 2020} for place in (1, 2)]
    tables = {
        "episodes": pd.DataFrame([{**FINE, "episode_id": "e0", "patient_id": "p0", **episode}, *fine]),
        "visits": pd.DataFrame([{"episode_id": "e0", **row} for row in visits] + [{"episode_id": "e1", **SEEN}]),
        "events": pd.DataFrame([{"episode_id": "e0", **row} for row in events]),
    }
    return Cohort(**{name: conform(name, table) for name, table in tables.items()}, basis="synthetic")


def count_broken(cohort: Cohort) -> dict[str, int]:
    table = compute_combinations(link_cohort(cohort))
    return {row["rule"]: row["count"] for row in table.to_dict("records") if row["count"]}


def test_a_cohort_without_faults_breaks_no_rule() -> None:
    assert count_broken(make_cohort({}, [SEEN], [])) == {}


def test_every_rule_is_tried() -> None:
    assert set(BROKEN) == {rule.name for rule in RULES}


@pytest.mark.parametrize("name", BROKEN)
def test_a_fault_breaks_its_rule(name: str) -> None:
    of_patient = name in ("sex_changes", "age_does_not_follow_the_year", "same_episode_twice")
    found = count_broken(make_cohort(*BROKEN[name]))
    assert found == {name: 2 if of_patient else 1}


def test_a_rule_without_its_columns_is_not_judged() -> None:
    table = compute_combinations(link_cohort(make_cohort({}, [], []))).set_index("rule")
    assert table.loc["bmi_differs_from_height_and_weight", "n"] == 0
    assert table.loc["child", "n"] == 3
