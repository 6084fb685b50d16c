"""Every outcome asked of a few episodes by hand, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.cohort.tables import conform
from paincast.errors import SettingsError
from paincast.outcomes import (
    OUTCOMES,
    OutcomeLabels,
    compute_outcome,
    get_outcome,
    list_ineligibility,
    name_in_truth,
    sort_outcomes,
)
from paincast.schema import EVENTS, VISITS

NAN = float("nan")


def ask(name, before, visits=(), events=(), horizon=6.0, window=None) -> OutcomeLabels:
    """Ask an outcome of episodes a, b, c ...: values before, visits (episode, month, values), events (…, kind)."""
    n = max(len(values) for values in before.values())
    ids = list("abcdefghijkl"[:n])
    episodes = conform("episodes", pd.DataFrame({"episode_id": ids, "patient_id": ids, **before}))
    seen = pd.DataFrame([{"episode_id": one, "month": month, **values} for one, month, values in visits])
    happened = pd.DataFrame([dict(zip(EVENTS, event, strict=False)) for event in events])
    outcome = get_outcome(name)
    return compute_outcome(episodes, conform("visits", seen), conform("events", happened), outcome, horizon, window)


def test_pain_falls_by_half_or_a_third_at_the_visit_nearest_to_the_horizon():
    before = {"pain_nrs": [8.0, 8.0, 10.0, 10.0, 0.0, None, 8.0]}
    visits = [
        ("a", 6.0, {"pain_nrs": 4.0}),
        ("b", 6.0, {"pain_nrs": 4.1}),
        ("c", 3.0, {"pain_nrs": 9.0}),
        ("c", 5.0, {"pain_nrs": 7.0}),
        ("c", 7.0, {"pain_nrs": 1.0}),
        ("d", 6.0, {"odi": 10.0}),
        ("d", 9.0, {"pain_nrs": 7.1}),
        ("e", 6.0, {"pain_nrs": 0.0}),
        ("f", 6.0, {"pain_nrs": 0.0}),
        ("g", 2.9, {"pain_nrs": 0.0}),
        ("g", 9.1, {"pain_nrs": 0.0}),
    ]
    half, third = ask("pain_response", before, visits), ask("pain_response_30", before, visits)
    assert half.value.tolist() == pytest.approx([1, 0, 0, 0, NAN, NAN, NAN], nan_ok=True)
    assert third.value.tolist() == pytest.approx([1, 1, 1, 0, NAN, NAN, NAN], nan_ok=True)
    assert half.eligible.tolist() == [True] * 4 + [False, False, True]
    assert half.because.tolist() == [
        *[""] * 4,
        "pain_nrs is 0 before the procedure: no fall is possible",
        "pain_nrs is missing; it is required",
        "no follow-up that answers",
    ]
    assert half.window_months == (3.0, 9.0)


def test_who_died_before_the_horizon_without_an_answer_is_not_asked():
    before = {"pain_nrs": [8.0] * 4}
    visits = [("a", 4.0, {"pain_nrs": 2.0}), ("d", 2.0, {"pain_nrs": 2.0})]
    events = [("a", 5.0, "death"), ("b", 5.0, "death"), ("c", 7.0, "death")]
    labels = ask("pain_response", before, visits, events)
    assert labels.value.tolist() == pytest.approx([1, NAN, NAN, NAN], nan_ok=True)
    assert labels.eligible.tolist() == [True, False, True, True]
    assert labels.because.tolist()[1] == "died before month 6"


def test_pain_changes_by_points_from_zero_too():
    labels = ask("pain_change", {"pain_nrs": [8.0, 0.0, None]}, [(one, 6.0, {"pain_nrs": 3.0}) for one in "abc"])
    assert labels.value.tolist() == pytest.approx([-5, 3, NAN], nan_ok=True)
    assert labels.eligible.tolist() == [True, True, False]


def test_function_is_odi_by_points_or_share_and_womac_where_there_is_no_odi():
    before = {
        "odi": [40.0, 40.0, 20.0, 20.0, None, None, 40.0, None, 0.0],
        "womac": [None, None, None, None, 50.0, 50.0, 50.0, None, 50.0],
    }
    visits = [
        ("a", 6.0, {"odi": 30.0}),
        ("b", 6.0, {"odi": 30.2}),
        ("c", 6.0, {"odi": 14.0}),
        ("d", 6.0, {"odi": 14.2}),
        ("e", 6.0, {"odi": 0.0, "womac": 35.0}),
        ("f", 6.0, {"womac": 35.2}),
        ("g", 6.0, {"womac": 10.0}),
        ("h", 6.0, {"womac": 10.0}),
        ("i", 6.0, {"womac": 10.0}),
    ]
    labels = ask("function_response", before, visits)
    assert labels.value.tolist() == pytest.approx([1, 0, 1, 0, 1, 0, 1, NAN, 1], nan_ok=True)
    assert labels.because[7] == "odi and womac are missing; one is required"


def test_quality_of_life_rises_by_eight_hundredths_where_there_is_room():
    before = {"eq5d_index": [0.5, 0.5, -0.1, 0.92, 0.93, None]}
    after = [0.58, 0.579, 0.0, 1.0, 1.0, 1.0]
    visits = [(one, 6.0, {"eq5d_index": value}) for one, value in zip("abcdef", after, strict=True)]
    labels = ask("quality_of_life_gain", before, visits)
    assert labels.value.tolist() == pytest.approx([1, 0, 1, 1, NAN, NAN], nan_ok=True)
    assert labels.because[4] == "eq5d_index is above 0.92 before the procedure: no rise by 0.08 is possible"


def test_opioids_are_asked_of_those_who_take_them():
    before = {"opioid_mme": [60.0, 60.0, 0.0, None]}
    visits = [(one, 6.0, {"opioid_mme": mme}) for one, mme in zip("abcd", [42.0, 43.0, 0.0, 0.0], strict=True)]
    labels = ask("opioid_reduction", before, visits)
    assert labels.value.tolist() == pytest.approx([1, 0, NAN, NAN], nan_ok=True)
    assert labels.eligible.tolist() == [True, True, False, False]


def test_satisfaction_needs_nothing_before():
    visits = [(one, 6.0, {"pgic": float(grade)}) for one, grade in zip("abc", [1, 2, 3], strict=True)]
    labels = ask("satisfaction", {"pain_nrs": [None] * 4}, visits)
    assert labels.value.tolist() == pytest.approx([1, 1, 0, NAN], nan_ok=True)
    assert labels.eligible.all()


def test_complications_count_up_to_the_horizon_of_those_followed_to_it():
    visits = [(one, 6.0, {"pgic": 2.0}) for one in "abcde"] + [("f", 5.9, {"pgic": 2.0}), ("g", 5.9, {"pgic": 2.0})]
    events = [
        ("a", 1.0, "complication", "infection"),
        ("b", 6.1, "complication", "infection"),
        ("c", None, "complication", "lead migration"),
        ("d", 1.0, "repeat_procedure"),
        ("f", 1.0, "complication", "infection"),
        ("g", 8.0, "surgery"),
        ("h", 2.0, "complication", "infection"),
        ("h", 3.0, "death"),
    ]
    before = {"pain_nrs": [5.0] * 9}
    anything = ask("complication", before, visits, events)
    assert anything.value.tolist() == pytest.approx([1, 0, 1, 0, 0, NAN, 0, NAN, NAN], nan_ok=True)
    assert anything.eligible.tolist() == [True] * 7 + [False, True]
    infection = ask("complication_infection", before, visits, events)
    assert infection.value.tolist() == pytest.approx([1, 0, 0, 0, 0, NAN, 0, NAN, NAN], nan_ok=True)
    earlier = ask("complication", before, visits, events, window=(5.0, 6.0))
    assert earlier.value[5] == 1.0


def test_relief_lasts_until_it_is_lost_repeated_or_the_patient_dies():
    before = {"pain_nrs": [8.0] * 10 + [None, 0.0]}
    visits = [
        *[("a", month, {"pain_nrs": pain}) for month, pain in [(1.0, 2.0), (3.0, 4.0), (6.0, 5.0), (12.0, 1.0)]],
        ("b", 1.0, {"pain_nrs": 6.0}),
        *[("c", month, {"pain_nrs": 2.0}) for month in (1.0, 3.0)],
        *[("d", month, {"pain_nrs": 2.0}) for month in (1.0, 3.0)],
        *[("e", month, {"pain_nrs": 2.0}) for month in (1.0, 3.0)],
        *[("f", month, {"pain_nrs": 2.0}) for month in (1.0, 3.0)],
        ("h", 3.0, {"pain_nrs": 2.0}),
        *[("j", month, {"pain_nrs": pain}) for month, pain in [(0.0, 8.0), (1.0, 2.0)]],
        *[(one, 1.0, {"pain_nrs": 2.0}) for one in "kl"],
    ]
    events = [
        ("c", 5.0, "repeat_procedure"),
        ("d", 5.0, "death"),
        ("e", 7.0, "surgery"),
        ("g", 0.5, "death"),
        ("h", None, "explant"),
        ("i", 3.0, "explant"),
    ]
    labels = ask("relief_duration", before, visits, events, horizon=3.0)
    assert labels.months is not None
    assert labels.status is not None
    months = [6.0, 1.0, 5.0, 5.0, 3.0, 3.0, 0.5, NAN, NAN, 1.0, NAN, NAN]
    assert labels.months.tolist() == pytest.approx(months, nan_ok=True)
    assert labels.status.tolist() == pytest.approx([1, 1, 1, 2, 0, 0, 2, NAN, NAN, 0, NAN, NAN], nan_ok=True)
    value = [1, NAN, 1, 1, 1, 1, NAN, NAN, NAN, NAN, NAN, NAN]
    assert labels.value.tolist() == pytest.approx(value, nan_ok=True)
    assert labels.eligible.tolist() == [True] * 10 + [False, False]


def test_every_outcome_says_what_it_is_and_what_it_is_not():
    assert len(OUTCOMES) == 11
    for name, outcome in OUTCOMES.items():
        assert outcome.name == name
        assert all([outcome.question, outcome.is_not, outcome.horizon_rule, outcome.denominator, outcome.missing])
        assert all(line.measure in VISITS for line in outcome.lines)


def test_outcomes_are_found_by_name_and_complications_by_kind():
    kind = get_outcome("complication", complication_kind="motor weakness")
    assert kind == get_outcome("complication_motor_weakness")
    assert (kind.detail, name_in_truth(kind)) == ("motor weakness", "complication: motor weakness")
    assert name_in_truth(get_outcome("satisfaction")) == "satisfaction"
    assert sort_outcomes([kind.name, "satisfaction", "pain_response"]) == ["pain_response", "satisfaction", kind.name]
    with pytest.raises(SettingsError, match="unknown name 'satisfacton'; did you mean 'satisfaction'"):
        get_outcome("satisfacton")
    with pytest.raises(SettingsError, match="unknown name 'complications'"):
        get_outcome("complications")
    with pytest.raises(SettingsError, match="only for outcome=complication, not for satisfaction"):
        get_outcome("satisfaction", complication_kind="infection")


scores = st.one_of(st.none(), st.integers(0, 10).map(float))


@pytest.mark.slow
@given(
    before=st.lists(scores, min_size=1, max_size=6),
    visits=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 12).map(float), scores, st.integers(1, 7).map(float)), max_size=15
    ),
    events=st.lists(
        st.tuples(
            st.integers(0, 5),
            st.one_of(st.none(), st.integers(0, 12).map(float)),
            st.sampled_from(["complication", "repeat_procedure", "surgery", "death"]),
        ),
        max_size=6,
    ),
    name=st.sampled_from(sorted(OUTCOMES)),
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_recorded_answers_are_whole(before, visits, events, name):
    seen = [("abcdef"[one], month, {"pain_nrs": pain, "pgic": grade}) for one, month, pain, grade in visits]
    happened = [("abcdef"[one], month, kind) for one, month, kind in events]
    labels = ask(name, {"pain_nrs": before}, seen, happened)
    outcome = labels.outcome
    assert labels.value.index.equals(labels.eligible.index)
    assert labels.value[~labels.eligible].isna().all()
    assert (labels.because[~labels.eligible] != "").all()
    if outcome.kind == "binary":
        assert labels.value.dropna().isin([0.0, 1.0]).all()
        assert (labels.known == labels.value.notna()).all()
    if labels.months is not None and labels.status is not None:
        assert (labels.months.notna() == labels.status.notna()).all()
        assert (labels.known == labels.months.notna()).all()
        assert (labels.months.dropna() >= 0).all()
        held = np.array(
            [ask(name, {"pain_nrs": before}, seen, happened, horizon).value.fillna(-1) for horizon in (1.0, 3.0, 6.0)]
        )
        assert not ((held[:-1] == 0) & (held[1:] == 1)).any()
    denied = list_ineligibility(outcome, conform("episodes", pd.DataFrame({"episode_id": "a", "pain_nrs": before})))
    assert not (labels.eligible & (denied != "").to_numpy()).any()


@pytest.mark.slow
@given(order=st.permutations(range(6)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_visits_does_not_matter(order):
    visits = [("a", month, {"pain_nrs": pain}) for month, pain in [(3, 1), (4, 9), (5, 2), (7, 8), (8, 3), (9, 7)]]
    for name in ("pain_response", "relief_duration", "pain_change"):
        straight = ask(name, {"pain_nrs": [8.0]}, visits)
        mixed = ask(name, {"pain_nrs": [8.0]}, [visits[place] for place in order])
        assert straight.value.equals(mixed.value)
