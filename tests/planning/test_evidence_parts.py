"""What evidence says beside the response: trials whatever they found, harms, whose and by when, steps and visits."""

from __future__ import annotations

import pytest

from paincast.evidence.records import comparisons_of, load_controlled_trials, load_records
from paincast.planning import plan
from paincast.planning.contents import Plan, TechniquePlan
from paincast.planning.evidence_parts import STEPS
from paincast.planning.text import format_plan
from paincast.profiling.rules import RULES
from paincast.schema import EPISODES, IMPLIED_FACTS, INDICATIONS


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    return {name: plan({"indication": name, "active_infection": False}) for name in INDICATIONS}


def find(made: Plan, technique: str) -> TechniquePlan:
    return next(item for item in made.techniques if item.technique == technique)


def test_every_trial_of_the_indication_is_told_whatever_it_found(plans: dict[str, Plan]) -> None:
    results = set()
    for indication, made in plans.items():
        text = format_plan(made)
        for item in made.techniques:
            approaches = {record.approach for record in load_records() if record.id in item.records}
            expected = [
                (trial.source, trial.result)
                for trial in load_controlled_trials(item.technique)
                if indication in trial.indications
                and item.records
                and (not trial.approach or {None, trial.approach} & approaches)
            ]
            assert [(trial.source, trial.result) for trial in item.trials if not trial.technique][: len(expected)] == (
                expected
            )
            for source, result in expected:
                assert f"{source}, FOUND]" in " ".join(text.split())
                results.add(result)
    assert results == {"better", "none", "worse"}


def test_no_difference_is_said_in_the_text(plans: dict[str, Plan]) -> None:
    text = " ".join(format_plan(plans["knee_osteoarthritis"]).split())
    assert "no difference: pain at 12 months against sham, n 64, randomised trial" in text
    assert "worse: pain at 6 months against placebo injection, n 160" in " ".join(
        format_plan(plans["lumbar_radicular_disc"]).split()
    )


def test_a_comparison_whose_interval_holds_zero_found_no_difference(plans: dict[str, Plan]) -> None:
    """From both sides, and turned round for the second procedure."""
    checked = 0
    for indication, made in plans.items():
        for comparison in comparisons_of(indication):
            outcomes = [outcome for outcome in comparison.outcomes if outcome.lower is not None]
            for arm in (comparison.first, comparison.second):
                trials = [
                    trial
                    for item in made.techniques
                    if item.technique == arm.technique
                    for trial in item.trials
                    if trial.source == comparison.source and trial.against not in ("usual care",)
                ]
                for outcome in outcomes:
                    own = [
                        trial.result
                        for trial in trials
                        if (trial.outcome, trial.month) == (outcome.outcome, outcome.month)
                    ]
                    if outcome.lower <= 0 <= outcome.upper and own:
                        assert "none" in own
                        checked += 1
    assert checked >= 10
    knee = plans["knee_osteoarthritis"]
    of_both = {
        name: {trial.result for trial in find(knee, name).trials if trial.outcome == "pain_relief_50"}
        for name in ("genicular_rfa", "joint_injection")
    }
    assert of_both == {"genicular_rfa": {"better"}, "joint_injection": {"worse"}}


def test_less_pain_is_better(plans: dict[str, Plan]) -> None:
    trials = find(plans["knee_osteoarthritis"], "genicular_rfa").trials
    assert [trial.result for trial in trials if trial.outcome == "pain_change"] == ["better"]
    assert [trial.result for trial in trials if (trial.source, trial.outcome) == ("davis2018", "function")] == [
        "different"
    ]


def test_null_findings_of_the_evidence_are_told(plans: dict[str, Plan]) -> None:
    item = find(plans["failed_back_surgery"], "spinal_cord_stimulation")
    topics = {statement.topic for statement in item.tells_nothing}
    assert {"age_years", "spine_operations", ""} <= topics
    [record] = [record for record in load_records() if record.id in item.records]
    assert not topics & {effect.column for effect in record.active_predictors}
    assert {found.finding for found in record.null_findings} <= {statement.text for statement in item.tells_nothing}
    assert "Found not to tell who responds:" in format_plan(plans["failed_back_surgery"])


