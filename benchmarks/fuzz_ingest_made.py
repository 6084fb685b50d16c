"""Malformed exports of registries for ``fuzz_ingest.py``: good patients among bad ones, in every way a mapping reads.

Each kind has a mapping and the tables of good patients. Bad rows are copies of good ones under other ids, with wrong
values in any cell.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from fuzz_files_made import MARK, NUMBER

N_GOOD = 12
DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]
VALUES: list[Any] = [
    *(None, [], {}, "", MARK, MARK * 3000, f"{MARK}\n\x1b[31m", "2024-13-45", "2024", "9999-12-31", "0001-01-01"),
    *(True, 0, -1, int(NUMBER), float(NUMBER) / 4, 10**400, -1e308, float("nan"), float("inf"), DEEP),
    *([MARK], {MARK: MARK}, [[MARK]], [None], {"value": NUMBER}, f"Patient/{MARK}", f"{NUMBER}-01-01", "\ud800"),
]

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A way in which a mapping reads an export.

    Parameters
    ----------
    mapping : str
        YAML.
    make : callable
        Makes the tables of the good patients, by the name of their file.
    ids : tuple of str
        Columns that hold the id of a patient or a procedure.
    """

    mapping: str
    make: Callable[[], Tables]
    ids: tuple[str, ...] = ("id",)


PLAIN_MAPPING = """
title: plain
read: {file: in.csv, missing: ["-9"]}
keep_rows_where:
  - {column: kind, is: [index, proc], is_not: [other], because: the row is no procedure}
procedure_date: {column: day}
episodes:
  episode_id: {column: id}
  patient_id: {column: id, prefix: p-}
  site_id: {column: site}
  technique:
    column: code
    codes: {RF: facet_rfa, "1": si_joint_rfa, X: {means: facet_rfa, where: {column: place, is: [back]}}}
  indication: {column: why}
  procedure_year: {column: day, reads: year of date}
  age_years: {column: born, reads: years before procedure, date_format: "%d.%m.%Y"}
  pain_nrs: {column: vas, unit: mm}
  odi: {column: odi}
  weight_kg: {column: weight, unit_column: weight_unit, units: {kg: kg, lb: pounds}}
  diabetes: {column: history, true_if_contains: [diabet]}
  smoker: {column: smokes}
  spine_operations: {count_true: [op1, op2]}
visits:
  - month: {always: 3}
    pain_nrs: {column: vas3, unit: mm}
    odi: {column: odi3, reads: change from baseline}
  - month: {column: seen, reads: months since procedure}
    pain_nrs: {column: vas_seen, unit: mm}
events:
  - kind: {always: complication}
    month: {always: 0}
    when: {column: bled, is: ["1"], is_not: ["0", missing]}
"""


def make_plain() -> Tables:
    rows = [
        {
            **{"kind": "index", "id": f"good-{n}", "site": "A", "code": ["RF", "1", "X"][n % 3], "place": "back"},
            **{"why": "lumbar_facet", "day": f"2021-03-{n + 1:02d}", "born": f"01.02.19{50 + n}", "vas": str(50 + n)},
            **{"odi": str(30 + n), "weight": str(70 + n), "weight_unit": ["kg", "lb"][n % 2], "smokes": "yes"},
            **{"history": "diabetes", "op1": "1", "op2": "0", "vas3": str(20 + n), "odi3": str(-n), "bled": str(n % 2)},
            **{"seen": f"2021-09-{n + 1:02d}", "vas_seen": str(15 + n), "note": "seen"},
        }
        for n in range(N_GOOD)
    ]
    return {"in.csv": pd.DataFrame(rows)}


