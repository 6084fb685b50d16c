"""FHIR R4: bundles and NDJSON of patients, procedures, observations and answers become a cohort."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paincast.cohort.long.fhir.elements import list_names, read_value
from paincast.cohort.long.fhir.flatten import flatten_answers, flatten_observation, flatten_procedure
from paincast.cohort.long.fhir.references import Patients, read_reference
from paincast.cohort.long.fhir.resources import BadResource, read_resources
from paincast.cohort.registry.ambiguous_codes import AMBIGUOUS_CODES
from paincast.cohort.registry.ingest import describe_ingestion
from paincast.cohort.registry.ingestion import ingest
from paincast.cohort.rejects import compute_reject_share
from paincast.cohort.tables import Cohort
from paincast.errors import DataError, SettingsError

Ingested = tuple[Cohort, pd.DataFrame]
Json = dict[str, Any]

MAPPING = """
title: FHIR
read:
  model: fhir
  baseline_window: {most_days_before: 60, same_day: true}
episodes:
  episode_id: {column: id}
  patient_id: {column: patient}
  technique: {column: code:snomed, codes: {900001: facet_rfa, 900002: si_joint_rfa}}
  indication: {column: reasonCode:icd10cm, codes: {M47.816: lumbar_facet}}
  age_years: {column: birthDate, file: Patient, reads: years before procedure}
  sex: {column: gender, file: Patient, codes: {male: male, female: female, other: missing, unknown: missing}}
  pain_nrs: {named: 72514-3}
  weight_kg: {named: 29463-7}
  odi: {named: 'odi#score'}
visits:
  - pain_nrs: {named: 72514-3}
    odi: {named: 'odi#score'}
    pgic: {named: 'http://example.org/scores|pgic', codes: {much-improved: 2}}
