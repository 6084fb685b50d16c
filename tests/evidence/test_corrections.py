"""Figures that earlier records had wrong stand in the extraction table as published."""

from __future__ import annotations

from typing import Any

import pytest

from paincast.evidence import load_record, load_records, load_sources
from paincast.evidence.comparators import choose_comparator, explain_silence
from paincast.evidence.synthesis.extraction import load_studies

RESULTS = [
    # control arms, each over its own patients, at the month and by the definition of the study
    ("nandi2017", "placebo", "global_improvement", 1.0, {"events": 8, "n": 46, "denominator": "treated"}),
    ("nandi2017", "placebo", "global_improvement", 3.0, {"events": 22, "n": 46, "denominator": "treated"}),
    ("nandi2017", "steroid", "global_improvement", 3.0, {"events": 28, "n": 47, "denominator": "treated"}),
    ("process2007", "medical", "pain_relief_50", 6.0, {"events": 4, "n": 44, "denominator": "seen"}),
    ("process2007", "medical", "pain_relief_50", 12.0, {"share": 0.07}),
    ("process2008", "medical", "pain_relief_50", 24.0, {"events": 1, "n": 41, "denominator": "seen"}),
    ("vanwijk2005", "sham", "composite_response", 3.0, {"events": 12, "n": 41}),
    ("vanwijk2005", "rfa", "composite_response", 3.0, {"events": 11, "n": 40}),
    ("vankleef1999", "sham", "composite_response", 2.0, {"events": 6, "n": 16}),
    ("lambert2007", "placebo", "pain_relief_50", 2.0, {"events": 3, "n": 21}),
    ("ghahreman2010", "anaesthetic", "pain_relief_50", 1.0, {"events": 2, "n": 27}),
    ("ghahreman2010", "saline", "pain_relief_50", 1.0, {"events": 7, "n": 37}),
    ("ghahreman2010", "muscle_steroid", "pain_relief_50", 1.0, {"events": 6, "n": 28}),
    ("ghahreman2010", "muscle_saline", "pain_relief_50", 1.0, {"events": 4, "n": 30}),
    ("arden2005", "steroid", "function_response", 0.75, {"share": 0.125}),
    ("arden2005", "placebo", "function_response", 0.75, {"share": 0.037}),
    ("davis2018", "steroid", "pain_relief_50", 6.0, {"events": 11, "n": 68, "denominator": "seen"}),
    ("meng2015", "anaesthetic", "pain_relief_50", None, {"share": 0.564}),
    ("meng2015", "steroid", "pain_relief_50", None, {"share": 0.537}),
    # responses that were missing, or had another denominator or definition
    ("process2007", "scs", "pain_relief_50", 6.0, {"events": 24, "n": 50, "denominator": "seen"}),
    ("process2007", "scs", "pain_relief_50", 12.0, {"share": 0.34}),
    ("lambert2007", "steroid", "pain_relief_50", 2.0, {"events": 19, "n": 31}),
    ("davis2018", "cooled_rfa", "pain_relief_50", 6.0, {"events": 43, "n": 58, "denominator": "seen"}),
    ("davis2019", "cooled_rfa", "pain_relief_50", 12.0, {"events": 34, "n": 52, "denominator": "seen"}),
    ("cohen2010", "no_block", "composite_response", 3.0, {"events": 17, "n": 51, "denominator": "randomised"}),
    ("cohen2010", "one_block", "composite_response", 3.0, {"events": 8, "n": 50, "denominator": "randomised"}),
    ("cohen2010", "two_blocks", "composite_response", 3.0, {"events": 11, "n": 50, "denominator": "randomised"}),
    ("cohen2010", "no_block", "composite_response", 3.0, {"share": 0.33, "denominator": "treated"}),
    ("cohen2010", "one_block", "composite_response", 3.0, {"share": 0.39, "denominator": "treated"}),
    ("cohen2010", "two_blocks", "composite_response", 3.0, {"share": 0.64, "denominator": "treated"}),
    ("streitberger2011", "rfa", "pain_relief_50", 0.5, {"share": 0.76, "n": 41, "denominator": "seen"}),
    ("streitberger2011", "rfa", "pain_relief_50", 6.0, {"share": 0.32, "n": 41, "denominator": "seen"}),
    ("streitberger2011", "rfa", "pain_relief_50", 12.0, {"share": 0.22, "n": 41, "denominator": "seen"}),
    ("stelzer2013", "rfa", "pain_relief_50", 5.0, {"share": 0.86}),
    ("stelzer2013", "rfa", "pain_relief_50", 9.0, {"share": 0.71}),
    ("stelzer2013", "rfa", "pain_relief_50", 12.0, {"share": 0.48}),
    ("cohen2024sij", "rfa", "pain_relief_other", 3.0, {"share": 0.523}),
    ("cohen2024sij", "medical", "pain_relief_other", 3.0, {"share": 0.043}),
    ("cohen2024sij_12m", "rfa", "composite_response", 12.0, {"share": 0.574, "denominator": "seen"}),
    ("accurate2017", "drg", "pain_relief_50", 3.0, {"events": 56, "n": 69, "denominator": "entering"}),
    ("accurate2017", "tonic", "pain_relief_50", 3.0, {"events": 39, "n": 70, "denominator": "entering"}),
    ("accurate2017", "drg", "pain_relief_50", 12.0, {"share": 0.742}),
    ("accurate2017", "tonic", "pain_relief_50", 12.0, {"share": 0.53}),
    ("kirketeig2023", "scs", "pain_relief_30", 12.0, {"share": 0.48}),
    ("kumar2006", "scs", "selection", 0.0, {"events": 328, "n": 410, "denominator": "entering"}),
    ("kumar2006", "scs", "pain_relief_other", 97.6, {"events": 243, "n": 328, "denominator": "implanted"}),
    ("rocha2020", "shp", "pain_relief_other", 1.0, {"events": 107, "n": 180}),
    ("rocha2020", "shp", "pain_relief_other", 3.0, {"events": 100, "n": 180}),
    ("rocha2020", "shp", "pain_relief_other", 6.0, {"events": 88, "n": 180}),
    ("riew2000", "steroid", "surgery_avoided", None, {"events": 20, "n": 28, "month_range": (13, 28)}),
    ("riew2000", "anaesthetic", "surgery_avoided", None, {"events": 9, "n": 27, "month_range": (13, 28)}),
    # means and changes
    ("stelzer2017", "rfa", "pain_change", 6.0, {"mean": -4.0, "n": 73}),
    ("stelzer2017", "rfa", "pain_change", 12.0, {"mean": -4.5, "n": 89}),
    ("stelzer2017", "rfa", "opioid_dose", None, {"mean": -40.0}),
    ("cohen2024sij", "rfa", "pain_change", 3.0, {"mean": -2.5, "sd": 2.5}),
    ("cohen2024sij", "medical", "pain_change", 3.0, {"mean": -0.4, "sd": 1.7}),
    ("cohen2022", "all", "pain_change", 1.0, {"mean": -1.8, "sd": 2.6, "n": 346}),
    ("wyse2011", "early", "pain_change", 1.0, {"mean": -28.9, "ci95": (-67.0, 2.8)}),
    ("wong2004", "block", "pain", 0.0, {"mean": 4.4, "sd": 1.7}),
    ("wong2004", "sham", "pain", 0.0, {"mean": 4.1, "sd": 1.8}),
    ("kanno2020", "cpn", "pain", 1.0, {"mean": 1.3, "sd": 1.3, "n": 24}),
    ("kanno2020", "drugs", "pain", 1.0, {"mean": 2.3, "sd": 2.3, "n": 22}),
]

