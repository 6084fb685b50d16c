"""A gap is refused in words wherever an answer is asked for."""

from __future__ import annotations

import pandas as pd
import pytest

from paincast.eligibility import check_indication
from paincast.errors import RefusalError
from paincast.evidence import gaps_of, indications_of, load_records, simulated_techniques
from paincast.evidence.rules import TechniqueRules, collect_rules
from paincast.simulator import simulate_cohort


@pytest.mark.parametrize(
    ("technique", "why"),
    [("bariatric_embolization", "no clinical study"), ("vertebral_augmentation", "its trials report mean pain")],
)
def test_simulating_a_gap_is_refused(technique: str, why: str) -> None:
    with pytest.raises(RefusalError, match=rf"{technique} is refused: {why}"):
        simulate_cohort(techniques=[technique], episodes_per_technique=10)


def test_nobody_is_simulated_in_the_gap_of_a_technique() -> None:
    gaps = {(record.technique, record.indication) for record in load_records() if record.gap and record.indication}
    techniques = sorted({technique for technique, _ in gaps} & set(simulated_techniques()))
    assert (len(gaps), len(techniques)) == (6, 5)
    cohort, _ = simulate_cohort(techniques=techniques, episodes_per_technique=60, seed=1)
    drawn = cohort.episodes[["technique", "indication"]].drop_duplicates().itertuples(index=False, name=None)
    assert not gaps & set(drawn)


def test_a_patient_in_a_gap_is_told_why() -> None:
    rules = collect_rules("celiac_plexus_neurolysis", "pain_response")
    asked = pd.DataFrame(
        {
            "indication": pd.Series(
                ["pancreatic_cancer", "chronic_pancreatitis", "hip_osteoarthritis", None], dtype="str"
            )
        }
    )
    said = check_indication(rules, asked).tolist()
    assert said[0] == ""
    assert (
        said[1]
        == f"no evidence for chronic_pancreatitis: {gaps_of('celiac_plexus_neurolysis')['chronic_pancreatitis']}"
    )
    treated = ", ".join(indications_of("celiac_plexus_neurolysis"))
    assert said[2] == f"the indication is not one this technique treats ({treated})"
    assert said[3] == "the indication is missing; it is required"


def test_rules_of_an_older_bundle_know_no_gap() -> None:
    said = check_indication(TechniqueRules(indications=("crps",)), pd.DataFrame({"indication": ["other_neuropathic"]}))
    assert "not one this technique treats (crps)" in said[0]
