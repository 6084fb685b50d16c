"""The rows one model is trained on: who is counted in, who is left out, and what is said when nobody answers."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from paincast.cohort.tables import Cohort, conform
from paincast.errors import RefusalError
from paincast.outcomes import get_outcome
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


def ask(cohort, name="pain_response", **settings):
    return make_training_set("facet_rfa", cohort, get_outcome(name), OutcomeSettings(**settings))


def count(data):
    return dict(zip(data.flow["step"], data.flow["n"], strict=True))


def test_everyone_is_counted_in_or_out(cohort):
    data = ask(cohort)
    assert (data.horizon_months, data.window_months) == (6.0, (3.0, 9.0))
    assert count(data) == {
        "episodes of the technique": 6,
        "not asked: pain_nrs is missing; it is required": 1,
        "asked: episodes with pain above 0 before the procedure, alive at the horizon": 5,
        "lost: no follow-up that answers": 1,
        "with an answer in months 3 to 9": 4,
        "with the outcome": 3,
        "patients with an answer": 3,
    }
    assert data.episodes["episode_id"].tolist() == list("abcde")
    assert data.observed.tolist() == pytest.approx([1.0, 1.0, 0.0, 1.0, float("nan")], nan_ok=True)
    assert data.known.tolist() == [True] * 4 + [False]


def test_a_complication_of_who_was_not_followed_is_counted(cohort):
    events = pd.DataFrame({"episode_id": ["e", "a", "a"], "month": [1.0, 1.0, 2.0], "kind": "complication"})
    more = replace(cohort, events=conform("events", events))
    assert list(count(ask(more, "complication", window_months=[5.0, 6.0])).items())[1:] == [
        ("asked: all episodes, alive at the horizon", 6),
        ("lost: no follow-up that answers", 1),
        ("lost: of these with a complication before", 1),
        ("followed to month 6", 5),
        ("with the outcome", 1),
        ("patients with an answer", 4),
    ]


def test_what_cannot_be_asked_of_anybody_is_refused_with_the_reasons(cohort):
    with pytest.raises(RefusalError, match="opioid_reduction can be asked of none of 6 episodes: 6 because opioid_mme"):
        ask(cohort, "opioid_reduction")
    with pytest.raises(RefusalError, match="no visit or later event shows who was followed to month 24; visits lie"):
        ask(cohort, "complication", horizon_months=24.0)


def test_the_nearest_visit_in_the_window_answers(cohort):
    later = pd.DataFrame({"episode_id": ["c"], "month": [6.2], "pain_nrs": [1.0]})
    more = replace(cohort, visits=pd.concat([conform("visits", later), cohort.visits], ignore_index=True))
    assert ask(more).observed[:4].tolist() == [1.0, 1.0, 0.0, 1.0]


def test_a_horizon_nobody_was_asked_at_is_refused_with_the_months_there_are(cohort):
    with pytest.raises(
        RefusalError, match="in months 12 to 36 answers for month 24; visits lie between months 5 and 7"
    ):
        ask(cohort, horizon_months=24.0)