PRINTED = [
    # counts that follow from a printed percentage
    ("process2007", "medical", "pain_relief_50", 6.0, 0.09),
    ("ghahreman2010", "anaesthetic", "pain_relief_50", 1.0, 0.07),
    ("ghahreman2010", "saline", "pain_relief_50", 1.0, 0.19),
    ("ghahreman2010", "muscle_steroid", "pain_relief_50", 1.0, 0.21),
    ("ghahreman2010", "muscle_saline", "pain_relief_50", 1.0, 0.13),
    ("cohen2010", "no_block", "composite_response", 3.0, 0.33),
    ("cohen2010", "one_block", "composite_response", 3.0, 0.16),
    ("cohen2010", "two_blocks", "composite_response", 3.0, 0.22),
]

NEVER_REPORTED = [
    ("riew2000", "pain_relief_50"),
    ("stelzer2013", "pain_change"),
    ("stelzer2013", "function_change"),
    ("stelzer2017", "opioid_reduction"),
    ("kirketeig2023", "pain_relief_50"),
]

ASSOCIATIONS = [
    ("arden2005", "clinical predictors (none found)", "function_response", None, {"direction": "none", "n": 228}),
    (
        "malaithong2023",
        "radiofrequency against sham, both with steroid",
        "pain",
        12.0,
        {"direction": "none", "p": 0.4, "n": 64},
    ),
    ("streitberger2011", "depression", "duration_months", None, {"direction": "worse", "value": 2.97, "n": 41}),
    (
        "streitberger2011",
        "joints treated, each",
        "duration_months",
        None,
        {"direction": "worse", "value": 1.95, "ci95": (1.14, 3.33), "adjusted_for": ""},
    ),
    (
        "streitberger2011",
        "joints treated, each, beside another factor",
        "duration_months",
        None,
        {"direction": "none", "column": "treated_levels"},
    ),
    (
        "streitberger2011",
        "earlier surgery, beside another factor",
        "duration_months",
        None,
        {"direction": "none", "column": "prior_spine_surgery"},
    ),
    (
        "vaneijs2010",
        "more brush-evoked allodynia (mean and maximum)",
        "composite_response",
        12.0,
        {"direction": "worse", "column": "brush_allodynia", "n": 36},
    ),
    ("vaneijs2010", "age", "composite_response", 12.0, {"direction": "none", "column": "age_years", "n": 36}),
    (
        "vaneijs2010",
        "duration of the disease",
        "composite_response",
        12.0,
        {"direction": "none", "column": "pain_duration_months", "n": 36},
    ),
    ("vaneijs2010", "site of the disease", "composite_response", 12.0, {"direction": "none", "n": 36}),
    ("vaneijs2010", "intensity of pain", "composite_response", 12.0, {"direction": "none", "column": "pain_nrs"}),
    ("kumar2006", "age", "pain_relief_other", None, {"direction": "none", "column": "age_years", "n": 410}),
    (
        "kumar2006",
        "number of operations before the implant",
        "pain_relief_other",
        None,
        {"direction": "none", "column": "spine_operations", "n": 410},
    ),
    ("wong2004", "neurolytic block against sham", "pain", None, {"direction": "better", "p": 0.01, "n": 100}),
    ("wong2004", "neurolytic block against sham", "opioid_dose", None, {"direction": "none", "p": 0.93, "n": 100}),
    ("wong2004", "neurolytic block against sham", "quality_of_life", None, {"direction": "none", "p": 0.46}),
    ("kanno2020", "neurolysis against opioids alone", "pain", None, {"direction": "none"}),
    (
        "riew2006",
        "betamethasone with bupivacaine against bupivacaine alone",
        "surgery_avoided",
        60.0,
        {"direction": "none", "n": 21},
    ),
    ("iversen2011", "caudal steroid or saline against sham", "function", 3.0, {"direction": "none", "n": 116}),
    ("smith2020", "steroid with particles against without", "pain_relief_50", None, {"direction": "none"}),
]

