"""Refusals are printed and recorded: of real patients they count nobody of a group of few."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from attack import attack_text

from paincast.cohort.tables import Cohort, conform
from paincast.errors import RefusalError
from paincast.models.class_sizes import require_both_classes
from paincast.outcomes import OUTCOMES
from paincast.settings import OutcomeSettings
from paincast.training_set import make_training_set


def make_cohort(n, strange, basis):
    """Make episodes whose pain before is unknown, some of an indication that the technique is not for."""
    episodes = {
        "episode_id": [f"e{i}" for i in range(n)],
        "patient_id": [f"p{i}" for i in range(n)],
        "technique": ["si_joint_rfa"] * 3 + ["facet_rfa"] * (n - 3),
        "indication": ["sacroiliac_joint"] * (3 + strange) + ["lumbar_facet"] * (n - 3 - strange),
        "pain_nrs": [5.0] * (3 + strange) + [np.nan] * (n - 3 - strange),
    }
    return Cohort(
        episodes=conform("episodes", pd.DataFrame(episodes)),
        visits=conform("visits", pd.DataFrame({"episode_id": ["e1"], "month": [6.0], "pain_nrs": [3.0]})),
        events=conform("events", pd.DataFrame()),
        basis=basis,
    )


@pytest.mark.parametrize("strange", [1, 4, 20])
def test_who_is_not_asked_is_not_counted_where_few(strange):
    cohort = make_cohort(60, strange, "real")
    with pytest.raises(RefusalError) as told:
        make_training_set("facet_rfa", cohort, OUTCOMES["pain_response"], OutcomeSettings())
    assert list(attack_text({"refusal": str(told.value)})) == []
    assert ("57" in str(told.value)) == (strange == 20)
    with pytest.raises(RefusalError, match=f"any of 57 episodes.*{strange} because"):
        make_training_set(
            "facet_rfa", make_cohort(60, strange, "synthetic"), OUTCOMES["pain_response"], OutcomeSettings()
        )


def test_what_a_cohort_holds_is_not_counted_where_few():
    said = make_cohort(60, 0, "real").describe_techniques()
    assert "fewer than 5 of si_joint_rfa" in said
    assert not re.search(r"\b(57|[1-4] of)\b", said)
    assert "3 of si_joint_rfa" in make_cohort(60, 0, "synthetic").describe_techniques()


@pytest.mark.parametrize("events", [1, 4, 38])
def test_a_small_class_is_not_counted(events):
    with pytest.raises(RefusalError) as told:
        require_both_classes(np.repeat([1.0, 0.0], [events, 40 - events]), 8)
    assert list(attack_text({"refusal": str(told.value)})) == []
    assert "fewer than 5" in str(told.value)
