"""Groups follow the rules of the evidence as predictions do, and what is unknown is told with what it would change."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from paincast.eligibility import assess_technique as assess_by_prediction
from paincast.errors import DataError, SettingsError
from paincast.evidence.records import indications_of, load_sources, records_of
from paincast.planning import plan
from paincast.planning.patient import NOT_OF_MEN, read_facts
from paincast.planning.suitability import CLEAR, HOLDS, OPEN, assess_technique, choose_records, list_values
from paincast.schema import EPISODES, TECHNIQUES, is_model_input
from paincast.scoring.conditions import list_columns

PAIRS = [
    (technique, indication)
    for technique in TECHNIQUES
    if not records_of(technique)[0].gap
    for indication in indications_of(technique)
]
CASES: tuple[dict[str, Any], ...] = (
    {},
    {"active_infection": True},
    {"active_infection": False, "stimulation_trial_success": True},
    {"active_infection": False, "stimulation_trial_success": False, "anticoagulant": True, "inr": 1.7},
)


def assess(technique: str, indication: str | None, **facts: Any) -> Any:
    return assess_technique(technique, read_facts({"indication": indication, "sex": "female", **facts}).episode)


@pytest.mark.parametrize(("technique", "indication"), PAIRS)
@pytest.mark.parametrize("facts", CASES, ids=lambda facts: ",".join(facts) or "nothing")
def test_a_contraindication_is_what_a_prediction_calls_not_eligible(
    technique: str, indication: str, facts: dict[str, Any]
) -> None:
    suitable = assess(technique, indication, **facts)
    episode = read_facts({"indication": indication, **facts}).episode
    [eligible] = assess_by_prediction(technique, episode)["eligible"]
    assert (suitable.group == "contraindicated") == (not eligible)
    assert {rule.citation for rule in suitable.rules} <= {source.citation for source in load_sources().values()}
    absolute = [rule.status for rule in suitable.rules if rule.severity == "absolute"]
    expected = "contraindicated" if HOLDS in absolute else "not assessed" if OPEN in absolute else "indicated"
    assert suitable.group == expected


@pytest.mark.parametrize(
    ("technique", "indication"),
    [
        ("facet_rfa", "lumbar_facet"),
        ("spinal_cord_stimulation", "failed_back_surgery"),
        ("genicular_artery_embolization", "knee_osteoarthritis"),
    ],
)
def test_a_missing_fact_does_what_it_was_said_to_do(technique: str, indication: str) -> None:
    before = assess(technique, indication)
    rules = {rule.name: rule for record in before.records for rule in record.contraindications}
    told = {fact.column for fact in before.open_facts}
    needed = {name for item in before.rules if item.status == OPEN for name in list_columns(rules[item.name].when)}
    assert told == needed - {"indication"}
    for fact in before.open_facts:
        values = list_values(fact.column, [rule.when for rule in rules.values()])
        for value, case in zip(values, fact.what_if, strict=True):
            after = assess(technique, indication, **{fact.column: value.value})
            statuses = {rule.name: rule.status for rule in after.rules}
            assert (case.value, case.group) == (value.words, after.group)
            assert case.holds == tuple(name for name in fact.rules if statuses[name] == HOLDS)
            assert case.still_open == tuple(name for name in fact.rules if statuses[name] == OPEN)
        assert len({(case.group, case.holds, case.still_open) for case in fact.what_if}) > 1


def test_without_an_indication_it_is_told_which_would_fit() -> None:
    suitable = assess("facet_rfa", None)
    assert suitable.group == "not assessed"
    assert [case.value for case in suitable.open_facts[0].what_if] == ["lumbar_facet", "any other"]
    assert assess("bariatric_embolization", None).group == "not indicated"


@pytest.mark.parametrize("facts", [{}, {"active_infection": False}, {"active_infection": True}], ids=str)
@pytest.mark.parametrize("technique", ["epidural_steroid_injection", "spinal_cord_stimulation"])
def test_the_group_told_of_an_indication_is_the_one_it_gives(technique: str, facts: dict[str, Any]) -> None:
    *treated, other = assess(technique, None, **facts).open_facts[0].what_if
    assert {case.value: case.group for case in treated} == {
        case.value: assess(technique, case.value, **facts).group for case in treated
    }
    assert assess(technique, "hip_osteoarthritis", **facts).group == other.group


def test_contradicted_facts_count_as_unknown() -> None:
    facts = read_facts({"indication": "lumbar_facet", "sex": "male", "pregnant": True, "technique": "genicular_rfa"})
    kinds = {item.rule: item.kind for item in facts.contradictions}
    assert kinds == {"pregnant_man": "impossible", "technique_does_not_treat_indication": "implausible"}
    assert facts.get("pregnant") is None
    assert facts.get("indication") == "lumbar_facet"
    statuses = {rule.name: rule.status for rule in assess_technique("facet_rfa", facts.episode).rules}
    assert statuses["pregnancy"] == OPEN


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"opioid_mme": 0, "opioid_refractory_pain": True}, "refractory_to_opioids_not_taken"),
        ({"indication": "failed_back_surgery", "prior_spine_surgery": False}, "failed_back_surgery_without_surgery"),
        ({"prior_spine_surgery": False, "spine_operations": 2}, "operations_without_surgery"),
        ({"age_years": 20, "pain_duration_months": 900}, "pain_longer_than_life"),
    ],
)
def test_facts_that_do_not_go_together_are_named_and_set_aside(facts: dict[str, Any], rule: str) -> None:
    read = read_facts({"indication": "lumbar_stenosis", **facts})
    [found] = [item for item in read.contradictions if item.rule == rule]
    assert set(found.set_aside) == set(facts) - {"indication"}
    assert not set(found.set_aside) & set(read.known)


def test_rules_that_do_not_hold_are_told_too() -> None:
    suitable = assess("facet_rfa", "lumbar_facet", active_infection=False, cardiac_device=True)
    statuses = {rule.name: (rule.severity, rule.status) for rule in suitable.rules}
    assert statuses["active_infection"] == ("absolute", CLEAR)
    assert statuses["cardiac_device_radiofrequency"] == ("relative", HOLDS)
    assert suitable.group == "indicated"


def test_the_nearest_record_of_each_approach_is_chosen() -> None:
    records = records_of("epidural_steroid_injection")
    chosen = choose_records(
        [item for item in records if "other_radicular" in item.indications], "other_radicular", None
    )
    assert [item.id for item in chosen] == ["esi_caudal__lumbar_radicular_disc"]
    for technique, indication in PAIRS:
        own = [item for item in records_of(technique) if indication in item.indications]
        approaches = [item.approach for item in choose_records(own, indication, None)]
        assert len(approaches) == len(set(approaches)) > 0


def test_values_tell_every_two_apart() -> None:
    conditions = [{"column": "inr", "at_least": 1.5}, {"any": [{"column": "inr", "at_least": 2.0}]}]
    values = list_values("inr", conditions)
    assert [item.words for item in values] == ["below 1.5", "at least 1.5", "at least 2"]
    assert all(one.value < other.value for one, other in itertools.pairwise(values))
    named = list_values("sex", [{"column": "sex", "any_of": ["male"]}])
    assert [item.value for item in named] == ["male", "female"]
    whole = list_values("spine_operations", [{"column": "spine_operations", "at_least": 1}])
    assert all(EPISODES["spine_operations"].low <= item.value for item in whole)


def test_a_column_that_stands_twice_is_refused(tmp_path):
    file = tmp_path / "patient.yaml"
    file.write_text("indication: lumbar_facet\nactive_infection: true\nactive_infection: false\n")
    with pytest.raises(DataError) as refused:
        read_facts(file)
    assert refused.value.code == "PC-PLANNING-12"


def test_a_month_beyond_twenty_years_is_refused():
    with pytest.raises(SettingsError) as refused:
        plan({"indication": "lumbar_facet"}, month=1e9)
    assert refused.value.code == "PC-PLANNING-13"


def test_a_man_is_not_asked_whether_he_is_pregnant():
    told = {sex: read_facts({"indication": "lumbar_facet", "sex": sex}) for sex in ("male", "female")}
    assert told["male"].get("pregnant") == False  # noqa: E712
    assert told["female"].get("pregnant") is None
    assert "pregnant" not in told["male"].known
    status = {
        sex: {rule.name: rule.status for rule in assess_technique("facet_rfa", facts.episode).rules}["pregnancy"]
        for sex, facts in told.items()
    }
    assert status == {"male": "clear", "female": "not assessed"}
    assert all(not is_model_input(EPISODES[name]) for name in NOT_OF_MEN)