HARMS = [
    ("kornick2004", "local pain for more than 2 weeks", "rfa", {"events": 3, "n": 116, "per": "procedure"}),
    ("kornick2004", "neuritic pain for less than 2 weeks", "rfa", {"events": 3, "n": 116, "per": "procedure"}),
    ("singh2019", "neuritis within 6 weeks", "steroid", {"events": 5, "n": 77, "per": "patient"}),
    ("singh2019", "neuritis within 6 weeks", "no_steroid", {"events": 6, "n": 87, "per": "patient"}),
    ("gupta2021", "lead migration with loss of relief and operation within 6 months", "hf10", {"share": 0.0}),
    ("west2023", "lead migration", "scs", {"share": 0.0997, "ci95": (0.0762, 0.1259), "n": 2932, "per": "patient"}),
    (
        "friedly2018",
        "morning cortisol down by more than half at 3 weeks",
        "steroid",
        {"events": 32, "n": 158, "per": "patient"},
    ),
    (
        "friedly2018",
        "morning cortisol down by more than half at 3 weeks",
        "anaesthetic",
        {"share": 0.067, "per": "patient"},
    ),
]

ARMS = [
    ("process2007", "scs", {"n_randomised": 52}),
    ("process2008", "medical", {"n_randomised": 48, "n_seen": 41, "kind": "usual care"}),
    ("davis2018", "cooled_rfa", {"n_randomised": 76}),
    ("davis2018", "steroid", {"n_randomised": 75, "kind": "other technique"}),
    ("streitberger2011", "rfa", {"n_treated": 44, "n_seen": 41}),
    ("kornick2004", "rfa", {"n_treated": 92}),
    ("mekhail2018", "smokers", {"n_treated": 62}),
    ("mekhail2018", "scs", {"n_treated": 213}),
    ("levy2020", "drg", {"n_treated": 73}),
    ("levy2020", "tonic", {"n_treated": 72}),
    ("meng2015", "anaesthetic", {"kind": "local anaesthetic"}),
]

