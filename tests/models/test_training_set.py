"""The rows one model is trained on: who is counted in, who is left out, and what is said when nobody answers."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from paincast.cohort.tables import Cohort, conform
from paincast.eligibility import check_indication, note_missing_evidence
from paincast.errors import RefusalError
from paincast.evidence import indications_of, load_record, primary_horizon
from paincast.evidence.comparators import choose_comparator
from paincast.outcomes import get_outcome
from paincast.predictor.answering.controls import find_control
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
        "answered by a visit of month 5": 1,
        "answered by a visit of month 6": 2,
        "answered by a visit of month 7": 1,
        "with the outcome": 3,
        "patients with an answer": 3,
    }
    assert data.episodes["episode_id"].tolist() == list("abcde")
    assert data.observed.tolist() == pytest.approx([1.0, 1.0, 0.0, 1.0, float("nan")], nan_ok=True)
    assert data.known.tolist() == [True] * 4 + [False]


def test_visits_of_the_horizon_alone_are_not_told_apart(cohort):
    visits = cohort.visits.assign(month=cohort.visits["month"] - cohort.visits["month"] + [6.0, 6.2, 5.9, 6.0, 6.0])
    assert not any("by a visit" in step for step in count(ask(replace(cohort, visits=visits))))


def test_a_visit_at_month_3_that_answers_for_month_6_is_told(cohort):
    visits = cohort.visits.assign(month=[3.0, 3.0, 6.0, 6.0, 3.0])
    counts = count(ask(replace(cohort, visits=visits)))
    assert (counts["answered by a visit of month 3"], counts["answered by a visit of month 6"]) == (2, 2)


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
    with pytest.raises(RefusalError, match=r"opioid_reduction cannot .* 6 because opioid_mme"):
        ask(cohort, "opioid_reduction")
    with pytest.raises(RefusalError, match="no visit or later event shows who was followed up to month 24; visits lie"):
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


EPIDURAL, STIMULATION = "epidural_steroid_injection", "spinal_cord_stimulation"
GAP, COVERED = "lumbar_facet", "lumbar_stenosis"
"""An indication for which a record of epidural injection states that there is no evidence, and one that it treats."""


def add_patients(
    n_with: int, n_without: int, indication: str | None, basis: str = "real", technique: str = EPIDURAL
) -> Cohort:
    n = n_with + n_without
    ids = [f"n{i}" for i in range(n)]
    episodes = pd.DataFrame(
        {
            "episode_id": ids,
            "patient_id": ids,
            "technique": technique,
            "indication": [indication] * n,
            "pain_nrs": 8.0,
        }
    )
    month = primary_horizon(technique)
    visits = pd.DataFrame({"episode_id": ids, "month": month, "pain_nrs": [2.0] * n_with + [7.0] * n_without})
    return Cohort(
        episodes=conform("episodes", episodes),
        visits=conform("visits", visits),
        events=conform("events", pd.DataFrame()),
        basis=basis,
    )


def join(*cohorts: Cohort) -> Cohort:
    episodes = pd.concat([one.episodes for one in cohorts], ignore_index=True)
    names = [f"{place}" for place in range(len(episodes))]
    visits = pd.concat([one.visits for one in cohorts], ignore_index=True)
    return Cohort(
        episodes=episodes.assign(episode_id=pd.array(names, dtype=episodes["episode_id"].dtype)),
        visits=visits.assign(episode_id=pd.array(names, dtype=visits["episode_id"].dtype)),
        events=cohorts[0].events,
        basis=cohorts[0].basis,
    )


def ask_technique(cohort: Cohort, name: str = "pain_response", minimum: int | None = 8):
    technique = str(cohort.episodes["technique"].iloc[0])
    return make_training_set(technique, cohort, get_outcome(name), OutcomeSettings(), minimum_events=minimum)


@pytest.mark.slow
@pytest.mark.parametrize("indication", [GAP, "chronic_low_back_pain"])
@pytest.mark.parametrize("name", ["pain_response", "pain_change", "relief_duration"])
def test_enough_real_patients_carry_an_indication_without_evidence(indication, name):
    data = ask_technique(add_patients(8, 9, indication), name)
    assert len(data.episodes) == 17
    assert data.rules.without_evidence == (indication,)
    assert data.rules.indications == (*indications_of(EPIDURAL), indication)


@pytest.mark.parametrize(
    ("cohort", "minimum"),
    [
        (add_patients(7, 60, GAP), 8),
        (add_patients(60, 7, GAP), 8),
        (add_patients(60, 60, GAP), None),
        (add_patients(60, 60, GAP, basis="synthetic"), 8),
        (add_patients(60, 60, None), 8),
    ],
)
def test_nobody_is_trained_on_whom_the_model_would_not_answer(cohort, minimum):
    with pytest.raises(RefusalError, match=rf"cannot be determined for any of {len(cohort.episodes)} episodes"):
        ask_technique(cohort, minimum=minimum)


def test_whom_the_model_would_not_answer_is_counted_out_with_the_reason():
    cohort = join(add_patients(10, 10, COVERED), add_patients(3, 3, GAP), add_patients(1, 4, None))
    data = ask_technique(cohort)
    assert set(data.episodes["indication"]) == {COVERED}
    assert data.rules.without_evidence == ()
    flow = count(data)
    [gap] = [step for step in flow if step.startswith(f"not asked: no evidence for {GAP}")]
    assert flow[gap] == 6
    assert flow["not asked: the indication is missing; it is required"] == 5
    assert flow["patients with an answer"] == len(data.episodes) == 20
    assert flow["with the outcome"] == 10
    assert check_indication(data.rules, data.episodes).eq("").all()


def test_training_prediction_and_evaluation_agree_on_who_is_answered():
    data = ask_technique(join(add_patients(10, 10, COVERED), add_patients(9, 9, "chronic_low_back_pain")))
    asked = pd.DataFrame({"indication": [COVERED, "chronic_low_back_pain", GAP, "hip_osteoarthritis"]})
    said = check_indication(data.rules, asked)
    assert (said == "").tolist() == [True, True, False, False]
    alone = [note_missing_evidence(data.rules, indication) for indication in asked["indication"]]
    assert [note == "" for note in alone] == [True, False, True, True]


def test_patients_of_an_indication_without_evidence_have_no_comparator():
    patients = [
        add_patients(9, 9, name, technique=STIMULATION) for name in ("failed_back_surgery", "chronic_low_back_pain")
    ]
    data = ask_technique(join(*patients))
    asked = ["failed_back_surgery", "chronic_low_back_pain", "hip_osteoarthritis"]
    controls = pd.DataFrame(
        [find_control(data.rules, data.outcome.name, data.horizon_months, indication, "") for indication in asked]
    )
    assert controls["control_probability"].notna().tolist() == [True, False, False]
    comparators = load_record(STIMULATION, "failed_back_surgery").own_comparators
    chosen = choose_comparator(comparators, data.outcome.name, data.horizon_months)
    assert chosen is not None
    assert controls["control_probability"].iloc[0] == chosen.share
    assert controls["control_because"].ne("").tolist() == [False, True, True]
