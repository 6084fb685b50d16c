from __future__ import annotations

from datetime import date

import pytest

from paincast.planning import Plan, plan
from paincast.planning.page.writing import write_plan_page
from paincast.schema import INDICATIONS

TODAY = date(2026, 12, 1)
DISC = {
    "indication": "lumbar_radicular_disc",
    "age_years": 57,
    "sex": "female",
    "pain_nrs": 7,
    "pain_duration_months": 5,
    "active_infection": False,
    "anticoagulant": True,
    "diabetes": True,
    "opioid_mme": 20,
}
"""A patient who does not exist."""

PATIENTS = {
    "disc": DISC,
    "after surgery": {"indication": "failed_back_surgery", "age_years": 61, "active_infection": False},
    "cancer": {"indication": "pancreatic_cancer", "active_infection": False},
    "infection": {"indication": "knee_osteoarthritis", "age_years": 70, "active_infection": True},
    "contradiction": {"indication": "knee_osteoarthritis", "sex": "male", "pregnant": True, "agee": 3},
    "nothing": {"age_years": 70},
    **{name: {"indication": name} for name in INDICATIONS},
}


@pytest.fixture(scope="session")
def plans() -> dict[str, Plan]:
    return {name: plan(patient) for name, patient in PATIENTS.items()}


@pytest.fixture(scope="session")
def pages(plans: dict[str, Plan]) -> dict[str, str]:
    return {name: write_plan_page(made, PATIENTS[name], today=TODAY) for name, made in plans.items()}