INDICATIONS = [
    ("nandi2017", {"lumbar_radicular_disc"}),
    ("iversen2011", {"lumbar_radicular_disc"}),
    ("kumar2006", {"failed_back_surgery", "crps", "other_neuropathic"}),
    ("stelzer2017", {"lumbar_facet", "sacroiliac_joint"}),
]


def holds(entry: Any, expected: dict[str, Any]) -> bool:
    given = {name: getattr(entry, name) for name in expected}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()} == expected


@pytest.mark.parametrize(("study", "arm", "outcome", "month", "expected"), RESULTS)
def test_a_result_is_as_published(study, arm, outcome, month, expected):
    results = load_studies()[study].results
    at = [result for result in results if (result.arm, result.outcome, result.month) == (arm, outcome, month)]
    assert any(holds(result, expected) for result in at), at


@pytest.mark.parametrize(("study", "arm", "outcome", "month", "printed"), PRINTED)
def test_a_count_gives_the_percentage_that_was_printed(study, arm, outcome, month, printed):
    results = load_studies()[study].results
    at = [result for result in results if (result.arm, result.outcome, result.month) == (arm, outcome, month)]
    assert printed in [round(result.events / result.n, 2) for result in at if result.n]


@pytest.mark.parametrize(("study", "outcome"), NEVER_REPORTED)
def test_what_a_study_did_not_report_has_no_row(study, outcome):
    assert not [result for result in load_studies()[study].results if result.outcome == outcome]


@pytest.mark.parametrize(("study", "of", "outcome", "month", "expected"), ASSOCIATIONS)
def test_an_association_is_as_published(study, of, outcome, month, expected):
    associations = load_studies()[study].associations
    about = [entry for entry in associations if (entry.of, entry.outcome, entry.month) == (of, outcome, month)]
    assert any(holds(entry, expected) for entry in about), about


@pytest.mark.parametrize(("study", "event", "arm", "expected"), HARMS)
def test_a_harm_is_as_published(study, event, arm, expected):
    harms = [harm for harm in load_studies()[study].harms if (harm.event, harm.arm) == (event, arm)]
    assert any(holds(harm, expected) for harm in harms), harms


@pytest.mark.parametrize(("study", "arm", "expected"), ARMS)
def test_an_arm_has_the_patients_of_the_publication(study, arm, expected):
    entry = load_studies()[study].arms[arm]
    assert holds(entry, expected), entry


@pytest.mark.parametrize(("study", "indications"), INDICATIONS)
def test_the_patients_of_a_study_had_these_indications(study, indications):
    assert set(load_studies()[study].indications) == indications


def find(technique, indication, approach=None):
    return load_record(technique, indication, approach)


@pytest.mark.parametrize(
    ("technique", "indication"),
    [
        ("celiac_plexus_neurolysis", "pancreatic_cancer"),
        ("hypogastric_plexus_neurolysis", "pelvic_cancer"),
        ("trigeminal_rhizotomy", "trigeminal_neuralgia"),
    ],
)
def test_the_bleeding_class_is_one_that_the_guideline_has(technique, indication):
    assert find(technique, indication).bleeding_class == "intermediate"


def test_clotting_is_a_rule_of_every_technique_and_a_failed_test_bars_the_implant():
    for record in load_records():
        if record.response:
            [rule] = [item for item in record.contraindications if item.name == "coagulopathy"]
            assert (rule.level, rule.source) == ("relative", "sir2019")
    for indication in ("crps", "failed_back_surgery", "other_neuropathic"):
        record = find("spinal_cord_stimulation", indication)
        [rule] = [item for item in record.contraindications if item.name == "failed_stimulation_trial"]
        assert (rule.level, rule.when) == ("absolute", {"column": "stimulation_trial_success", "is": False})


