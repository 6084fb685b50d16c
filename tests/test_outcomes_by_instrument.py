"""Outcomes answered by any instrument of a domain: its threshold and direction, one for each patient, each counted."""

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
    Line,
    Outcome,
    OutcomeLabels,
    compute_outcome,
    count_instruments,
    default_window,
    get_outcome,
    improvement_line,
)
from paincast.outcomes.labels import LOST, OTHER_INSTRUMENT
from paincast.schema.instruments import INSTRUMENTS

BY_COLUMN = {instrument.column: instrument for instrument in INSTRUMENTS.values()}
LINES = [
    pytest.param(name, line, id=f"{name}-{line.measure}")
    for name in ("pain_response", "pain_response_30", "function_response", "mood_response", "sleep_response")
    for line in OUTCOMES[name].lines
]
STEP = 1e-3


def label(outcome: Outcome, before: dict[str, list], after: dict[str, list], month: float = 6.0) -> OutcomeLabels:
    """Label patients by what they had before and at one visit."""
    n = max(len(values) for values in before.values())
    ids = [f"e{i}" for i in range(n)]
    episodes = conform("episodes", pd.DataFrame({"episode_id": ids, "patient_id": ids, **before}))
    visits = conform("visits", pd.DataFrame({"episode_id": ids, "month": month, **after}))
    events = conform("events", pd.DataFrame({"episode_id": []}))
    return compute_outcome(episodes, visits, events, outcome, 6.0)


@pytest.mark.parametrize(("name", "line"), LINES)
def test_each_instrument_answers_by_its_threshold_in_its_direction(name: str, line: Line):
    instrument = BY_COLUMN[line.measure]
    falls = instrument.direction == "lower is better"
    assert line.direction == ("fall" if falls else "rise")
    worst, best = (instrument.high, instrument.low) if falls else (instrument.low, instrument.high)
    before = worst + 0.2 * (best - worst)
    needed = min(part for part in (line.points, line.share and line.share * abs(best - before)) if part)
    sign = -1.0 if falls else 1.0
    after = [before + sign * (needed + STEP), before + sign * (needed - STEP), before - sign * STEP]
    labels = label(OUTCOMES[name], {line.measure: [before] * 3}, {line.measure: after})
    assert labels.value.tolist() == [1.0, 0.0, 0.0]
    assert labels.measures == (line.measure,)
    no_room = label(OUTCOMES[name], {line.measure: [best]}, {line.measure: [best]})
    assert not no_room.eligible.any()
    assert no_room.because[0] != ""


@pytest.mark.parametrize("name", ["function_response", "mood_response", "sleep_response"])
def test_an_instrument_without_a_sourced_threshold_cannot_answer(name: str):
    domain = name.removesuffix("_response")
    measures = {line.measure for line in OUTCOMES[name].lines}
    assert measures == {one.column for one in INSTRUMENTS.values() if one.domain == domain and one.responder}
    assert not measures & {"dass21_depression", "dass21_anxiety", "pdi", "promis_pain_behavior", "phq2"}


def test_the_rules_for_odi_and_womac_stay_and_the_others_follow():
    odi, womac, *others = OUTCOMES["function_response"].lines
    assert (odi.measure, odi.points, odi.share) == ("odi", 10.0, 0.3)
    assert (womac.measure, womac.points, womac.share) == ("womac", None, 0.3)
    assert all(line == improvement_line(BY_COLUMN[line.measure]) for line in others)
    assert all(sum(part is not None for part in (line.points, line.share)) == 1 for line in others)


def test_relief_by_koos_is_a_share_of_the_distance_from_no_pain():
    labels = label(OUTCOMES["pain_response"], {"koos_pain": [40.0, 40.0, 100.0]}, {"koos_pain": [70.0, 69.0, 100.0]})
    assert labels.value.tolist() == pytest.approx([1.0, 0.0, np.nan], nan_ok=True)


def test_a_patient_is_answered_by_the_first_instrument_at_both_times_and_never_by_two():
    before = {"odi": [50.0, 50.0, None, 50.0], "promis_physical_function": [30.0, 30.0, 30.0, None]}
    after = {"odi": [45.0, None, 10.0, None], "promis_physical_function": [60.0, 40.0, 30.5, 60.0]}
    labels = label(OUTCOMES["function_response"], before, after)
    assert labels.value.tolist() == pytest.approx([0.0, 1.0, 0.0, np.nan], nan_ok=True)
    assert labels.instrument is not None
    assert labels.instrument.tolist() == ["odi", *["promis_physical_function"] * 2, ""]
    assert labels.because.tolist() == ["", "", "", OTHER_INSTRUMENT]
    assert count_instruments(labels) == {"odi": 1, "promis_physical_function": 2}


def test_who_has_no_follow_up_at_all_is_lost_as_before():
    labels = label(OUTCOMES["function_response"], {"odi": [50.0, 50.0]}, {"odi": [None, 20.0], "pgic": [2.0, 2.0]})
    assert labels.because.tolist() == [LOST, ""]
    assert count_instruments(labels) == {}


