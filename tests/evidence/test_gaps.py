"""A gap is refused in words wherever an answer is asked for."""

from __future__ import annotations

import pandas as pd
import pytest

from paincast.eligibility import check_indication
from paincast.errors import RefusalError
from paincast.evidence.rules import TechniqueRules, collect_rules
from paincast.simulator import simulate_cohort


def test_simulating_a_gap_is_refused() -> None:
    with pytest.raises(RefusalError, match=r"bariatric_embolization is refused: no clinical study"):
        simulate_cohort(techniques=["bariatric_embolization"], episodes_per_technique=10)


def test_a_patient_in_a_gap_is_told_why() -> None:
    rules = collect_rules("spinal_cord_stimulation", "pain_response")
    asked = pd.DataFrame(
        {"indication": pd.Series(["crps", "other_neuropathic", "hip_osteoarthritis", None], dtype="str")}
    )
    said = check_indication(rules, asked).tolist()
    assert said[0] == ""
    assert said[1].startswith("no evidence for other_neuropathic: no source gives a response rate")
    assert said[2] == "the indication is not one this technique treats (crps, failed_back_surgery)"
    assert said[3] == "the indication is missing; it is required"


def test_rules_of_an_older_bundle_know_no_gap() -> None:
    said = check_indication(TechniqueRules(indications=("crps",)), pd.DataFrame({"indication": ["other_neuropathic"]}))
    assert "not one this technique treats (crps)" in said[0]