@pytest.mark.parametrize(
    ("technique", "indication", "approach"),
    [
        ("epidural_steroid_injection", "lumbar_radicular_disc", "transforaminal"),
        ("epidural_steroid_injection", "lumbar_stenosis", "transforaminal"),
        ("nerve_root_block", "other_radicular", None),
    ],
)
def test_the_foraminal_route_carries_the_warning_of_2014(technique, indication, approach):
    warned = [item for item in find(technique, indication, approach).complications if item.source == "fda2014"]
    assert [item.kind for item in warned] == ["neurological_catastrophe"]


def test_changes_are_those_of_the_studies_named():
    changes = {
        record.id: {(item.source, item.measure, item.change, item.month) for item in record.expected_change}
        for record in load_records()
    }
    celiac = changes["celiac_plexus_neurolysis__pancreatic_cancer"]
    assert not [item for item in celiac if item[:2] == ("wyse2011", "pain_nrs")]
    assert ("cohen2024sij", "pain_nrs", -2.5, 3) in changes["si_joint_rfa__sacroiliac_joint"]
    assert not [item for item in changes["facet_rfa__lumbar_facet"] if item[1] == "opioid_users"]
    months = {item[3] for item in changes["esi_transforaminal__lumbar_radicular_disc"] if item[0] == "cohen2022"}
    assert months <= {1}


def test_what_was_left_out_is_told():
    celiac = find("celiac_plexus_neurolysis", "pancreatic_cancer")
    assert {"wong2004", "kanno2020"} <= {item.source for item in celiac.findings}
    assert "vaneijs2010" in {item.source for item in find("spinal_cord_stimulation", "crps").null_findings}
    smoker = find("spinal_cord_stimulation", "failed_back_surgery").baseline["smoker"]
    assert smoker.share == pytest.approx(62 / 213, abs=1e-3)
    assert load_sources()["rocha2020"].citation.startswith("Hernandez-Porras")


@pytest.mark.parametrize(
    ("technique", "indication", "approach", "month", "told"),
    [
        ("epidural_steroid_injection", "lumbar_radicular_disc", "caudal", 3.0, "22 of 46"),
        ("epidural_steroid_injection", "lumbar_stenosis", "caudal", 3.0, "48 against 46 %"),
        ("epidural_steroid_injection", "lumbar_stenosis", "transforaminal", 3.0, "56.4 %"),
        ("epidural_steroid_injection", "lumbar_radicular_disc", "interlaminar", 3.0, "12.5 against 3.7 %"),
        ("nerve_root_block", "other_radicular", None, 1.0, "avoided surgery"),
        ("facet_rfa", "lumbar_facet", None, 6.0, "12 of 41"),
        ("genicular_rfa", "knee_osteoarthritis", None, 3.0, "no difference from sham"),
        ("spinal_cord_stimulation", "crps", None, 12.0, "much improved"),
    ],
)
def test_no_control_stands_in_for_another_month_outcome_or_arm(technique, indication, approach, month, told):
    record = find(technique, indication, approach)
    assert choose_comparator(record.own_comparators, "pain_response", month) is None
    assert told in explain_silence(record.own_comparators, "pain_response", month, record.without)


def test_controls_that_fit_are_those_counted():
    hip = choose_comparator(find("joint_injection", "hip_osteoarthritis").own_comparators, "pain_response", 2.0)
    assert hip is not None
    assert (hip.n, hip.kind, hip.month) == (21, "placebo injection", 2)
    assert hip.share == pytest.approx(3 / 21, abs=1e-4)
    foraminal = find("epidural_steroid_injection", "lumbar_radicular_disc", "transforaminal").own_comparators
    saline = choose_comparator(foraminal, "pain_response", 1.0)
    assert saline is not None
    assert saline.share == pytest.approx(11 / 67, abs=1e-4)
    after = find("spinal_cord_stimulation", "failed_back_surgery").own_comparators
    assert choose_comparator(after, "pain_response", 24.0) is None, "most controls had crossed over by then"
    usual = choose_comparator(after, "pain_response", 6.0)
    assert usual is not None
    assert usual.source == ("process2007", "promise2019")