"""
TECHNIQUE = "technique: {column: code:snomed, codes: {900001: facet_rfa, 900002: si_joint_rfa}}"
N_PATIENTS = 300
SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"


def concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def make_patient(key: str, **elements: object) -> Json:
    return {"resourceType": "Patient", "id": key, "birthDate": "1960-05-04", "gender": "female", **elements}


def make_procedure(key: str, patient: str, day: date, **elements: object) -> Json:
    return {
        "resourceType": "Procedure",
        "id": key,
        "status": "completed",
        "code": concept(SNOMED, "900001"),
        "reasonCode": [concept("http://hl7.org/fhir/sid/icd-10-cm", "M47.816")],
        "subject": {"reference": f"Patient/{patient}"},
        "performedDateTime": f"{day}T09:30:00+01:00",
        **elements,
    }


def make_pain(key: str, patient: str, day: date, value: int, **elements: object) -> Json:
    return {
        "resourceType": "Observation",
        "id": key,
        "status": "final",
        "code": concept(LOINC, "72514-3"),
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": str(day),
        "valueQuantity": {"value": value, "unit": "{score}", "code": "{score}"},
        **elements,
    }


def make_answers(key: str, patient: str, day: date, score: float, **elements: object) -> Json:
    item = {"linkId": "page", "item": [{"linkId": "score", "answer": [{"valueDecimal": score}]}]}
    return {
        "resourceType": "QuestionnaireResponse",
        "id": key,
        "status": "completed",
        "questionnaire": "http://example.org/Questionnaire/odi|1.0",
        "subject": {"reference": f"Patient/{patient}"},
        "authored": f"{day}T10:00:00Z",
        "item": [item],
        **elements,
    }


def make_resources(n_patients: int) -> list[Json]:
    """Invent a procedure for each patient, pain and disability before and after it, weight, and other resources."""
    random = np.random.default_rng(20240401)
    resources: list[Json] = []
    for i in range(n_patients):
        key, day = f"p{i}", date(2023, 1, 1) + timedelta(int(random.integers(300)))
        resources += [make_patient(key), make_procedure(f"proc-{i}", key, day)]
        for shift in (-7, 90, 180):
            visit = day + timedelta(shift)
            resources.append(make_pain(f"pain-{i}-{shift}", key, visit, int(random.integers(11))))
            resources.append(make_answers(f"odi-{i}-{shift}", key, visit, float(random.integers(101))))
        weight = make_pain(f"w-{i}", key, day - timedelta(3), 180, code=concept(LOINC, "29463-7"))
        weight["valueQuantity"] = {"value": 180, "unit": "lb", "system": "http://unitsofmeasure.org", "code": "[lb_av]"}
        pulse = make_pain(f"hr-{i}", key, day, 70, code=concept(LOINC, "8867-4"))
        resources += [weight, pulse, {"resourceType": "Encounter", "id": f"e{i}"}]
    return resources


def write_bundle(path: Path, resources: Sequence[object]) -> Path:
    entries = [{"fullUrl": f"https://fhir.example.org/{i}", "resource": each} for i, each in enumerate(resources)]
    path.write_text(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}), encoding="utf-8")
    return path


def write_lines(path: Path, resources: Sequence[object]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in resources), encoding="utf-8")
    return path


def write_by_type(folder: Path, resources: Sequence[Json]) -> Path:
    for kind in {each["resourceType"] for each in resources}:
        write_lines(folder / f"{kind}.ndjson", [each for each in resources if each["resourceType"] == kind])
    return folder


@pytest.fixture
def ingest_resources(tmp_path: Path) -> Callable[..., Ingested]:
    """Ingest resources, written as a file by one of the functions."""

    def run(resources: Sequence[object], mapping: str = MAPPING, write: Any = write_lines) -> Ingested:
        (tmp_path / "mapping.yaml").write_text(mapping, encoding="utf-8")
        name = {write_lines: "all.ndjson", write_bundle: "all.json"}.get(write, "folder")
        if name == "folder":
            (tmp_path / name).mkdir()
        return ingest(write(tmp_path / name, resources), tmp_path / "mapping.yaml")

    return run


def kinds(rejects: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(rejects[["table", "row", "column", "rule"]].itertuples(index=False, name=None))


@pytest.mark.parametrize("write", [write_lines, write_bundle, write_by_type])
def test_resources_become_a_cohort(ingest_resources: Callable[..., Ingested], write: object) -> None:
    resources = make_resources(N_PATIENTS)
    cohort, rejects = ingest_resources(resources, write=write)
    assert rejects.empty
    pain = [each["valueQuantity"]["value"] for each in resources if each.get("id", "").startswith("pain-")]
    scores = [each["item"][0]["item"][0]["answer"][0]["valueDecimal"] for each in resources if "item" in each]
    before, after, later = np.array(pain).reshape(-1, 3).T
    episodes = cohort.episodes
    assert len(episodes) == N_PATIENTS
    assert episodes["pain_nrs"].tolist() == before.tolist()
    assert episodes["odi"].tolist() == np.array(scores).reshape(-1, 3)[:, 0].tolist()
    assert episodes["weight_kg"].round(2).unique().tolist() == [81.65]
    assert episodes["technique"].unique().tolist() == ["facet_rfa"]
    assert episodes["indication"].unique().tolist() == ["lumbar_facet"]
    assert episodes["age_years"].between(62, 64).all()
    visits = cohort.visits.sort_values(["episode_id", "month"])
    assert len(visits) == 2 * N_PATIENTS
    by_episode = visits.groupby("episode_id")["pain_nrs"].agg(list)
    assert [by_episode[f"proc-{i}"] for i in range(N_PATIENTS)] == np.array([after, later]).T.tolist()
    told = describe_ingestion(cohort, rejects)
    assert "left out by the mapping: 300 rows because resources of type Encounter are not read" in told
    assert "left out by the mapping: 300 rows because the mapping names no value of the resource" in told


DAY = date(2024, 3, 1)


def with_bad(*bad: object) -> list[object]:
    good = [make_patient("p"), make_procedure("proc", "p", DAY), make_pain("o", "p", DAY, 8)]
    return [*good, *bad]


@pytest.mark.parametrize(
    ("bad", "column", "rule"),
    [
        (make_pain("b", "p", DAY, 7, status="entered-in-error"), "Observation.status", "status"),
        (make_procedure("b", "p", DAY, status="not-done"), "Procedure.status", "status"),
        (make_answers("b", "p", DAY, 7, status="in-progress"), "QuestionnaireResponse.status", "status"),
        (make_pain("b", "p", DAY, 7, effectiveDateTime="2024-03"), "Observation.effective", "no day"),
        (make_pain("b", "p", DAY, 7, effectiveDateTime=None), "Observation.effective", "required"),
        (make_pain("b", "p", DAY, 7, subject={"reference": "Group/1"}), "Observation.subject", "required"),
        (make_pain("b", "p", DAY, 7, subject={}), "Observation.subject", "required"),
        (make_procedure("b", "p", DAY, subject=None), "Procedure.subject", "required"),
        (make_pain("b", "p", DAY, 7, valueQuantity={"value": 5, "comparator": "<"}), "Observation.value", "comparator"),
        (make_pain("b", "p", DAY, 7, valueString="7"), "Observation.value", "value type"),
        ({"id": "b"}, "", "no resource"),
        (["Observation"], "", "no resource"),
        (None, "", "not JSON"),
        (make_pain("b", "p", DAY, 7, note="\ud800"), "", "not JSON"),
        (make_pain("o", "p", DAY, 7), "Observation.id", "duplicate"),
        (make_pain("o", "p", DAY, 8), "Observation.id", "merged"),
    ],
)
def test_a_bad_resource_is_a_reject_and_nothing_else_is_lost(
    ingest_resources: Callable[..., Ingested], bad: object, column: str, rule: str
) -> None:
    write = write_bundle if column == "" else write_lines
    cohort, rejects = ingest_resources([*with_bad(bad), make_pain("v", "p", DAY + timedelta(91), 2)], write=write)
    file = "all.ndjson" if write is write_lines else "all.json"
    assert kinds(rejects) == [(file, 4, column, rule)]
    assert cohort.episodes["pain_nrs"].tolist() == [8]
    assert cohort.visits["pain_nrs"].tolist() == [2]
    lost = compute_reject_share(rejects, 5)
    assert lost == (0 if rule in ("status", "merged") else 0.2)


def test_a_broken_line_is_rejected_by_its_number(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "all.ndjson", with_bad())
    text = path.read_bytes().replace(b"\n", b'\n{"resourceType": "Obs\n', 1) + b"\xff\n\n" + b"[" * 100_000 + b"\n"
    path.write_bytes(text)
    found = list(read_resources(path))
    assert [(each.place, each.rule) for each in found if isinstance(each, BadResource)] == [
        (2, "not JSON"),
        (5, "not JSON"),
        (7, "not JSON"),
    ]
    assert len(found) == 6


def test_a_bundle_that_is_cut_off_is_rejected_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    whole = write_bundle(tmp_path / "a.json", with_bad())
    cut = tmp_path / "b.json"
    cut.write_text(whole.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    cohort, rejects = ingest([whole, cut], tmp_path / "mapping.yaml")
    assert kinds(rejects) == [("b.json", 0, "", "not JSON")]
    assert len(cohort.episodes) == 1


def test_the_later_version_of_a_resource_counts(ingest_resources: Callable[..., Ingested]) -> None:
    later = make_pain("o", "p", DAY, 6, meta={"lastUpdated": "2024-05-01T00:00:00Z"})
    cohort, _ = ingest_resources(with_bad(later))
    assert cohort.episodes["pain_nrs"].tolist() == [6]


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/p"},
        {"reference": "Patient/p/_history/3"},
        {"reference": "https://fhir.example.org/r4/Patient/p"},
        {"reference": "https://fhir.example.org/0"},
        {"reference": "Patient?identifier=urn:mrn|77"},
        {"identifier": {"system": "urn:mrn", "value": "77"}},
        {"reference": "#inside"},
    ],
)
def test_a_patient_is_found_by_every_kind_of_reference(
    ingest_resources: Callable[..., Ingested], subject: Json
) -> None:
    identifier = [{"system": "urn:mrn", "value": "77"}]
    inside = {"resourceType": "Patient", "id": "inside", "identifier": identifier}
    pain = make_pain("o", "p", DAY, 8, subject=subject, contained=[inside])
    resources = [make_patient("p", identifier=identifier), make_procedure("proc", "p", DAY), pain]
    cohort, rejects = ingest_resources(resources, write=write_bundle)
    assert rejects.empty
    assert cohort.episodes["pain_nrs"].tolist() == [8]


def test_an_identifier_that_two_patients_share_means_neither() -> None:
    patients, identifier = Patients(), [{"system": "s", "value": "1"}]
    for key in "ab":
        patients.add(make_patient(key, identifier=identifier), "")
    assert patients.resolve("identifier:s|1") == ""
    assert patients.resolve("identifier:s|2") == "identifier:s|2"
    assert patients.resolve("Patient/a") == "a"
    assert read_reference({"subject": {"reference": "#gone"}}, "subject") == ""


def test_components_and_values_of_every_type() -> None:
    observation = {
        "code": concept(LOINC, "1-1"),
        "component": [
            {"code": concept(LOINC, "72514-3"), "valueInteger": "7"},
            {"code": concept("urn:own", "x"), "valueBoolean": True},
            {"code": concept("urn:own", "y"), "valueCodeableConcept": concept(LOINC, "LA6568-5")},
            {"code": concept("urn:own", "z"), "valueCodeableConcept": {"text": "severe"}},
        ],
    }
    names = {"72514-3", "urn:own|x", "urn:own|y", "urn:own|z"}
    values = {value.name: value.value.text for value in flatten_observation(observation, names)}
    assert values == {"72514-3": "7", "urn:own|x": "true", "urn:own|y": "LA6568-5", "urn:own|z": "severe"}
    assert read_value({"valueRange": {}}).rule == "value type"


def test_answers_are_named_by_link_by_loinc_code_or_by_questionnaire() -> None:
    response = {
        "questionnaire": "http://example.org/Questionnaire/pain|2",
        "item": [
            {
                "linkId": "/72514-3",
                "answer": [
                    {"valueCoding": {"code": "LA3"}, "item": [{"linkId": "why", "answer": [{"valueString": "x"}]}]}
                ],
            }
        ],
    }
    for names in (
        {"72514-3", "why"},
        {"/72514-3", "pain#why"},
        {"http://example.org/Questionnaire/pain#why", "72514-3"},
    ):
        assert {answer.named.value.text for answer in flatten_answers(response, names)} == {"LA3", "x"}


def test_a_link_of_several_questionnaires_is_refused(ingest_resources: Callable[..., Ingested]) -> None:
    other = make_answers("q2", "p", DAY, 5, questionnaire="http://example.org/Questionnaire/womac")
    resources = with_bad(make_answers("q1", "p", DAY, 40), other)
    with pytest.raises(DataError, match="score") as refused:
        ingest_resources(resources, MAPPING.replace("odi#score", "score"))
    assert refused.value.code == "PC-LONG-07"
    cohort, _ = ingest_resources(resources)
    assert cohort.episodes["odi"].tolist() == [40]


def test_several_codes_of_one_system_are_not_chosen_from() -> None:
    procedure = make_procedure("a", "p", DAY, code={"coding": [{"system": SNOMED, "code": c} for c in ("1", "2", "1")]})
    row = flatten_procedure(procedure, ["code:snomed", f"code:{SNOMED}", "code:cpt", "bodySite:text"])
    assert row["code:snomed"] == row[f"code:{SNOMED}"] == "1 | 2"
    assert row["code:cpt"] == row["bodySite:text"] == ""


def test_a_condition_is_its_own_value(ingest_resources: Callable[..., Ingested]) -> None:
    old = "indication: {column: reasonCode:icd10cm, codes: {M47.816: lumbar_facet}}"
    codes = "{icd10cm|M47.816: lumbar_facet, icd10cm|M53.3: sacroiliac_joint}"
    new = f"indication: {{named: [icd10cm|M47.816, icd10cm|M53.3], codes: {codes}}}"
    system = "http://hl7.org/fhir/sid/icd-10-cm"
    facts: list[tuple[str, Json]] = [
        ("M47.816", {"onsetDateTime": str(DAY - timedelta(40))}),
        ("M53.3", {"recordedDate": str(DAY - timedelta(9)), "verificationStatus": concept("v", "refuted")}),
        ("E11.9", {}),
    ]
    conditions = [
        {"resourceType": "Condition", "subject": {"reference": "Patient/p"}, "code": concept(system, code), **elements}
        for code, elements in facts
    ]
    assert old in MAPPING
    cohort, rejects = ingest_resources(with_bad(*conditions), MAPPING.replace(old, new))
    assert cohort.episodes["indication"].tolist() == ["lumbar_facet"]
    assert kinds(rejects) == [("all.ndjson", 5, "Condition.verificationStatus", "status")]


def test_events_are_read_from_tables_of_resources(ingest_resources: Callable[..., Ingested]) -> None:
    events = """