VISITS_MAPPING = """
read:
  file: in.csv
  join: [{file: scores.csv, by: id}]
baseline_rows: {column: visit, is: ["0"], is_not: others}
procedure_date: {column: day}
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  indication: {always: lumbar_facet}
  pain_nrs: {column: nrs}
  odi: {column: odi, file: scores.csv}
  sex: {column: sex, codes: {1: male, 2: female}}
visits:
  - when: {column: visit, is: ["1", "2"], is_not: others}
    month: {column: day, reads: months since procedure}
    pain_nrs: {column: nrs}
  - file: later.csv
    patient_id: {column: id}
    month: {column: at, reads: months since procedure}
    pain_nrs: {column: nrs, reads: percent reduction from baseline}
"""


def make_visits() -> Tables:
    rows = [
        {"id": f"good-{n}", "visit": str(v), "day": f"2021-0{1 + 3 * v}-{n + 1:02d}", "nrs": str(8 - 2 * v), "sex": "1"}
        for n in range(N_GOOD)
        for v in range(3)
    ]
    scores = [{"id": f"good-{n}", "odi": str(30 + n)} for n in range(N_GOOD)]
    later = [{"id": f"good-{n}", "at": f"2022-05-{n + 1:02d}", "nrs": str(30 + n)} for n in range(N_GOOD)]
    return {"in.csv": pd.DataFrame(rows), "scores.csv": pd.DataFrame(scores), "later.csv": pd.DataFrame(later)}


LONG_MAPPING = """
read:
  file: in.csv
  long:
    - {file: scores.csv, person: pat, name: item, value: score, at: day, unit: unit}
  baseline_window: {most_days_before: 60, same_day: true}
procedure_date: {column: day}
episodes:
  episode_id: {columns: [pat, day]}
  patient_id: {column: pat}
  technique: {always: facet_rfa}
  pain_nrs: {named: NRS}
  weight_kg: {named: [weight, body weight], units: {kg: kg, lb: pounds}, most_days_before: 365}
  smoker: {named: smokes, codes: {y: true, n: false}}
visits:
  - pain_nrs: {named: NRS}
    odi: {named: ODI, unit: 0-50}
"""


def make_long() -> Tables:
    procedures = [{"pat": f"good-{n}", "day": f"2021-03-{n + 1:02d}", "note": "x"} for n in range(N_GOOD)]
    scores = [
        {"pat": f"good-{n}", "item": item, "score": score, "day": f"2021-{month}-{n + 1:02d}", "unit": unit}
        for n in range(N_GOOD)
        for item, score, month, unit in (
            ("NRS", "8", "02", ""),
            ("weight", str(70 + n), "01", "kg"),
            ("smokes", "y", "02", ""),
            ("NRS", "3", "06", ""),
            ("ODI", str(20 + n), "06", ""),
        )
    ]
    return {"in.csv": pd.DataFrame(procedures), "scores.csv": pd.DataFrame(scores)}


REDCAP_MAPPING = """
read:
  file: in.csv
  redcap: {record: record_id, episode: {event: procedure_arm_1}, ignore: [{instrument: contact}]}
procedure_date: {column: proc_dt}
episodes:
  episode_id: {column: record_id}
  patient_id: {column: record_id}
  site_id: {column: redcap_data_access_group}
  technique: {always: facet_rfa}
  sex: {column: sex, event: baseline_arm_1, codes: {1: male, 2: female}}
  diabetes: {checked: comorb___1, none: comorb___99, event: baseline_arm_1}
  cardiovascular_disease: {checked: [comorb___2], nothing_checked: false, event: baseline_arm_1}
  weight_kg: {column: weight, event: baseline_arm_1, unit_column: weight_unit, units: {1: kg, 2: pounds}}
  pain_nrs: {column: nrs, event: baseline_arm_1}
visits:
  - event: month_3_arm_1
    month: {column: visit_dt, reads: months since procedure}
    pain_nrs: {column: nrs}
events:
  - instrument: adverse
    event: month_3_arm_1
    kind: {always: complication}
    month: {column: visit_dt, reads: months since procedure}
"""