def test_a_score_that_leaves_no_room_gives_way_to_the_next_instrument():
    before = {"hads_depression": [1.0], "gad7": [12.0]}
    labels = label(OUTCOMES["mood_response"], before, {"hads_depression": [0.0], "gad7": [7.0]})
    assert labels.value.tolist() == [1.0]
    assert labels.measures == ("gad7",)


def test_the_change_in_points_is_of_the_numeric_rating_scale_alone():
    assert OUTCOMES["pain_change"].measures == ("pain_nrs",)
    labels = label(OUTCOMES["pain_change"], {"vas": [80.0], "peg": [7.0]}, {"vas": [20.0], "peg": [2.0]})
    assert not labels.eligible.any()


def test_mood_is_told_by_depression_before_anxiety():
    titles = [BY_COLUMN[line.measure].title for line in OUTCOMES["mood_response"].lines]
    assert "depression" in titles[0]
    assert titles.index("PROMIS Depression") < titles.index("PROMIS Anxiety")


def test_reasons_name_what_is_recorded():
    nothing = label(OUTCOMES["mood_response"], {"pain_nrs": [5.0]}, {"pain_nrs": [2.0]})
    assert nothing.because[0] == "hads_depression, phq9 and 5 other instruments are missing; one is required"
    some = label(OUTCOMES["sleep_response"], {"isi": [20.0, None, 3.0]}, {"isi": [10.0, 5.0, 1.0]})
    assert some.because.tolist() == [
        "",
        "isi is missing; it is required",
        "isi is below 6 before the procedure: no fall by 6 is possible",
    ]


def test_evidence_holds_for_the_instruments_that_it_counted():
    function, pain = OUTCOMES["function_response"], OUTCOMES["pain_response"]
    assert function.list_unmatched(["odi", "womac", "ndi"]) == ("ndi",)
    assert pain.list_unmatched(["pain_nrs", "vas"]) == ()
    assert pain.list_unmatched(["peg", "koos_pain"]) == ("peg", "koos_pain")
    assert OUTCOMES["satisfaction"].list_unmatched(["pgic"]) == ()
    assert function.answered_by(["womac", "ndi"]).measures == ("womac", "ndi")
    assert function.answered_by([]) == function


SCORES = st.one_of(st.none(), st.integers(0, 24).map(float))
MEASURES = ("odi", "rmdq", "lefs")


@pytest.mark.slow
@given(
    patients=st.lists(st.tuples(*[st.tuples(SCORES, SCORES)] * len(MEASURES)), min_size=1, max_size=6),
)
@settings(max_examples=40, deadline=None)
def test_whatever_is_recorded_a_patient_has_the_answer_of_one_instrument(patients):
    outcome = OUTCOMES["function_response"]
    before = {name: [patient[place][0] for patient in patients] for place, name in enumerate(MEASURES)}
    after = {name: [patient[place][1] for patient in patients] for place, name in enumerate(MEASURES)}
    labels = label(outcome, before, after)
    alone = {name: label(outcome, {name: before[name]}, {name: after[name]}).value for name in MEASURES}
    assert labels.instrument is not None
    for row, instrument in enumerate(labels.instrument):
        first = next((name for name in MEASURES if not np.isnan(alone[name][row])), "")
        assert instrument == first
        assert instrument == "" or labels.value[row] == alone[first][row]
        assert (labels.because[row] == "") == (instrument != "")


OWN = Outcome(
    name="walking_improved",
    kind="binary",
    assessed_by="visit",
    question="walking better by 30 %",
    is_not="a cure",
    horizon_rule="the nearest visit",
    denominator="all",
    missing="weighted",
    lines=(
        Line(measure="lefs", direction="at_least", points=60.0),
        Line(measure="rmdq", direction="fall", share=0.3, points=8.0, best=0.0),
    ),
    horizon_months=6.0,
    follow_up_months=(3.0, 9.0),
)


def test_an_outcome_of_ones_own_is_found_and_labelled_like_the_others():
    outcomes = {**OUTCOMES, OWN.name: OWN}
    assert get_outcome("walking_improved", outcomes=outcomes) is OWN
    with pytest.raises(SettingsError) as error:
        get_outcome("walking_improved")
    assert error.value.code == "PC-OUTCOMES-02"
    assert default_window(OWN, 6.0) == (3.0, 9.0)
    assert default_window(OWN, 12.0) == (6.0, 18.0)
    labels = label(OWN, {"rmdq": [10.0, 10.0, 20.0]}, {"lefs": [61.0, 59.0, None], "rmdq": [10.0, 2.0, 15.0]})
    assert labels.value.tolist() == [1.0, 0.0, 0.0]
    assert labels.instrument is not None
    assert labels.instrument.tolist() == ["lefs", "lefs", "rmdq"]
