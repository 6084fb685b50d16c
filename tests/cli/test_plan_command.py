"""The plan command: text, JSON and files, and one line with exit code 2 for what cannot be read."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

BUNDLES = Path(__file__).resolve().parents[1] / "golden" / "bundles" / "format2.zip"


@pytest.fixture
def patient(tmp_path: Path) -> str:
    (tmp_path / "patient.yaml").write_text("indication: lumbar_facet\nage_years: 60\nactive_infection: false\n")
    return "patient.yaml"


def test_text_names_groups_missing_facts_and_sources(tell, patient):
    code, out, err = tell("plan", patient)
    assert (code, err) == (0, "")
    assert "facet_rfa): indicated" in out
    assert "missing: cardiac_device" in out
    assert "civelek2012" in out


def test_json_holds_the_same(tell, patient, tmp_path):
    _, out, _ = tell("plan", patient, "--json", "--month", "12")
    told = json.loads(out)
    assert (told["month"], told["indication"]) == (12.0, "lumbar_facet")
    assert tell("plan", patient, "--json", "-o", "plan.json")[1] == "written: plan.json\n"
    assert json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))["format"] == told["format"]


@pytest.mark.parametrize("name", ["patient.json", "patient.csv"])
def test_a_patient_in_another_form_has_the_same_plan(tell, patient, tmp_path, name):
    (tmp_path / "patient.json").write_text('{"indication": "lumbar_facet", "age_years": 60, "active_infection": false}')
    (tmp_path / "patient.csv").write_text("indication,age_years,active_infection\nlumbar_facet,60,no\n")
    assert tell("plan", name)[:2] == tell("plan", patient)[:2]


def test_weights_and_prices_are_files(tell, patient, tmp_path):
    (tmp_path / "weights.yaml").write_text("weights: {visits: 1, relief: 3}\n")
    (tmp_path / "prices.yaml").write_text(
        "prices: {facet_rfa: {amount: 900, currency: EUR, year: 2025, source: our ward}}\n"
    )
    code, out, _ = tell("plan", patient, "--preferences", "weights.yaml", "--prices", "prices.yaml")
    assert code == 0
    assert "relief has no say" in out
    assert "900 EUR of 2025" in out


def test_models_answer_where_they_can(tell, patient, tmp_path):
    with zipfile.ZipFile(BUNDLES) as archive:
        archive.extractall(tmp_path)
    with (tmp_path / patient).open("a", encoding="utf-8") as file:
        file.write("pain_nrs: 7\n")
    code, out, _ = tell("plan", patient, "--models", "linear", "--json")
    assert code == 0
    told = {item["technique"]: item for item in json.loads(out)["techniques"]}
    expected = {item["outcome"]: item for item in told["facet_rfa"]["expected"]}
    assert set(expected) == {"pain_change", "pain_response", "relief_duration"}
    figure = expected["pain_response"]["figure"]
    assert figure["basis"] == "synthetic"
    assert figure["source"][0].startswith("model ")
    assert figure["lower"] < figure["value"] < figure["upper"]
    assert (figure["confidence"], figure["interval"]) == (0.9, "90 % interval for this patient")
    [other] = told["facet_joint_injection"]["expected"]
    assert (other["figure"]["confidence"], other["figure"]["interval"][:13]) == (0.95, "95 % interval")
    assert figure["month"] == json.loads(out)["month"]
    assert told["facet_joint_injection"]["expected"][0]["figure"]["basis"] == "published"


def test_a_model_that_abstains_says_why_and_what_it_lacks(tell, patient, tmp_path):
    with zipfile.ZipFile(BUNDLES) as archive:
        archive.extractall(tmp_path)
    told = json.loads(tell("plan", patient, "--models", "linear", "--json")[1])
    [item] = [item for item in told["techniques"] if item["technique"] == "facet_rfa"]
    figures = {expected["outcome"]: expected["figure"] for expected in item["expected"]}
    assert figures["pain_response"]["basis"] == "published"
    assert figures["pain_change"]["value"] is None
    assert all("the model abstains: pain_nrs" in figure["note"] for figure in figures.values())
    assert "pain_nrs" in {item["column"] for item in told["work_up"] if item["kind"] == "model"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("indication: sore knees\n", "PC-PLANNING-02"),
        ("- 1\n", "PC-PLANNING-04"),
        ("a: [\n", "PC-FILES-08"),
        ("colour: red\n", "PC-COHORT-07"),
        ("indication: crps\nage_years: {a: 1}\n", "PC-COHORT-13"),
    ],
)
def test_a_patient_that_cannot_be_read_is_one_line(tell, tmp_path, content, code):
    (tmp_path / "patient.yaml").write_text(content)
    exit_code, out, err = tell("plan", "patient.yaml")
    assert (exit_code, out) == (2, "")
    assert code in err
    assert err.count("\n") == 1
    assert "sore" not in err


def test_facts_that_contradict_and_an_unknown_column_still_give_a_plan(tell, tmp_path):
    (tmp_path / "patient.yaml").write_text(
        "indication: knee_osteoarthritis\ntechnique: celiac_plexus_neurolysis\nsex: male\npregnant: true\nagee: 9\n"
    )
    code, out, _ = tell("plan", "patient.yaml")
    assert code == 0
    assert "impossible: a pregnant man" in out
    assert "the technique does not treat the indication" in out
    assert "not used: agee" in out


@pytest.mark.parametrize(
    ("option", "content", "code"),
    [
        ("preferences", "weights: {visits: 1.0e-320}\n", "PC-REGISTRY-14"),
        (
            "prices",
            "prices: {facet_rfa: {amount: 1.0e+300, currency: EUR, year: 2025, source: us}}\n",
            "PC-REGISTRY-14",
        ),
        ("prices", "prices: {facet_rfa: {amount: 9, currency: <b>, year: 2025, source: us}}\n", "PC-REGISTRY-14"),
        (
            "prices",
            'prices: {facet_rfa: {amount: "9\\n\\e[31m", currency: EUR, year: 1, source: us}}\n',
            "PC-REGISTRY-14",
        ),
        ("comparison", '{"passed": true, "passed": false}', "PC-FILES-72"),
        ("comparison", '{"verdict": "answered"}', "PC-PLANNING-10"),
    ],
)
def test_what_is_stated_out_of_its_limits_is_one_line(tell, patient, tmp_path, option, content, code):
    (tmp_path / "stated").write_text(content)
    exit_code, out, err = tell("plan", patient, f"--{option}", "stated")
    assert (exit_code, out) == (2, "")
    assert code in err
    assert err.count("\n") == 1
    assert "\x1b" not in err