def make_redcap() -> Tables:
    names = "record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,redcap_data_access_group,sex"
    names += ",comorb___1,comorb___2,comorb___99,proc_dt,weight,weight_unit,visit_dt,nrs"
    rows = []
    for n in range(N_GOOD):
        of, day = f"good-{n}", f"{n + 1:02d}"
        rows += [
            f"{of},baseline_arm_1,,,south,2,0,1,0,,{70 + n},2,2024-01-{day},8",
            f"{of},procedure_arm_1,,,south,,0,0,0,2024-01-{day},,,,",
            f"{of},month_3_arm_1,,,south,,0,0,0,,,,2024-04-{day},3",
            f"{of},month_3_arm_1,adverse,1,south,,0,0,0,,,,2024-05-{day},",
            f"{of},month_3_arm_1,contact,1,south,,0,0,0,,,,,",
        ]
    return {"in.csv": pd.DataFrame([row.split(",") for row in rows], columns=names.split(","))}


OMOP_MAPPING = """
read:
  model: omop
  baseline_window: {most_days_before: 90, same_day: true}
episodes:
  episode_id: {column: procedure_occurrence_id}
  patient_id: {column: person_id}
  technique: {column: procedure_concept_id, codes: {2000001: facet_rfa}}
  age_years: {column: year_of_birth, file: person, reads: year of birth}
  sex: {column: gender_concept_id, file: person, codes: {8507: male, 8532: female}}
  pain_nrs: {named: 2000101}
  weight_kg: {named: 2000102, units: {8739: pounds, 9529: kg}}
visits:
  - pain_nrs: {named: 2000101}
events:
  - file: condition_occurrence
    patient_id: {column: person_id}
    month: {column: condition_start_date, reads: months since procedure}
    when: {column: condition_concept_id, is: [2000201], is_not: others}
    kind: {always: complication}
"""


def make_omop() -> Tables:
    people = [f"good-{n}" for n in range(N_GOOD)]
    days = [f"{n + 1:02d}" for n in range(N_GOOD)]
    measured = ("2000101", "02", "8", "0"), ("2000101", "06", "3", "0"), ("2000102", "02", "180", "8739")
    return {
        "person.csv": pd.DataFrame({"person_id": people, "gender_concept_id": "8532", "year_of_birth": "1961"}),
        "procedure_occurrence.csv": pd.DataFrame(
            {
                **{"procedure_occurrence_id": people, "person_id": people, "procedure_concept_id": "2000001"},
                "procedure_date": [f"2024-03-{day}" for day in days],
            }
        ),
        "measurement.csv": pd.DataFrame(
            [
                {
                    **{"person_id": of, "measurement_concept_id": concept, "measurement_date": f"2024-{month}-{day}"},
                    **{"operator_concept_id": "0", "value_as_number": value, "value_as_concept_id": "0"},
                    "unit_concept_id": unit,
                }
                for of, day in zip(people, days, strict=True)
                for concept, month, value, unit in measured
            ]
        ),
        "condition_occurrence.csv": pd.DataFrame(
            {
                **{"person_id": people, "condition_concept_id": "2000201"},
                "condition_start_date": [f"2024-08-{day}" for day in days],
            }
        ),
    }


FHIR_MAPPING = """
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
"""


