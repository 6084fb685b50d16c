"""What patients without the procedure had: shown only where outcome, month, indication and kind of arm fit."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from paincast.evidence import load_record, load_records, simulated_techniques
from paincast.evidence.comparators import (
    CONTROL_KINDS,
    OUTCOME_OF,
    Comparator,
    choose_comparator,
    explain_silence,
    is_near,
)
from paincast.evidence.rules import collect_rules
from paincast.evidence.synthesis.control_arms import find_comparators, pool_untreated
from paincast.evidence.synthesis.counts import Target, find_trials
from paincast.evidence.synthesis.extraction import load_studies
from paincast.evidence.synthesis.study import Arm, Result, Study
from paincast.outcomes import OUTCOMES
from paincast.predictor.answering.controls import CONTROL_COLUMNS, find_control
from paincast.predictor.rows import PREDICTION_COLUMNS, make_abstentions
from paincast.statistics import pool_shares

FACET = Target("facet_rfa__lumbar_facet", "facet_rfa", "lumbar_facet", "", (1.0, 6.0))

TREATED = Arm(kind="treatment", what="ablation", technique="facet_rfa")
SHAM = Arm(kind="sham", what="probe without current")


def make_result(**changes: Any) -> Result:
    told = {"arm": "sham", "outcome": "pain_relief_50", "definition": "at least half", "denominator": "randomised"}
    return Result(**{**told, "month": 6.0, "events": 4, "n": 40, **changes})


def make_trial(name: str = "a2020", *results: Result, **changes: Any) -> Study:
    told = {
        "citation": "A 2020",
        "read_at": "https://example.org",
        "read": "abstract",
        "design": "randomised trial",
        "population": "patients",
        "indications": ("lumbar_facet",),
        "arms": {"rfa": TREATED, "sham": SHAM},
        "pmid": "1",
    }
    return Study(id=name, results=results or (make_result(),), **{**told, **changes})


def find(*studies: Study, target: Target = FACET) -> tuple[Comparator, ...]:
    return find_comparators({study.id: study for study in studies}, target)


def test_a_matching_arm_is_found_with_its_own_count():
    [found] = find(make_trial())
    assert (found.outcome, found.indication, found.kind, found.month) == ("pain_response", "lumbar_facet", "sham", 6.0)
    assert (found.share, found.n, found.source, found.tag) == (0.1, 40, ("a2020",), "FOUND")
    assert 0.0 < found.lower < found.share < found.upper < 1.0
    assert "at least half" in found.definition
    assert "probe without current" in found.definition


@pytest.mark.parametrize(
    ("result", "study"),
    [
        ({"outcome": "composite_response"}, {}),
        ({"outcome": "global_improvement"}, {}),
        ({"month": None}, {}),
        ({"month": 0.0}, {}),
        ({"events": None, "n": None, "mean": 5.0}, {}),
        ({"crossed_over": 3}, {}),
        ({"arm": "rfa"}, {}),
        ({}, {"indications": ("sacroiliac_joint",)}),
        ({}, {"design": "systematic review"}),
        ({}, {"design": "meta-analysis"}),
        ({}, {"arms": {"rfa": TREATED, "sham": Arm(kind="sham", what="x", regroups="rfa")}}),
        ({}, {"arms": {"rfa": TREATED, "sham": Arm(kind="sham", what="x", repeated=True)}}),
        ({}, {"arms": {"rfa": TREATED, "sham": Arm(kind="other technique", what="x")}}),
        ({}, {"arms": {"rfa": Arm(kind="treatment", what="x", technique="si_joint_rfa"), "sham": SHAM}}),
        ({}, {"arms": {"rfa": Arm(kind="other technique", what="x", technique="facet_rfa"), "sham": SHAM}}),
    ],
)
def test_what_does_not_match_is_not_shown(result, study):
    assert find(make_trial("a2020", make_result(**result), **study)) == ()


def test_an_arm_of_which_nobody_crossed_over_counts():
    assert len(find(make_trial("a2020", make_result(crossed_over=0)))) == 1


def test_the_outcome_of_a_comparator_is_that_of_the_contract():
    [half, less] = find(make_trial("a2020", make_result(), make_result(outcome="pain_relief_30", events=9)))
    assert (half.outcome, half.share) == ("pain_response", 0.1)
    assert (less.outcome, less.share) == ("pain_response_30", 0.225)


@pytest.mark.parametrize(
    ("approach", "tested", "found"),
    [("caudal", "caudal", 1), ("caudal", "", 1), ("", "caudal", 1), ("caudal", "interlaminar", 0)],
)
def test_a_trial_of_another_approach_is_no_match(approach, tested, found):
    arms = {"esi": Arm(kind="treatment", what="x", technique="epidural_steroid_injection", approach=tested)}
    trial = make_trial(arms={**arms, "sham": SHAM}, indications=("lumbar_stenosis",))
    target = Target("r", "epidural_steroid_injection", "lumbar_stenosis", approach, (6.0,))
    assert len(find(trial, target=target)) == found


def test_trials_are_pooled_each_at_its_nearest_visit():
    near = make_trial("b2021", make_result(month=3.0, events=30), make_result(month=5.0, events=12, n=60))
    at_six = next(found for found in find(make_trial(), near) if found.month == 6.0)
    pooled = pool_shares([4, 12], [40, 60])
    assert (at_six.n, at_six.source) == (100, ("a2020", "b2021"))
    assert (at_six.share, at_six.lower, at_six.upper) == (pooled.share, pooled.lower, pooled.upper)
    assert "at least half" in at_six.definition
    far = make_trial("c2022", make_result(month=24.0))
    assert [(found.month, found.source) for found in find(make_trial(), far)] == [
        (6.0, ("a2020",)),
        (24.0, ("c2022",)),
    ]


def test_kinds_of_arm_are_not_pooled_with_each_other():
    arms = {"rfa": TREATED, "sham": SHAM, "care": Arm(kind="usual care", what="drugs")}
    found = find(make_trial("a2020", make_result(), make_result(arm="care", events=1), arms=arms))
    assert [(item.kind, item.share) for item in found] == [("sham", 0.1), ("usual care", 0.025)]


def test_two_arms_of_a_kind_are_counted_together():
    arms = {"rfa": TREATED, "sham": SHAM, "other": Arm(kind="sham", what="needle only")}
    [found] = find(make_trial("a2020", make_result(), make_result(arm="other", events=8, n=20), arms=arms))
    assert (found.share, found.n) == (0.2, 60)


def test_an_arm_counts_once_where_it_is_counted_twice():
    """By day and by night, or over those randomised and those seen: they are the same patients."""
    [found] = find(make_trial("a2020", make_result(), make_result(definition="by night", events=3, n=30)))
    assert (found.share, found.n) == (0.1, 40)
    [found] = find(make_trial("a2020", make_result(), make_result(definition="by night", events=2)))
    assert found.n == 40


def test_two_publications_of_a_trial_count_once():
    again = make_trial("b2021", make_result(month=7.0, n=38), overlaps=("a2020",))
    assert {found.source for found in find(make_trial(), again)} == {("a2020",), ("b2021",)}
    same = make_trial("b2021", make_result(n=38), overlaps=("a2020",))
    [found] = find(make_trial(), same)
    assert (found.n, found.source) == (40, ("a2020",))


def test_every_comparator_of_a_record_is_counted_by_trials_of_its_technique_and_indication():
    studies = load_studies()
    trials = find_trials(studies)
    seen = [(record, item) for record in load_records() for item in record.comparators]
    assert seen
    for record, item in seen:
        assert item.kind in CONTROL_KINDS
        assert item.indication in record.indications
        assert len({trials[name] for name in item.source}) == len(item.source), record.id
        patients = 0
        for name in item.source:
            study = studies[name]
            assert item.indication in study.indications
            assert any(arm.kind == "treatment" and arm.technique == record.technique for arm in study.arms.values())
            counted = {
                result.arm: max(result.n or 0, study.arms[result.arm].n_randomised or 0)
                for result in study.results
                if study.arms[result.arm].kind == item.kind
                and result.outcome == OUTCOME_OF[item.outcome]
                and is_near(result.month or 0.0, item.month)
                and not result.crossed_over
            }
            assert counted, (record.id, name)
            patients += sum(counted.values())
        assert 0 < item.n <= patients


@pytest.mark.parametrize(
    ("month", "asked", "near"),
    [(3.0, 6.0, True), (9.0, 6.0, True), (2.9, 6.0, False), (9.1, 6.0, False), (6.0, 12.0, True), (12.0, 6.0, False)],
)
def test_a_month_fits_within_half_of_the_one_asked(month, asked, near):
    assert is_near(month, asked) == near


def make_comparator(**changes: Any) -> Comparator:
    told = {"outcome": "pain_response", "indication": "lumbar_facet", "kind": "sham", "month": 6.0}
    figures = {"share": 0.1, "lower": 0.05, "upper": 0.2, "n": 40, "definition": "half", "source": ("a2020",)}
    return Comparator(**{**told, **figures, **changes})


def test_the_closest_kind_of_arm_comes_before_the_nearest_month():
    sham, care = make_comparator(month=4.0), make_comparator(kind="usual care")
    assert choose_comparator([care, sham], "pain_response", 6.0) is sham
    assert choose_comparator([care, make_comparator(month=2.0)], "pain_response", 6.0) is care
    nearer = make_comparator(month=5.0)
    assert choose_comparator([sham, nearer], "pain_response", 6.0) is nearer
    assert choose_comparator([sham, care], "pain_response_30", 6.0) is None
    assert choose_comparator([sham, care], "pain_response", 24.0) is None
    assert choose_comparator([], "pain_response", 6.0) is None


def test_why_nothing_is_shown_names_the_months_there_are():
    said = explain_silence([make_comparator(month=6.0)], "pain_response", 24.0, "all crossed over")
    assert "24" in said
    assert "month 6" in said
    assert said.endswith("all crossed over")
    assert "month 6" not in explain_silence([make_comparator(outcome="pain_response_30")], "pain_response", 24.0)
    assert "pain_response" in explain_silence([], "relief_duration", 6.0)


PATIENTS = pd.DataFrame(
    {
        "episode_id": ["a", "b", "c", "d"],
        "patient_id": ["a", "b", "c", "d"],
        "indication": pd.Series(["failed_back_surgery", "crps", "hip_osteoarthritis", None], dtype="str"),
        "approach": pd.Series([None] * 4, dtype="str"),
    }
).set_axis([7, 3, 5, 1])


def find_controls(rules, outcome, month, patients):
    places = patients[["indication", "approach"]].astype(object).fillna("").to_numpy()
    return pd.DataFrame([find_control(rules, outcome, month, *place) for place in places], index=patients.index)


def test_a_prediction_has_the_comparator_of_its_record():
    rules = collect_rules("spinal_cord_stimulation", "pain_response")
    found = find_controls(rules, "pain_response", 6.0, PATIENTS)
    record = load_record("spinal_cord_stimulation", "failed_back_surgery")
    chosen = choose_comparator(record.own_comparators, "pain_response", 6.0)
    assert chosen is not None
    assert tuple(found.columns) == CONTROL_COLUMNS
    assert found.index.tolist() == PATIENTS.index.tolist()
    row = found.loc[7]
    assert (row["control_probability"], row["control_lower"], row["control_upper"]) == (
        chosen.share,
        chosen.lower,
        chosen.upper,
    )
    assert (row["control_month"], row["control_arm"], row["control_tag"]) == (chosen.month, chosen.kind, chosen.tag)
    assert all(name in row["control_definition"] for name in (*chosen.source, str(chosen.n)))
    assert row["control_because"] == ""


def test_a_prediction_without_a_comparator_says_why():
    rules = collect_rules("spinal_cord_stimulation", "pain_response")
    found = find_controls(rules, "pain_response", 6.0, PATIENTS).loc[[3, 5, 1]]
    assert found["control_probability"].isna().all()
    assert found[["control_lower", "control_upper", "control_month"]].isna().all(axis=None)
    assert (found[["control_arm", "control_definition", "control_tag"]] == "").all(axis=None)
    assert found["control_because"].str.contains("month 6").all()
    late = find_controls(rules, "pain_response", 60.0, PATIENTS)
    assert late["control_probability"].isna().all()
    assert late["control_because"].str.contains("month 60").all()


@pytest.mark.parametrize("technique", simulated_techniques())
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_prediction_row_has_a_comparator_or_a_reason(technique, outcome):
    rules = collect_rules(technique, outcome)
    asked = PATIENTS.assign(indication=rules.indications[0])
    for month in (1.0, 12.0):
        found = find_controls(rules, outcome, month, asked)
        told, because = found["control_probability"].notna(), found["control_because"] != ""
        assert (told != because).all()
        if outcome not in OUTCOME_OF:
            assert not told.any()


def test_the_remark_of_a_record_says_what_its_trials_tell_instead():
    remarked = [record for record in load_records() if record.without]
    assert remarked
    for record in remarked:
        asked = PATIENTS.assign(indication=record.indication, approach=record.approach)
        [said] = set(
            find_controls(collect_rules(record.technique, "pain_response"), "pain_response", 240.0, asked)[
                "control_because"
            ]
        )
        assert said.endswith(record.without), record.id


def test_the_columns_of_predictions_hold_those_of_the_comparator_together():
    new = CONTROL_COLUMNS[1:]
    assert len(new) == 7
    start = PREDICTION_COLUMNS.index(new[0])
    assert PREDICTION_COLUMNS[start : start + 7] == new
    assert "control_probability" in PREDICTION_COLUMNS
    nobody = make_abstentions(PATIENTS, "facet_rfa", "pain_response", "no model")
    assert tuple(nobody.columns) == PREDICTION_COLUMNS
    texts = ["control_arm", "control_definition", "control_tag", "control_because"]
    assert (nobody[texts] == "").all(axis=None)
    assert nobody[["control_lower", "control_upper", "control_month"]].isna().all(axis=None)


def test_the_simulator_takes_the_matching_arm_and_else_all_with_a_wide_interval():
    trial, other = make_trial(), make_trial("b2021", make_result(events=9), indications=("crps",), arms={"sham": SHAM})
    studies = {study.id: study for study in (trial, other)}
    table = pool_untreated(studies, FACET, find(trial, other)).set_index("month")
    assert table.index.tolist() == [1.0, 6.0]
    assert table["support"].tolist() == ["assumed", "matched"]
    assert table.loc[6.0, "share"] == 0.1
    pooled = pool_shares([4, 9], [40, 40])
    assert table.loc[1.0, ["share", "lower", "upper"]].tolist() == [
        pooled.share,
        pooled.predicted_lower,
        pooled.predicted_upper,
    ]


@pytest.mark.parametrize("record", [record for record in load_records() if record.response], ids=lambda item: item.id)
def test_what_the_simulator_takes_is_matched_exactly_where_a_comparator_is(record):
    assert record.response
    assert set(record.untreated) == set(record.response.points)
    for month, untreated in record.untreated.items():
        chosen = choose_comparator(record.own_comparators, "pain_response", month)
        assert (untreated.support == "matched") == (chosen is not None)
        if chosen:
            assert untreated[:3] == (chosen.share, chosen.lower, chosen.upper)