events:
  - file: Patient
    patient_id: {column: id}
    month: {column: deceased, reads: months since procedure}
    kind: {always: death}
  - file: Procedure
    patient_id: {column: patient}
    month: {column: performed, reads: months since procedure}
    when: {column: "code:snomed", is: ["900001"], is_not: others}
    kind: {always: repeat_procedure}
"""
    died = make_patient("p", deceasedDateTime=str(DAY + timedelta(91)))
    resources = [died, make_patient("q"), make_procedure("a", "p", DAY), make_procedure("b", "q", DAY)]
    resources.append(make_procedure("c", "q", DAY + timedelta(200)))
    cohort, rejects = ingest_resources(resources, MAPPING + events)
    assert rejects.empty
    assert cohort.events[["episode_id", "kind"]].to_numpy().tolist() == [["a", "death"], ["b", "repeat_procedure"]]
    assert cohort.events["month"].round(1).tolist() == [3.0, 6.6]
    assert {entry["because"]: entry["rows"] for entry in cohort.details["left_out"]}["it has no date"] == 1


def test_the_site_is_the_organization_of_the_performer(ingest_resources: Callable[..., Ingested]) -> None:
    performer = [{"actor": {}, "onBehalfOf": {"reference": "Organization/1"}}]
    mapping = MAPPING.replace(TECHNIQUE, f"{TECHNIQUE}\n  site_id: {{column: organization}}")
    cohort, _ = ingest_resources([make_patient("p"), make_procedure("a", "p", DAY, performer=performer)], mapping)
    assert cohort.episodes["site_id"].tolist() == ["Organization/1"]


def test_procedures_of_other_codes_are_left_out(ingest_resources: Callable[..., Ingested]) -> None:
    cohort, rejects = ingest_resources(with_bad(make_procedure("b", "p", DAY, code=concept(SNOMED, "1"))))
    assert len(cohort.episodes) == 1
    assert rejects.empty


@pytest.mark.parametrize(
    ("files", "code"),
    [(["a.txt"], "PC-LONG-02"), ([], "PC-LONG-03"), (["a.ndjson"], "PC-LONG-06")],
)
def test_files_without_a_procedure_are_refused(tmp_path: Path, files: list[str], code: str) -> None:
    (tmp_path / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    for name in files:
        write_lines(tmp_path / name, [make_patient("p")])
    with pytest.raises(DataError) as refused:
        ingest([tmp_path / name for name in files], tmp_path / "mapping.yaml")
    assert refused.value.code == code


@pytest.mark.parametrize("column", ["code", "code:", "note:text", "performedOn"])
def test_a_column_of_no_element_is_refused(ingest_resources: Callable[..., Ingested], column: str) -> None:
    with pytest.raises(DataError, match="known: id, patient") as refused:
        ingest_resources(with_bad(), MAPPING.replace("code:snomed", f'"{column}"'))
    assert refused.value.code == "PC-LONG-05"


def test_what_says_how_text_is_written_does_not_apply(ingest_resources: Callable[..., Ingested]) -> None:
    with pytest.raises(SettingsError, match="does not apply to FHIR"):
        ingest_resources(with_bad(), MAPPING.replace("model: fhir", "model: fhir\n  separator: comma"))


@pytest.mark.parametrize("target", ["technique", "approach"])
@pytest.mark.parametrize("code", ["62323", "64493", "64483"])
def test_an_ambiguous_code_needs_a_second_condition(
    ingest_resources: Callable[..., Ingested], code: str, target: str
) -> None:
    meaning = {"technique": "facet_joint_injection", "approach": "caudal"}[target]
    bare = MAPPING.replace(
        "  indication:", f"  approach: {{column: code:cpt, codes: {{{code}: {meaning}}}}}\n  indication:"
    )
    if target == "technique":
        bare = MAPPING.replace(
            "column: code:snomed, codes: {900001: facet_rfa,", f"column: code:cpt, codes: {{{code}: {meaning},"
        )
    with pytest.raises(SettingsError, match=f"{code} alone does not tell the {target}"):
        ingest_resources(with_bad(), bare)


def test_a_second_condition_decides_row_by_row(ingest_resources: Callable[..., Ingested]) -> None:
    cpt = concept("http://www.ama-assn.org/go/cpt", "64493")
    resources = [make_patient("p")]
    for i, purpose in enumerate(("treatment", "diagnosis", None)):
        category = {} if purpose is None else {"category": concept("urn:purpose", purpose)}
        resources.append(make_procedure(f"proc{i}", "p", DAY + timedelta(i), code=cpt, **category))
    codes = (
        "{64493: {means: facet_joint_injection, where: {column: 'category:urn:purpose', is: [treatment], "
        "is_not: [diagnosis]}}}"
    )
    mapping = MAPPING.replace(
        "column: code:snomed, codes: {900001: facet_rfa, 900002: si_joint_rfa}", f"column: code:cpt, codes: {codes}"
    )
    cohort, rejects = ingest_resources(resources, mapping)
    assert cohort.episodes["episode_id"].tolist() == ["proc0"]
    assert kinds(rejects) == [("episodes", row, "technique", "ambiguous code") for row in (3, 4)]


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["coding", "code", "system", "value", "valueQuantity", "item", "answer", "linkId", "reference"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(
    JSON_VALUES, st.sampled_from(["code", "component", "item", "subject", "valueQuantity", "contained", "reasonCode"])
)
def test_any_content_of_an_element_is_read_or_ignored(content: object, element: str) -> None:
    resource = {**make_pain("o", "p", DAY, 7), **make_answers("o", "p", DAY, 7), element: content}
    names = set(list_names(resource.get("code")))
    flatten_observation(resource, {"72514-3", *names})
    flatten_answers(resource, {"score", "odi#score"})
    flatten_procedure(resource, ["code:snomed", "reasonCode:text"])
    assert isinstance(read_reference(resource, "subject"), str)


@given(st.one_of(st.binary(max_size=200), JSON_VALUES.map(lambda content: json.dumps(content).encode())))
def test_any_bytes_are_resources_or_rejects(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        for name in ("a.ndjson", "a.json"):
            file = Path(folder) / name
            file.write_bytes(content)
            for found in read_resources(file):
                assert found.place >= 0
                assert isinstance(found, BadResource) or isinstance(found.content["resourceType"], str)


def test_the_codes_that_are_refused_are_told_with_what_they_may_be() -> None:
    assert {"62323", "64493", "64483"} <= set(AMBIGUOUS_CODES)
    assert all(len(code) == 5 and code.isdigit() for code in AMBIGUOUS_CODES)
    assert all(len(candidates) >= 2 for candidates in AMBIGUOUS_CODES.values())


def test_what_stands_in_the_place_of_a_type_is_not_told(ingest_resources: Callable[..., Ingested]) -> None:
    bad = [{"resourceType": text} for text in ("Miller, Anna", "987654321", "", "Encounter")]
    told = "\n".join(describe_ingestion(*ingest_resources(with_bad(*bad))))
    assert "Miller" not in told
    assert "987654321" not in told
    assert "3 rows because resources of other types" in told
    assert "1 row because resources of type Encounter" in told


def test_a_bundle_that_is_damaged_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    bundle = write_bundle(tmp_path / "all.json", make_resources(2))
    bundle.write_bytes(bundle.read_bytes()[:-9])
    with pytest.raises(DataError, match="1 files, lines or entries are not JSON") as caught:
        ingest(bundle, tmp_path / "mapping.yaml")
    assert caught.value.code == "PC-LONG-06"