def make_resources(of: str, n: int) -> list[dict[str, Any]]:
    """Make the resources of a patient."""
    subject, day = {"reference": f"Patient/{of}"}, f"{n % 28 + 1:02d}"

    def code(system: str, value: str) -> dict[str, Any]:
        return {"coding": [{"system": system, "code": value}]}

    def observe(name: str, at: str, value: float, unit: str) -> dict[str, Any]:
        quantity = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
        about = {"id": f"{of}-{name}-{at}", "status": "final", "subject": subject, "effectiveDateTime": f"{at}-{day}"}
        return {
            "resourceType": "Observation",
            **about,
            "code": code("http://loinc.org", name),
            "valueQuantity": quantity,
        }

    answer = {"linkId": "page", "item": [{"linkId": "score", "answer": [{"valueDecimal": 30.0 + n % 40}]}]}
    asked = {"questionnaire": "http://example.org/Questionnaire/odi|1.0", "authored": f"2024-02-{day}T10:00:00Z"}
    done = {"status": "completed", "subject": subject}
    return [
        {"resourceType": "Patient", "id": of, "gender": "female", "birthDate": "1961-05-04"},
        {
            **{"resourceType": "Procedure", "id": of, **done, "performedDateTime": f"2024-03-{day}T09:30:00+01:00"},
            "code": code("http://snomed.info/sct", "900001"),
            "reasonCode": [code("http://hl7.org/fhir/sid/icd-10-cm", "M47.816")],
        },
        observe("72514-3", "2024-02", 8, "{score}"),
        observe("72514-3", "2024-06", 3, "{score}"),
        observe("29463-7", "2024-02", 180, "[lb_av]"),
        {"resourceType": "QuestionnaireResponse", "id": f"{of}-odi", **done, **asked, "item": [answer]},
    ]


def change_tree(tree: Any, rng: random.Random, values: list[Any]) -> Any:
    """Change, remove or repeat what stands at some place of a tree."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        below = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        for name in below:
            places.append((node, name))
            walk(node[name])

    walk(tree)
    for _ in range(rng.choice([1, 1, 2, 4])) if places else ():
        node, name = rng.choice(places)
        how = rng.random()
        if (isinstance(node, list) and name >= len(node)) or (isinstance(node, dict) and name not in node):
            continue
        if how < 0.15:
            del node[name]
        elif how < 0.25 and isinstance(node, list):
            node[name:name] = [copy.deepcopy(node[name])] * rng.choice([1, 3])
        elif how < 0.3 and isinstance(node, dict):
            node[rng.choice([MARK, "extension", f"{name}x"])] = node.pop(name)
        else:
            node[name] = copy.deepcopy(rng.choice(values))
    return tree


def make_fhir(folder: Path, rng: random.Random, n_bad: int) -> Path:
    """Write a bundle or NDJSON of good patients, and of bad resources among them."""
    lines = [json.dumps(resource) for n in range(N_GOOD) for resource in make_resources(f"good-{n}", n)]
    is_bundle = bool(n_bad) and rng.random() < 0.4
    for n in range(n_bad):
        resource = change_tree(rng.choice(make_resources(f"bad-{n}", n)), rng, VALUES)
        line = json.dumps(resource)
        if is_bundle:  # one word that is no JSON would damage all of it
            line = line.replace("NaN", "null").replace("Infinity", "null")
        if not is_bundle and rng.random() < 0.2:
            at = rng.randrange(len(line))
            what = ["", MARK, "{", "]", "\\", '"', "[" * 100_000, "9" * 5000, "\x00", ',"id":"again"']
            line = line[:at] + rng.choice(what) + line[at + rng.choice([0, 1, 30]) :]
        lines.insert(rng.randrange(len(lines) + 1), line.replace("\n", " "))
    if is_bundle:
        entries = ",".join(f'{{"resource": {line}}}' for line in lines)
        path = folder / "in.json"
        path.write_text(f'{{"resourceType": "Bundle", "type": "collection", "entry": [{entries}]}}', encoding="utf-8")
    else:
        path = folder / rng.choice(["in.ndjson", "in.jsonl"])
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


TABLE_KINDS: dict[str, Kind] = {
    "plain": Kind(mapping=PLAIN_MAPPING, make=make_plain),
    "visits": Kind(mapping=VISITS_MAPPING, make=make_visits),
    "long": Kind(mapping=LONG_MAPPING, make=make_long, ids=("pat",)),
    "redcap": Kind(mapping=REDCAP_MAPPING, make=make_redcap, ids=("record_id",)),
    "omop": Kind(mapping=OMOP_MAPPING, make=make_omop, ids=("person_id", "procedure_occurrence_id")),
}
