"""Who gets an answer: every contraindication of every record fires, does not fire, or says that it is not assessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from paincast.cohort.tables import conform
from paincast.eligibility import assess_condition, assess_contraindications, assess_technique
from paincast.errors import DataError
from paincast.evidence import Contraindication, load_records, simulated_techniques
from paincast.evidence.figures import Record
from paincast.evidence.rules import TechniqueRules, check_rules, collect_rules, renew_rules
from paincast.reporting.evidence.blocks import Paragraph
from paincast.reporting.evidence.card import build_card
from paincast.schema import EPISODES

Values = dict[str, Any]
RULES = [(record, rule) for record in load_records() for rule in record.contraindications]


def _reach(condition: Any, holds: bool) -> Iterator[Values]:
    """Make values of which a condition holds, or does not: for a choice of parts, one set for each part alone."""
    if "column" in condition:
        yield {condition["column"]: _meet(condition, holds)}
        return
    [(combination, parts)] = condition.items()
    if (combination == "any") == holds:
        for part in parts:
            yield from _reach(part, holds)
    else:
        merged: Values = {}
        for part in parts:
            merged |= next(_reach(part, holds))
        yield merged


def _meet(condition: Any, holds: bool) -> Any:
    column = EPISODES[condition["column"]]
    if "is" in condition:
        return condition["is"] == holds
    if "any_of" in condition:
        return next(name for name in column.categories if (name in condition["any_of"]) == holds)
    assert column.low is not None
    bound = condition.get("at_least", condition.get("below"))
    return bound if ("at_least" in condition) == holds else (column.low + bound) / 2


def _list_implying(condition: Any) -> list[str]:
    """List the indications of which a condition holds whatever else is known."""
    if "column" in condition:
        return list(condition["any_of"]) if condition["column"] == "indication" else []
    return [name for part in condition.get("any", ()) for name in _list_implying(part)]


def _patients(technique: str, indication: str | None, values: list[Values]) -> pd.DataFrame:
    rows = [
        {"episode_id": f"e{n}", "patient_id": f"p{n}", "technique": technique, "indication": indication, **own}
        for n, own in enumerate(values)
    ]
    return conform("episodes", pd.DataFrame(rows))


@pytest.mark.slow
@pytest.mark.parametrize(("record", "rule"), RULES, ids=[f"{record.id}-{rule.name}" for record, rule in RULES])
def test_every_rule_fires_does_not_fire_or_is_not_assessed(record: Record, rule: Contraindication) -> None:
    assert record.contraindications
    fires, spares = list(_reach(rule.when, True)), list(_reach(rule.when, False))
    column = "ineligible_because" if rule.level == "absolute" else "cautions"
    for indication in record.indications:
        patients = _patients(record.technique, indication, [*fires, *spares, {}])
        assessed = assess_technique(record.technique, patients)
        told = assessed[column].str.split("; ").map(lambda reasons: rule.reason in "; ".join(reasons))
        unknown = assessed["not_assessed"].str.split("; ").map(lambda labels: rule.label in labels)
        implied = patients["indication"].isin(_list_implying(rule.when)).tolist()
        holds = [True] * len(fires) + [False] * (len(spares) + 1)
        assert told.tolist() == [one or by_indication for one, by_indication in zip(holds, implied, strict=True)]
        assert unknown.tolist() == [False] * (len(fires) + len(spares)) + [not implied[-1]]
        assert (assessed["eligible"] == (assessed["ineligible_because"] == "")).all()
        if rule.level == "absolute":
            assert not assessed["eligible"].iloc[: len(fires)].any()


def list_columns(condition: Mapping[str, Any]) -> set[str]:
    parts = [part for word in ("any", "all") for part in condition.get(word, ())]
    return {condition["column"]} if "column" in condition else set().union(*map(list_columns, parts))


def test_every_column_of_a_rule_is_declared_as_known_before() -> None:
    columns = {name for _, rule in RULES for name in list_columns(rule.when)}
    assert {EPISODES[name].timing for name in columns} == {"before"}
    assert columns >= {
        "inr",
        "platelets_10e9_per_l",
        "coagulation_disorder",
        "life_expectancy_months",
        "active_psychosis",
    }
    assert columns >= {"bowel_obstruction", "systolic_blood_pressure_mmhg", "peripheral_artery_disease"}
    assert columns >= {"egfr_ml_min_1_73m2", "stimulation_trial_success"}
    unused = {name for name, column in EPISODES.items() if column.role == "safety"} - columns
    assert not unused


@pytest.mark.parametrize(
    "record",
    [record for record in load_records() if record.technique in simulated_techniques()],
    ids=lambda record: record.id,
)
def test_the_card_names_the_rules_of_the_prediction(record: Record) -> None:
    card = build_card(record.technique, indication=record.indication)
    [section] = [part for part in card.sections if part.heading == "Contraindications"]
    shown = {
        (block.label.rstrip(":").lower(), line.text)
        for block in section.blocks
        if isinstance(block, Paragraph)
        for line in block.lines
    }
    rules = [rule for rule in _rules_of(record.technique) if record.indication in rule["indications"]]
    assert {rule["name"] for rule in rules} == {item.name for item in record.contraindications}
    for rule in rules:
        assert any(level == rule["level"] and text.startswith(rule["reason"]) for level, text in shown)


def _rules_of(technique: str) -> tuple[dict[str, Any], ...]:
    rules: TechniqueRules = collect_rules(technique, "pain_response")
    return rules.contraindications


@pytest.mark.parametrize(
    ("technique", "indication", "values", "told"),
    [
        ("epidural_steroid_injection", "lumbar_stenosis", {"inr": 1.6}, True),
        ("epidural_steroid_injection", "lumbar_stenosis", {"inr": 1.2, "platelets_10e9_per_l": 49}, True),
        ("epidural_steroid_injection", "lumbar_stenosis", {"inr": 1.2, "platelets_10e9_per_l": 50}, False),
        ("facet_rfa", "lumbar_facet", {"inr": 1.6, "platelets_10e9_per_l": 20}, False),
        ("facet_rfa", "lumbar_facet", {"inr": 2.4}, True),
        ("facet_rfa", "lumbar_facet", {"platelets_10e9_per_l": 19}, True),
        ("genicular_artery_embolization", "knee_osteoarthritis", {"inr": 1.8}, True),
        ("genicular_artery_embolization", "knee_osteoarthritis", {"inr": 1.7, "platelets_10e9_per_l": 30}, False),
        ("celiac_plexus_neurolysis", "pancreatic_cancer", {"platelets_10e9_per_l": 40}, True),
        ("trigeminal_rhizotomy", "trigeminal_neuralgia", {"coagulation_disorder": True}, True),
    ],
)
def test_bounds_of_clotting_follow_the_bleeding_class(
    technique: str, indication: str, values: Values, told: bool
) -> None:
    cautions = assess_technique(technique, _patients(technique, indication, [values]))["cautions"].iloc[0]
    assert ("blood clotting" in cautions) == told


def test_a_rule_of_one_record_concerns_its_indications_and_whoever_no_record_covers() -> None:
    stimulation = "spinal_cord_stimulation"
    values = [{"life_expectancy_months": 6}]
    told = {
        indication: assess_technique(stimulation, _patients(stimulation, indication, values))["cautions"].iloc[0]
        for indication in ("failed_back_surgery", "crps", "other_neuropathic", "hip_osteoarthritis", None)
    }
    about = {indication for indication, cautions in told.items() if "life expectancy" in cautions}
    assert about == {"failed_back_surgery", "hip_osteoarthritis", None}


def test_what_is_unknown_decides_only_where_nothing_else_does() -> None:
    either = {"any": [{"column": "pregnant", "is": True}, {"column": "inr", "at_least": 2}]}
    both = {"all": either["any"]}
    patients = _patients(
        "facet_rfa",
        None,
        [{"pregnant": True}, {"pregnant": False}, {"inr": 1.0}, {"pregnant": False, "inr": 1.0}, {"inr": 3.0}, {}],
    )
    assert assess_condition(either, patients).astype(object).fillna("?").tolist() == [True, "?", "?", False, True, "?"]
    assert assess_condition(both, patients).astype(object).fillna("?").tolist() == ["?", False, False, False, "?", "?"]
    assert assess_condition(both, patients.drop(columns=["inr", "pregnant"])).isna().all()


def test_without_evidence_on_a_technique_nobody_is_called_eligible() -> None:
    assessed = assess_technique("bariatric_embolization", _patients("bariatric_embolization", None, [{}]))
    assert assessed["eligible"].isna().all()


def test_rules_of_an_older_bundle_give_way_to_those_of_today() -> None:
    older = {"column": "active_infection", "level": "absolute", "reason": "infection"}
    for held in ((older,), ()):
        rules = TechniqueRules(indications=("crps",), contraindications=held)
        renewed = renew_rules("spinal_cord_stimulation", "pain_response", rules)
        assert renewed.contraindications == _rules_of("spinal_cord_stimulation")
        assert renewed.indications == ("crps",)
    today = collect_rules("facet_rfa", "pain_response")
    assert renew_rules("facet_rfa", "pain_response", today) is today


def test_controls_of_an_older_bundle_give_way_to_comparators() -> None:
    """They had neither month nor kind of arm, and stood for every outcome."""
    older = {"indication": "crps", "approach": None, "probability": 0.17}
    today = collect_rules("spinal_cord_stimulation", "pain_response")
    renewed = renew_rules("spinal_cord_stimulation", "pain_response", replace(today, controls=(older,), remarks=()))
    assert today.controls
    assert renewed == today
    of_function = renew_rules("spinal_cord_stimulation", "function_response", replace(today, controls=(older,)))
    assert of_function.controls == ()
    assert renew_rules("spinal_cord_stimulation", "pain_response", today) is today


@pytest.mark.parametrize(
    "broken",
    [
        {"arm": "another technique"},
        {"month": 0},
        {"month": "6"},
        {"probability": 1.2},
        {"lower": 0.9},
        {"n": True},
        {"source": "process2007"},
        {"definition": None},
        {"more": 1},
    ],
)
def test_controls_that_cannot_be_shown_are_refused(broken: Values) -> None:
    rules = collect_rules("spinal_cord_stimulation", "pain_response")
    check_rules(rules)
    [control, *_] = rules.controls
    with pytest.raises(DataError, check=lambda error: error.code == "PC-ELIGIBILITY-04"):
        check_rules(replace(rules, controls=({**control, **broken},)))


@pytest.mark.parametrize("broken", [{"when": {"column": "nothing", "is": True}}, {"reason": None, "more": 1}])
def test_rules_that_cannot_be_assessed_are_refused(broken: Values) -> None:
    [rule, *_] = _rules_of("facet_rfa")
    with pytest.raises(DataError, match="contraindication 1 of the bundle"):
        check_rules(TechniqueRules(indications=("lumbar_facet",), contraindications=({**rule, **broken},)))


def test_missing_values_of_a_rule_are_assessed_row_by_row() -> None:
    rules = collect_rules("spinal_cord_stimulation", "pain_response")
    patients = _patients(
        "spinal_cord_stimulation",
        "failed_back_surgery",
        [{"stimulation_trial_success": value} for value in (False, True, None)],
    )
    assessed = assess_contraindications(rules, patients)
    assert assessed["eligible"].tolist() == [False, True, True]
    assert assessed["ineligible_because"].tolist() == ["the test stimulation failed", "", ""]
    assert [("test stimulation" in labels) for labels in assessed["not_assessed"]] == [False, False, True]


def test_what_an_indication_implies_counts_as_known() -> None:
    """A prediction says the same as a plan: after failed back surgery nobody has to tell of an operation."""
    episodes = conform("episodes", pd.DataFrame({"indication": ["failed_back_surgery", "crps", None]}))
    assessed = assess_technique("spinal_cord_stimulation", episodes)
    assert ["operation on the spine" in text for text in assessed["cautions"]] == [True, False, False]
    assert ["spinal deformity" in text for text in assessed["not_assessed"]] == [False, True, True]
