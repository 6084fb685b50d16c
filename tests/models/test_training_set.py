"""The rows one model is trained on: who is counted in, who is left out, and what is said when nobody answers."""

from __future__ import annotations

import pandas as pd
import pytest

from paincast.cohort.tables import Cohort, conform
from paincast.errors import RefusalError
from paincast.settings import OutcomeSettings
from paincast.training_set import make_training_set


@pytest.fixture
def cohort() -> Cohort:
    """Six ablations: five with pain before, four with a visit at six months, three of those with at least half gone."""
    episodes = pd.DataFrame(
        {
            "episode_id": list("abcdef"),
            "patient_id": ["p", "p", "q", "r", "s", "t"],
            "technique": "facet_rfa",
            "indication": "lumbar_facet",
            "pain_nrs": [8.0, 8.0, 8.0, 8.0, 8.0, None],
        }
    )
    visits = pd.DataFrame(
        {"episode_id": list("abcdf"), "month": [6.0, 5.0, 6.0, 7.0, 6.0], "pain_nrs": [4.0, 2.0, 5.0, 0.0, 1.0]}
    )
    return Cohort(
        episodes=conform("episodes", episodes),
        visits=conform("visits", visits),
        events=conform("events", pd.DataFrame()),
        basis="real",
    )


def test_everyone_is_counted_in_or_out(cohort):
    data = make_training_set("facet_rfa", cohort, OutcomeSettings())
    assert data.horizon_months == 6.0
    assert data.flow["n"].tolist() == [6, 5, 4, 3, 3]
    assert data.episodes["episode_id"].tolist() == list("abcd")
    assert data.observed.tolist() == [1.0, 1.0, 0.0, 1.0]


def test_the_nearest_visit_in_the_window_answers(cohort):
    later = pd.DataFrame({"episode_id": ["c"], "month": [6.2], "pain_nrs": [1.0]})
    more = Cohort(
        episodes=cohort.episodes,
        visits=pd.concat([conform("visits", later), cohort.visits], ignore_index=True),
        events=cohort.events,
        basis="real",
    )
    assert make_training_set("facet_rfa", more, OutcomeSettings()).observed.tolist() == [1.0, 1.0, 0.0, 1.0]


def test_a_horizon_nobody_was_asked_at_is_refused_with_the_months_there_are(cohort):
    with pytest.raises(
        RefusalError, match="in months 12 to 36 answers for month 24; visits lie between months 5 and 7"
    ):
        make_training_set("facet_rfa", cohort, OutcomeSettings(horizon_months=24.0))