def test_a_rate_says_whose_it_is(plans: dict[str, Plan]) -> None:
    disc = find(plans["lumbar_radicular_disc"], "epidural_steroid_injection")
    by_approach = {harm.approach: harm.figure.value for harm in disc.harms if harm.kind == "intravascular_injection"}
    assert by_approach == {"transforaminal": 0.079, "interlaminar": 0.005, "caudal": 0.031}
    adrenal = [harm for harm in disc.harms if harm.kind == "adrenal_suppression"]
    assert {harm.counted_in for harm in adrenal} == {("lumbar_stenosis",)}
    stenosis = find(plans["lumbar_stenosis"], "epidural_steroid_injection")
    assert {harm.counted_in for harm in stenosis.harms if harm.kind == "adrenal_suppression"} == {()}
    root = find(plans["other_radicular"], "nerve_root_block")
    assert next(harm for harm in root.harms if harm.kind == "intravascular_injection").counted_in == (
        "epidural_steroid_injection",
        "transforaminal",
    )
    borrowed = find(plans["failed_back_surgery"], "epidural_steroid_injection")
    assert all(harm.counted_in for harm in borrowed.harms if harm.figure.value is not None)


def test_the_text_tells_by_when_a_harm_was_counted(plans: dict[str, Plan]) -> None:
    text = " ".join(format_plan(plans["failed_back_surgery"]).split())
    harms = text.partition("Complications:")[2]
    assert "by 24 months" in harms
    assert "no time told" in harms
    assert "counted in several kinds of pain" in harms


def test_whose_rate_it_is_names_what_the_contract_knows() -> None:
    known = {*INDICATIONS, "epidural_steroid_injection", "transforaminal", "several_kinds_of_pain"}
    named = {name for record in load_records() for item in record.complications for name in item.counted_in}
    assert named <= known


def test_steps_say_what_they_are_and_only_tests_are_visits() -> None:
    assert {*STEPS} == {name for name, column in EPISODES.items() if column.role == "funnel"}
    cancer = find(plan({"indication": "pancreatic_cancer"}), "celiac_plexus_neurolysis")
    assert [step.kind for step in cancer.steps] == ["history"]
    facet = {"indication": "lumbar_facet"}
    visits = [
        find(plan({**facet, **known}), "facet_rfa").visits
        for known in ({}, {"diagnostic_blocks_positive": 2}, {"block_relief_percent": 80.0})
    ]
    values = [figure.value for figure in visits if figure is not None]
    assert values == [values[1] + 1, values[1], values[1]]
    assert cancer.visits is not None
    assert "0 for tests" in cancer.visits.note


def test_what_an_indication_implies_is_neither_asked_nor_open() -> None:
    made = plan({"indication": "failed_back_surgery"})
    caution = next(rule for rule in find(made, "spinal_cord_stimulation").rules if rule.name == "altered_anatomy")
    assert caution.status == "holds"
    asked = {item.column for item in made.work_up}
    assert not asked & {*IMPLIED_FACTS["failed_back_surgery"]}
    assert "scoliosis" not in asked
    open_rule = next(
        rule
        for rule in find(plan({"indication": "crps"}), "spinal_cord_stimulation").rules
        if rule.name == "altered_anatomy"
    )
    assert open_rule.status == "not assessed"


def test_a_patient_without_what_the_indication_implies_contradicts_it() -> None:
    """The rule on cohorts and the implied facts say the same."""
    for indication, facts in IMPLIED_FACTS.items():
        for column, value in facts.items():
            made = plan({"indication": indication, column: not value})
            assert any(column in item.set_aside for item in made.contradictions)
            assert not plan({"indication": indication, column: value}).contradictions
            assert any({"indication", column} <= {*rule.columns} for rule in RULES)
