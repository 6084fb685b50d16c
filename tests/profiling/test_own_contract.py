"""Columns, techniques and outcomes that a registry declares are profiled like the built-in ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.tables import Cohort, conform
from paincast.contract import load_contract
from paincast.profiling import Profile, compute_profile
from paincast.reporting.profile.page import write_profile

CONTRACT = """
contract: 1
name: spine clinic
instruments:
  zcq_function:
    title: Zurich Claudication Questionnaire, physical function
    range: [1, 4]
    direction: higher is worse
    responder: {absolute: 0.5, source: "Stucki 1996, 10.1097/00007632-199604010-00004"}
predictors:
  crp_mg_l: {type: number, unit: mg/L, range: [0, 500], known: before, label: CRP}
  modic_type: {type: category, values: [none, i, ii], known: before, label: Modic changes}
techniques:
  intradiscal_prp: {title: Platelet-rich plasma into the disc, evidence: none, month: 6}
indications:
  discogenic_pain: {title: Discogenic low back pain, icd10: [M51.26]}
outcomes:
  walking_improved: {from: zcq_function, at_month: 12, window: [9, 15]}
"""
N = 60


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    path = tmp_path_factory.mktemp("own") / "contract.yaml"
    path.write_text(CONTRACT)
    contract = load_contract(path)
    names = [f"e{place}" for place in range(N)]
    episodes = pd.DataFrame(
        {
            "episode_id": names,
            "patient_id": names,
            "technique": "intradiscal_prp",
            "indication": "discogenic_pain",
            "procedure_year": np.repeat([2020, 2021], N // 2),
            "pain_nrs": 8.0,
            "zcq_function": 3.0,
            "crp_mg_l": [None] * 15 + [2.0] * 15 + [6.0] * 30,
            "modic_type": ["none", "i", "ii"] * (N // 3),
        }
    )
    six = pd.DataFrame({"episode_id": names, "month": 6.0, "pain_nrs": [3.0] * 20 + [7.0] * 40})
    twelve = pd.DataFrame({"episode_id": names, "month": 12.0, "zcq_function": [2.0] * 24 + [3.0] * 36})
    tables = {"episodes": episodes, "visits": pd.concat([six, twelve]), "events": pd.DataFrame()}
    conformed = {name: conform(name, table, contract) for name, table in tables.items()}
    return Cohort(**conformed, basis="real", contract=contract)


@pytest.fixture(scope="module")
def profile(cohort: Cohort) -> Profile:
    return compute_profile(cohort)


def test_own_columns_are_counted(profile: Profile) -> None:
    missing = profile.tables["missing"].set_index("column")
    assert missing.loc["crp_mg_l", ["n", "count"]].tolist() == [60, 15]
    mix = profile.tables["case_mix"].set_index(["variable", "year"])
    assert mix.loc[("crp_mg_l", "2021"), "mean"] == 6.0
    assert ("modic_type: ii", "2020") in mix.index


def test_an_own_technique_has_its_month_and_no_evidence(profile: Profile) -> None:
    assert profile.months == {"intradiscal_prp": 6.0}
    expected = profile.tables["expected"].iloc[0]
    assert expected["count"] == 20
    assert np.isnan(expected["expected"])
    assert "one's own" in expected["because"]


def test_an_own_outcome_is_assessed_at_its_own_month(profile: Profile) -> None:
    outcome = profile.tables["outcomes"].set_index("outcome").loc["walking_improved"]
    assert outcome[["month", "n", "count", "instruments"]].tolist() == [12.0, 60, 25, "zcq_function"]


def test_own_names_stand_on_the_page(cohort: Cohort, profile: Profile) -> None:
    page = write_profile(profile, cohort, "ours")
    assert ">CRP<" in page
    assert "walking improved" in page
